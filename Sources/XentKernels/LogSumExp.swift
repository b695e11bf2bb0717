import CXentSystem

/// lse = largest + loss of the largest.
@inline(never) func logSumExp<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>
) {
  let rows = Rows<E>(problem)
  let out = problem.pointee.output.unsafelyUnwrapped.assumingMemoryBound(to: E.self)
  let scratch = Scratch<E>(scratch)
  forEachBatch(Int(first), Int(last), size: Doubles.scalarCount) { start, count in
    let batch = rows.peakStates(start, count, scratch)
    let outcome = batch.outcome()
    var lane = 0
    while lane < count {
      let (hi, lo) = batch.logSumExp(lane, outcome)
      out[start &+ lane] = E(rounding: hi + lo)
      lane &+= 1
    }
  }
}
