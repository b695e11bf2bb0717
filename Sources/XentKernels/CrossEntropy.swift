// Rows of logits: softmax, log-softmax, log-sum-exp, cross-entropy and its gradient, and every other output, any of them
// from one pass for the sums and one for what has the logits' shape.

import CXent
import CXentSystem

/// What a batch of rows has come to: eight rows, a lane each.
private struct Results {
  var total = Batch(), target = Batch(), largest = Batch()
  var targetOutcome = Outcome.nothing, largestOutcome = Outcome.nothing
  var focal = (value: Pair(Doubles(), Doubles()), slope: Pair(Doubles(), Doubles()))
  /// The target where it is an index, −1 elsewhere.
  var targets = SIMD8<Int64>(repeating: -1)
  /// 1 where the row counts.
  var counts = SIMD8<Int64>()
  /// Whether the rows are in the tile.
  var isTiled = false
}

/// One kernel call.
private struct RowsKernel {
  let rows: Rows
  let problem: UnsafePointer<xentk_problem>
  let wanted: Wanted
  /// Whether there are outputs that rows have which do not count.
  let isForAll: Bool
  let isFocal: Bool
  /// Whether the gradient is a softmax with one element corrected.
  let isPlainGrad: Bool
  /// Whether one state of a row is all that is wanted of it.
  let isQuick: Bool
  /// Whether rows are few classes, to be worked on eight at a time.
  let isShort: Bool

  @inline(never) init(_ rows: Rows) {
    self.rows = rows
    problem = rows.problem
    let p = rows.problem
    let kind = Int(p.pointee.target_kind)
    let isIndex = kind == XENTK_INDEX
    let isSoft = kind == XENTK_SPARSE || kind == XENTK_PROBABILITIES
    let hasGrad = p.pointee.grad.isGiven
    let needsLoss = p.pointee.wants_loss != 0 || hasGrad
    isFocal = p.pointee.focal_gamma != 0 || p.pointee.poly_epsilon != 0
    let isSmoothed = p.pointee.label_smoothing != 0
    let hasZ = p.pointee.z_loss != 0
    isPlainGrad =
      (isIndex && !isSmoothed || kind == XENTK_NO_TARGET) && !hasZ && p.pointee.softcap == 0
      && !p.pointee.class_mask.isGiven
    let ofAll =
      p.pointee.lse.isGiven || p.pointee.entropy.isGiven || p.pointee.max_logit.isGiven || p.pointee.argmax.isGiven
      || p.pointee.log_probs.isGiven || p.pointee.top_indices.isGiven || p.pointee.top_log_probs.isGiven
      || p.pointee.gathered.isGiven
    var wanted = Wanted()
    wanted.total = p.pointee.probs.isGiven || (kind == XENTK_NO_TARGET && hasGrad && isPlainGrad)
    wanted.target = isIndex && (needsLoss || p.pointee.target_log_prob.isGiven)
    wanted.distance = needsLoss && (isSoft || isSmoothed)
    wanted.entropy = p.pointee.entropy.isGiven
    wanted.rank = isIndex && p.pointee.target_rank.isGiven
    wanted.largest =
      ofAll || wanted.sums || p.pointee.row_z_loss.isGiven || p.pointee.wants_correct != 0
      || ((needsLoss || kind == XENTK_NO_TARGET && hasGrad) && hasZ)
      || (hasGrad && kind == XENTK_NO_TARGET && !isPlainGrad)
    self.wanted = wanted
    isForAll = ofAll || p.pointee.probs.isGiven
    let hasTop = p.pointee.top_indices.isGiven || p.pointee.top_log_probs.isGiven
    isQuick = wanted.isOne && rows.classes > 0 && !hasTop
    isShort = !wanted.sums && !hasTop && rows.classes > 0 && rows.classes <= Self.shortest
  }

  @inline(__always) func run(_ first: Int, _ last: Int, _ loss: UnsafeMutablePointer<xentk_loss>) {
    let hasMatrix = problem.pointee.grad.isGiven || problem.pointee.probs.isGiven || problem.pointee.log_probs.isGiven
    let size = hasTop ? 1 : hasMatrix ? batchSize(rows.isWide, classes: rows.classes) : Doubles.scalarCount
    forEachBatch(first, last, size: size) { start, count in
      var results = Results()
      withUnsafeMutablePointer(to: &results) { results in
        read(start, count, results)
        conclude(results)
        var lane = 0
        while lane < count {
          let row = rows.position(start &+ lane)
          finish(row, lane, results, loss)
          if hasMatrix && !results.pointee.isTiled { write(row, lane, results) }
          lane &+= 1
        }
        if Self.hasTiles && hasMatrix && results.pointee.isTiled { writeTiled(start, count, results) }
      }
    }
  }

  /// Up to so many classes rows are worked on eight at a time.
  @inline(__always) private static var shortest: Int { 256 }

  /// At the baseline it is not worth the code.
  @inline(__always) private static var hasTiles: Bool {
    #if XENT_FMA
      true
    #else
      false
    #endif
  }

  /// The states of the rows. Rows that nobody asks for are not read.
  @inline(never) private func read(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    var needed = SIMD8<Int64>()
    var lane = 0
    while lane < count {
      let (counts, target) = rows.target(rows.position(start &+ lane))
      results.pointee.targets[lane] = Int64(target)
      results.pointee.counts[lane] = counts ? 1 : 0
      needed[lane] = counts || isForAll ? 1 : 0
      lane &+= 1
    }
    if Self.hasTiles && isShort {
      let isDone =
        rows.isWide
        ? readTile(Tile<Double>(rows), start, needed, results) : readTile(Tile<Float>(rows), start, needed, results)
      if isDone { return }
    }
    lane = 0
    while lane < count {
      if needed[lane] != 0 { readRow(rows.position(start &+ lane), lane, results) }
      lane &+= 1
    }
  }

  /// `read` of a tile; false where there is a row that has to be looked at on its own.
  @inline(__always) private func readTile<E: Element>(
    _ tile: Tile<E>, _ start: Int, _ needed: SIMD8<Int64>, _ results: UnsafeMutablePointer<Results>
  ) -> Bool {
    tile.read(rows, problem.pointee.input, start, needed: needed)
    if wanted.total {
      guard let batch = tile.states(keeping: SIMD8(repeating: -1)) else { return false }
      results.pointee.total = batch
    }
    if wanted.target {
      guard let batch = tile.states(keeping: results.pointee.targets) else { return false }
      results.pointee.target = batch
    }
    if wanted.largest {
      guard let batch = tile.statesOfLargest() else { return false }
      results.pointee.largest = batch
    }
    results.pointee.isTiled = true
    return true
  }

  @inline(never) private func readRow(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let target = Int(results.pointee.targets[lane])
    let source = rows.source(problem.pointee.input, row)
    let reading = Reading(
      source: source, row: row, wanted: wanted, target: target,
      targetLogit: wanted.rank && target >= 0 ? source.element(target) : 0, top: hasTop ? top : nil)
    let isEmpty: Bool
    if isQuick {
      let state = reading.onlyState()
      set(lane, state, results)
      isEmpty = state.isEmpty
    } else {
      let states = reading.states()
      if wanted.total { results.pointee.total.set(lane, states.total) }
      if wanted.target { results.pointee.target.set(lane, states.target) }
      if wanted.largest { results.pointee.largest.set(lane, states.largest) }
      if wanted.sums { sums[lane] = states.sums }
      isEmpty = (wanted.largest ? states.largest : wanted.target ? states.target : states.total).isEmpty
    }
    if problem.pointee.skips_masked != 0 && isEmpty { results.pointee.counts[lane] = -1 }
  }

  @inline(__always) private func set(
    _ lane: Int, _ state: RowState, _ results: UnsafeMutablePointer<Results>
  ) {
    if wanted.total {
      results.pointee.total.set(lane, state)
    } else if wanted.target {
      results.pointee.target.set(lane, state)
    } else {
      results.pointee.largest.set(lane, state)
    }
  }

  /// The rows' sums, behind the tree of states.
  @inline(__always) private var sums: UnsafeMutablePointer<Sums> {
    (xentk_states(rows.workspace) + Reading.depth &* MemoryLayout<States>.stride).assumingMemoryBound(to: Sums.self)
  }

  /// The largest logits of the one row in a batch, behind those.
  @inline(__always) private var top: Top {
    let room = UnsafeMutableRawPointer(sums + Doubles.scalarCount)
    let wanted = problem.pointee.top_indices.isGiven ? problem.pointee.top_indices : problem.pointee.top_log_probs
    return Top(entries: room.assumingMemoryBound(to: Top.Entry.self), limit: Int(wanted.classes))
  }

  @inline(__always) private var hasTop: Bool {
    problem.pointee.top_indices.isGiven || problem.pointee.top_log_probs.isGiven
  }

  @inline(never) private func conclude(_ results: UnsafeMutablePointer<Results>) {
    if wanted.target { results.pointee.targetOutcome = results.pointee.target.outcome() }
    if wanted.largest { results.pointee.largestOutcome = results.pointee.largest.outcome() }
    if isFocal && wanted.target {
      results.pointee.focal = results.pointee.targetOutcome.focal(
        gamma: problem.pointee.focal_gamma, epsilon: problem.pointee.poly_epsilon)
    }
  }

  // ---- What a row has one of --------------------------------------------------------------------------------------

  @inline(__always) private func finish(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>, _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    if problem.pointee.wants_loss != 0 { recordLoss(row, lane, results, loss) }
    if wanted.largest || problem.pointee.target_log_prob.isGiven { describe(row, lane, results, loss) }
  }

  @inline(never) private func recordLoss(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>, _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    guard results.pointee.counts[lane] > 0 else { return rows.record(row, (0, 0), in: loss) }
    let target = Int(results.pointee.targets[lane])
    let z = problem.pointee.z_loss
    let smoothing = problem.pointee.label_smoothing
    if target >= 0 && smoothing == 0 && z == 0 && !isFocal {
      let outcome = results.pointee.targetOutcome
      let value = (outcome.loss.hi[lane], outcome.loss.lo[lane])
      return rows.record(row, value, weight: rows.weight(target), exponent: outcome.exponent[lane], in: loss)
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

  @inline(__always) private func lse(_ lane: Int, _ results: UnsafeMutablePointer<Results>) -> (hi: Double, lo: Double)
  {
    results.pointee.largest.logSumExp(lane, results.pointee.largestOutcome)
  }

  /// z_loss·lse².
  @inline(never) private func zLoss(
    _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (hi: Double, lo: Double) {
    let lse = lse(lane, results)
    let square = product(lse.hi, lse.lo, lse.hi, lse.lo)
    return times(square.hi, square.lo, problem.pointee.z_loss)
  }

  @inline(never) private func describe(
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
  @inline(__always) private func first(
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

  /// (x − largest) − loss of the largest, rounded as log_probs is.
  @inline(never) private func logProb(
    _ x: Double, at c: Int, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> Double {
    let state = results.pointee.largest.state(lane)
    let common = results.pointee.largestOutcome.wholeLoss(lane)
    if c == state.index { return results.pointee.largestOutcome.logProb(lane) }
    if !rows.isWide { return (x - state.kept) - common.hi }
    return Double.difference(
      Doubles(repeating: x), Doubles(repeating: state.kept),
      Pair(Doubles(repeating: common.hi), Doubles(repeating: common.lo)))[0]
  }

  // ---- What has the shape of the logits -----------------------------------------------------------------------------

  /// `write` of a tile: of the only such output as it is, otherwise row by row.
  @inline(never) private func writeTiled(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    let isOne =
      (problem.pointee.grad.isGiven ? 1 : 0) + (problem.pointee.probs.isGiven ? 1 : 0)
      + (problem.pointee.log_probs.isGiven ? 1 : 0) == 1
    if isOne {
      let isDone =
        rows.isWide
        ? writeTile(Tile<Double>(rows), start, count, results) : writeTile(Tile<Float>(rows), start, count, results)
      if isDone { return }
    }
    var lane = 0
    while lane < count {
      write(rows.position(start &+ lane), lane, results)
      lane &+= 1
    }
  }

  @inline(__always) private func writeTile<E: Element>(
    _ tile: Tile<E>, _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>
  ) -> Bool {
    if problem.pointee.log_probs.isGiven {
      let outcome = results.pointee.largestOutcome
      let isTiny = outcome.exponent .!= 0
      let loss = Pair(
        outcome.loss.hi.replacing(with: 0, where: isTiny), outcome.loss.lo.replacing(with: 0, where: isTiny))
      tile.makeLogSoftmax(results.pointee.largest.kept, loss)
      var lane = 0
      while lane < count {
        let index = Int(results.pointee.largest.index[lane])
        tile.x[index &* step &+ lane] = E(rounding: outcome.logProb(lane))
        lane &+= 1
      }
      tile.write(rows, problem.pointee.log_probs, start, count)
      return true
    }
    if problem.pointee.probs.isGiven {
      guard tile.makeSoftmax(results.pointee.total.totals, Pair(Doubles(repeating: 1), Doubles())) else { return false }
      tile.write(rows, problem.pointee.probs, start, count)
      return true
    }
    guard isPlainGrad else { return false }
    var factor = Pair(Doubles(), Doubles())
    var lane = 0
    while lane < count {
      if results.pointee.counts[lane] > 0 {
        let c = plainFactor(rows.position(start &+ lane), lane, results)
        factor.hi[lane] = c.hi
        factor.lo[lane] = c.lo
      }
      lane &+= 1
    }
    let batch = wanted.target ? results.pointee.target : results.pointee.total
    guard tile.makeSoftmax(batch.totals, factor) else { return false }
    lane = 0
    while lane < count {
      let target = Int(results.pointee.targets[lane])
      if target >= 0 {
        let others = results.pointee.targetOutcome.others(lane, times: (factor.hi[lane], factor.lo[lane]))
        tile.x[target &* step &+ lane] = E(rounding: -others)
      }
      lane &+= 1
    }
    tile.write(rows, problem.pointee.grad, start, count)
    return true
  }

  /// The one that may be in place comes last.
  @inline(never) private func write(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let input = problem.pointee.input.data
    var turn = 0
    while turn < 2 {
      let isInPlace = turn == 1
      if problem.pointee.probs.isGiven && (problem.pointee.probs.data == input) == isInPlace {
        writeProbs(row, lane, results)
      }
      if problem.pointee.log_probs.isGiven && (problem.pointee.log_probs.data == input) == isInPlace {
        writeLogProbs(row, lane, results)
      }
      if problem.pointee.grad.isGiven && (problem.pointee.grad.data == input) == isInPlace {
        writeGrad(row, lane, results)
      }
      turn &+= 1
    }
  }

  @inline(never) private func writeProbs(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let sink = rows.sink(problem.pointee.probs, row)
    if results.pointee.counts[lane] < 0 { return sink.fill(rows.classes, with: 0) }
    let total = results.pointee.total.state(lane).rest
    rows.source(problem.pointee.input, row).writeSoftmax(total: total, factor: (1, 0), to: sink)
  }

  @inline(never) private func writeLogProbs(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let state = results.pointee.largest.state(lane)
    let outcome = results.pointee.largestOutcome
    // A loss with an exponent of its own is nothing next to the others' distance from the largest.
    let isTiny = outcome.exponent[lane] != 0
    let common = isTiny ? (0, 0) : (outcome.loss.hi[lane], outcome.loss.lo[lane])
    rows.source(problem.pointee.input, row).writeLogSoftmax(
      largest: state.kept, common, first: state.index, outcome.logProb(lane),
      to: rows.sink(problem.pointee.log_probs, row))
  }

  @inline(never) private func writeGrad(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let sink = rows.sink(problem.pointee.grad, row)
    guard results.pointee.counts[lane] > 0 else { return sink.fill(rows.classes, with: 0) }
    let target = Int(results.pointee.targets[lane])
    let source = rows.source(problem.pointee.input, row)
    if isPlainGrad {
      let c = plainFactor(row, lane, results)
      let total = target >= 0 ? results.pointee.target.state(lane).total : results.pointee.total.state(lane).rest
      source.writeSoftmax(total: total, factor: c, to: sink)
      if target >= 0 { sink.put(-results.pointee.targetOutcome.others(lane, times: c), at: target) }
      return
    }
    writeMixedGrad(row, lane, results, source, sink, target)
  }

  /// What a plain gradient's probabilities are multiplied by.
  @inline(never) private func plainFactor(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (hi: Double, lo: Double) {
    let target = Int(results.pointee.targets[lane])
    guard target >= 0 else { return rows.coefficient(row, (1, 0)) }
    let weight = rows.weight(target)
    guard isFocal else { return rows.coefficient(row, (weight, 0)) }
    let slope = results.pointee.focal.slope
    return rows.coefficient(row, times(slope.hi[lane], slope.lo[lane], weight))
  }

  @inline(never) private func writeMixedGrad(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>, _ source: Source, _ sink: Sink,
    _ target: Int
  ) {
    var coefficients = Coefficients(rows, row, target: target)
    if isFocal { coefficients.targetFactor *= results.pointee.focal.slope.hi[lane] }
    // The sum of the factors, and what z_loss adds to the probabilities' factor.
    var labels = wanted.distance ? (sums[lane].weight, sums[lane].weightLow) : (0, 0)
    if target >= 0 { labels = Sums.sum(labels.0, labels.1, coefficients.targetFactor, 0) }
    if Int(problem.pointee.target_kind) == XENTK_NO_TARGET { labels = (1, 0) }
    var extra = (hi: 0.0, lo: 0.0)
    if problem.pointee.z_loss != 0 {
      let lse = lse(lane, results)
      extra = times(lse.hi, lse.lo, 2 * problem.pointee.z_loss)
    }
    let isTarget = target >= 0
    let batch = isTarget ? results.pointee.target : results.pointee.largest
    let outcome = isTarget ? results.pointee.targetOutcome : results.pointee.largestOutcome
    MixedGradient(
      source: source, coefficients: coefficients, labels: labels, extra: extra, state: batch.state(lane),
      others: outcome.wholeOthers(lane), factor: rows.coefficient(row, (1, 0)),
      hasLabels: Int(problem.pointee.target_kind) != XENTK_NO_TARGET
    ).write(to: sink)
  }
}

/// The kernel for rows of logits.
@inline(never) func rowsOfLogits(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  RowsKernel(Rows(problem, workspace)).run(Int(first), Int(last), loss)
}
