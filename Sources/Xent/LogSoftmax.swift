import CXent
import CXentSystem
import XentCore
import XentRuntime

@implementation @_cdecl("xent_log_softmax_f32")
public func xent_log_softmax_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  mapRows("xent_log_softmax_f32", XENTK_LOG_SOFTMAX, logits, rows, classes, "log_probs", log_probs)
}

@implementation @_cdecl("xent_log_softmax_f64")
public func xent_log_softmax_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  mapRows("xent_log_softmax_f64", XENTK_LOG_SOFTMAX, logits, rows, classes, "log_probs", log_probs)
}

@implementation @_cdecl("xent_log_softmax_grad_f32")
public func xent_log_softmax_grad_f32(
  _ log_probs: UnsafePointer<Float>?, _ grad_log_probs: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  logSoftmaxGrad("xent_log_softmax_grad_f32", log_probs, grad_log_probs, rows, classes, grad_logits)
}

@implementation @_cdecl("xent_log_softmax_grad_f64")
public func xent_log_softmax_grad_f64(
  _ log_probs: UnsafePointer<Double>?, _ grad_log_probs: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  logSoftmaxGrad("xent_log_softmax_grad_f64", log_probs, grad_log_probs, rows, classes, grad_logits)
}

private func logSoftmaxGrad<E: DType>(
  _ function: StaticString, _ logProbs: UnsafePointer<E>?, _ gradLogProbs: UnsafePointer<E>?, _ rows: Int64,
  _ classes: Int64, _ gradLogits: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self, perRow: false)
    let input = try call.array("log_probs", logProbs, shape.elements)
    let gradInput = try call.array("grad_log_probs", gradLogProbs, shape.elements)
    let out = try call.array("grad_logits", UnsafePointer(gradLogits), shape.elements)
    try call.apart(out, from: input, inPlace: true)
    try call.apart(out, from: gradInput, inPlace: true)
    if shape.elements == 0 { return }
    var problem = xentk_problem(XENTK_LOG_SOFTMAX_GRAD, E.self, shape)
    problem.input = UnsafeRawPointer(logProbs)
    problem.grad_input = UnsafeRawPointer(gradLogProbs)
    problem.output = UnsafeMutableRawPointer(gradLogits)
    _ = execute(problem)
  }
}
