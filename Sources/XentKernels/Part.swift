// The sum over a part of a row: chunks of fixed size, so that a chunk's sum depends on that chunk alone; in it strips,
// the lanes of which leave f32 before rounding could add up. One read of memory: the second pass over a chunk finds it
// in L1, and has the next chunk brought there meanwhile.

import CXentSystem

/// Elements whose sum is formed on its own. Part of the result, like `Element.strip`.
let chunk = 2048
/// Classes that kernels which work in f64 throughout take at a time, and eight of them, the lanes.
let strip = 64
let step = 8

/// Room for one strip, filled up with −inf.
struct Stage<E: Element> {
  let elements: UnsafeMutablePointer<E>

  @inline(__always) init(elements: UnsafeMutablePointer<E>) { self.elements = elements }

  /// Calls `body` for the strips of `x` in order, without the element at `hole` (−1: none) and less `anchor`, in whole
  /// steps: as many strips at a time as can be read where they lie, and one by one those that have to be staged.
  /// `first` is where a run begins in `x`.
  @inline(__always) func forEachRun(
    of x: UnsafePointer<E>, count: Int, hole: Int, anchor: E,
    _ body: (_ run: UnsafePointer<E>, _ first: Int, _ count: Int) -> Void
  ) {
    let end = anchor != 0 ? 0 : count & (E.width &- 1) == 0 ? count : count &- count % E.strip
    var first = 0
    while first < count {
      let holeStrip = hole >= first && hole < count ? hole &- hole % E.strip : count
      let stop = min(holeStrip, end)
      if first < stop {
        body(x + first, first, stop &- first)
        first = stop
      } else {
        let length = min(E.strip, count &- first)
        let staged = stage(x + first, length, hole: holeStrip == first ? hole &- first : -1, anchor: anchor)
        body(staged, first, E.wholeSteps(length))
        first &+= E.strip
      }
    }
  }

  @inline(never) func stage(_ x: UnsafePointer<E>, _ length: Int, hole: Int, anchor: E) -> UnsafePointer<E> {
    var i = 0
    while i < length {
      elements[i] = x[i] - anchor
      i &+= 1
    }
    while i < E.wholeSteps(length) {
      elements[i] = -.infinity
      i &+= 1
    }
    if hole >= 0 { elements[hole] = -.infinity }
    return UnsafePointer(elements)
  }
}

/// A run of at most `chunk` elements, without the one at `hole` (−1: all of them).
struct Part<E: Element> {
  var x: UnsafePointer<E>
  var count: Int
  var hole: Int
  let stage: Stage<E>

  @inline(__always) init(_ x: UnsafePointer<E>, count: Int, hole: Int, stage: Stage<E>) {
    self.x = x
    self.count = count
    self.hole = hole
    self.stage = stage
  }

  /// The same part, staged once for all if it is a single strip.
  @inline(__always) private var prepared: Part {
    if count > E.strip || (hole < 0 && E.wholeSteps(count) == count) { return self }
    return Part(stage.stage(x, count, hole: hole, anchor: 0), count: E.wholeSteps(count), hole: -1, stage: stage)
  }

  @inline(__always) private func forEachRun(
    less anchor: E = 0, _ body: (_ run: UnsafePointer<E>, _ first: Int, _ count: Int) -> Void
  ) {
    stage.forEachRun(of: x, count: count, hole: hole, anchor: anchor, body)
  }

  /// The largest element, −inf if there is none; NaNs are passed over.
  @inline(__always) private func maximum() -> E {
    var a = E.Lanes(repeating: -.infinity)
    var b = a
    forEachRun { x, _, count in
      var i = 0
      while i &+ E.width < count {
        a = E.larger(a, E.load(x + i))
        b = E.larger(b, E.load(x + (i &+ E.width)))
        i &+= 2 &* E.width
      }
      if i < count { a = E.larger(a, E.load(x + i)) }
    }
    return E.largestLane(E.larger(a, b))
  }

  /// The largest element and the first place it stands at; −inf and −1 if nothing is greater than −inf.
  @inline(never) func firstMaximum() -> (value: E, index: Int) {
    // In each lane the largest so far, and the first strip that has it.
    var best = E.Lanes(repeating: -.infinity)
    var home = E.Lanes(repeating: -.infinity)
    forEachRun { x, first, count in
      var i = 0
      while i < count {
        let end = min(i &+ E.strip, count)
        let number = E.Lanes(repeating: E(rounding: -Double((first &+ i) / E.strip)))
        var largest = E.Lanes(repeating: -.infinity)
        while i < end {
          largest = E.larger(largest, E.load(x + i))
          i &+= E.width
        }
        home = E.replacing(home, with: number, where: best, isLessThan: largest)
        best = E.larger(best, largest)
      }
    }
    let value = E.largestLane(best)
    if !(value > -.infinity) { return (value, -1) }
    let none = E.Lanes(repeating: -.infinity)
    let lanes = E.Lanes(repeating: value)
    let number = E.largestLane(E.replacing(none, with: home, where: best, is: lanes))
    let first = Int(-number.widened) &* E.strip
    // The first step of the strip that has it, and the first place in that.
    var at = none
    let end = min(first &+ E.strip, count)
    var i = first
    while i &+ E.width <= end {
      let place = E.Lanes(repeating: E(rounding: -Double(i)))
      at = E.larger(at, E.replacing(none, with: place, where: E.load(x + i), is: lanes))
      i &+= E.width
    }
    let found = E.largestLane(at)
    if found > -.infinity { i = Int(-found.widened) }
    while x[i] != value { i &+= 1 }
    return (value, i)
  }

  /// Σ exp(x) over the part.
  @inline(never) func sum() -> Wide {
    let part = prepared
    let largest = part.maximum()
    if !largest.isFinite { return part.containsNaN ? .nan : largest < 0 ? .zero : .infinity }
    let x = largest.widened
    let anchor = Wide.anchor(for: x)
    let exponent = ((x - anchor) * log2e).rounded(.toNearestOrEven)
    let total = part.sum(Window<E>(shift: E.sumShift - exponent), less: anchor == 0 ? 0 : largest)
    let scale = powerOfTwo(-E.sumShift) / E.bias
    return Wide(total.hi * scale, total.lo * scale, exponent: exponent, anchor: anchor)
  }

  @inline(__always) private func sum(_ window: Window<E>, less anchor: E) -> (hi: Double, lo: Double) {
    let magic = E.Lanes(repeating: window.magic)
    let lowest = E.Lanes(repeating: window.lowest)
    var high = Halves(repeating: 0)
    var low = Halves(repeating: 0)
    forEachRun(less: anchor) { x, _, count in
      var i = 0
      while i < count {
        let end = min(i &+ E.strip, count)
        var sum = E.Lanes(repeating: E.preload)
        var rest = E.Lanes(repeating: 0)
        while i < end {
          xentk_prefetch(x + (i &+ chunk))
          let term = E.term(E.larger(E.load(x + i), lowest), magic)  // a NaN stays
          // Fast2Sum: what the sum cannot hold goes to the rest, with the terms' minor parts.
          let major = term.scale * term.major
          let next = sum + major
          let lost = major - (next - sum)
          rest += E.multiplyAdd(term.scale, term.minor, lost)
          sum = next
          i &+= E.width
        }
        E.flush(sum, rest, 0, to: &high.low, &low.low)
        if E.halves == 2 { E.flush(sum, rest, 1, to: &high.high, &low.high) }
      }
    }
    return E.halves == 2 ? reduced(high, low) : reduced(high.low, low.low)
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

@inline(__always) func reduced(_ high: Halves, _ low: Halves) -> (hi: Double, lo: Double) {
  let (sum, lost) = twoSum(high.low, high.high)
  // What infinite terms have lost is NaN.
  return reduced(sum, low.low + low.high + lost.replacing(with: 0, where: lost .!= lost))
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
