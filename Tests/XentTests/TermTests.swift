// The exponential that every f32 sum and every f32 output is made of, over its inputs: all of them with
// XENT_EXHAUSTIVE=1 (`make exhaustive`), otherwise a sample of every exponent.

import Foundation
import Testing

@testable import XentKernels

private let isExhaustive = ProcessInfo.processInfo.environment["XENT_EXHAUSTIVE"] == "1"

@Suite struct TermTests {
  /// For every f32 up to 2^15, beyond which an anchor is subtracted first: scale·(1 + minor)·γ⁻¹ against our f64
  /// exponential, which ArithmeticTests holds to 1.5·2^-56.
  @Test func floatTermIsWithinItsBound() {
    let last = Float(0x1p15).bitPattern
    let stride: UInt32 = isExhaustive ? 16 : 16 * 2001
    var worst = (error: 0.0, at: Float(0))
    var measured = 0
    var minorWorst = 0.0
    for sign: Float in [1, -1] {
      var bits: UInt32 = 0
      while bits <= last {
        var x = Floats()
        for lane in 0..<16 { x[lane] = sign * Float(bitPattern: min(bits &+ UInt32(lane), last)) }
        // The window of a sum whose largest argument is x: the same for all of them, which are neighbours.
        let shift = -(Double(x[0]) * log2e).rounded()
        let term = Float.term(x, Floats(repeating: Window<Float>(shift: Float(shift)).magic))
        for half in 0..<2 {
          let exact = exponential(Float.widened(x, half))
          let scale =
            Float.widened(term.scale, half) * (1 / Float.bias) * powerOfTwo(-exact.exponent - Doubles(repeating: shift))
          let minor = Float.widened(term.minor, half)
          let got = scale + scale * minor
          let error = ((got - exact.value.hi) - exact.value.lo) / exact.value.hi
          for lane in 0..<8 where error[lane].magnitude > worst.error {
            worst = (error[lane].magnitude, x[8 * half + lane])
          }
          for lane in 0..<8 { minorWorst = max(minorWorst, minor[lane].magnitude) }
        }
        measured += 16
        bits += stride
      }
    }
    print("\(measured) values, largest relative error \(worst.error * 0x1p24) · 2^-24 at \(worst.at)")
    // The table's 2^-28.4, the polynomial's 2^-29 and the rounding of the minor part.
    #expect(worst.error < 0.12 * 0x1p-24)
    #expect(minorWorst < 0.046)  // exp(ln 2 / 16) − 1, and what n may be off by: what the error analysis takes it to be
  }
}
