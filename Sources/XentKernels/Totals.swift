// Sums over whole rows, of which what has the logits' shape is made: eight rows at a time, a lane each.

/// Sums of whole rows; NaN also for what would need an anchor.
struct Totals {
  var hi = Doubles(), lo = Doubles(), exponent = Doubles()
}

extension Batch {
  /// The sums as they are.
  @inline(__always) func setTotals(in totals: UnsafeMutablePointer<Totals>) {
    totals.pointee.hi = chosen(anchor .!= 0, Doubles(repeating: .nan), else: hi)
    totals.pointee.lo = lo
    totals.pointee.exponent = exponent
  }

  /// The kept elements' terms back in.
  @inline(never) func setWholeTotals(in totals: UnsafeMutablePointer<Totals>) {
    let e = exponential(clamped(kept, -0x1p16, 0x1p16))
    totals.pointee.add(self, e.value, e.exponent)
    totals.pointee.hi = held(totals.pointee.hi)
  }

  /// Sums with the kept elements' terms, NaN where these are not made by the rule: what has an anchor or an infinite sum, sums of
  /// nothing, and elements without an exponent, by which they could be found to be nothing next to the others.
  @inline(__always) func held(_ sums: Doubles) -> Doubles {
    let isNear = (kept .<= 0x1p15) .& (kept .>= -0x1p15) .| (kept .== -.infinity)
    return chosen((anchor .== 0) .& isPositiveAndFinite(hi) .& isNear, sums, else: Doubles(repeating: .nan))
  }
}

extension Totals {
  @inline(__always) init(hi: Doubles, exponent: Doubles) {
    self.hi = hi
    self.exponent = exponent
  }

  /// Of one row, nil where that is not ordinary.
  @inline(__always) func wide(_ lane: Int) -> Wide? {
    let total = Wide(hi[lane], lo[lane], exponent: exponent[lane])
    return total.isOrdinary ? total : nil
  }

  /// `Wide.+` lane by lane, both anchors 0: the sum of a batch's rests and of its kept elements, where these are not −inf.
  @inline(__always) fileprivate mutating func add(_ a: Batch, _ b: Pair, _ bExponent: Doubles) {
    let gap = chosen(a.kept .== -.infinity, Doubles(repeating: -1000), else: bExponent - a.exponent)
    let isFirst = gap .> 0
    let large = Pair(chosen(isFirst, b.hi, else: a.hi), chosen(isFirst, b.lo, else: a.lo))
    let small = Pair(chosen(isFirst, a.hi, else: b.hi), chosen(isFirst, a.lo, else: b.lo))
    let distance = chosen(isFirst, -gap, else: gap)
    let scale = powerOfTwo(clamped(distance, -1000, 0))
    let isNear = distance .> -400
    exponent = chosen(isFirst, bExponent, else: a.exponent)
    let (sum, lost) = twoSum(large.hi, small.hi * scale)
    let low = lost + (large.lo + small.lo * scale)
    let total = sum + low
    hi = chosen(isNear, total, else: large.hi)
    lo = chosen(isNear, low - (total - sum), else: large.lo)
  }
}
