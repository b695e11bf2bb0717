// The k largest logits of a row, largest first and the first of equals first; NaN counts as larger than any number.

struct Top {
  struct Entry {
    var value: Double
    var index: Int
  }

  /// Room for `limit` entries; those of the row so far are in order, and the others have the index −1.
  let entries: UnsafeMutablePointer<Entry>
  let limit: Int

  @inline(__always) func clear() {
    var k = 0
    while k < limit {
      entries[k] = Entry(value: -.infinity, index: -1)
      k &+= 1
    }
  }

  /// Adds elements that come after all that have been added.
  @inline(never) func add(_ x: UnsafePointer<Double>, _ first: Int, _ count: Int) {
    if first == 0 { clear() }
    var i = 0
    while i < count {
      let last = entries[limit &- 1]
      if last.index < 0 || Self.isLarger(x[i], last.value) { insert(Entry(value: x[i], index: first &+ i)) }
      i &+= 1
    }
  }

  @inline(__always) private static func isLarger(_ a: Double, _ b: Double) -> Bool { a > b || (a.isNaN && !b.isNaN) }

  @inline(__always) private func insert(_ entry: Entry) {
    var k = limit &- 1
    while k > 0 && (entries[k &- 1].index < 0 || Self.isLarger(entry.value, entries[k &- 1].value)) {
      entries[k] = entries[k &- 1]
      k &-= 1
    }
    entries[k] = entry
  }
}
