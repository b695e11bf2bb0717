// exp and log of eight f64 at a time. Only +, −, ×, ÷, fma and integer operations: the same bits on every machine,
// which no libm promises.

let log2e = 0x1.71547652b82fep0  // 1 / ln 2
let ln2Hi = 0x1.62e42fef8p-1  // 35 bits: its product with a whole number below 2^18 is exact
let ln2Lo = 0x1.1cf79abc9e3b4p-36  // ln 2 − ln2Hi, to 2^-89

/// exp(x) = (1 + …) held as hi + lo, times 2^n.
struct Exponential {
  /// hi + lo in [0.7, 1.42], within 1.5·2^-56 of exact.
  var value: Pair
  /// x·log2(e) rounded, plus the magic number: its low bits are n as an integer.
  var biased: Doubles
}

/// exp(x + xLow), |x| ≤ 2^16.5, |xLow| tiny.
///
/// n = round(x / ln 2), r = x − n·ln 2 as r + rLow (|r| ≤ 0.347), then exp(r) = 1 + r + r²·q(r) with the Taylor series
/// to r¹³ (truncation 2^-58), the two leading additions without loss (Dekker 1971).
#if XENT_FMA
  @inline(__always)
#else
  @inline(never)  // Out of line, because fma is not one instruction: see Lanes.swift.
#endif
func exponential(_ x: Doubles, _ xLow: Doubles, magic: Doubles) -> Exponential {
  let biased = fma(x, Doubles(repeating: log2e), magic)
  let n = biased - magic
  let y = fma(n, Doubles(repeating: -ln2Hi), x)
  let r = fma(n, Doubles(repeating: -ln2Lo), y)
  let rLow = fma(n, Doubles(repeating: -ln2Lo), y - r) + xLow
  var q = Doubles(repeating: 0x1.6124613a86d09p-33)
  q = fma(q, r, Doubles(repeating: 0x1.1eed8eff8d898p-29))
  q = fma(q, r, Doubles(repeating: 0x1.ae64567f544e4p-26))
  q = fma(q, r, Doubles(repeating: 0x1.27e4fb7789f5cp-22))
  q = fma(q, r, Doubles(repeating: 0x1.71de3a556c734p-19))
  q = fma(q, r, Doubles(repeating: 0x1.a01a01a01a01ap-16))
  q = fma(q, r, Doubles(repeating: 0x1.a01a01a01a01ap-13))
  q = fma(q, r, Doubles(repeating: 0x1.6c16c16c16c17p-10))
  q = fma(q, r, Doubles(repeating: 0x1.1111111111111p-7))
  q = fma(q, r, Doubles(repeating: 0x1.5555555555555p-5))
  q = fma(q, r, Doubles(repeating: 0x1.5555555555555p-3))
  q = fma(q, r, Doubles(repeating: 0.5))
  let curve = fma(r * r, q, fma(rLow, r, rLow))
  let tail = r + curve
  let tailLow = (r - tail) + curve
  let hi = tail + 1
  return Exponential(value: Pair(hi, (tail - (hi - 1)) + tailLow), biased: biased)
}

/// `exponential` for f32 results: hi alone, within 2^-45 (minimax), of sixteen. The polynomial is summed in pairs and pairs of
/// pairs (Estrin): what counts where this is used is how long its chain is.
#if XENT_FMA
  @inline(__always)
#else
  @inline(never)
#endif
func exponentialOfNarrow(_ x: Halves) -> (value: Halves, exponent: Halves) {
  let magic = Halves(repeating: 0x1.8p52)
  let n = fma(x, Halves(repeating: log2e), magic) - magic
  let r = fma(n, Halves(repeating: -ln2Lo), fma(n, Halves(repeating: -ln2Hi), x))
  @inline(__always) func pair(_ even: Double, _ odd: Double) -> Halves { fma(Halves(repeating: odd), r, Halves(repeating: even)) }
  let square = r * r
  let low = fma(
    pair(0x1.55555581a1ff8p-5, 0x1.1111112f9b639p-7), square, pair(0x1.ffffffffee97dp-2, 0x1.555555554c989p-3))
  let high = fma(
    pair(0x1.a1748ff418b52p-16, 0x1.7307bdb5c50a0p-19), square, pair(0x1.6c1635be43685p-10, 0x1.a0196e4b73609p-13))
  return (fma(square, fma(square * square, high, low), r) + 1, n)
}

/// exp(x + xLow) as a pair and a whole exponent, |x| ≤ 2^16.5, xLow up to an ulp of x: 2^-44 where x is −700. So it is a
/// factor 1 + xLow of the result, and no part of r, where its product with exp(r) − 1 − r would be lost, 30 ulps of it.
@inline(never) func exponential(_ x: Doubles, _ xLow: Doubles = Doubles()) -> (value: Pair, exponent: Doubles) {
  let magic = Doubles(repeating: 0x1.8p52)
  let e = exponential(x, Doubles(), magic: magic)
  let moved = Pair(normalizing: e.value.hi, fma(e.value.hi, xLow, e.value.lo))
  let isExact = xLow .== 0
  return (
    Pair(moved.hi.replacing(with: e.value.hi, where: isExact), moved.lo.replacing(with: e.value.lo, where: isExact)),
    e.biased - magic
  )
}

/// offset + log((u.hi + u.lo)·2^exponent), u.hi positive and normal, exponent whole and below 2^17; absolute error
/// below 2^-55, relative error below 2^-54 where u is near 1 and offset and exponent are 0.
///
/// u = 2^k·m with m in [√½, √2), f = m − 1, s = f / (2 + f): log m = f − (f²/2 − s·(f²/2 + R(s²))), R as in fdlibm's
/// e_log.c (Sun Microsystems 1993, error 2^-58.45); f²/2 and the outer difference are carried with what they lose.
@inline(__always) func logarithm(_ u: Pair, exponent: Doubles, offset: Pair) -> Pair {
  let (m, steps) = aroundOne(u.hi)
  let f = m - 1
  let k = steps + exponent
  let s = f / (f + 2)
  let w = s * s
  var p = Doubles(repeating: 1.479819860511658591e-01)
  p = fma(p, w, Doubles(repeating: 1.531383769920937332e-01))
  p = fma(p, w, Doubles(repeating: 1.818357216161805012e-01))
  p = fma(p, w, Doubles(repeating: 2.222219843214978396e-01))
  p = fma(p, w, Doubles(repeating: 2.857142874366239149e-01))
  p = fma(p, w, Doubles(repeating: 3.999999999940941908e-01))
  p = fma(p, w, Doubles(repeating: 6.666666666666735130e-01))
  let half = f * 0.5
  let square = half * f
  let squareLow = fma(half, f, -square)
  let bend = square - s * fma(w, p, square)
  let head = f - bend
  let headLow = ((f - head) - bend) - squareLow + u.lo / u.hi
  let (high, highLow) = twoSum(k * ln2Hi, head)
  let (sum, sumLow) = twoSum(offset.hi, high)
  return Pair(normalizing: sum, sumLow + (highLow + (fma(k, Doubles(repeating: ln2Lo), headLow) + offset.lo)))
}

/// log((1 + z)·2^exponent) for f32 results, of sixteen: `sum` is 1 + z, rounded, or any positive number where z is not below
/// 0.4. The same with f64's own roundings, relative error 2^-44 (minimax), and z itself for f where that is what it is.
@inline(__always) func logarithmOfNarrow(_ sum: Halves, _ z: Halves, exponent: Halves) -> Halves {
  let (lowM, lowK) = aroundOne(sum.low)
  let (highM, highK) = aroundOne(sum.high)
  let k = Halves(lowK, highK) + exponent
  let f = chosen(z .< 0.4, z, else: Halves(lowM, highM) - 1)
  let s = f / (f + 2)
  let w = s * s
  let wSquare = w * w
  @inline(__always) func pair(_ even: Double, _ odd: Double) -> Halves { fma(Halves(repeating: odd), w, Halves(repeating: even)) }
  let high = fma(
    wSquare, Halves(repeating: 0x1.911592430f537p-3), pair(0x1.249411f0122a7p-2, 0x1.c62b143b437c0p-3))
  let p = fma(wSquare, high, pair(0x1.555555561e46cp-1, 0x1.999996a943f88p-2))
  let square = f * f * 0.5
  return fma(k, Halves(repeating: 0x1.62e42fefa39efp-1), fma(s, fma(w, p, square), f - square))
}

/// v / 2^k in [√½, √2), and k.
@inline(__always) private func aroundOne(_ v: Doubles) -> (m: Doubles, k: Doubles) {
  let bits = unsafeBitCast(v, to: SIMD8<Int64>.self)
  let steps = (bits &- 0x3FE6_A09E_667F_3BCD) &>> 52
  // A small integer to f64: no level below v4 has the instruction.
  let k = unsafeBitCast(steps &+ 0x4338_0000_0000_0000, to: Doubles.self) - 0x1.8p52
  return (unsafeBitCast(bits &- (steps &<< 52), to: Doubles.self), k)
}
