// Rows of few classes, as many at a time as there are lanes, and a lane each. What is done to a row is what is done to it
// row by row, each operation in its place (NUMERICS.md: its class j goes to the sum j mod width, strips of 8·width, the
// same tree), so that the bits are the same and which way is taken is a matter of speed alone.

import CXentSystem

struct Tile<E: Element> {
  /// Class after class, `width` rows of each.
  let x: UnsafeMutablePointer<E>
  let classes: Int
  private let workspace: UnsafeMutablePointer<xentk_workspace>

  @inline(__always) init(_ rows: Rows) {
    x = UnsafeMutableRawPointer(xentk_chunk(rows.workspace)).assumingMemoryBound(to: E.self)
    classes = rows.classes
    workspace = rows.workspace
  }

  @inline(__always) subscript(_ c: Int) -> E.Lanes { E.load(x + c &* E.width) }

  // ---- States -------------------------------------------------------------------------------------------------------

  /// The rows' states with the element at each index kept out (−1: none); false unless all of them are ordinary: of
  /// elements up to 2^15, and not of masks alone.
  @inline(__always) func states(keeping index: Both<SIMD8<Int64>>, in out: Both<UnsafeMutablePointer<Batch>>) -> Bool {
    sums(keeping: Self.places(index), index, in: out)
  }

  /// Indices as classes are counted in the lanes.
  @inline(__always) private static func places(_ index: Both<SIMD8<Int64>>) -> E.Lanes {
    E.rounded(Halves(numbers(index.low), numbers(index.high)))
  }

  /// The same with the first of the largest elements kept out.
  @inline(never) func statesOfLargest(in out: Both<UnsafeMutablePointer<Batch>>) -> Bool {
    var largest = E.Lanes(repeating: -.infinity)
    var c = 0
    while c < classes {
      largest = E.larger(largest, self[c])
      c &+= 1
    }
    var place = E.Lanes(repeating: -1)
    var number = E.Lanes(repeating: E(rounding: Double(classes)))
    while c > 0 {
      c &-= 1
      number -= E.Lanes(repeating: 1)
      place = E.replacing(place, with: number, where: self[c], is: largest)
    }
    // Rows of nothing but masks.
    let empty = E.replacing(
      place, with: E.Lanes(repeating: .infinity), where: largest, is: E.Lanes(repeating: -.infinity))
    if E.largestLane(empty) == .infinity { return false }
    return sums(keeping: place, Both(wholeNumbers(E.widened(place, 0)), wholeNumbers(E.widened(place, 1))), in: out)
  }

  @inline(never) private func sums(
    keeping place: E.Lanes, _ index: Both<SIMD8<Int64>>, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    let nothing = E.Lanes(repeating: -.infinity)
    let one = E.Lanes(repeating: 1)
    var kept = nothing
    var largest = nothing
    var number = E.Lanes(repeating: 0)
    var c = 0
    while c < classes {
      kept = E.replacing(kept, with: self[c], where: place, is: number)
      largest = E.larger(largest, E.replacing(self[c], with: nothing, where: place, is: number))
      number += one
      c &+= 1
    }
    let largests = Halves(E.widened(largest, 0), E.widened(largest, 1))
    if !isNear(largests.low) || (E.halves == 2 && !isNear(largests.high)) { return false }
    let exponent = Halves(
      (largests.low * log2e).rounded(.toNearestOrEven), (largests.high * log2e).rounded(.toNearestOrEven))
    let window = LaneWindow<E>(shift: Halves(E.sumShift - exponent.low, E.sumShift - exponent.high))
    let slots = Slots<E>(xentk_states(workspace))
    number = E.Lanes(repeating: 0)
    c = 0
    while c < classes {
      let x = E.replacing(self[c], with: nothing, where: place, is: number)
      slots.add(E.term(E.larger(x, window.lowest), window.magic), c)
      number += one
      c &+= 1
      if c & (E.strip &- 1) == 0 && c < classes { slots.flush(isFirst: c == E.strip) }
    }
    if c & (E.width &- 1) != 0 {
      // What fills up the last step.
      let filling = E.term(E.larger(nothing, window.lowest), window.magic)
      while c & (E.width &- 1) != 0 {
        slots.add(filling, c)
        c &+= 1
      }
    }
    let hasStrips = c > E.strip
    if hasStrips { slots.flush(isFirst: false) }
    let scale = powerOfTwo(-E.sumShift) / E.bias
    func conclude(_ half: Int, _ exponent: Doubles, _ index: SIMD8<Int64>, _ out: UnsafeMutablePointer<Batch>) {
      let total = slots.reduced(half, isFlushed: hasStrips)
      out.pointee.set(
        hi: total.hi * scale, lo: total.lo * scale, exponent: exponent, kept: E.widened(kept, half), index: index)
    }
    conclude(0, exponent.low, index.low, out.low)
    if E.halves == 2 { conclude(1, exponent.high, index.high, out.high) }
    return true
  }

  /// Whether all of eight are within ±2^15.
  @inline(__always) private func isNear(_ v: Doubles) -> Bool {
    let far = Doubles(repeating: 1).replacing(with: 0, where: (v .<= 0x1p15) .& (v .>= -0x1p15))
    return largestOf(far) == 0
  }

  // ---- Outputs ------------------------------------------------------------------------------------------------------

  /// Makes factor·exp(x) / total of every element, as `Writer` does; false, and nothing done, where that is not for
  /// ordinary totals and factors. `own` instead where the class is the row's `index`.
  @inline(never) func makeSoftmax(
    _ total: Both<Totals>, _ factor: Both<Pair>, own: Halves, at index: Both<SIMD8<Int64>>
  ) -> Bool {
    let low = Share<E>(total.low, factor.low)
    let high = E.halves == 2 ? Share<E>(total.high, factor.high) : low
    if !low.isOrdinary || !high.isOrdinary { return false }
    let window = LaneWindow<E>(shift: Halves(low.shift, high.shift))
    let kh = E.rounded(Halves(low.mantissa, high.mantissa))
    let kl = E.rounded(
      Halves((low.mantissa - E.widened(kh, 0)) + low.rest, (high.mantissa - E.widened(kh, 1)) + high.rest))
    let down = E.Lanes(repeating: E(rounding: powerOfTwo(-E.outputShift)))
    let own = E.rounded(own)
    let place = Self.places(index)
    var number = E.Lanes(repeating: 0)
    var c = 0
    while c < classes {
      let term = E.term(E.larger(self[c], window.lowest), window.magic)
      let major = term.scale * term.major
      let product = major * kh
      let lost = E.multiplyAdd(major, kh, -product)
      let rest = E.multiplyAdd(kh, term.minor, term.major * kl)
      let value = (product + E.multiplyAdd(term.scale, rest, lost)) * down
      E.store(E.replacing(value, with: own, where: place, is: number), x + c &* E.width)
      number += E.Lanes(repeating: 1)
      c &+= 1
    }
    return true
  }

  /// Makes (x − largest) − loss of every element, and `own` of the one at the row's `index`.
  @inline(never) func makeLogSoftmax(
    _ largest: Halves, _ loss: Both<Pair>, own: Halves, at index: Both<SIMD8<Int64>>, toOdd: Bool
  ) {
    let own = E.rounded(own)
    let place = Self.places(index)
    var number = E.Lanes(repeating: 0)
    var c = 0
    while c < classes {
      let value = E.difference(self[c], largest, loss, toOdd: toOdd)
      E.store(E.replacing(value, with: own, where: place, is: number), x + c &* E.width)
      number += E.Lanes(repeating: 1)
      c &+= 1
    }
  }
}

/// A tile's sums: `width` of them for each row, as lanes and strips make them, on their way to one.
private struct Slots<E: Element> {
  private let sums, rests: UnsafeMutablePointer<E>
  private let high, low: UnsafeMutablePointer<Double>

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) {
    let size = E.width &* E.width
    sums = memory.assumingMemoryBound(to: E.self)
    rests = sums + size
    high = UnsafeMutableRawPointer(rests + size).assumingMemoryBound(to: Double.self)
    low = high + size
  }

  /// Adds the term of class c. The first of a strip finds nothing there.
  @inline(__always) func add(_ term: Term<E>, _ c: Int) {
    let at = (c & (E.width &- 1)) &* E.width
    let isFirst = c & (E.strip &- 1) < E.width
    let major = term.scale * term.major
    let sum = isFirst ? E.Lanes(repeating: E.preload) : E.load(sums + at)
    let next = sum + major
    let lost = major - (next - sum)
    let rest = E.multiplyAdd(term.scale, term.minor, lost)
    E.store(isFirst ? rest : E.load(rests + at) + rest, rests + at)
    E.store(next, sums + at)
  }

  /// A strip ends.
  @inline(__always) func flush(isFirst: Bool) {
    var at = 0
    while at < E.width &* E.width {
      let sum = E.load(sums + at)
      let rest = E.load(rests + at)
      flush(sum, rest, 0, isFirst, at)
      if E.halves == 2 { flush(sum, rest, 1, isFirst, at &+ step) }
      at &+= E.width
    }
  }

  @inline(__always) private func flush(_ sum: E.Lanes, _ rest: E.Lanes, _ half: Int, _ isFirst: Bool, _ at: Int) {
    var h = isFirst ? Doubles() : Double.load(high + at)
    var l = isFirst || !E.hasLow ? Doubles() : Double.load(low + at)
    E.flush(sum, rest, half, to: &h, &l)
    Double.store(h, high + at)
    if E.hasLow { Double.store(l, low + at) }
  }

  /// `reduced` (Part.swift) of eight rows: halves onto halves. Not `isFlushed`: there is one strip, still in f32.
  @inline(__always) func reduced(_ half: Int, isFlushed: Bool) -> (hi: Doubles, lo: Doubles) {
    let high = high + half &* step
    let low = low + half &* step
    var count = E.width
    while count > 1 {
      count /= 2
      var slot = 0
      while slot < count {
        let one = slot &* E.width
        let other = (slot &+ count) &* E.width
        let isNew = !isFlushed && count == E.width / 2
        let (a, aLow) = isNew ? value(one, half) : loaded(high + one, low + one)
        let (b, bLow) = isNew ? value(other, half) : loaded(high + other, low + other)
        if E.hasLow {
          let (sum, lost) = twoSum(a, b)
          Double.store(sum, high + one)
          Double.store(aLow + bLow + lost, low + one)
        } else {
          Double.store(a + b, high + one)
        }
        slot &+= 1
      }
    }
    let (one, rest) = loaded(high, low)
    guard E.hasLow else { return (one, Doubles()) }
    let sum = one + rest
    let isFinite = one - one .== 0
    return (one.replacing(with: sum, where: isFinite), Doubles().replacing(with: rest - (sum - one), where: isFinite))
  }

  @inline(__always) private func loaded(
    _ high: UnsafePointer<Double>, _ low: UnsafePointer<Double>
  ) -> (Doubles, Doubles) {
    (Double.load(high), E.hasLow ? Double.load(low) : Doubles())
  }

  /// A sum of the only strip.
  @inline(__always) private func value(_ at: Int, _ half: Int) -> (Doubles, Doubles) {
    var high = Doubles()
    var low = Doubles()
    E.flush(E.load(sums + at), E.load(rests + at), half, to: &high, &low)
    return (high, low)
  }
}

/// `Window` for a row in each lane.
struct LaneWindow<E: Element> {
  let magic, lowest: E.Lanes

  @inline(__always) init(shift: Halves) {
    func magic(_ shift: Doubles) -> Doubles { E.magicBase + (E.exponentBias + shift) * E.magicStep }
    func lowest(_ shift: Doubles) -> Doubles { (E.smallestExponent - shift) * 0.6931471805599453 }
    self.magic = E.rounded(Halves(magic(shift.low), magic(shift.high)))
    self.lowest = E.rounded(Halves(lowest(shift.low), lowest(shift.high)))
  }
}

/// factor / total of eight rows as a mantissa and the window's shift; of no use unless all of them are ordinary.
private struct Share<E: Element> {
  let mantissa, rest, shift: Doubles
  let isOrdinary: Bool

  @inline(never) init(_ total: Totals, _ factor: Pair) {
    let zero = Doubles()
    let one = Doubles(repeating: 1)
    let size = factor.hi.replacing(with: -factor.hi, where: factor.hi .< 0)
    let isNothing = size .== 0
    let isUsual = (size .> 0x1p-480) .& (size .< powerOfTwo(E.outputShift - 4))
    let isOrdinary = (total.hi .> 0) .& (total.hi .< .infinity)
    self.isOrdinary = largestOf(one.replacing(with: 0, where: isOrdinary .& (isNothing .| isUsual))) == 0
    let share = E.share(factor, of: Pair(total.hi, total.lo))
    let hi = share.hi * (1 / E.bias)
    let lo = share.lo * (1 / E.bias)
    let isZero = hi .== 0
    let exponent = binaryExponent(hi).replacing(with: zero, where: isZero)
    let unit = powerOfTwo(-exponent)
    shift = exponent - total.exponent + E.outputShift
    mantissa = hi * unit
    rest = lo * unit
  }
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

/// Sums of whole rows; NaN also for what would need an anchor.
struct Totals {
  var hi = Doubles(), lo = Doubles(), exponent = Doubles()
}

extension Totals {
  /// Of one row, nil where that is not ordinary.
  @inline(__always) func wide(_ lane: Int) -> Wide? {
    let total = Wide(hi[lane], lo[lane], exponent: exponent[lane])
    return total.isOrdinary ? total : nil
  }
}

extension Batch {
  /// The kept elements' terms back in, where there are such, in all lanes or in none; `isWide` as in `conclude`.
  @inline(__always) func setTotals(isWide: Bool, hasKept: Bool, in totals: UnsafeMutablePointer<Totals>) {
    let isOdd = anchor .!= 0
    guard hasKept else {
      totals.pointee.hi = hi.replacing(with: .nan, where: isOdd)
      totals.pointee.lo = lo
      totals.pointee.exponent = exponent
      return
    }
    let x = clamped(kept, -0x1p16, 0x1p16)
    let e = isWide ? exponential(x) : exponentialOfNarrow(x)
    totals.pointee.add(self, e.value, e.exponent, isWide: isWide)
    // A NaN or an infinity has no exponent, by which it could be found to be nothing next to the kept element.
    let isFar = (kept .!= -.infinity) .& .!((kept .<= 0x1p15) .& (kept .>= -0x1p15))
    totals.pointee.hi.replace(with: .nan, where: isOdd .| isFar .| .!(hi .< .infinity))
  }
}

extension Totals {
  /// `Wide.+` lane by lane, both anchors 0: the sum of a batch's rests and of its kept elements, where these are not −inf.
  @inline(__always) fileprivate mutating func add(_ a: Batch, _ b: Pair, _ bExponent: Doubles, isWide: Bool) {
    let none = a.kept .== -.infinity
    let gap = (bExponent - a.exponent).replacing(with: -1000, where: none)
    let isFirst = gap .> 0
    let largeHi = a.hi.replacing(with: b.hi, where: isFirst)
    let distance = gap.replacing(with: -gap, where: isFirst)
    let scale = powerOfTwo(clamped(distance, -1000, 0))
    let isNear = distance .> -400
    exponent = a.exponent.replacing(with: bExponent, where: isFirst)
    let small = b.hi.replacing(with: a.hi, where: isFirst) * scale
    guard isWide else {
      hi = largeHi + small.replacing(with: 0, where: .!isNear)
      lo = Doubles()
      return
    }
    let largeLo = a.lo.replacing(with: b.lo, where: isFirst)
    let (sum, lost) = twoSum(largeHi, small)
    let low = lost + (largeLo + b.lo.replacing(with: a.lo, where: isFirst) * scale)
    let total = sum + low
    hi = largeHi.replacing(with: total, where: isNear)
    lo = largeLo.replacing(with: low - (total - sum), where: isNear)
  }
}
