// Rows go through the kernels a batch at a time: sums first, then their outcome, then what is written.

/// Rows in a batch: eight, to fill the lanes, unless the second pass over so many rows would no longer find them in L2.
@inline(__always) func batchSize(_ isWide: Bool, classes: Int) -> Int {
  classes &* (isWide ? 8 : 4) <= 16384 ? Doubles.scalarCount : 1
}

/// Calls `body` for runs of up to `size` rows.
@inline(__always) func forEachBatch(
  _ first: Int, _ last: Int, size: Int, _ body: (_ first: Int, _ count: Int) -> Void
) {
  var row = first
  while row < last {
    let count = min(size, last &- row)
    body(row, count)
    row &+= count
  }
}
