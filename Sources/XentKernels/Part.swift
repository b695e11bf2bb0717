// The sum over a part of a row: chunks of fixed size, so that a chunk's sum depends on that chunk alone; in it strips,
// the lanes of which leave f32 before rounding could add up. One read of memory: the second pass over a chunk finds it
// in L1, and has the next chunk brought there meanwhile.

import CXentSystem

/// Elements whose sum is formed on its own. Part of the result, like `Element.strip`.
let chunk = 2048
/// Classes that kernels which work in f64 throughout take at a time, and eight of them, the lanes.
let strip = 64
let step = 8

/// Room for strips, filled up with −inf.
struct Stage<E: Element> {
  /// One strip for that with a hole, and one for what is left over at the end.
  let holed, last: UnsafeMutablePointer<E>
  /// The lanes' largest of every strip of a chunk.
  let maxima: UnsafeMutablePointer<E>

  @inline(__always) init(_ workspace: UnsafeMutablePointer<xentk_workspace>) {
    func strip(_ number: Int32) -> UnsafeMutablePointer<E> {
      UnsafeMutableRawPointer(xentk_strip(workspace, number)).assumingMemoryBound(to: E.self)
    }
    (holed, last, maxima) = (strip(0), strip(1), strip(4))
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
    while i < length {
      room[i] = x[i] - anchor
      i &+= 1
    }
    while i < E.wholeSteps(length) {
      room[i] = -.infinity
      i &+= 1
    }
    if hole >= 0 { room[hole] = -.infinity }
  }
}

/// A run of at most `chunk` elements, without the one at `hole` (−1: all of them).
struct Part<E: Element> {
  let x: UnsafePointer<E>
  let count: Int
  let hole: Int
  let stage: Stage<E>
  /// Where the strip with the hole begins, and where the last strip, if it is no whole steps; otherwise `count`.
  private let holeStrip, lastStrip: Int

  @inline(__always) init(_ x: UnsafePointer<E>, count: Int, hole: Int, stage: Stage<E>) {
    self.x = x
    self.count = count
    self.hole = hole
    self.stage = stage
    holeStrip = hole >= 0 && hole < count ? hole &- hole % E.strip : count
    lastStrip = count & (E.width &- 1) == 0 ? count : count &- count % E.strip
    if holeStrip < count {
      stage.fill(stage.holed, from: x + holeStrip, length(holeStrip), hole: hole &- holeStrip, less: 0)
    }
    if lastStrip < count && lastStrip != holeStrip {
      stage.fill(stage.last, from: x + lastStrip, length(lastStrip), hole: -1, less: 0)
    }
  }

  @inline(__always) private func length(_ strip: Int) -> Int { min(E.strip, count &- strip) }

  /// Calls `body` for the strips in order, less `anchor` and in whole steps: as many at a time as can be read where they lie,
  /// and one by one those that are staged. `first` is where a run begins in `x`.
  @inline(__always) func forEachRun(
    less anchor: E = 0, _ body: (_ run: UnsafePointer<E>, _ first: Int, _ count: Int) -> Void
  ) {
    var first = 0
    while first < count {
      var run = x + first
      var length = min(E.strip, count &- first)
      if anchor != 0 {
        let place = first == holeStrip ? hole &- first : -1
        stage.fill(stage.last, from: run, length, hole: place, less: anchor)
        run = UnsafePointer(stage.last)
      } else if first == holeStrip {
        run = UnsafePointer(stage.holed)
      } else if first == lastStrip {
        run = UnsafePointer(stage.last)
      } else {
        let isBeforeHole = holeStrip > first && holeStrip < lastStrip
        length = (isBeforeHole ? holeStrip : lastStrip > first ? lastStrip : count) &- first
      }
      body(run, first, E.wholeSteps(length))
      first &+= length
    }
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

  /// The largest element and the first place it stands at; −inf and −1 if nothing is greater than −inf. And the largest of
  /// all others.
  @inline(never) func firstMaximum() -> (value: E, index: Int, others: E) {
    // In each lane the largest so far, and the first strip that has it.
    let none = E.Lanes(repeating: -.infinity)
    var best = none
    var home = none
    var strips = 0
    forEachRun { x, _, count in
      var i = 0
      while i < count {
        let end = min(i &+ E.strip, count)
        var largest = none
        while i < end {
          largest = E.larger(largest, E.load(x + i))
          i &+= E.width
        }
        E.store(largest, stage.maxima + strips &* E.width)
        home = E.replacing(
          home, with: E.Lanes(repeating: E(rounding: -Double(strips))), where: best, isLessThan: largest)
        best = E.larger(best, largest)
        strips &+= 1
      }
    }
    let value = E.largestLane(best)
    if !(value > -.infinity) { return (value, -1, value) }
    let lanes = E.Lanes(repeating: value)
    let strip = Int(-E.largestLane(E.replacing(none, with: home, where: best, is: lanes)).widened)
    // The first step of the strip that has it, and the first place in that.
    let first = strip &* E.strip
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
    // The other strips' largest, and this strip's without it.
    var others = none
    var k = 0
    while k < strips {
      if k != strip { others = E.larger(others, E.load(stage.maxima + k &* E.width)) }
      k &+= 1
    }
    let rest = Part(x + first, count: end &- first, hole: i &- first, stage: stage)
    let other = E.largestLane(others)
    let own = rest.maximum()
    return (value, i, own > other ? own : other)
  }

  /// Σ exp(x) over the part, whose largest element may be known.
  @inline(never) func sum(largest known: E? = nil) -> Wide {
    let largest = known ?? maximum()
    if !largest.isFinite { return containsNaN ? .nan : largest < 0 ? .zero : .infinity }
    let anchor = Wide.anchor(for: largest.widened)
    let exponent = ((anchor == 0 ? largest : 0) * E.log2e + E.wholeNumber) - E.wholeNumber
    let total = sum(Window<E>(shift: E.sumShift - exponent), less: anchor == 0 ? 0 : largest)
    let scale = powerOfTwo(-E.sumShift.widened) / E.bias
    return Wide(total.hi * scale, total.lo * scale, exponent: exponent.widened, anchor: anchor)
  }

  @inline(__always) private func sum(_ window: Window<E>, less anchor: E) -> (hi: Double, lo: Double) {
    let magic = E.Lanes(repeating: window.magic)
    let lowest = E.Lanes(repeating: window.lowest)
    var high = Halves(repeating: 0)
    var low = Halves(repeating: 0)
    let isShort = count <= E.folded
    forEachRun(less: anchor) { x, _, count in
      var i = 0
      while i < count {
        let end = min(i &+ E.strip, count)
        var sum = E.Lanes(repeating: E.preload)
        var rest = E.Lanes(repeating: 0)
        while i < end {
          xentk_prefetch(x + (i &+ chunk))
          (sum, rest) = E.sum(sum, rest, E.term(E.larger(E.load(x + i), lowest), magic))  // a NaN stays
          i &+= E.width
        }
        if isShort {
          high.low[0] = E.folded(sum, rest)
          return
        }
        E.flush(sum, rest, 0, to: &high.low, &low.low)
        if E.halves == 2 { E.flush(sum, rest, 1, to: &high.high, &low.high) }
      }
    }
    if isShort { return (high.low[0], 0) }
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
