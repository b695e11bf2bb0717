import CXent
import CXentSystem
import XentCore
import XentRuntime

/// A loss over rows of `input`, reduced as asked.
func lossOfRows<E: DType>(
  _ function: StaticString, _ operation: Int, _ inputName: StaticString, _ input: UnsafePointer<E>?,
  _ targets: Targets<E>, _ rows: Int64, _ classes: Int64, _ loss: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self)
    let inputArray = try call.array(inputName, input, shape.elements)
    let inputs = try targets.arrays(call, shape)
    let out = try call.array("loss", UnsafePointer(loss), targets.lossCount(shape))
    try call.apart(out, from: inputArray)
    try call.apart(out, from: inputs.targets)
    try call.apart(out, from: inputs.weight)
    var problem = xentk_problem(operation, E.self, shape)
    problem.set(targets, weightSum: try targets.checked(call, shape))
    problem.input = UnsafeRawPointer(input)
    if targets.isNone { problem.row_loss = UnsafeMutableRawPointer(loss) }
    let total = execute(problem)
    if !targets.isNone { loss?.pointee = total.reduced(problem) }
  }
}
