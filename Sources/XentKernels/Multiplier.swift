// What exponentials are multiplied by to make outputs of them.

import CXentSystem

/// What outputs are made of where there are so many classes that a table pays: factor / total times 2^(j/8), j = 0 … 7, each as a
/// float, and what that is short of it, relatively.
struct ShareTable {
  private let table, rests, down: Floats

  /// hi + lo is from 1 to 2, or from −2 to −1.
  @inline(__always) init(_ hi: Double, _ lo: Double) {
    let powers = Doubles(
      1, 0x1.172b83c7d517bp0, 0x1.306fe0a31b715p0, 0x1.4bfdad5362a27p0, 0x1.6a09e667f3bcdp0, 0x1.8ace5422aa0dbp0,
      0x1.ae89f995ad3adp0, 0x1.d5818dcfba487p0)
    let products = powers * hi + powers * lo
    let floats = xentk_floats(products)
    let widened = xentk_doubles(floats)
    let rests = xentk_floats((products - widened) / widened)
    table = Float.table(floats)
    self.rests = xentk_join(rests, rests)
    down = Floats(repeating: Float(powerOfTwo(-Float.outputShift.widened)))
  }

  @inline(__always) func output(_ x: Reduced<Float>) -> Floats {
    let rest = x.rest + Float.entry(rests, x.biased)
    let scale = Float.scale(x.biased, table)
    return fma(scale, Float.expm1(rest), scale) * down
  }
}

/// factor / total as kh + kl, and the power of two that outputs are brought down by.
struct Multiplier<E: Element> {
  // Of everything but the product the negative, which spares turning the sign of the product.
  private let kh, minusKh, minusKl, down: E.Lanes

  @inline(__always) init(_ kh: E.Lanes, _ kl: E.Lanes, down: E.Lanes) {
    self.kh = kh
    minusKh = kh * -1
    minusKl = kl * -1
    self.down = down
  }

  /// As `Writer` says.
  @inline(__always) func output(_ term: Term<E>) -> E.Lanes {
    let major = term.scale * term.major
    let product = major * kh
    let lost = E.multiplyAdd(major, minusKh, product)
    let rest = E.multiplyAdd(minusKh, term.minor, term.major * minusKl)
    return (product - E.multiplyAdd(term.scale, rest, lost)) * down
  }

  /// The same of a term of f32, which has no major part.
  @inline(__always) func output(scale: E.Lanes, minor: E.Lanes) -> E.Lanes {
    output(Term(scale: scale, major: E.Lanes(repeating: 1), minor: minor))
  }
}
