// Rows of some hundred classes up to a chunk of them, of which one state is wanted. While one is summed up the next one's
// largest element is found, so that neither waits for the other's last operations; and where softmax or the gradient is
// all that is wanted of their shape, it is made of the terms of the sum, which are still in L1.

import CXent
import CXentSystem

extension RowsKernel {
  /// Rows in a batch: as many as there are results for, because at its ends nothing is done side by side; fewer where L1 is full.
  @inline(__always) var rowsInTurn: Int { keepsTerms ? step : 2 &* step }

  /// The states of a batch; with `keepsTerms` the outputs of the logits' shape are written too, but for the targets' elements.
  @inline(never) func readInTurn(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    let isDirect = rows.source(problem.pointee.input, rows.position(start)).isDirect
    // Whether there is room for two rows: the terms of fetched elements go where these are, if there are more than half a chunk.
    let looksAhead = isDirect || !keepsTerms || rows.classes <= chunk / 2
    let parts = xentk_states(rows.workspace).assumingMemoryBound(to: RowPart<Float>.self)
    var number = next(from: 0, count, results)
    var waiting = -1
    var slot = 0
    while number < count || waiting >= 0 {
      if number < count {
        let target = Int(results[number / step].targets[number & (step &- 1)])
        makePart(start &+ number, target, slot, isDirect, in: parts + slot)
      }
      let now = looksAhead ? waiting : number
      if now >= 0 {
        sum(parts + (looksAhead ? 1 &- slot : slot), start &+ now, now & (step &- 1), results + now / step)
      }
      waiting = looksAhead && number < count ? number : -1
      number = next(from: number &+ 1, count, results)
      slot = looksAhead ? 1 &- slot : 0
    }
    if keepsTerms { skip(start, count, results) }
  }

  /// Rows that nobody asks for.
  @inline(__always) private func skip(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    var number = 0
    while number < count {
      if !isNeeded(number, results) { rows.sink(problem.pointee.grad, rows.position(start &+ number)).fill(with: 0) }
      number &+= 1
    }
  }

  @inline(__always) private func next(from number: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) -> Int {
    var number = number
    while number < count && !isNeeded(number, results) { number &+= 1 }
    return number
  }

  /// A row, which is one part. There are two rooms for elements that cannot be used where they lie.
  @inline(__always) private func makePart(
    _ number: Int, _ target: Int, _ slot: Int, _ isDirect: Bool, in part: UnsafeMutablePointer<RowPart<Float>>
  ) {
    let row = rows.position(number)
    var x = UnsafePointer(problem.pointee.input.address(row).assumingMemoryBound(to: Float.self))
    if !isDirect {
      let room = terms + (keepsTerms ? chunk &+ slot &* (chunk / 2) : slot &* chunk)
      rows.source(problem.pointee.input, row).fetch(0, rows.classes, into: room)
      x = UnsafePointer(room)
    }
    let kept: Kept = wanted.total ? .none : wanted.target ? .element(target) : .largest
    RowPart.make(x, rows.classes, from: 0, keeping: kept, Stage(rows.workspace, Int32(truncatingIfNeeded: slot)), in: part)
  }

  /// Room for a chunk's terms. Those of step k take the place of the step's own elements, at the room's end, or of earlier ones.
  @inline(__always) private var terms: UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer(xentk_chunk(rows.workspace)).assumingMemoryBound(to: Float.self)
  }

  @inline(__always) private func sum(
    _ part: UnsafePointer<RowPart<Float>>, _ number: Int, _ lane: Int, _ results: UnsafeMutablePointer<Results>
  ) {
    let state = keepsTerms ? part.pointee.state(terms: terms) : part.pointee.state()
    set(lane, state, results)
    if problem.pointee.skips_masked != 0 && state.isEmpty { results.pointee.counts[lane] = -1 }
    if keepsTerms { write(rows.position(number), lane, state, results) }
  }

  /// Probabilities, or the gradient but for the target's.
  @inline(never) private func write(
    _ row: Position, _ lane: Int, _ state: RowState, _ results: UnsafeMutablePointer<Results>
  ) {
    let output = softmaxOutput
    let sink = rows.sink(output, row)
    if results.pointee.counts[lane] < 0 { return sink.fill(with: 0) }
    let factor = softmaxFactor(row, lane, results)
    var batch = Batch()
    batch.set(
      hi: Doubles(repeating: state.rest.hi), lo: Doubles(), exponent: Doubles(repeating: state.rest.exponent),
      kept: Doubles(repeating: state.kept), index: SIMD8<Int64>())
    var totals = Totals()
    if wanted.target { batch.setNarrowTotals(in: &totals) } else { batch.setTotals(in: &totals) }
    if state.rest.anchor == 0, let total = totals.wide(0) {
      // Of fewer classes, the lines that the targets' elements come to are too many. (Measured: 300, 0.85 times as fast; 700, 1.0.)
      let pays = !wanted.target || rows.classes >= 1000
      let isStreamed = pays && sink.isStreamed(from: problem.pointee.input.address(row), hasTerms: true)
      if isStreamed { xentk_prefetch_end(sink.start, Int64(rows.classes &* MemoryLayout<Float>.size)) }
      let room = sink.room(isStreamed: isStreamed).assumingMemoryBound(to: Float.self)
      let writer = Writer<Float>(total: total, factor: factor, stage: Stage(rows.workspace, 2))
      if writer.write(
        terms: terms, of: state.rest.exponent, to: room, rows.classes, streams: isStreamed && sink.isLine)
      {
        sink.put(rows.classes, isStreamed: isStreamed)
        // What comes there is known when the batch is.
        if isStreamed && wanted.target { xentk_prefetch(output.address(row, Int(results.pointee.targets[lane]))) }
        return
      }
    }
    let total = wanted.target ? state.total : state.rest
    rows.source(problem.pointee.input, row).writeSoftmax(total: total, factor: factor, to: sink)
  }

  /// What `writeGrad` puts at the targets, once the rows' outcome is known.
  @inline(never) func putTargets(_ start: Int, _ count: Int, _ results: UnsafeMutablePointer<Results>) {
    guard wanted.target else { return }
    var number = 0
    while number < count {
      let results = results + number / step
      let lane = number & (step &- 1)
      if results.pointee.counts[lane] > 0 {
        let row = rows.position(start &+ number)
        let factor = sharedFactor ?? plainFactor(row, lane, results)
        let value = -results.pointee.targetOutcome.others(lane, times: factor)
        rows.sink(problem.pointee.grad, row).put(value, at: Int(results.pointee.targets[lane]))
      }
      number &+= 1
    }
  }
}
