import CXent
import CXentSystem
import XentCore
import XentRuntime

@implementation @_cdecl("xent_cross_entropy_f32")
public func xent_cross_entropy_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return lossOfRows("xent_cross_entropy_f32", XENTK_CROSS_ENTROPY, "logits", logits, targets, rows, classes, loss)
}

@implementation @_cdecl("xent_cross_entropy_f64")
public func xent_cross_entropy_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return lossOfRows("xent_cross_entropy_f64", XENTK_CROSS_ENTROPY, "logits", logits, targets, rows, classes, loss)
}

@implementation @_cdecl("xent_cross_entropy_grad_f32")
public func xent_cross_entropy_grad_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return crossEntropyGrad("xent_cross_entropy_grad_f32", logits, targets, rows, classes, loss, grad_logits)
}

@implementation @_cdecl("xent_cross_entropy_grad_f64")
public func xent_cross_entropy_grad_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = Targets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return crossEntropyGrad("xent_cross_entropy_grad_f64", logits, targets, rows, classes, loss, grad_logits)
}

private func crossEntropyGrad<E: DType>(
  _ function: StaticString, _ logits: UnsafePointer<E>?, _ targets: Targets<E>, _ rows: Int64, _ classes: Int64,
  _ loss: UnsafeMutablePointer<E>?, _ gradLogits: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self)
    let input = try call.array("logits", logits, shape.elements)
    let inputs = try targets.arrays(call, shape)
    let lossOut = call.optionalArray("loss", UnsafePointer(loss), targets.lossCount(shape))
    let gradOut = try call.array("grad_logits", UnsafePointer(gradLogits), shape.elements)
    try call.apart(lossOut, from: input)
    try call.apart(lossOut, from: inputs.targets)
    try call.apart(lossOut, from: inputs.weight)
    try call.apart(gradOut, from: input, inPlace: true)
    try call.apart(gradOut, from: inputs.targets)
    try call.apart(gradOut, from: inputs.weight)
    try call.apart(gradOut, from: lossOut)
    var problem = xentk_problem(XENTK_CROSS_ENTROPY_GRAD, E.self, shape)
    problem.set(targets, weightSum: try targets.checked(call, shape))
    problem.input = UnsafeRawPointer(logits)
    problem.output = UnsafeMutableRawPointer(gradLogits)
    if targets.isNone { problem.row_loss = UnsafeMutableRawPointer(loss) }
    let total = execute(problem)
    if !targets.isNone { loss?.pointee = total.reduced(problem) }
  }
}
