// Binary cross-entropy with logits, element by element, in f64 (most of an f32 exponential in f32), and for f64 in pairs:
//
//   log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))      a sum of two numbers that are not negative
//   1/(1 + exp(−x)) and exp(−x)/(1 + exp(−x)) both from exp(−|x|) ≤ 1: neither is 1 minus the other

import CXent
import CXentSystem

/// Of eight logits: −log s(x), −log (1 − s(x)), and s and 1 − s themselves, where a gradient is wanted.
private struct Sides {
  var lossAt1, lossAt0, s, other: Pair
}

@inline(never) private func sides(_ x: Doubles, hasGrad: Bool) -> Sides {
  let zero = Doubles()
  let one = Doubles(repeating: 1)
  let isNegative = x .< 0
  let magnitude = x.replacing(with: -x, where: isNegative)
  let magic = Doubles(repeating: 0x1.8p52)
  let e = exponential(clamped(-magnitude, -1400, 0), zero, magic: magic)
  let exponent = e.biased - magic
  // In two steps: below 2^-1000 the results may be subnormal.
  let near = clamped(exponent, -1000, 0)
  let scale = powerOfTwo(near)
  let scale2 = powerOfTwo(clamped(exponent - near, -1000, 0))
  let small = Pair(e.value.hi * scale, e.value.lo * scale)
  let (sum, lost) = twoSum(one, small.hi)
  let both = Pair(normalizing: sum, lost + small.lo)
  var curve = logarithm(both, exponent: zero, offset: Pair(zero, zero))
  let far = exponent .< -100
  curve.hi.replace(with: small.hi * scale2, where: far)
  curve.lo.replace(with: zero, where: far)
  var large = Pair(zero, zero)
  var little = large
  if hasGrad {
    large = Pair(one, zero) / both
    little = small / both
    little.hi.replace(with: small.hi * scale2, where: far)
    little.lo.replace(with: zero, where: far)
  }

  let (high, highLow) = twoSum(magnitude, curve.hi)
  let steepLow = (highLow + curve.lo).replacing(with: zero, where: magnitude .== .infinity)
  let steep = Pair(high, steepLow)
  @inline(__always) func choose(_ negative: Pair, _ positive: Pair) -> Pair {
    var hi = positive.hi.replacing(with: negative.hi, where: isNegative)
    hi.replace(with: x, where: x .!= x)
    return Pair(hi, positive.lo.replacing(with: negative.lo, where: isNegative))
  }
  return Sides(
    lossAt1: choose(steep, curve), lossAt0: choose(curve, steep), s: choose(little, large),
    other: choose(large, little))
}

/// factor·value, and 0 where the factor is 0, but for NaN.
#if XENT_FMA
  @inline(__always)
#else
  @inline(never)
#endif
private func times(_ factor: Doubles, _ value: Pair) -> Pair {
  let zero = Doubles()
  let product = factor * value.hi
  let low = fma(factor, value.hi, -product) + factor * value.lo
  let isNothing = (factor .== 0) .& (value.hi .== value.hi)
  let isOdd = isNothing .| (product - product .!= 0)
  return Pair(product.replacing(with: zero, where: isNothing), low.replacing(with: zero, where: isOdd))
}

#if XENT_FMA
  @inline(__always)
#else
  @inline(never)
#endif
private func plus(_ a: Pair, _ b: Pair) -> Pair {
  let (sum, lost) = twoSum(a.hi, b.hi)
  let low = lost + (a.lo + b.lo)
  return Pair(sum, low.replacing(with: Doubles(), where: sum - sum .!= 0))
}

/// Of eight logits of any size what f32 and 16-bit results are made of.
private struct Narrow {
  /// |x|, and exp(−|x|) within 2^-52 relatively; a NaN is one in both.
  let magnitude, exponential: Doubles
  let isNegative: SIMDMask<SIMD8<Int64>>
  /// Where exp(−|x|) is near 1, exp(−|x|) − 1, again within 2^-52 relatively.
  let isNear: SIMDMask<SIMD8<Int64>>
  let lessOne: Doubles

  #if XENT_FMA
    @inline(__always)
  #else
    @inline(never)
  #endif
  init(_ x: Doubles) {
    isNegative = x .< 0
    magnitude = unsafeBitCast(unsafeBitCast(x, to: SIMD8<UInt64>.self) & 0x7FFF_FFFF_FFFF_FFFF, to: Doubles.self)
    let isFar = magnitude .> 708
    let y = (-magnitude).replacing(with: -708, where: isFar)
    // 2^n·exp(r) as in Exponential.swift. Minimax, error 2^-56; the magic number's low bits are n with an exponent's bias.
    let magic = Doubles(repeating: 0x1.8p52 + 1023)
    let biased = fma(y, Doubles(repeating: log2e), magic)
    let n = biased - magic
    let r = fma(n, Doubles(repeating: -ln2Lo), fma(n, Doubles(repeating: -ln2Hi), y))
    // Even and odd powers apart, here and below: two short chains of operations instead of a long one.
    let rr = r * r
    var even = Doubles(repeating: 0x1.289186d6aea07p-22)
    var odd = Doubles(repeating: 0x1.af632ad6abee8p-26)
    even = fma(even, rr, Doubles(repeating: 0x1.a019b90bc3fbdp-16))
    odd = fma(odd, rr, Doubles(repeating: 0x1.71ddf6b3f10d1p-19))
    even = fma(even, rr, Doubles(repeating: 0x1.6c16c1788c44dp-10))
    odd = fma(odd, rr, Doubles(repeating: 0x1.a01a01b00c2c6p-13))
    even = fma(even, rr, Doubles(repeating: 0x1.5555555553d62p-5))
    odd = fma(odd, rr, Doubles(repeating: 0x1.111111110f803p-7))
    even = fma(even, rr, Doubles(repeating: 0.5))
    odd = fma(odd, rr, Doubles(repeating: 0x1.5555555555558p-3))
    lessOne = fma(rr, fma(odd, r, even), r)
    isNear = n .== 0
    let scale = unsafeBitCast(unsafeBitCast(biased, to: SIMD8<UInt64>.self) &<< 52, to: Doubles.self)
    let t = fma(scale, lessOne, scale).replacing(with: 0, where: isFar)
    exponential = t
  }

  /// log1p(exp(−|x|)), within 2^-40 relatively.
  @inline(__always) var logarithm: Doubles {
    // log1p(t) / t on [0, 1]: minimax, error 2^-40.9.
    let t = exponential
    let tt = t * t
    var even = Doubles(repeating: 0x1.5d51a9ff21c4bp-12)
    var odd = Doubles(repeating: -0x1.75eeed47c103ep-9)
    even = fma(even, tt, Doubles(repeating: 0x1.787b40d8ce9fdp-7))
    odd = fma(odd, tt, Doubles(repeating: -0x1.e07274f9d9cf8p-6))
    even = fma(even, tt, Doubles(repeating: 0x1.bd83d434f365fp-5))
    odd = fma(odd, tt, Doubles(repeating: -0x1.49d7b84852d24p-4))
    even = fma(even, tt, Doubles(repeating: 0x1.a688d99db70ccp-4))
    odd = fma(odd, tt, Doubles(repeating: -0x1.f610867e8a2dcp-4))
    even = fma(even, tt, Doubles(repeating: 0x1.2378f1d9470d2p-3))
    odd = fma(odd, tt, Doubles(repeating: -0x1.5529df1d81576p-3))
    even = fma(even, tt, Doubles(repeating: 0x1.999528fee9a29p-3))
    odd = fma(odd, tt, Doubles(repeating: -0x1.ffffb964f179bp-3))
    even = fma(even, tt, Doubles(repeating: 0x1.5555542d234c1p-2))
    odd = fma(odd, tt, Doubles(repeating: -0x1.fffffffc256c4p-2))
    even = fma(even, tt, Doubles(repeating: 0x1.fffffffffeee1p-1))
    return fma(odd, t, even) * t
  }

  /// up·(−log s) + down·(−log(1 − s)), s and 1 − s the two sides.
  @inline(__always) func loss(_ up: Doubles, _ down: Doubles) -> Doubles {
    let head = times(down.replacing(with: up, where: isNegative), magnitude)
    return fma(up + down, logarithm, head)
  }

  /// down·s − up·(1 − s). Where the two are of one size exp(−|x|) is near 1, or the labels' own digits keep them apart.
  @inline(__always) func slope(_ up: Doubles, _ down: Doubles) -> Doubles {
    let factor = (-up).replacing(with: down, where: isNegative)
    var rest = down.replacing(with: -up, where: isNegative)
    rest.replace(with: down - up, where: isNear)
    var small = exponential
    small.replace(with: lessOne, where: isNear)
    return fma(factor, small, rest) / (exponential + Doubles(repeating: 1))
  }
}

/// factor·value, and 0 where the factor is 0, but for NaN.
@inline(__always) private func times(_ factor: Doubles, _ value: Doubles) -> Doubles {
  (factor * value).replacing(with: 0, where: (factor .== 0) .& (value .== value))
}

/// Of sixteen logits up to `farthest` from 0 what f32 and 16-bit results are made of; a NaN is one in all of it.
private struct Ordinary {
  /// Beyond it the exponential in f32 would be subnormal.
  static var farthest: Float { 86 }

  /// γ·exp(−|x|) within 0.113·2^-24 relatively, γ as in Float.term.
  let exponential: Halves
  /// log1p(exp(−|x|)) divided by that, within 2^-30.3.
  let curve: Halves

  #if XENT_FMA
    @inline(__always)
  #else
    @inline(never)
  #endif
  init(_ away: Floats) {
    let term = Float.term(away, Floats(repeating: Window<Float>(shift: 0).magic))
    func exponential(_ half: Int) -> Doubles {
      let scale = Float.widened(term.scale, half)
      return fma(scale, Float.widened(term.minor, half), scale)
    }
    self.exponential = Halves(exponential(0), exponential(1))
    curve = Halves(Ordinary.curve(self.exponential.low), Ordinary.curve(self.exponential.high))
  }

  /// Whether logits are as near and labels as hard as that.
  @inline(never) static func areAll(_ largest: Floats, _ softest: Floats) -> Bool {
    Float.largestLane(largest) <= farthest && Float.largestLane(softest) == 0
  }

  /// log1p(t / γ) / t on [0, γ]: minimax by Remez's algorithm, error 2^-30.3. Even and odd powers apart, as above.
  @inline(__always) private static func curve(_ t: Doubles) -> Doubles {
    let tt = t * t
    var even = Doubles(repeating: 0x1.a621caa33acd6p-11)
    var odd = Doubles(repeating: -0x1.7b0811c81b68dp-8)
    even = fma(even, tt, Doubles(repeating: 0x1.3edca5964cc8bp-6))
    odd = fma(odd, tt, Doubles(repeating: -0x1.58adf3f32f0cap-5))
    even = fma(even, tt, Doubles(repeating: 0x1.1a5f17252165ep-4))
    odd = fma(odd, tt, Doubles(repeating: -0x1.8e55ce0273026p-4))
    even = fma(even, tt, Doubles(repeating: 0x1.0b8ce76069155p-3))
    odd = fma(odd, tt, Doubles(repeating: -0x1.6d95c6e0382d8p-3))
    even = fma(even, tt, Doubles(repeating: 0x1.093afe94ea10fp-2))
    odd = fma(odd, tt, Doubles(repeating: -0x1.b0c0a73aeed1ap-2))
    even = fma(even, tt, Doubles(repeating: 0x1.d6b629e3f0747p-1))
    return fma(odd, t, even)
  }
}

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

/// Where a strip begins, and how many elements it has, over the ends of rows.
private struct Span {
  var row, c, count: Int
}

/// One of the numbers that each element has: where there is no such tensor, the same for all.
private struct Operand<E: Element> {
  let start: UnsafePointer<E>
  let isOne: Bool

  @inline(__always) func at(_ i: Int) -> UnsafePointer<E> { isOne ? start : start + i }
}

/// What goes into a strip.
private struct Inputs<E: Element> {
  let x, y: UnsafePointer<E>
  let weight, positive, upstream: Operand<E>
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

extension xentk_array {
  /// Calls `body` for each part of a span whose elements are one stride apart: for all of it where rows follow rows so.
  @inline(__always) private func forEachPart(
    _ rows: Rows, _ span: Span, _ body: (_ p: UnsafeMutableRawPointer, _ i: Int, _ count: Int) -> Void
  ) {
    let row = rows.classes &* Int(class_stride)
    let inner = Int(rows.problem.pointee.inner)
    let isEven = (inner == 1 || Int(inner_stride) == row) && Int(outer_stride) == inner &* row
    var (number, c, i) = (span.row, span.c, 0)
    while i < span.count {
      let n = isEven ? span.count : min(span.count &- i, rows.classes &- c)
      body(address(rows.position(number), c), i, n)
      (number, c, i) = (number &+ 1, 0, i &+ n)
    }
  }

  /// A strip's elements where they lie, or fetched, with zeros to the end of the last step.
  @inline(never) fileprivate func strip<E: Element>(
    _ rows: Rows, _ span: Span, into room: UnsafeMutablePointer<E>
  ) -> Operand<E> {
    guard isGiven else {
      let ones = UnsafeMutableRawPointer(xentk_strip(rows.workspace, 0)).assumingMemoryBound(to: E.self)
      return Operand(start: ones, isOne: true)
    }
    let end = E.wholeSteps(span.count)
    var start = UnsafePointer(room)
    forEachPart(rows, span) { p, i, n in
      if n == end && class_stride == 1 && Int(dtype) == E.dtype {
        start = UnsafePointer(p.assumingMemoryBound(to: E.self))
      } else {
        E.gather(UnsafeRawPointer(p), Int(dtype), stride: Int(class_stride), n, into: room + i)
      }
    }
    var i = span.count
    while i < end {
      room[i] = 0
      i &+= 1
    }
    return Operand(start: start, isOne: false)
  }

  @inline(never) fileprivate func prefetch(_ rows: Rows, _ span: Span) {
    guard class_stride == 1 else { return }
    forEachPart(rows, span) { p, _, n in
      prefetchLines(p, n &* Int(size))
    }
  }

  /// Rounds a strip's results to the tensor.
  @inline(never) fileprivate func put(_ rows: Rows, _ span: Span, _ source: UnsafeMutablePointer<Double>) {
    forEachPart(rows, span) { p, i, n in
      var done = 0
      if Int(dtype) == XENT_F32 && class_stride == 1 {
        while done &+ step <= n {
          xentk_store_8floats(p + (done &* 4), xentk_floats(Double.load(source + i + done)))
          done &+= step
        }
      }
      Double.scatter(
        UnsafePointer(source + i + done), n &- done, to: p + (done &* Int(class_stride) &* Int(size)), Int(dtype),
        stride: Int(class_stride))
    }
  }
}
