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
    _ x: UnsafePointer<Self>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Self>, streams: Bool)

  /// Bit k: lane k of one is that of the other.
  static func equalLanes(_ a: Lanes, _ b: Lanes) -> UInt32
  /// The lanes' numbers.
  static var places: Lanes { get }

  static func load(_ p: UnsafePointer<Self>) -> Lanes
  static func store(_ v: Lanes, _ p: UnsafeMutablePointer<Self>)
  /// Past the caches, where a line begins.
  static func stream(_ v: Lanes, _ p: UnsafeMutablePointer<Self>)
  /// `count` lanes, less than all of them; what is beyond is not looked at.
  static func loadFew(_ p: UnsafePointer<Self>, _ count: Int, else other: Self) -> Lanes
  static func storeFew(_ v: Lanes, _ p: UnsafeMutablePointer<Self>, _ count: Int)
  /// Its number in xent.h.
  static var dtype: Int { get }
  /// XENTK_TOGETHER classes of `width` rows to a lane for each row: to[c·width + r] = from[r·stride + c]; and back.
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
