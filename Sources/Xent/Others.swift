import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_nll")
public func xent_nll(
  _ log_probs: UnsafePointer<xent_tensor>?, _ targets: UnsafePointer<xent_tensor>?,
  _ options: UnsafePointer<xent_options>?, _ outputs: UnsafePointer<xent_outputs>?,
  _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door("xent_nll", XENTK_NLL, error) { call throws(Failure) in
    let o = try call.options(options)
    let wanted = try call.outputs(outputs)
    let isLoss = wanted.loss != nil || wanted.row_loss != nil || wanted.loss_sum != nil
    let sizes = try call.setInput(log_probs, mayBeNull: !isLoss)
    let perRow = Sizes(outer: sizes.outer, classes: 1, inner: sizes.inner)
    guard let given = try call.tensor("targets", targets, .integer, perRow) else { throw call.isNull("targets") }
    call.problem.pointee.target_kind = Int32(XENTK_INDEX)
    call.problem.pointee.targets = given.array
    try call.setOptions(o, .nll, sizes)
    try call.setOutputs(wanted, .nll, sizes, o.reduction)
    try call.finish(o, wanted, .nll)
  }
}

@implementation @_cdecl("xent_binary_cross_entropy")
public func xent_binary_cross_entropy(
  _ logits: UnsafePointer<xent_tensor>?, _ targets: UnsafePointer<xent_tensor>?,
  _ options: UnsafePointer<xent_options>?, _ outputs: UnsafePointer<xent_outputs>?,
  _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door("xent_binary_cross_entropy", XENTK_BINARY, error) { call throws(Failure) in
    let o = try call.options(options)
    let wanted = try call.outputs(outputs)
    let sizes = try call.setInput(logits)
    guard let given = try call.tensor("targets", targets, .labels, sizes) else { throw call.isNull("targets") }
    call.problem.pointee.targets = given.array
    try call.setOptions(o, .binary, sizes)
    try call.setOutputs(wanted, .binary, sizes, o.reduction)
    try call.finish(o, wanted, .binary)
  }
}

@implementation @_cdecl("xent_divergence")
public func xent_divergence(
  _ student: UnsafePointer<xent_tensor>?, _ teacher: UnsafePointer<xent_tensor>?,
  _ options: UnsafePointer<xent_options>?, _ outputs: UnsafePointer<xent_outputs>?,
  _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door("xent_divergence", XENTK_DIVERGENCE, error) { call throws(Failure) in
    let o = try call.options(options)
    let wanted = try call.outputs(outputs)
    let sizes = try call.setInput(student)
    guard let given = try call.tensor("teacher", teacher, .floating, sizes) else { throw call.isNull("teacher") }
    call.problem.pointee.second = given.array
    try call.setOptions(o, .divergence, sizes)
    try call.setOutputs(wanted, .divergence, sizes, o.reduction)
    try call.finish(o, wanted, .divergence)
  }
}

@implementation @_cdecl("xent_log_softmax_grad")
public func xent_log_softmax_grad(
  _ log_probs: UnsafePointer<xent_tensor>?, _ grad_log_probs: UnsafePointer<xent_tensor>?,
  _ grad_logits: UnsafePointer<xent_tensor>?, _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  softmaxGrad("xent_log_softmax_grad", isLog: true, log_probs, grad_log_probs, grad_logits, error)
}

@implementation @_cdecl("xent_softmax_grad")
public func xent_softmax_grad(
  _ probs: UnsafePointer<xent_tensor>?, _ grad_probs: UnsafePointer<xent_tensor>?,
  _ grad_logits: UnsafePointer<xent_tensor>?, _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  softmaxGrad("xent_softmax_grad", isLog: false, probs, grad_probs, grad_logits, error)
}

private func softmaxGrad(
  _ function: StaticString, isLog: Bool, _ outcome: UnsafePointer<xent_tensor>?, _ grad: UnsafePointer<xent_tensor>?,
  _ gradLogits: UnsafePointer<xent_tensor>?, _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door(function, XENTK_SOFTMAX_GRAD, error) { call throws(Failure) in
    call.problem.pointee.is_log = isLog ? 1 : 0
    let sizes = try call.setInput(outcome)
    guard let second = try call.tensor(call.secondName, grad, .floating, sizes) else {
      throw call.isNull(call.secondName)
    }
    guard let out = try call.tensor("grad_logits", gradLogits, .floating, sizes, isOutput: true) else {
      throw call.isNull("grad_logits")
    }
    call.problem.pointee.second = second.array
    call.problem.pointee.grad = out.array
    try call.checkOverlaps()
    if out.array.data != nil { _ = call.run() }
  }
}
