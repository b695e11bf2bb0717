import CXentSystem

/// loss = weight·log1p(Σ exp(other logits) / exp(the target's logit)).
@inline(never) func crossEntropy<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows<E>(problem)
  let scratch = Scratch<E>(scratch)
  forEachBatch(Int(first), Int(last), size: Doubles.scalarCount) { start, count in
    rows.record(start, count, rows.targetStates(start, count, scratch).outcome(), in: loss)
  }
}

/// The loss, and its gradient weight/divisor·(p − [is target]); at the target that is −weight/divisor·(1 − p), from the
/// sum over the others.
@inline(never) func crossEntropyGrad<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows<E>(problem)
  let scratch = Scratch<E>(scratch)
  forEachBatch(Int(first), Int(last), size: batchSize(E.self, classes: rows.classes)) { start, count in
    let batch = rows.targetStates(start, count, scratch)
    let outcome = batch.outcome()
    rows.record(start, count, outcome, in: loss)
    var lane = 0
    while lane < count {
      let row = start &+ lane
      let out = rows.output(row)
      if let target = rows.target(row) {
        let c = rows.coefficient(target)
        let total = batch.state(lane).total
        Writer<E>(total: total, factor: c, stage: scratch.stage).write(rows.input(row), to: out, rows.classes)
        out[target] = E(rounding: -outcome.others(lane, times: c))
      } else {
        fill(out, rows.classes, with: 0)
      }
      lane &+= 1
    }
  }
}
