// The state of a row and its merge: parts that are subtrees give the bits of the whole.

import CXent
import CXentSystem
import Foundation
import Testing

@testable import XentKernels

@Suite struct RowStateTests {
  let workspace = UnsafeMutablePointer<xentk_workspace>.allocate(capacity: 1)

  /// What a kernel reads of a contiguous row.
  func states<E: Element>(_ x: ArraySlice<E>, _ wanted: Wanted, target: Int = -1) -> States {
    var problem = xentk_problem()
    problem.classes = Int64(x.count)
    (problem.rows, problem.inner, problem.temperature) = (1, 1, 1)
    problem.is_wide = MemoryLayout<E>.size == 8 ? 1 : 0
    return x.withUnsafeBufferPointer { x in
      problem.input.data = UnsafeMutableRawPointer(mutating: x.baseAddress)
      problem.input.dtype = Int32(MemoryLayout<E>.size == 8 ? XENT_F64 : XENT_F32)
      (problem.input.size, problem.input.class_stride) = (Int32(MemoryLayout<E>.size), 1)
      return withUnsafePointer(to: &problem) { problem in
        let rows = Rows(problem, workspace)
        let row = rows.position(0)
        let reading = Reading(
          source: rows.source(problem.pointee.input, row), row: row, wanted: wanted, target: target,
          targetLogit: x.indices.contains(target) ? x[target].widened : 0, top: nil)
        return reading.states().pointee
      }
    }
  }

  func state<E: Element>(_ x: ArraySlice<E>, keeping kept: Kept) -> RowState {
    var wanted = Wanted()
    switch kept {
    case .none:
      wanted.total = true
      return states(x, wanted).total
    case .element(let target):
      wanted.target = true
      return states(x, wanted, target: target).target
    case .largest:
      wanted.largest = true
      return states(x, wanted).largest
    }
  }

  func bits(_ state: RowState) -> [UInt64] {
    [state.rest.hi, state.rest.lo, state.rest.exponent, state.rest.anchor, state.kept].map(\.bitPattern)
  }

  @Test func theWorkspaceHoldsTheTree() {
    let tree = Reading.treeSize * MemoryLayout<States>.stride
    let rows = 8 * MemoryLayout<Sums>.stride + Int(XENT_MAX_TOP) * MemoryLayout<Top.Entry>.stride
    #expect(tree + rows <= Int(XENTK_STATES))
    #expect(MemoryLayout<Results>.size <= Int(XENTK_RESULTS))
    #expect(XentKernels.strip == Int(XENTK_STRIP) && XentKernels.chunk == Int(XENTK_CHUNK))
  }

  /// log-sum-exp and entropy of the whole from the sums, however it is cut.
  @Test(arguments: [1.0, 30, 700])
  func sumsMergeToThoseOfTheWhole(spread: Double) {
    var numbers = Numbers(state: 5)
    var x = (0..<3 * chunk).map { _ in numbers.uniform(-spread, spread) }
    x[chunk + 3] = -.infinity
    var wanted = Wanted()
    (wanted.largest, wanted.entropy, wanted.rank) = (true, true, true)
    let target = 2 * chunk + 7
    let sums = states(x[...], wanted, target: target).sums
    let largest = x.max()!
    let mass = x.reduce(0) { $0 + exp($1 - largest) }
    let moment = x.reduce(0) { $1 == -.infinity ? $0 : $0 + (largest - $1) * exp($1 - largest) }
    #expect(sums.largest == largest)
    #expect(abs(sums.mass - mass) <= 1e-13 * mass && abs(sums.moment - moment) <= 1e-13 * moment)
    #expect(sums.rank == x.filter { $0 > x[target] }.count)
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
      var merged = state(x[..<middle], keeping: kept)
      withUnsafePointer(to: right) { RowState.merge(&merged, $0) }
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
