// What a call's targets are worth: every one of them is checked, and what a mean divides by is added up.

import CXent
import CXentSystem
import XentCore

/// The rows that count, and the sum of their targets' weights.
struct Counted {
  var rows: Int64 = 0
  var weight = xentk_loss()
}

extension Call {
  /// Checks every index, and counts. `needsWeight`: the sum of the weights is wanted.
  func count(needsWeight: Bool) throws(Failure) -> Counted {
    var counted = Counted()
    let kind = Int(problem.pointee.target_kind)
    let isWeighted = kind == XENTK_INDEX && problem.pointee.weight.data != nil && needsWeight
    let isPlain = kind == XENTK_INDEX && problem.pointee.row_mask.data == nil && problem.pointee.skips_masked == 0
    let dtype = Int(problem.pointee.targets.dtype)
    if isPlain && !isWeighted && dtype == XENT_I64 {
      try countPlain(Int64.self, &counted)
    } else if isPlain && !isWeighted && dtype == XENT_I32 {
      try countPlain(Int32.self, &counted)
    } else if isPlain && !isWeighted && dtype == XENT_U8 {
      try countPlain(UInt8.self, &counted)
    } else {
      var row: Int64 = 0
      while row < problem.pointee.rows {
        let (outer, inner) = position(row)
        if try counts(row, outer, inner) {
          counted.rows += 1
          if isWeighted {
            let target = index(problem.pointee.targets, outer, 0, inner).value
            xentk_accumulate(&counted.weight, number(problem.pointee.weight, 0, target, 0), 0, 0)
          }
        }
        row += 1
      }
    }
    if !isWeighted { counted.weight.hi = Double(counted.rows) }
    return counted
  }

  /// Rows of an index each, that lie at one distance: all of them, or those of each image.
  @inline(__always) private func countPlain<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, _ counted: inout Counted
  ) throws(Failure) {
    guard problem.pointee.rows > 0, let data = problem.pointee.targets.data else { return }
    let targets = problem.pointee.targets
    let ignored = problem.pointee.ignore_index
    let classes = UInt64(bitPattern: problem.pointee.classes)
    let isFlat = problem.pointee.inner == 1
    let length = Int(isFlat ? problem.pointee.rows : problem.pointee.inner)
    let stride = Int(isFlat ? targets.outer_stride : targets.inner_stride) &* MemoryLayout<T>.size
    var first = 0
    while first < Int(problem.pointee.rows) {
      let outer = isFlat ? 0 : first / length
      let p = UnsafeRawPointer(data) + outer &* Int(targets.outer_stride) &* MemoryLayout<T>.size
      for i in 0..<length {
        let target = Int64(truncatingIfNeeded: p.loadUnaligned(fromByteOffset: i &* stride, as: T.self))
        if target == ignored { continue }
        guard UInt64(bitPattern: target) < classes else {
          throw outside(Int64(first &+ i), -1, Index(value: target))
        }
        counted.rows &+= 1
      }
      first &+= length
    }
  }

  private func position(_ row: Int64) -> (outer: Int64, inner: Int64) {
    problem.pointee.inner == 1 ? (row, 0) : (row / problem.pointee.inner, row % problem.pointee.inner)
  }

  /// Whether a row counts; its indices are checked even where it is masked.
  private func counts(_ row: Int64, _ outer: Int64, _ inner: Int64) throws(Failure) -> Bool {
    var result = true
    let kind = Int(problem.pointee.target_kind)
    if kind == XENTK_INDEX || kind == XENTK_SPARSE {
      result = false
      for k in 0..<problem.pointee.targets.classes {
        let index = index(problem.pointee.targets, outer, k, inner)
        if index.value == problem.pointee.ignore_index && !index.isBeyond { continue }
        guard !index.isBeyond, index.value >= 0, index.value < problem.pointee.classes else {
          throw outside(row, kind == XENTK_SPARSE ? k : -1, index)
        }
        result = true
      }
    }
    if problem.pointee.row_mask.data != nil && index(problem.pointee.row_mask, outer, 0, inner).value == 0 {
      return false
    }
    if result && problem.pointee.skips_masked != 0 {
      if isMasked(problem.pointee.input, outer, inner) { return false }
      if Int(problem.pointee.operation) == XENTK_DIVERGENCE && isMasked(problem.pointee.second, outer, inner) {
        return false
      }
    }
    return result
  }

  /// Whether a row is nothing but masks. Most end at the first class. A quotient may leave the format, and is a mask
  /// then, as it is for the kernels.
  private func isMasked(_ array: xentk_array, _ outer: Int64, _ inner: Int64) -> Bool {
    let divisor = problem.pointee.softcap == 0 ? problem.pointee.temperature : 1
    for c in 0..<problem.pointee.classes {
      if problem.pointee.class_mask.data != nil && index(problem.pointee.class_mask, 0, c, 0).value == 0 { continue }
      if number(array, outer, c, inner) / divisor != -.infinity { return false }
    }
    return true
  }

  /// Checks the classes whose log-probabilities are wanted.
  func checkGather() throws(Failure) {
    guard problem.pointee.gather.data != nil else { return }
    for row in 0..<problem.pointee.rows {
      let (outer, inner) = position(row)
      for k in 0..<problem.pointee.gather.classes {
        let index = index(problem.pointee.gather, outer, k, inner)
        guard !index.isBeyond, index.value >= 0, index.value < problem.pointee.classes else {
          var failure = failure(XENT_ERR_TARGET) { text in
            add("gather", row, k, index, to: &text)
            text.add(")")
          }
          failure.row = row
          failure.value = index.value
          throw failure
        }
      }
    }
  }

  private func outside(_ row: Int64, _ k: Int64, _ index: Index) -> Failure {
    var failure = failure(XENT_ERR_TARGET) { text in
      add("targets", row, k, index, to: &text)
      text.add(") and not ignore_index (")
      text.add(problem.pointee.ignore_index)
      text.add(")")
    }
    failure.row = row
    failure.value = index.value
    return failure
  }

  private func add(_ name: StaticString, _ row: Int64, _ k: Int64, _ index: Index, to text: inout Detail) {
    text.add(name)
    text.add("[")
    text.add(row)
    if k >= 0 {
      text.add("][")
      text.add(k)
    }
    text.add("] is ")
    if index.isBeyond { text.add(UInt64(bitPattern: index.value)) } else { text.add(index.value) }
    text.add(", not in [0, ")
    text.add(problem.pointee.classes)
  }

  // ---- Elements ----------------------------------------------------------------------------------------------------

  /// An element of an integer dtype; `isBeyond`: an unsigned one, and more than int64 holds.
  struct Index {
    var value: Int64
    var isBeyond = false
  }

  private func address(_ array: xentk_array, _ outer: Int64, _ c: Int64, _ inner: Int64) -> UnsafeRawPointer {
    let element = outer * array.outer_stride + c * array.class_stride + inner * array.inner_stride
    return UnsafeRawPointer(array.data.unsafelyUnwrapped) + Int(element) * Int(array.size)
  }

  private func index(_ array: xentk_array, _ outer: Int64, _ c: Int64, _ inner: Int64) -> Index {
    let p = address(array, outer, c, inner)
    switch Int(array.dtype) {
    case XENT_I8: return Index(value: Int64(p.loadUnaligned(as: Int8.self)))
    case XENT_I16: return Index(value: Int64(p.loadUnaligned(as: Int16.self)))
    case XENT_I32: return Index(value: Int64(p.loadUnaligned(as: Int32.self)))
    case XENT_U8: return Index(value: Int64(p.loadUnaligned(as: UInt8.self)))
    case XENT_U16: return Index(value: Int64(p.loadUnaligned(as: UInt16.self)))
    case XENT_U32: return Index(value: Int64(p.loadUnaligned(as: UInt32.self)))
    case XENT_U64:
      let value = p.loadUnaligned(as: Int64.self)
      return Index(value: value, isBeyond: value < 0)
    default: return Index(value: p.loadUnaligned(as: Int64.self))
    }
  }

  /// An element of a floating dtype.
  private func number(_ array: xentk_array, _ outer: Int64, _ c: Int64, _ inner: Int64) -> Double {
    let p = address(array, outer, c, inner)
    switch Int(array.dtype) {
    case XENT_F64: return p.loadUnaligned(as: Double.self)
    case XENT_F32: return Double(p.loadUnaligned(as: Float.self))
    case XENT_BF16: return Double(Float(bitPattern: UInt32(p.loadUnaligned(as: UInt16.self)) << 16))
    default:
      // As in XentKernels/Storage.swift: moved to f32's place the exponent is 112 too small.
      let bits = UInt32(p.loadUnaligned(as: UInt16.self))
      let magnitude = (bits & 0x7FFF) << 13
      let isFinite = magnitude < 0x0F80_0000
      let value = isFinite ? Float(bitPattern: magnitude) * 0x1p112 : Float(bitPattern: magnitude | 0x7F80_0000)
      return Double(bits & 0x8000 == 0 ? value : -value)
    }
  }

  /// How many classes are not masked out.
  func liveClasses() -> Int64 {
    guard problem.pointee.class_mask.data != nil else { return problem.pointee.classes }
    var live: Int64 = 0
    for c in 0..<problem.pointee.classes where index(problem.pointee.class_mask, 0, c, 0).value != 0 { live += 1 }
    return live
  }
}
