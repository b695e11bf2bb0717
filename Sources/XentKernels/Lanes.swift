// 64 bytes in the registers at every CPU level, 16 f32 or 8 f64: the width is part of the result (it fixes the order of
// the additions), the registers that hold it are not. Everything here is inlined; a function that is not would be shared
// between CPU levels by the linker, and the standard library's own .max(), .sum() and any() are such functions.

import CXentSystem

typealias Floats = SIMD16<Float>
typealias Doubles = SIMD8<Double>

// Chosen instead of the standard library's, as they are for these types alone; those take a mask to pieces, and each lane's by
// itself, where the compiler does not see through it.

extension SIMD8 where Scalar == Double {
  @inline(__always) func replacing(with other: Self, where mask: SIMDMask<SIMD8<Int64>>) -> Self {
    xentk_select_doubles(self, other, unsafeBitCast(mask, to: SIMD8<Int64>.self))
  }
  @inline(__always) func replacing(with other: Double, where mask: SIMDMask<SIMD8<Int64>>) -> Self {
    replacing(with: Self(repeating: other), where: mask)
  }
  @inline(__always) mutating func replace(with other: Self, where mask: SIMDMask<SIMD8<Int64>>) {
    self = replacing(with: other, where: mask)
  }
  @inline(__always) mutating func replace(with other: Double, where mask: SIMDMask<SIMD8<Int64>>) {
    self = replacing(with: other, where: mask)
  }
}

extension SIMD8 where Scalar == Int64 {
  @inline(__always) func replacing(with other: Self, where mask: SIMDMask<SIMD8<Int64>>) -> Self {
    xentk_select_longs(self, other, unsafeBitCast(mask, to: SIMD8<Int64>.self))
  }
  @inline(__always) func replacing(with other: Int64, where mask: SIMDMask<SIMD8<Int64>>) -> Self {
    replacing(with: Self(repeating: other), where: mask)
  }
}

extension SIMD16 where Scalar == Float {
  @inline(__always) func replacing(with other: Self, where mask: SIMDMask<SIMD16<Int32>>) -> Self {
    xentk_select_floats(self, other, unsafeBitCast(mask, to: SIMD16<Int32>.self))
  }
}

extension SIMD16 where Scalar == Int32 {
  @inline(__always) mutating func replace(with other: Self, where mask: SIMDMask<SIMD16<Int32>>) {
    self = xentk_select_ints(self, other, unsafeBitCast(mask, to: SIMD16<Int32>.self))
  }
  @inline(__always) mutating func replace(with other: Int32, where mask: SIMDMask<SIMD16<Int32>>) {
    replace(with: Self(repeating: other), where: mask)
  }
}

#if XENT_FMA
  /// a·b + c, rounded once.
  @inline(__always) func fma(_ a: Doubles, _ b: Doubles, _ c: Doubles) -> Doubles { xentk_fma_doubles(a, b, c) }

  /// a·b + c, rounded once.
  @inline(__always) func fma(_ a: Floats, _ b: Floats, _ c: Floats) -> Floats { xentk_fma_floats(a, b, c) }
#else
  // Without the instruction a lane is a call of libm's fma. Kept out of line: it is too large to repeat.

  @inline(never) func fma(_ a: Doubles, _ b: Doubles, _ c: Doubles) -> Doubles { c.addingProduct(a, b) }

  /// For f32 there is better: in f64 the product is exact, and a sum rounded to odd (Boldo and Melquiond 2008) keeps
  /// all that the second rounding, to f32, needs in order to be right.
  @inline(never) func fma(_ a: Floats, _ b: Floats, _ c: Floats) -> Floats {
    xentk_join(fma(xentk_low(a), xentk_low(b), xentk_low(c)), fma(xentk_high(a), xentk_high(b), xentk_high(c)))
  }

  @inline(never) private func fma(_ a: SIMD8<Float>, _ b: SIMD8<Float>, _ c: SIMD8<Float>) -> SIMD8<Float> {
    let (sum, lost) = twoSum(xentk_doubles(a) * xentk_doubles(b), xentk_doubles(c))
    // Towards zero, then odd if anything was lost. Comparisons with a NaN are false: infinities and NaN stay as they
    // are.
    let above = lost .> 0
    let below = lost .< 0
    let outwards = ((sum .> 0) .& below) .| ((sum .< 0) .& above)
    let zero = SIMD8<Int64>()
    let inwards = unsafeBitCast(sum, to: SIMD8<Int64>.self) &+ zero.replacing(with: -1, where: outwards)
    let odd = inwards | zero.replacing(with: 1, where: above .| below)
    return xentk_floats(unsafeBitCast(odd, to: Doubles.self))
  }
#endif

/// The largest lane; a NaN is passed over where there is anything else.
@inline(__always) func largestOf(_ v: Doubles) -> Double { xentk_largest_double(v) }

typealias Mask = SIMDMask<SIMD8<Int64>>

@inline(__always) func chosen(_ mask: Mask, _ a: Doubles, else b: Doubles) -> Doubles { b.replacing(with: a, where: mask) }

@inline(__always) func isPositive(_ v: SIMD8<Int64>) -> Mask { unsafeBitCast(xentk_positive(v), to: Mask.self) }

@inline(__always) func isAny(_ mask: Mask) -> Bool {
  xentk_any_doubles(unsafeBitCast(whole(mask), to: SIMD8<Int64>.self)) != 0
}

/// The same mask; as `xentk_whole_mask` says.
@inline(__always) func whole(_ mask: Mask) -> Mask {
  unsafeBitCast(xentk_whole_mask(unsafeBitCast(mask, to: SIMD8<Int64>.self)), to: Mask.self)
}

/// Positive and finite; what is next to either end of f64's range may be taken for neither.
@inline(__always) func isPositiveAndFinite(_ v: Doubles) -> Mask {
  #if XENT_V4
    (v .> 0) .& (v .< .infinity)
  #else
    // Not by 0 and ∞: the compiler makes one test of these two, which takes ten instructions where none has it.
    whole(v .>= 0x1p-1020) .& whole(v .<= 0x1p1023)
  #endif
}

/// a + b as sum + lost, exactly (Knuth).
@inline(__always) func twoSum<V: SIMD>(_ a: V, _ b: V) -> (sum: V, lost: V) where V.Scalar == Double {
  let sum = a + b
  let part = sum - a
  return (sum, (a - (sum - part)) + (b - part))
}

/// a + b as sum + lost, exactly (Knuth).
@inline(__always) func twoSum(_ a: Double, _ b: Double) -> (sum: Double, lost: Double) {
  let sum = a + b
  let part = sum - a
  return (sum, (a - (sum - part)) + (b - part))
}

/// 2^exponent for whole numbers from −1022 to 1023, and for nothing else.
@inline(__always) func powerOfTwo(_ exponent: Doubles) -> Doubles {
  // The sum's low bits are exponent + 1023 as an integer; the shift moves them to where an exponent stands.
  unsafeBitCast(unsafeBitCast(exponent + (0x1.8p52 + 1023), to: SIMD8<UInt64>.self) &<< 52, to: Doubles.self)
}

@inline(__always) func powerOfTwo(_ exponent: Double) -> Double {
  Double(bitPattern: (exponent + (0x1.8p52 + 1023)).bitPattern &<< 52)
}

/// `v` held to [low, high]; a NaN becomes `low`.
@inline(__always) func clamped(_ v: Doubles, _ low: Double, _ high: Double) -> Doubles {
  xentk_smaller_doubles(Doubles(repeating: high), xentk_larger_doubles(Doubles(repeating: low), v))
}

/// A number as hi + lo, lane by lane, |lo| at most half a unit in the last place of hi.
struct Pair {
  var hi, lo: Doubles

  @inline(__always) init(_ hi: Doubles, _ lo: Doubles) {
    self.hi = hi
    self.lo = lo
  }

  /// hi + lo, where |hi| ≥ |lo| (Dekker).
  @inline(__always) init(normalizing hi: Doubles, _ lo: Doubles) {
    self.hi = hi + lo
    self.lo = lo - (self.hi - hi)
  }

  #if XENT_FMA
    @inline(__always)
  #else
    @inline(never)
  #endif
  static func * (a: Pair, b: Pair) -> Pair {
    let product = a.hi * b.hi
    let low = fma(a.hi, b.hi, -product) + fma(a.hi, b.lo, a.lo * b.hi)
    return Pair(normalizing: product, low)
  }

  /// Within 2^-104.
  @inline(never) static func / (a: Pair, b: Pair) -> Pair {
    let first = a.hi / b.hi
    let rest = fma(-first, b.hi, a.hi) + fma(-first, b.lo, a.lo)
    return Pair(normalizing: first, rest / b.hi)
  }
}

/// What there is of the first eight and of the last eight of 16; of eight there is nothing in `high`.
struct Both<Value> {
  var low, high: Value

  @inline(__always) init(_ low: Value, _ high: Value) {
    self.low = low
    self.high = high
  }
}

/// Sixteen lanes in f64. What is a chain of operations is done for all of them together: eight alone leave the processor
/// waiting for each.
typealias Halves = Both<Doubles>

extension Both where Value == Doubles {
  @inline(__always) init(repeating value: Double) {
    low = Doubles(repeating: value)
    high = low
  }

  @inline(__always) static func + (a: Halves, b: Halves) -> Halves { Halves(a.low + b.low, a.high + b.high) }
  @inline(__always) static func - (a: Halves, b: Halves) -> Halves { Halves(a.low - b.low, a.high - b.high) }
  @inline(__always) static func * (a: Halves, b: Halves) -> Halves { Halves(a.low * b.low, a.high * b.high) }
  @inline(__always) static func / (a: Halves, b: Halves) -> Halves { Halves(a.low / b.low, a.high / b.high) }
  @inline(__always) static func + (a: Halves, b: Double) -> Halves { a + Halves(repeating: b) }
  @inline(__always) static func - (a: Halves, b: Double) -> Halves { a - Halves(repeating: b) }
  @inline(__always) static func * (a: Halves, b: Double) -> Halves { a * Halves(repeating: b) }
  @inline(__always) static prefix func - (a: Halves) -> Halves { Halves(repeating: 0) - a }
  @inline(__always) static func .> (a: Halves, b: Double) -> Both<Mask> { Both<Mask>(a.low .> b, a.high .> b) }
  @inline(__always) static func .< (a: Halves, b: Double) -> Both<Mask> { Both<Mask>(a.low .< b, a.high .< b) }
  @inline(__always) static func .<= (a: Halves, b: Double) -> Both<Mask> { Both<Mask>(a.low .<= b, a.high .<= b) }
  @inline(__always) static func .== (a: Halves, b: Double) -> Both<Mask> { Both<Mask>(a.low .== b, a.high .== b) }
}

@inline(__always) func fma(_ a: Halves, _ b: Halves, _ c: Halves) -> Halves {
  Halves(fma(a.low, b.low, c.low), fma(a.high, b.high, c.high))
}

@inline(__always) func chosen(_ mask: Both<Mask>, _ a: Halves, else b: Halves) -> Halves {
  Halves(chosen(mask.low, a.low, else: b.low), chosen(mask.high, a.high, else: b.high))
}

@inline(__always) func powerOfTwo(_ exponent: Halves) -> Halves {
  Halves(powerOfTwo(exponent.low), powerOfTwo(exponent.high))
}

@inline(__always) func clamped(_ v: Halves, _ low: Double, _ high: Double) -> Halves {
  Halves(clamped(v.low, low, high), clamped(v.high, low, high))
}

@inline(__always) func magnitude(_ v: Doubles) -> Doubles {
  unsafeBitCast(unsafeBitCast(v, to: SIMD8<UInt64>.self) & (UInt64.max &>> 1), to: Doubles.self)
}

/// ⌊log2 |v|⌋ of normal numbers.
@inline(__always) func binaryExponent(_ v: Doubles) -> Doubles {
  let bits = (unsafeBitCast(v, to: SIMD8<UInt64>.self) &>> 52) & 0x7FF
  return unsafeBitCast(bits | 0x4330_0000_0000_0000, to: Doubles.self) - (0x1p52 + 1023)
}

/// Small whole numbers as f64, and back.
@inline(__always) func numbers(_ v: SIMD8<Int64>) -> Doubles {
  unsafeBitCast(v &+ 0x4338_0000_0000_0000, to: Doubles.self) - 0x1.8p52
}

@inline(__always) func wholeNumbers(_ v: Doubles) -> SIMD8<Int64> {
  unsafeBitCast(v + 0x1.8p52, to: SIMD8<Int64>.self) &- 0x4338_0000_0000_0000
}
