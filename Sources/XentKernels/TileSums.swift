// A tile's sums, a row in each lane.

import CXentSystem

extension Tile {
  /// The states of rows without what is `kept` out, which is what has this `value`, or is at this `place`, or has been taken out;
  /// `largest`: of the others.
  @inline(__always) func sums(
    _ kept: E.Lanes, _ index: Both<SIMD8<Int64>>, largest: E.Lanes, keepsTerms: Bool, value: E.Lanes? = nil, place: E.Lanes? = nil,
    in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    if E.isFar(largest) { return false }
    let whole = E.Lanes(repeating: E.wholeNumber)
    let rounded = (largest * E.log2e + whole) - whole
    let window = LaneWindow<E>(shift: E.Lanes(repeating: E.sumShift) - rounded)
    let exponent = Halves(E.widened(rounded, 0), E.widened(rounded, 1))
    let total =
      place == nil && !Self.canKeepTerms(classes)
      ? summed(window, value, slots)
      : E.isHalved
        ? foldedOfHalves(window, value, place, keepsTerms: keepsTerms)
        : folded(window, value, place, keepsTerms: keepsTerms)
    let scale = powerOfTwo(-E.sumShift.widened) / E.bias
    out.low.pointee.set(
      hi: total.hi.low * scale, lo: total.lo.low * scale, exponent: exponent.low, kept: E.widened(kept, 0),
      index: index.low)
    if E.halves == 2 {
      out.high.pointee.set(
        hi: total.hi.high * scale, lo: total.lo.high * scale, exponent: exponent.high, kept: E.widened(kept, 1),
        index: index.high)
    }
    return true
  }

  /// The elements of class c as they are summed, with −inf for those of this value, and for this place's.
  @inline(__always) private func element(
    _ c: Int, _ window: LaneWindow<E>, _ value: E.Lanes?, _ place: E.Lanes? = nil
  ) -> E.Lanes {
    var x = self[c]
    if let value { x = E.replacing(x, with: window.lowest, where: x, is: value) }
    x = E.larger(x, window.lowest)
    if let place { x = E.replacing(x, with: window.lowest, where: place, is: Self.number(c)) }
    return x
  }

  /// The terms of class c; they are kept with `keepsTerms`.
  @inline(__always) private func term(
    _ c: Int, _ window: LaneWindow<E>, _ value: E.Lanes?, _ place: E.Lanes?, keepsTerms: Bool
  ) -> Term<E> {
    let term = E.term(element(c, window, value, place), window.magic)
    if keepsTerms { keep(term, c, place) }
    return term
  }

  @inline(__always) private func keep(_ term: Term<E>, _ c: Int, _ place: E.Lanes?) {
    var scale = term.scale
    if let place {
      scale = E.replacing(scale, with: E.Lanes(repeating: E.usualScale), where: place, is: Self.number(c))
    }
    E.store(scale, scales + c &* E.width)
    E.store(term.minor, minors + c &* E.width)
  }

  /// What the classes of one slot come to: class `slot` and every `width`-th after it.
  @inline(__always) private func folded(
    slot: Int, _ window: LaneWindow<E>, _ value: E.Lanes?, _ place: E.Lanes?, keepsTerms: Bool
  ) -> (major: E.Lanes, rest: E.Lanes) {
    let preload = E.Lanes(repeating: E.preload)
    var sum = (sum: preload, rest: E.Lanes(repeating: 0))
    var c = slot
    while c < classes {
      sum = E.sum(sum.sum, sum.rest, term(c, window, value, place, keepsTerms: keepsTerms))
      c &+= E.width
    }
    return (sum.sum - preload, sum.rest)
  }

  /// `E.folded` of every row: the majors' sums are exact, and so may be added up in any order; the rests' tree is that of
  /// `E.folded`. Lanes without a class would add nothing.
  @inline(__always) private func folded(
    _ window: LaneWindow<E>, _ value: E.Lanes?, _ place: E.Lanes?, keepsTerms: Bool
  ) -> (hi: Halves, lo: Halves) {
    let nothing = E.Lanes(repeating: 0)
    let preload = E.Lanes(repeating: E.preload)
    var majors = nothing
    var (a, b, c, d) = (nothing, nothing, nothing, nothing)
    var half = 0
    while half < classes && half < E.width {
      var (e, f, g, h) = (nothing, nothing, nothing, nothing)
      var slot = half
      while slot < half &+ E.width / 2 && slot < classes {
        if slot &+ 4 <= classes && classes <= E.width {
          // A class to each slot.
          let x = Four(
            element(slot, window, value, place), element(slot &+ 1, window, value, place),
            element(slot &+ 2, window, value, place), element(slot &+ 3, window, value, place))
          let terms = E.ended(E.begun(x, window.magic))
          if keepsTerms {
            keep(terms.a, slot, place)
            keep(terms.b, slot &+ 1, place)
            keep(terms.c, slot &+ 2, place)
            keep(terms.d, slot &+ 3, place)
          }
          let sums = terms.map { E.sum(preload, nothing, $0) }
          majors += ((sums.a.sum - preload) + (sums.b.sum - preload)) + ((sums.c.sum - preload) + (sums.d.sum - preload))
          e += sums.a.rest
          f += sums.b.rest
          g += sums.c.rest
          h += sums.d.rest
        } else {
          let one = folded(slot: slot, window, value, place, keepsTerms: keepsTerms)
          let two = folded(slot: slot &+ 1, window, value, place, keepsTerms: keepsTerms)
          let three = folded(slot: slot &+ 2, window, value, place, keepsTerms: keepsTerms)
          let four = folded(slot: slot &+ 3, window, value, place, keepsTerms: keepsTerms)
          majors += (one.major + two.major) + (three.major + four.major)
          e += one.rest
          f += two.rest
          g += three.rest
          h += four.rest
        }
        slot &+= 4
      }
      a += e
      b += f
      c += g
      d += h
      half &+= E.width / 2
    }
    let rest = (a + c) + (b + d)
    let hi = Halves(E.widened(majors, 0) + E.widened(rest, 0), E.widened(majors, 1) + E.widened(rest, 1))
    return (hi, Halves(repeating: 0))
  }

  /// The same where exponentials are formed in two loops (Element.begin): halves go where terms may be kept. Out of line both, and
  /// lanes by pointers, so that all registers are the loops'.
  @inline(__always) private func foldedOfHalves(
    _ window: LaneWindow<E>, _ value: E.Lanes?, _ place: E.Lanes?, keepsTerms: Bool
  ) -> (hi: Halves, lo: Halves) {
    var sums = (majors: E.Lanes(), rest: E.Lanes())
    withUnsafePointer(to: window) { window in
      if let place {
        withUnsafePointer(to: place) { place in
          begin(window, nil, place)
          end(place, keepsTerms: keepsTerms, &sums.majors, &sums.rest)
        }
      } else {
        if let value { withUnsafePointer(to: value) { begin(window, $0, nil) } } else { begin(window, nil, nil) }
        end(nil, keepsTerms: keepsTerms, &sums.majors, &sums.rest)
      }
    }
    let (majors, rest) = (sums.majors, sums.rest)
    let hi = Halves(E.widened(majors, 0) + E.widened(rest, 0), E.widened(majors, 1) + E.widened(rest, 1))
    return (hi, Halves(repeating: 0))
  }

  @inline(never) private func begin(
    _ window: UnsafePointer<LaneWindow<E>>, _ value: UnsafePointer<E.Lanes>?, _ place: UnsafePointer<E.Lanes>?
  ) {
    let window = window.pointee
    let (scales, minors) = (scales, minors)
    let later = workspace.pointee.later
    @inline(__always) func begin(_ element: (_ c: Int) -> E.Lanes) {
      var at = 0
      var c = 0
      while c < classes {
        Self.fetch(later, c)
        E.begin(element(c), window.magic, scales + at, minors + at)
        at &+= E.width
        c &+= 1
      }
    }
    if let place {
      let place = place.pointee
      begin { element($0, window, nil, place) }
    } else if let value {
      let value = value.pointee
      begin { element($0, window, value) }
    } else {
      begin { element($0, window, nil) }
    }
  }

  @inline(never) private func end(
    _ place: UnsafePointer<E.Lanes>?, keepsTerms: Bool, _ allMajors: UnsafeMutablePointer<E.Lanes>,
    _ allRests: UnsafeMutablePointer<E.Lanes>
  ) {
    let (scales, minors) = (scales, minors)
    let rests = UnsafeMutableRawPointer(xentk_strip(workspace, 4)).assumingMemoryBound(to: E.self)
    let preload = E.Lanes(repeating: E.preload)
    let nothing = E.Lanes(repeating: 0)
    @inline(__always) func term(_ c: Int, _ keep: (_ term: Term<E>, _ c: Int) -> Void) -> Term<E> {
      let term = E.ended(scales + c &* E.width, minors + c &* E.width)
      keep(term, c)
      return term
    }
    @inline(__always) func majors(_ keep: (_ term: Term<E>, _ c: Int) -> Void) -> E.Lanes {
      var majors = nothing
      var slot = 0
      @inline(__always) func end(_ sum: (sum: E.Lanes, rest: E.Lanes)) {
        majors += sum.sum - preload
        E.store(sum.rest, rests + slot &* E.width)
        slot &+= 1
      }
      // Slots of several classes, and of one.
      while slot < E.width && slot &+ E.width < classes {
        var sum = (sum: preload, rest: nothing)
        var c = slot
        repeat {
          sum = E.sum(sum.sum, sum.rest, term(c, keep))
          c &+= E.width
        } while c < classes
        end(sum)
      }
      while slot < E.width && slot < classes { end(E.sum(preload, nothing, term(slot, keep))) }
      return majors
    }
    if !keepsTerms {
      allMajors.pointee = majors { _, _ in }
    } else if let place {
      let place = place.pointee
      allMajors.pointee = majors { keep($0, $1, place) }
    } else {
      allMajors.pointee = majors { term, c in E.store(term.minor, minors + c &* E.width) }
    }
    var slot = classes
    while slot < E.width {
      E.store(E.whole(nothing), rests + slot &* E.width)  // else memset
      slot &+= 1
    }
    @inline(__always) func rest(_ slot: Int) -> E.Lanes { E.load(rests + slot &* E.width) }
    @inline(__always) func four(_ slot: Int) -> E.Lanes {
      (rest(slot) + rest(slot &+ 4)) + (rest(slot &+ 8) + rest(slot &+ 12))
    }
    allRests.pointee = (four(0) + four(2)) + (four(1) + four(3))
  }

  /// The same of more classes, in strips.
  @inline(__always) private func summed(
    _ window: LaneWindow<E>, _ value: E.Lanes?, _ slots: Slots<E>
  ) -> (hi: Halves, lo: Halves) {
    var c = 0
    let later = workspace.pointee.later
    while c < classes {
      Self.fetch(later, c)
      slots.add(E.term(element(c, window, value), window.magic), c)
      c &+= 1
      if c & (E.strip &- 1) == 0 { slots.endStrip(c) }
    }
    if c & (E.width &- 1) != 0 {
      // What fills up the last step.
      let filling = E.term(window.lowest, window.magic)
      while c & (E.width &- 1) != 0 {
        slots.add(filling, c)
        c &+= 1
      }
    }
    if classes & (E.strip &- 1) != 0 { slots.endStrip(c) }
    let low = slots.reduced(0)
    let high = E.halves == 2 ? slots.reduced(1) : low
    return (Halves(low.hi, high.hi), Halves(low.lo, high.lo))
  }
}

/// A tile's sums: `width` of them for each row, as lanes and strips make them, on their way to one.
struct Slots<E: Element> {
  private let sums, rests, even, odd: UnsafeMutablePointer<E>
  private let high, low: UnsafeMutablePointer<Double>
  /// Room for an element of each row, and for where it is in a tile.
  let kept: UnsafeMutablePointer<E>
  let places: UnsafeMutablePointer<Int64>

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) {
    let size = E.width &* E.width
    sums = memory.assumingMemoryBound(to: E.self)
    (rests, even, odd) = (sums + size, sums + 2 &* size, sums + 3 &* size)
    high = UnsafeMutableRawPointer(sums + 4 &* size).assumingMemoryBound(to: Double.self)
    low = high + size
    kept = UnsafeMutableRawPointer(E.hasLow ? low + size : low).assumingMemoryBound(to: E.self)
    places = UnsafeMutableRawPointer(kept + E.width).assumingMemoryBound(to: Int64.self)
  }

  /// Adds the term of class c. The first of all finds no sum there, and the first of a strip no rest.
  @inline(__always) func add(_ term: Term<E>, _ c: Int) {
    let at = (c & (E.width &- 1)) &* E.width
    let rests = (c & E.width == 0 ? even : odd) + at
    let sum = c < E.width ? E.Lanes(repeating: E.preload) : E.load(sums + at)
    let rest = c & (E.strip &- 1) < 2 &* E.width ? E.Lanes(repeating: 0) : E.load(rests)
    let both = E.sum(sum, rest, term)
    E.store(both.sum, sums + at)
    E.store(both.rest, rests)
  }

  /// A strip ends before class c.
  @inline(__always) func endStrip(_ c: Int) {
    let isFirst = c <= E.strip
    let hasOdd = (c &- 1) & (E.strip &- 1) >= E.width
    var at = 0
    while at < E.width &* E.width {
      let rest = hasOdd ? E.load(even + at) + E.load(odd + at) : E.load(even + at)
      E.store(isFirst ? rest : E.load(rests + at) + rest, rests + at)
      at &+= E.width
    }
  }

  /// `reduced` (Part.swift) of eight rows: halves onto halves.
  @inline(__always) func reduced(_ half: Int) -> (hi: Doubles, lo: Doubles) {
    let high = high + half &* step
    let low = low + half &* step
    var count = E.width
    while count > 1 {
      count /= 2
      var slot = 0
      while slot < count {
        let one = slot &* E.width
        let other = (slot &+ count) &* E.width
        let isNew = count == E.width / 2
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

  @inline(__always) private func value(_ at: Int, _ half: Int) -> (Doubles, Doubles) {
    var high = Doubles()
    var low = Doubles()
    E.flush(E.load(sums + at), E.load(rests + at), half, to: &high, &low)
    return (high, low)
  }
}
