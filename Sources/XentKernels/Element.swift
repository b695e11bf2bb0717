// What a dtype brings: how one exponential is formed from the elements in the registers, and how sums of them leave these.

import CXent
import CXentSystem

/// Which exponentials are formed: exp(x)·2^shift·bias, `x` held up to `lowest` from below.
struct Window<E: Element> {
  /// Added to x·log2(e) it leaves the (shifted) exponent as an integer in the low bits.
  var magic: E
  /// Where the exponent would leave the format: smaller x are taken for it. They are 2^-240 or less of what matters.
  var lowest: E

  @inline(__always) init(shift: E) {
    magic = E.magicBase + (E.exponentBias + shift) * E.magicStep
    lowest = (E.smallestExponent - shift) * E.ln2
  }
}

/// `Window` for a row in each lane.
struct LaneWindow<E: Element> {
  let magic, lowest: E.Lanes

  @inline(__always) init(shift: E.Lanes) {
    magic = (shift + E.exponentBias) * E.magicStep + E.magicBase
    lowest = (E.Lanes(repeating: E.smallestExponent) - shift) * E.ln2
  }
}

/// scale·(major + minor), lane by lane, scale·major exact.
struct Term<E: Element> {
  var scale, major, minor: E.Lanes

  @inline(__always) var rounded: E.Lanes { E.multiplyAdd(scale, minor, scale * major) }
}

/// An exponential that is begun: x·(8 / ln 2) plus the window's magic number, and r, what is left of x. (Of f64: that number alone,
/// and x as it is.)
struct Reduced<E: Element> {
  var biased, rest: E.Lanes
}

/// Four of a kind.
struct Four<Value> {
  var a, b, c, d: Value

  @inline(__always) init(_ a: Value, _ b: Value, _ c: Value, _ d: Value) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }

  @inline(__always) func map<Result>(_ f: (Value) -> Result) -> Four<Result> { Four<Result>(f(a), f(b), f(c), f(d)) }

  @inline(__always) func map<Other, Result>(_ other: Four<Other>, _ f: (Value, Other) -> Result) -> Four<Result> {
    Four<Result>(f(a, other.a), f(b, other.b), f(c, other.c), f(d, other.d))
  }

  @inline(__always) func forEach(_ f: (Value) -> Void) {
    f(a)
    f(b)
    f(c)
    f(d)
  }
}

protocol Element: SIMDScalar, FloatingPoint, BitwiseCopyable {
  /// What goes through the registers together: 64 bytes.
  associatedtype Lanes: SIMD where Lanes.Scalar == Self
  /// The lanes in f64, so many times eight.
  static var halves: Int { get }

  /// Terms carry this factor (see Float), to be divided out once.
  static var bias: Double { get }
  /// Sums are formed of terms of which the largest has about this exponent, …
  static var sumShift: Self { get }
  /// … on top of this number, so that no addition meets an addend larger than the sum (Fast2Sum, Dekker 1971).
  static var preload: Self { get }
  /// Outputs are formed as 2^outputShift times their value, so that the one rounding to a subnormal comes last.
  static var outputShift: Self { get }
  /// The smallest exponent a term may have.
  static var smallestExponent: Self { get }

  /// A window's magic number is magicBase + (exponentBias + shift)·magicStep, exactly.
  static var magicBase: Self { get }
  static var exponentBias: Self { get }
  static var magicStep: Self { get }
  static var ln2: Self { get }
  static var log2e: Self { get }
  /// Added to a number of up to 2^16 and taken away again it leaves that rounded to a whole number.
  static var wholeNumber: Self { get }

  static func term(_ x: Lanes, _ magic: Lanes) -> Term<Self>
  /// The same in two halves, so that the second of some steps can stand beside the first of those after them.
  static func begun(_ x: Lanes, _ magic: Lanes) -> Reduced<Self>
  static func ended(_ x: Reduced<Self>) -> Term<Self>
  /// Of f32: `begun` with the term's scale in place of the biased number, and the rest of the way from there.
  static func scaled(_ x: Reduced<Self>) -> Reduced<Self>
  static func endedOfScaled(_ x: Reduced<Self>) -> Term<Self>
  /// Of four steps, operation by operation: a processor that looks ahead finds more of them ready.
  static func begun(_ x: Four<Lanes>, _ magic: Lanes) -> Four<Reduced<Self>>
  static func ended(_ x: Four<Reduced<Self>>) -> Four<Term<Self>>
  /// `b` where it is greater than `a`, otherwise `a`: a NaN in `b` is passed over, one in `a` stays. A requirement, as are
  /// the two below, because a comparison of lanes of a generic type is done lane by lane.
  static func larger(_ a: Lanes, _ b: Lanes) -> Lanes
  /// `b` where it is less than `a`, otherwise `a`.
  static func smaller(_ a: Lanes, _ b: Lanes) -> Lanes
  /// Whether any lane is not within ±2^15.
  static func isFar(_ v: Lanes) -> Bool
  /// `v`, but `value` where `x` is `y`.
  static func replacing(_ v: Lanes, with value: Lanes, where x: Lanes, is y: Lanes) -> Lanes
  /// `v`, but `value` where `x` is less than `y`.
  static func replacing(_ v: Lanes, with value: Lanes, where x: Lanes, isLessThan y: Lanes) -> Lanes
  static func largestLane(_ v: Lanes) -> Self
  static func multiplyAdd(_ a: Lanes, _ b: Lanes, _ c: Lanes) -> Lanes
  /// Adds (sum − preload) + rest, an eighth of the lanes' places at a time, to high + low: `half` 0 or 1.
  static func flush(_ sum: Lanes, _ rest: Lanes, _ half: Int, to high: inout Doubles, _ low: inout Doubles)
  /// The same lanes, to be formed here and not half by half: the compiler else puts off what only a loop's next turn needs, and
  /// takes registers apart of which halves are asked for.
  static func whole(_ v: Lanes) -> Lanes
  /// Up to so many elements' sums leave the lanes as they are, in one step: see NUMERICS.md.
  static var folded: Int { get }
  /// The lanes' (sum − preload) + rest in one.
  static func folded(_ sum: Lanes, _ rest: Lanes) -> Double
  /// (x − largest) − loss, rounded once; loss ≥ 0 and x ≤ largest, so the two never cancel. With `ties` what only these
  /// 16 bits are to be right of.
  static func difference(_ x: Lanes, _ less: Subtrahends, _ ties: Ties?) -> Lanes
  /// The same of a whole step in memory.
  static func putDifference(
    _ x: UnsafePointer<Self>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Self>)

  /// Bit k: lane k of one is that of the other.
  static func equalLanes(_ a: Lanes, _ b: Lanes) -> UInt32
  /// The lanes' numbers.
  static var places: Lanes { get }

  static func load(_ p: UnsafePointer<Self>) -> Lanes
  static func store(_ v: Lanes, _ p: UnsafeMutablePointer<Self>)
  /// `count` lanes, less than all of them; what is beyond is not looked at.
  static func loadFew(_ p: UnsafePointer<Self>, _ count: Int, else other: Self) -> Lanes
  static func storeFew(_ v: Lanes, _ p: UnsafeMutablePointer<Self>, _ count: Int)
  /// Its number in xent.h.
  static var dtype: Int { get }
  /// Eight classes of `width` rows to a lane for each row: to[c·width + r] = from[r·stride + c]; and back.
  static func toLanes(_ from: UnsafePointer<Self>, _ stride: Int, _ rows: Int, _ to: UnsafeMutablePointer<Self>)
  static func toRows(_ from: UnsafePointer<Self>, _ to: UnsafeMutablePointer<Self>, _ stride: Int, _ rows: Int)
  static func widened(_ v: Lanes, _ half: Int) -> Doubles
  /// Of one half, where there is one.
  static func rounded(_ v: Halves) -> Lanes
  /// Sixteen elements of f32, and back: to be rounded again, to 16 bits. Each `width` of them lie `apart` from the next.
  static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Self>, apart: Int)
  static func loadFloats(_ p: UnsafePointer<Self>, apart: Int) -> Floats
  /// factor / total, as precisely as outputs need it.
  static func share(_ factor: Pair, of total: Pair) -> Pair
  static func from(_ v: Float) -> Self
  var widened: Double { get }
  init(rounding value: Double)
}

// Exponentials in two loops by way of memory, as they are formed with 16 registers of 32 bytes: a processor that looks at some 60
// operations ahead waits for a chain of 40 cycles, but for neither half of it.
extension Element {
  /// Whether they are formed so.
  @inline(__always) static var isHalved: Bool {
    #if XENT_V3
      halves == 2
    #else
      false
    #endif
  }

  /// The first half of a step's: scales, and what is left of the elements.
  @inline(__always) static func begin(
    _ x: Lanes, _ magic: Lanes, _ scales: UnsafeMutablePointer<Self>, _ rests: UnsafeMutablePointer<Self>
  ) {
    let begun = scaled(begun(x, magic))
    store(begun.biased, scales)
    store(begun.rest, rests)
  }

  /// The same of `count` elements, whole steps, each one's rests behind its scales. Scalars in, and out of line, so that all registers are its own.
  @inline(never) static func begin(
    _ x: UnsafePointer<Self>, _ count: Int, _ window: Window<Self>, to room: UnsafeMutablePointer<Self>, ahead: Int
  ) {
    let magic = Lanes(repeating: window.magic)
    let lowest = Lanes(repeating: window.lowest)
    var i = 0
    while i < count {
      xentk_prefetch(x + (i &+ ahead))
      begin(larger(load(x + i), lowest), magic, room + 2 &* i, room + (2 &* i &+ width))
      i &+= width
    }
  }

  /// The other half.
  @inline(__always) static func ended(_ scales: UnsafePointer<Self>, _ rests: UnsafePointer<Self>) -> Term<Self> {
    endedOfScaled(Reduced(biased: load(scales), rest: load(rests)))
  }
}

extension Element {
  /// A term added to sum + rest: what the sum cannot hold (Fast2Sum) goes to the rest, with the term's minor part.
  @inline(__always) static func sum(_ sum: Lanes, _ rest: Lanes, _ term: Term<Self>) -> (sum: Lanes, rest: Lanes) {
    let major = term.scale * term.major
    let next = sum + major
    let lost = major - (next - sum)
    return (next, rest + multiplyAdd(term.scale, term.minor, lost))
  }

  /// What is kept of the terms of what is left out of a sum: these are the smallest, and outputs made of them would be below
  /// the normal numbers, where processors are slow.
  @inline(__always) static var usualScale: Self { Self(rounding: powerOfTwo(sumShift.widened)) }

  /// Elements that go through the registers together.
  @inline(__always) static var width: Int { halves &* 8 }
  /// Elements of which the rests are summed on their own. Part of the result, as is the next.
  @inline(__always) static var strip: Int { width &* 8 }
  /// Elements summed in registers before the lanes go to f64.
  @inline(__always) static var group: Int { strip &* 4 }

  /// Whether sums in f64 have a low part: those of f32 lose nothing that matters.
  @inline(__always) static var hasLow: Bool { halves == 1 }

  @inline(__always) static func wholeSteps(_ length: Int) -> Int { (length &+ (width &- 1)) & ~(width &- 1) }
}

/// Where f32 lies in the middle between two numbers of a dtype of 16 bits. Elsewhere these are the same whether a number was
/// rounded to f32 well or not so well before.
struct Ties {
  private let tie, least: Int32

  /// None of dtypes that are not of 16 bits.
  @inline(__always) init?(_ dtype: Int) {
    switch dtype {
    // A 0 may be a small negative number's, and is −0 then; subnormals of f16 have other ties.
    case XENT_BF16: (tie, least) = (0x8000, 1)
    case XENT_F16: (tie, least) = (0x1000, 0x3880_0000)
    default: return nil
    }
  }

  /// Whether 4 units in the last place may decide how any lane is rounded.
  @inline(__always) func areNear(_ v: Floats) -> Bool { xentk_any_near_ties(v, tie, least) != 0 }
}

/// What is taken from logits to make them log-probabilities, for each row or the same for all.
struct Subtrahends {
  let largest: Halves
  let loss: Both<Pair>
  #if XENT_FMA
    private let one = Doubles(repeating: xentk_one())
  #endif

  @inline(__always) init(_ largest: Halves, _ loss: Both<Pair>) {
    self.largest = largest
    self.loss = loss
  }

  /// (x − a) − b. By the units that multiply, where they add too: those that add convert as well, and do nothing else for f32.
  @inline(__always) func from(_ x: Doubles, _ a: Doubles, _ b: Doubles) -> Doubles {
    #if XENT_FMA
      return fma(fma(x, one, -a), one, -b)
    #else
      return (x - a) - b
    #endif
  }
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
    _ x: UnsafePointer<Float>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Float>
  ) {
    if let ties, let quick = quickDifference(load(x), less, ties) { return store(quick, out) }
    let low = less.from(xentk_doubles(xentk_load_8floats(x)), less.largest.low, less.loss.low.hi)
    let high = less.from(xentk_doubles(xentk_load_8floats(x + step)), less.largest.high, less.loss.high.hi)
    xentk_store_8floats(out, xentk_floats(ties != nil ? oddFloats(low) : low))
    xentk_store_8floats(out + step, xentk_floats(ties != nil ? oddFloats(high) : high))
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

extension Double: Element {
  typealias Lanes = Doubles
  static var halves: Int { 1 }
  static var dtype: Int { XENT_F64 }
  @inline(__always) static func toLanes(
    _ from: UnsafePointer<Double>, _ stride: Int, _ rows: Int, _ to: UnsafeMutablePointer<Double>
  ) { xentk_doubles_to_lanes(from, Int64(stride), Int64(rows), to) }
  @inline(__always) static func toRows(
    _ from: UnsafePointer<Double>, _ to: UnsafeMutablePointer<Double>, _ stride: Int, _ rows: Int
  ) { xentk_doubles_to_rows(from, to, Int64(stride), Int64(rows)) }
  static var bias: Double { 1 }
  static var sumShift: Double { 0 }
  static var preload: Double { 64 }
  static var ln2: Double { 0.6931471805599453 }
  static var log2e: Double { 0x1.71547652b82fep0 }
  static var wholeNumber: Double { 0x1.8p52 }
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

  @inline(__always) static func begun(_ x: Doubles, _ magic: Doubles) -> Reduced<Double> {
    Reduced(biased: magic, rest: x)
  }

  @inline(__always) static func ended(_ x: Reduced<Double>) -> Term<Double> { term(x.rest, x.biased) }

  @inline(__always) static func scaled(_ x: Reduced<Double>) -> Reduced<Double> { x }

  @inline(__always) static func endedOfScaled(_ x: Reduced<Double>) -> Term<Double> { ended(x) }

  @inline(__always) static func begun(_ x: Four<Doubles>, _ magic: Doubles) -> Four<Reduced<Double>> {
    x.map { begun($0, magic) }
  }

  @inline(__always) static func ended(_ x: Four<Reduced<Double>>) -> Four<Term<Double>> { x.map { ended($0) } }

  @inline(__always) static func larger(_ a: Doubles, _ b: Doubles) -> Doubles { xentk_larger_doubles(a, b) }
  @inline(__always) static func smaller(_ a: Doubles, _ b: Doubles) -> Doubles { xentk_smaller_doubles(a, b) }
  @inline(__always) static func isFar(_ v: Doubles) -> Bool { isAny(.!((v .<= 0x1p15) .& (v .>= -0x1p15))) }
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
  @inline(__always) static func whole(_ v: Doubles) -> Doubles { v }
  static var folded: Int { 0 }
  @inline(__always) static func folded(_ sum: Doubles, _ rest: Doubles) -> Double { .nan }
  @inline(__always) static func difference(_ x: Doubles, _ less: Subtrahends, _ ties: Ties?) -> Doubles {
    let (gap, gapLost) = twoSum(x, -less.largest.low)
    let (result, lost) = twoSum(gap, -less.loss.low.hi)
    let rest = lost + gapLost - less.loss.low.lo
    return result + rest.replacing(with: 0, where: rest .!= rest)  // −inf has lost NaN
  }
  @inline(__always) static func putDifference(
    _ x: UnsafePointer<Double>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Double>
  ) { store(difference(load(x), less, ties), out) }
  @inline(__always) static func equalLanes(_ a: Doubles, _ b: Doubles) -> UInt32 { xentk_equal_doubles(a, b) }
  @inline(__always) static var places: Doubles { Doubles(0, 1, 2, 3, 4, 5, 6, 7) }
  @inline(__always) static func load(_ p: UnsafePointer<Double>) -> Doubles { xentk_load_doubles(p) }
  @inline(never) static func loadFew(_ p: UnsafePointer<Double>, _ count: Int, else other: Double) -> Doubles {
    var v = Doubles(repeating: other)
    var i = 0
    while i < count {
      v[i] = p[i]
      i &+= 1
    }
    return v
  }
  @inline(never) static func storeFew(_ v: Doubles, _ p: UnsafeMutablePointer<Double>, _ count: Int) {
    var i = 0
    while i < count {
      p[i] = v[i]
      i &+= 1
    }
  }
  @inline(__always) static func store(_ v: Doubles, _ p: UnsafeMutablePointer<Double>) { xentk_store_doubles(p, v) }
  @inline(__always) static func widened(_ v: Doubles, _ half: Int) -> Doubles { v }
  @inline(__always) static func rounded(_ v: Halves) -> Doubles { v.low }
  @inline(__always) static func storeFloats(_ v: Floats, _ p: UnsafeMutablePointer<Double>, apart: Int) {
    store(xentk_doubles(xentk_low(v)), p)
    store(xentk_doubles(xentk_high(v)), p + apart)
  }
  @inline(__always) static func loadFloats(_ p: UnsafePointer<Double>, apart: Int) -> Floats {
    xentk_join(xentk_floats(oddFloats(load(p))), xentk_floats(oddFloats(load(p + apart))))
  }
  @inline(__always) static func share(_ factor: Pair, of total: Pair) -> Pair { factor / total }
  @inline(__always) static func from(_ v: Float) -> Double { Double(v) }
  @inline(__always) var widened: Double { self }
  @inline(__always) init(rounding value: Double) { self = value }
}
