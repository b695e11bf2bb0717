// Sums of exponentials and their merge.

import CXentSystem
import Foundation
import Testing

@testable import XentKernels

extension Wide {
  /// log of the sum, to f64.
  var log: Double { Foundation.log(hi + lo) + exponent * M_LN2 + anchor }
}

@Suite struct WideTests {
  @Test(arguments: [0.0, 1, -1, 87.5, -745, 709, 32767.9, 32768.5, -32769, 1e8, -1e30, 1e300, 0x1p-1022])
  func exponentialOfAnyMagnitude(x: Double) {
    let sum = Wide.exp(x)
    #expect(sum.isOrdinary)
    #expect(abs(sum.log - x) <= 1e-15 * max(1, abs(x)))
  }

  @Test func mergeAgreesWithLogAddExp() {
    let values = [-1e9, -40000, -32769, -32767, -800, -1, 0, 0.5, 700, 32766, 32769, 32770, 40000, 1e9]
    for a in values {
      for b in values {
        let exact = max(a, b) + log1p(Foundation.exp(-abs(a - b)))
        #expect(abs((Wide.exp(a) + Wide.exp(b)).log - exact) <= 1e-15 * max(1, abs(exact)) * 4, "\(a) and \(b)")
      }
    }
  }

  @Test func mergeWithEqualAnchorsIsCommutative() {
    var numbers = Numbers(state: 4)
    for _ in 0..<2000 {
      let a = Wide.exp(numbers.uniform(-300, 300))
      let b = Wide.exp(numbers.uniform(-300, 300))
      let left = a + b
      let right = b + a
      #expect(left.log == right.log)
    }
  }

  @Test func nothingInfinityAndNaN() {
    let one = Wide.exp(0)
    #expect((Wide.zero + one).hi == 1 && (one + Wide.zero).hi == 1)
    #expect((Wide.zero + Wide.zero).hi == 0)
    #expect(Wide.exp(-.infinity).hi == 0)
    #expect(Wide.exp(.infinity).hi == .infinity)
    #expect((Wide.infinity + one).hi == .infinity && (one + Wide.infinity).hi == .infinity)
    #expect((Wide.infinity + Wide.zero).hi == .infinity)
    #expect((Wide.nan + one).hi.isNaN && (one + Wide.nan).hi.isNaN && (Wide.nan + Wide.zero).hi.isNaN)
    #expect((Wide.nan + Wide.infinity).hi.isNaN)
  }
}

extension Part {
  fileprivate func sum() -> Wide { sum(Reference(maximum())) }
}

@Suite struct PartTests {
  /// Σ exp over `x` without `hole`, as its log, by the part and by libm with the maximum taken out.
  func compare<E: Element>(_ x: [E], hole: Int) -> (part: Double, libm: Double) {
    let room = UnsafeMutablePointer<xentk_workspace>.allocate(capacity: 1)
    defer { room.deallocate() }
    let part = x.withUnsafeBufferPointer {
      Part($0.baseAddress!, count: $0.count, hole: hole, stage: Stage<E>(room)).sum()
    }
    let others = x.indices.filter { $0 != hole }.map { x[$0].widened }
    let largest = others.max() ?? -.infinity
    return (part.log, largest + log(others.reduce(0) { $0 + exp($1 - largest) }))
  }

  @Test func everyLengthAndHole() {
    var numbers = Numbers(state: 5)
    for count in Swift.Array(1...40) + [63, 64, 65, 127, 128, 129, 1000, 2047, 2048] {
      let x = (0..<count).map { _ in Float(numbers.uniform(-20, 20)) }
      let holes = count <= 40 ? Swift.Array(-1..<count) : [-1, 0, 7, 8, 62, 64, count - 1]
      for hole in holes where count > 1 || hole < 0 {
        let single = compare(x, hole: hole)
        let double = compare(x.map(Double.init), hole: hole)
        #expect(abs(single.part - single.libm) < 1e-7, "\(count) without \(hole)")
        #expect(abs(double.part - double.libm) < 1e-13, "\(count) without \(hole)")
      }
    }
  }

  @Test(arguments: [1.0, 1e4, 32768, 33000, 1e6, 1e8, 1e30])
  func everyMagnitude(magnitude: Double) {
    let x = [0.25, -0.5, 1, 0.999, 0.9999, -1].map { Float($0 * magnitude) }
    for hole in -1..<x.count {
      let (part, libm) = compare(x, hole: hole)
      #expect(abs(part - libm) <= 1e-7 * max(1, abs(libm)), "without \(hole)")
    }
  }

  @Test func masksInfinitiesAndNaN() {
    let room = UnsafeMutablePointer<xentk_workspace>.allocate(capacity: 1)
    defer { room.deallocate() }
    func sum(_ x: [Double], hole: Int = -1) -> Double {
      x.withUnsafeBufferPointer {
        Part($0.baseAddress!, count: $0.count, hole: hole, stage: Stage<Double>(room)).sum().hi
      }
    }
    #expect(sum([-.infinity, -.infinity]) == 0)
    #expect(sum([-.infinity, 0]) == 1)
    #expect(sum([.infinity, 0]) == .infinity)
    #expect(sum([.infinity, 0], hole: 0) == 1)
    #expect(sum([.nan, 0]).isNaN)
    #expect(sum([.nan, 0], hole: 0) == 1)
    #expect(sum([.nan, .infinity]).isNaN)
    #expect(sum([.nan, -.infinity]).isNaN)
    #expect(sum([5], hole: 0) == 0)
  }

  @Test func leaveOutFirstMaximum() {
    let room = UnsafeMutablePointer<xentk_workspace>.allocate(capacity: 1)
    defer { room.deallocate() }
    for count in [1, 7, 8, 64, 65, 128, 129, 300, 2048] {
      for position in Set([0, count / 2, count - 1]) {
        var x = [Float](repeating: -3, count: count)
        x[position] = 2
        x[count - 1] = 2
        let found = x.withUnsafeBufferPointer {
          var part = Part($0.baseAddress!, count: count, hole: -1, stage: Stage<Float>(room))
          return part.leaveOutFirstMaximum()
        }
        // Of all others: the last one is as large.
        #expect(found == (2, position, count == 1 ? -.infinity : position == count - 1 ? -3 : 2))
      }
    }
    let masked = [Float](repeating: -.infinity, count: 9).withUnsafeBufferPointer {
      var part = Part($0.baseAddress!, count: 9, hole: -1, stage: Stage<Float>(room))
      return part.leaveOutFirstMaximum()
    }
    #expect(masked == (-.infinity, -1, -.infinity))
  }
}
