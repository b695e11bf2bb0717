import CXentSystem

/// lse = largest + loss of the largest.
@inline(never) func logSumExp<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafeMutableRawPointer
) {
  let rows = Rows<E>(problem)
  let out = problem.pointee.output.unsafelyUnwrapped.assumingMemoryBound(to: E.self)
  let stage = Stage<E>(scratch)
  forEachBatch(Int(first), Int(last), size: Doubles.scalarCount) { start, count in
    let batch = rows.peakSums(start, count, stage)
    let outcome = batch.outcome()
    var lane = 0
    while lane < count {
      let (hi, lo) = batch.logSumExp(lane, outcome)
      out[start &+ lane] = E(rounding: hi + lo)
      lane &+= 1
    }
  }
}
