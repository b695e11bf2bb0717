// What is written class by class: factor·exp(x) / total, and its kin.

import CXentSystem

extension Element {
  /// `count` (up to all) lanes; the others are 0.
  @inline(__always) static func load(_ p: UnsafePointer<Self>, _ count: Int) -> Lanes {
    count == width ? load(p) : loadFew(p, count, else: 0)
  }

  @inline(__always) static func store(_ v: Lanes, _ p: UnsafeMutablePointer<Self>, _ count: Int) {
    if count == width { store(v, p) } else { storeFew(v, p, count) }
  }

  /// All lanes, or `count`; past the caches, all of them, where a line begins.
  @inline(__always) static func put(
    _ v: Lanes, _ p: UnsafeMutablePointer<Self>, _ count: Int = width, streams: Bool
  ) {
    if streams && count == width { stream(v, p) } else { store(v, p, count) }
  }
}

/// Calls `body` for `width` elements at a time, and once for what remains. The count is that very number in the loop: a
/// load or store of fewer is a call, around which nothing stays in the registers.
@inline(__always) func forEachStep(
  from first: Int = 0, _ count: Int, _ width: Int = step, _ body: (_ first: Int, _ count: Int) -> Void
) {
  var i = first
  while i &+ width <= count {
    body(i, width)
    i &+= width
  }
  if i < count { body(i, count &- i) }
}

@inline(__always) func spread<E: Element>(_ value: E, over out: UnsafeMutablePointer<E>, _ count: Int) {
  let lanes = E.Lanes(repeating: value)
  var i = 0
  while i &+ 4 &* E.width <= count {
    Four(0, E.width, 2 &* E.width, 3 &* E.width).forEach { E.store(lanes, out + (i &+ $0)) }
    i &+= 4 &* E.width
  }
  while i &+ E.width <= count {
    E.store(lanes, out + i)
    i &+= E.width
  }
  if i < count { E.storeFew(lanes, out + i, count &- i) }
}

/// Brings the lines of so many bytes to L1.
@inline(__always) func prefetchLines(_ p: UnsafeRawPointer, _ bytes: Int) {
  var line = 0
  while line < bytes {
    xentk_prefetch(p + line)
    line &+= 64
  }
}

/// Brings what is written so far from here to L1, or what is read in its place; and what is read, where that goes backwards: chunk
/// before chunk is nothing that the processor would foresee.
@inline(__always) func fetch<E: Element>(_ out: UnsafePointer<E>, _ x: UnsafePointer<E>, _ ahead: Int) {
  xentk_prefetch(out + ahead)
  xentk_prefetch(x + min(ahead, 0))
}

/// Writes factor·exp(x) / total.
///
/// In range: with K = factor / total as Kh + Kl, and exp(x) = scale·(major + minor) recomputed, the product is a +
/// (scale·(Kh·minor + major·Kl) + lost), a + lost = scale·major·Kh exactly; the parenthesis is a twentieth of a at most,
/// and so are its roundings (NUMERICS.md). It is formed 2^outputShift too large, and brought down by one exact
/// multiplication.
struct Writer<E: Element> {
  let total: Wide
  let factor: (hi: Double, lo: Double)
  let stage: Stage<E>
  /// How far ahead memory is fetched.
  let ahead: Int

  @inline(__always) init(total: Wide, factor: (hi: Double, lo: Double), stage: Stage<E>, ahead: Int = aheadToWrite) {
    self.total = total
    self.factor = factor
    self.stage = stage
    self.ahead = ahead
  }

  /// If it `streams`, `out` is where a line begins, as in all functions here, and is written past the caches.
  @inline(__always) func write(_ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, streams: Bool) {
    if !total.isOrdinary {
      spread(E.nan, over: out, count)
    } else if factor.hi == 0 || isInRange {
      writeInRange(x, to: out, count, streams)
    } else {
      writeAnyRange(x, to: out, count)
    }
  }

  /// factor / total, over the bias, as (hi + lo)·2^exponent, hi from 1 to 2.
  @inline(__always) private func share() -> (hi: E, lo: E, exponent: Double) {
    let share = mantissa(times: 1 / E.bias)
    let hi = E(rounding: share.hi)
    return (hi, E(rounding: (share.hi - hi.widened) + share.lo), share.exponent)
  }

  @inline(__always) private var isInRange: Bool { Self.isInRange(factor.hi) }

  /// Whether outputs of such a factor are made as described.
  @inline(__always) static func isInRange(_ factor: Double) -> Bool {
    factor.magnitude > 0x1p-480 && factor.magnitude < powerOfTwo(E.outputShift.widened - 4)
  }

  @inline(never) private func writeInRange(
    _ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, _ streams: Bool
  ) {
    let (hi, lo, exponent) = share()
    let window = Window<E>(shift: E(rounding: exponent) + E.outputShift)
    let anchor = E(rounding: total.anchor)
    if anchor == 0 { return Self.write(x, to: out, count, window, hi, lo, ahead, streams) }
    let part = Part(x, count: count, hole: -1, stage: stage)
    var first = 0
    while first < count {
      Self.write(
        part.strip(first, less: anchor), to: out + first, min(E.strip, count &- first), window, hi, lo, ahead, streams)
      first &+= E.strip
    }
  }

  /// Scalars in, because lanes as an argument come in parts and stay so.
  @inline(never) private static func write(
    _ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, _ window: Window<E>, _ hi: E, _ lo: E, _ ahead: Int,
    _ streams: Bool
  ) {
    let near = streams ? x : UnsafePointer(out)
    let magic = E.Lanes(repeating: window.magic)
    let lowest = E.Lanes(repeating: window.lowest)
    let multiplier = Multiplier<E>(
      E.Lanes(repeating: hi), E.Lanes(repeating: lo),
      down: E.Lanes(repeating: E(rounding: powerOfTwo(-E.outputShift.widened))))
    @inline(__always) func value(_ term: Term<E>) -> E.Lanes { multiplier.output(term) }
    var i = writeInTurn(x, to: out, count, window, ahead, streams) { value(E.ended($0)) }
    #if XENT_FMA
      while i &+ 4 &* E.width <= count {
        let steps = Four(i, i &+ E.width, i &+ 2 &* E.width, i &+ 3 &* E.width)
        let terms = E.ended(E.begun(steps.map { E.larger(E.load(x + $0), lowest) }, magic))
        let values = terms.map(value)
        steps.forEach {
          fetch(near + $0, x + $0, ahead)
        }
        E.put(values.a, out + steps.a, streams: streams)
        E.put(values.b, out + steps.b, streams: streams)
        E.put(values.c, out + steps.c, streams: streams)
        E.put(values.d, out + steps.d, streams: streams)
        i &+= 4 &* E.width
      }
    #endif
    forEachStep(from: i, count, E.width) { i, few in
      let term = E.term(E.larger(E.load(x + i, few), lowest), magic)
      E.put(value(term), out + i, few, streams: streams)
    }
  }

  /// Writes fours of steps, as a sum reads them (Part.swift), where there are registers for that; gives how many elements.
  @inline(__always) private static func writeInTurn(
    _ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, _ window: Window<E>, _ ahead: Int, _ streams: Bool,
    _ value: (Reduced<E>) -> E.Lanes
  ) -> Int {
    var i = 0
    #if XENT_V4
      let near = streams ? x : UnsafePointer(out)
      guard E.halves == 2 && 4 &* E.width <= count else { return 0 }
      let magic = E.Lanes(repeating: window.magic)
      let lowest = E.Lanes(repeating: window.lowest)
      @inline(__always) func begun(_ i: Int) -> Reduced<E> { E.begun(E.larger(E.load(x + i), lowest), magic) }
      var next = Four(0, E.width, 2 &* E.width, 3 &* E.width).map(begun)
      @inline(__always) func turn(_ reduced: inout Reduced<E>, _ following: Int, _ i: Int) {
        let now = reduced
        reduced = begun(following)
        reduced.rest = E.whole(reduced.rest)
        fetch(near + i, x + i, ahead)
        E.put(value(now), out + i, streams: streams)
      }
      while i &+ 4 &* E.width <= count {
        let following = i &+ 8 &* E.width <= count ? i &+ 4 &* E.width : i
        turn(&next.a, following, i)
        turn(&next.b, following &+ E.width, i &+ E.width)
        turn(&next.c, following &+ 2 &* E.width, i &+ 2 &* E.width)
        turn(&next.d, following &+ 3 &* E.width, i &+ 3 &* E.width)
        i &+= 4 &* E.width
      }
    #endif
    return i
  }

  /// The same from the terms of a sum that has this exponent, of scales without a major part (f32): bit by bit what
  /// `write` makes of the elements. False, and nothing is written, where a power of two cannot take the terms' scale to
  /// that of the outputs. The terms may lie where `out` does.
  @inline(never) func write(
    terms: UnsafePointer<E>, of sumExponent: Double, to out: UnsafeMutablePointer<E>, _ count: Int, streams: Bool
  ) -> Bool {
    guard total.isOrdinary && isInRange else { return false }
    let (hi, lo, exponent) = share()
    // Down to the outputs, at the end as far as one multiplication goes; no part of hi and lo gets lost by the rest.
    let whole = exponent + sumExponent - E.sumShift.widened
    let down = whole < -126 ? -126 : whole
    guard whole - down >= -60 else { return false }
    let before = E(rounding: powerOfTwo(whole - down))
    Self.write(terms: terms, to: out, count, hi * before, lo * before, E(rounding: powerOfTwo(down)), streams)
    return true
  }

  @inline(never) private static func write(
    terms: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, _ hi: E, _ lo: E, _ down: E, _ streams: Bool
  ) {
    let near = streams ? terms : UnsafePointer(out)
    let multiplier = Multiplier<E>(
      E.Lanes(repeating: hi), E.Lanes(repeating: lo), down: E.Lanes(repeating: down))
    @inline(__always) func value(_ i: Int) -> E.Lanes {
      multiplier.output(scale: E.load(terms + 2 &* i), minor: E.load(terms + (2 &* i &+ E.width)))
    }
    var i = 0
    while i &+ E.width <= count {
      xentk_prefetch(near + (i &+ aheadToWrite))
      E.put(value(i), out + i, streams: streams)
      i &+= E.width
    }
    if i < count {
      // What fills up the last step is nearly nothing, and would be below the normal numbers, where processors are slow.
      let few = count &- i
      let scale = E.loadFew(terms + 2 &* i, few, else: E.usualScale)
      E.storeFew(multiplier.output(scale: scale, minor: E.load(terms + (2 &* i &+ E.width))), out + i, few)
    }
  }

  /// One by one in f64 with the exponents apart: factors of 1e300, of 1e-300, infinite ones and NaN.
  @inline(never) private func writeAnyRange(_ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int) {
    var exponent = 0.0
    let isFinite = factor.hi.isFinite
    let mantissa = isFinite ? xentk_mantissa(factor.hi, &exponent) : 1
    let low = isFinite ? scaled(factor.lo, -exponent) : 0
    let share =
      Pair(Doubles(repeating: mantissa), Doubles(repeating: low))
      / Pair(Doubles(repeating: total.hi), Doubles(repeating: total.lo))
    var i = 0
    while i < count {
      let e = exponential(clamped(Doubles(repeating: x[i].widened - total.anchor), -0x1p16, 0x1p16))
      let product = e.value * share
      let value = scaled(product.hi[0], e.exponent[0] - total.exponent + exponent)
      out[i] = E(rounding: isFinite ? value : value * factor.hi)
      i &+= 1
    }
  }

  /// factor / total, times a constant, as (hi + lo)·2^exponent, hi from 1 to 2, or 0.
  @inline(__always) private func mantissa(times constant: Double) -> (hi: Double, lo: Double, exponent: Double) {
    let k = E.share(
      Pair(Doubles(repeating: factor.hi), Doubles(repeating: factor.lo)),
      of: Pair(Doubles(repeating: total.hi), Doubles(repeating: total.lo)))
    let (hi, lo) = (k.hi[0] * constant, k.lo[0] * constant)
    let exponent = hi == 0 ? 0 : Double(Int((hi.bitPattern &>> 52) & 0x7FF) &- 1023)
    let unit = powerOfTwo(-exponent)
    return (hi * unit, lo * unit, exponent - total.exponent)
  }
}

extension Writer where E == Float {
  /// `write` of a row of more than a chunk: with one rounding fewer, so of other bits.
  @inline(__always) func writeLong(
    _ x: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>, _ count: Int, streams: Bool
  ) {
    guard total.isOrdinary && isInRange && total.anchor == 0 else { return write(x, to: out, count, streams: streams) }
    let (hi, lo, exponent) = mantissa(times: 1)
    Self.writeLong(x, to: out, count, Window(shift: Float(exponent) + Float.outputShift), hi, lo, ahead, streams)
  }

  /// `write` for XENT_ACCURACY_FASTEST: each output is the product of two floats, exp(x) and factor / total. Powers of two apart,
  /// exp(x) is the same from any sum's terms and from here, so that it does not matter for the bits whether it is kept.
  @inline(__always) func writeRounded(
    _ x: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>, _ count: Int, streams: Bool
  ) {
    guard total.isOrdinary && isInRange && isNear(x, count) else { return write(x, to: out, count, streams: streams) }
    let (hi, exponent) = nearShare()
    Self.writeRounded(x, to: out, count, Window(shift: exponent + Float.outputShift), hi, ahead, streams)
  }

  /// As in `RowPart`. Only where there is an anchor are there elements, in another chunk or in this one, that are not.
  @inline(__always) private func isNear(_ x: UnsafePointer<Float>, _ count: Int) -> Bool {
    total.anchor == 0 || Wide.anchor(for: Part(x, count: count, hole: -1, stage: stage).maximum().widened) == 0
  }

  /// factor / total, over the bias, to f32 as hi·2^exponent, and relative to sums without an anchor.
  @inline(__always) private func nearShare() -> (hi: Float, exponent: Float) {
    let near = total.anchor == 0 ? self : Writer(total: total.unanchored, factor: factor, stage: stage)
    let (hi, _, exponent) = near.mantissa(times: 1 / Float.bias)
    return (Float(hi), Float(exponent))
  }

  @inline(never) private static func writeRounded(
    _ x: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>, _ count: Int, _ window: Window<Float>, _ hi: Float,
    _ ahead: Int, _ streams: Bool
  ) {
    let share = Floats(repeating: hi)
    let down = Floats(repeating: Float(powerOfTwo(-Float.outputShift.widened)))
    @inline(__always) func output(_ x: Reduced<Float>) -> Floats { Float.ended(x).rounded * share * down }
    writeEach(x, to: out, count, window, ahead, streams) { output($0) }
  }

  /// The same from the terms of a sum that has this exponent, which may lie where `out` does. False, and nothing is written, where
  /// there is no such product.
  @inline(never) func write(
    roundedTerms terms: UnsafePointer<Float>, of sumExponent: Float, to out: UnsafeMutablePointer<Float>, _ count: Int
  ) -> Bool {
    guard total.isOrdinary && isInRange else { return false }
    let (hi, exponent) = nearShare()
    // The product of both is a normal number where the output is not 0, and what is left to multiply by a power of two.
    let whole = exponent + sumExponent - Float.sumShift
    let down: Float = whole < -226 ? -149 : max(whole, -126)
    let share = Floats(repeating: whole - down < -126 ? hi * 0 : hi * Float(powerOfTwo((whole - down).widened)))
    let last = Floats(repeating: Float(powerOfTwo(down.widened)))
    @inline(__always) func output(_ term: Floats) -> Floats { term * share * last }
    var i = 0
    while i &+ 4 &* Float.width <= count {
      let steps = Four(i, i &+ Float.width, i &+ 2 &* Float.width, i &+ 3 &* Float.width)
      let outputs = steps.map { output(Float.load(terms + $0)) }
      steps.forEach { xentk_prefetch(out + ($0 &+ aheadToWrite)) }
      Float.store(outputs.a, out + steps.a)
      Float.store(outputs.b, out + steps.b)
      Float.store(outputs.c, out + steps.c)
      Float.store(outputs.d, out + steps.d)
      i &+= 4 &* Float.width
    }
    forEachStep(from: i, count, Float.width) { i, few in
      Float.store(output(Float.load(terms + i, few)), out + i, few)
    }
    return true
  }

  @inline(never) private static func writeLong(
    _ x: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>, _ count: Int, _ window: Window<Float>, _ hi: Double,
    _ lo: Double, _ ahead: Int, _ streams: Bool
  ) {
    let shares = ShareTable(hi, lo)
    writeEach(x, to: out, count, window, ahead, streams) { shares.output($0) }
  }

  @inline(__always) private static func writeEach(
    _ x: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>, _ count: Int, _ window: Window<Float>, _ ahead: Int,
    _ streams: Bool, _ output: (Reduced<Float>) -> Floats
  ) {
    let near = streams ? x : UnsafePointer(out)
    let magic = Floats(repeating: window.magic)
    let lowest = Floats(repeating: window.lowest)
    let done = writeInTurn(x, to: out, count, window, ahead, streams) { output($0) }
    forEachStep(from: done, count, Float.width) { i, few in
      fetch(near + i, x + i, ahead)
      Float.put(output(Float.begun(Float.larger(Float.load(x + i, few), lowest), magic)), out + i, few, streams: streams)
    }
  }
}
