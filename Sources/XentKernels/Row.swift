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
    var weight = weight(target)
    let exponent = problem.pointee.divisor_exponent
    if exponent != 0 { weight = scaled(weight, -exponent) }
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
    let hi = weight * value.hi
    let size = hi.magnitude
    if exponent == 0 && size >= 0x1p-900 && size < 0x1p900 {
      let lo = (-hi).addingProduct(weight, value.hi) + weight * value.lo
      xentk_add(&loss.pointee.hi, &loss.pointee.lo, hi, lo)
      store(row, hi + lo)
    } else if weight.isFinite && value.hi.isFinite && weight != 0 && value.hi != 0 {
      // The product may leave the format where the reduced loss does not: exponents go apart.
      var weightExponent = 0.0
      var valueExponent = 0.0
      let w = xentk_mantissa(weight, &weightExponent)
      let v = xentk_mantissa(value.hi, &valueExponent)
      let product = w * v
      let low = (-product).addingProduct(w, v) + w * (value.lo / value.hi * v)
      let total = exponent + weightExponent + valueExponent
      loss.pointee.add(product, low, exponent: total)
      store(row, scaled(product + low, total))
    } else {
      xentk_add(&loss.pointee.hi, &loss.pointee.lo, hi, 0)
      store(row, hi + 0)  // 0, not −0
    }
  }

  @inline(__always) private func store(_ row: Int, _ loss: Double) {
    if let out = problem.pointee.row_loss { out.assumingMemoryBound(to: E.self)[row] = E(rounding: loss) }
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

extension xentk_loss {
  /// Adds (value + low)·2^exponent, value about 1.
  @inline(never) fileprivate mutating func add(_ value: Double, _ low: Double, exponent: Double) {
    if exponent >= 900 {
      xentk_add(&huge_hi, &huge_lo, scaled(value, exponent - 1100), scaled(low, exponent - 1100))
    } else if exponent < -900 {
      xentk_add(&tiny_hi, &tiny_lo, scaled(value, exponent + 1100), scaled(low, exponent + 1100))
    } else {
      xentk_add(&hi, &lo, scaled(value, exponent), scaled(low, exponent))
    }
  }
}

/// value·2^exponent with one rounding.
@inline(never) func scaled(_ value: Double, _ exponent: Double) -> Double { xentk_scale(value, exponent) }

@inline(__always) func min(_ a: Int, _ b: Int) -> Int { a < b ? a : b }
