import CXentSystem

/// probs = exp(logits) / total.
@inline(never) func softmax<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>
) {
  let rows = Rows<E>(problem)
  let scratch = Scratch<E>(scratch)
  var row = Int(first)
  while row < Int(last) {
    let x = rows.input(row)
    Writer<E>(total: RowState(x, rows.classes, keeping: .none, scratch).rest, factor: (1, 0), stage: scratch.stage)
      .write(
        x, to: rows.output(row), rows.classes)
    row &+= 1
  }
}
