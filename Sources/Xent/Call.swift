// The door: every argument is checked here, once, before anything is written. What passes is a problem that kernels
// trust.

import CXent
import CXentSystem
import XentCore
import XentRuntime

/// One call of an exported function: what it is called and what it has been given.
struct Call {
  /// In one place from the first check to the last kernel: it is large.
  let problem: UnsafeMutablePointer<xentk_problem>

  fileprivate init(
    _ function: StaticString, isPlain: Bool, _ operation: Int, _ problem: UnsafeMutablePointer<xentk_problem>
  ) {
    self.problem = problem
    problem.pointee.function = function.cString
    problem.pointee.is_plain = isPlain ? 1 : 0
    problem.pointee.operation = xentk_operation(operation)
    problem.pointee.inner = 1
    problem.pointee.ignore_index = Int64(XENT_IGNORE_INDEX)
    problem.pointee.temperature = 1
    problem.pointee.divisor_hi = 1
  }

  func failure(_ status: Int, _ compose: (inout Detail) -> Void) -> Failure {
    Failure(status, in: problem.pointee.function.unsafelyUnwrapped, compose)
  }

  var isPlain: Bool { problem.pointee.is_plain != 0 }

  // ---- What the function calls the arrays that have different names in different functions ----

  var inputName: StaticString {
    switch Int(problem.pointee.operation) {
    case XENTK_NLL: "log_probs"
    case XENTK_SOFTMAX_GRAD: problem.pointee.is_log != 0 ? "log_probs" : "probs"
    case XENTK_DIVERGENCE: "student"
    default: "logits"
    }
  }
  var secondName: StaticString {
    if Int(problem.pointee.operation) == XENTK_DIVERGENCE { return "teacher" }
    return problem.pointee.is_log != 0 ? "grad_log_probs" : "grad_probs"
  }
  var gradName: StaticString {
    isPlain && Int(problem.pointee.operation) == XENTK_NLL ? "grad_log_probs" : "grad_logits"
  }
  var rowLossName: StaticString { isPlain ? "loss" : "row_loss" }
  var gradLossName: StaticString { isPlain ? "grad_lse" : "grad_loss" }

  var isF64: Bool { Int(problem.pointee.input.dtype) == XENT_F64 }
  /// The dtype of losses.
  var real: Int { isF64 ? XENT_F64 : XENT_F32 }
  var outer: Int64 { problem.pointee.inner == 0 ? 0 : problem.pointee.rows / problem.pointee.inner }

  /// Whether there is anything to say of a row that has no classes.
  private var wantsRows: Bool {
    if problem.pointee.wants_loss != 0 || problem.pointee.wants_correct != 0 { return true }
    return problem.pointee.given >> UInt32(XENTK_INPUTS) & (1 << UInt32(XENTK_OUTPUTS) - 1) != 0
  }

  @_optimize(speed) @inline(never) func run() -> xentk_loss {
    let isScaled = problem.pointee.temperature != 1 || problem.pointee.softcap != 0
    let hasRows = Int(problem.pointee.operation) != XENTK_BINARY && Int(problem.pointee.operation) != XENTK_SOFTMAX_GRAD
    // There may be INT64_MAX rows of nothing.
    if problem.pointee.classes == 0 && !(hasRows && wantsRows) { return xentk_loss() }
    problem.pointee.is_wide = isF64 || isScaled || Int(problem.pointee.operation) == XENTK_DIVERGENCE ? 1 : 0
    return execute(problem)
  }
}

/// Runs the body of a function with rows, as `status` does.
@inline(__always) func door(
  _ function: StaticString, _ operation: Int, isPlain: Bool = false, _ error: UnsafeMutablePointer<xent_error>? = nil,
  _ body: (Call) throws(Failure) -> Void
) -> xent_status {
  let caller = xents_enter()
  defer { xents_leave(caller) }
  var room = xentk_new_room()
  return withUnsafeMutablePointer(to: &room) { room in
    let call = Call(function, isPlain: isPlain, operation, xentk_clear(room))
    return status(error) { () throws(Failure) in try body(call) }
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
@inline(never) private func describe(_ failure: Failure?, in error: UnsafeMutablePointer<xent_error>?) {
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
