// Eight rows on their way into a tile and out of it.

import CXent
import CXentSystem

extension Tile {
  /// Reads the rows from `start` on that are `needed`; the other lanes become 0.
  @inline(never) func read(_ rows: Rows, _ array: xentk_array, _ start: Int, needed: SIMD8<Int64>) {
    if isWhole(needed) && !rows.isChanged && Int(array.dtype) == E.dtype {
      let p = UnsafePointer(array.address(rows.position(start)).assumingMemoryBound(to: E.self))
      let lie = rows.lie(array, start)
      if lie.isAcross {
        var c = 0
        while c < classes {
          E.store(E.load(p + c &* Int(array.class_stride)), x + c &* step)
          c &+= 1
        }
        return
      }
      if lie.isAlong && classes >= step {
        forEachBlock { E.transpose(p + $0, Int(array.outer_stride), x + $0 &* step, step) }
        return
      }
    }
    let few = xentk_strip(rows.workspace, 5)
    var lane = 0
    while lane < step {
      if needed[lane] != 0 {
        let source = rows.source(array, rows.position(start &+ lane))
        rows.forEachStrip { first, count in
          let elements = source.strip(first, count, into: few).assumingMemoryBound(to: E.self)
          var i = 0
          while i < count {
            x[(first &+ i) &* step &+ lane] = elements[i]
            i &+= 1
          }
        }
      } else {
        var c = 0
        while c < classes {
          x[c &* step &+ lane] = 0
          c &+= 1
        }
      }
      lane &+= 1
    }
  }

  /// Writes the first `count` lanes to the rows from `start` on.
  @inline(never) func write(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    if count == step && Int(array.dtype) == E.dtype {
      let p = array.address(rows.position(start)).assumingMemoryBound(to: E.self)
      let lie = rows.lie(array, start)
      if lie.isAcross {
        var c = 0
        while c < classes {
          E.store(self[c], p + c &* Int(array.class_stride))
          c &+= 1
        }
        return
      }
      if lie.isAlong && classes >= step {
        forEachBlock { E.transpose(UnsafePointer(x) + $0 &* step, step, p + $0, Int(array.outer_stride)) }
        return
      }
    }
    let few = UnsafeMutableRawPointer(xentk_strip(rows.workspace, 5)).assumingMemoryBound(to: E.self)
    var lane = 0
    while lane < count {
      let row = rows.position(start &+ lane)
      rows.forEachStrip { first, count in
        var i = 0
        while i < count {
          few[i] = x[(first &+ i) &* step &+ lane]
          i &+= 1
        }
        E.scatter(few, count, to: array.address(row, first), array.dtype, stride: Int(array.class_stride))
      }
      lane &+= 1
    }
  }

  /// Calls `body` with the first of each eight classes; the last eight may overlap those before.
  @inline(__always) private func forEachBlock(_ body: (_ first: Int) -> Void) {
    var c = 0
    while c &+ step <= classes {
      body(c)
      c &+= step
    }
    if c < classes { body(classes &- step) }
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

/// How eight rows lie in memory: each class's eight elements next to each other, or each row's classes, or neither.
struct Lie {
  let isAcross, isAlong: Bool
}

extension Rows {
  @inline(__always) var isChanged: Bool { isScaled || problem.pointee.class_mask.isGiven }

  @inline(never) func lie(_ array: xentk_array, _ start: Int) -> Lie {
    let inner = Int(problem.pointee.inner)
    if inner == 1 {
      let isAlong = array.class_stride == 1
      return Lie(isAcross: !isAlong && array.outer_stride == 1, isAlong: isAlong)
    }
    return Lie(isAcross: array.inner_stride == 1 && start % inner &+ step <= inner, isAlong: false)
  }
}
