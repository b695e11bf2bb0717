// A kernel call's rows, in the dtype's types, and what is done for each of them.

import CXentSystem

/// One kernel call's view of the problem, with the types put back.
struct Rows<E: Element> {
  let problem: UnsafePointer<xentk_problem>
  let classes: Int

  @inline(__always) init(_ problem: UnsafePointer<xentk_problem>) {
    self.problem = problem
    classes = Int(problem.pointee.classes)
  }

  @inline(__always) func input(_ row: Int) -> UnsafePointer<E> {
    problem.pointee.input.unsafelyUnwrapped.assumingMemoryBound(to: E.self) + row &* classes
  }
  @inline(__always) func gradInput(_ row: Int) -> UnsafePointer<E> {
    problem.pointee.grad_input.unsafelyUnwrapped.assumingMemoryBound(to: E.self) + row &* classes
  }
  @inline(__always) func output(_ row: Int) -> UnsafeMutablePointer<E> {
    problem.pointee.output.unsafelyUnwrapped.assumingMemoryBound(to: E.self) + row &* classes
  }
  /// The row's target, nil where it is ignored.
  @inline(__always) func target(_ row: Int) -> Int? {
    let target = problem.pointee.targets.unsafelyUnwrapped[row]
    return target == problem.pointee.ignore_index ? nil : Int(target)
  }
  @inline(__always) func weight(_ target: Int) -> Double {
    guard let weight = problem.pointee.weight else { return 1 }
    return weight.assumingMemoryBound(to: E.self)[target].widened
  }
  /// weight / divisor: what a gradient is multiplied by, as hi + lo.
  @inline(__always) func coefficient(_ target: Int) -> (hi: Double, lo: Double) {
    let weight = weight(target)
    let divisor = problem.pointee.divisor_hi
    let hi = weight / divisor
    let rest = hi.isFinite ? (-weight).addingProduct(hi, divisor) + hi * problem.pointee.divisor_lo : 0
    return (hi, divisor == 1 || hi == 0 ? 0 : -rest / divisor)
  }

  /// Adds (hi + lo)·2^exponent, times the weight, to the losses; stores it where per-row losses are wanted.
  @inline(never) func record(
    _ row: Int, _ value: (hi: Double, lo: Double), weight: Double, exponent: Double,
    in loss: UnsafeMutablePointer<xentk_loss>
  ) {
    var hi = weight * value.hi
    var lo = (-hi).addingProduct(weight, value.hi) + weight * value.lo
    if !hi.isFinite { lo = 0 }
    if exponent < 0 {
      hi = scaled(hi, exponent)
      lo = scaled(lo, exponent)
    }
    if exponent > 0 {
      xentk_add(&loss.pointee.huge_hi, &loss.pointee.huge_lo, hi, lo)
      hi *= 0x1p200
    } else {
      xentk_loss_add(loss, hi, lo)
    }
    if let out = problem.pointee.row_loss {
      out.assumingMemoryBound(to: E.self)[row] = E(rounding: hi.isFinite ? hi + lo : hi)
    }
  }

  /// `record` for a batch of rows, ignored ones at 0.
  @inline(never) func record(
    _ first: Int, _ count: Int, _ outcome: Outcome, in loss: UnsafeMutablePointer<xentk_loss>
  ) {
    var lane = 0
    while lane < count {
      let row = first &+ lane
      if let target = target(row) {
        let value = (outcome.loss.hi[lane], outcome.loss.lo[lane])
        record(row, value, weight: weight(target), exponent: outcome.exponent[lane], in: loss)
      } else {
        record(row, (0, 0), weight: 1, exponent: 0, in: loss)
      }
      lane &+= 1
    }
  }

  /// The states of a batch of rows, their targets kept out. Ignored rows are not read.
  @inline(never) func targetStates(_ first: Int, _ count: Int, _ scratch: Scratch<E>) -> Batch {
    var batch = Batch()
    var lane = 0
    while lane < count {
      if let target = target(first &+ lane) {
        batch.set(lane, RowState(input(first &+ lane), classes, keeping: .element(target), scratch))
      }
      lane &+= 1
    }
    return batch
  }

  /// The states of a batch of rows, their largest elements kept out.
  @inline(never) func peakStates(_ first: Int, _ count: Int, _ scratch: Scratch<E>) -> Batch {
    var batch = Batch()
    var lane = 0
    while lane < count {
      batch.set(lane, RowState(input(first &+ lane), classes, keeping: .largest, scratch))
      lane &+= 1
    }
    return batch
  }
}

/// value·2^exponent with one rounding, exponent ≤ 0.
@inline(never) func scaled(_ value: Double, _ exponent: Double) -> Double {
  var value = value
  var exponent = exponent > -4000 ? exponent : -4000
  while exponent < -1000 {
    value *= 0x1p-1000
    exponent += 1000
  }
  return value * powerOfTwo(exponent)
}

@inline(__always) func min(_ a: Int, _ b: Int) -> Int { a < b ? a : b }
