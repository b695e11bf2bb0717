// From a row's sum to its loss: eight rows at a time, a lane each, in f64.

/// For each row the sum over its other elements, and the element kept out of it: the target, or the largest.
struct Batch {
  private(set) var hi = Doubles(), lo = Doubles(), exponent = Doubles()
  private(set) var anchor = Doubles()
  private(set) var kept = Doubles()
  /// Where the largest first stands, −1 for none.
  private(set) var index = SIMD8<Int64>()

  @inline(__always) init() {}

  /// Eight rows at once, without an anchor.
  @inline(__always) mutating func set(
    hi: Doubles, lo: Doubles, exponent: Doubles, kept: Doubles, index: SIMD8<Int64>
  ) {
    (self.hi, self.lo, self.exponent, self.kept, self.index) = (hi, lo, exponent, kept, index)
    anchor = Doubles()
  }

  @inline(__always) mutating func set(_ lane: Int, _ state: RowState) {
    hi[lane] = state.rest.hi
    lo[lane] = state.rest.lo
    exponent[lane] = state.rest.exponent
    anchor[lane] = state.rest.anchor
    kept[lane] = state.kept
    index[lane] = Int64(state.index)
  }

  @inline(__always) func state(_ lane: Int) -> RowState {
    let rest = Wide(hi[lane], lo[lane], exponent: exponent[lane], anchor: anchor[lane])
    return RowState(rest: rest, kept: kept[lane], index: Int(index[lane]))
  }
}

struct Outcome {
  /// −log p(kept) = log1p(z), z = rest·exp(−kept): right for 1e-30 and for 1e30, nothing cancels.
  var loss: Pair
  /// 1 − p(kept) = z / (1 + z).
  var others: Pair
  /// Both are to be multiplied by 2^exponent where it is negative: values too small for f64. Where it is 200 the loss
  /// alone is, and is then too large.
  var exponent: Doubles

  @inline(__always) static var nothing: Outcome {
    Outcome(loss: Pair(Doubles(), Doubles()), others: Pair(Doubles(), Doubles()), exponent: Doubles())
  }

  @inline(__always) mutating func set(loss: Doubles) {
    self.loss = Pair(loss, Doubles())
    exponent = Doubles()
  }

  @inline(__always) mutating func set(others: Doubles) { self.others = Pair(others, Doubles()) }

  /// −log p(kept) as one number.
  @inline(__always) func wholeLoss(_ lane: Int) -> (hi: Double, lo: Double) {
    let exponent = exponent[lane]
    return exponent == 0 ? (loss.hi[lane], loss.lo[lane]) : (scaled(loss.hi[lane], exponent), 0)
  }

  /// Whether any loss has an exponent of its own.
  @inline(__always) var isAnyApart: Bool { isAny(exponent .!= 0) }

  /// −log p(kept) as the others' distance from it has to be added to: one with an exponent of its own is nothing then.
  @inline(__always) var ordinaryLoss: Pair {
    let isTiny = exponent .!= 0
    return Pair(loss.hi.replacing(with: 0, where: isTiny), loss.lo.replacing(with: 0, where: isTiny))
  }

  /// log p(kept) of all eight, as `logProb`.
  @inline(__always) var logProbs: Doubles {
    var value = 0 - (loss.hi + loss.lo)
    if isAnyApart {
      var lane = 0
      while lane < step {
        value[lane] = logProb(lane)
        lane &+= 1
      }
    }
    return value
  }

  /// log p(kept), 0 and not −0 where it is certain.
  @inline(__always) func logProb(_ lane: Int) -> Double {
    let exponent = exponent[lane]
    return exponent == 0 ? 0 - (loss.hi[lane] + loss.lo[lane]) : -scaled(loss.hi[lane], exponent)
  }

  /// 1 − p(kept) as one number.
  @inline(__always) func wholeOthers(_ lane: Int) -> (hi: Double, lo: Double) {
    exponent[lane] < 0 ? (scaled(others.hi[lane], exponent[lane]), 0) : (others.hi[lane], others.lo[lane])
  }

  /// factor·(1 − p(kept)) of all eight.
  @inline(__always) func others(times factor: Pair) -> Doubles {
    let product = factor.hi * others.hi
    let rest = fma(factor.hi, others.hi, -product) + (factor.hi * others.lo + factor.lo * others.hi)
    var value = product.replacing(with: product + rest, where: product - product .== 0)
    if isAny(exponent .< 0) {
      var lane = 0
      while lane < step {
        if exponent[lane] < 0 { value[lane] = scaled(value[lane], exponent[lane]) }
        lane &+= 1
      }
    }
    return value
  }

  /// The same of one.
  @inline(__always) func others(_ lane: Int, times factor: (hi: Double, lo: Double)) -> Double {
    let product = factor.hi * others.hi[lane]
    let rest =
      (-product).addingProduct(factor.hi, others.hi[lane]) + (factor.hi * others.lo[lane] + factor.lo * others.hi[lane])
    let value = product.isFinite ? product + rest : product
    return exponent[lane] < 0 ? scaled(value, exponent[lane]) : value
  }
}

extension Batch {
  /// Of the first `count` rows; what the other lanes hold is nothing to look at. `others`: where 1 − p(kept) is wanted,
  /// otherwise it is left as it is. Mutating for not being copied alone.
  @inline(never) mutating func conclude(_ count: Int, others: Bool, in outcome: UnsafeMutablePointer<Outcome>) {
    let zero = Doubles()
    let (gap, gapLow) = twoSum(anchor, -kept)
    let e = exponential(clamped(gap, -0x1p16, 0x1p16), gapLow)
    let rest = Pair(hi, lo)
    let z = rest * e.value
    let zExponent = exponent + e.exponent
    let scale = powerOfTwo(clamped(zExponent, -960, 60))
    let small = Pair(z.hi * scale, z.lo * scale)
    let (one, lost) = twoSum(Doubles(repeating: 1), small.hi)
    let sum = Pair(normalizing: one, lost + small.lo)

    // log(1 + z); beyond 2^60 log(z), and where exp(gap) would leave the format gap + log(rest).
    let large = zExponent .> 60
    let steep = gap .> 0x1p16
    let u = Pair(
      chosen(steep, rest.hi, else: chosen(large, z.hi, else: sum.hi)),
      chosen(steep, rest.lo, else: chosen(large, z.lo, else: sum.lo)))
    let k = chosen(steep, exponent, else: chosen(large, zExponent, else: zero))
    let offset = Pair(chosen(steep, gap, else: zero), chosen(steep, gapLow, else: zero))
    outcome.pointee.exponent = zero
    outcome.pointee.loss = logarithm(u, exponent: k, offset: offset)
    if others {
      let share = small / sum
      outcome.pointee.others = Pair(chosen(large, Doubles(repeating: 1), else: share.hi), chosen(large, zero, else: share.lo))
    }
    concludeEdges(isOrdinary(gap, zExponent), count, gap, z.hi, zExponent, in: outcome)
  }

  @inline(__always) fileprivate func isOrdinary(_ gap: Doubles, _ zExponent: Doubles) -> Mask {
    isPositiveAndFinite(hi) .& whole(gap .> -.infinity) .& whole(gap .< .infinity) .& whole(zExponent .>= -900)
  }

  @inline(__always) fileprivate func concludeEdges(
    _ isOrdinary: Mask, _ count: Int, _ gap: Doubles, _ z: Doubles, _ zExponent: Doubles,
    in outcome: UnsafeMutablePointer<Outcome>
  ) {
    let isOrdinary = whole(isOrdinary)
    guard isAny(.!isOrdinary) else { return }
    var lane = 0
    while lane < count {
      if !isOrdinary[lane] {
        let (loss, others, exponent) = edge(lane, gap: gap[lane], z: z[lane], exponent: zExponent[lane])
        outcome.pointee.loss.hi[lane] = loss
        outcome.pointee.loss.lo[lane] = 0
        outcome.pointee.others.hi[lane] = others
        outcome.pointee.others.lo[lane] = 0
        outcome.pointee.exponent[lane] = exponent
      }
      lane &+= 1
    }
  }

  /// Infinities, NaN, sums of nothing, and results below 2^-900.
  private func edge(
    _ lane: Int, gap: Double, z: Double, exponent: Double
  ) -> (loss: Double, others: Double, exponent: Double) {
    let rest = hi[lane]
    let kept = kept[lane]
    if !(rest < .infinity && kept < .infinity) { return (.nan, .nan, 0) }
    if kept == -.infinity { return rest == 0 ? (.nan, .nan, 0) : (.infinity, 1, 0) }
    if rest == 0 || gap == -.infinity { return (0, 0, 0) }
    if gap == .infinity { return (anchor[lane] * 0x1p-200 - kept * 0x1p-200, 1, 200) }
    return (z, z, exponent)
  }

  /// `conclude` for f32 results, of two batches together, or of the first where it has all rows: 2^-40 is enough, and the low parts
  /// are 0. The sums of the whole rows, where they are wanted, come with it.
  @inline(never) static func concludeNarrow(
    _ batches: Both<UnsafeMutablePointer<Batch>>, _ count: Int, others: Bool, in outcomes: Both<UnsafeMutablePointer<Outcome>>,
    totals: Both<UnsafeMutablePointer<Totals>>?
  ) {
    if RowsKernel.hasFMA && count <= step {
      concludeOne(batches.low, count, others: others, in: outcomes.low, totals: totals?.low)
    } else {
      concludeBoth(batches, count, others: others, in: outcomes, totals: totals)
    }
  }

  /// Of the first alone: the compiler makes one operation of two that are the same.
  @inline(never) private static func concludeOne(
    _ batch: UnsafeMutablePointer<Batch>, _ count: Int, others: Bool, in outcome: UnsafeMutablePointer<Outcome>,
    totals: UnsafeMutablePointer<Totals>?
  ) {
    concludeBoth(Both(batch, batch), count, others: others, in: Both(outcome, outcome), totals: totals.map { Both($0, $0) })
  }

  @inline(__always) private static func concludeBoth(
    _ batches: Both<UnsafeMutablePointer<Batch>>, _ count: Int, others: Bool, in outcomes: Both<UnsafeMutablePointer<Outcome>>,
    totals: Both<UnsafeMutablePointer<Totals>>?
  ) {
    let low = batches.low
    let high = batches.high
    let zero = Halves(repeating: 0)
    let rest = Halves(low.pointee.hi, high.pointee.hi)
    let exponent = Halves(low.pointee.exponent, high.pointee.exponent)
    // Exact, as both are f32, where it matters.
    let gap = Halves(low.pointee.anchor - low.pointee.kept, high.pointee.anchor - high.pointee.kept)
    let e = exponentialOfNarrow(clamped(-gap, -0x1p16, 0x1p16))
    let z = rest / e.value
    let zExponent = exponent - e.exponent
    let small = z * powerOfTwo(clamped(zExponent, -960, 60))
    let sum = small + 1
    let large = zExponent .> 60
    let steep = gap .> 0x1p16
    let u = chosen(steep, rest, else: chosen(large, z, else: sum))
    let k = chosen(steep, exponent, else: chosen(large, zExponent, else: zero))
    let loss = logarithmOfNarrow(u, small, exponent: k) + chosen(steep, gap, else: zero)
    outcomes.low.pointee.set(loss: loss.low)
    outcomes.high.pointee.set(loss: loss.high)
    if others {
      let share = chosen(large, Halves(repeating: 1), else: small / sum)
      outcomes.low.pointee.set(others: share.low)
      outcomes.high.pointee.set(others: share.high)
    }
    if let totals {
      let (sums, exponents) = Self.totals(rest, exponent, e, zExponent)
      totals.low.pointee = Totals(hi: low.pointee.held(sums.low), exponent: exponents.low)
      totals.high.pointee = Totals(hi: high.pointee.held(sums.high), exponent: exponents.high)
    }
    let (gapLow, gapHigh) = (gap.low, gap.high)
    let (exponentLow, exponentHigh) = (zExponent.low, zExponent.high)
    low.pointee.concludeEdges(
      low.pointee.isOrdinary(gapLow, exponentLow), min(count, step), gapLow, z.low, exponentLow,
      in: outcomes.low)
    if count > step {
      high.pointee.concludeEdges(
        high.pointee.isOrdinary(gapHigh, exponentHigh), count &- step, gapHigh, z.high, exponentHigh,
        in: outcomes.high)
    }
  }

  /// rest·2^exponent + e, `zExponent` being the difference of their exponents.
  @inline(__always) private static func totals(
    _ rest: Halves, _ exponent: Halves, _ e: (value: Halves, exponent: Halves), _ zExponent: Halves
  ) -> (hi: Halves, exponent: Halves) {
    let isSmaller = zExponent .> 0
    let scale = powerOfTwo(clamped(chosen(isSmaller, -zExponent, else: zExponent), -1000, 0))
    let sum = chosen(isSmaller, rest, else: e.value) + chosen(isSmaller, e.value, else: rest) * scale
    return (sum, chosen(isSmaller, exponent, else: e.exponent))
  }

  /// The totals of `concludeNarrow` alone.
  @inline(never) func setNarrowTotals(in totals: UnsafeMutablePointer<Totals>) {
    let gap = anchor - kept
    let e = exponentialOfNarrow(clamped(-Halves(gap, gap), -0x1p16, 0x1p16))
    let exponents = Halves(exponent, exponent)
    let (sums, sumExponents) = Self.totals(Halves(hi, hi), exponents, e, exponents - e.exponent)
    totals.pointee = Totals(hi: held(sums.low), exponent: sumExponents.low)
  }

  /// log Σ exp over each whole row, rounded; nil unless all of them are ordinary.
  @inline(__always) func logSumExps(_ outcome: UnsafePointer<Outcome>) -> Doubles? {
    let (sum, lost) = twoSum(kept, outcome.pointee.loss.hi)
    let isFine = (sum - sum .== 0) .& (outcome.pointee.exponent .== 0)
    return isAny(.!isFine) ? nil : sum + (lost + outcome.pointee.loss.lo)
  }

  /// log Σ exp over the whole row: kept − log p(kept), as hi + lo.
  @inline(__always) func logSumExp(_ lane: Int, _ outcome: Outcome) -> (hi: Double, lo: Double) {
    let kept = kept[lane]
    if hi[lane].isNaN || kept.isNaN { return (.nan, 0) }
    if !kept.isFinite { return (kept, 0) }
    let exponent = outcome.exponent[lane]
    let loss = outcome.loss.hi[lane]
    let (sum, lost) = twoSum(kept, exponent == 0 ? loss : scaled(loss, exponent))
    return (sum, sum.isFinite ? lost + outcome.loss.lo[lane] : 0)
  }
}
