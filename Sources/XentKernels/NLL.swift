import CXent
import CXentSystem

/// loss = −weight·log_probs[target]; grad = −weight/divisor at the target, 0 elsewhere.
@inline(never) func nll(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows(problem, workspace)
  var number = Int(first)
  while number < Int(last) {
    let row = rows.position(number)
    let (counts, target) = rows.target(row)
    if problem.pointee.wants_loss != 0 {
      if counts {
        rows.record(row, (-problem.pointee.input.number(row, target), 0), weight: rows.weight(target), in: loss)
      } else {
        rows.record(row, (0, 0), in: loss)
      }
    }
    if problem.pointee.grad.isGiven {
      let sink = rows.sink(problem.pointee.grad, row)
      sink.fill(with: 0)
      if counts {
        let c = rows.coefficient(row, (rows.weight(target), 0))
        sink.put(-(c.hi + c.lo), at: target)
      }
    }
    number &+= 1
  }
}
