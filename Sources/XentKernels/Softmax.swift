import CXentSystem

/// probs = exp(logits) / total.
@inline(never) func softmax<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafeMutableRawPointer
) {
  let rows = Rows<E>(problem)
  let stage = Stage<E>(scratch)
  var row = Int(first)
  while row < Int(last) {
    let x = rows.input(row)
    Writer<E>(total: rows.sum(x, without: -1, stage), factor: (1, 0), stage: stage).write(
      x, to: rows.output(row), rows.classes)
    row &+= 1
  }
}
