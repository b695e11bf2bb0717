// The sum over a part of a row: chunks of fixed size, so that a chunk's sum depends on that chunk alone; in it strips,
// the lanes of which leave f32 before rounding could add up. One read of memory: the second pass over a chunk finds it
// in L1.

/// Elements whose sum is formed on its own. Part of the result, like `strip`.
let chunk = 2048
/// Elements summed in registers before the lanes go to f64.
let strip = 64
/// Elements that go through the registers together: the lanes.
let step = 8

/// Room for one strip, filled up with −inf.
struct Stage<E: Element> {
  let elements: UnsafeMutablePointer<E>

  @inline(__always) init(elements: UnsafeMutablePointer<E>) { self.elements = elements }

  /// Calls `body` for each strip of `x`, without the element at `hole` (−1: none) and less `anchor`, in whole steps:
  /// read where it lies if that is possible, otherwise staged. `first` is where it begins in `x`.
  @inline(__always) func forEachStrip(
    of x: UnsafePointer<E>, count: Int, hole: Int, anchor: E,
    _ body: (_ strip: UnsafePointer<E>, _ first: Int, _ count: Int) -> Void
  ) {
    var first = 0
    while first < count {
      let length = min(strip, count &- first)
      let hidden = hole >= first && hole < first &+ length
      if !hidden && length & (step &- 1) == 0 && anchor == 0 {
        body(x + first, first, length)
      } else {
        let staged = stage(x + first, length, hole: hidden ? hole &- first : -1, anchor: anchor)
        body(staged, first, wholeSteps(length))
      }
      first &+= strip
    }
  }

  @inline(never) func stage(_ x: UnsafePointer<E>, _ length: Int, hole: Int, anchor: E) -> UnsafePointer<E> {
    var i = 0
    while i < length {
      elements[i] = x[i] - anchor
      i &+= 1
    }
    while i < wholeSteps(length) {
      elements[i] = -.infinity
      i &+= 1
    }
    if hole >= 0 { elements[hole] = -.infinity }
    return UnsafePointer(elements)
  }
}

@inline(__always) func wholeSteps(_ length: Int) -> Int { (length &+ (step &- 1)) & ~(step &- 1) }

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
    if count > strip || (hole < 0 && wholeSteps(count) == count) { return self }
    return Part(stage.stage(x, count, hole: hole, anchor: 0), count: wholeSteps(count), hole: -1, stage: stage)
  }

  @inline(__always) private func forEachStrip(
    less anchor: E = 0, _ body: (_ strip: UnsafePointer<E>, _ count: Int) -> Void
  ) {
    stage.forEachStrip(of: x, count: count, hole: hole, anchor: anchor) { strip, _, count in body(strip, count) }
  }

  /// The largest of each lane; NaNs are passed over.
  @inline(never) private static func largest(_ start: UnsafePointer<E>, _ count: Int) -> Lanes<E> {
    var a = Lanes<E>(repeating: -.infinity)
    var b = a
    var i = 0
    while i &+ step < count {
      a = E.larger(a, E.load(start + i))
      b = E.larger(b, E.load(start + (i &+ step)))
      i &+= 2 &* step
    }
    if i < count { a = E.larger(a, E.load(start + i)) }
    return E.larger(a, b)
  }

  /// The largest element, −inf if there is none; NaNs are passed over.
  @inline(__always) private func maximum() -> E {
    var lanes = Lanes<E>(repeating: -.infinity)
    forEachStrip { start, count in lanes = E.larger(lanes, Self.largest(start, count)) }
    return largestLane(lanes)
  }

  /// The largest element and the first place it stands at; −inf and −1 if nothing is greater than −inf.
  @inline(never) func firstMaximum() -> (value: E, index: Int) {
    var value = -E.infinity
    var first = -1
    var index = 0
    forEachStrip { start, count in
      let candidate = largestLane(Self.largest(start, count))
      if candidate > value {
        value = candidate
        first = index
      }
      index &+= strip
    }
    if first < 0 { return (value, -1) }
    while x[first] != value { first &+= 1 }
    return (value, first)
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
    let magic = Lanes(repeating: window.magic)
    let lowest = Lanes(repeating: window.lowest)
    var high = Doubles()
    var low = Doubles()
    forEachStrip(less: anchor) { start, count in
      var sum = Lanes<E>(repeating: E.preload)
      var rest = Lanes<E>()
      var i = 0
      while i < count {
        let term = E.term(E.larger(E.load(start + i), lowest), magic)  // a NaN stays
        // Fast2Sum: what the sum cannot hold goes to the rest, with the terms' minor parts.
        let major = term.scale * term.major
        let next = sum + major
        let lost = major - (next - sum)
        rest += E.multiplyAdd(term.scale, term.minor, lost)
        sum = next
        i &+= step
      }
      E.flush(sum, rest, to: &high, &low)
    }
    return reduced(high, low)
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
