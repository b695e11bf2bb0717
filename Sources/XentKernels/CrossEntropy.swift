// Rows of logits: softmax, log-softmax, log-sum-exp, cross-entropy and its gradient, and every other output, any of them
// from one pass for the sums and one for what has the logits' shape.

import CXent
import CXentSystem

/// What a batch of rows has come to: eight rows, a lane each. Of a state or an outcome that is not wanted nothing is set.
struct Results {
  var total = Batch(), target = Batch(), largest = Batch()
  /// The sum over all classes, of what the plain gradient or the probabilities are made of.
  var gradTotals = Totals(), probTotals = Totals()
  var targetOutcome = Outcome.nothing, largestOutcome = Outcome.nothing
  var focal = (value: Pair(Doubles(), Doubles()), slope: Pair(Doubles(), Doubles()))
  /// The target where it is an index, −1 elsewhere.
  var targets = SIMD8<Int64>(repeating: -1)
  /// 1 where the row counts.
  var counts = SIMD8<Int64>()
}

/// One kernel call.
struct RowsKernel {
  var rows: Rows
  let problem: UnsafePointer<xentk_problem>
  let wanted: Wanted
  /// Whether there are outputs that rows have which do not count.
  let isForAll: Bool
  let isFocal: Bool
  /// Whether the gradient is a softmax with one element corrected.
  let isPlainGrad: Bool
  /// Whether one state of a row is all that is wanted of it.
  let isQuick: Bool
  /// Whether a row's loss is its target's −log p times a weight.
  let isPlainLoss: Bool
  /// Whether there are statistics of a row to be stored, and whether there is nothing but its lse.
  let hasDescription, isOnlyLSE: Bool
  /// What the plain gradient of every row that counts is multiplied by, where it is the same for all.
  let sharedFactor: (hi: Double, lo: Double)?
  /// Whether rows are so few classes that they are worked on in tiles. Measured: up to 256 with f32, and with f64 128.
  let isShort: Bool
  /// Whether it matters where the largest of a tile's rows are: not for lse and log-probabilities.
  let needsPlaces: Bool
  /// Whether what has the logits' shape is made of a tile's terms.
  let keepsTileTerms: Bool
  /// Whether they are a chunk at most, one state each (InTurn.swift, where they are not in tiles), and whether the outputs are then
  /// made of the sums' terms.
  let isInTurn, keepsTerms: Bool
  /// Whether the sums' terms are left where the output is to be.
  let leavesTerms: Bool

  @inline(__always) init(
    _ problem: UnsafePointer<xentk_problem>, _ workspace: UnsafeMutablePointer<xentk_workspace>
  ) {
    rows = Rows(problem, workspace)
    self.problem = problem
    let p = problem
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
    isPlainLoss = isIndex && !isSmoothed && !hasZ && !isFocal
    let isShared = hasGrad && isPlainGrad && !isFocal && !p.pointee.weight.isGiven && !p.pointee.grad_loss.isGiven
    sharedFactor = isShared ? rows.coefficient(Position(outer: 0, inner: 0), (1, 0)) : nil
    let ofAll = p.pointee.gives(XENTK_OF_ALL)
    let describesMore = p.pointee.gives(XENTK_STATISTICS) || p.pointee.wants_correct != 0
    hasDescription = describesMore || p.pointee.lse.isGiven
    isOnlyLSE = p.pointee.lse.isGiven && !describesMore
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
    let hasTop = p.pointee.gives(XENTK_TOP)
    isQuick = wanted.isOne && rows.classes > 0 && !hasTop
    isInTurn = isQuick && !rows.isWide && rows.classes <= chunk
    let isPlainSoftmax = p.pointee.probs.isGiven != hasGrad && (!hasGrad || isPlainGrad)
    needsPlaces = describesMore || hasGrad || p.pointee.probs.isGiven
    keepsTileTerms =
      wanted.isOne && !wanted.largest && isPlainSoftmax && !rows.isWide && Tile<Float>.canKeepTerms(rows.classes)
    let isOnlySoftmax =
      (isInTurn || rows.isRounded) && isQuick && isPlainSoftmax && !isFocal && !hasDescription && !wanted.largest
    keepsTerms = isInTurn && isOnlySoftmax
    isShort =
      !wanted.sums && !hasTop && rows.classes > 0
      && (rows.classes <= mostInAnyTile || rows.classes <= Self.mostInTile(rows, isOnlyProbs: keepsTerms && !hasGrad))
    leavesTerms = Self.hasFMA && isOnlySoftmax && rows.canLeaveTerms(in: hasGrad ? p.pointee.grad : p.pointee.probs)
  }

  /// Where a row's terms are left.
  @inline(__always) func roundedTerms(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) -> RoundedTerms? {
    guard leavesTerms && Writer<Float>.isInRange(softmaxFactor(row, lane, results).hi) else { return nil }
    return rows.roundedTerms(softmaxOutput, row, lane)
  }

  /// Whether there are outputs of the logits' shape.
  @inline(__always) var hasMatrix: Bool { rows.hasMatrix }

  @inline(__always) func run(_ first: Int, _ last: Int, _ loss: UnsafeMutablePointer<xentk_loss>) {
    let size =
      hasTop
      ? 1
      : Self.hasFMA && isShort
        ? lanes
        : isInTurn ? rowsInTurn : hasMatrix ? batchSize(rows.isWide, classes: rows.classes) : step
    let results = xentk_results(rows.workspace).assumingMemoryBound(to: Results.self)
    var losses = LaneSum()
    var shelf = Shelf()
    if Self.hasFMA && isShort {
      let nothing = UnsafeRawPointer(rows.workspace)  // nothing new, that is
      rows.workspace.pointee.later = xentk_later(read: nothing, write: nothing)
    }
    forEachBatch(first, last, size: size) { start, count in
      readTargets(start, count, in: results)
      let isTiled = Self.hasFMA && isShort && count >= fewest && readTile(start, count, last: last, results, &shelf)
      if !isTiled { readRows(start, count, results, &shelf) }
      conclude(count, results)
      end(start, count, results, first, isTiled: isTiled, &losses, &shelf, loss)
    }
    if Self.hasFMA { writeShelf(&shelf) }
    // Of one row it is in the first lane, and the tree would be waited for.
    let total = last &- first == 1 ? (losses.high[0], losses.low[0]) : losses.total
    xentk_add(&loss.pointee.hi, &loss.pointee.lo, total.hi, total.lo)
  }

  /// What is left to do for rows whose outcomes are known.
  @inline(never) private func end(
    _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>, _ first: Int, isTiled: Bool, _ losses: inout LaneSum,
    _ shelf: inout Shelf, _ loss: UnsafeMutablePointer<xentk_loss>
  ) {
    var done = 0
    while done < count {
      let lane = (start &+ done &- first) & (step &- 1)
      finish(start &+ done, min(step, count &- done), results + done / step, &losses, lane: lane, loss)
      done &+= step
    }
    guard hasMatrix else { return }
    if Self.hasFMA && isTiled { return writeTiled(start, count, results, &shelf) }
    if keepsTerms { return putTargets(start, count, results) }
    writeEach(start, count, results)
  }

  /// Up to so many classes, of more than `mostInAnyTile`, rows are worked on in tiles. Measured, with AVX2 (Zen 3): from 160 classes on
  /// probabilities alone are 1.0 to 1.3 times as fast in turn, made of the sums' terms; all else is 1.0 to 1.6 times as fast in tiles,
  /// but for losses of more than 230 classes that come from L2, which take a tenth longer.
  @inline(never) private static func mostInTile(_ rows: Rows, isOnlyProbs: Bool) -> Int {
    #if XENT_V3
      if isOnlyProbs && rows.source(rows.problem.pointee.input, Position(outer: 0, inner: 0)).isDirect { return 160 }
    #endif
    return rows.isWide ? 128 : 256
  }

  /// From so many rows on they are worked on in tiles. Measured: a tile takes as long with fewer rows than lanes, and is slower the
  /// more classes there are.
  @inline(__always) private var fewest: Int {
    #if XENT_V4
      3 &+ rows.classes / 24
    #else
      min(4 &+ rows.classes / 16, lanes)
    #endif
  }

  @inline(__always) private var lanes: Int { rows.isWide ? Double.width : Float.width }

  /// Whether fma is an instruction. Where it is not, at the baseline, tiles, terms that are left and the like are not worth their code.
  @inline(__always) static var hasFMA: Bool {
    #if XENT_FMA
      true
    #else
      false
    #endif
  }

  /// Sets the targets of the rows, and which of them count.
  @inline(__always) private func readTargets(_ start: Int, _ count: Int, in results: UnsafeMutablePointer<Results>) {
    readTargets(start, min(step, count), results)
    if count > step {
      readTargets(start &+ step, count &- step, results + 1)
    } else if Self.hasFMA {
      // A tile has lanes for them.
      (results + 1).pointee.targets = SIMD8(repeating: -1)
    }
  }

  /// The states of the rows, eight to a group of results, by way of a tile; false, and nothing is done, where they cannot be had so.
  @inline(never) private func readTile(
    _ start: Int, _ count: Int, last: Int, _ results: UnsafeMutablePointer<Results>, _ shelf: inout Shelf
  ) -> Bool {
    let needed = Both(
      needed(min(count, step), results), count > step ? needed(count &- step, results + 1) : SIMD8<Int64>())
    return rows.isWide
      ? readTile(Double.self, start, count, last: last, needed, results, &shelf)
      : readTile(Float.self, start, count, last: last, needed, results, &shelf)
  }

  /// The same row by row.
  @inline(never) private func readRows(
    _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>, _ shelf: inout Shelf
  ) {
    if Self.hasFMA && shelf.rows.end > shelf.rows.first { drop(&shelf) }
    var lane = 0
    while lane < count {
      clear(results + lane / step)
      lane &+= step
    }
    if isInTurn && (count > 1 || keepsTerms) { return readInTurn(start, count, results) }
    lane = 0
    while lane < count {
      if isNeeded(lane, results) { readRow(rows.position(start &+ lane), lane & (step &- 1), results + lane / step) }
      lane &+= 1
    }
  }

  /// Whether a row's logits have to be looked at.
  @inline(__always) func isNeeded(_ number: Int, _ results: UnsafePointer<Results>) -> Bool {
    isForAll || results[number / step].counts[number & (step &- 1)] != 0
  }

  /// The same of a group of rows, not 0 where they have to be.
  @inline(__always) private func needed(_ count: Int, _ results: UnsafePointer<Results>) -> SIMD8<Int64> {
    if !isForAll { return results.pointee.counts }
    if count == step { return SIMD8(repeating: 1) }
    var all = SIMD8<Int64>()
    var lane = 0
    while lane < count {
      all[lane] = 1
      lane &+= 1
    }
    return all
  }

  /// Lanes that are not set are those of rows without elements.
  @inline(__always) func clear(_ results: UnsafeMutablePointer<Results>) {
    if wanted.total { results.pointee.total = Batch() }
    if wanted.target { results.pointee.target = Batch() }
    if wanted.largest { results.pointee.largest = Batch() }
  }

  /// Sets a group's targets, and which rows count.
  @inline(__always) func readTargets(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    let (counts, targets) = rows.targets(start, count)
    results.pointee.targets = targets
    results.pointee.counts = counts
  }

  /// False where there is a row that has to be looked at on its own.
  @inline(__always) private func readTile<E: Element>(
    _ type: E.Type, _ start: Int, _ count: Int, last: Int, _ needed: Both<SIMD8<Int64>>,
    _ results: UnsafeMutablePointer<Results>, _ shelf: inout Shelf
  ) -> Bool {
    if !shelf.rows.contains(start) {
      writeShelf(&shelf)
      shelf.rows.first = start
      shelf.rows.end = Tile<E>(rows, shelf, start).read(rows, problem.pointee.input, start, count, last: last)
    }
    let tile = Tile<E>(rows, shelf, start)
    tile.fetch(rows, problem.pointee.input, shelf.rows, start, from: shelf.rows.end)
    tile.clearUnneeded(needed)
    let low = results
    let high = E.halves == 2 ? results + 1 : results
    if wanted.total {
      let states: Both<UnsafeMutablePointer<Batch>> = Both(&low.pointee.total, &high.pointee.total)
      guard tile.wholeStates(keepsTerms: keepsTileTerms, in: states) else { return false }
    }
    if wanted.target {
      let targets: Both<UnsafePointer<SIMD8<Int64>>> = Both(&low.pointee.targets, &high.pointee.targets)
      let states: Both<UnsafeMutablePointer<Batch>> = Both(&low.pointee.target, &high.pointee.target)
      guard tile.states(keeping: targets, keepsTerms: keepsTileTerms, in: states) else { return false }
    }
    if !wanted.largest { return true }
    return tile.statesOfLargest(findingIt: needsPlaces, in: Both(&low.pointee.largest, &high.pointee.largest))
  }

  @inline(never) func readRow(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let target = Int(results.pointee.targets[lane])
    let source = rows.source(problem.pointee.input, row)
    let reading = Reading(
      source: source, row: row, wanted: wanted, target: target,
      targetLogit: wanted.rank && target >= 0 ? source.element(target) : 0, top: hasTop ? top : nil)
    let isEmpty: Bool
    if isQuick {
      let state = reading.onlyState(leaving: roundedTerms(row, lane, results)).pointee
      set(lane, state, results)
      isEmpty = state.isEmpty
    } else {
      let states = reading.states().pointee
      if wanted.total { results.pointee.total.set(lane, states.total) }
      if wanted.target { results.pointee.target.set(lane, states.target) }
      if wanted.largest { results.pointee.largest.set(lane, states.largest) }
      if wanted.sums { sums[lane] = states.sums }
      isEmpty = (wanted.largest ? states.largest : wanted.target ? states.target : states.total).isEmpty
    }
    if problem.pointee.skips_masked != 0 && isEmpty { results.pointee.counts[lane] = -1 }
  }

  @inline(__always) func set(
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
  @inline(__always) var sums: UnsafeMutablePointer<Sums> {
    (xentk_states(rows.workspace) + Reading.treeSize &* MemoryLayout<States>.stride).assumingMemoryBound(to: Sums.self)
  }

  /// The largest logits of the one row in a batch, behind those.
  @inline(__always) var top: Top {
    let room = UnsafeMutableRawPointer(sums + Doubles.scalarCount)
    let wanted = problem.pointee.top_indices.isGiven ? problem.pointee.top_indices : problem.pointee.top_log_probs
    return Top(entries: room.assumingMemoryBound(to: Top.Entry.self), limit: Int(wanted.classes))
  }

  @inline(__always) var hasTop: Bool {
    problem.pointee.gives(XENTK_TOP)
  }

  @inline(never) func conclude(_ count: Int, _ results: UnsafeMutablePointer<Results>) {
    let others = isFocal || problem.pointee.grad.isGiven
    let hasTotals = isPlainGrad && problem.pointee.grad.isGiven
    let high = count > step ? results + 1 : results
    if rows.isWide {
      if wanted.target { results.pointee.target.conclude(count, others: others, in: &results.pointee.targetOutcome) }
      if wanted.largest { results.pointee.largest.conclude(count, others: others, in: &results.pointee.largestOutcome) }
      if wanted.target && hasTotals { results.pointee.target.setWholeTotals(in: &results.pointee.gradTotals) }
    } else {
      if wanted.target {
        let totals: Both<UnsafeMutablePointer<Totals>> = Both(&results.pointee.gradTotals, &high.pointee.gradTotals)
        Batch.concludeNarrow(
          Both(&results.pointee.target, &high.pointee.target), count, others: others,
          in: Both(&results.pointee.targetOutcome, &high.pointee.targetOutcome), totals: hasTotals ? totals : nil)
      }
      if wanted.largest {
        Batch.concludeNarrow(
          Both(&results.pointee.largest, &high.pointee.largest), count, others: others,
          in: Both(&results.pointee.largestOutcome, &high.pointee.largestOutcome), totals: nil)
      }
    }
    var group = results
    while group <= high {
      if wanted.total { group.pointee.total.setTotals(in: &group.pointee.probTotals) }
      if hasTotals && !wanted.target { group.pointee.gradTotals = group.pointee.probTotals }
      if isFocal && wanted.target {
        group.pointee.focal = group.pointee.targetOutcome.focal(
          gamma: problem.pointee.focal_gamma, epsilon: problem.pointee.poly_epsilon)
      }
      group += 1
    }
  }
}

/// The kernel for rows of logits.
@inline(never) func rowsOfLogits(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  // Not a variable: its copy would be made by loads of more than was stored by one store, which wait.
  let kernel = RowsKernel(problem, workspace)
  switch Int(problem.pointee.phase) {
  case XENTK_WHOLE: kernel.run(Int(first), Int(last), loss)
  case XENTK_ASK: loss.pointee.correct = kernel.canBeInPieces ? 1 : 0
  default:
    var kernel = kernel
    kernel.runPieces(Int(first), Int(last), loss)
  }
  if kernel.hasMatrix && kernel.rows.mayStream { xentk_fence() }
}
