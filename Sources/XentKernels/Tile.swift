// Rows of few classes, eight at a time and a lane each. What is done to a row is what is done to it row by row, each
// operation in its place (NUMERICS.md: its class j goes to the sum j mod 8, strips of 64, the same tree), so that the
// bits are the same and which way is taken is a matter of speed alone.

import CXentSystem

struct Tile<E: Element> {
  /// Class after class, eight rows of each.
  let x: UnsafeMutablePointer<E>
  let classes: Int
  private let workspace: UnsafeMutablePointer<xentk_workspace>

  /// Classes that there is room for.
  @inline(__always) static var limit: Int {
    Int(XENTK_CHUNK) &* MemoryLayout<Double>.stride / (step &* MemoryLayout<E>.stride)
  }

  @inline(__always) init(_ rows: Rows) {
    x = UnsafeMutableRawPointer(xentk_chunk(rows.workspace)).assumingMemoryBound(to: E.self)
    classes = rows.classes
    workspace = rows.workspace
  }

  @inline(__always) private func room(_ strip: Int32) -> UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_strip(workspace, strip)).assumingMemoryBound(to: E.self)
  }

  @inline(__always) subscript(_ c: Int) -> Lanes<E> { E.load(x + c &* step) }

  // ---- States -------------------------------------------------------------------------------------------------------

  /// The rows' states with the element at each index kept out (−1: none), nil unless all of them are ordinary: of
  /// elements up to 2^15, and not of masks alone.
  @inline(never) func states(keeping index: SIMD8<Int64>) -> Batch? {
    var kept = Doubles(repeating: -.infinity)
    var lane = 0
    while lane < step {
      let c = Int(index[lane])
      if c >= 0 {
        let place = x + (c &* step &+ lane)
        kept[lane] = place.pointee.widened
        place.pointee = -.infinity
      }
      lane &+= 1
    }
    let batch = sums(kept: kept, index)
    lane = 0
    while lane < step {
      let c = Int(index[lane])
      if c >= 0 { x[c &* step &+ lane] = E(rounding: kept[lane]) }
      lane &+= 1
    }
    return batch
  }

  /// The same with the first of the largest elements kept out.
  @inline(never) func statesOfLargest() -> Batch? {
    let largest = largest()
    var place = Lanes<E>(repeating: -1)
    var c = classes &- 1
    while c >= 0 {
      place = E.replacing(place, with: E(rounding: Double(c)), where: self[c], is: largest)
      c &-= 1
    }
    var index = SIMD8<Int64>()
    var lane = 0
    while lane < step {
      index[lane] = Int64(place[lane].widened)
      if largest[lane] == -.infinity { return nil }
      lane &+= 1
    }
    return states(keeping: index)
  }

  @inline(__always) private func largest() -> Lanes<E> {
    var largest = Lanes<E>(repeating: -.infinity)
    var c = 0
    while c < classes {
      largest = E.larger(largest, self[c])
      c &+= 1
    }
    return largest
  }

  @inline(__always) private func sums(kept: Doubles, _ index: SIMD8<Int64>) -> Batch? {
    let largest = E.widened(largest())
    let zero = Doubles()
    let odd = Doubles(repeating: 1).replacing(with: 0, where: (largest .<= 0x1p15) .& (largest .>= -0x1p15))
    if largestLane(odd) > 0 { return nil }
    let exponent = (largest * log2e).rounded(.toNearestOrEven)
    let window = LaneWindow<E>(shift: E.sumShift - exponent)
    let sums = room(1)
    let rests = room(2)
    let high = xentk_strip(workspace, 3)
    let low = xentk_strip(workspace, 4)
    var slot = 0
    while slot < step {
      E.store(Lanes(repeating: E.preload), sums + slot &* step)
      E.store(Lanes(), rests + slot &* step)
      Double.store(zero, high + slot &* step)
      Double.store(zero, low + slot &* step)
      slot &+= 1
    }
    var c = 0
    while c < classes {
      add(E.term(E.larger(self[c], window.lowest), window.magic), sums, rests, c & (step &- 1))
      c &+= 1
      if c & (strip &- 1) == 0 && c < classes { flush(sums, rests, high, low) }
    }
    if c & (step &- 1) != 0 {
      // What fills up the last step.
      let nothing = E.term(E.larger(Lanes(repeating: -.infinity), window.lowest), window.magic)
      while c & (step &- 1) != 0 {
        add(nothing, sums, rests, c & (step &- 1))
        c &+= 1
      }
    }
    flush(sums, rests, high, low)
    let scale = powerOfTwo(-E.sumShift) / E.bias
    let total = Self.reduced(high, low)
    return Batch(
      hi: total.hi * scale, lo: total.lo * scale, exponent: exponent, kept: kept, index: index)
  }

  @inline(__always) private func add(
    _ term: Term<E>, _ sums: UnsafeMutablePointer<E>, _ rests: UnsafeMutablePointer<E>, _ slot: Int
  ) {
    let major = term.scale * term.major
    let sum = E.load(sums + slot &* step)
    let next = sum + major
    let lost = major - (next - sum)
    let rest = rests + slot &* step
    E.store(E.load(rest) + E.multiplyAdd(term.scale, term.minor, lost), rest)
    E.store(next, sums + slot &* step)
  }

  @inline(never) private func flush(
    _ sums: UnsafeMutablePointer<E>, _ rests: UnsafeMutablePointer<E>, _ high: UnsafeMutablePointer<Double>,
    _ low: UnsafeMutablePointer<Double>
  ) {
    var slot = 0
    while slot < step {
      let at = slot &* step
      var h = Double.load(high + at)
      var l = Double.load(low + at)
      E.flush(E.load(sums + at), E.load(rests + at), to: &h, &l)
      Double.store(h, high + at)
      Double.store(l, low + at)
      E.store(Lanes(repeating: E.preload), sums + at)
      E.store(Lanes(), rests + at)
      slot &+= 1
    }
  }

  /// `reduced` (Part.swift) of eight rows: halves onto halves.
  @inline(__always) private static func reduced(
    _ high: UnsafeMutablePointer<Double>, _ low: UnsafeMutablePointer<Double>
  ) -> (hi: Doubles, lo: Doubles) {
    var width = step / 2
    while width > 1 {
      var slot = 0
      while slot < width {
        let (sum, lost) = twoSum(Double.load(high + slot &* step), Double.load(high + (slot &+ width) &* step))
        let rest = Double.load(low + slot &* step) + Double.load(low + (slot &+ width) &* step) + lost
        Double.store(sum, high + slot &* step)
        Double.store(rest, low + slot &* step)
        slot &+= 1
      }
      width /= 2
    }
    let (one, lost) = twoSum(Double.load(high), Double.load(high + step))
    let rest = Double.load(low) + Double.load(low + step) + lost
    let sum = one + rest
    let isFinite = one - one .== 0
    return (one.replacing(with: sum, where: isFinite), Doubles().replacing(with: rest - (sum - one), where: isFinite))
  }

  // ---- Outputs ------------------------------------------------------------------------------------------------------

  /// Makes factor·exp(x) / total of every element, as `Writer` does; false, and nothing done, where that is not for
  /// ordinary totals and factors.
  @inline(never) func makeSoftmax(_ total: Totals, _ factor: Pair) -> Bool {
    let zero = Doubles()
    let one = Doubles(repeating: 1)
    let size = factor.hi.replacing(with: -factor.hi, where: factor.hi .< 0)
    let isNothing = size .== 0
    let isUsual = (size .> 0x1p-480) .& (size .< powerOfTwo(E.outputShift - 4))
    let isOrdinary = (total.hi .> 0) .& (total.hi .< .infinity)
    if largestLane(one.replacing(with: 0, where: isOrdinary .& (isNothing .| isUsual))) > 0 { return false }
    let share = factor / Pair(total.hi, total.lo)
    let hi = share.hi * (1 / E.bias)
    let lo = share.lo * (1 / E.bias)
    let isZero = hi .== 0
    let exponent = binaryExponent(hi).replacing(with: zero, where: isZero)
    let unit = powerOfTwo(-exponent)
    let window = LaneWindow<E>(shift: exponent - total.exponent + E.outputShift)
    let kh = E.rounded(hi * unit)
    let kl = E.rounded((hi * unit - E.widened(kh)) + lo * unit)
    let down = Lanes(repeating: E(rounding: powerOfTwo(-E.outputShift)))
    var c = 0
    while c < classes {
      let term = E.term(E.larger(self[c], window.lowest), window.magic)
      let major = term.scale * term.major
      let product = major * kh
      let lost = E.multiplyAdd(major, kh, -product)
      let rest = E.multiplyAdd(kh, term.minor, term.major * kl)
      E.store((product + E.multiplyAdd(term.scale, rest, lost)) * down, x + c &* step)
      c &+= 1
    }
    return true
  }

  /// Makes (x − largest) − loss of every element.
  @inline(never) func makeLogSoftmax(_ largest: Doubles, _ loss: Pair, toOdd: Bool) {
    var c = 0
    while c < classes {
      E.store(E.difference(self[c], largest, loss, toOdd: toOdd), x + c &* step)
      c &+= 1
    }
  }
}

/// `Window` for a row in each lane.
struct LaneWindow<E: Element> {
  let magic, lowest: Lanes<E>

  @inline(__always) init(shift: Doubles) {
    magic = E.rounded(E.magicBase + (E.exponentBias + shift) * E.magicStep)
    lowest = E.rounded((E.smallestExponent - shift) * 0.6931471805599453)
  }
}

/// ⌊log2 |v|⌋ of normal numbers.
@inline(__always) func binaryExponent(_ v: Doubles) -> Doubles {
  let bits = (unsafeBitCast(v, to: SIMD8<UInt64>.self) &>> 52) & 0x7FF
  return unsafeBitCast(bits | 0x4330_0000_0000_0000, to: Doubles.self) - (0x1p52 + 1023)
}

/// Sums of whole rows; NaN also for what would need an anchor.
struct Totals {
  let hi, lo, exponent: Doubles
}

extension Batch {
  /// The kept elements' terms back in, as RowState.total does it, of what Tile.states has made.
  @inline(never) var totals: Totals {
    let one = exponential(clamped(kept, -0x1p16, 0x1p16))
    let hasKept = kept .!= -.infinity
    // A NaN or an infinity has no exponent, by which it could be found to be nothing next to the kept element.
    let isOdd = (hasKept .& .!((kept .<= 0x1p15) .& (kept .>= -0x1p15))) .| .!(hi .< .infinity)
    let sum = Totals.sum(Totals(hi: hi, lo: lo, exponent: exponent), one.value, one.exponent)
    return Totals(
      hi: hi.replacing(with: sum.hi, where: hasKept).replacing(with: .nan, where: isOdd),
      lo: lo.replacing(with: sum.lo, where: hasKept),
      exponent: exponent.replacing(with: sum.exponent, where: hasKept))
  }
}

extension Totals {
  /// `Wide.+` lane by lane, both anchors 0.
  @inline(__always) fileprivate static func sum(_ a: Totals, _ b: Pair, _ bExponent: Doubles) -> Totals {
    let gap = bExponent - a.exponent
    let isFirst = gap .> 0
    let largeHi = a.hi.replacing(with: b.hi, where: isFirst)
    let largeLo = a.lo.replacing(with: b.lo, where: isFirst)
    let exponent = a.exponent.replacing(with: bExponent, where: isFirst)
    let distance = gap.replacing(with: -gap, where: isFirst)
    let scale = powerOfTwo(clamped(distance, -1000, 0))
    let (sum, lost) = twoSum(largeHi, b.hi.replacing(with: a.hi, where: isFirst) * scale)
    let low = lost + (largeLo + b.lo.replacing(with: a.lo, where: isFirst) * scale)
    let total = sum + low
    let isNear = distance .> -400
    return Totals(
      hi: largeHi.replacing(with: total, where: isNear),
      lo: largeLo.replacing(with: low - (total - sum), where: isNear), exponent: exponent)
  }
}
