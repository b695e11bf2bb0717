// What has the shape of the logits: probabilities, log-probabilities, the gradient.

import CXent
import CXentSystem

extension RowsKernel {
  /// The output of the logits' shape, where there is only one.
  @inline(__always) private var onlyMatrix: xentk_array? {
    let p = problem.pointee
    if p.grad.isGiven { return p.probs.isGiven || p.log_probs.isGiven ? nil : p.grad }
    return p.probs.isGiven ? (p.log_probs.isGiven ? nil : p.probs) : p.log_probs
  }

  /// `writeEach` of a tile: of the only such output as it is.
  @inline(never) func writeTiled(
    _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>, _ shelf: inout Shelf
  ) {
    if let array = onlyMatrix {
      let isDone =
        rows.isWide
        ? writeTile(Double.self, start, count, array, results, &shelf)
        : writeTile(Float.self, start, count, array, results, &shelf)
      if isDone { return }
    }
    drop(&shelf)
    writeEach(start, count, results)
  }

  /// Leaves the tiles' memory to rows that are worked on one by one.
  @inline(__always) func drop(_ shelf: inout Shelf) {
    writeShelf(&shelf)
    shelf.rows = Rows.Range(first: 0, end: 0)
  }

  /// Writes the tiles that are done.
  @inline(never) func writeShelf(_ shelf: inout Shelf) {
    let unwritten = shelf.unwritten
    shelf.unwritten = Rows.Range(first: 0, end: 0)
    guard unwritten.end > unwritten.first, let array = onlyMatrix else { return }
    let length = unwritten.end &- unwritten.first
    if rows.isWide {
      Tile<Double>(rows, shelf, unwritten.first).writeAcross(rows, array, unwritten.first, length)
    } else {
      Tile<Float>(rows, shelf, unwritten.first).writeAcross(rows, array, unwritten.first, length)
    }
  }

  @inline(never) func writeEach(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    var lane = 0
    while lane < count {
      write(rows.position(start &+ lane), lane & (step &- 1), results + lane / step)
      lane &+= 1
    }
  }

  @inline(__always) private func writeTile<E: Element>(
    _ type: E.Type, _ start: Int, _ count: Int, _ array: xentk_array, _ results: UnsafeMutablePointer<Results>,
    _ shelf: inout Shelf
  ) -> Bool {
    let tile = Tile<E>(rows, shelf, start)
    if !rows.isNear(array) && !rows.streams(array) { tile.fetch(rows, array, shelf.rows, start, from: shelf.rows.first) }
    guard let hasOwn = make(tile, start, count, results) else { return false }
    guard count == E.width && rows.isAcross(array, start, E.width) else {
      tile.write(rows, array, start, count, hasOwn: hasOwn)
      return true
    }
    if hasOwn { tile.put() }
    if shelf.unwritten.end != start {
      writeShelf(&shelf)
      shelf.unwritten.first = start
    }
    shelf.unwritten.end = start &+ count
    return true
  }

  /// Makes a tile the output that is wanted of it; gives whether there are elements that `put` is still to put in, nil where
  /// rows have to be looked at one by one.
  @inline(__always) private func make<E: Element>(
    _ tile: Tile<E>, _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>
  ) -> Bool? {
    let low = results
    let high = E.halves == 2 && count > step ? results + 1 : results
    if problem.pointee.log_probs.isGiven {
      let outcomes = Both(low.pointee.largestOutcome, high.pointee.largestOutcome)
      let hasOwn = outcomes.low.isAnyApart || outcomes.high.isAnyApart
      let largest = Halves(low.pointee.largest.kept, high.pointee.largest.kept)
      let places = hasOwn ? tile.firstPlaces(of: E.rounded(largest)) : Tile<E>.nowhere
      let less = Subtrahends(largest, Both(outcomes.low.ordinaryLoss, outcomes.high.ordinaryLoss))
      tile.makeLogSoftmax(less, Ties(Int(problem.pointee.log_probs.dtype)))
      if hasOwn { tile.setOwn(Halves(outcomes.low.logProbs, outcomes.high.logProbs), at: places) }
      return hasOwn
    }
    if problem.pointee.probs.isGiven {
      let one = Pair(Doubles(repeating: 1), Doubles())
      let totals = Both(low.pointee.probTotals, high.pointee.probTotals)
      return makeSoftmax(tile, low, high, totals, Both(one, one)) ? false : nil
    }
    guard isPlainGrad else { return nil }
    let factor = plainFactors(start, min(count, step), low)
    let factors = Both(factor, count > step ? plainFactors(start &+ step, count &- step, high) : factor)
    let totals = Both(low.pointee.gradTotals, high.pointee.gradTotals)
    guard makeSoftmax(tile, low, high, totals, factors) else { return nil }
    guard wanted.target else { return false }
    // Not by a minus, which Swift's lanes take from 0: of 0 it has to be −0, as row by row.
    var own = Halves(
      low.pointee.targetOutcome.others(times: factors.low) * -1, high.pointee.targetOutcome.others(times: factors.high) * -1)
    if problem.pointee.grad.size == 2 { own = Halves(oddFloats(own.low), oddFloats(own.high)) }
    tile.setOwn(own, at: Both(low.pointee.targets, count > step ? high.pointee.targets : SIMD8(repeating: -1)))
    return true
  }

  @inline(__always) private func makeSoftmax<E: Element>(
    _ tile: Tile<E>, _ low: UnsafeMutablePointer<Results>, _ high: UnsafeMutablePointer<Results>,
    _ totals: Both<Totals>, _ factors: Both<Pair>
  ) -> Bool {
    if E.halves == 2 && keepsTileTerms {
      let exponent =
        wanted.target
        ? Halves(low.pointee.target.exponent, high.pointee.target.exponent)
        : Halves(low.pointee.total.exponent, high.pointee.total.exponent)
      if tile.makeSoftmaxOfTerms(exponent, totals, factors) { return true }
      if wanted.target && tile.takesOut { tile.put() }
    }
    return tile.makeSoftmax(totals, factors)
  }

  /// `plainFactor` of a group; 0 for rows that do not count.
  @inline(__always) private func plainFactors(
    _ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>
  ) -> Pair {
    var factors = Pair(Doubles(), Doubles())
    if let factor = sharedFactor {
      let isCounted = isPositive(results.pointee.counts)
      factors.hi = chosen(isCounted, Doubles(repeating: factor.hi), else: factors.hi)
      factors.lo = chosen(isCounted, Doubles(repeating: factor.lo), else: factors.lo)
      return factors
    }
    var lane = 0
    while lane < count {
      if results.pointee.counts[lane] > 0 {
        let c = plainFactor(rows.position(start &+ lane), lane, results)
        factors.hi[lane] = c.hi
        factors.lo[lane] = c.lo
      }
      lane &+= 1
    }
    return factors
  }

  /// The one that may be in place comes last.
  @inline(never) func write(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
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

  @inline(never) func writeProbs(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let sink = rows.sink(problem.pointee.probs, row)
    if results.pointee.counts[lane] < 0 { return sink.fill(with: 0) }
    let total = results.pointee.probTotals.wide(lane) ?? results.pointee.total.state(lane).rest
    rows.source(problem.pointee.input, row).writeSoftmax(
      total: total, factor: (1, 0), to: sink, of: roundedTerms(row, lane, results))
  }

  @inline(never) func writeLogProbs(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let state = results.pointee.largest.state(lane)
    if results.pointee.counts[lane] < 0 { return rows.sink(problem.pointee.log_probs, row).fill(with: -.infinity) }
    let outcome = results.pointee.largestOutcome
    let loss = outcome.ordinaryLoss
    let common = (loss.hi[lane], loss.lo[lane])
    // Elsewhere its value is what the common formula gives.
    let isApart = outcome.exponent[lane] != 0
    rows.source(problem.pointee.input, row).writeLogSoftmax(
      largest: state.kept, common, first: isApart ? state.index : -1, outcome.logProb(lane),
      to: rows.sink(problem.pointee.log_probs, row))
  }

  @inline(never) func writeGrad(_ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>) {
    let sink = rows.sink(problem.pointee.grad, row)
    guard results.pointee.counts[lane] > 0 else { return sink.fill(with: 0) }
    let target = Int(results.pointee.targets[lane])
    let source = rows.source(problem.pointee.input, row)
    if isPlainGrad {
      let c = plainFactor(row, lane, results)
      let total =
        results.pointee.gradTotals.wide(lane)
        ?? (target >= 0 ? results.pointee.target.state(lane).total : results.pointee.total.state(lane).rest)
      let own = target >= 0 ? -results.pointee.targetOutcome.others(lane, times: c) : 0
      return source.writeSoftmax(
        total: total, factor: c, to: sink, of: roundedTerms(row, lane, results), own: own, at: target)
    }
    writeMixedGrad(row, lane, results, source, sink, target)
  }

  /// The probabilities or the plain gradient, where these are all that is wanted of their shape; and what they are multiplied by.
  @inline(__always) var softmaxOutput: xentk_array {
    problem.pointee.grad.isGiven ? problem.pointee.grad : problem.pointee.probs
  }

  @inline(__always) func softmaxFactor(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (hi: Double, lo: Double) {
    problem.pointee.grad.isGiven ? sharedFactor ?? plainFactor(row, lane, results) : (1, 0)
  }

  /// What a plain gradient's probabilities are multiplied by.
  @inline(never) func plainFactor(
    _ row: Position, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) -> (hi: Double, lo: Double) {
    let target = Int(results.pointee.targets[lane])
    guard target >= 0 else { return rows.coefficient(row, (1, 0)) }
    let weight = rows.weight(target)
    guard isFocal else { return rows.coefficient(row, (weight, 0)) }
    let slope = results.pointee.focal.slope
    return rows.coefficient(row, times(slope.hi[lane], slope.lo[lane], weight))
  }

  @inline(never) func writeMixedGrad(
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

extension Source {
  /// Writes factor·exp(x) / total to every class, and `own` to the one at `index`, if that is none of −1.
  @inline(never) func writeSoftmax(
    total: Wide, factor: (hi: Double, lo: Double), to sink: Sink, of terms: RoundedTerms? = nil, own: Double = 0,
    at index: Int = -1
  ) {
    let wide = Writer<Double>(total: total, factor: factor, stage: Stage(rows.workspace, 2), ahead: rows.ahead)
    let narrow = Writer<Float>(total: total, factor: factor, stage: Stage(rows.workspace, 2), ahead: rows.ahead)
    write(to: sink, own, at: index) { elements, room, first, count, streams in
      if rows.isWide {
        wide.write(
          elements.assumingMemoryBound(to: Double.self), to: room.assumingMemoryBound(to: Double.self), count,
          streams: streams)
      } else {
        let x = elements.assumingMemoryBound(to: Float.self)
        let out = room.assumingMemoryBound(to: Float.self)
        if RowsKernel.hasFMA, let exponent = terms?.exponents[first / chunk], !exponent.isNaN,
          narrow.write(roundedTerms: out, of: exponent, to: out, count)
        {
          // They lay there already.
        } else if rows.isRounded {
          narrow.writeRounded(x, to: out, count, streams: streams)
        } else if rows.classes > chunk {
          narrow.writeLong(x, to: out, count, streams: streams)
        } else {
          narrow.write(x, to: out, count, streams: streams)
        }
      }
    }
  }

  /// Writes (x − largest) − loss to every class, and `own` to the one at `index`, if that is none of −1.
  @inline(never) func writeLogSoftmax(
    largest: Double, _ loss: (hi: Double, lo: Double), first index: Int, _ own: Double, to sink: Sink
  ) {
    write(to: sink, own, at: index) { elements, room, _, count, streams in
      if rows.isWide {
        subtract(
          largest, loss, from: elements.assumingMemoryBound(to: Double.self), nil,
          to: room.assumingMemoryBound(to: Double.self), count, ahead: rows.ahead, streams)
      } else {
        subtract(
          largest, loss, from: elements.assumingMemoryBound(to: Float.self), Ties(sink.dtype),
          to: room.assumingMemoryBound(to: Float.self), count, ahead: rows.ahead, streams)
      }
    }
  }

  /// Writes what `make` makes of each chunk, and `own` to the class at `index`. What is made past the caches is made in two parts,
  /// before and from where a line begins.
  @inline(__always) private func write(
    to sink: Sink, _ own: Double, at index: Int,
    _ make: (
      _ elements: UnsafeRawPointer, _ room: UnsafeMutableRawPointer, _ first: Int, _ count: Int, _ streams: Bool
    ) -> Void
  ) {
    let isStreamed = sink.isStreamed(from: start)
    let size = bytes(of: rows.dtype)
    forEachChunk(isBack: rows.goesBack) { elements, first, count in
      let room = sink.room(first)
      if isStreamed { xentk_prefetch_end(room, Int64(count &* size)) }
      var done = 0
      while done < count {
        let out = room + done &* size
        let toLine = isStreamed ? Int((0 &- UInt(bitPattern: out)) & 63) / size : 0
        let end = toLine > 0 ? min(count, done &+ toLine) : count
        make(elements + done &* size, out, first &+ done, end &- done, isStreamed && toLine == 0)
        done = end
      }
      if index >= first && index < first &+ count { sink.set(own, at: index &- first, in: room) }
      sink.put(first, count)
    }
  }
}

@inline(never) private func subtract<E: Element>(
  _ largest: Double, _ loss: (hi: Double, lo: Double), from x: UnsafePointer<E>, _ ties: Ties?,
  to out: UnsafeMutablePointer<E>, _ count: Int, ahead: Int, _ streams: Bool
) {
  let near = streams ? x : UnsafePointer(out)
  let loss = Pair(Doubles(repeating: loss.hi), Doubles(repeating: loss.lo))
  let less = Subtrahends(Halves(repeating: largest), Both(loss, loss))
  @inline(__always) func subtract(_ ties: Ties?) {
    var i = 0
    while i &+ E.width <= count {
      fetch(near + i, x + i, ahead)
      E.putDifference(x + i, less, ties, to: out + i, streams: streams)
      i &+= E.width
    }
    if i < count {
      let few = E.loadFew(x + i, count &- i, else: 0)
      E.storeFew(E.difference(few, less, ties), out + i, count &- i)
    }
  }
  if let ties { subtract(ties) } else { subtract(nil) }
}
