// Strips of elements on their way into the binary loss and out of it.

import CXent
import CXentSystem

/// Where a strip begins, and how many elements it has, over the ends of rows.
struct Span {
  var row, c, count: Int
}

/// One of the numbers that each element has: where there is no such tensor, the same for all.
struct Operand<E: Element> {
  let start: UnsafePointer<E>
  let isOne: Bool

  @inline(__always) func at(_ i: Int) -> UnsafePointer<E> { isOne ? start : start + i }
}

/// What goes into a strip.
struct Inputs<E: Element> {
  let x, y: UnsafePointer<E>
  let weight, positive, upstream: Operand<E>
}

extension xentk_array {
  /// Calls `body` for each part of a span whose elements are one stride apart: for all of it where rows follow rows so.
  @inline(__always) private func forEachPart(
    _ rows: Rows, _ span: Span, _ body: (_ p: UnsafeMutableRawPointer, _ i: Int, _ count: Int) -> Void
  ) {
    let row = rows.classes &* Int(class_stride)
    let inner = Int(rows.problem.pointee.inner)
    let isEven = (inner == 1 || Int(inner_stride) == row) && Int(outer_stride) == inner &* row
    var (number, c, i) = (span.row, span.c, 0)
    while i < span.count {
      let n = isEven ? span.count : min(span.count &- i, rows.classes &- c)
      body(address(rows.position(number), c), i, n)
      (number, c, i) = (number &+ 1, 0, i &+ n)
    }
  }

  /// A strip's elements where they lie, or fetched, with zeros to the end of the last step.
  @inline(never) func strip<E: Element>(
    _ rows: Rows, _ span: Span, into room: UnsafeMutablePointer<E>
  ) -> Operand<E> {
    guard isGiven else {
      let ones = UnsafeMutableRawPointer(xentk_strip(rows.workspace, 0)).assumingMemoryBound(to: E.self)
      return Operand(start: ones, isOne: true)
    }
    let end = E.wholeSteps(span.count)
    var start = UnsafePointer(room)
    forEachPart(rows, span) { p, i, n in
      if n == end && class_stride == 1 && Int(dtype) == E.dtype {
        start = UnsafePointer(p.assumingMemoryBound(to: E.self))
      } else {
        E.gather(UnsafeRawPointer(p), Int(dtype), stride: Int(class_stride), n, into: room + i)
      }
    }
    var i = span.count
    while i < end {
      room[i] = 0
      i &+= 1
    }
    return Operand(start: start, isOne: false)
  }

  @inline(never) func prefetch(_ rows: Rows, _ span: Span) {
    guard class_stride == 1 else { return }
    forEachPart(rows, span) { p, _, n in
      prefetchLines(p, n &* Int(size))
    }
  }

  /// Rounds a strip's results to the tensor.
  @inline(never) func put(_ rows: Rows, _ span: Span, _ source: UnsafeMutablePointer<Double>) {
    forEachPart(rows, span) { p, i, n in
      var done = 0
      if Int(dtype) == XENT_F32 && class_stride == 1 {
        while done &+ step <= n {
          xentk_store_8floats(p + (done &* 4), xentk_floats(Double.load(source + i + done)))
          done &+= step
        }
      }
      Double.scatter(
        UnsafePointer(source + i + done), n &- done, to: p + (done &* Int(class_stride) &* Int(size)), Int(dtype),
        stride: Int(class_stride))
    }
  }
}
