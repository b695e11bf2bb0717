// The door: every argument is checked here, once, before anything is written. What passes is a problem that kernels
// trust.

import CXent
import CXentSystem
import XentCore
import XentRuntime

/// One call of an exported function, for its checks and their texts.
struct Call {
  let function: StaticString

  init(_ function: StaticString) { self.function = function }

  func failure(_ status: Int, _ compose: (inout Detail) -> Void) -> Failure {
    Failure(status) { detail in
      detail.add(function)
      detail.add(": ")
      compose(&detail)
    }
  }
}

/// Runs a function's body; a failure becomes its status.
func status(_ body: () throws(Failure) -> Void) -> xent_status {
  do throws(Failure) {
    try body()
    return xent_status(XENT_OK)
  } catch {
    return error.status
  }
}

/// (rows, classes), not negative, of an array that fits in the address space.
struct Shape {
  let rows, classes: Int64
  var elements: Int { Int(rows) * Int(classes) }
}

/// An array argument.
struct Array {
  let name: StaticString
  let start: UnsafeMutableRawPointer?
  let bytes: Int

  func overlaps(_ other: Array) -> Bool {
    guard bytes > 0, other.bytes > 0, let a = start, let b = other.start else { return false }
    return a < b + other.bytes && b < a + bytes
  }

  func isSame(as other: Array) -> Bool { start == other.start && bytes == other.bytes }
}

extension Call {
  /// `perRow`: there are arrays of one element a row or a class, which have to fit even where there are no classes.
  func shape<E: DType>(
    _ rows: Int64, _ classes: Int64, of _: E.Type, perRow: Bool = true
  ) throws(Failure) -> Shape {
    try notNegative("rows", rows)
    try notNegative("classes", classes)
    let (elements, overflow) = Int(rows).multipliedReportingOverflow(by: Int(classes))
    guard !overflow, elements <= Int.max / MemoryLayout<E>.stride else {
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
    return Shape(rows: rows, classes: classes)
  }

  private func notNegative(_ name: StaticString, _ size: Int64) throws(Failure) {
    guard size >= 0 else { throw failure(XENT_ERR_SIZE) { $0.add(name, size, ", must not be negative") } }
  }

  private func fits(_ name: StaticString, _ size: Int64) throws(Failure) {
    guard size <= Int.max / MemoryLayout<Int64>.stride else {
      throw failure(XENT_ERR_SIZE) { $0.add(name, size, ", too large") }
    }
  }

  func reduction(_ value: Int32) throws(Failure) {
    guard [XENT_REDUCTION_NONE, XENT_REDUCTION_MEAN, XENT_REDUCTION_SUM].contains(Int(value)) else {
      throw failure(XENT_ERR_OPTION) { $0.add("reduction", Int64(value), ", not 0 (none), 1 (mean) or 2 (sum)") }
    }
  }

  /// An array that is needed if it has elements.
  func array<T>(_ name: StaticString, _ start: UnsafePointer<T>?, _ count: Int) throws(Failure) -> Array {
    guard start != nil || count == 0 else {
      throw failure(XENT_ERR_NULL) { text in
        text.add(name)
        text.add(" is NULL")
      }
    }
    return Array(
      name: name, start: UnsafeMutableRawPointer(mutating: start), bytes: count * MemoryLayout<T>.stride)
  }

  /// An array that may be NULL, and has no elements then.
  func optionalArray<T>(_ name: StaticString, _ start: UnsafePointer<T>?, _ count: Int) -> Array {
    Array(
      name: name, start: UnsafeMutableRawPointer(mutating: start),
      bytes: start == nil ? 0 : count * MemoryLayout<T>.stride)
  }

  /// An output must not overlap `other`, except in place: exactly the same array, where that may be.
  func apart(_ output: Array, from other: Array, inPlace: Bool = false) throws(Failure) {
    guard output.overlaps(other), !(inPlace && output.isSame(as: other)) else { return }
    throw failure(XENT_ERR_OVERLAP) { text in
      text.add(output.name)
      text.add(" overlaps ")
      text.add(other.name)
    }
  }
}

extension Detail {
  mutating func add(_ name: StaticString, _ value: Int64, _ rest: StaticString) {
    add(name)
    add(" is ")
    add(value)
    add(rest)
  }
}
