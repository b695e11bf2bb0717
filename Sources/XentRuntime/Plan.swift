import CXentSystem

/// How a problem's rows are cut. Only the shape decides, never the threads: so the losses of the segments, added in
/// order, have the same bits for any number of threads.
struct Plan {
  let rows: Int64
  let rowsPerSegment: Int64
  let segments: Int64

  /// Elements that are a segment by themselves.
  fileprivate static let worth: Int64 = 16384

  init(_ problem: UnsafePointer<xentk_problem>) {
    rows = problem.pointee.rows
    // An nll touches one element a row.
    let isShort = Int(problem.pointee.operation) == XENTK_NLL && problem.pointee.grad.data == nil
    let touched = isShort ? 8 : max(problem.pointee.classes, 1)
    // About 20 microseconds of work, what waking a thread may cost: it is not cut, as a kernel's beginning and end cost as
    // much as sixteen rows of few classes.
    let (elements, isMore) = rows.multipliedReportingOverflow(by: touched)
    if !isMore && elements <= 1 << 17 {
      (rowsPerSegment, segments) = (rows, 1)
      return
    }
    // Eight rows fill the lanes of a kernel's last step, and sixteen a tile of f32 rows of few classes (XentKernels'
    // CrossEntropy.swift); a row of 16384 elements is work enough on its own.
    let isTiled = Int(problem.pointee.operation) == XENTK_ROWS && problem.pointee.is_wide == 0 && touched <= 256
    let batch: Int64 = isTiled ? 16 : 8
    let enough = touched <= Self.worth / batch ? batch : (Self.worth + touched - 1) / touched
    let share = rows / Int64(XENTK_SEGMENTS) + (rows % Int64(XENTK_SEGMENTS) == 0 ? 0 : 1)
    let size = max(share, enough)
    rowsPerSegment = size <= batch ? size : (size + batch - 1) / batch * batch
    segments = rows <= rowsPerSegment ? 1 : rows / rowsPerSegment + (rows % rowsPerSegment == 0 ? 0 : 1)
  }

  func rows(of segment: Int64) -> (first: Int64, last: Int64) {
    let first = segment * rowsPerSegment
    return (first, min(first + rowsPerSegment, rows))
  }

  /// The pieces of a row, or of some.
  init(pieces: Int64) {
    (rows, rowsPerSegment, segments) = (pieces, 1, pieces)
  }
}

/// How a row of many classes is cut for threads to share.
struct Pieces {
  /// Chunks of a piece: 2^18 elements of f32 are 70 microseconds of reading, and a piece a tenth of that or more.
  private static let least: Int64 = 16

  let classes: Int64
  let count: Int64

  /// nil where there are rows enough, or too few classes.
  init?(_ problem: UnsafePointer<xentk_problem>) {
    let chunk = Int64(XENTK_CHUNK)
    let chunks = (problem.pointee.classes + chunk - 1) / chunk
    guard Int(problem.pointee.operation) == XENTK_ROWS, chunks >= 2 * Self.least else { return nil }
    let threads = Threads.number(for: problem)
    // At most as many rows as there are segments: each of them would be one on its own, and the losses add up the same.
    guard threads > 1, problem.pointee.rows < min(2 * threads, Int64(XENTK_SEGMENTS)) else { return nil }
    // A power of two, for a piece to be a subtree.
    var size = Self.least
    while (chunks + size - 1) / size > Int64(XENTK_SEGMENTS) { size *= 2 }
    classes = size * chunk
    count = (chunks + size - 1) / size
  }

  /// Of a loss that is one of elements, where rows are so few that each has to be more than one segment: this is decided by the
  /// shape alone. nil elsewhere.
  init?(ofElements problem: UnsafePointer<xentk_problem>) {
    let (rows, size) = (problem.pointee.rows, problem.pointee.classes)
    guard Int(problem.pointee.operation) == XENTK_BINARY, size >= 2 * Plan.worth else { return nil }
    let most = min(Int64(XENTK_SEGMENTS) / rows, size / Plan.worth)
    guard most > 1 else { return nil }
    // Whole strips of the kernel.
    let strip: Int64 = 256
    classes = ((size + most - 1) / most + strip - 1) / strip * strip
    count = (size + classes - 1) / classes
  }
}
