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

  /// Both parts, `a` the one to the left.
  @inline(never) static func merge(_ a: States, _ b: States, _ wanted: Wanted) -> States {
    var both = States()
    if wanted.total { both.total = a.total + b.total }
    if wanted.target { both.target = a.target + b.target }
    if wanted.largest { both.largest = a.largest + b.largest }
    if wanted.sums { both.sums = a.sums + b.sums }
    return both
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

  @inline(__always) private func chunkStates<E: Element>(_ x: UnsafePointer<E>, _ first: Int, _ count: Int) -> States {
    let stage = Stage<E>(source.rows.workspace)
    var states = States()
    if wanted.total { states.total = RowState(x, count, from: first, keeping: .none, stage) }
    if wanted.target { states.target = RowState(x, count, from: first, keeping: .element(target), stage) }
    if wanted.largest { states.largest = RowState(x, count, from: first, keeping: .largest, stage) }
    return states
  }

  @inline(never) private func states(_ elements: UnsafeRawPointer, _ first: Int, _ count: Int) -> States {
    var states =
      source.rows.isWide
      ? chunkStates(elements.assumingMemoryBound(to: Double.self), first, count)
      : chunkStates(elements.assumingMemoryBound(to: Float.self), first, count)
    if wanted.sums { states.sums = sums(elements, first, count, largest: states.largest.kept) }
    if let top { source.rows.forEachStrip(of: elements, first, count) { top.add($0, $1, $2) } }
    return states
  }

  /// The states of the row.
  @inline(never) func states() -> States {
    if source.rows.classes == 0 { return States() }
    return merged {
      states($0, $1, $2)
    } by: {
      States.merge($0, $1, wanted)
    }
  }

  /// The only state that is wanted: as `states`, without the room for all the others.
  @inline(__always) func onlyState() -> RowState {
    let kept: Kept = wanted.total ? .none : wanted.target ? .element(target) : .largest
    let workspace = source.rows.workspace
    return merged { elements, first, count in
      source.rows.isWide
        ? RowState(elements.assumingMemoryBound(to: Double.self), count, from: first, keeping: kept, Stage(workspace))
        : RowState(elements.assumingMemoryBound(to: Float.self), count, from: first, keeping: kept, Stage(workspace))
    } by: {
      $0 + $1
    }
  }

  /// The chunks' states, merged as a binary tree over their numbers. A subtree's state depends on its chunks alone, so
  /// that a part of the row that is a subtree, wherever it is computed, gives the same bits.
  @inline(__always) private func merged<State>(
    _ state: (_ elements: UnsafeRawPointer, _ first: Int, _ count: Int) -> State,
    by merge: (_ left: State, _ right: State) -> State
  ) -> State {
    let range = source.rows.range
    let classes = range.end &- range.first
    if classes <= chunk { return state(source.elements(range.first, classes), range.first, classes) }
    var tree = Tree<State>(source.rows.workspace)
    source.forEachChunk { elements, first, count in tree.add(state(elements, first, count), merge) }
    return tree.root(merge)
  }

  @inline(__always) static var depth: Int { Tree<States>.depth }
}

/// States of a row's parts on their way to one: a binary tree over the parts' numbers.
struct Tree<State> {
  /// The subtrees that are complete so far, as in the binary digits of the number of parts: a part that makes a 1 of a 0
  /// is pushed, one that carries merges what it carries over.
  private let complete: UnsafeMutablePointer<State>
  private var filled = 0
  private var number = 0

  /// Levels, all that fits: enough for 2^21 chunks, 2^32 classes. The tree of a longer row is lopsided, and fixed no
  /// less.
  @inline(__always) static var depth: Int { 21 }

  @inline(__always) init(_ workspace: UnsafeMutablePointer<xentk_workspace>) {
    complete = xentk_states(workspace).assumingMemoryBound(to: State.self)
  }

  @inline(__always) mutating func add(_ state: State, _ merge: (_ left: State, _ right: State) -> State) {
    var all = state
    number &+= 1
    var digits = number
    while digits & 1 == 0 || filled == Self.depth {
      filled &-= 1
      all = merge(complete[filled], all)
      digits &>>= 1
    }
    complete[filled] = all
    filled &+= 1
  }

  @inline(__always) func root(_ merge: (_ left: State, _ right: State) -> State) -> State {
    var left = filled &- 1
    var all = complete[left]
    while left > 0 {
      left &-= 1
      all = merge(complete[left], all)
    }
    return all
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
