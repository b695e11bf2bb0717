// The state of a row and its merge: parts that are subtrees give the bits of the whole.

import CXentSystem
import Foundation
import Testing

@testable import XentKernels

@Suite struct RowStateTests {
  let stripRoom = UnsafeMutableRawPointer.allocate(byteCount: Int(XENTK_SCRATCH), alignment: 16)
  let statesRoom = UnsafeMutableRawPointer.allocate(byteCount: Int(XENTK_SCRATCH), alignment: 16)

  func state<E: Element>(_ x: ArraySlice<E>, keeping kept: Kept) -> RowState {
    let lent = xentk_scratch(strip: stripRoom, states: statesRoom)
    return withUnsafePointer(to: lent) { lent in
      x.withUnsafeBufferPointer { RowState($0.baseAddress!, $0.count, keeping: kept, Scratch<E>(lent)) }
    }
  }

  func bits(_ state: RowState) -> [UInt64] {
    [state.rest.hi, state.rest.lo, state.rest.exponent, state.rest.anchor, state.kept].map(\.bitPattern)
  }

  @Test func theScratchHoldsTheTree() {
    #expect(Scratch<Float>.depth * MemoryLayout<RowState>.stride <= Int(XENTK_SCRATCH))
    #expect(XentKernels.strip * MemoryLayout<Double>.stride <= Int(XENTK_SCRATCH))
  }

  /// Chunks of a row, and where to cut it so that both sides are subtrees.
  @Test(arguments: [(2, 1), (3, 2), (4, 2), (5, 4), (8, 4), (7, 4), (12, 8)], [1.0, 300, 60000])
  func splitsOnSubtreesGiveTheSameBits(split: (chunks: Int, left: Int), spread: Double) {
    var numbers = Numbers(state: UInt64(split.chunks))
    let count = split.chunks * chunk - 37
    let x = (0..<count).map { _ in Float(numbers.uniform(-spread, spread)) }
    let middle = split.left * chunk
    let targets = [0, middle - 1, middle, count - 1]
    for kept in [Kept.none, .largest] + targets.map({ .element($0) }) {
      let whole = state(x[...], keeping: kept)
      var shifted = kept
      if case .element(let target) = kept { shifted = .element(target - middle) }
      var right = state(x[middle...], keeping: shifted)
      if right.index >= 0 { right.index += middle }
      let merged = state(x[..<middle], keeping: kept) + right
      #expect(bits(merged) == bits(whole) && merged.index == whole.index)
    }
  }

  @Test func theFirstOfEqualMaximaIsKept() {
    var x = [Double](repeating: 1, count: 3 * chunk)
    x[chunk + 5] = 2
    x[2 * chunk + 1] = 2
    let found = state(x[...], keeping: .largest)
    #expect(found.index == chunk + 5 && found.kept == 2)
    // The other maximum is in the sum: e² + (3·2048 − 2)·e.
    #expect(abs(found.rest.log - log(exp(2.0) + Double(3 * chunk - 2) * exp(1.0))) < 1e-14)
    #expect(abs(found.total.log - log(2 * exp(2.0) + Double(3 * chunk - 2) * exp(1.0))) < 1e-14)
  }

  @Test func rowsOfMasksAndNaN() {
    let masked = state([Float](repeating: -.infinity, count: chunk + 1)[...], keeping: .largest)
    #expect(masked.index == -1 && masked.kept == -.infinity && masked.rest.hi == 0)
    var x = [Float](repeating: 0, count: 2 * chunk)
    x[chunk] = .nan
    #expect(state(x[...], keeping: .largest).rest.hi.isNaN)
    #expect(state(x[...], keeping: .element(chunk)).rest.hi.isFinite)
    x[chunk] = .infinity
    let infinite = state(x[...], keeping: .largest)
    #expect(infinite.kept == .infinity && infinite.index == chunk)
  }
}
