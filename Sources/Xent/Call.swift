// The door: every argument is checked here, once, before anything is written. What passes is a problem that kernels
// trust.

import CXent
import CXentSystem
import XentCore
import XentRuntime

/// One call of an exported function: what it is called and what it has been given.
struct Call {
  let function: StaticString
  /// What the function calls the arrays that have different names in different functions.
  var inputName: StaticString = "logits"
  var secondName: StaticString = ""
  var gradName: StaticString = "grad_logits"
  var rowLossName: StaticString = "row_loss"
  var gradLossName: StaticString = "grad_loss"
  var problem = xentk_problem()

  init(_ function: StaticString, _ operation: Int) {
    self.function = function
    problem.operation = xentk_operation(operation)
    problem.inner = 1
    problem.ignore_index = Int64(XENT_IGNORE_INDEX)
    problem.temperature = 1
    problem.divisor_hi = 1
  }

  func failure(_ status: Int, _ compose: (inout Detail) -> Void) -> Failure {
    Failure(status, in: function, compose)
  }

  var isF64: Bool { Int(problem.input.dtype) == XENT_F64 }
  /// The dtype of losses.
  var real: Int { isF64 ? XENT_F64 : XENT_F32 }
  var outer: Int64 { problem.inner == 0 ? 0 : problem.rows / problem.inner }

  mutating func run() -> xentk_loss {
    let isScaled = problem.temperature != 1 || problem.softcap != 0
    let hasRows = Int(problem.operation) != XENTK_BINARY && Int(problem.operation) != XENTK_SOFTMAX_GRAD
    if problem.classes == 0 && !hasRows { return xentk_loss() }  // there may be INT64_MAX rows of nothing
    problem.is_wide = isF64 || isScaled || Int(problem.operation) == XENTK_DIVERGENCE ? 1 : 0
    return execute(&problem)
  }
}

/// Runs a function's body; a failure becomes its status, and is described in `error` where that is given.
func status(_ error: UnsafeMutablePointer<xent_error>? = nil, _ body: () throws(Failure) -> Void) -> xent_status {
  do throws(Failure) {
    try body()
    describe(nil, in: error)
    return xent_status(XENT_OK)
  } catch {
    return failed(error)
  }

  func failed(_ failure: Failure) -> xent_status {
    describe(failure, in: error)
    return failure.status
  }
}

/// Writes as much of an xent_error as the caller's has room for.
private func describe(_ failure: Failure?, in error: UnsafeMutablePointer<xent_error>?) {
  guard let error else { return }
  var full = xent_error()
  full.struct_size = error.pointee.struct_size
  full.status = failure?.status ?? xent_status(XENT_OK)
  full.row = failure?.row ?? -1
  full.value = failure?.value ?? 0
  withUnsafeMutableBytes(of: &full.message) { message in
    var i = 0
    while failure != nil && i < message.count - 1 && Detail.last[i] != 0 {
      message[i] = UInt8(bitPattern: Detail.last[i])
      i += 1
    }
  }
  let size = min(full.struct_size, MemoryLayout<xent_error>.size)
  withUnsafeBytes(of: &full) { UnsafeMutableRawPointer(error).copyMemory(from: $0.baseAddress!, byteCount: size) }
}

extension Detail {
  mutating func add(_ name: StaticString, _ value: Int64, _ rest: StaticString) {
    add(name)
    add(" is ")
    add(value)
    add(rest)
  }

  mutating func add(_ name: StaticString, _ value: Double, _ rest: StaticString) {
    add(name)
    add(" is ")
    add(value)
    add(rest)
  }
}
