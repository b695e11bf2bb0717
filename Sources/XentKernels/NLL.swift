import CXentSystem

/// loss = −weight·log_probs[target].
@inline(never) func nll<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows<E>(problem)
  var row = Int(first)
  while row < Int(last) {
    if let target = rows.target(row) {
      let logProb = rows.input(row)[target].widened
      rows.record(row, (-logProb, 0), weight: rows.weight(target), exponent: 0, in: loss)
    } else {
      rows.record(row, (0, 0), weight: 1, exponent: 0, in: loss)
    }
    row &+= 1
  }
}

/// grad_log_probs = −weight/divisor at the target, 0 elsewhere.
@inline(never) func nllGrad<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>
) {
  let rows = Rows<E>(problem)
  var row = Int(first)
  while row < Int(last) {
    fill(rows.output(row), rows.classes, with: 0)
    if let target = rows.target(row) {
      let c = rows.coefficient(target)
      rows.output(row)[target] = E(rounding: -(c.hi + c.lo))
    }
    row &+= 1
  }
}
