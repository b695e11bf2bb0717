// One row on its way to and from a kernel: at hand where it lies, or converted chunk by chunk.

import CXent
import CXentSystem

/// One row of an input.
struct Source {
  let rows: Rows
  let start: UnsafeRawPointer
  let stride, dtype: Int

  /// Whether the elements can be used where they lie.
  @inline(__always) var isDirect: Bool { dtype == rows.dtype && stride == 1 && !rows.isChanged }

  /// Calls `body` for each chunk, from the last to the first if `isBack`. Its elements, f64 where the rows are wide and f32
  /// otherwise, stay until the next.
  @inline(__always) func forEachChunk(
    isBack: Bool = false, _ body: (_ elements: UnsafeRawPointer, _ first: Int, _ count: Int) -> Void
  ) {
    let length = rows.range.end &- rows.range.first
    var done = 0
    while done < length {
      var first = rows.range.first &+ done
      var count = min(chunk, length &- done)
      if isBack {
        // The last chunk may be a short one.
        count = done == 0 && length % chunk != 0 ? length % chunk : chunk
        first = rows.range.end &- done &- count
      }
      body(elements(first, count), first, count)
      done &+= count
    }
  }

  @inline(__always) func elements(_ first: Int, _ count: Int) -> UnsafeRawPointer {
    isDirect ? start + first &* (rows.isWide ? 8 : 4) : fetched(first, count)
  }

  @inline(never) private func fetched(_ first: Int, _ count: Int) -> UnsafeRawPointer {
    let buffer = UnsafeMutableRawPointer(xentk_chunk(rows.workspace))
    fetch(first, count, into: buffer)
    return UnsafeRawPointer(buffer)
  }

  /// Elements as the options have them, in the type that the rows are worked on in.
  @inline(__always) func fetch(_ first: Int, _ count: Int, into out: UnsafeMutableRawPointer) {
    let p = start + first &* stride &* bytes(of: dtype)
    if rows.isWide {
      Double.gather(p, dtype, stride: stride, count, into: out.assumingMemoryBound(to: Double.self), ahead: chunk)
    } else {
      Float.gather(p, dtype, stride: stride, count, into: out.assumingMemoryBound(to: Float.self), ahead: chunk)
    }
    if rows.isChanged { change(first, count, out) }
  }

  /// What the options do to elements.
  @inline(never) private func change(_ first: Int, _ count: Int, _ out: UnsafeMutableRawPointer) {
    if rows.isScaled { rows.scale(out.assumingMemoryBound(to: Double.self), count) }
    if rows.isWide {
      mask(out.assumingMemoryBound(to: Double.self), first, count)
    } else {
      mask(out.assumingMemoryBound(to: Float.self), first, count)
    }
  }

  /// Up to a strip of elements as the options have them, in f64; the rows are wide.
  @inline(__always) func read(_ first: Int, _ count: Int, into out: UnsafeMutablePointer<Double>) {
    fetch(first, count, into: UnsafeMutableRawPointer(out))
  }

  /// One element, as the options have it.
  @inline(never) func element(_ c: Int) -> Double {
    var one: (Double, Double) = (0, 0)
    return withUnsafeMutablePointer(to: &one) { room in
      fetch(c, 1, into: room)
      let room = UnsafeRawPointer(room)
      return rows.isWide ? room.load(as: Double.self) : Double(room.load(as: Float.self))
    }
  }

  /// Up to a strip of elements as they lie in the tensor, in f64.
  @inline(__always) func given(_ first: Int, _ count: Int, into out: UnsafeMutablePointer<Double>) {
    Double.gather(start + first &* stride &* bytes(of: dtype), dtype, stride: stride, count, into: out)
  }

  @inline(__always) private func mask<E: Element>(_ out: UnsafeMutablePointer<E>, _ first: Int, _ count: Int) {
    guard rows.problem.pointee.class_mask.isGiven else { return }
    var i = 0
    while i < count {
      if rows.isMasked(first &+ i) { out[i] = -.infinity }
      i &+= 1
    }
  }
}

/// One row of an output.
struct Sink {
  let rows: Rows
  let start: UnsafeMutableRawPointer
  let stride, dtype: Int

  @inline(__always) var isDirect: Bool { dtype == rows.dtype && stride == 1 }
  @inline(__always) private var size: Int { bytes(of: dtype) }
  @inline(__always) private var buffer: UnsafeMutableRawPointer { UnsafeMutableRawPointer(xentk_chunk(rows.workspace)) }

  /// Whether what is made of the row that begins there goes past the caches. To be followed by a fence.
  @inline(__always) func isStreamed(from source: UnsafeRawPointer, hasTerms: Bool = false) -> Bool {
    isDirect && !rows.isWide && UnsafeRawPointer(start) != source && UInt(bitPattern: start) & UInt(size &- 1) == 0
      && rows.streams(size, hasTerms: hasTerms)
  }

  /// Whether the row begins with a line.
  @inline(__always) var isLine: Bool { UInt(bitPattern: start) & 63 == 0 }

  /// Where a chunk's results are to be put, to go to the tensor by `put`.
  @inline(__always) func room(_ first: Int) -> UnsafeMutableRawPointer {
    isDirect ? start + first &* size : buffer
  }

  @inline(__always) func put(_ first: Int, _ count: Int) {
    if !isDirect { scatter(buffer, first, count) }
  }

  /// The same of a whole row. One that `isStreamed` is made where it belongs if it `isLine`, and otherwise copied there.
  @inline(__always) func room(isStreamed: Bool) -> UnsafeMutableRawPointer { isStreamed && !isLine ? buffer : room(0) }

  @inline(__always) func put(_ count: Int, isStreamed: Bool) {
    if !isStreamed { put(0, count) } else if !isLine { stream(count) }
  }

  /// One of a chunk's results, in their room.
  @inline(__always) func set(_ value: Double, at place: Int, in room: UnsafeMutableRawPointer) {
    if rows.isWide {
      room.assumingMemoryBound(to: Double.self)[place] = value
    } else {
      let isHalf = size == 2
      room.assumingMemoryBound(to: Float.self)[place] = Float(isHalf ? oddFloats(Doubles(repeating: value))[0] : value)
    }
  }

  @inline(never) private func stream(_ count: Int) { xentk_stream(start, buffer, Int64(count &* size)) }

  @inline(never) private func scatter(_ source: UnsafeMutableRawPointer, _ first: Int, _ count: Int) {
    if rows.isWide {
      put(source.assumingMemoryBound(to: Double.self), first, count)
    } else {
      Float.scatter(
        source.assumingMemoryBound(to: Float.self), count, to: start + first &* stride &* size, dtype, stride: stride)
    }
  }

  /// Rounds f64 results to the tensor.
  @inline(__always) func put(_ source: UnsafePointer<Double>, _ first: Int, _ count: Int) {
    Double.scatter(source, count, to: start + first &* stride &* size, dtype, stride: stride)
  }

  /// One result, where it is in range.
  @inline(never) func put(_ value: Double, at c: Int) {
    guard rows.range.contains(c) else { return }
    var value = value
    put(&value, c, 1)
  }

  /// The same for every class.
  @inline(never) func fill(with value: Double) {
    var first = rows.range.first
    while first < rows.range.end {
      let n = min(chunk, rows.range.end &- first)
      if rows.isWide {
        spread(value, over: room(first).assumingMemoryBound(to: Double.self), n)
      } else {
        spread(Float(value), over: room(first).assumingMemoryBound(to: Float.self), n)
      }
      put(first, n)
      first &+= n
    }
  }
}

@inline(__always) func bytes(of dtype: Int) -> Int {
  switch dtype {
  case XENT_F64: 8
  case XENT_F32: 4
  case XENT_U8: 1
  default: 2
  }
}
