// The state of a row, or of a part of one: the sum of exponentials with one element kept out. States merge.

import CXentSystem

/// The element whose term is kept out of the sum.
enum Kept {
  case none
  /// At this index, counted from the part's start; in parts that do not hold it, none.
  case element(Int)
  /// The first of the largest.
  case largest
}

struct RowState {
  /// Σ exp(x) over all elements but the kept one.
  var rest: Wide
  /// The kept element, −inf where index is −1.
  var kept: Double
  /// Where it stands in the row, −1 for none.
  var index: Int

  /// Both parts, `a` the one to the left. The smaller of two kept elements joins the others; of equal ones the first
  /// stays.
  @inline(never) static func + (a: RowState, b: RowState) -> RowState {
    let rest = a.rest + b.rest
    if b.index < 0 { return RowState(rest: rest, kept: a.kept, index: a.index) }
    if a.index < 0 { return RowState(rest: rest, kept: b.kept, index: b.index) }
    return a.kept >= b.kept
      ? RowState(rest: rest + Wide.exp(b.kept), kept: a.kept, index: a.index)
      : RowState(rest: rest + Wide.exp(a.kept), kept: b.kept, index: b.index)
  }

  /// The kept element's term back in.
  @inline(__always) var total: Wide { index < 0 ? rest : rest + Wide.exp(kept) }
}

extension RowState {
  /// The state of the chunk that begins at `start`.
  @inline(__always) private init<E: Element>(
    _ x: UnsafePointer<E>, chunkAt start: Int, _ classes: Int, keeping kept: Kept, _ stage: Stage<E>
  ) {
    var part = Part(x + start, count: min(chunk, classes &- start), hole: -1, stage: stage)
    self.kept = -.infinity
    index = -1
    switch kept {
    case .none: break
    case .element(let element):
      part.hole = element &- start
      if part.hole >= 0 && part.hole < part.count {
        index = element
        self.kept = x[element].widened
      }
    case .largest:
      let (value, first) = part.firstMaximum()
      part.hole = first
      if first >= 0 {
        index = start &+ first
        self.kept = value.widened
      }
    }
    rest = part.sum()
  }

  /// The state of a row: its chunks' states, merged as a binary tree over their numbers. A subtree's state depends on
  /// its chunks alone, so that a part of the row that is a subtree, wherever it is computed, gives the same bits.
  @inline(never) init<E: Element>(_ x: UnsafePointer<E>, _ classes: Int, keeping kept: Kept, _ scratch: Scratch<E>) {
    if classes <= chunk {
      self.init(x, chunkAt: 0, classes, keeping: kept, scratch.stage)
      return
    }
    // The subtrees that are complete so far, as in the binary digits of the number of chunks: a chunk that makes a 1 of
    // a 0 is pushed, one that carries merges what it carries over.
    let complete = scratch.states
    var depth = 0
    var number = 0
    while number &* chunk < classes {
      var state = RowState(x, chunkAt: number &* chunk, classes, keeping: kept, scratch.stage)
      number &+= 1
      var digits = number
      while digits & 1 == 0 || depth == Scratch<E>.depth {
        depth &-= 1
        state = complete[depth] + state
        digits &>>= 1
      }
      complete[depth] = state
      depth &+= 1
    }
    self = complete[depth &- 1]
    while depth > 1 {
      depth &-= 1
      self = complete[depth &- 1] + self
    }
  }
}

/// What the runtime lends each kernel, and what is made of it.
struct Scratch<E: Element> {
  let stage: Stage<E>
  let states: UnsafeMutablePointer<RowState>

  /// Levels of the tree, all that fits: enough for 2^21 chunks, 2^32 classes. That of a longer row is lopsided, and
  /// fixed no less.
  @inline(__always) static var depth: Int { 21 }

  @inline(__always) init(_ scratch: UnsafePointer<xentk_scratch>) {
    stage = Stage(elements: scratch.pointee.strip.assumingMemoryBound(to: E.self))
    states = scratch.pointee.states.assumingMemoryBound(to: RowState.self)
  }
}
