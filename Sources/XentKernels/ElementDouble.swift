// f64: exponentials as pairs.

import CXent
import CXentSystem

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
    _ x: UnsafePointer<Double>, _ less: Subtrahends, _ ties: Ties?, to out: UnsafeMutablePointer<Double>, streams: Bool
  ) { put(difference(load(x), less, ties), out, streams: streams) }
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
  @inline(__always) static func stream(_ v: Doubles, _ p: UnsafeMutablePointer<Double>) { xentk_stream_doubles(p, v) }
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
