// What a row of logits has one of: its loss, and what else there is to say about it.

import CXent
import CXentSystem

extension RowsKernel {
  /// A group of `count` rows; losses of ordinary size are added to `losses`, that of the first row in `lane`: rows come in
  /// eights or one by one, and each has its lane.
  @inline(__always) func finish(
    _ first: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>, _ losses: inout LaneSum, lane: Int,
    _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    if problem.pointee.wants_loss != 0 { recordLosses(first, count, results, &losses, lane: lane, loss) }
    guard hasDescription else { return }
    if isOnlyLSE, let lse = results.pointee.largest.logSumExps(&results.pointee.largestOutcome) {
      return rows.store(lse, in: problem.pointee.lse, first, count)
    }
    var lane = 0
    while lane < count {
      describe(rows.position(first &+ lane), lane, results, loss)
      lane &+= 1
    }
  }

  @inline(__always) private func recordLosses(
    _ first: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>, _ losses: inout LaneSum, lane: Int,
    _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    guard isPlainLoss else {
      var lane = 0
      while lane < count {
        recordLoss(rows.position(first &+ lane), lane, results, loss)
        lane &+= 1
      }
      return
    }
    // What does not count is 0; what is not of ordinary size, or NaN, goes its own way.
    let own = results.pointee.targetOutcome.loss
    let zero = Doubles()
    let isCounted = isPositive(results.pointee.counts)
    var hi = chosen(isCounted, own.hi, else: zero)
    var lo = chosen(isCounted, own.lo, else: zero)
    let isWhole = whole(results.pointee.targetOutcome.exponent .== 0)
    var isFine = whole(hi - hi .== 0) .& isWhole
    if rows.isWide || problem.pointee.weight.isGiven {
      var isNothing = hi .== 0
      if problem.pointee.weight.isGiven {
        let weight = weights(count, results)
        let product = weight * hi
        lo = fma(weight, hi, -product) + weight * lo
        hi = product
        isNothing = (isNothing .| (weight .== 0)) .& (product .== 0)
      }
      let size = magnitude(hi)
      isFine = isNothing .| ((size .>= 0x1p-900) .& (size .< 0x1p900) .& isWhole)
      hi = chosen(isNothing, zero, else: hi)
      lo = chosen(isNothing, zero, else: lo)
    }
    isFine = whole(isFine)
    hi = chosen(isFine, hi, else: zero)
    lo = chosen(isFine, lo, else: zero)
    losses.add(Self.moved(hi, to: lane, count), Self.moved(lo, to: lane, count))
    rows.store(hi + lo, in: problem.pointee.row_loss, first, count)
    if isAny(.!isFine) {
      var lane = 0
      while lane < count {
        if !isFine[lane] { recordLoss(rows.position(first &+ lane), lane, results, loss) }
        lane &+= 1
      }
    }
  }

  /// Of the targets that count.
  @inline(__always) private func weights(_ count: Int, _ results: UnsafeMutablePointer<Results>) -> Doubles {
    var weights = Doubles()
    var lane = 0
    while lane < count {
      if results.pointee.counts[lane] > 0 { weights[lane] = rows.weight(Int(results.pointee.targets[lane])) }
      lane &+= 1
    }
    return weights
  }

  /// The first `count` of eight, or one alone moved to another lane; the others are 0.
  @inline(__always) private static func moved(_ v: Doubles, to lane: Int, _ count: Int) -> Doubles {
    if count == step { return v }
    return xentk_alone(count == 1 ? Doubles(repeating: v[0]) : v, Int64(lane), Int64(count))
  }

  @inline(never) func recordLoss(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>, _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    guard results.pointee.counts[lane] > 0 else { return rows.record(row, (0, 0), in: loss) }
    let target = Int(results.pointee.targets[lane])
    let z = problem.pointee.z_loss
    let smoothing = problem.pointee.label_smoothing
    if target >= 0 && smoothing == 0 && z == 0 && !isFocal {
      let value = (results.pointee.targetOutcome.loss.hi[lane], results.pointee.targetOutcome.loss.lo[lane])
      let exponent = results.pointee.targetOutcome.exponent[lane]
      return rows.record(row, value, weight: rows.weight(target), exponent: exponent, in: loss)
    }
    var sum = (hi: 0.0, lo: 0.0)
    if target >= 0 {
      let own: (hi: Double, lo: Double)
      if isFocal {
        own = (results.pointee.focal.value.hi[lane], results.pointee.focal.value.lo[lane])
      } else {
        own = results.pointee.targetOutcome.wholeLoss(lane)
      }
      if smoothing != 1 { sum = times(own.hi, own.lo, (1 - smoothing) * rows.weight(target)) }
    }
    if wanted.distance {
      let s = sums[lane]
      let common = results.pointee.largestOutcome.wholeLoss(lane)
      // A factor of 0 makes 0 of an infinite loss: a row without labels.
      let shared = s.weight == 0 ? (0, 0) : product(common.hi, common.lo, s.weight, s.weightLow)
      sum = Sums.sum(sum.hi, sum.lo, shared.0, shared.1)
      sum = Sums.sum(sum.hi, sum.lo, s.distance, s.distanceLow)
      if s.weight == 0 && common.hi.isNaN { sum = (.nan, 0) }
    }
    if z != 0 {
      let part = zLoss(lane, results)
      sum = Sums.sum(sum.hi, sum.lo, part.hi, part.lo)
    }
    rows.record(row, sum, in: loss)
  }

  @inline(__always) func lse(_ lane: Int, _ results: UnsafeMutablePointer<Results>) -> (hi: Double, lo: Double) {
    results.pointee.largest.logSumExp(lane, results.pointee.largestOutcome)
  }

  /// z_loss·lse².
  @inline(never) func zLoss(
    _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (hi: Double, lo: Double) {
    let lse = lse(lane, results)
    let square = product(lse.hi, lse.lo, lse.hi, lse.lo)
    return times(square.hi, square.lo, problem.pointee.z_loss)
  }

  @inline(never) func describe(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>, _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    let p = problem
    let counts = results.pointee.counts[lane] > 0
    let target = Int(results.pointee.targets[lane])
    if p.pointee.target_log_prob.isGiven {
      p.pointee.target_log_prob.store(counts ? results.pointee.targetOutcome.logProb(lane) : 0, row)
    }
    guard wanted.largest, counts || isForAll else {
      p.pointee.row_z_loss.store(0.0, row)
      p.pointee.target_rank.store(index: -1, row)
      return
    }
    let isSkipped = results.pointee.counts[lane] < 0
    let lse = lse(lane, results)
    p.pointee.lse.store(lse.hi + lse.lo, row)
    if p.pointee.row_z_loss.isGiven {
      let z = counts ? zLoss(lane, results) : (0, 0)
      p.pointee.row_z_loss.store(z.0 + z.1, row)
    }
    if p.pointee.entropy.isGiven {
      let s = sums[lane]
      let common = results.pointee.largestOutcome.wholeLoss(lane)
      let spread = divide(s.moment, s.momentLow, by: s.mass, s.massLow)
      let sum = Sums.sum(common.hi, common.lo, spread.hi, spread.lo)
      p.pointee.entropy.store(isSkipped ? 0 : sum.hi + sum.lo, row)
    }
    if wanted.rank { p.pointee.target_rank.store(index: counts ? sums[lane].rank : -1, row) }
    if p.pointee.argmax.isGiven || p.pointee.max_logit.isGiven || p.pointee.wants_correct != 0 {
      let (index, value) = first(row, lane, results)
      p.pointee.argmax.store(index: index, row)
      p.pointee.max_logit.store(value, row)
      if counts && index == target { loss.pointee.correct &+= 1 }
    }
    if p.pointee.gathered.isGiven {
      let source = rows.source(p.pointee.input, row)
      var k = 0
      while k < Int(p.pointee.gathered.classes) {
        let c = p.pointee.gather.integer(row, k)
        p.pointee.gathered.store(logProb(source.element(c), at: c, lane, results), row, k)
        k &+= 1
      }
    }
    if hasTop {
      let top = top
      var k = 0
      while k < top.limit {
        let entry = top.entries[k]
        p.pointee.top_indices.store(index: entry.index, row, k)
        p.pointee.top_log_probs.store(logProb(entry.value, at: entry.index, lane, results), row, k)
        k &+= 1
      }
    }
  }

  /// The first of the largest logits, or the first NaN.
  @inline(__always) func first(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (index: Int, value: Double) {
    let batch = results.pointee.largest
    let state = batch.state(lane)
    if rows.classes == 0 { return (-1, -.infinity) }
    if state.rest.hi.isNaN {
      let source = rows.source(problem.pointee.input, row)
      var c = 0
      while c < rows.classes &- 1 && !source.element(c).isNaN { c &+= 1 }
      return (c, .nan)
    }
    return state.index < 0 ? (0, -.infinity) : (state.index, state.kept)
  }

  /// (x − largest) − loss of the largest, rounded as log_probs is; −inf, as its p is 0, in a row that is skipped.
  @inline(never) func logProb(
    _ x: Double, at c: Int, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> Double {
    if results.pointee.counts[lane] < 0 { return -.infinity }
    let state = results.pointee.largest.state(lane)
    let common = results.pointee.largestOutcome.wholeLoss(lane)
    if c == state.index { return results.pointee.largestOutcome.logProb(lane) }
    if !rows.isWide { return (x - state.kept) - common.hi }
    let loss = Pair(Doubles(repeating: common.hi), Doubles(repeating: common.lo))
    return Double.difference(Doubles(repeating: x), Subtrahends(Halves(repeating: state.kept), Both(loss, loss)), nil)[0]
  }
}
