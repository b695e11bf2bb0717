// The f64 building blocks, and the fma of processors that have none (a debug build is one), against libm and the
// processor.

import Foundation
import Testing

@testable import XentKernels

/// Repeatable numbers (SplitMix64, Steele et al. 2014).
struct Numbers {
  var state: UInt64

  mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func uniform(_ low: Double, _ high: Double) -> Double {
    low + (high - low) * Double(bits() >> 11) * 0x1p-53
  }
}

@Suite struct ArithmeticTests {
  @Test func floatFmaRoundsOnce() {
    var numbers = Numbers(state: 1)
    var special: [Float] = [
      0, -0.0, 1, -1, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
    ]
    special += [.leastNormalMagnitude, 0x1.000002p0, -0x1.fffffep-1]
    for round in 0..<200_000 {
      func next() -> Float {
        round < 4000
          ? special[Int(numbers.bits() % UInt64(special.count))]
          : Float(bitPattern: UInt32(truncatingIfNeeded: numbers.bits()))
      }
      // In a third of the cases the addend nearly cancels the product, where a second rounding would show.
      let a = next()
      let b = next()
      let c = round % 3 == 0 ? -(a * b).nextUp : next()
      let got = fma(Floats(repeating: a), Floats(repeating: b), Floats(repeating: c))[round & 15]
      let exact = c.addingProduct(a, b)
      #expect(got == exact || (got.isNaN && exact.isNaN), "fma(\(a), \(b), \(c)) is \(got), not \(exact)")
    }
  }

  #if arch(x86_64)
    @Test func exponentialIsWithinItsBound() {
      var numbers = Numbers(state: 2)
      var worst: Float80 = 0
      for _ in 0..<20_000 {
        let x = numbers.uniform(-700, 700)
        let e = exponential(Doubles(repeating: x))
        let got =
          (Float80(e.value.hi[3]) + Float80(e.value.lo[3]))
          * Float80(sign: .plus, exponent: Int(e.exponent[3]), significand: 1)
        worst = max(worst, abs(got / exp(Float80(x)) - 1))
      }
      #expect(worst < 0x1.8p-56, "\(worst)")
    }

    @Test func logarithmIsWithinItsBound() {
      var numbers = Numbers(state: 3)
      var worst: Float80 = 0
      for _ in 0..<20_000 {
        let u = exp(numbers.uniform(-0.5, 40))
        let exponent = numbers.uniform(-100, 100).rounded()
        let u2 = Pair(Doubles(repeating: u), Doubles(repeating: u * 0x1p-54))
        let got = logarithm(u2, exponent: Doubles(repeating: exponent), offset: Pair(Doubles(), Doubles()))
        let exact = log(Float80(u) + Float80(u) * 0x1p-54) + Float80(exponent) * log(Float80(2))
        worst = max(worst, abs(Float80(got.hi[0]) + Float80(got.lo[0]) - exact))
      }
      #expect(worst < 0x1p-55, "\(worst)")
    }
  #endif

  @Test func powersOfTwo() {
    for exponent in stride(from: -1022.0, through: 1023, by: 5) {
      #expect(powerOfTwo(exponent) == pow(2, exponent))
      #expect(powerOfTwo(Doubles(repeating: exponent))[5] == pow(2, exponent))
    }
    #expect(scaled(1, -1074) == .leastNonzeroMagnitude)
    #expect(scaled(1.5, -1074) == .leastNonzeroMagnitude * 2)  // a tie, to even
    #expect(scaled(1, -5000) == 0)
    #expect(scaled(3, -2) == 0.75)
  }

  @Test func lanes() {
    for position in 0..<16 {
      var v = Floats(repeating: -2)
      v[position] = 3
      #expect(Float.largestLane(v) == 3)
    }
    for position in 0..<8 {
      var v = Doubles(repeating: -2)
      v[position] = 3
      #expect(largestOf(v) == 3)
      var sums = Doubles()
      sums[position] = 0.5
      #expect(reduced(sums, sums) == (1, 0))
    }
    let passed = Float.larger(Floats(repeating: 1), Floats(repeating: .nan))
    #expect(passed[0] == 1)
    #expect(reduced(Doubles(repeating: .infinity), Doubles(repeating: .nan)) == (.infinity, 0))
  }
}
