// What a dtype brings: how one exponential is formed from the elements in the registers, and how sums of them leave these.

import CXent
import CXentSystem

/// Which exponentials are formed: exp(x)·2^shift·bias, `x` held up to `lowest` from below.
struct Window<E: Element> {
  /// Added to x·log2(e) it leaves the (shifted) exponent as an integer in the low bits.
  var magic: E
  /// Where the exponent would leave the format: smaller x are taken for it. They are 2^-240 or less of what matters.
  var lowest: E

  @inline(__always) init(shift: Double) {
    magic = E(rounding: E.magicBase + (E.exponentBias + shift) * E.magicStep)
    lowest = E(rounding: (E.smallestExponent - shift) * 0.6931471805599453)
  }
}

/// scale·(major + minor), lane by lane, scale·major exact.
struct Term<E: Element> {
  var scale, major, minor: E.Lanes
}

protocol Element: SIMDScalar, FloatingPoint, BitwiseCopyable {
  /// What goes through the registers together: 64 bytes.
  associatedtype Lanes: SIMD where Lanes.Scalar == Self
  /// The lanes in f64, so many times eight.
  static var halves: Int { get }

  /// Terms carry this factor (see Float), to be divided out once.
  static var bias: Double { get }
  /// Sums are formed of terms of which the largest has about this exponent, …
  static var sumShift: Double { get }
  /// … on top of this number, so that no addition meets an addend larger than the sum (Fast2Sum, Dekker 1971).
  static var preload: Self { get }
  /// Outputs are formed as 2^outputShift times their value, so that the one rounding to a subnormal comes last.
  static var outputShift: Double { get }
  /// The smallest exponent a term may have.
  static var smallestExponent: Double { get }

  /// A window's magic number is magicBase + (exponentBias + shift)·magicStep.
  static var magicBase: Double { get }
  static var exponentBias: Double { get }
  static var magicStep: Double { get }

  static func term(_ x: Lanes, _ magic: Lanes) -> Term<Self>
  /// `b` where it is greater than `a`, otherwise `a`: a NaN in `b` is passed over, one in `a` stays. A requirement, as are
  /// the two below, because a comparison of lanes of a generic type is done lane by lane.
  static func larger(_ a: Lanes, _ b: Lanes) -> Lanes
  /// `v`, but `value` where `x` is `y`.
  static func replacing(_ v: Lanes, with value: Lanes, where x: Lanes, is y: Lanes) -> Lanes
  /// `v`, but `value` where `x` is less than `y`.
  static func replacing(_ v: Lanes, with value: Lanes, where x: Lanes, isLessThan y: Lanes) -> Lanes
  static func largestLane(_ v: Lanes) -> Self
  static func multiplyAdd(_ a: Lanes, _ b: Lanes, _ c: Lanes) -> Lanes
  /// Adds (sum − preload) + rest, an eighth of the lanes' places at a time, to high + low: `half` 0 or 1.
  static func flush(_ sum: Lanes, _ rest: Lanes, _ half: Int, to high: inout Doubles, _ low: inout Doubles)
  /// (x − largest) − loss, rounded once; loss ≥ 0 and x ≤ largest, so the two never cancel. `toOdd`: for what is
  /// rounded again, to 16 bits.
  static func difference(_ x: Lanes, _ largest: Halves, _ loss: Both<Pair>, toOdd: Bool) -> Lanes

  static func load(_ p: UnsafePointer<Self>) -> Lanes
  static func store(_ v: Lanes, _ p: UnsafeMutablePointer<Self>)
  /// Its number in xent.h.
  static var dtype: Int { get }
  /// to[c·toStride + r] = from[r·stride + c] of 8 by 8.
  static func transpose(_ from: UnsafePointer<Self>, _ stride: Int, _ to: UnsafeMutablePointer<Self>, _ toStride: Int)
  static func widened(_ v: Lanes, _ half: Int) -> Doubles
  /// Of one half, where there is one.
  static func rounded(_ v: Halves) -> Lanes
  /// Sixteen elements of f32, and back: to be rounded again, to 16 bits.
  static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Self>)
  static func loadFloats(_ p: UnsafePointer<Self>) -> Floats
  /// factor / total, as precisely as outputs need it.
  static func share(_ factor: Pair, of total: Pair) -> Pair
  static func from(_ v: Float) -> Self
  var widened: Double { get }
  init(rounding value: Double)
}

/// What there is of the first eight and of the last eight of 16; of eight there is nothing in `high`.
struct Both<Value> {
  var low, high: Value

  @inline(__always) init(_ low: Value, _ high: Value) {
    self.low = low
    self.high = high
  }
}

/// Lanes in f64.
typealias Halves = Both<Doubles>

extension Both where Value == Doubles {
  @inline(__always) init(repeating value: Double) {
    low = Doubles(repeating: value)
    high = low
  }
}

extension Element {
  /// Elements that go through the registers together.
  @inline(__always) static var width: Int { halves &* 8 }
  /// Elements summed in registers before the lanes go to f64. Part of the result.
  @inline(__always) static var strip: Int { width &* 8 }

  /// Whether sums in f64 have a low part: those of f32 lose nothing that matters.
  @inline(__always) static var hasLow: Bool { halves == 1 }

  @inline(__always) static func wholeSteps(_ length: Int) -> Int { (length &+ (width &- 1)) & ~(width &- 1) }
}

/// Rounded to f32, to odd where that is not exact (Boldo and Melquiond 2008): a second rounding, to fewer bits, is then that
/// of the number itself. A tie of 16 bits that a small loss breaks would otherwise be one again in f32.
@inline(__always) func oddFloats(_ v: Doubles) -> Doubles {
  let bits = unsafeBitCast(v, to: SIMD8<UInt64>.self)
  let lost = (1 &<< 29) &- 1 as UInt64
  // Adding all ones carries into the last bit kept where any bit is set.
  let odd = (bits & ~lost) | (((bits & lost) &+ lost) & (lost &+ 1))
  return unsafeBitCast(odd, to: Doubles.self)
}

extension Float: Element {
  typealias Lanes = Floats
  static var halves: Int { 2 }
  static var dtype: Int { XENT_F32 }
  @inline(__always) static func transpose(
    _ from: UnsafePointer<Float>, _ stride: Int, _ to: UnsafeMutablePointer<Float>, _ toStride: Int
  ) { xentk_transpose_floats(from, Int64(stride), to, Int64(toStride)) }
  // exp(x) = 2^(n/8)·exp(r), n = round(8x / ln 2), |r| ≤ ln2 / 16. The table holds γ·2^(j/8): with this γ all eight are
  // floats to within 2^-28.4, so that a term's head is one float and its tail, exp(r) − 1, is small.
  static var bias: Double { 0x1.16747bf7c5b82p0 }
  static var sumShift: Double { 118 }
  static var preload: Float { 0x1p124 }
  static var outputShift: Double { 64 }
  static var smallestExponent: Double { -125 }

  static var magicBase: Double { 0x1.8p23 }
  static var exponentBias: Double { 127 }
  static var magicStep: Double { 8 }

  @inline(__always) static func term(_ x: Floats, _ magic: Floats) -> Term<Float> {
    // 8 entries of γ·2^(j/8) less the exponent field and less j, which the shift below adds.
    let eight =
      (SIMD8<Int32>(
        0x3f8b_3a3e, 0x3f97_d424, 0x3fa5_9202, 0x3fb4_8e45, 0x3fc4_e5be, 0x3fd6_b7da, 0x3fea_26de, 0x3fff_5829)
        &- 0x3f80_0000) &- (SIMD8<Int32>(0, 1, 2, 3, 4, 5, 6, 7) &<< 20)
    let table = SIMD16(lowHalf: eight, highHalf: eight)
    let biased = fma(x, Floats(repeating: 0x1.715476p3), magic)  // 8 / ln 2
    let n = biased - magic
    // ln2 / 8 in two parts; the first has 21 bits, so that its product with n is exact.
    let r = fma(n, Floats(repeating: 0x1.05c610p-32), fma(n, Floats(repeating: -0x1.62e43p-4), x))
    let index = unsafeBitCast(biased, to: SIMD16<Int32>.self)
    let scale = (index &<< 20) &+ xentk_lookup(table, index)
    // exp(r) − 1 by a minimax polynomial, error 2^-29.
    let bend = fma(
      fma(Floats(repeating: 0x1.55483ep-5), r, Floats(repeating: 0x1.555c78p-3)), r, Floats(repeating: 0.5))
    return Term(
      scale: unsafeBitCast(scale, to: Floats.self), major: Floats(repeating: 1), minor: fma(r * r, bend, r))
  }

  @inline(__always) static func larger(_ a: Floats, _ b: Floats) -> Floats { xentk_larger(a, b) }
  @inline(__always) static func replacing(_ v: Floats, with value: Floats, where x: Floats, is y: Floats) -> Floats {
    v.replacing(with: value, where: x .== y)
  }
  @inline(__always) static func replacing(
    _ v: Floats, with value: Floats, where x: Floats, isLessThan y: Floats
  ) -> Floats { v.replacing(with: value, where: x .< y) }
  @inline(__always) static func largestLane(_ v: Floats) -> Float { xentk_largest_float(v) }
  @inline(__always) static func multiplyAdd(_ a: Floats, _ b: Floats, _ c: Floats) -> Floats { fma(a, b, c) }
  @inline(__always) static func flush(
    _ sum: Floats, _ rest: Floats, _ half: Int, to high: inout Doubles, _ low: inout Doubles
  ) {
    high += (widened(sum, half) - 0x1p124) + widened(rest, half)  // 2^-48 at most in a chunk: low is not needed
  }
  @inline(__always) static func difference(
    _ x: Floats, _ largest: Halves, _ loss: Both<Pair>, toOdd: Bool
  ) -> Floats {
    let low = (widened(x, 0) - largest.low) - loss.low.hi
    let high = (widened(x, 1) - largest.high) - loss.high.hi
    return rounded(toOdd ? Halves(oddFloats(low), oddFloats(high)) : Halves(low, high))
  }
  @inline(__always) static func load(_ p: UnsafePointer<Float>) -> Floats { xentk_load_floats(p) }
  @inline(__always) static func store(_ v: Floats, _ p: UnsafeMutablePointer<Float>) { xentk_store_floats(p, v) }
  @inline(__always) static func widened(_ v: Floats, _ half: Int) -> Doubles {
    xentk_doubles(half == 0 ? xentk_low(v) : xentk_high(v))
  }
  @inline(__always) static func rounded(_ v: Halves) -> Floats {
    xentk_join(xentk_floats(v.low), xentk_floats(v.high))
  }
  @inline(__always) static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Float>) { store(v, p) }
  @inline(__always) static func loadFloats(_ p: UnsafePointer<Float>) -> Floats { load(p) }
  @inline(__always) static func share(_ factor: Pair, of total: Pair) -> Pair { Pair(factor.hi / total.hi, Doubles()) }
  @inline(__always) static func from(_ v: Float) -> Float { v }
  @inline(__always) var widened: Double { Double(self) }
  @inline(__always) init(rounding value: Double) { self = Float(value) }
}

extension Double: Element {
  typealias Lanes = Doubles
  static var halves: Int { 1 }
  static var dtype: Int { XENT_F64 }
  @inline(__always) static func transpose(
    _ from: UnsafePointer<Double>, _ stride: Int, _ to: UnsafeMutablePointer<Double>, _ toStride: Int
  ) { xentk_transpose_doubles(from, Int64(stride), to, Int64(toStride)) }
  static var bias: Double { 1 }
  static var sumShift: Double { 0 }
  static var preload: Double { 64 }
  static var outputShift: Double { 512 }
  static var smallestExponent: Double { -1020 }

  static var magicBase: Double { 0x1.8p52 }
  static var exponentBias: Double { 1023 }
  static var magicStep: Double { 1 }

  @inline(__always) static func term(_ x: Doubles, _ magic: Doubles) -> Term<Double> {
    let e = exponential(x, Doubles(), magic: magic)
    let scale = unsafeBitCast(e.biased, to: SIMD8<UInt64>.self) &<< 52
    return Term(scale: unsafeBitCast(scale, to: Doubles.self), major: e.value.hi, minor: e.value.lo)
  }

  @inline(__always) static func larger(_ a: Doubles, _ b: Doubles) -> Doubles { xentk_larger_doubles(a, b) }
  @inline(__always) static func replacing(
    _ v: Doubles, with value: Doubles, where x: Doubles, is y: Doubles
  ) -> Doubles { v.replacing(with: value, where: x .== y) }
  @inline(__always) static func replacing(
    _ v: Doubles, with value: Doubles, where x: Doubles, isLessThan y: Doubles
  ) -> Doubles { v.replacing(with: value, where: x .< y) }
  @inline(__always) static func largestLane(_ v: Doubles) -> Double { largestOf(v) }
  @inline(__always) static func multiplyAdd(_ a: Doubles, _ b: Doubles, _ c: Doubles) -> Doubles { fma(a, b, c) }
  @inline(__always) static func flush(
    _ sum: Doubles, _ rest: Doubles, _ half: Int, to high: inout Doubles, _ low: inout Doubles
  ) {
    let (total, lost) = twoSum(high, sum - 64)
    high = total
    low += lost + rest
  }
  @inline(__always) static func difference(
    _ x: Doubles, _ largest: Halves, _ loss: Both<Pair>, toOdd: Bool
  ) -> Doubles {
    let (gap, gapLost) = twoSum(x, -largest.low)
    let (result, lost) = twoSum(gap, -loss.low.hi)
    let rest = lost + gapLost - loss.low.lo
    return result + rest.replacing(with: 0, where: rest .!= rest)  // −inf has lost NaN
  }
  @inline(__always) static func load(_ p: UnsafePointer<Double>) -> Doubles { xentk_load_doubles(p) }
  @inline(__always) static func store(_ v: Doubles, _ p: UnsafeMutablePointer<Double>) { xentk_store_doubles(p, v) }
  @inline(__always) static func widened(_ v: Doubles, _ half: Int) -> Doubles { v }
  @inline(__always) static func rounded(_ v: Halves) -> Doubles { v.low }
  @inline(__always) static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Double>) {
    store(xentk_doubles(xentk_low(v)), p)
    store(xentk_doubles(xentk_high(v)), p + step)
  }
  @inline(__always) static func loadFloats(_ p: UnsafePointer<Double>) -> Floats {
    xentk_join(xentk_floats(oddFloats(load(p))), xentk_floats(oddFloats(load(p + step))))
  }
  @inline(__always) static func share(_ factor: Pair, of total: Pair) -> Pair { factor / total }
  @inline(__always) static func from(_ v: Float) -> Double { Double(v) }
  @inline(__always) var widened: Double { self }
  @inline(__always) init(rounding value: Double) { self = value }
}
