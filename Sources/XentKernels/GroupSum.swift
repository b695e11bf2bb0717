// Sums of terms in registers, and what they come to.

import CXentSystem

/// Where a sum's terms are kept.
struct KeptTerms<E: Element> {
  var place: UnsafeMutablePointer<E>
  let areRounded: Bool
}

/// The sum of a group of strips, lane by lane.
struct GroupSum<E: Element> {
  var heads = E.Lanes(repeating: E.preload)
  /// Of the strips before, and of this strip's steps in two chains, the next step's first.
  private(set) var rest = E.Lanes(repeating: 0)
  private var next = E.Lanes(repeating: 0)
  private var other = E.Lanes(repeating: 0)
  /// Where the next terms are to be kept.
  private(set) var terms: KeptTerms<E>?

  @inline(__always) init(terms: KeptTerms<E>?) { self.terms = terms }

  /// Where the terms of the next steps are to be kept, scales before minor parts.
  @inline(__always) var room: UnsafeMutablePointer<E>? {
    if let terms, !terms.areRounded { return terms.place }
    return nil
  }

  /// The terms of `few` elements; the others are nothing beside them.
  @inline(__always) mutating func add(_ term: Term<E>, _ few: Int = E.width) {
    keep(term, few)
    let chain = next
    next = other
    (heads, other) = E.sum(heads, chain, term)
  }

  @inline(__always) mutating func add(_ terms: Four<Term<E>>) {
    add(terms.a)
    add(terms.b)
    add(terms.c)
    add(terms.d)
  }

  @inline(__always) mutating func addInOneChain(_ term: Term<E>, _ few: Int) {
    keep(term, few)
    (heads, rest) = E.sum(heads, rest, term)
  }

  @inline(__always) private mutating func keep(_ term: Term<E>, _ few: Int) {
    guard var terms else { return }
    if terms.areRounded {
      E.store(term.rounded, terms.place, few)
      terms.place += E.width
    } else {
      E.store(term.scale, terms.place)
      E.store(term.minor, terms.place + E.width)
      terms.place += 2 &* E.width
    }
    self.terms = terms
  }

  @inline(__always) mutating func endStrip() {
    rest += next + other
    next = E.Lanes(repeating: 0)
    other = next
  }
}

/// The lanes of f32 sums added up by a fixed tree, in f64: what that loses, 2^-50, f32 does not need.
@inline(__always) func reduced(_ sums: Halves) -> Double {
  let eight = sums.low + sums.high
  let four = eight.lowHalf + eight.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}

/// The lanes of high + low added up by a fixed tree, as hi + lo.
@inline(__always) func reduced(_ high: Doubles, _ low: Doubles) -> (hi: Double, lo: Double) {
  let (four, fourLost) = twoSum(high.lowHalf, high.highHalf)
  let fourLow = low.lowHalf + low.highHalf + fourLost
  let (two, twoLost) = twoSum(four.lowHalf, four.highHalf)
  let twoLow = fourLow.lowHalf + fourLow.highHalf + twoLost
  let (one, oneLost) = twoSum(two.x, two.y)
  if !one.isFinite { return (one, 0) }  // infinite terms: what they lost is NaN
  let low = twoLow.x + twoLow.y + oneLost
  let sum = one + low
  return (sum, low - (sum - one))
}
