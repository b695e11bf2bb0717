// The factors a of −log p in a row's loss, l = Σ a[c]·(−log p[c]): what labels, weights and smoothing come to.

import CXent
import CXentSystem

struct Coefficients {
  let rows: Rows
  let row: Position
  /// The target where it is an index, −1 elsewhere.
  let target: Int
  /// (1 − label_smoothing)·weight of an index target.
  var targetFactor: Double
  /// What every class gets, before or without its weight.
  let share: Double
  let isWeighted: Bool

  @inline(__always) init(_ rows: Rows, _ row: Position, target: Int) {
    let problem = rows.problem
    self.rows = rows
    self.row = row
    self.target = target
    let kept = 1 - problem.pointee.label_smoothing
    let weight = target >= 0 ? rows.weight(target) : 1
    targetFactor = kept == 1 ? weight : kept * weight
    let isUniform = problem.pointee.is_uniform != 0
    let equal =
      problem.pointee.label_smoothing == 0 ? 0 : problem.pointee.label_smoothing / problem.pointee.live_classes
    share = isUniform ? equal * weight : equal
    isWeighted = problem.pointee.weight.isGiven && !isUniform
  }

  /// The factors of up to a strip of classes, filled up to whole steps with 0. Those that are masked out have 0.
  @inline(never) func strip(_ first: Int, _ count: Int, withTarget: Bool) -> UnsafePointer<Double> {
    let a = xentk_strip(rows.workspace, 2)
    let size = Double.wholeSteps(count)
    let problem = rows.problem
    let kind = Int(problem.pointee.target_kind)
    var i = 0
    while i < size {
      a[i] = 0
      i &+= 1
    }
    let kept = 1 - problem.pointee.label_smoothing
    if kind == XENTK_PROBABILITIES {
      let targets = problem.pointee.targets
      Double.gather(
        UnsafeRawPointer(targets.address(row, first)), Int(targets.dtype), stride: Int(targets.class_stride), count, into: a)
      if share != 0 {
        i = 0
        while i < count {
          a[i] = share.addingProduct(kept, a[i])
          i &+= 1
        }
      }
    } else {
      i = 0
      while i < count {
        a[i] = share
        i &+= 1
      }
      if kind == XENTK_SPARSE { addEntries(a, first, count, kept) }
    }
    if isWeighted {
      let weight = problem.pointee.weight
      let w = xentk_strip(rows.workspace, 3)
      let start = UnsafeRawPointer(weight.address(Position(outer: 0, inner: 0), first))
      Double.gather(start, Int(weight.dtype), stride: Int(weight.class_stride), count, into: w)
      i = 0
      while i < count {
        a[i] *= w[i]
        i &+= 1
      }
    }
    if withTarget && target >= first && target < first &+ count { a[target &- first] += targetFactor }
    i = 0
    while problem.pointee.class_mask.isGiven && i < count {
      if rows.isMasked(first &+ i) { a[i] = 0 }
      i &+= 1
    }
    return UnsafePointer(a)
  }

  @inline(never) private func addEntries(
    _ a: UnsafeMutablePointer<Double>, _ first: Int, _ count: Int, _ kept: Double
  ) {
    let targets = rows.problem.pointee.targets
    let probs = rows.problem.pointee.target_probs
    var k = 0
    while k < Int(targets.classes) {
      let c = targets.integer(row, k)
      if c != Int(rows.problem.pointee.ignore_index) && c >= first && c < first &+ count {
        a[c &- first] = a[c &- first].addingProduct(kept, probs.number(row, k))
      }
      k &+= 1
    }
  }
}
