// All that one pass over a row is to find out, for a chunk of it and, merged, for the whole.

import CXent
import CXentSystem

/// Which states the outputs of a call are made of. Each output is always made of the same one, so that its bits do not
/// depend on what else is asked for; a chunk in L1 is summed once for each of them.
struct Wanted {
  /// Everything in the sum: probabilities.
  var total = false
  /// The target's term kept out: its loss and gradient.
  var target = false
  /// The largest kept out: lse, log-probabilities, entropy, soft targets.
  var largest = false
  /// Sums beside the exponentials'.
  var entropy = false, distance = false, rank = false

  @inline(__always) var sums: Bool { entropy || distance || rank }

  /// Whether there is one state and nothing else.
  @inline(__always) var isOne: Bool {
    !sums && (total ? !target && !largest : target != largest)
  }
}

struct States {
  var total = RowState.nothing
  var target = RowState.nothing
  var largest = RowState.nothing
  var sums = Sums()

  /// Makes `a` of both parts, `a` the one to the left.
  @inline(never) static func merge(_ a: UnsafeMutablePointer<States>, _ b: UnsafeMutablePointer<States>, _ wanted: Wanted) {
    if wanted.total { RowState.merge(&a.pointee.total, &b.pointee.total) }
    if wanted.target { RowState.merge(&a.pointee.target, &b.pointee.target) }
    if wanted.largest { RowState.merge(&a.pointee.largest, &b.pointee.largest) }
    if wanted.sums { a.pointee.sums = a.pointee.sums + b.pointee.sums }
  }
}

/// A row, as it is passed over.
struct Reading {
  let source: Source
  let row: Position
  let wanted: Wanted
  /// The target where it is an index, −1 elsewhere, and its logit.
  let target: Int
  let targetLogit: Double
  /// Where the largest logits are wanted.
  let top: Top?

  @inline(__always) private func makeChunkStates<E: Element>(
    _ x: UnsafePointer<E>, _ first: Int, _ count: Int, in states: UnsafeMutablePointer<States>
  ) {
    let stage = Stage<E>(source.rows.workspace)
    if wanted.total { RowState.make(x, count, from: first, keeping: .none, stage, in: &states.pointee.total) }
    if wanted.target { RowState.make(x, count, from: first, keeping: .element(target), stage, in: &states.pointee.target) }
    if wanted.largest { RowState.make(x, count, from: first, keeping: .largest, stage, in: &states.pointee.largest) }
  }

  @inline(never) private func make(
    _ elements: UnsafeRawPointer, _ first: Int, _ count: Int, in states: UnsafeMutablePointer<States>
  ) {
    states.initialize(to: States())
    if source.rows.isWide {
      makeChunkStates(elements.assumingMemoryBound(to: Double.self), first, count, in: states)
    } else {
      makeChunkStates(elements.assumingMemoryBound(to: Float.self), first, count, in: states)
    }
    if wanted.sums { states.pointee.sums = sums(elements, first, count, largest: states.pointee.largest.kept) }
    if let top { source.rows.forEachStrip(of: elements, first, count) { top.add($0, $1, $2) } }
  }

  /// The states of the row.
  @inline(never) func states() -> UnsafeMutablePointer<States> {
    merged {
      make($0, $1, $2, in: $3)
    } by: {
      States.merge($0, $1, wanted)
    }
  }

  /// The only state that is wanted: as `states`, without the room for all the others. Of f32 the terms may be left.
  @inline(__always) func onlyState(leaving terms: RoundedTerms? = nil) -> UnsafeMutablePointer<RowState> {
    let kept: Kept = wanted.total ? .none : wanted.target ? .element(target) : .largest
    let workspace = source.rows.workspace
    return merged { elements, first, count, state in
      if source.rows.isWide {
        let x = elements.assumingMemoryBound(to: Double.self)
        RowState.make(x, count, from: first, keeping: kept, Stage(workspace), in: state)
      } else {
        let x = elements.assumingMemoryBound(to: Float.self)
        if RowsKernel.hasFMA, let terms {
          RowState.make(x, count, from: first, keeping: kept, Stage(workspace), leaving: terms, in: state)
        } else {
          RowState.make(x, count, from: first, keeping: kept, Stage(workspace), in: state)
        }
      }
    } by: {
      RowState.merge($0, $1)
    }
  }

  /// The chunks' states, merged as a binary tree over their numbers. A subtree's state depends on its chunks alone, so
  /// that a part of the row that is a subtree, wherever it is computed, gives the same bits.
  @inline(__always) private func merged<State>(
    _ make: (_ elements: UnsafeRawPointer, _ first: Int, _ count: Int, _ state: UnsafeMutablePointer<State>) -> Void,
    by merge: (_ left: UnsafeMutablePointer<State>, _ right: UnsafeMutablePointer<State>) -> Void
  ) -> UnsafeMutablePointer<State> {
    var tree = Tree<State>(source.rows.workspace)
    let first = source.rows.range.first
    if source.rows.range.end == first {
      make(source.elements(first, 0), first, 0, tree.next)
      return tree.next
    }
    source.forEachChunk { elements, first, count in
      make(elements, first, count, tree.next)
      tree.add(merge)
    }
    return tree.root(merge)
  }

  @inline(__always) static var treeSize: Int { Tree<States>.size }
}

/// States of a row's parts on their way to one: a binary tree over the parts' numbers.
struct Tree<State> {
  /// The subtrees that are complete so far, as in the binary digits of the number of parts: a part that makes a 1 of a 0
  /// is pushed, one that carries merges what it carries over.
  private let complete: UnsafeMutablePointer<State>
  private var filled = 0
  private var number = 0

  /// Levels, all that fits: enough for 2^20 chunks, 2^31 classes. The tree of a longer row is lopsided, and fixed no
  /// less.
  @inline(__always) static var depth: Int { 20 }
  /// The room of a tree, in states.
  @inline(__always) static var size: Int { depth &+ 1 }

  @inline(__always) init(_ workspace: UnsafeMutablePointer<xentk_workspace>) {
    complete = xentk_states(workspace).assumingMemoryBound(to: State.self)
  }

  /// Where the next part's state is to be before it is added.
  @inline(__always) var next: UnsafeMutablePointer<State> { complete + filled }

  /// Adds the part whose state is at `next`. `merge` makes the left state of both.
  @inline(__always) mutating func add(
    _ merge: (_ left: UnsafeMutablePointer<State>, _ right: UnsafeMutablePointer<State>) -> Void
  ) {
    number &+= 1
    var digits = number
    while digits & 1 == 0 || filled == Self.depth {
      filled &-= 1
      merge(complete + filled, complete + (filled &+ 1))
      digits &>>= 1
    }
    filled &+= 1
  }

  /// The state of all parts, of one at least.
  @inline(__always) func root(
    _ merge: (_ left: UnsafeMutablePointer<State>, _ right: UnsafeMutablePointer<State>) -> Void
  ) -> UnsafeMutablePointer<State> {
    var left = filled &- 1
    while left > 0 {
      left &-= 1
      merge(complete + left, complete + (left &+ 1))
    }
    return complete
  }
}

extension Rows {
  /// Calls `body` with up to 64 elements of a chunk at a time, in f64 and filled up to whole multiples of `size` with −inf.
  @inline(__always) func forEachStrip(
    of elements: UnsafeRawPointer, _ first: Int, _ count: Int, filledTo size: Int = step,
    _ body: (_ x: UnsafePointer<Double>, _ first: Int, _ count: Int) -> Void
  ) {
    var done = 0
    while done < count {
      let n = min(strip, count &- done)
      body(widened(elements, done, n, filledTo: size), first &+ done, n)
      done &+= n
    }
  }

  @inline(never) private func widened(
    _ elements: UnsafeRawPointer, _ first: Int, _ count: Int, filledTo size: Int
  ) -> UnsafePointer<Double> {
    let x = xentk_strip(workspace, 1)
    if isWide {
      let p = elements.assumingMemoryBound(to: Double.self) + first
      forEachStep(count) { i, n in Double.store(Double.load(p + i, n), x + i) }
    } else {
      let p = elements.assumingMemoryBound(to: Float.self) + first
      forEachStep(count) { i, n in
        if n == step {
          Double.store(xentk_doubles(xentk_load_8floats(p + i)), x + i)
        } else {
          var k = i
          while k < count {
            x[k] = Double(p[k])
            k &+= 1
          }
        }
      }
    }
    var i = count
    while i & (size &- 1) != 0 {
      x[i] = -.infinity
      i &+= 1
    }
    return UnsafePointer(x)
  }
}
