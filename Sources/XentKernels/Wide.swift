// A sum of exponentials over any part of a row, of any magnitude, and its merge.

/// (hi + lo)·2^exponent·exp(anchor). The anchor is 0 for sums of exp(x) with |x| ≤ 2^15; beyond, where the argument
/// reduction would no longer be exact, it is one of the x: no x is ever rounded by a subtraction before its exp. A sum
/// of nothing is hi = 0; NaN and +inf live in hi.
struct Wide {
  var hi, lo, exponent, anchor: Double

  @inline(__always) init(_ hi: Double, _ lo: Double = 0, exponent: Double = 0, anchor: Double = 0) {
    self.hi = hi
    self.lo = lo
    self.exponent = exponent
    self.anchor = anchor
  }

  @inline(__always) static var zero: Wide { Wide(0) }
  @inline(__always) static var nan: Wide { Wide(.nan) }
  @inline(__always) static var infinity: Wide { Wide(.infinity) }

  /// The anchor for a sum whose largest argument is `x`.
  @inline(__always) static func anchor(for x: Double) -> Double { x.magnitude <= 0x1p15 ? 0 : x }

  /// exp(x).
  @inline(never) static func exp(_ x: Double) -> Wide {
    if x == -.infinity { return .zero }
    if !(x < .infinity) { return Wide(x) }
    let anchor = anchor(for: x)
    if anchor != 0 { return Wide(1, anchor: anchor) }
    let e = exponential(Doubles(repeating: x))
    return Wide(e.value.hi[0], e.value.lo[0], exponent: e.exponent[0])
  }

  @inline(__always) var isOrdinary: Bool { hi > 0 && hi < .infinity }

  /// Without an anchor: where that is beyond ±2^16 it is taken for that, which is as good beside sums that have none.
  @inline(never) var unanchored: Wide {
    let e = exponential(clamped(Doubles(repeating: anchor), -0x1p16, 0x1p16))
    let product = Pair(Doubles(repeating: hi), Doubles(repeating: lo)) * e.value
    return Wide(product.hi[0], product.lo[0], exponent: exponent + e.exponent[0])
  }

  /// The sum of both. Scaling by a power of two is exact, and the addition keeps what it loses; with equal anchors
  /// nothing is rounded but the last bits of lo.
  @inline(never) static func + (a: Wide, b: Wide) -> Wide {
    if !a.isOrdinary || !b.isOrdinary {
      if a.hi == 0 { return b }
      if b.hi == 0 { return a }
      return Wide(a.hi + b.hi)  // NaN and +inf, the scale no longer matters
    }
    let gap = (b.anchor - a.anchor) * log2e + (b.exponent - a.exponent)
    if gap > 0 { return b.adding(a, gap: -gap) }
    return a.adding(b, gap: gap)
  }

  /// self + small, small about 2^gap of self, gap ≤ 0.
  @inline(__always) private func adding(_ small: Wide, gap: Double) -> Wide {
    if !(gap > -400) { return self }
    var small = small
    if small.anchor != anchor {
      // Both anchors are beyond 2^15 and near each other, or one is 0: the difference is exact.
      let e = exponential(Doubles(repeating: small.anchor - anchor))
      let product = Pair(Doubles(repeating: small.hi), Doubles(repeating: small.lo)) * e.value
      small = Wide(product.hi[0], product.lo[0], exponent: small.exponent + e.exponent[0], anchor: anchor)
    }
    let scale = powerOfTwo(small.exponent - exponent)
    let (sum, lost) = twoSum(hi, small.hi * scale)
    let low = lost + (lo + small.lo * scale)
    let total = sum + low
    return Wide(total, low - (total - sum), exponent: exponent, anchor: anchor)
  }
}
