// The 16-bit dtypes: every one of their values in, and on the way back every rounding that can be told from another.

import CXent
import Testing

@testable import XentKernels

@Suite struct StorageTests {
  func lanes<T>(_ value: T) -> SIMD16<T> { SIMD16(repeating: value) }

  @Test func everyBrainFloatIsItsUpperHalf() {
    for bits in UInt16.min...UInt16.max {
      let value = fromBrain(lanes(bits))[0]
      #expect(value.bitPattern == UInt32(bits) << 16)
      let back = toBrain(lanes(value))[0]
      #expect(value.isNaN ? back & 0x7FFF > 0x7F80 : back == bits)
    }
  }

  @Test func brainFloatsAreRoundedToEven() {
    for bits: UInt16 in [0, 1, 0x007F, 0x0080, 0x3F7F, 0x3F80, 0x7F7F, 0x8001, 0xBF80, 0xFF7F] {
      let low = UInt32(bits) << 16
      for (part, up) in [(0x7FFF, false), (0x8000, bits & 1 == 1), (0x8001, true), (0, false)] {
        let value = Float(bitPattern: low | UInt32(part))
        #expect(toBrain(lanes(value))[0] == bits + (up ? 1 : 0))  // from the largest number on it is infinity
      }
    }
  }

  #if !os(macOS) || arch(arm64)
    @Test func everyHalfIsItself() {
      for bits in UInt16.min...UInt16.max {
        let half = Float16(bitPattern: bits)
        let value = fromHalf(lanes(bits))[0]
        #expect(half.isNaN ? value.isNaN : value.bitPattern == Float(half).bitPattern)
        let back = toHalf(lanes(value))[0]
        #expect(half.isNaN ? back & 0x7FFF > 0x7C00 : back == bits)
      }
    }

    /// Between any two neighbours: a little below the middle, the middle, a little above.
    @Test func halvesAreRoundedToEven() {
      for bits in UInt16(0)..<0x7C00 {
        let low = Float(Float16(bitPattern: bits))
        let high = bits == 0x7BFF ? 65536 : Float(Float16(bitPattern: bits + 1))
        let middle = low + (high - low) / 2
        for value in [middle.nextDown, middle, middle.nextUp, low, -middle, -middle.nextUp] {
          #expect(toHalf(lanes(value))[0] == Float16(value).bitPattern)
        }
      }
    }
  #endif

  /// Strides of either sign, and counts that are no whole steps.
  @Test func gatherAndScatterAreInverse() {
    for dtype in [XENT_F32, XENT_F64, XENT_F16, XENT_BF16] {
      let size = bytes(of: dtype)
      let room = UnsafeMutableRawPointer.allocate(byteCount: 200 * size, alignment: 8)
      defer { room.deallocate() }
      for stride in [1, 3, -1, -2] {
        for count in [0, 1, 7, 15, 16, 17, 31, 64] {
          let start = room + (stride < 0 ? -(count - 1) * stride * size : 0)
          let given = (0..<64).map { Double($0) - 20 }
          Double.scatter(given, count, to: start, dtype, stride: stride)
          var back = [Double](repeating: .nan, count: 64)
          Double.gather(start, dtype, stride: stride, count, into: &back)
          #expect(Array(back[..<count]) == Array(given[..<count]))
          #expect(back[count...].filter { !$0.isNaN }.isEmpty)
          var narrow = [Float](repeating: 0, count: 64)
          Float.gather(start, dtype, stride: stride, count, into: &narrow)
          #expect(narrow[..<count].map(Double.init) == Array(given[..<count]))
        }
      }
    }
  }

  @Test func theLargestInOrder() {
    let room = UnsafeMutablePointer<Top.Entry>.allocate(capacity: 4)
    defer { room.deallocate() }
    let top = Top(entries: room, limit: 4)
    let x: [Double] = [1, 5, .nan, 5, -.infinity, 7, 1]
    top.add(x, 0, 3)
    top.add([5, -.infinity, 7, 1], 3, 4)
    #expect((0..<4).map { top.entries[$0].index } == [2, 5, 1, 3])
    top.add([-.infinity, -.infinity, 2, .nan], 0, 4)
    #expect((0..<4).map { top.entries[$0].index } == [3, 2, 0, 1])
  }
}
