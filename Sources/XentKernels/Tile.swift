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

/// Rows of up to so many classes are worked on in tiles, whatever is wanted, and behind a tile of f32 there is room for a copy of it.
let mostInAnyTile = 120

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

  /// A class's number, in all lanes.
  @inline(__always) static func number(_ c: Int) -> E.Lanes { E.Lanes(repeating: E.from(xentk_small_number(Int64(c)))) }

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
}
