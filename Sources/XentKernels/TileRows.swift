// Rows on their way into a tile and out of it, eight at a time.

import CXent
import CXentSystem

extension Tile {
  /// Classes of eight rows that are staged together.
  @inline(__always) private var block: Int { 32 }

  /// Room for eight rows of a block.
  @inline(__always) private func staged(_ rows: Rows) -> UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_strip(rows.workspace, 2)).assumingMemoryBound(to: E.self)
  }

  /// Reads the rows from `start` on that are `needed`; the other lanes become whatever is finite.
  @inline(never) func read(_ rows: Rows, _ array: xentk_array, _ start: Int, needed: Both<SIMD8<Int64>>) {
    let isOwn = Int(array.dtype) == E.dtype && !rows.isChanged
    if isOwn && isWhole(needed.low) && (E.halves == 1 || isWhole(needed.high)) && rows.isAcross(array, start, E.width) {
      let p = UnsafePointer(array.address(rows.position(start)).assumingMemoryBound(to: E.self))
      var c = 0
      while c < classes {
        E.store(E.load(p + c &* Int(array.class_stride)), x + c &* E.width)
        c &+= 1
      }
      return
    }
    readEight(rows, array, start, needed.low, isOwn, to: x)
    if E.halves == 2 { readEight(rows, array, start &+ step, needed.high, isOwn, to: x + step) }
  }

  @inline(__always) private func readEight(
    _ rows: Rows, _ array: xentk_array, _ start: Int, _ needed: SIMD8<Int64>, _ isOwn: Bool,
    to x: UnsafeMutablePointer<E>
  ) {
    let isAll = isWhole(needed)
    if isAll && isOwn && rows.isAlong(array) && classes >= step {
      let p = UnsafePointer(array.address(rows.position(start)).assumingMemoryBound(to: E.self))
      // The last eight classes may overlap those before.
      var c = 0
      while c < classes {
        let first = min(c, classes &- step)
        E.transpose(p + first, Int(array.outer_stride), x + first &* E.width, E.width)
        c &+= step
      }
      return
    }
    stage(rows, array, start, needed, isAll, to: x)
  }

  @inline(never) private func stage(
    _ rows: Rows, _ array: xentk_array, _ start: Int, _ needed: SIMD8<Int64>, _ isAll: Bool,
    to x: UnsafeMutablePointer<E>
  ) {
    let staged = staged(rows)
    if isAll && isPacked(rows, array) && !rows.isChanged {
      let p = UnsafeRawPointer(array.address(rows.position(start)))
      E.gather(p, array.dtype, stride: 1, step &* classes, into: staged)
      transpose(UnsafePointer(staged), classes, classes, to: x)
      return
    }
    var first = 0
    while first < classes {
      let count = min(block, classes &- first)
      if !isAll { spread(0, over: staged, step &* block) }
      var lane = 0
      while lane < step {
        if needed[lane] != 0 {
          let row = rows.position(start &+ lane)
          let out = staged + lane &* block
          if rows.isChanged {
            rows.source(array, row).fetch(first, count, into: out)
          } else {
            let p = UnsafeRawPointer(array.address(row, first))
            E.gather(p, array.dtype, stride: Int(array.class_stride), count, into: out)
          }
        }
        lane &+= 1
      }
      transpose(UnsafePointer(staged), block, count, to: x + first &* E.width)
      first &+= count
    }
  }

  /// Staged classes of eight rows to their lanes. Whole blocks: there is room for eight classes more than there are.
  @inline(__always) private func transpose(
    _ staged: UnsafePointer<E>, _ stride: Int, _ count: Int, to x: UnsafeMutablePointer<E>
  ) {
    var c = 0
    while c < count {
      E.transpose(staged + c, stride, x + c &* E.width, E.width)
      c &+= step
    }
  }

  /// Whether eight rows lie one behind the other, and there is room for them.
  @inline(__always) private func isPacked(_ rows: Rows, _ array: xentk_array) -> Bool {
    rows.isAlong(array) && Int(array.outer_stride) == classes && classes <= block
  }

  /// Writes the first `count` lanes to the rows from `start` on.
  @inline(never) func write(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    let isOwn = Int(array.dtype) == E.dtype
    if isOwn && count == E.width && rows.isAcross(array, start, E.width) {
      let p = array.address(rows.position(start)).assumingMemoryBound(to: E.self)
      var c = 0
      while c < classes {
        E.store(self[c], p + c &* Int(array.class_stride))
        c &+= 1
      }
      return
    }
    writeEight(rows, array, start, min(count, step), isOwn, from: x)
    if count > step { writeEight(rows, array, start &+ step, count &- step, isOwn, from: x + step) }
  }

  @inline(__always) private func writeEight(
    _ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int, _ isOwn: Bool, from x: UnsafeMutablePointer<E>
  ) {
    if isOwn && count == step && rows.isAlong(array) && classes >= step {
      let p = array.address(rows.position(start)).assumingMemoryBound(to: E.self)
      var c = 0
      while c < classes {
        let first = min(c, classes &- step)
        E.transpose(UnsafePointer(x) + first &* E.width, E.width, p + first, Int(array.outer_stride))
        c &+= step
      }
      return
    }
    unstage(rows, array, start, count, from: x)
  }

  @inline(never) private func unstage(
    _ rows: Rows, _ array: xentk_array, _ start: Int, _ rowCount: Int, from x: UnsafeMutablePointer<E>
  ) {
    let staged = staged(rows)
    if rowCount == step && isPacked(rows, array) {
      // The last classes first: a block of eight goes beyond a row's end into the next row, which comes later.
      var c = (classes &- 1) & ~(step &- 1)
      while c >= 0 {
        E.transpose(UnsafePointer(x) + c &* E.width, E.width, staged + c, classes)
        c &-= step
      }
      return E.scatter(staged, step &* classes, to: array.address(rows.position(start)), array.dtype, stride: 1)
    }
    var first = 0
    while first < classes {
      let count = min(block, classes &- first)
      var c = 0
      while c < count {
        E.transpose(UnsafePointer(x) + (first &+ c) &* E.width, E.width, staged + c, block)
        c &+= step
      }
      var lane = 0
      while lane < rowCount {
        let p = array.address(rows.position(start &+ lane), first)
        E.scatter(staged + lane &* block, count, to: p, array.dtype, stride: Int(array.class_stride))
        lane &+= 1
      }
      first &+= count
    }
  }

  @inline(__always) private func isWhole(_ needed: SIMD8<Int64>) -> Bool {
    var all: Int64 = 1
    var lane = 0
    while lane < step {
      all &= needed[lane]
      lane &+= 1
    }
    return all != 0
  }
}

extension Rows {
  @inline(__always) var isChanged: Bool { isScaled || problem.pointee.class_mask.isGiven }

  /// Whether each row's classes lie next to each other, and rows at one distance.
  @inline(__always) func isAlong(_ array: xentk_array) -> Bool {
    problem.pointee.inner == 1 && array.class_stride == 1
  }

  /// Whether each class's elements of `count` rows lie next to each other.
  @inline(__always) func isAcross(_ array: xentk_array, _ start: Int, _ count: Int) -> Bool {
    let inner = Int(problem.pointee.inner)
    if inner == 1 { return array.class_stride != 1 && array.outer_stride == 1 }
    return array.inner_stride == 1 && start % inner &+ count <= inner
  }
}
