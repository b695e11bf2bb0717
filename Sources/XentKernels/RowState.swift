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
  /// The state of a part of a row that begins at `start`.
  @inline(never) init<E: Element>(
    _ x: UnsafePointer<E>, _ count: Int, from start: Int, keeping kept: Kept, _ stage: Stage<E>
  ) {
    self.kept = -.infinity
    index = -1
    switch kept {
    case .none: rest = Part(x, count: count, hole: -1, stage: stage).sum()
    case .element(let element):
      let place = element &- start
      let isHere = place >= 0 && place < count
      if isHere {
        index = element
        self.kept = x[place].widened
      }
      rest = Part(x, count: count, hole: isHere ? place : -1, stage: stage).sum()
    case .largest:
      var part = Part(x, count: count, hole: -1, stage: stage)
      let (value, first, others) = part.leaveOutFirstMaximum()
      if first >= 0 {
        index = start &+ first
        self.kept = value.widened
      }
      rest = part.sum(largest: others)
    }
  }

  @inline(__always) static var nothing: RowState { RowState(rest: .zero, kept: -.infinity, index: -1) }

  /// Whether there is nothing but masks.
  @inline(__always) var isEmpty: Bool { rest.hi == 0 && kept == -.infinity }
}
