// What lies in a tensor: numbers of any dtype, with any stride, in and out of the registers' own types.

import CXent
import CXentSystem

/// Where a row begins in every tensor of a call.
struct Position {
  let outer, inner: Int
}

extension xentk_problem {
  /// Whether any array of these bits is given.
  @inline(__always) func gives(_ bits: Int) -> Bool { given & UInt32(truncatingIfNeeded: bits) != 0 }
}

extension xentk_array {
  @inline(__always) var isGiven: Bool { data != nil }

  @inline(__always) func address(_ row: Position, _ c: Int = 0) -> UnsafeMutableRawPointer {
    let elements = row.outer &* Int(outer_stride) &+ row.inner &* Int(inner_stride) &+ c &* Int(class_stride)
    return data.unsafelyUnwrapped + elements &* Int(size)
  }

  /// A floating element, or an unsigned byte.
  @inline(never) func number(_ row: Position, _ c: Int = 0) -> Double { floating(address(row, c), dtype) }

  /// An element of an integer dtype; the door has refused what int64 cannot hold.
  @inline(never) func integer(_ row: Position, _ c: Int = 0) -> Int {
    let p = UnsafeRawPointer(address(row, c))
    switch Int(dtype) {
    case XENT_I64, XENT_U64: return p.loadUnaligned(as: Int.self)
    case XENT_I32: return Int(p.loadUnaligned(as: Int32.self))
    case XENT_U32: return Int(p.loadUnaligned(as: UInt32.self))
    case XENT_I16: return Int(p.loadUnaligned(as: Int16.self))
    case XENT_U16: return Int(p.loadUnaligned(as: UInt16.self))
    case XENT_I8: return Int(p.loadUnaligned(as: Int8.self))
    default: return Int(p.loadUnaligned(as: UInt8.self))
    }
  }

  /// Stores a loss or a statistic, where it is wanted.
  @inline(never) func store(_ value: Double, _ row: Position, _ c: Int = 0) {
    guard isGiven else { return }
    let p = address(row, c)
    if Int(dtype) == XENT_F64 {
      p.storeBytes(of: value, as: Double.self)
    } else {
      p.storeBytes(of: Float(value), as: Float.self)
    }
  }

  /// Stores a class or a rank, where it is wanted.
  @inline(never) func store(index value: Int, _ row: Position, _ c: Int = 0) {
    guard isGiven else { return }
    let p = address(row, c)
    if Int(dtype) == XENT_I64 {
      p.storeBytes(of: value, as: Int.self)
    } else {
      p.storeBytes(of: Int32(truncatingIfNeeded: value), as: Int32.self)
    }
  }
}

@inline(__always) private func floating(_ p: UnsafeRawPointer, _ dtype: Int32) -> Double {
  switch Int(dtype) {
  case XENT_F32: return Double(p.loadUnaligned(as: Float.self))
  case XENT_F64: return p.loadUnaligned(as: Double.self)
  case XENT_U8: return Double(p.loadUnaligned(as: UInt8.self))
  default:
    let bits = SIMD16<UInt16>(repeating: p.loadUnaligned(as: UInt16.self))
    return Double((Int(dtype) == XENT_F16 ? fromHalf(bits) : fromBrain(bits))[0])
  }
}

/// Sixteen bfloat16, exactly.
@inline(__always) func fromBrain(_ v: SIMD16<UInt16>) -> Floats {
  unsafeBitCast(xentk_widen(v) &<< 16, to: Floats.self)
}

/// Sixteen half-precision numbers, exactly: moved to f32's place their exponents are 112 too small, and so are those of
/// subnormals, which the multiplication makes normal.
@inline(__always) func fromHalf(_ v: SIMD16<UInt16>) -> Floats {
  let wide = xentk_widen(v)
  let magnitude = (wide & 0x7FFF) &<< 13
  let value = unsafeBitCast(magnitude, to: Floats.self) * 0x1p112
  var bits = unsafeBitCast(value, to: SIMD16<Int32>.self)
  bits.replace(with: magnitude | 0x7F80_0000, where: value .>= 0x1p16)  // infinities and NaN
  return unsafeBitCast(bits | ((wide & 0x8000) &<< 16), to: Floats.self)
}

/// Sixteen bfloat16, rounded to nearest, ties to even.
@inline(__always) func toBrain(_ v: Floats) -> SIMD16<UInt16> {
  let bits = unsafeBitCast(v, to: SIMD16<Int32>.self)
  var rounded = (bits &+ 0x7FFF &+ ((bits &>> 16) & 1)) &>> 16
  rounded.replace(with: (bits &>> 16) | 0x40, where: v .!= v)
  return xentk_narrow(rounded)
}

/// Sixteen half-precision numbers, rounded to nearest, ties to even.
@inline(__always) func toHalf(_ v: Floats) -> SIMD16<UInt16> {
  let bits = unsafeBitCast(v, to: SIMD16<Int32>.self)
  let magnitude = bits & 0x7FFF_FFFF
  let size = unsafeBitCast(magnitude, to: Floats.self)
  var result = (magnitude &+ 0xFFF &+ ((magnitude &>> 13) & 1) &- (112 &<< 23)) &>> 13
  // Below 2^-14 the addition rounds to a multiple of 2^-24, which is what a subnormal counts.
  let counted = unsafeBitCast(size + 0.5, to: SIMD16<Int32>.self)
  result.replace(with: counted &- 0x3F00_0000, where: size .< 0x1p-14)
  result.replace(with: 0x7C00, where: size .>= 65520)
  result.replace(with: 0x7E00, where: size .!= size)
  return xentk_narrow(result | ((bits &>> 16) & 0x8000))
}

/// Calls `body` for sixteen elements at a time, of sixteen at least: the last may be some of those before once more.
@inline(__always) private func forEachSixteen(_ count: Int, _ body: (_ first: Int) -> Void) {
  let last = count &- Floats.scalarCount
  var i = 0
  while i < last {
    body(i)
    i &+= Floats.scalarCount
  }
  body(last)
}

extension Element {
  /// Fetches `count` elements of a dtype, `stride` elements apart; what lies `ahead` of those fetched is brought into the
  /// caches. Of 16 bits whole widths that lie next to each other may become rows of a tile, `apart` from one to the next.
  @inline(never) static func gather(
    _ p: UnsafeRawPointer, _ dtype: Int, stride: Int, _ count: Int, into out: UnsafeMutablePointer<Self>,
    apart: Int = width, ahead: Int = 0
  ) {
    switch dtype {
    case XENT_F32:
      let p = p.assumingMemoryBound(to: Float.self)
      fetch(p, stride, count, into: out, apart: width, ahead) {
        xentk_load_floats($0)
      } one: {
        from($0)
      }
    case XENT_F64:
      let p = p.assumingMemoryBound(to: Double.self)
      var i = 0
      while i < count {
        out[i] = Self(rounding: p[i &* stride])
        i &+= 1
      }
    case XENT_U8:
      let p = p.assumingMemoryBound(to: UInt8.self)
      var i = 0
      while i < count {
        out[i] = Self(rounding: Double(p[i &* stride]))
        i &+= 1
      }
    case XENT_F16: fetchHalves(p, stride, count, into: out, apart: apart, ahead) { fromHalf($0) }
    default: fetchHalves(p, stride, count, into: out, apart: apart, ahead) { fromBrain($0) }
    }
  }

  @inline(__always) private static func fetchHalves(
    _ p: UnsafeRawPointer, _ stride: Int, _ count: Int, into out: UnsafeMutablePointer<Self>, apart: Int, _ ahead: Int,
    _ convert: (SIMD16<UInt16>) -> Floats
  ) {
    fetch(p.assumingMemoryBound(to: UInt16.self), stride, count, into: out, apart: apart, ahead) {
      convert(xentk_load_halves($0))
    } one: {
      from(convert(SIMD16(repeating: $0))[0])
    }
  }

  /// Sixteen at a time where they lie next to each other, and otherwise one by one.
  @inline(__always) private static func fetch<Stored>(
    _ p: UnsafePointer<Stored>, _ stride: Int, _ count: Int, into out: UnsafeMutablePointer<Self>, apart: Int,
    _ ahead: Int, _ sixteen: (UnsafePointer<Stored>) -> Floats, one: (Stored) -> Self
  ) {
    if stride == 1 && count >= Floats.scalarCount {
      return forEachSixteen(count) { i in
        xentk_prefetch(p + (i &+ ahead))
        storeFloats(sixteen(p + i), out + place(i, apart), apart: apart)
      }
    }
    var i = 0
    while i < count {
      out[i] = one(p[i &* stride])
      i &+= 1
    }
  }

  /// Where element i is, the first of some of a width that are `apart` from the next.
  @inline(__always) private static func place(_ i: Int, _ apart: Int) -> Int {
    (i &>> width.trailingZeroBitCount) &* apart &+ (i & (width &- 1))
  }

  /// Puts `count` elements into a tensor, rounded to its dtype; `apart` and `ahead`, of 16 bits both, as in `gather`.
  @inline(never) static func scatter(
    _ source: UnsafePointer<Self>, _ count: Int, to p: UnsafeMutableRawPointer, _ dtype: Int, stride: Int,
    apart: Int = width, ahead: Int = aheadToWrite
  ) {
    switch dtype {
    case XENT_F32:
      let p = p.assumingMemoryBound(to: Float.self)
      var i = 0
      while i < count {
        p[i &* stride] = Float(source[i].widened)
        i &+= 1
      }
    case XENT_F64:
      let p = p.assumingMemoryBound(to: Double.self)
      var i = 0
      while i < count {
        p[i &* stride] = source[i].widened
        i &+= 1
      }
    case XENT_F16: putHalves(source, count, to: p, stride, apart, ahead) { toHalf($0) }
    default: putHalves(source, count, to: p, stride, apart, ahead) { toBrain($0) }
    }
  }

  @inline(__always) private static func putHalves(
    _ source: UnsafePointer<Self>, _ count: Int, to p: UnsafeMutableRawPointer, _ stride: Int, _ apart: Int,
    _ ahead: Int, _ convert: (Floats) -> SIMD16<UInt16>
  ) {
    let p = p.assumingMemoryBound(to: UInt16.self)
    if stride == 1 && count >= Floats.scalarCount {
      return forEachSixteen(count) { i in
        xentk_prefetch(p + (i &+ ahead))
        xentk_store_halves(p + i, convert(loadFloats(source + place(i, apart), apart: apart)))
      }
    }
    var i = 0
    while i < count {
      // Rounded twice.
      let float = xentk_floats(oddFloats(Doubles(repeating: source[i].widened)))[0]
      p[i &* stride] = convert(Floats(repeating: float))[0]
      i &+= 1
    }
  }
}
