// Binary cross-entropy with logits, element by element, in f64 (most of an f32 exponential in f32), and for f64 in pairs:
//
//   log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))      a sum of two numbers that are not negative
//   1/(1 + exp(−x)) and exp(−x)/(1 + exp(−x)) both from exp(−|x|) ≤ 1: neither is 1 minus the other

import CXent
import CXentSystem

/// Rows that count are one stream of elements, which strips cut without regard to the rows' ends.
@inline(never) func binaryCrossEntropy(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  var kernel = BinaryKernel(Rows(problem, workspace), loss)
  if problem.pointee.piece_count > 0 {
    kernel.runPieces(Int(first), Int(last))
  } else {
    kernel.runRows(Int(first), Int(last))
  }
  let total = kernel.sum.total
  kernel.accumulate(total.hi, total.lo)
}

/// What is asked for of ordinary elements: without weights, pos_weights and upstream gradients there is less to do.
private protocol Variant {
  static var isPlain: Bool { get }
  static var hasGrad: Bool { get }
}
private enum Plain: Variant {
  static var isPlain: Bool { true }
  static var hasGrad: Bool { false }
}
private enum PlainGrad: Variant {
  static var isPlain: Bool { true }
  static var hasGrad: Bool { true }
}
private enum Weighted: Variant {
  static var isPlain: Bool { false }
  static var hasGrad: Bool { false }
}
private enum WeightedGrad: Variant {
  static var isPlain: Bool { false }
  static var hasGrad: Bool { true }
}

private struct BinaryKernel {
  /// Elements of a strip. Part of the result.
  static var strip: Int { 256 }

  private var rows: Rows
  let loss: UnsafeMutablePointer<xentk_loss>
  var sum = LaneSum()

  @inline(__always) init(_ rows: Rows, _ loss: UnsafeMutablePointer<xentk_loss>) {
    self.rows = rows
    self.loss = loss
    let ones = xentk_strip(rows.workspace, 0)
    if rows.isWide {
      Double.store(Doubles(repeating: 1), ones)
    } else {
      Float.store(Floats(repeating: 1), UnsafeMutableRawPointer(ones).assumingMemoryBound(to: Float.self))
    }
  }

  @inline(__always) mutating func runRows(_ first: Int, _ last: Int) {
    var row = first
    while row < last {
      let end = end(of: row, before: last)
      if end > row { run(row, 0, (end &- row) &* rows.classes) } else { skip(row) }
      row = max(end, row &+ 1)
    }
  }

  /// Pieces of rows, counted through all rows.
  @inline(never) mutating func runPieces(_ first: Int, _ last: Int) {
    let (count, size) = (Int(rows.problem.pointee.piece_count), Int(rows.problem.pointee.piece))
    var piece = first
    while piece < last {
      let row = piece / count
      let start = (piece &- row &* count) &* size
      rows.range = Rows.Range(first: start, end: min(start &+ size, rows.classes))
      if end(of: row, before: row &+ 1) > row {
        run(row, rows.range.first, rows.range.end &- rows.range.first)
      } else {
        skip(row)
      }
      piece &+= 1
    }
  }

  /// Where the run of rows that count ends that begins with this row; the row itself where it does not count.
  @inline(__always) func end(of row: Int, before last: Int) -> Int {
    guard rows.problem.pointee.row_mask.isGiven else { return last }
    var end = row
    while end < last && rows.problem.pointee.row_mask.integer(rows.position(end)) != 0 { end &+= 1 }
    return end
  }

  @inline(never) func skip(_ row: Int) {
    let position = rows.position(row)
    if rows.problem.pointee.row_loss.isGiven { rows.sink(rows.problem.pointee.row_loss, position).fill(with: 0) }
    if rows.problem.pointee.grad.isGiven { rows.sink(rows.problem.pointee.grad, position).fill(with: 0) }
  }

  /// So many elements from class `c` of a row on; the rows count.
  @inline(__always) mutating func run(_ row: Int, _ c: Int, _ count: Int) {
    var span = Span(row: row, c: c, count: 0)
    var left = count
    while left > 0 {
      span.count = min(left, BinaryKernel.strip)
      if rows.isWide { wide(span) } else { narrow(span) }
      left &-= span.count
      span.c &+= span.count
      if span.c >= rows.classes {
        span.row &+= span.c / rows.classes
        span.c %= rows.classes
      }
    }
  }

  @inline(never) func accumulate(_ value: Double, _ low: Double) { xentk_accumulate(loss, value, low, 0) }

  /// The strip's place number `k` in the workspace.
  @inline(__always) private func room(_ k: Int) -> UnsafeMutablePointer<Double> {
    xentk_chunk(rows.workspace) + k &* BinaryKernel.strip
  }

  @inline(__always) private func room<E: Element>(_ k: Int, of: E.Type) -> UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(room(k)).assumingMemoryBound(to: E.self)
  }

  private var losses: UnsafeMutablePointer<Double> { room(5) }
  private var grads: UnsafeMutablePointer<Double> { room(6) }

  @inline(never) private func inputs<E: Element>(_ span: Span) -> Inputs<E> {
    let problem = rows.problem
    return Inputs(
      x: problem.pointee.input.strip(rows, span, into: room(0, of: E.self)).start,
      y: problem.pointee.targets.strip(rows, span, into: room(1, of: E.self)).start,
      weight: problem.pointee.weight.strip(rows, span, into: room(2, of: E.self)),
      positive: problem.pointee.pos_weight.strip(rows, span, into: room(3, of: E.self)),
      upstream: problem.pointee.grad_loss.strip(rows, span, into: room(4, of: E.self)))
  }

  /// Fetches what a strip's results will be put into while they are being made: stores in bursts, so far apart, wait for
  /// memory otherwise (1.7 times the time where a gradient is not in place and in no cache).
  @inline(__always) private func prefetch(_ span: Span) {
    let problem = rows.problem
    if problem.pointee.row_loss.isGiven { problem.pointee.row_loss.prefetch(rows, span) }
    if problem.pointee.grad.isGiven { problem.pointee.grad.prefetch(rows, span) }
  }

  @inline(__always) private func put(_ span: Span) {
    let problem = rows.problem
    if problem.pointee.row_loss.isGiven { problem.pointee.row_loss.put(rows, span, losses) }
    if problem.pointee.grad.isGiven { problem.pointee.grad.put(rows, span, grads) }
  }

  @inline(never) private mutating func narrow(_ span: Span) {
    let problem = rows.problem
    let inputs: Inputs<Float> = inputs(span)
    prefetch(span)
    let isPlain =
      !problem.pointee.weight.isGiven && !problem.pointee.pos_weight.isGiven && !problem.pointee.grad_loss.isGiven
    let hasGrad = problem.pointee.grad.isGiven
    let share = 1 / problem.pointee.divisor_hi
    let isOrdinary =
      isPlain
      ? hasGrad
        ? ordinary(inputs, span.count, share: share, PlainGrad.self)
        : ordinary(inputs, span.count, share: share, Plain.self)
      : hasGrad
        ? ordinary(inputs, span.count, share: share, WeightedGrad.self)
        : ordinary(inputs, span.count, share: share, Weighted.self)
    if !isOrdinary { mend(inputs, span.count, hasGrad: hasGrad, share: share) }
    // The sum of all or nothing: what is beyond the end counts for nothing.
    var i = span.count
    while i < Float.wholeSteps(span.count) {
      losses[i] = 0
      i &+= 1
    }
    var low = Doubles()
    var high = Doubles()
    i = 0
    while i < span.count {
      low += Double.load(losses + i)
      high += Double.load(losses + i + step)
      i &+= 2 &* step
    }
    sum.add(low)
    sum.add(high)
    put(span)
  }

  /// False where there are elements that `mend` has to do again.
  @inline(never) private func ordinary<V: Variant>(_ inputs: Inputs<Float>, _ count: Int, share: Double, _: V.Type) -> Bool
  {
    var largest = Floats()
    var softest = Floats()
    var i = 0
    while i < count {
      let x = xentk_load_floats(inputs.x + i)
      let y = xentk_load_floats(inputs.y + i)
      let bits = unsafeBitCast(x, to: SIMD16<UInt32>.self)
      largest = xentk_larger(largest, unsafeBitCast(bits & 0x7FFF_FFFF, to: Floats.self))
      if V.hasGrad { softest = xentk_larger(softest, softness(y)) }
      let values = Ordinary(unsafeBitCast(bits | 0x8000_0000, to: Floats.self))
      eight(inputs, i, x, y, 0, values.exponential.low, values.curve.low, share, V.self)
      eight(inputs, i &+ step, x, y, 1, values.exponential.high, values.curve.high, share, V.self)
      i &+= Float.width
    }
    return Ordinary.areAll(largest, softest)
  }

  /// Eight of the sixteen. Transparent, because the compiler does not inline it otherwise, whatever it is told.
  @_transparent private func eight<V: Variant>(
    _ inputs: Inputs<Float>, _ i: Int, _ x: Floats, _ y: Floats, _ half: Int, _ t: Doubles, _ curve: Doubles,
    _ share: Double, _: V.Type
  ) {
    let zero = Doubles()
    let above = Float.widened(xentk_larger(x, Floats()), half)
    let x = Float.widened(x, half)
    let isNegative = x .< 0
    let label = Float.widened(y, half)
    let down = 1 - label
    if V.isPlain {
      let against = unsafeBitCast(unsafeBitCast(y, to: SIMD16<UInt32>.self) ^ 0x8000_0000, to: Floats.self)
      Double.store(fma(curve, t, fma(x, Float.widened(against, half), above)), losses + i)
      if V.hasGrad { Double.store(slope(t, label, down, isNegative) * share, grads + i) }
    } else {
      let up = label * xentk_doubles(xentk_load_8floats(inputs.positive.at(i)))
      let w = xentk_doubles(xentk_load_8floats(inputs.weight.at(i)))
      let head = down.replacing(with: up, where: isNegative) * x.replacing(with: zero - x, where: isNegative)
      Double.store(times(w, fma((up + down) * curve, t, head)), losses + i)
      if V.hasGrad {
        let g = xentk_doubles(xentk_load_8floats(inputs.upstream.at(i)))
        Double.store(times(g, times(w, slope(t, up, down, isNegative))) * share, grads + i)
      }
    }
  }

  /// As of Narrow.
  @inline(__always) private func slope(
    _ t: Doubles, _ up: Doubles, _ down: Doubles, _ isNegative: SIMDMask<SIMD8<Int64>>
  ) -> Doubles {
    let against = Doubles() - up
    let factor = against.replacing(with: down, where: isNegative)
    let rest = down.replacing(with: against, where: isNegative)
    let e = t * (1 / Float.bias)
    return fma(factor, e, rest) / (e + 1)
  }

  /// 0 of labels 0 and 1.
  @inline(__always) private func softness(_ y: Floats) -> Floats {
    let product = y * (1 - y)
    return unsafeBitCast(unsafeBitCast(product, to: SIMD16<UInt32>.self) & 0x7FFF_FFFF, to: Floats.self)
  }

  /// Logits far from 0, and gradients of labels between 0 and 1, which cancel.
  @inline(never) private func mend(_ inputs: Inputs<Float>, _ count: Int, hasGrad: Bool, share: Double) {
    var i = 0
    while i < count {
      let x = xentk_doubles(xentk_load_8floats(inputs.x + i))
      let y = xentk_doubles(xentk_load_8floats(inputs.y + i))
      let w = xentk_doubles(xentk_load_8floats(inputs.weight.at(i)))
      let up = y * xentk_doubles(xentk_load_8floats(inputs.positive.at(i)))
      let down = 1 - y
      let sides = Narrow(x)
      let isFar = sides.magnitude .> Double(Ordinary.farthest)
      if isAny(isFar) {
        let l = times(w, sides.loss(up, down))
        Double.store(Double.load(losses + i).replacing(with: l, where: isFar), losses + i)
      }
      if hasGrad {
        let g = times(
          xentk_doubles(xentk_load_8floats(inputs.upstream.at(i))), times(w, sides.slope(up, down)))
        let softness = y * down
        let isSoft = (softness .< 0) .| (softness .> 0)  // as in `softness`: a NaN is not
        Double.store(Double.load(grads + i).replacing(with: g * share, where: isFar .| isSoft), grads + i)
      }
      i &+= step
    }
  }

  @inline(never) private mutating func wide(_ span: Span) {
    let problem = rows.problem
    let inputs: Inputs<Double> = inputs(span)
    let divisor = Pair(
      Doubles(repeating: problem.pointee.divisor_hi), Doubles(repeating: problem.pointee.divisor_lo))
    let hasGrad = problem.pointee.grad.isGiven
    prefetch(span)
    // Of the strip alone: where there is a loss that does not go with others, they are added one by one.
    var own = LaneSum()
    var isOdd = SIMD8<Int64>()
    let zero = Doubles()
    var i = 0
    while i < span.count {
      let sides = sides(Double.load(inputs.x + i), hasGrad: hasGrad)
      let y = Double.load(inputs.y + i)
      let w = Double.load(inputs.weight.at(i))
      let up = y * Double.load(inputs.positive.at(i))
      let down = 1 - y
      let l = times(w, plus(times(up, sides.lossAt1), times(down, sides.lossAt0)))
      own.add(l.hi, l.lo, min(step, span.count &- i))
      let size = l.hi.replacing(with: zero - l.hi, where: l.hi .< 0)
      isOdd.replace(with: -1, where: .!(size .< 0x1p900) .| ((size .< 0x1p-900) .& (size .!= 0)))
      Double.store(l.hi + l.lo, losses + i)
      if hasGrad {
        let difference = plus(times(down, sides.s), times(zero - up, sides.other))
        let g = times(Double.load(inputs.upstream.at(i)), times(w, difference)) / divisor
        Double.store(g.hi.replacing(with: g.hi + g.lo, where: g.lo .== g.lo), grads + i)
      }
      i &+= step
    }
    if isOdd == SIMD8() {
      sum.add(own.high, own.low)
    } else {
      i = 0
      while i < span.count {
        accumulate(losses[i], 0)
        i &+= 1
      }
    }
    put(span)
  }
}

extension LaneSum {
  /// `add` for the first `count` lanes.
  @inline(__always) mutating func add(_ value: Doubles, _ rest: Doubles, _ count: Int) {
    if count == step { add(value, rest) } else { addFew(value, rest, count) }
  }

  @inline(never) private mutating func addFew(_ value: Doubles, _ rest: Doubles, _ count: Int) {
    var value = value
    var rest = rest
    var lane = count
    while lane < step {
      value[lane] = 0
      rest[lane] = 0
      lane &+= 1
    }
    add(value, rest)
  }
}
