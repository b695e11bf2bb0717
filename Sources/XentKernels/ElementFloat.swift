// f32: what 16 bits are worked on as, too.

import CXent
import CXentSystem

extension Float: Element {
  typealias Lanes = Floats
  static var halves: Int { 2 }
  static var dtype: Int { XENT_F32 }
  @inline(__always) static func toLanes(
    _ from: UnsafePointer<Float>, _ stride: Int, _ rows: Int, _ to: UnsafeMutablePointer<Float>
  ) { xentk_floats_to_lanes(from, Int64(stride), Int64(rows), to) }
  @inline(__always) static func toRows(
    _ from: UnsafePointer<Float>, _ to: UnsafeMutablePointer<Float>, _ stride: Int, _ rows: Int
  ) { xentk_floats_to_rows(from, to, Int64(stride), Int64(rows)) }
  // exp(x) = 2^(n/8)·exp(r), n = round(8x / ln 2), |r| ≤ ln2 / 16. The table holds γ·2^(j/8): with this γ all eight are
  // floats to within 2^-28.4, so that a term's head is one float and its tail, exp(r) − 1, is small.
  static var bias: Double { 0x1.16747bf7c5b82p0 }
  static var sumShift: Float { 118 }
  static var preload: Float { 0x1p124 }
  static var outputShift: Float { 64 }
  static var smallestExponent: Float { -125 }

  static var magicBase: Float { 0x1.8p23 }
  static var exponentBias: Float { 127 }
  static var magicStep: Float { 8 }
  static var ln2: Float { 0x1.62e43p-1 }
  static var log2e: Float { 0x1.715476p0 }
  static var wholeNumber: Float { 0x1.8p23 }

  @inline(__always) static func term(_ x: Floats, _ magic: Floats) -> Term<Float> { ended(begun(x, magic)) }

  @inline(__always) static func begun(_ x: Floats, _ magic: Floats) -> Reduced<Float> {
    let biased = fma(x, Floats(repeating: 0x1.715476p3), magic)  // 8 / ln 2
    return Reduced(biased: biased, rest: remainder(x, biased - magic))
  }

  @inline(__always) static func ended(_ x: Reduced<Float>) -> Term<Float> {
    endedOfScaled(scaled(x))
  }

  @inline(__always) static func scaled(_ x: Reduced<Float>) -> Reduced<Float> { Reduced(biased: scale(x.biased), rest: x.rest) }

  @inline(__always) static func endedOfScaled(_ x: Reduced<Float>) -> Term<Float> {
    Term(scale: x.biased, major: Floats(repeating: 1), minor: expm1(x.rest))
  }

  @inline(__always) static func begun(_ x: Four<Floats>, _ magic: Floats) -> Four<Reduced<Float>> {
    let biased = x.map { fma($0, Floats(repeating: 0x1.715476p3), magic) }
    let n = biased.map { $0 - magic }
    let y = x.map(n) { fma($1, Floats(repeating: -0x1.62e43p-4), $0) }
    let r = y.map(n) { fma($1, Floats(repeating: 0x1.05c610p-32), $0) }
    return biased.map(r) { Reduced(biased: $0, rest: $1) }
  }

  @inline(__always) static func ended(_ x: Four<Reduced<Float>>) -> Four<Term<Float>> {
    let r = x.map { $0.rest }
    let scales = x.map { scale($0.biased) }
    let slopes = r.map { fma(Floats(repeating: 0x1.55483ep-5), $0, Floats(repeating: 0x1.555c78p-3)) }
    let bends = slopes.map(r) { fma($0, $1, Floats(repeating: 0.5)) }
    let minors = r.map(bends) { fma($0 * $0, $1, $0) }
    return scales.map(minors) { Term(scale: $0, major: Floats(repeating: 1), minor: $1) }
  }

  /// x − n·ln2/8.
  @inline(__always) private static func remainder(_ x: Floats, _ n: Floats) -> Floats {
    // ln2 / 8 in two parts; the first has 21 bits, so that its product with n is exact.
    fma(n, Floats(repeating: 0x1.05c610p-32), fma(n, Floats(repeating: -0x1.62e43p-4), x))
  }

  /// γ·2^(n/8), n and the window's shift being the low bits.
  @inline(__always) private static func scale(_ biased: Floats) -> Floats {
    scale(
      biased,
      table(SIMD8(0x1.16747cp0, 0x1.2fa848p0, 0x1.4b2404p0, 0x1.691c8ap0, 0x1.89cb7cp0, 0x1.ad6fb4p0, 0x1.d44dbcp0, 0x1.feb052p0)))
  }

  /// Eight floats times 2^(n/8 − j/8), j = n mod 8.
  @inline(__always) static func scale(_ biased: Floats, _ table: Floats) -> Floats {
    let index = unsafeBitCast(biased, to: SIMD16<Int32>.self)
    return unsafeBitCast((index &<< 20) &+ unsafeBitCast(entry(table, biased), to: SIMD16<Int32>.self), to: Floats.self)
  }

  /// Entry n mod 8 of eight that stand twice in a row.
  @inline(__always) static func entry(_ eight: Floats, _ biased: Floats) -> Floats {
    unsafeBitCast(
      xentk_lookup(unsafeBitCast(eight, to: SIMD16<Int32>.self), unsafeBitCast(biased, to: SIMD16<Int32>.self)),
      to: Floats.self)
  }

  /// The floats' bits less the exponent field of 1 and less j, which `scale` adds.
  @inline(__always) static func table(_ floats: SIMD8<Float>) -> Floats {
    let eight =
      (unsafeBitCast(floats, to: SIMD8<Int32>.self) &- 0x3f80_0000) &- (SIMD8<Int32>(0, 1, 2, 3, 4, 5, 6, 7) &<< 20)
    return unsafeBitCast(SIMD16(lowHalf: eight, highHalf: eight), to: Floats.self)
  }

  /// exp(r) − 1.
  @inline(__always) static func expm1(_ r: Floats) -> Floats { fma(r * r, bend(r), r) }

  /// (exp(r) − 1 − r) / r² by a minimax polynomial, error of exp(r) 2^-29.
  @inline(__always) private static func bend(_ r: Floats) -> Floats {
    fma(fma(Floats(repeating: 0x1.55483ep-5), r, Floats(repeating: 0x1.555c78p-3)), r, Floats(repeating: 0.5))
  }

  @inline(__always) static func larger(_ a: Floats, _ b: Floats) -> Floats { xentk_larger(a, b) }
  @inline(__always) static func smaller(_ a: Floats, _ b: Floats) -> Floats { xentk_smaller(a, b) }
  @inline(__always) static func isFar(_ v: Floats) -> Bool {
    xentk_any(unsafeBitCast(.!((v .<= 0x1p15) .& (v .>= -0x1p15)), to: SIMD16<Int32>.self)) != 0
  }
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
  @inline(__always) static func whole(_ v: Floats) -> Floats { xentk_whole(v) }
  /// Of four steps: their majors' sum is below 2^125, in f32 without a loss, and the rests are added to no more often than
  /// in a whole strip.
  static var folded: Int { 64 }
  @inline(__always) static func folded(_ sum: Floats, _ rest: Floats) -> Double {
    Double(added(sum - Floats(repeating: preload))) + Double(added(rest))
  }
  @inline(__always) private static func added(_ v: Floats) -> Float {
    let (low, high) = (xentk_low(v), xentk_high(v))
    let four = (low.lowHalf + low.highHalf) + (high.lowHalf + high.highHalf)
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }
  @inline(__always) static func difference(_ x: Floats, _ less: Subtrahends, _ ties: Ties?) -> Floats {
    if let ties, let quick = quickDifference(x, less, ties) { return quick }
    let low = less.from(widened(x, 0), less.largest.low, less.loss.low.hi)
    let high = less.from(widened(x, 1), less.largest.high, less.loss.high.hi)
    return rounded(ties != nil ? Halves(oddFloats(low), oddFloats(high)) : Halves(low, high))
  }
  /// `difference` in f32 alone, to within 4 units in the last place, where that will do.
  @inline(__always) private static func quickDifference(_ x: Floats, _ less: Subtrahends, _ ties: Ties) -> Floats? {
    let quick = (x - rounded(less.largest)) - rounded(Halves(less.loss.low.hi, less.loss.high.hi))
    return ties.areNear(quick) ? nil : quick
  }
  /// By halves from and to memory, which spares taking registers apart and putting them together.
  @inline(__always) static func putDifference(
    _ x: UnsafePointer<Float>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Float>, streams: Bool
  ) {
    if let ties, let quick = quickDifference(load(x), less, ties) { return store(quick, out) }
    let low = less.from(xentk_doubles(xentk_load_8floats(x)), less.largest.low, less.loss.low.hi)
    let high = less.from(xentk_doubles(xentk_load_8floats(x + step)), less.largest.high, less.loss.high.hi)
    let (first, second) = (xentk_floats(ties != nil ? oddFloats(low) : low), xentk_floats(ties != nil ? oddFloats(high) : high))
    if streams {
      xentk_stream_8floats(out, first)
      xentk_stream_8floats(out + step, second)
    } else {
      xentk_store_8floats(out, first)
      xentk_store_8floats(out + step, second)
    }
  }
  @inline(__always) static func equalLanes(_ a: Floats, _ b: Floats) -> UInt32 { xentk_equal_floats(a, b) }
  @inline(__always) static var places: Floats { Floats(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) }
  @inline(__always) static func load(_ p: UnsafePointer<Float>) -> Floats { xentk_load_floats(p) }
  @inline(__always) static func loadFew(_ p: UnsafePointer<Float>, _ count: Int, else other: Float) -> Floats {
    xentk_load_few_floats(p, Int32(truncatingIfNeeded: count), other)
  }
  @inline(__always) static func storeFew(_ v: Floats, _ p: UnsafeMutablePointer<Float>, _ count: Int) {
    xentk_store_few_floats(p, v, Int32(truncatingIfNeeded: count))
  }
  @inline(__always) static func store(_ v: Floats, _ p: UnsafeMutablePointer<Float>) { xentk_store_floats(p, v) }
  @inline(__always) static func stream(_ v: Floats, _ p: UnsafeMutablePointer<Float>) { xentk_stream_floats(p, v) }
  @inline(__always) static func widened(_ v: Floats, _ half: Int) -> Doubles {
    xentk_doubles(half == 0 ? xentk_low(v) : xentk_high(v))
  }
  @inline(__always) static func rounded(_ v: Halves) -> Floats {
    xentk_join(xentk_floats(v.low), xentk_floats(v.high))
  }
  @inline(__always) static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Float>, apart: Int) { store(v, p) }
  @inline(__always) static func loadFloats(_ p: UnsafePointer<Float>, apart: Int) -> Floats { load(p) }
  @inline(__always) static func share(_ factor: Pair, of total: Pair) -> Pair { Pair(factor.hi / total.hi, Doubles()) }
  @inline(__always) static func from(_ v: Float) -> Float { v }
  @inline(__always) var widened: Double { Double(self) }
  @inline(__always) init(rounding value: Double) { self = Float(value) }
}
