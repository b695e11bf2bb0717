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

  /// Makes `a` of both parts, `a` the one to the left. The smaller of two kept elements joins the others; of equal ones the
  /// first stays. In place and field by field: a copy of several waits until what was stored last is in L1.
  @inline(never) static func merge(_ a: UnsafeMutablePointer<RowState>, _ b: UnsafePointer<RowState>) {
    a.pointee.rest = a.pointee.rest + b.pointee.rest
    if b.pointee.index < 0 { return }
    let isFirst = a.pointee.index >= 0 && a.pointee.kept >= b.pointee.kept
    let other = isFirst ? b.pointee.kept : a.pointee.kept
    if a.pointee.index >= 0 { a.pointee.rest = a.pointee.rest + Wide.exp(other) }
    if !isFirst { (a.pointee.kept, a.pointee.index) = (b.pointee.kept, b.pointee.index) }
  }

  /// The kept element's term back in.
  @inline(__always) var total: Wide { index < 0 ? rest : rest + Wide.exp(kept) }
}

/// Where the terms of a row's sum are left, each rounded to a float, for an output to be made of them: see `Writer.writeRounded`.
struct RoundedTerms {
  let out: UnsafeMutablePointer<Float>
  /// Each chunk's, NaN for a chunk whose terms are not there.
  let exponents: UnsafeMutablePointer<Float>
}

/// A part of a row of which the largest element is known; what is left to do is the sum.
struct RowPart<E: Element> {
  private let part: Part<E>
  /// Of the elements in the sum.
  private let reference: Reference<E>
  let kept: Double
  let index: Int

  /// The part that begins at `start` of the row.
  @inline(__always) init(
    _ x: UnsafePointer<E>, _ count: Int, from start: Int, keeping kept: Kept, _ stage: Stage<E>
  ) {
    switch kept {
    case .none: (part, self.kept, index) = (Part(x, count: count, hole: -1, stage: stage), -.infinity, -1)
    case .element(let element):
      let place = element &- start
      let isHere = place >= 0 && place < count
      part = Part(x, count: count, hole: isHere ? place : -1, stage: stage)
      (self.kept, index) = isHere ? (x[place].widened, element) : (-.infinity, -1)
    case .largest:
      var part = Part(x, count: count, hole: -1, stage: stage)
      let (value, first, others) = part.leaveOutFirstMaximum()
      (self.part, reference, self.kept, index) = (part, Reference(others), value.widened, first >= 0 ? start &+ first : -1)
      return
    }
    reference = Reference(part.maximum())
  }

  /// The same, where it is to be: a copy would be made by loads of more than was stored by one store, which wait.
  @inline(never) static func make(
    _ x: UnsafePointer<E>, _ count: Int, from start: Int, keeping kept: Kept, _ stage: Stage<E>,
    in part: UnsafeMutablePointer<RowPart<E>>
  ) {
    part.initialize(to: RowPart(x, count, from: start, keeping: kept, stage))
  }

  /// Whether the exponentials of all elements are formed without an anchor.
  @inline(__always) var isNear: Bool {
    reference.largest.isFinite && Wide.anchor(for: reference.largest.widened) == 0
      && (index < 0 || Wide.anchor(for: kept) == 0)
  }

  @inline(__always) func state() -> RowState { RowState(rest: part.sum(reference), kept: kept, index: index) }

  /// The same; each step's terms go to `terms`.
  @inline(__always) func state(terms: UnsafeMutablePointer<E>) -> RowState {
    RowState(rest: part.sum(reference, terms: terms), kept: kept, index: index)
  }

  /// The same, each element's term as one number.
  @inline(__always) func state(roundedTerms terms: UnsafeMutablePointer<E>) -> RowState {
    RowState(rest: part.sum(reference, roundedTerms: terms), kept: kept, index: index)
  }
}

extension RowState {
  /// The state of a part of a row that begins at `start`.
  @inline(never) static func make<E: Element>(
    _ x: UnsafePointer<E>, _ count: Int, from start: Int, keeping kept: Kept, _ stage: Stage<E>,
    in state: UnsafeMutablePointer<RowState>
  ) {
    state.initialize(to: RowPart(x, count, from: start, keeping: kept, stage).state())
  }

  /// The same, and its terms are left where they are wanted, unless elements are far from 0.
  @inline(never) static func make(
    _ x: UnsafePointer<Float>, _ count: Int, from start: Int, keeping kept: Kept, _ stage: Stage<Float>,
    leaving terms: RoundedTerms, in state: UnsafeMutablePointer<RowState>
  ) {
    let part = RowPart(x, count, from: start, keeping: kept, stage)
    let isLeft = part.isNear
    let made = isLeft ? part.state(roundedTerms: terms.out + start) : part.state()
    terms.exponents[start / chunk] = isLeft ? Float(made.rest.exponent) : .nan
    state.initialize(to: made)
  }

  @inline(__always) static var nothing: RowState { RowState(rest: .zero, kept: -.infinity, index: -1) }

  /// Whether there is nothing but masks.
  @inline(__always) var isEmpty: Bool { rest.hi == 0 && kept == -.infinity }
}
