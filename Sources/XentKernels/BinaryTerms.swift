// What the binary loss and its gradient are made of, lane by lane.

import CXentSystem

/// Of eight logits: −log s(x), −log (1 − s(x)), and s and 1 − s themselves, where a gradient is wanted.
struct Sides {
  var lossAt1, lossAt0, s, other: Pair
}

@inline(never) func sides(_ x: Doubles, hasGrad: Bool) -> Sides {
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
func times(_ factor: Doubles, _ value: Pair) -> Pair {
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
func plus(_ a: Pair, _ b: Pair) -> Pair {
  let (sum, lost) = twoSum(a.hi, b.hi)
  let low = lost + (a.lo + b.lo)
  return Pair(sum, low.replacing(with: Doubles(), where: sum - sum .!= 0))
}

/// Of eight logits of any size what f32 and 16-bit results are made of.
struct Narrow {
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
@inline(__always) func times(_ factor: Doubles, _ value: Doubles) -> Doubles {
  (factor * value).replacing(with: 0, where: (factor .== 0) .& (value .== value))
}

/// Of sixteen logits up to `farthest` from 0 what f32 and 16-bit results are made of; a NaN is one in all of it.
struct Ordinary {
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
