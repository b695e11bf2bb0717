// The plain functions: contiguous rows, few options. Each dtype's entry only says which dtype it is.

import CXent
import CXentSystem
import XentCore

/// An array of a plain function, input or output.
typealias Pointer = UnsafeRawPointer

/// A function from each row of logits to a row of the same length, which may take its place.
@inline(never) func plainRows(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ rows: Int64, _ classes: Int64,
  _ outputName: StaticString, _ output: Pointer?, _ place: (inout xentk_problem, xentk_array) -> Void
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype, perRow: false)
    call.problem.pointee.input = try call.array("logits", logits, dtype, .matrix)
    place(&call.problem.pointee, try call.array(outputName, output, dtype, .matrix))
    try call.checkOverlaps()
    if rows > 0 && classes > 0 { _ = call.run() }
  }
}

@inline(never) func plainLogSumExp(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ rows: Int64, _ classes: Int64, _ lse: Pointer?
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    call.problem.pointee.input = try call.array("logits", logits, dtype, .matrix)
    call.problem.pointee.lse = try call.array("lse", lse, call.real, .perRow)
    try call.checkOverlaps()
    _ = call.run()
  }
}

@inline(never) func plainLogSumExpGrad(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ gradLSE: Pointer?, _ rows: Int64, _ classes: Int64,
  _ gradLogits: Pointer?
) -> xent_status {
  door(function, XENTK_ROWS, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    call.problem.pointee.input = try call.array("logits", logits, dtype, .matrix)
    call.problem.pointee.grad_loss = try call.array("grad_lse", gradLSE, call.real, .perRow)
    call.problem.pointee.grad = try call.array("grad_logits", gradLogits, dtype, .matrix)
    try call.checkOverlaps()
    _ = call.run()
  }
}

/// The backward pass of softmax or log-softmax.
@inline(never) func plainSoftmaxGrad(
  _ function: StaticString, isLog: Bool, _ dtype: Int, _ outcome: Pointer?, _ grad: Pointer?, _ rows: Int64,
  _ classes: Int64, _ gradLogits: Pointer?
) -> xent_status {
  door(function, XENTK_SOFTMAX_GRAD, isPlain: true) { call throws(Failure) in
    call.problem.pointee.is_log = isLog ? 1 : 0
    try call.shape(rows, classes, dtype, perRow: false)
    call.problem.pointee.input = try call.array(call.inputName, outcome, dtype, .matrix)
    call.problem.pointee.second = try call.array(call.secondName, grad, dtype, .matrix)
    call.problem.pointee.grad = try call.array("grad_logits", gradLogits, dtype, .matrix)
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
@inline(never) func plainLoss(
  _ function: StaticString, _ operation: Int, _ dtype: Int, _ input: Pointer?,
  _ targets: PlainTargets, _ rows: Int64, _ classes: Int64, _ output: PlainOutput
) -> xent_status {
  door(function, operation, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype)
    var scores = try call.array(call.inputName, input, dtype, .matrix, mayBeNull: output.isGradAlone)
    if output.isGradAlone { scores.data = nil }
    call.problem.pointee.input = scores
    try call.checkReduction(targets.reduction)
    call.problem.pointee.target_kind = Int32(XENTK_INDEX)
    call.problem.pointee.targets = try call.array("targets", Pointer(targets.targets), XENT_I64, .perRow)
    call.problem.pointee.weight = try call.array("weight", targets.weight, call.real, .perClass, mayBeNull: true)
    call.problem.pointee.ignore_index = targets.ignoreIndex
    try call.finish(output, targets.reduction, lossLayout: .perRow) { call throws(Failure) in
      try call.count(needsWeight: Int(targets.reduction) == XENT_REDUCTION_MEAN)
    }
  }
}

@inline(never) func plainBinary(
  _ function: StaticString, _ dtype: Int, _ logits: Pointer?, _ targets: Pointer?, _ rows: Int64, _ classes: Int64,
  _ weight: Pointer?, _ posWeight: Pointer?, _ reduction: Int32, _ output: PlainOutput
) -> xent_status {
  door(function, XENTK_BINARY, isPlain: true) { call throws(Failure) in
    try call.shape(rows, classes, dtype, perRow: false)
    try call.fits("classes", classes)
    call.problem.pointee.input = try call.array("logits", logits, dtype, .matrix)
    call.problem.pointee.targets = try call.array("targets", targets, dtype, .matrix)
    try call.checkReduction(reduction)
    call.problem.pointee.weight = try call.array("weight", weight, call.real, .perClass, mayBeNull: true)
    call.problem.pointee.pos_weight = try call.array("pos_weight", posWeight, call.real, .perClass, mayBeNull: true)
    try call.finish(output, reduction, lossLayout: .matrix) { call throws(Failure) in
      var counted = Counted()
      counted.rows = call.problem.pointee.rows
      return counted
    }
  }
}

extension PlainOutput {
  fileprivate var isGradAlone: Bool { if case .gradAlone = self { true } else { false } }
}

extension Call {
  /// The outputs of a loss, its targets, and the call itself.
  @inline(never) fileprivate func finish(
    _ output: PlainOutput, _ reduction: Int32, lossLayout: Layout,
    count: (Call) throws(Failure) -> Counted
  ) throws(Failure) {
    let isNone = Int(reduction) == XENT_REDUCTION_NONE
    let layout = isNone ? lossLayout : .scalar
    var loss = xentk_array()
    switch output {
    case .loss(let place):
      loss = try array("loss", place, real, layout)
    case .grad(let grad, let place):
      loss = try array("loss", place, real, layout, mayBeNull: true)
      problem.pointee.grad = try array(gradName, grad, Int(problem.pointee.input.dtype), .matrix)
    case .gradAlone(let grad):
      problem.pointee.grad = try array(gradName, grad, Int(problem.pointee.input.dtype), .matrix)
    }
    problem.pointee.wants_loss = loss.data != nil ? 1 : 0
    if isNone { problem.pointee.row_loss = loss }
    let none = Extent("", nil, bytes: 0)
    try checkOverlaps(
      Scalars(
        loss: Extent("loss", isNone ? nil : loss.data, bytes: Int(loss.size)), correct: none, rowsCounted: none,
        lossSum: none, weightSum: none))
    let counted = try count(self)
    setDivisor(reduction, counted, elements: Int(problem.pointee.operation) == XENTK_BINARY)
    let total = run()
    if !isNone { store(total.reduced(problem), loss.data, real) }
  }
}
