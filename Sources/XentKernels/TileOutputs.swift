// What a tile's elements become, in place: probabilities, log-probabilities, the gradient.

import CXentSystem

extension Tile {
  /// Makes factor·exp(x) / total of every element, as `Writer` does; false, and nothing done, where that is not for
  /// ordinary totals and factors.
  @inline(__always) func makeSoftmax(
    _ total: Both<Totals>, _ factor: Both<Pair>
  ) -> Bool {
    let share = Shares<E>(total, factor)
    if !share.isOrdinary { return false }
    let window = LaneWindow<E>(shift: E.rounded(share.exponent) + E.Lanes(repeating: E.outputShift))
    let multiplier = Multiplier<E>(
      share.head, share.tail, down: E.Lanes(repeating: E(rounding: powerOfTwo(-E.outputShift.widened))))
    var c = 0
    while c < classes {
      E.store(multiplier.output(E.term(E.larger(self[c], window.lowest), window.magic)), x + c &* E.width)
      c &+= 1
    }
    return true
  }

  /// Whether the terms of a sum are such, and so few, that they can be kept.
  @inline(__always) static func canKeepTerms(_ classes: Int) -> Bool { E.folded > 0 && classes <= E.folded }

  /// The terms of the last sum, at the end of the tiles' memory: class after class, the scales also of class −1.
  @inline(__always) var minors: UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_chunk(workspace) + Int(XENTK_CHUNK)).assumingMemoryBound(to: E.self)
      - classes &* E.width
  }
  @inline(__always) var scales: UnsafeMutablePointer<E> { minors - classes &* E.width }

  /// `makeSoftmax` of the terms of sums with these exponents: bit by bit the same. False, and nothing done, also where a
  /// power of two cannot take the terms' scale to that of the outputs.
  @inline(__always) func makeSoftmaxOfTerms(
    _ exponent: Halves, _ total: Both<Totals>, _ factor: Both<Pair>
  ) -> Bool {
    let share = Shares<E>(total, factor)
    if !share.isOrdinary { return false }
    // Down to the outputs, at the end as far as one multiplication goes; no part of kh and kl gets lost by the rest.
    let down = share.exponent + exponent - E.sumShift.widened
    let last = clamped(down, -126, 127)
    let before = down - last
    var (head, tail) = (share.head, share.tail)
    if isAny(whole(before.low .!= 0) .| whole(before.high .!= 0)) {
      let isNear = whole(before.low .>= -60) .& whole(before.low .<= 0) .& whole(before.high .>= -60) .& whole(before.high .<= 0)
      if isAny(.!isNear) { return false }
      let unit = E.rounded(powerOfTwo(before))
      (head, tail) = (head * unit, tail * unit)
    }
    let multiplier = Multiplier<E>(head, tail, down: E.rounded(powerOfTwo(last)))
    var c = 0
    while c < classes {
      let value = multiplier.output(scale: E.load(scales + c &* E.width), minor: E.load(minors + c &* E.width))
      E.store(value, x + c &* E.width)
      c &+= 1
    }
    return true
  }

  /// Makes (x − largest) − loss of every element.
  @inline(__always) func makeLogSoftmax(_ less: Subtrahends, _ ties: Ties?) {
    @inline(__always) func make(_ ties: Ties?) {
      var c = 0
      while c < classes {
        E.store(E.difference(self[c], less, ties), x + c &* E.width)
        c &+= 1
      }
    }
    if let ties { make(ties) } else { make(nil) }
  }
}

/// factor / total of each row as a mantissa and an exponent; of no use unless all of them are ordinary.
private struct Shares<E: Element> {
  private let mantissa, rest: Halves
  let exponent: Halves
  let isOrdinary: Bool

  /// The mantissa in two parts.
  @inline(__always) var head: E.Lanes { E.rounded(mantissa) }
  @inline(__always) var tail: E.Lanes {
    E.rounded(mantissa - Halves(E.widened(head, 0), E.widened(head, 1)) + rest)
  }

  @inline(__always) init(_ total: Both<Totals>, _ factor: Both<Pair>) {
    if E.halves == 2 {
      self.init(
        Halves(total.low.hi, total.high.hi), Halves(total.low.exponent, total.high.exponent),
        Halves(factor.low.hi, factor.high.hi))
    } else {
      self.init(total.low, factor.low)
    }
  }

  /// Of f32, where low parts are nothing.
  @inline(__always) private init(_ total: Halves, _ exponent: Halves, _ factor: Halves) {
    isOrdinary = Self.areOrdinary(total.low, factor.low) && Self.areOrdinary(total.high, factor.high)
    let share = factor / total * (1 / E.bias)
    let own = chosen(share .== 0, Halves(repeating: 0), else: Halves(binaryExponent(share.low), binaryExponent(share.high)))
    mantissa = share * powerOfTwo(-own)
    self.exponent = own - exponent
    rest = Halves(repeating: 0)
  }

  @inline(__always) private static func areOrdinary(_ total: Doubles, _ factor: Doubles) -> Bool {
    let size = magnitude(factor)
    let most = powerOfTwo(E.outputShift.widened - 4)
    let isUsual = whole(size .> 0x1p-480) .& whole(size .< most) .| whole(size .== 0)
    return !isAny(.!(isPositiveAndFinite(total) .& isUsual))
  }

  @inline(never) private init(_ total: Totals, _ factor: Pair) {
    isOrdinary = Self.areOrdinary(total.hi, factor.hi)
    let share = E.share(factor, of: Pair(total.hi, total.lo))
    let hi = share.hi * (1 / E.bias)
    let lo = share.lo * (1 / E.bias)
    let exponent = chosen(hi .== 0, Doubles(), else: binaryExponent(hi))
    let unit = powerOfTwo(0 - exponent)
    self.exponent = Both(exponent - total.exponent, Doubles())
    mantissa = Both(hi * unit, Doubles())
    rest = Both(lo * unit, Doubles())
  }
}
