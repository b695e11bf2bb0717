// Rows on their way into a tile and out of it.

import CXent
import CXentSystem

extension Tile {
  /// Classes that are staged together.
  @inline(__always) private var block: Int { 32 }

  /// Room for a block of all rows.
  @inline(__always) private func staged(_ rows: Rows) -> UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_strip(rows.workspace, 2)).assumingMemoryBound(to: E.self)
  }

  /// Reads `count` rows from `start` on, and more of those before `last` where that pays; gives where the rows read end.
  @inline(never) func read(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int, last: Int) -> Int {
    if !rows.isChanged && isDirect(rows, array) {
      let p = UnsafePointer(array.address(rows.position(start)).assumingMemoryBound(to: E.self))
      let stride = Int(array.outer_stride)
      if count == E.width { readAlong(p, stride, E.width) } else { readAlong(p, stride, count) }
      if let later = later(rows, p, stride &* MemoryLayout<E>.size) { workspace.pointee.later.read = later }
    } else if !rows.isChanged && isDirectOfHalves(rows, array) {
      readHalves(rows, array, start, count)
    } else if count == E.width && !rows.isChanged && rows.isAcross(array, start, E.width) {
      return readAcross(rows, array, start, rows.run(from: start, last: last, atMost: mostTiles &* E.width))
    } else {
      stage(rows, array, start, count)
    }
    return start &+ count
  }

  /// Classes that go to lanes, and back, together.
  @inline(__always) private var together: Int { Int(XENTK_TOGETHER) }

  /// Of at least `number` classes so many at a time: the last may overlap those before.
  @inline(__always) private func forEach(_ number: Int, _ body: (_ first: Int) -> Void) {
    var c = 0
    while c < classes {
      body(min(c, classes &- number))
      c &+= number
    }
  }

  /// What a later tile reads or writes, of rows one behind the other, `stride` bytes from each to the next; nil where nothing is gained
  /// by fetching it. A line comes with each class that is summed up. Measured, with AVX2 (Zen 3): from L3 and memory 1.0 to 1.3 times
  /// as fast, and of 40 to 100 classes 1.1 to 1.7 times as all lines at once, which what follows would wait for; with AVX-512 not
  /// measured.
  @inline(__always) private func later(_ rows: Rows, _ p: UnsafeRawPointer, _ stride: Int) -> UnsafeRawPointer? {
    #if XENT_V3
      let isFar = Int(rows.problem.pointee.rows) &* classes > 1 &<< 16 && stride <= 16 &* classes
      return isFar ? p + max(E.width &* stride, 4096) : nil
    #else
      return nil
    #endif
  }

  /// The lines that come with class c.
  @inline(__always) static func fetch(_ later: xentk_later, _ c: Int) {
    #if XENT_V3
      xentk_prefetch(later.read + c &* 64)
      xentk_prefetch(later.write + c &* 64)
    #endif
  }

  @inline(__always) private func readAlong(_ p: UnsafePointer<E>, _ stride: Int, _ count: Int) {
    forEach(together) { E.toLanes(p + $0, stride, count, x + $0 &* E.width) }
  }

  /// Class c's f32.
  @inline(__always) private func lanes(_ c: Int) -> UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer(x + c &* E.width).assumingMemoryBound(to: Float.self)
  }

  /// Whether the array's rows come and go so, without a stop.
  @inline(__always) private func isDirect(_ rows: Rows, _ array: xentk_array) -> Bool {
    Int(array.dtype) == E.dtype && rows.isAlong(array) && classes >= together
  }

  /// The same of 16 bits, eight classes at a time on their way to f32 and back: of rows that are not converted all at once.
  @inline(__always) private func isDirectOfHalves(_ rows: Rows, _ array: xentk_array) -> Bool {
    E.halves == 2 && array.size == 2 && rows.isAlong(array) && classes >= step && !isPacked(rows, array)
  }

  /// Out of line: a large function does not inline what conversions are made of.
  @inline(never) private func readHalves(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    let p = UnsafeRawPointer(array.address(rows.position(start))).assumingMemoryBound(to: UInt16.self)
    let stride = Int(array.outer_stride)
    if let later = later(rows, p, stride &* 2) { workspace.pointee.later.read = later }
    if Int(array.dtype) == XENT_F16 {
      readHalves(p, stride, count) { fromHalf($0) }
    } else {
      readHalves(p, stride, count) { fromBrain($0) }
    }
  }

  @inline(__always) private func readHalves(
    _ p: UnsafePointer<UInt16>, _ stride: Int, _ count: Int, _ convert: (SIMD16<UInt16>) -> Floats
  ) {
    forEach(step) { first in
      let to = lanes(first)
      var r = 0
      while r < step {
        let low = p + (min(r, count &- 1) &* stride &+ first)
        let high = p + (min(r &+ step, count &- 1) &* stride &+ first)
        Float.store(convert(xentk_load_two_halves(low, high)), to + r &* Float.width)
        r &+= 1
      }
      xentk_transpose(to, to)
    }
  }

  /// Of these many tiles a class's elements are 512 bytes.
  @inline(__always) private static var fullShelf: Int { 8 }

  /// Tiles that are read together: as many if there is room, and room for terms where these may be kept.
  @inline(__always) private var mostTiles: Int {
    let lines = Int(XENTK_CHUNK) &* MemoryLayout<Double>.size / MemoryLayout<E.Lanes>.size
    let terms = Self.canKeepTerms(classes) ? 2 &* classes &+ 1 : 0
    return max(1, min(Self.fullShelf, (lines &- terms) / (classes &+ 1)))
  }

  @inline(never) private func readAcross(_ rows: Rows, _ array: xentk_array, _ start: Int, _ length: Int) -> Int {
    let length = length & ~(E.width &- 1)
    let row = rows.position(start)
    let isOwn = Int(array.dtype) == E.dtype
    let converted = converted(array, length)
    var c = 0
    while c < classes {
      let p = UnsafeRawPointer(array.address(row, c))
      if isOwn {
        let p = p.assumingMemoryBound(to: E.self)
        var to = x + c &* E.width
        var i = 0
        while i < length {
          E.store(E.load(p + i), to)
          to += apart
          i &+= E.width
        }
      } else {
        var i = 0
        while i < length {
          let to = x + (c &* E.width &+ i / E.width &* apart)
          E.gather(p + i &* Int(array.size), Int(array.dtype), stride: 1, converted, into: to, apart: apart)
          i &+= converted
        }
      }
      c &+= 1
    }
    return start &+ length
  }

  /// Has what lies across brought into the caches while the tiles of a shelf, the rows `shelf`, are worked on one by one: as
  /// many rows from `start` on, those of the next shelf or where this one goes. With the tile of row `row` its part of the
  /// classes, all lines of each, which lie beside each other in memory: measured (Zen 3), a line of every class with each tile
  /// takes 1.05 to 1.15 times as long, and all of a shelf at once waits for itself.
  @inline(__always) func fetch(_ rows: Rows, _ array: xentk_array, _ shelf: Rows.Range, _ row: Int, from start: Int) {
    if rows.isAlong(array) { return }
    let length = shelf.end &- shelf.first
    @inline(__always) func part(_ done: Int) -> Int {
      let most = Self.fullShelf &* E.width  // else a division
      return length == most ? classes &* done / most : min(classes, classes &* done / length)
    }
    let size = length &* Int(array.size)
    let stride = Int(array.class_stride) &* Int(array.size)
    var c = part(row &- shelf.first)
    let last = part(row &- shelf.first &+ E.width)
    var p = UnsafeRawPointer(array.address(rows.position(start), c))
    while c < last {
      prefetchLines(p, size)
      p += stride
      c &+= 1
    }
  }

  /// From a tile on the shelf to the next.
  @inline(__always) private var apart: Int { (classes &+ 1) &* E.width }

  /// How many of a run of a class's elements are converted at a time.
  @inline(__always) private func converted(_ array: xentk_array, _ length: Int) -> Int {
    array.size == 2 ? length : E.width
  }

  /// The lanes of rows that are not needed become 0: what is in them is not to be looked at.
  @inline(__always) func clearUnneeded(_ needed: Both<SIMD8<Int64>>) {
    let isUnneeded = Both(xentk_equal(needed.low, 0), xentk_equal(needed.high, 0))
    if xentk_any_doubles(isUnneeded.low) != 0 || E.halves == 2 && xentk_any_doubles(isUnneeded.high) != 0 {
      clear(isUnneeded)
    }
  }

  @inline(never) private func clear(_ isUnneeded: Both<SIMD8<Int64>>) {
    let zero = E.Lanes(repeating: 0)
    let marks = E.rounded(Halves(numbers(isUnneeded.low), numbers(isUnneeded.high)))
    var c = 0
    while c < classes {
      E.store(E.replacing(zero, with: self[c], where: marks, is: zero), x + c &* E.width)
      c &+= 1
    }
  }

  @inline(never) private func stage(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    let staged = staged(rows)
    if isPacked(rows, array) && !rows.isChanged {
      let p = UnsafeRawPointer(array.address(rows.position(start)))
      E.gather(p, Int(array.dtype), stride: 1, count &* classes, into: staged)
      if count < E.width { spread(0, over: staged + count &* classes, (E.width &- count) &* classes) }
      return toLanes(UnsafePointer(staged), classes, classes, to: x)
    }
    var first = 0
    while first < classes {
      let number = min(block, classes &- first)
      if count < E.width { spread(0, over: staged, E.width &* block) }
      var lane = 0
      while lane < count {
        let row = rows.position(start &+ lane)
        let out = staged + lane &* block
        if rows.isChanged {
          rows.source(array, row).fetch(first, number, into: out)
        } else {
          let p = UnsafeRawPointer(array.address(row, first))
          E.gather(p, Int(array.dtype), stride: Int(array.class_stride), number, into: out)
        }
        lane &+= 1
      }
      toLanes(UnsafePointer(staged), block, number, to: x + first &* E.width)
      first &+= number
    }
  }

  /// Staged classes to the rows' lanes. Whole blocks: there is room for eight classes more than there are.
  @inline(__always) private func toLanes(
    _ staged: UnsafePointer<E>, _ stride: Int, _ count: Int, to x: UnsafeMutablePointer<E>
  ) {
    var c = 0
    while c < count {
      E.toLanes(staged + c, stride, E.width, x + c &* E.width)
      c &+= together
    }
  }

  /// Whether rows lie one behind the other, and there is room for them.
  @inline(__always) private func isPacked(_ rows: Rows, _ array: xentk_array) -> Bool {
    rows.isAlong(array) && Int(array.outer_stride) == classes && classes <= block
  }

  /// Writes the first `count` lanes to the rows from `start` on, `hasOwn`: and puts in what `put` puts in.
  @inline(never) func write(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int, hasOwn: Bool) {
    if isDirect(rows, array) {
      let out = array.address(rows.position(start)).assumingMemoryBound(to: E.self)
      let stride = Int(array.outer_stride)
      let isStreamed = canBeCopied(stride, count) && UInt(bitPattern: out) & 3 == 0 && rows.streams(array)
      let p = isStreamed ? copied : out
      let bytes = Int64(E.width &* stride &* MemoryLayout<E>.size)
      if isStreamed {
        xentk_prefetch_end(out, bytes)
      } else if let later = later(rows, out, stride &* MemoryLayout<E>.size) {
        workspace.pointee.later.write = later
      }
      if count == E.width { writeAlong(p, stride, E.width) } else { writeAlong(p, stride, count) }
      if hasOwn {
        // Not in the tile: single elements that have just been stored keep those waiting who read all lanes.
        forEachPlace { place, lane in
          if place >= 0 && lane < count { p[lane &* stride &+ place / E.width] = slots.kept[lane] }
        }
      }
      if isStreamed { xentk_stream(out, p, bytes) }
    } else if isDirectOfHalves(rows, array) {
      if hasOwn { put() }
      writeHalves(rows, array, start, count)
    } else {
      if hasOwn { put() }
      unstage(rows, array, start, count)
    }
  }

  /// Whether so many rows, `stride` elements from each to the next, can be put together behind the tile, to go past the caches as one.
  /// Measured (Zen 3): of 16 to 100 classes 1.05 to 1.5 times as fast, of ten 0.95.
  @inline(__always) private func canBeCopied(_ stride: Int, _ count: Int) -> Bool {
    E.halves == 2 && stride == classes && count == E.width && classes >= 16 && classes <= mostInAnyTile
  }

  @inline(__always) private var copied: UnsafeMutablePointer<E> {
    UnsafeMutableRawPointer(xentk_chunk(workspace) + (Int(XENTK_CHUNK) / 2 &+ 8)).assumingMemoryBound(to: E.self)
  }

  @inline(__always) private func writeAlong(_ p: UnsafeMutablePointer<E>, _ stride: Int, _ count: Int) {
    forEach(together) { E.toRows(UnsafePointer(x) + $0 &* E.width, p + $0, stride, count) }
  }

  @inline(never) private func writeHalves(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    let stride = Int(array.outer_stride)
    let room = staged(rows)
    let halves = UnsafeMutableRawPointer(room + step &* E.width).assumingMemoryBound(to: UInt16.self)
    if let later = later(rows, array.address(rows.position(start)), stride &* 2) { workspace.pointee.later.write = later }
    forEach(step) { first in
      let p = array.address(rows.position(start), first).assumingMemoryBound(to: UInt16.self)
      xentk_transpose(lanes(first), UnsafeMutableRawPointer(room).assumingMemoryBound(to: Float.self))
      E.scatter(room, step &* E.width, to: halves, Int(array.dtype), stride: 1, ahead: 0)
      // Rows r and r + 8 are beside each other.
      var r = 0
      while r < count {
        xentk_copy_8halves(p + r &* stride, halves + ((r & (step &- 1)) &* 2 &+ r / step) &* step)
        r &+= 1
      }
    }
  }

  /// Writes this tile and those behind it on the shelf, `length` rows in all.
  @inline(never) func writeAcross(_ rows: Rows, _ array: xentk_array, _ start: Int, _ length: Int) {
    let row = rows.position(start)
    let isOwn = Int(array.dtype) == E.dtype
    let converted = converted(array, length)
    let isStreamed = rows.streams(array)
    let size = Int(array.size)
    var c = 0
    while c < classes {
      let p = array.address(row, c)
      if isOwn {
        let p = p.assumingMemoryBound(to: E.self)
        var from = UnsafePointer(x) + c &* E.width
        var i = 0
        if isStreamed && UInt(bitPattern: p) & 63 == 0 {
          while i < length {
            E.stream(E.load(from), p + i)
            from += apart
            i &+= E.width
          }
        }
        while i < length {
          E.store(E.load(from), p + i)
          from += apart
          i &+= E.width
        }
      } else {
        var i = 0
        while i < length {
          let from = UnsafePointer(x) + (c &* E.width &+ i / E.width &* apart)
          let to = p + i &* size
          let isLines = isStreamed && (UInt(bitPattern: to) | UInt(converted &* size)) & 63 == 0
          let room = isLines ? UnsafeMutableRawPointer(staged(rows)) : to
          E.scatter(from, converted, to: room, Int(array.dtype), stride: 1, apart: apart, ahead: 0)
          if isLines { xentk_stream(to, room, Int64(converted &* size)) }
          i &+= converted
        }
      }
      c &+= 1
    }
  }

  @inline(never) private func unstage(_ rows: Rows, _ array: xentk_array, _ start: Int, _ count: Int) {
    let staged = staged(rows)
    if isPacked(rows, array) {
      // The last classes first: a block goes beyond a row's end into the next row, which comes later.
      var c = (classes &- 1) & ~(together &- 1)
      while c >= 0 {
        E.toRows(UnsafePointer(x) + c &* E.width, staged + c, classes, E.width)
        c &-= together
      }
      return E.scatter(staged, count &* classes, to: array.address(rows.position(start)), Int(array.dtype), stride: 1)
    }
    var first = 0
    while first < classes {
      let number = min(block, classes &- first)
      var c = 0
      while c < number {
        E.toRows(UnsafePointer(x) + (first &+ c) &* E.width, staged + c, block, E.width)
        c &+= together
      }
      var lane = 0
      while lane < count {
        let p = array.address(rows.position(start &+ lane), first)
        E.scatter(staged + lane &* block, number, to: p, Int(array.dtype), stride: Int(array.class_stride))
        lane &+= 1
      }
      first &+= number
    }
  }
}

extension Rows {
  @inline(__always) var isChanged: Bool { isScaled || problem.pointee.class_mask.isGiven }

  /// Whether each row's classes lie next to each other, and rows at one distance.
  @inline(__always) func isAlong(_ array: xentk_array) -> Bool {
    problem.pointee.inner == 1 && array.class_stride == 1
  }

  /// How many of the rows from `start` on, before `last`, lie in one image.
  @inline(__always) func run(from start: Int, last: Int, atMost most: Int) -> Int {
    let inner = Int(problem.pointee.inner)
    return min(most, min(last &- start, inner == 1 ? most : inner &- start % inner))
  }

  /// Whether each class's elements of `count` rows lie next to each other.
  @inline(__always) func isAcross(_ array: xentk_array, _ start: Int, _ count: Int) -> Bool {
    let inner = Int(problem.pointee.inner)
    if inner == 1 { return array.class_stride != 1 && array.outer_stride == 1 }
    return array.inner_stride == 1 && start % inner &+ count <= inner
  }
}
