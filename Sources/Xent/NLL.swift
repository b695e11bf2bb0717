import CXent
import CXentSystem
import XentCore
import XentRuntime

@implementation @_cdecl("xent_nll_f32")
public func xent_nll_f32(
  _ log_probs: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return lossOfRows("xent_nll_f32", XENTK_NLL, "log_probs", log_probs, targets, rows, classes, loss)
}

@implementation @_cdecl("xent_nll_f64")
public func xent_nll_f64(
  _ log_probs: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return lossOfRows("xent_nll_f64", XENTK_NLL, "log_probs", log_probs, targets, rows, classes, loss)
}

@implementation @_cdecl("xent_nll_grad_f32")
public func xent_nll_grad_f32(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Float>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return nllGrad("xent_nll_grad_f32", targets, rows, classes, grad_log_probs)
}

@implementation @_cdecl("xent_nll_grad_f64")
public func xent_nll_grad_f64(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Double>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return nllGrad("xent_nll_grad_f64", targets, rows, classes, grad_log_probs)
}

private func nllGrad<E: DType>(
  _ function: StaticString, _ targets: Targets<E>, _ rows: Int64, _ classes: Int64,
  _ gradLogProbs: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self)
    let inputs = try targets.arrays(call, shape)
    let out = try call.array("grad_log_probs", UnsafePointer(gradLogProbs), shape.elements)
    try call.apart(out, from: inputs.targets)
    try call.apart(out, from: inputs.weight)
    var problem = xentk_problem(XENTK_NLL_GRAD, E.self, shape)
    problem.set(targets, weightSum: try targets.checked(call, shape))
    problem.output = UnsafeMutableRawPointer(gradLogProbs)
    _ = execute(problem)
  }
}
