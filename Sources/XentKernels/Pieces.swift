// A row of many classes that threads share: first each piece's state, then, when all of them are there, each piece's part
// of what has the row's shape. Every piece makes the row's outcome for itself; it is a few states to merge.

import CXentSystem

extension RowsKernel {
  /// Rows of one state, and without outputs that look at the logits again while they may be written over.
  var canBeInPieces: Bool {
    isQuick && !problem.pointee.gathered.isGiven && !problem.pointee.argmax.isGiven
      && !problem.pointee.max_logit.isGiven && problem.pointee.wants_correct == 0
  }

  @inline(never) mutating func runPieces(_ first: Int, _ last: Int, _ loss: UnsafeMutablePointer<xentk_loss>) {
    let results = xentk_results(rows.workspace).assumingMemoryBound(to: Results.self)
    let number = Int(problem.pointee.row)
    let row = rows.position(number)
    readTargets(number, 1, results)
    let isNeeded = isNeeded(0, results)
    let isRead = Int(problem.pointee.phase) == XENTK_READ
    if !isRead {
      clear(results)
      if isNeeded {
        let state = mergedPieces()
        set(0, state, results)
        if problem.pointee.skips_masked != 0 && state.isEmpty { results.pointee.counts[0] = -1 }
      }
      conclude(1, results)
      if first == 0 {
        var losses = LaneSum()
        finish(number, 1, results, &losses, lane: 0, loss)
        let total = losses.total
        xentk_add(&loss.pointee.hi, &loss.pointee.lo, total.hi, total.lo)
      }
    }
    var piece = first
    while piece < last {
      let size = Int(problem.pointee.piece)
      rows.range = Rows.Range(first: piece &* size, end: min((piece &+ 1) &* size, rows.classes))
      if !isRead {
        write(row, 0, results)
      } else if isNeeded {
        let reading = Reading(
          source: rows.source(problem.pointee.input, row), row: row, wanted: wanted,
          target: Int(results.pointee.targets[0]), targetLogit: 0, top: nil)
        place(piece).storeBytes(of: reading.onlyState().pointee, as: RowState.self)
      }
      piece &+= 1
    }
  }

  @inline(__always) private func place(_ piece: Int) -> UnsafeMutableRawPointer {
    problem.pointee.pieces.unsafelyUnwrapped + piece &* MemoryLayout<xentk_loss>.stride
  }

  private func mergedPieces() -> RowState {
    var tree = Tree<RowState>(rows.workspace)
    var piece = 0
    while piece < Int(problem.pointee.piece_count) {
      tree.next.initialize(to: place(piece).load(as: RowState.self))
      tree.add { RowState.merge($0, $1) }
      piece &+= 1
    }
    return tree.root { RowState.merge($0, $1) }.pointee
  }
}
