// The plain functions: contiguous rows, few options. Each dtype's entry only says which dtype it is.

import CXent
import CXentSystem
import XentCore

/// An array of a plain function, input or output.
typealias Pointer = UnsafeRawPointer

/// A function from each row of logits to a row of the same length, which may take its place.
@_optimize(speed) @inline(never) func plainRows(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ rows: Int64, _ classes: Int64,
  isLog: Bool, _ output: Pointer?
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype, perRow: false)
    try call.set(&call.problem.pointee.input, "logits", logits, dtype, .matrix)
    if isLog {
      try call.set(&call.problem.pointee.log_probs, "log_probs", output, dtype, .matrix)
    } else {
      try call.set(&call.problem.pointee.probs, "probs", output, dtype, .matrix)
    }
    try call.checkOverlaps()
    if rows > 0 && classes > 0 { _ = call.run() }
  }
}

@_optimize(speed) @inline(never) func plainLogSumExp(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ rows: Int64, _ classes: Int64, _ lse: Pointer?
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    try call.set(&call.problem.pointee.input, "logits", logits, dtype, .matrix)
    try call.set(&call.problem.pointee.lse, "lse", lse, call.real, .perRow)
    try call.checkOverlaps()
    _ = call.run()
  }
}

@_optimize(speed) @inline(never) func plainLogSumExpGrad(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ gradLSE: Pointer?, _ rows: Int64, _ classes: Int64,
  _ gradLogits: Pointer?
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    try call.set(&call.problem.pointee.input, "logits", logits, dtype, .matrix)
    try call.set(&call.problem.pointee.grad_loss, "grad_lse", gradLSE, call.real, .perRow)
    try call.set(&call.problem.pointee.grad, "grad_logits", gradLogits, dtype, .matrix)
    try call.checkOverlaps()
    _ = call.run()
  }
}

/// The backward pass of softmax or log-softmax.
@_optimize(speed) @inline(never) func plainSoftmaxGrad(
  _ function: StaticString, isLog: Bool, _ dtype: Int, _ outcome: Pointer?, _ grad: Pointer?, _ rows: Int64,
  _ classes: Int64, _ gradLogits: Pointer?
) -> xent_status {
  door(function, XENTK_SOFTMAX_GRAD, isPlain: true) { call throws(Failure) in
    call.problem.pointee.is_log = isLog ? 1 : 0
    try call.shape(rows, classes, dtype, perRow: false)
    try call.set(&call.problem.pointee.input, call.inputName, outcome, dtype, .matrix)
    try call.set(&call.problem.pointee.second, call.secondName, grad, dtype, .matrix)
    try call.set(&call.problem.pointee.grad, "grad_logits", gradLogits, dtype, .matrix)
    try call.checkOverlaps()
    if rows > 0 && classes > 0 { _ = call.run() }
  }
}

/// What index targets come with.
struct PlainTargets {
  let targets: UnsafePointer<Int64>?
  let weight: Pointer?
  let ignoreIndex: Int64
  let reduction: Int32
}

/// Which outputs a plain loss has: one that it may not be without, or the gradient beside one that it may.
enum PlainOutput {
  case loss(Pointer?)
  case grad(Pointer?, loss: Pointer?)
  case gradAlone(Pointer?)
}

/// nll and cross-entropy, forward and backward.
@_optimize(speed) @inline(never) func plainLoss(
  _ function: StaticString, _ operation: Int, _ dtype: Int, _ input: Pointer?,
  _ targets: PlainTargets, _ rows: Int64, _ classes: Int64, _ output: PlainOutput
) -> xent_status {
  door(function, operation, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    try call.set(&call.problem.pointee.input, call.inputName, input, dtype, .matrix, mayBeNull: output.isGradAlone)
    try call.checkReduction(targets.reduction)
    call.problem.pointee.target_kind = Int32(XENTK_INDEX)
    try call.set(&call.problem.pointee.targets, "targets", Pointer(targets.targets), XENT_I64, .perRow)
    try call.set(&call.problem.pointee.weight, "weight", targets.weight, call.real, .perClass, mayBeNull: true)
    call.problem.pointee.ignore_index = targets.ignoreIndex
    try call.set(output, targets.reduction, lossLayout: .perRow)
    let counted = try call.count(needsWeight: Int(targets.reduction) == XENT_REDUCTION_MEAN)
    call.finish(targets.reduction, counted)
  }
}

@_optimize(speed) @inline(never) func plainBinary(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ targets: Pointer?, _ rows: Int64, _ classes: Int64,
  _ weight: Pointer?, _ posWeight: Pointer?, _ reduction: Int32, _ output: PlainOutput
) -> xent_status {
  door(function, XENTK_BINARY, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype, perRow: false)
    try call.fits("classes", classes)
    try call.set(&call.problem.pointee.input, "logits", logits, dtype, .matrix)
    try call.set(&call.problem.pointee.targets, "targets", targets, dtype, .matrix)
    try call.checkReduction(reduction)
    try call.set(&call.problem.pointee.weight, "weight", weight, call.real, .perClass, mayBeNull: true)
    try call.set(&call.problem.pointee.pos_weight, "pos_weight", posWeight, call.real, .perClass, mayBeNull: true)
    try call.set(output, reduction, lossLayout: .matrix)
    var counted = Counted()
    counted.rows = rows
    call.finish(reduction, counted)
  }
}

extension PlainOutput {
  fileprivate var isGradAlone: Bool { if case .gradAlone = self { true } else { false } }
}

extension Call {
  /// Sets the outputs of a loss, and sees to it that all arrays are apart.
  @_optimize(speed) @inline(never) fileprivate func set(
    _ output: PlainOutput, _ reduction: Int32, lossLayout: Layout
  ) throws(Failure) {
    let dtype = Int(problem.pointee.input.dtype)
    func setLoss(_ place: Pointer?, mayBeNull: Bool) throws(Failure) {
      if Int(reduction) == XENT_REDUCTION_NONE {
        try set(&problem.pointee.row_loss, "loss", place, real, lossLayout, mayBeNull: mayBeNull)
      } else {
        try set(&problem.pointee.loss, "loss", place, real, .scalar, mayBeNull: mayBeNull)
      }
      problem.pointee.wants_loss = place != nil ? 1 : 0
    }
    switch output {
    case .loss(let place):
      try setLoss(place, mayBeNull: false)
    case .grad(let grad, let place):
      try setLoss(place, mayBeNull: true)
      try set(&problem.pointee.grad, gradName, grad, dtype, .matrix)
    case .gradAlone(let grad):
      try set(&problem.pointee.grad, gradName, grad, dtype, .matrix)
    }
    try checkOverlaps()
  }

  /// The call itself.
  @_optimize(speed) @inline(never) fileprivate func finish(_ reduction: Int32, _ counted: Counted) {
    setDivisor(reduction, counted, elements: Int(problem.pointee.operation) == XENTK_BINARY)
    let total = run()
    if Int(reduction) != XENT_REDUCTION_NONE { store(total.reduced(problem), problem.pointee.loss.data, real) }
  }
}
