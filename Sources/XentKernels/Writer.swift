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
}

/// Calls `body` for `width` elements at a time, and once for what remains. The count is that very number in the loop: a
/// load or store of fewer is a call, around which nothing stays in the registers.
@inline(__always) func forEachStep(_ count: Int, _ width: Int = step, _ body: (_ first: Int, _ count: Int) -> Void) {
  var i = 0
  while i &+ width <= count {
    body(i, width)
    i &+= width
  }
  if i < count { body(i, count &- i) }
}

@inline(__always) func spread<E: Element>(_ value: E, over out: UnsafeMutablePointer<E>, _ count: Int) {
  let lanes = E.Lanes(repeating: value)
  forEachStep(count, E.width) { i, n in E.store(lanes, out + i, n) }
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

  @inline(__always) init(total: Wide, factor: (hi: Double, lo: Double), stage: Stage<E>) {
    self.total = total
    self.factor = factor
    self.stage = stage
  }

  @inline(__always) func write(_ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int) {
    let size = factor.hi.magnitude
    if !total.isOrdinary {
      spread(E.nan, over: out, count)
    } else if size == 0 || (size > 0x1p-480 && size < powerOfTwo(E.outputShift - 4)) {
      writeInRange(x, to: out, count)
    } else {
      writeAnyRange(x, to: out, count)
    }
  }

  @inline(never) private func writeInRange(_ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int) {
    let quotient = quotient(1 / E.bias)
    let exponent = Double(Int((quotient.hi.bitPattern &>> 52) & 0x7FF) &- 1023)
    let unit = quotient.hi == 0 ? 1 : powerOfTwo(-exponent)
    let shift = (quotient.hi == 0 ? 0 : exponent) - total.exponent + E.outputShift
    let hi = E(rounding: quotient.hi * unit)
    let lo = E(rounding: (quotient.hi * unit - hi.widened) + quotient.lo * unit)
    let window = Window<E>(shift: shift)
    let anchor = E(rounding: total.anchor)
    if anchor == 0 { return Self.write(x, to: out, count, window, hi, lo) }
    let part = Part(x, count: count, hole: -1, stage: stage)
    var first = 0
    while first < count {
      Self.write(part.strip(first, less: anchor), to: out + first, min(E.strip, count &- first), window, hi, lo)
      first &+= E.strip
    }
  }

  /// Scalars in, because lanes as an argument come in parts and stay so.
  @inline(never) private static func write(
    _ x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int, _ window: Window<E>, _ hi: E, _ lo: E
  ) {
    let magic = E.Lanes(repeating: window.magic)
    let lowest = E.Lanes(repeating: window.lowest)
    let kh = E.Lanes(repeating: hi)
    let kl = E.Lanes(repeating: lo)
    let down = E.Lanes(repeating: E(rounding: powerOfTwo(-E.outputShift)))
    forEachStep(count, E.width) { i, n in
      let term = E.term(E.larger(E.load(x + i, n), lowest), magic)
      let major = term.scale * term.major
      let product = major * kh
      let lost = E.multiplyAdd(major, kh, -product)
      let rest = E.multiplyAdd(kh, term.minor, term.major * kl)
      E.store((product + E.multiplyAdd(term.scale, rest, lost)) * down, out + i, n)
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

  /// factor / total's mantissa, times a constant, as hi + lo.
  @inline(__always) private func quotient(_ constant: Double) -> (hi: Double, lo: Double) {
    let k = E.share(
      Pair(Doubles(repeating: factor.hi), Doubles(repeating: factor.lo)),
      of: Pair(Doubles(repeating: total.hi), Doubles(repeating: total.lo)))
    return (k.hi[0] * constant, k.lo[0] * constant)
  }
}

extension Source {
  /// Writes factor·exp(x) / total to every class.
  @inline(never) func writeSoftmax(total: Wide, factor: (hi: Double, lo: Double), to sink: Sink) {
    let wide = Writer<Double>(total: total, factor: factor, stage: Stage(rows.workspace))
    let narrow = Writer<Float>(total: total, factor: factor, stage: Stage(rows.workspace))
    forEachChunk { elements, first, count in
      let room = sink.room(first)
      if rows.isWide {
        wide.write(elements.assumingMemoryBound(to: Double.self), to: room.assumingMemoryBound(to: Double.self), count)
      } else {
        narrow.write(elements.assumingMemoryBound(to: Float.self), to: room.assumingMemoryBound(to: Float.self), count)
      }
      sink.put(first, count)
    }
  }

  /// Writes (x − largest) − loss to every class, and `own` to the one that was kept out of the sum, at `index`.
  @inline(never) func writeLogSoftmax(
    largest: Double, _ loss: (hi: Double, lo: Double), first index: Int, _ own: Double, to sink: Sink
  ) {
    forEachChunk { elements, first, count in
      let room = sink.room(first)
      let place = index >= first && index < first &+ count ? index &- first : -1
      if rows.isWide {
        let out = room.assumingMemoryBound(to: Double.self)
        subtract(largest, loss, from: elements.assumingMemoryBound(to: Double.self), to: out, count, toOdd: false)
        if place >= 0 { out[place] = own }
      } else {
        let out = room.assumingMemoryBound(to: Float.self)
        subtract(
          largest, loss, from: elements.assumingMemoryBound(to: Float.self), to: out, count, toOdd: sink.size == 2)
        if place >= 0 { out[place] = Float(own) }
      }
      sink.put(first, count)
    }
  }
}

@inline(never) private func subtract<E: Element>(
  _ largest: Double, _ loss: (hi: Double, lo: Double), from x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>,
  _ count: Int, toOdd: Bool
) {
  let largest = Halves(repeating: largest)
  let loss = Pair(Doubles(repeating: loss.hi), Doubles(repeating: loss.lo))
  forEachStep(count, E.width) { i, n in
    E.store(E.difference(E.load(x + i, n), largest, Both(loss, loss), toOdd: toOdd), out + i, n)
  }
}
