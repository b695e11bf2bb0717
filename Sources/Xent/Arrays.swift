// Contiguous arrays of the plain functions, and what no array may do whoever describes it: lie over another one.

import CXent
import CXentSystem
import XentCore

func size(of dtype: Int32) -> Int32 {
  switch Int(dtype) {
  case XENT_F64, XENT_I64, XENT_U64: 8
  case XENT_F32, XENT_I32, XENT_U32: 4
  case XENT_I8, XENT_U8: 1
  default: 2
  }
}

func isFloating(_ dtype: Int32) -> Bool { Int(dtype) >= XENT_F32 && Int(dtype) <= XENT_BF16 }
func isInteger(_ dtype: Int32) -> Bool { Int(dtype) >= XENT_I8 && Int(dtype) <= XENT_U64 }

/// How a plain array's elements are counted.
struct Layout {
  let hasRows, hasClasses: Bool

  static var matrix: Layout { Layout(hasRows: true, hasClasses: true) }
  static var perRow: Layout { Layout(hasRows: true, hasClasses: false) }
  static var perClass: Layout { Layout(hasRows: false, hasClasses: true) }
  static var scalar: Layout { Layout(hasRows: false, hasClasses: false) }
}

extension Call {
  /// Sets (rows, classes), not negative, of arrays that fit in the address space. `perRow`: there are arrays of one
  /// element a row or a class, which have to fit even where there are no classes.
  @_optimize(speed) @inline(never) func shape(_ rows: Int64, _ classes: Int64, _ dtype: Int, perRow: Bool = true)
    throws(Failure)
  {
    try notNegative("rows", rows)
    try notNegative("classes", classes)
    let (elements, overflow) = rows.multipliedReportingOverflow(by: classes)
    guard !overflow, !elements.multipliedReportingOverflow(by: Int64(size(of: Int32(dtype)))).overflow else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add("rows * classes (")
        text.add(rows)
        text.add(" * ")
        text.add(classes)
        text.add(") is too large")
      }
    }
    if perRow {
      try fits("rows", rows)
      try fits("classes", classes)
    }
    problem.pointee.rows = rows
    problem.pointee.classes = classes
  }

  private func notNegative(_ name: StaticString, _ size: Int64) throws(Failure) {
    guard size >= 0 else { throw failure(XENT_ERR_SIZE) { $0.add(name, size, ", must not be negative") } }
  }

  func fits(_ name: StaticString, _ size: Int64) throws(Failure) {
    guard size <= Int64.max / 8 else { throw failure(XENT_ERR_SIZE) { $0.add(name, size, ", too large") } }
  }

  /// Sets a contiguous array; one that is needed if it has elements, unless it `mayBeNull`.
  @_optimize(speed) @inline(__always) func set(
    _ array: UnsafeMutablePointer<xentk_array>, _ name: StaticString, _ start: Pointer?, _ dtype: Int, _ layout: Layout,
    mayBeNull: Bool = false
  ) throws(Failure) {
    let classes = layout.hasClasses ? problem.pointee.classes : 1
    let count = layout.hasRows ? problem.pointee.rows &* classes : classes
    guard start != nil || count == 0 || mayBeNull else { throw isNull(name) }
    let dtype = Int32(truncatingIfNeeded: dtype)
    let size = size(of: dtype)
    if let start {
      // What checkOverlaps wants to know, while it is at hand.
      let number = array - xentk_arrays(problem)
      let reach = layout.hasClasses && problem.pointee.rows == 0 ? 0 : count
      xentk_give(problem, Int32(truncatingIfNeeded: number))
      extents[number] = Extent(start, bytes: Int(reach) &* Int(size))
    }
    array.pointee.data = UnsafeMutableRawPointer(mutating: start)
    array.pointee.dtype = dtype
    array.pointee.size = size
    array.pointee.classes = classes
    array.pointee.outer_stride = layout.hasRows ? classes : 0
    array.pointee.class_stride = layout.hasClasses ? 1 : 0
  }

  @inline(never) func isNull(_ name: StaticString) -> Failure {
    failure(XENT_ERR_NULL) { text in
      text.add(name)
      text.add(" is NULL")
    }
  }

  /// No output overlaps another array, except in place: exactly the same elements, where that may be.
  @_optimize(speed) @inline(never) func checkOverlaps() throws(Failure) {
    if !isPlain { setExtents() }
    let arrays = xentk_arrays(problem)
    let given = Numbers(problem.pointee.given)
    let inputs = given.below(Int(XENTK_INPUTS))
    for o in given.from(Int(XENTK_INPUTS)) {
      for i in inputs where extents[o].touches(extents[i]) {
        if mayBeInPlace(o - Int(XENTK_INPUTS), i) && Self.isSame(arrays + o, arrays + i) { continue }
        throw overlap(outputName(o - Int(XENTK_INPUTS)), inputName(i))
      }
      for other in given.below(o).from(Int(XENTK_INPUTS)) where extents[o].touches(extents[other]) {
        throw overlap(outputName(o - Int(XENTK_INPUTS)), outputName(other - Int(XENTK_INPUTS)))
      }
    }
  }

  /// Where each array begins and ends; of those that are given.
  private var extents: UnsafeMutablePointer<Extent> { xentk_extents(problem).assumingMemoryBound(to: Extent.self) }

  @inline(never) private func setExtents() {
    xentk_find_given(problem)
    let outer = outer
    for n in Numbers(problem.pointee.given) {
      let isOne = n >= Int(XENTK_INPUTS + XENTK_OUTPUTS)
      extents[n] = Extent(xentk_arrays(problem) + n, isOne ? 1 : outer, isOne ? 1 : problem.pointee.inner)
    }
  }

  @inline(never) private func overlap(_ output: StaticString, _ other: StaticString) -> Failure {
    failure(XENT_ERR_OVERLAP) { text in
      text.add(output)
      text.add(" overlaps ")
      text.add(other)
    }
  }

  /// What has the logits' shape may be in their place; a gradient that is made of two, in place of either.
  private func mayBeInPlace(_ output: Int, _ input: Int) -> Bool {
    switch Int(problem.pointee.operation) {
    case XENTK_ROWS: output < 3 && input == 0
    case XENTK_NLL, XENTK_BINARY, XENTK_DIVERGENCE: output == 0 && input == 0
    case XENTK_SOFTMAX_GRAD: output == 0 && input < 2
    default: false
    }
  }

  @inline(never) private static func isSame(_ a: UnsafePointer<xentk_array>, _ b: UnsafePointer<xentk_array>) -> Bool {
    let (a, b) = (a.pointee, b.pointee)
    return a.data == b.data && a.dtype == b.dtype && a.outer_stride == b.outer_stride
      && a.class_stride == b.class_stride && a.inner_stride == b.inner_stride
  }

  @inline(never) func inputName(_ i: Int) -> StaticString {
    switch i {
    case 0: inputName
    case 1: secondName
    case 2: "targets"
    case 3: "target_probs"
    case 4: "weight"
    case 5: "pos_weight"
    case 6: "row_mask"
    case 7: "class_mask"
    case 8: gradLossName
    default: "gather"
    }
  }

  @inline(never) func outputName(_ o: Int) -> StaticString {
    switch o {
    case 0: gradName
    case 1: "probs"
    case 2: "log_probs"
    case 3: rowLossName
    case 4: "lse"
    case 5: "entropy"
    case 6: "max_logit"
    case 7: "target_log_prob"
    case 8: "z_loss"
    case 9: "argmax"
    case 10: "target_rank"
    case 11: "top_indices"
    case 12: "top_log_probs"
    case 13: "gathered"
    case 14: "loss"
    case 15: "correct"
    case 16: "rows_counted"
    case 17: "loss_sum"
    default: "weight_sum"
    }
  }
}

/// A set of small numbers, in order.
private struct Numbers: Sequence, IteratorProtocol {
  private var bits: UInt32

  init(_ bits: UInt32) { self.bits = bits }

  func below(_ number: Int) -> Numbers { Numbers(bits & (1 &<< UInt32(truncatingIfNeeded: number) &- 1)) }
  func from(_ number: Int) -> Numbers { Numbers(bits & ~(1 &<< UInt32(truncatingIfNeeded: number) &- 1)) }

  mutating func next() -> Int? {
    if bits == 0 { return nil }
    defer { bits &= bits &- 1 }
    return bits.trailingZeroBitCount
  }
}

/// The memory from an array's first byte to its last.
struct Extent {
  private let low, high: UInt
  /// Bytes from one outer index to the next, and from the first to the last byte of one of them.
  private let period, width: UInt

  /// Of an array without gaps, which none lies beside.
  init(_ start: Pointer, bytes: Int) {
    low = UInt(bitPattern: start)
    high = low &+ UInt(bitPattern: bytes)
    (period, width) = (0, 0)
  }

  @_optimize(speed) @inline(never) init(_ array: UnsafePointer<xentk_array>, _ outer: Int64, _ inner: Int64) {
    let classes = array.pointee.classes
    guard outer > 0, classes > 0, inner > 0 else {
      (low, high, period, width) = (0, 0, 0, 0)
      return
    }
    // Nothing here overflows: the sizes have been checked.
    let size = Int64(array.pointee.size)
    var below: Int64 = 0
    var above = size
    func reach(_ count: Int64, _ stride: Int64) -> UInt {
      let bytes = (count &- 1) &* stride &* size
      if bytes < 0 { below &+= bytes } else { above &+= bytes }
      return UInt(bytes.magnitude)
    }
    width =
      UInt(bitPattern: Int(size)) &+ reach(classes, array.pointee.class_stride)
      &+ reach(inner, array.pointee.inner_stride)
    _ = reach(outer, array.pointee.outer_stride)
    let start = UInt(bitPattern: array.pointee.data)
    low = start &+ UInt(bitPattern: Int(below))
    high = start &+ UInt(bitPattern: Int(above))
    period = UInt(array.pointee.outer_stride.magnitude) &* UInt(bitPattern: Int(size))
  }

  /// Whether the two may have a byte in common. Two column slices of one wider array do not: with one period, and each
  /// narrower than it, they lie side by side in every row.
  func touches(_ other: Extent) -> Bool {
    low < high && other.low < other.high && low < other.high && other.low < high && !isBeside(other)
  }

  @inline(never) private func isBeside(_ other: Extent) -> Bool {
    guard period > 0, period == other.period, width < period, other.width < period else { return false }
    let offset = (other.low % period + period - low % period) % period
    return offset >= width && offset + other.width <= period
  }
}
