// Rows of few classes, as many at a time as there are lanes, and a lane each. What is done to a row is what is done to it
// row by row, each operation in its place (NUMERICS.md: its class j goes to the sum j mod width, strips of 8·width, one group
// of these at most, the same tree), so that the bits are the same and which way is taken is a matter of speed alone.

import CXentSystem

/// The tiles of a kernel call that are in memory together. Where a class's elements of neighbouring rows lie next to each other,
/// as in images, classes may be so far apart that the lines of one tile drive each other out of the caches: so several tiles are
/// read together, and written together.
struct Shelf {
  /// What has been read, and what has been made of it and not yet been written.
  var rows = Rows.Range(first: 0, end: 0), unwritten = Rows.Range(first: 0, end: 0)
}

struct Tile<E: Element> {
  /// Class after class, `width` rows of each; and before them room for a class −1, that of the rows without one.
  let x: UnsafeMutablePointer<E>
  let classes: Int
  let workspace: UnsafeMutablePointer<xentk_workspace>

  /// The tile of the rows from `start` on, which are on the shelf or the first of it.
  @inline(__always) init(_ rows: Rows, _ shelf: Shelf, _ start: Int) {
    x =
      UnsafeMutableRawPointer(xentk_chunk(rows.workspace)).assumingMemoryBound(to: E.self)
      + ((start &- shelf.rows.first) &* (rows.classes &+ 1) &+ E.width)
    classes = rows.classes
    workspace = rows.workspace
  }

  @inline(__always) subscript(_ c: Int) -> E.Lanes { E.load(x + c &* E.width) }

  // ---- States -------------------------------------------------------------------------------------------------------

  /// The rows' states with the element at each index kept out (−1: none); false unless all of them are ordinary: of
  /// elements up to 2^15, and not of masks alone. `keepsTerms`: for `makeSoftmaxOfTerms`; what is kept out is then no
  /// longer in the tile, if the tile `takesOut`. Pointers, because lanes as an argument come in parts and have to be put
  /// together.
  @inline(__always) func states(
    keeping index: Both<UnsafePointer<SIMD8<Int64>>>, keepsTerms: Bool = false, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    takesOut
      ? statesTakingOut(index, keepsTerms: keepsTerms, in: out) : statesPassingOver(index, keepsTerms: keepsTerms, in: out)
  }

  @inline(never) private func statesTakingOut(
    _ indices: Both<UnsafePointer<SIMD8<Int64>>>, keepsTerms: Bool, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    let index = Both(indices.low.pointee, indices.high.pointee)
    let extremes = extremes()
    let kept = take(index)
    let largest = E.replacing(extremes.largest, with: extremes.second, where: kept, is: extremes.largest)
    let isDone = sums(kept, index, largest: largest, keepsTerms: keepsTerms, in: out)
    if keepsTerms && isDone {
      let usual = E.usualScale
      forEachPlace { place, _ in scales[place] = usual }
    } else {
      put()
    }
    return isDone
  }

  @inline(never) private func statesPassingOver(
    _ indices: Both<UnsafePointer<SIMD8<Int64>>>, keepsTerms: Bool, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    let index = Both(indices.low.pointee, indices.high.pointee)
    let place = E.rounded(Halves(numbers(index.low), numbers(index.high)))
    // What is kept out, and the largest of the others.
    let none = E.Lanes(repeating: -.infinity)
    var kept = none
    @inline(__always) func other(_ c: Int) -> E.Lanes {
      kept = E.replacing(kept, with: self[c], where: place, is: Self.number(c))
      return E.replacing(self[c], with: none, where: place, is: Self.number(c))
    }
    var (even, odd) = (none, none)
    var c = 0
    while c &+ 2 <= classes {
      even = E.larger(even, other(c))
      odd = E.larger(odd, other(c &+ 1))
      c &+= 2
    }
    if c < classes { even = E.larger(even, other(c)) }
    return sums(kept, index, largest: E.larger(even, odd), keepsTerms: keepsTerms, place: place, in: out)
  }

  /// Whether what is to be kept out is taken out of the tile, one by one. Of few classes each is looked at instead: measured, of
  /// up to 32 where the processor has masks for lanes, and of 16 elsewhere.
  @inline(__always) var takesOut: Bool {
    #if XENT_V4
      E.halves == 1 || classes > 32
    #else
      E.halves == 1 || classes > 16
    #endif
  }

  @inline(__always) private static func number(_ c: Int) -> E.Lanes { E.Lanes(repeating: E.from(xentk_small_number(Int64(c)))) }

  /// The same with nothing kept out.
  @inline(never) func wholeStates(
    keepsTerms: Bool, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    let extremes = extremes()
    let kept = E.Lanes(repeating: -.infinity)
    return sums(kept, Self.nowhere, largest: extremes.largest, keepsTerms: keepsTerms, in: out)
  }

  /// The same with the first of the largest elements kept out; its index is left −1 where it need not be known and no other is
  /// as large.
  @inline(never) func statesOfLargest(
    findingIt: Bool, in out: Both<UnsafeMutablePointer<Batch>>
  ) -> Bool {
    let extremes = extremes()
    if findingIt || E.equalLanes(extremes.largest, extremes.second) != 0 {
      var places = firstPlaces(of: extremes.largest)
      return withUnsafePointer(to: &places.low) { low in
        withUnsafePointer(to: &places.high) { high in states(keeping: Both(low, high), in: out) }
      }
    }
    return sums(
      extremes.largest, Self.nowhere, largest: extremes.second, keepsTerms: false, value: extremes.largest, in: out)
  }

  /// Where each row has this value first.
  @inline(never) func firstPlaces(of value: E.Lanes) -> Both<SIMD8<Int64>> {
    var place = E.Lanes(repeating: -1)
    var number = E.Lanes(repeating: E(rounding: Double(classes)))
    var c = classes
    while c > 0 {
      c &-= 1
      number -= E.Lanes(repeating: 1)
      place = E.replacing(place, with: number, where: self[c], is: value)
    }
    return Both(wholeNumbers(E.widened(place, 0)), wholeNumbers(E.widened(place, 1)))
  }

  @inline(__always) static var nowhere: Both<SIMD8<Int64>> {
    let none = SIMD8<Int64>(repeating: -1)
    return Both(none, none)
  }

  /// The largest element of each row, and the largest without one such; NaNs are passed over.
  @inline(__always) private func extremes() -> (largest: E.Lanes, second: E.Lanes) {
    // In two chains, of every other class.
    let none = E.Lanes(repeating: -.infinity)
    var even = (largest: none, second: none)
    var odd = even
    @inline(__always) func look(_ x: E.Lanes, _ chain: inout (largest: E.Lanes, second: E.Lanes)) {
      chain.second = E.larger(chain.second, E.smaller(x, chain.largest))
      chain.largest = E.larger(chain.largest, x)
    }
    var c = 0
    while c &+ 2 <= classes {
      look(self[c], &even)
      look(self[c &+ 1], &odd)
      c &+= 2
    }
    if c < classes { look(self[c], &even) }
    let second = E.larger(E.larger(even.second, odd.second), E.smaller(even.largest, odd.largest))
    return (E.larger(even.largest, odd.largest), second)
  }

  /// The elements at each row's index, and −inf in their place.
  @inline(__always) private func take(_ index: Both<SIMD8<Int64>>) -> E.Lanes {
    setPlaces(index)
    E.store(E.Lanes(repeating: -.infinity), x - E.width)
    let kept = slots.kept
    forEachPlace { place, lane in
      kept[lane] = x[place]
      x[place] = -.infinity
    }
    return E.load(kept)
  }

  /// What was taken, or set, in its places.
  @inline(__always) func put() { forEachPlace { place, lane in x[place] = slots.kept[lane] } }

  /// What one class of each row has instead of what the others have: the target's gradient, or a certain log-probability.
  @inline(__always) func setOwn(_ values: Halves, at index: Both<SIMD8<Int64>>) {
    setPlaces(index)
    E.store(E.rounded(values), slots.kept)
  }

  /// Where each row's class `index` is.
  @inline(__always) func setPlaces(_ index: Both<SIMD8<Int64>>) {
    let shift: Int64 = E.halves == 2 ? 4 : 3
    let lanes = SIMD8<Int64>(0, 1, 2, 3, 4, 5, 6, 7)
    let places = UnsafeMutableRawPointer(slots.places)
    places.storeBytes(of: (index.low &<< shift) | lanes, as: SIMD8<Int64>.self)
    if E.halves == 2 {
      places.storeBytes(of: (index.high &<< shift) | (lanes | 8), toByteOffset: 64, as: SIMD8<Int64>.self)
    }
  }

  /// One by one in memory: to find them in each class's lanes would be work for each class.
  @inline(__always) func forEachPlace(_ body: (_ place: Int, _ lane: Int) -> Void) {
    let places = slots.places
    var lane = 0
    while lane < E.width {
      body(Int(places[lane]), lane)
      lane &+= 1
    }
  }

  @inline(__always) var slots: Slots<E> { Slots<E>(xentk_states(workspace)) }

  @inline(__always) private func sums(
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
    @inline(__always) func begin(_ element: (_ c: Int) -> E.Lanes) {
      var at = 0
      var c = 0
      while c < classes {
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
    while c < classes {
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

  // ---- Outputs ------------------------------------------------------------------------------------------------------

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
  @inline(__always) private var minors: UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_chunk(workspace) + Int(XENTK_CHUNK)).assumingMemoryBound(to: E.self)
      - classes &* E.width
  }
  @inline(__always) private var scales: UnsafeMutablePointer<E> { minors - classes &* E.width }

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

@inline(__always) func magnitude(_ v: Doubles) -> Doubles {
  unsafeBitCast(unsafeBitCast(v, to: SIMD8<UInt64>.self) & (UInt64.max &>> 1), to: Doubles.self)
}

/// ⌊log2 |v|⌋ of normal numbers.
@inline(__always) func binaryExponent(_ v: Doubles) -> Doubles {
  let bits = (unsafeBitCast(v, to: SIMD8<UInt64>.self) &>> 52) & 0x7FF
  return unsafeBitCast(bits | 0x4330_0000_0000_0000, to: Doubles.self) - (0x1p52 + 1023)
}

/// Small whole numbers as f64, and back.
@inline(__always) func numbers(_ v: SIMD8<Int64>) -> Doubles {
  unsafeBitCast(v &+ 0x4338_0000_0000_0000, to: Doubles.self) - 0x1.8p52
}

@inline(__always) func wholeNumbers(_ v: Doubles) -> SIMD8<Int64> {
  unsafeBitCast(v + 0x1.8p52, to: SIMD8<Int64>.self) &- 0x4338_0000_0000_0000
}

/// Sums of whole rows; NaN also for what would need an anchor.
struct Totals {
  var hi = Doubles(), lo = Doubles(), exponent = Doubles()
}

extension Totals {
  /// Of one row, nil where that is not ordinary.
  @inline(__always) func wide(_ lane: Int) -> Wide? {
    let total = Wide(hi[lane], lo[lane], exponent: exponent[lane])
    return total.isOrdinary ? total : nil
  }
}

extension Totals {
  @inline(__always) init(hi: Doubles, exponent: Doubles) {
    self.hi = hi
    self.exponent = exponent
  }
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
