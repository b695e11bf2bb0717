// What comes in through the structs of xent.h, of this version or of another.

import CXent
import CXentSystem
import XentCore

extension Call {
  /// A struct as the caller has it: what it does not have yet is as in `defaults`.
  func read<T>(_ name: StaticString, _ pointer: UnsafePointer<T>, _ defaults: T) throws(Failure) -> T {
    filled(defaults, from: pointer, bytes: try checkedSize(name, UnsafeRawPointer(pointer), MemoryLayout<T>.size))
  }

  /// How many bytes of a struct to take, of the `known` ones; those that this library does not know have to be zero.
  @inline(never) private func checkedSize(
    _ name: StaticString, _ pointer: UnsafeRawPointer, _ known: Int
  ) throws(Failure) -> Int {
    let given = pointer.loadUnaligned(as: Int.self)
    guard given >= MemoryLayout<Int>.size else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add(name)
        text.add(".struct_size", Int64(given), ", not the size of a struct; start from its initialiser")
      }
    }
    var byte = known
    while byte < given {
      guard pointer.load(fromByteOffset: byte, as: UInt8.self) == 0 else {
        throw failure(XENT_ERR_UNSUPPORTED) { text in
          text.add(name)
          text.add(".struct_size", Int64(given), ", and what is beyond ")
          text.add(Int64(known))
          text.add(" bytes is not zero: this library is older than its caller")
        }
      }
      byte += 1
    }
    return min(given, known)
  }

  func options(_ pointer: UnsafePointer<xent_options>?) throws(Failure) -> xent_options {
    var defaults = xent_options()
    defaults.reduction = Int32(XENT_REDUCTION_MEAN)
    defaults.ignore_index = Int64(XENT_IGNORE_INDEX)
    defaults.temperature = 1
    guard let pointer else { return defaults }
    return try read("options", pointer, defaults)
  }

  func outputs(_ pointer: UnsafePointer<xent_outputs>?) throws(Failure) -> xent_outputs {
    guard let pointer else { throw isNull("outputs") }
    return try read("outputs", pointer, xent_outputs())
  }
}

/// `defaults` with its first bytes from elsewhere. Out of line and not throwing: a throwing function that ends in a memcpy
/// jumps there with the error register as it is (swiftlang/swift#90477), which its caller takes for an error.
@inline(never) private func filled<T>(_ defaults: T, from pointer: UnsafePointer<T>, bytes: Int) -> T {
  var value = defaults
  withUnsafeMutableBytes(of: &value) { $0.baseAddress.unsafelyUnwrapped.copyMemory(from: pointer, byteCount: bytes) }
  return value
}

/// Which dtypes an argument may have.
enum Kinds {
  /// XENT_F32, _F64, _F16, _BF16
  case logits
  /// As the logits: XENT_F64, or one of the others
  case floating
  /// Those and XENT_U8
  case labels
  /// The losses'
  case real
  case integer
  /// XENT_I64, XENT_I32
  case index
}

/// (outer, classes, inner) that a tensor has to have.
struct Sizes {
  let outer, classes, inner: Int64
}

extension Call {
  /// A tensor that may be left out, as an array; nil where it is.
  @inline(never) func tensor(
    _ name: StaticString, _ pointer: UnsafePointer<xent_tensor>?, _ kinds: Kinds, _ sizes: Sizes?,
    isOutput: Bool = false, mayBeNull: Bool = false
  ) throws(Failure) -> (array: xentk_array, sizes: Sizes)? {
    guard let pointer else { return nil }
    let tensor = try read(name, pointer, xent_tensor())
    var array = xentk_array()
    array.dtype = tensor.dtype
    array.size = size(of: tensor.dtype)
    array.classes = tensor.classes
    guard fits(tensor.dtype, kinds) else { throw wrongDType(name, tensor.dtype, kinds) }
    if let sizes {
      try same(name, ".outer", tensor.outer, sizes.outer)
      try same(name, ".classes", tensor.classes, sizes.classes)
      try same(name, ".inner", tensor.inner, sizes.inner)
    }
    try notNegative(name, ".outer", tensor.outer)
    try notNegative(name, ".classes", tensor.classes)
    try notNegative(name, ".inner", tensor.inner)
    guard tensor.reserved == 0 else {
      throw failure(XENT_ERR_OPTION) { text in
        text.add(name)
        text.add(".reserved", Int64(tensor.reserved), ", not 0")
      }
    }
    let isEmpty = tensor.outer == 0 || tensor.classes == 0 || tensor.inner == 0
    try checkExtent(name, tensor, array.size)
    guard isEmpty || mayBeNull || tensor.data != nil else {
      throw failure(XENT_ERR_NULL) { text in
        text.add(name)
        text.add(".data is NULL")
      }
    }
    array.data = tensor.data
    // A stride between elements of which there is one is whatever it is: 0 makes layouts that are the same look it.
    array.outer_stride = tensor.outer > 1 ? tensor.outer_stride : 0
    array.class_stride = tensor.classes > 1 ? tensor.class_stride : 1
    array.inner_stride = tensor.inner > 1 ? tensor.inner_stride : 0
    if isOutput { try checkDistinct(name, tensor) }
    // An empty output is still wanted, if only for its shape; it is never touched.
    if isEmpty { array.data = nil }
    return (array, Sizes(outer: tensor.outer, classes: tensor.classes, inner: tensor.inner))
  }

  private func fits(_ dtype: Int32, _ kinds: Kinds) -> Bool {
    switch kinds {
    case .logits: isFloating(dtype)
    case .floating: isFloating(dtype) && (Int(dtype) == XENT_F64) == isF64
    case .labels: Int(dtype) == XENT_U8 || (isFloating(dtype) && (Int(dtype) == XENT_F64) == isF64)
    case .real: Int(dtype) == real
    case .integer: isInteger(dtype)
    case .index: Int(dtype) == XENT_I64 || Int(dtype) == XENT_I32
    }
  }

  private func wrongDType(_ name: StaticString, _ dtype: Int32, _ kinds: Kinds) -> Failure {
    let isKnown = isFloating(dtype) || isInteger(dtype)
    let mixes = isFloating(dtype) && (kinds == .floating || kinds == .labels)
    return failure(mixes ? XENT_ERR_UNSUPPORTED : XENT_ERR_DTYPE) { text in
      text.add(name)
      if mixes {
        text.add(" of ")
        text.add(dtypeName(dtype))
        text.add(" and ")
        text.add(inputName)
        text.add(" of ")
        text.add(dtypeName(problem.pointee.input.dtype))
        text.add(" do not go together")
        return
      }
      text.add(".dtype is ")
      if isKnown { text.add(dtypeName(dtype)) } else { text.add(Int64(dtype)) }
      text.add(", not ")
      switch kinds {
      case .logits: text.add("XENT_F32, XENT_F64, XENT_F16 or XENT_BF16")
      case .floating: text.add("a floating dtype")
      case .labels: text.add("a floating dtype or XENT_U8")
      case .real: text.add(dtypeName(Int32(real)))
      case .integer: text.add("an integer dtype")
      case .index: text.add("XENT_I64 or XENT_I32")
      }
    }
  }

  @inline(never) private func same(_ name: StaticString, _ field: StaticString, _ size: Int64, _ wanted: Int64)
    throws(Failure)
  {
    guard size == wanted else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add(name)
        text.add(field, size, ", not ")
        text.add(wanted)
      }
    }
  }

  @inline(never) private func notNegative(_ name: StaticString, _ field: StaticString, _ size: Int64) throws(Failure) {
    guard size >= 0 else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add(name)
        text.add(field, size, ", must not be negative")
      }
    }
  }

  /// The number of elements and the distance of any two of them in bytes fit in an Int.
  private func checkExtent(_ name: StaticString, _ tensor: xent_tensor, _ size: Int32) throws(Failure) {
    var reach: Int64 = Int64(size)
    var elements: Int64 = 1
    var overflows = false
    func add(_ count: Int64, _ stride: Int64) {
      let (product, tooMany) = elements.multipliedReportingOverflow(by: count)
      elements = product
      let (steps, far) = max(count - 1, 0).multipliedReportingOverflow(by: stride)
      let (bytes, farther) = steps.multipliedReportingOverflow(by: Int64(size))
      // The magnitude of the smallest number does not fit.
      let (sum, farthest) = reach.addingReportingOverflow(bytes == .min ? .max : Int64(bytes.magnitude))
      reach = sum
      overflows = overflows || tooMany || far || farther || farthest
    }
    add(tensor.outer, tensor.outer_stride)
    add(tensor.classes, tensor.class_stride)
    add(tensor.inner, tensor.inner_stride)
    let (_, tooLarge) = elements.multipliedReportingOverflow(by: 8)
    // Rows and classes have to fit alone, where the other is 0.
    let (rows, tooManyRows) = tensor.outer.multipliedReportingOverflow(by: tensor.inner)
    let isTooLarge = tooManyRows || rows > Int64.max / 8 || tensor.classes > Int64.max / 8
    guard !(overflows || tooLarge || isTooLarge) else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add(name)
        text.add(": outer * classes * inner (")
        text.add(tensor.outer)
        text.add(" * ")
        text.add(tensor.classes)
        text.add(" * ")
        text.add(tensor.inner)
        text.add("), or its strides, are too large")
      }
    }
  }

  /// No two elements of an output lie in one place: each stride, in order of size, is larger than all that is within it.
  private func checkDistinct(_ name: StaticString, _ tensor: xent_tensor) throws(Failure) {
    var axes = (
      (tensor.outer, tensor.outer_stride.magnitude), (tensor.classes, tensor.class_stride.magnitude),
      (tensor.inner, tensor.inner_stride.magnitude)
    )
    if axes.0.0 == 0 || axes.1.0 == 0 || axes.2.0 == 0 { return }
    if axes.0.1 > axes.1.1 { swap(&axes.0, &axes.1) }
    if axes.1.1 > axes.2.1 { swap(&axes.1, &axes.2) }
    if axes.0.1 > axes.1.1 { swap(&axes.0, &axes.1) }
    var reach: UInt64 = 0
    func isFree(_ axis: (Int64, UInt64)) -> Bool {
      if axis.0 == 1 { return true }
      let isFree = axis.1 > reach
      reach += UInt64(axis.0 - 1) * axis.1
      return isFree
    }
    // One after the other: each adds to the reach.
    let first = isFree(axes.0)
    let second = isFree(axes.1)
    let third = isFree(axes.2)
    guard first && second && third else {
      throw failure(XENT_ERR_OVERLAP) { text in
        text.add(name)
        text.add(" overlaps itself: its strides put several elements in one place")
      }
    }
  }
}

@inline(never) func dtypeName(_ dtype: Int32) -> StaticString {
  switch Int(dtype) {
  case XENT_F32: "XENT_F32"
  case XENT_F64: "XENT_F64"
  case XENT_F16: "XENT_F16"
  case XENT_BF16: "XENT_BF16"
  case XENT_I8: "XENT_I8"
  case XENT_I16: "XENT_I16"
  case XENT_I32: "XENT_I32"
  case XENT_I64: "XENT_I64"
  case XENT_U8: "XENT_U8"
  case XENT_U16: "XENT_U16"
  case XENT_U32: "XENT_U32"
  default: "XENT_U64"
  }
}
