import CXent
import CXentSystem
import XentCore
import XentRuntime

@implementation @_cdecl("xent_logsumexp_f32")
public func xent_logsumexp_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Float>?
) -> xent_status {
  logSumExp("xent_logsumexp_f32", logits, rows, classes, lse)
}

@implementation @_cdecl("xent_logsumexp_f64")
public func xent_logsumexp_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Double>?
) -> xent_status {
  logSumExp("xent_logsumexp_f64", logits, rows, classes, lse)
}

private func logSumExp<E: DType>(
  _ function: StaticString, _ logits: UnsafePointer<E>?, _ rows: Int64, _ classes: Int64,
  _ lse: UnsafeMutablePointer<E>?
) -> xent_status {
  status { () throws(Failure) in
    let call = Call(function)
    let shape = try call.shape(rows, classes, of: E.self)
    let input = try call.array("logits", logits, shape.elements)
    let out = try call.array("lse", UnsafePointer(lse), Int(rows))
    try call.apart(out, from: input)
    var problem = xentk_problem(XENTK_LOGSUMEXP, E.self, shape)
    problem.input = UnsafeRawPointer(logits)
    problem.output = UnsafeMutableRawPointer(lse)
    _ = execute(problem)
  }
}
