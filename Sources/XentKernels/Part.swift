// The sum over a part of a row: chunks of fixed size, so that a chunk's sum depends on that chunk alone; in it strips and groups of
// them, the lanes of which leave f32 before rounding could add up. One read of memory: the second pass over a chunk finds it
// in L1, and has the next chunk brought there meanwhile.

import CXentSystem

/// Elements whose sum is formed on its own. Part of the result, like `Element.strip`.
let chunk = 2048
/// How far ahead of what is written: a store to where nothing has been fetched yet holds up those after it.
let aheadToWrite = chunk &+ chunk / 2
/// Classes that kernels which work in f64 throughout take at a time, and eight of them, the lanes.
let strip = 64
let step = 8

/// Room for strips, filled up with −inf.
struct Stage<E: Element> {
  /// One strip for that with a hole, and one for one less an anchor or, its first step, for what is left over at the end.
  let holed, last: UnsafeMutablePointer<E>
  /// The lanes' largest of every strip of a chunk.
  let maxima: UnsafeMutablePointer<E>

  /// There are two for parts that are worked on at the same time, 0 and 1. 2 is for what is written meanwhile: where the
  /// maxima are, which are of use only until the largest is known.
  @inline(__always) init(_ workspace: UnsafeMutablePointer<xentk_workspace>, _ number: Int32 = 0) {
    func strip(_ number: Int32) -> UnsafeMutablePointer<E> {
      UnsafeMutableRawPointer(xentk_strip(workspace, number)).assumingMemoryBound(to: E.self)
    }
    (holed, last, maxima) = (strip(2 &* number), strip(2 &* number &+ 1), strip(4))
  }

  @inline(never) func fill(
    _ room: UnsafeMutablePointer<E>, from x: UnsafePointer<E>, _ length: Int, hole: Int, less anchor: E
  ) {
    let anchors = E.Lanes(repeating: anchor)
    var i = 0
    while i &+ E.width <= length {
      E.store(E.load(x + i) - anchors, room + i)
      i &+= E.width
    }
    if i < length { E.store(E.loadFew(x + i, length &- i, else: -.infinity) - anchors, room + i) }
    if hole >= 0 {
      // All lanes of the hole's step: one that is stored alone would keep those that read all of them waiting.
      let step = room + (hole &- hole % E.width)
      let place = E.Lanes(repeating: E(rounding: Double(hole % E.width)))
      let none = E.Lanes(repeating: -.infinity)
      E.store(E.replacing(E.load(step), with: none, where: E.places, is: place), step)
    }
  }
}

/// What a part's sum is relative to, found with its largest element: at the sum's start it would be waited for.
struct Reference<E: Element> {
  let largest, exponent: E
  let window: Window<E>

  @inline(__always) init(_ largest: E) {
    self.largest = largest
    let isNear = Wide.anchor(for: largest.widened) == 0
    exponent = ((isNear ? largest : 0) * E.log2e + E.wholeNumber) - E.wholeNumber
    window = Window(shift: E.sumShift - exponent)
  }
}

/// A run of at most `chunk` elements, without the one at `hole` (−1: all of them).
struct Part<E: Element> {
  let x: UnsafePointer<E>
  let count: Int
  private(set) var hole: Int
  let stage: Stage<E>
  /// Where the strip with the hole begins; otherwise `count`.
  private var holeStrip: Int

  @inline(__always) init(_ x: UnsafePointer<E>, count: Int, hole: Int, stage: Stage<E>) {
    self.x = x
    self.count = count
    self.hole = -1
    self.stage = stage
    holeStrip = count
    if hole >= 0 && hole < count { leaveOut(hole) }
    let lastStep = count & ~(E.width &- 1)
    if lastStep < count && lastStep &- lastStep % E.strip != holeStrip {
      E.store(E.loadFew(x + lastStep, count &- lastStep, else: -.infinity), stage.last)
    }
  }

  @inline(__always) private mutating func leaveOut(_ hole: Int) {
    self.hole = hole
    holeStrip = hole &- hole % E.strip
    stage.fill(stage.holed, from: x + holeStrip, length(holeStrip), hole: hole &- holeStrip, less: 0)
  }

  @inline(__always) private func length(_ strip: Int) -> Int { min(E.strip, count &- strip) }

  /// The strip that begins at `first`: where it lies, or staged and filled up to whole steps.
  @inline(__always) private func strip(_ first: Int) -> UnsafePointer<E> {
    first == holeStrip ? UnsafePointer(stage.holed) : x + first
  }

  /// How much of it is whole steps. A step that is left over is staged.
  @inline(__always) private func wholeSteps(_ first: Int) -> Int {
    first == holeStrip ? E.wholeSteps(length(first)) : length(first) & ~(E.width &- 1)
  }

  /// Room for the lanes' largest of the strip that begins at `first`.
  @inline(__always) private func maxima(_ first: Int) -> UnsafeMutablePointer<E> {
    stage.maxima + first / E.strip &* E.width
  }

  /// `strip`, less `anchor`.
  @inline(__always) func strip(_ first: Int, less anchor: E) -> UnsafePointer<E> {
    if anchor == 0 { return strip(first) }
    let place = first == holeStrip ? hole &- first : -1
    stage.fill(stage.last, from: x + first, length(first), hole: place, less: anchor)
    return UnsafePointer(stage.last)
  }

  /// The lanes' largest of the strip that begins at `first`; NaNs are passed over.
  @inline(__always) private func largest(_ first: Int) -> E.Lanes {
    let x = strip(first)
    let count = wholeSteps(first)
    var a = E.Lanes(repeating: -.infinity)
    var b = a
    var i = 0
    if count == E.strip {
      var c = a
      var d = a
      while i < E.strip {
        a = E.larger(a, E.load(x + i))
        b = E.larger(b, E.load(x + (i &+ E.width)))
        c = E.larger(c, E.load(x + (i &+ 2 &* E.width)))
        d = E.larger(d, E.load(x + (i &+ 3 &* E.width)))
        i &+= 4 &* E.width
      }
      a = E.larger(a, c)
      b = E.larger(b, d)
    }
    while i < count {
      a = E.larger(a, E.load(x + i))
      i &+= E.width
    }
    if count < length(first) { b = E.larger(b, E.load(stage.last)) }
    return E.larger(a, b)
  }

  /// The largest element, −inf if there is none; NaNs are passed over.
  @inline(__always) func maximum() -> E {
    var all = E.Lanes(repeating: -.infinity)
    var first = 0
    while first < count {
      all = E.larger(all, largest(first))
      first &+= E.strip
    }
    return E.largestLane(all)
  }

  /// Leaves out the first of the largest elements. Gives it, its place, and the largest of all others; −inf and −1 if
  /// nothing is greater than −inf.
  @inline(never) mutating func leaveOutFirstMaximum() -> (value: E, index: Int, others: E) {
    let none = E.Lanes(repeating: -.infinity)
    var all = none
    var first = 0
    while first < count {
      let largest = largest(first)
      E.store(largest, maxima(first))
      all = E.larger(all, largest)
      first &+= E.strip
    }
    let value = E.largestLane(all)
    if !(value > -.infinity) { return (value, -1, value) }
    // The first strip that has it and the place there, from bits and not by going on until it is found: no processor could
    // foresee where that ends. On the way, the largest of what is not equal to it.
    let lanes = E.Lanes(repeating: value)
    var others = none
    @inline(__always) func equal(_ x: E.Lanes) -> UInt64 {
      others = E.larger(others, E.replacing(x, with: none, where: x, is: lanes))
      return UInt64(E.equalLanes(x, lanes))
    }
    var strips: UInt32 = 0
    first = 0
    while first < count {
      strips |= (equal(E.load(maxima(first))) == 0 ? 0 : 1) &<< UInt32(truncatingIfNeeded: first / E.strip)
      first &+= E.strip
    }
    let home = strips.trailingZeroBitCount &* E.strip
    let x = strip(home)
    let size = wholeSteps(home)
    var (low, high): (UInt64, UInt64) = (0, 0)
    var i = 0
    while i < min(size, 64) {
      low |= equal(E.load(x + i)) &<< UInt64(i)
      i &+= E.width
    }
    while i < size {
      high |= equal(E.load(x + i)) &<< UInt64(i &- 64)
      i &+= E.width
    }
    if size < length(home) {
      let bits = equal(E.load(stage.last))
      if size < 64 { low |= bits &<< UInt64(size) } else { high |= bits &<< UInt64(size &- 64) }
    }
    let isOnlyOne = strips & (strips &- 1) == 0 && low.nonzeroBitCount &+ high.nonzeroBitCount == 1
    let index = home &+ (low != 0 ? low.trailingZeroBitCount : 64 &+ high.trailingZeroBitCount)
    leaveOut(index)
    return (self.x[index], index, isOnlyOne ? E.largestLane(others) : value)
  }

  /// How far ahead elements are fetched into L1: when one of two rows in turn is summed up the other has been read already, and
  /// the one after them is the next to be read.
  @inline(__always) private var ahead: Int { max(2 &* chunk, count < chunk ? 3 &* count : 0) }

  /// Σ exp(x) over the part, whose largest element is known.
  @inline(never) func sum(_ reference: Reference<E>) -> Wide { wide(reference, nil) }

  /// The same, and each step's terms go to `terms`, scales before minor parts: of no use where the sum is no ordinary one
  /// or has an anchor.
  @inline(never) func sum(_ reference: Reference<E>, terms: UnsafeMutablePointer<E>) -> Wide {
    wide(reference, KeptTerms(place: terms, areRounded: false))
  }

  /// The same with each term as one number, at its element's place, which may be the element's own.
  @inline(never) func sum(_ reference: Reference<E>, roundedTerms: UnsafeMutablePointer<E>) -> Wide {
    wide(reference, KeptTerms(place: roundedTerms, areRounded: true))
  }

  @inline(__always) private func wide(_ reference: Reference<E>, _ terms: KeptTerms<E>?) -> Wide {
    let largest = reference.largest
    if !largest.isFinite { return containsNaN ? .nan : largest < 0 ? .zero : .infinity }
    let anchor = Wide.anchor(for: largest.widened)
    let total = sum(reference.window, less: anchor == 0 ? 0 : largest, terms: terms)
    // As `usualScale` says.
    if let terms, hole >= 0 {
      terms.place[terms.areRounded ? hole : hole &+ (hole &- hole % E.width)] = E.usualScale
    }
    let scale = powerOfTwo(-E.sumShift.widened) / E.bias
    return Wide(total.hi * scale, total.lo * scale, exponent: reference.exponent.widened, anchor: anchor)
  }

  @inline(__always) private func sum(
    _ window: Window<E>, less anchor: E, terms: KeptTerms<E>?
  ) -> (hi: Double, lo: Double) {
    let magic = E.Lanes(repeating: window.magic)
    let lowest = E.Lanes(repeating: window.lowest)
    var high = Halves(repeating: 0)
    var low = Halves(repeating: 0)
    let ahead = ahead
    @inline(__always) func begun(_ x: UnsafePointer<E>) -> Four<Reduced<E>> {
      let steps = Four(0, E.width, 2 &* E.width, 3 &* E.width).map { x + $0 }
      steps.forEach { xentk_prefetch($0 + ahead) }
      return E.begun(steps.map { E.larger(E.load($0), lowest) }, magic)  // a NaN stays
    }
    var sum = GroupSum<E>(terms: terms)
    @inline(__always) func endStrip(_ next: Int) {
      sum.endStrip()
      guard next & (E.group &- 1) == 0 || next >= count else { return }
      let (heads, rest) = (E.whole(sum.heads), E.whole(sum.rest))
      E.flush(heads, rest, 0, to: &high.low, &low.low)
      if E.halves == 2 { E.flush(heads, rest, 1, to: &high.high, &low.high) }
      sum = GroupSum<E>(terms: sum.terms)
    }
    var first = 0
    if count <= E.folded {
      let x = strip(0, less: anchor)
      let whole = anchor == 0 ? wholeSteps(0) : E.wholeSteps(count)
      while first < count {
        let step = first < whole ? x + first : UnsafePointer(stage.last)
        sum.addInOneChain(E.term(E.larger(E.load(step), lowest), magic), min(E.width, count &- first))
        first &+= E.width
      }
      return (E.folded(sum.heads, sum.rest), 0)
    }
    #if XENT_V4
      let whole = count &- count % E.strip
      if whole > 0 && anchor == 0 {
        // The second half of each step's exponential beside the first half of that of the fourth step after it: the processor
        // looks ahead no further than some ten steps, and finds more of them ready.
        var x = strip(0)
        var next = begun(x)
        @inline(__always) func step(_ reduced: inout Reduced<E>, _ i: Int) {
          let term = E.ended(reduced)
          xentk_prefetch(x + (i &+ ahead))
          reduced = E.begun(E.larger(E.load(x + i), lowest), magic)
          reduced.rest = E.whole(reduced.rest)
          sum.add(term)
        }
        repeat {
          let isFirstHalf = first & (E.strip &- 1) == 0
          first &+= E.strip / 2
          if isFirstHalf { x += E.strip / 2 } else if first < whole { x = strip(first) }
          step(&next.a, 0)
          step(&next.b, E.width)
          step(&next.c, 2 &* E.width)
          step(&next.d, 3 &* E.width)
          if !isFirstHalf { endStrip(first) }
        } while first < whole
      }
    #endif
    while first < count {
      let x = strip(first, less: anchor)
      let whole = anchor == 0 ? wholeSteps(first) : E.wholeSteps(length(first))
      if E.isHalved {
        let room = sum.room ?? stage.maxima
        E.begin(x, whole, window, to: room, ahead: ahead)
        if whole < length(first) { E.begin(stage.last, E.width, window, to: room + 2 &* whole, ahead: ahead) }
        forEachStep(length(first), 2 &* E.width) { i, few in
          let room = room + 2 &* i
          sum.add(E.ended(room, room + E.width), min(few, E.width))
          if few > E.width { sum.add(E.ended(room + 2 &* E.width, room + 3 &* E.width), few &- E.width) }
        }
        first &+= E.strip
        endStrip(first)
        continue
      }
      var i = 0
      #if XENT_FMA
        while i &+ 4 &* E.width <= length(first) {
          sum.add(E.ended(begun(x + i)))
          i &+= 4 &* E.width
        }
      #endif
      while i < length(first) {
        xentk_prefetch(x + (i &+ ahead))
        let step = i < whole ? x + i : UnsafePointer(stage.last)
        sum.add(E.term(E.larger(E.load(step), lowest), magic), min(E.width, length(first) &- i))
        i &+= E.width
      }
      first &+= E.strip
      endStrip(first)
    }
    return E.hasLow ? reduced(high.low, low.low) : (reduced(high), 0)
  }

  @inline(never) private var containsNaN: Bool {
    var i = 0
    while i < count {
      if i != hole && x[i].isNaN { return true }
      i &+= 1
    }
    return false
  }
}
