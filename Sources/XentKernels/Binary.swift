// Binary cross-entropy with logits, element by element, in f64, and for f64 in pairs of them:
//
//   log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))      a sum of two numbers that are not negative
//   1/(1 + exp(−x)) and exp(−x)/(1 + exp(−x)) both from exp(−|x|) ≤ 1: neither is 1 minus the other

import CXent
import CXentSystem

/// Of eight logits: −log s(x), −log (1 − s(x)), and s and 1 − s themselves.
private struct Sides {
  var lossAt1, lossAt0, s, other: Pair
}

@inline(never) private func sides(_ x: Doubles) -> Sides {
  let zero = Doubles()
  let one = Doubles(repeating: 1)
  let isNegative = x .< 0
  let magnitude = x.replacing(with: -x, where: isNegative)
  let e = exponential(clamped(-magnitude, -1400, 0))
  // In two steps: below 2^-1000 the results may be subnormal.
  let near = clamped(e.exponent, -1000, 0)
  let scale = powerOfTwo(near)
  let scale2 = powerOfTwo(clamped(e.exponent - near, -1000, 0))
  let small = Pair(e.value.hi * scale, e.value.lo * scale)
  let (sum, lost) = twoSum(one, small.hi)
  let both = Pair(normalizing: sum, lost + small.lo)
  var curve = logarithm(both, exponent: zero, offset: Pair(zero, zero))
  let far = e.exponent .< -100
  curve.hi.replace(with: small.hi * scale2, where: far)
  curve.lo.replace(with: zero, where: far)
  let large = Pair(one, zero) / both
  var little = small / both
  little.hi.replace(with: small.hi * scale2, where: far)
  little.lo.replace(with: zero, where: far)

  let (high, highLow) = twoSum(magnitude, curve.hi)
  let steepLow = (highLow + curve.lo).replacing(with: zero, where: magnitude .== .infinity)
  let steep = Pair(high, steepLow)
  func choose(_ negative: Pair, _ positive: Pair) -> Pair {
    var hi = positive.hi.replacing(with: negative.hi, where: isNegative)
    hi.replace(with: x, where: x .!= x)
    return Pair(hi, positive.lo.replacing(with: negative.lo, where: isNegative))
  }
  return Sides(
    lossAt1: choose(steep, curve), lossAt0: choose(curve, steep), s: choose(little, large),
    other: choose(large, little))
}

/// factor·value, and 0 where the factor is 0, but for NaN.
@inline(__always) private func times(_ factor: Doubles, _ value: Pair) -> Pair {
  let zero = Doubles()
  let product = factor * value.hi
  let low = fma(factor, value.hi, -product) + factor * value.lo
  let isNothing = (factor .== 0) .& (value.hi .== value.hi)
  let isOdd = isNothing .| (product - product .!= 0)
  return Pair(product.replacing(with: zero, where: isNothing), low.replacing(with: zero, where: isOdd))
}

@inline(__always) private func plus(_ a: Pair, _ b: Pair) -> Pair {
  let (sum, lost) = twoSum(a.hi, b.hi)
  let low = lost + (a.lo + b.lo)
  return Pair(sum, low.replacing(with: Doubles(), where: sum - sum .!= 0))
}

/// Of eight logits what f32 and 16-bit results are made of.
private struct Narrow {
  /// |x|, exp(−|x|) within 2^-52 and log1p of that within 2^-40, relatively; a NaN is one in all three.
  let magnitude, exponential, logarithm: Doubles
  let isNegative: SIMDMask<SIMD8<Int64>>
  /// Where exp(−|x|) is near 1, exp(−|x|) − 1, again within 2^-52 relatively.
  let isNear: SIMDMask<SIMD8<Int64>>
  let lessOne: Doubles

  @inline(__always) init(_ x: Doubles) {
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
    // log1p(t) / t on [0, 1]: minimax, error 2^-40.9.
    let tt = t * t
    even = Doubles(repeating: 0x1.5d51a9ff21c4bp-12)
    odd = Doubles(repeating: -0x1.75eeed47c103ep-9)
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
    logarithm = fma(odd, t, even) * t
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

@inline(never) func binaryCrossEntropy(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows(problem, workspace)
  var number = Int(first)
  while number < Int(last) {
    let row = rows.position(number)
    if rows.target(row).counts {
      binaryRow(rows, row, loss)
    } else {
      if problem.pointee.row_loss.isGiven { rows.sink(problem.pointee.row_loss, row).fill(with: 0) }
      if problem.pointee.grad.isGiven { rows.sink(problem.pointee.grad, row).fill(with: 0) }
    }
    number &+= 1
  }
}

@inline(never) private func binaryRow(_ rows: Rows, _ row: Position, _ loss: UnsafeMutablePointer<xentk_loss>) {
  let problem = rows.problem
  let strips = Strips(rows.workspace)
  let hasGrad = problem.pointee.grad.isGiven
  let logits = rows.source(problem.pointee.input, row)
  let lossSink = problem.pointee.row_loss.isGiven ? rows.sink(problem.pointee.row_loss, row) : nil
  let gradSink = hasGrad ? rows.sink(problem.pointee.grad, row) : nil
  // What is not given is the same number everywhere: once is enough.
  problem.pointee.weight.spread(1, over: strips.weight)
  problem.pointee.pos_weight.spread(1, over: strips.positive)
  problem.pointee.grad_loss.spread(1, over: strips.upstream)
  var sum = LaneSum()
  rows.forEachStrip { first, count in
    logits.given(first, count, into: strips.x)
    problem.pointee.targets.strip(row, first, count, into: strips.y)
    problem.pointee.weight.strip(row, first, count, into: strips.weight)
    problem.pointee.pos_weight.strip(row, first, count, into: strips.positive)
    problem.pointee.grad_loss.strip(row, first, count, into: strips.upstream)
    if rows.isWide {
      strips.work(
        count, &sum, hasGrad,
        Pair(Doubles(repeating: problem.pointee.divisor_hi), Doubles(repeating: problem.pointee.divisor_lo)))
    } else {
      strips.workNarrow(count, &sum, hasGrad, share: 1 / problem.pointee.divisor_hi)
    }
    lossSink?.putNarrow(strips.loss, first, count)
    gradSink?.putNarrow(strips.grad, first, count)
  }
  let total = sum.total
  xentk_accumulate(loss, total.hi, total.lo, 0)
}

/// Up to 64 elements of a row on their way: what goes in, and what comes out.
private struct Strips {
  let x, y, weight, positive, upstream, loss, grad: UnsafeMutablePointer<Double>

  @inline(__always) init(_ workspace: UnsafeMutablePointer<xentk_workspace>) {
    x = xentk_strip(workspace, 0)
    y = xentk_strip(workspace, 1)
    weight = xentk_strip(workspace, 2)
    positive = xentk_strip(workspace, 3)
    upstream = xentk_strip(workspace, 4)
    loss = xentk_strip(workspace, 5)
    grad = xentk_strip(workspace, 6)
  }

  // All eight also of the last step, where they are fewer: the others are written where nobody reads.

  @inline(never) func work(_ count: Int, _ sum: inout LaneSum, _ hasGrad: Bool, _ divisor: Pair) {
    var i = 0
    while i < count {
      let sides = sides(Double.load(x + i))
      let label = Double.load(y + i)
      let w = Double.load(weight + i)
      let up = label * Double.load(positive + i)
      let down = 1 - label
      let l = times(w, plus(times(up, sides.lossAt1), times(down, sides.lossAt0)))
      sum.add(l.hi, l.lo, min(step, count &- i))
      Double.store(l.hi + l.lo, loss + i)
      if hasGrad {
        let difference = plus(times(down, sides.s), times(-up, sides.other))
        let g = times(Double.load(upstream + i), times(w, difference)) / divisor
        Double.store(g.hi.replacing(with: g.hi + g.lo, where: g.lo .== g.lo), grad + i)
      }
      i &+= step
    }
  }

  @inline(never) func workNarrow(_ count: Int, _ sum: inout LaneSum, _ hasGrad: Bool, share: Double) {
    let share = Doubles(repeating: share)
    var losses = sum  // in registers
    var i = 0
    while i < count {
      let sides = Narrow(Double.load(x + i))
      let label = Double.load(y + i)
      let w = Double.load(weight + i)
      let up = label * Double.load(positive + i)
      let down = 1 - label
      let l = times(w, sides.loss(up, down))
      losses.add(l, Doubles(), min(step, count &- i))
      Double.store(l, loss + i)
      if hasGrad {
        let g = times(Double.load(upstream + i), times(w, sides.slope(up, down)))
        Double.store(g * share, grad + i)
      }
      i &+= step
    }
    sum = losses
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

extension Sink {
  /// `put`, eight at a time to f32 where they lie together.
  @inline(never) fileprivate func putNarrow(_ source: UnsafeMutablePointer<Double>, _ first: Int, _ count: Int) {
    guard Int(dtype) == XENT_F32, stride == 1 else { return put(UnsafePointer(source), first, count) }
    let p = start + first &* size
    forEachStep(count) { i, n in
      if n == step {
        (p + i &* size).storeBytes(of: xentk_floats(Double.load(source + i)), as: SIMD8<Float>.self)
      } else {
        put(UnsafePointer(source + i), first &+ i, n)
      }
    }
  }
}

extension xentk_array {
  /// A strip of one number where there is no such tensor.
  @inline(never) fileprivate func spread(_ value: Double, over out: UnsafeMutablePointer<Double>) {
    if !isGiven { forEachStep(Int(XENTK_STRIP)) { i, _ in Double.store(Doubles(repeating: value), out + i) } }
  }

  /// Up to a strip of classes in f64, where there is such a tensor.
  @inline(never) fileprivate func strip(
    _ row: Position, _ first: Int, _ count: Int, into out: UnsafeMutablePointer<Double>
  ) {
    if isGiven {
      Double.gather(UnsafeRawPointer(address(row, first)), dtype, stride: Int(class_stride), count, into: out)
    }
  }
}
