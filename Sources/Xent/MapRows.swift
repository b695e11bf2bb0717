import CXent
import CXentSystem
import XentCore
import XentRuntime

/// A function from each row of logits to a row of the same length, which may take its place.
func mapRows<E: DType>(
  _ function: StaticString, _ operation: Int, _ logits: UnsafePointer<E>?, _ rows: Int64, _ classes: Int64,
  _ outputName: StaticString, _ output: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self, perRow: false)
    let input = try call.array("logits", logits, shape.elements)
    let out = try call.array(outputName, UnsafePointer(output), shape.elements)
    try call.apart(out, from: input, inPlace: true)
    if shape.elements == 0 { return }
    var problem = xentk_problem(operation, E.self, shape)
    problem.input = UnsafeRawPointer(logits)
    problem.output = UnsafeMutableRawPointer(output)
    _ = execute(problem)
  }
}
