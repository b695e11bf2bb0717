// A kernel call's rows: where they lie, which of them count, and how their elements come and go.

import CXent
import CXentSystem

/// One kernel call's view of the problem. Of this, `Source` and `Sink` all fields are whole words: copies of smaller ones, and of
/// gaps between them, are made by loads of more than was stored by one store, which wait until all stores before are done.
struct Rows {
  let problem: UnsafePointer<xentk_problem>
  let workspace: UnsafeMutablePointer<xentk_workspace>
  let classes: Int
  /// The classes that this kernel call goes over: all of them, but in a piece.
  var range: Range
  private let inner: Int

  struct Range {
    var first, end: Int

    @inline(__always) func contains(_ c: Int) -> Bool { c >= first && c < end }
  }

  @inline(__always) init(
    _ problem: UnsafePointer<xentk_problem>, _ workspace: UnsafeMutablePointer<xentk_workspace>
  ) {
    self.problem = problem
    self.workspace = workspace
    classes = Int(problem.pointee.classes)
    range = Range(first: 0, end: classes)
    inner = Int(problem.pointee.inner)
  }

  @inline(__always) var isWide: Bool { problem.pointee.is_wide != 0 }

  /// Of what rows are worked on as.
  @inline(__always) var dtype: Int { isWide ? XENT_F64 : XENT_F32 }

  /// Whether what is made of exponentials is to be `Writer.writeRounded`'s: of rows of several chunks alone, as the terms of one stay in
  /// L1, where nothing is gained by half of them. (Measured: 1.03 to 1.08 in place, 0.95 out of place.)
  @inline(__always) var isRounded: Bool { problem.pointee.is_fastest != 0 && !isWide && classes > chunk }

  /// Whether there are outputs of the logits' shape.
  @inline(__always) var hasMatrix: Bool {
    problem.pointee.grad.isGiven || problem.pointee.probs.isGiven || problem.pointee.log_probs.isGiven
  }

  /// Whether what the logits' shape is written to is in the caches by then.
  @inline(__always) func isNear(_ output: xentk_array) -> Bool {
    output.data == problem.pointee.input.data || Int(problem.pointee.rows) &* classes <= 4 &<< 20
  }

  /// Whether the terms can be left where the output, the only one of its shape, is to be. Measured: where
  /// that comes from memory, to bring it while the logits are read takes what is gained, or more.
  @inline(__always) func canLeaveTerms(in output: xentk_array) -> Bool {
    let row = Position(outer: 0, inner: 0)
    return isRounded && Int(problem.pointee.phase) == XENTK_WHOLE && isNear(output)
      && source(problem.pointee.input, row).isDirect && sink(output, row).isDirect
      && chunks &* batchSize(isWide, classes: classes) <= 2 &* Int(XENTK_CHUNK)
  }

  /// There, and the chunks' exponents where else a row's elements would be.
  @inline(__always) func roundedTerms(_ output: xentk_array, _ row: Position, _ lane: Int) -> RoundedTerms {
    let exponents = UnsafeMutableRawPointer(xentk_chunk(workspace)).assumingMemoryBound(to: Float.self)
    return RoundedTerms(
      out: output.address(row).assumingMemoryBound(to: Float.self), exponents: exponents + lane &* chunks)
  }

  /// Whether an output of the logits' shape, of elements of so many bytes, goes past the caches unless it is in place: a line at a time,
  /// as it would hardly be found there afterwards. Measured: with AVX2 (Zen 3), from 16 MiB on, rows of f32 are written 1.03 to 1.3 times as
  /// fast (f64's, of which the exponentials take longer, are not), runs of a class, where classes lie apart, 1.2 to 1.4; with AVX-512
  /// (Zen 5) it is faster to fetch ahead what is written to, but for rows of 1400 classes and more of which the terms are in L1: from
  /// 24 MiB on those take up to a sixth less time.
  @inline(__always) func streams(_ size: Int, hasTerms: Bool = false) -> Bool {
    let bytes = Int(problem.pointee.rows) &* classes &* size
    #if XENT_V3
      return bytes > 16 &<< 20
    #else
      return hasTerms && classes >= 1400 && bytes >= 24 &<< 20
    #endif
  }

  @inline(__always) func streams(_ output: xentk_array) -> Bool {
    streams(Int(output.size)) && output.data != problem.pointee.input.data
  }

  /// Whether there may be an output that does.
  @inline(__always) var mayStream: Bool { streams(8, hasTerms: true) }

  @inline(__always) private var chunks: Int { (classes &+ (chunk &- 1)) / chunk }

  /// Whether the second pass over a row goes from its end to its beginning, which has left L2 by then. Measured: it pays for one
  /// row or a few of them; of many the next one's beginning would not have been fetched.
  @inline(__always) var goesBack: Bool {
    let size = classes &* (isWide ? 8 : 4)
    return size >= 1 &<< 18 && Int(problem.pointee.rows) &* size <= 1 &<< 22
  }

  /// How far ahead of what is written memory is fetched.
  @inline(__always) var ahead: Int { goesBack ? -chunk : aheadToWrite }

  @inline(__always) func position(_ row: Int) -> Position {
    if inner == 1 { return Position(outer: row, inner: 0) }
    let outer = row / inner
    return Position(outer: outer, inner: row &- outer &* inner)
  }

  /// Whether the options change logits before anything is done with them.
  @inline(__always) var isScaled: Bool { problem.pointee.temperature != 1 || problem.pointee.softcap != 0 }

  @inline(__always) func source(_ array: xentk_array, _ row: Position) -> Source {
    Source(
      rows: self, start: UnsafeRawPointer(array.address(row)), stride: Int(array.class_stride), dtype: Int(array.dtype))
  }

  @inline(__always) func sink(_ array: xentk_array, _ row: Position) -> Sink {
    Sink(rows: self, start: array.address(row), stride: Int(array.class_stride), dtype: Int(array.dtype))
  }

  @inline(__always) func isMasked(_ c: Int) -> Bool {
    let mask = problem.pointee.class_mask
    return mask.isGiven && mask.integer(Position(outer: 0, inner: 0), c) == 0
  }

  @inline(__always) func weight(_ c: Int) -> Double {
    let weight = problem.pointee.weight
    return weight.isGiven ? weight.number(Position(outer: 0, inner: 0), c) : 1
  }

  /// The upstream gradient.
  @inline(__always) func upstream(_ row: Position) -> Double {
    let grad = problem.pointee.grad_loss
    return grad.isGiven ? grad.number(row) : 1
  }

  /// Whether a row counts, and its target: −1 where that is not an index.
  @inline(__always) func target(_ row: Position) -> (counts: Bool, index: Int) {
    let mask = problem.pointee.row_mask
    if mask.isGiven && mask.integer(row) == 0 { return (false, -1) }
    let targets = problem.pointee.targets
    let ignored = Int(problem.pointee.ignore_index)
    switch Int(problem.pointee.target_kind) {
    case XENTK_INDEX:
      let target = targets.integer(row)
      return target == ignored ? (false, -1) : (true, target)
    case XENTK_SPARSE:
      var k = 0
      while k < Int(targets.classes) {
        if targets.integer(row, k) != ignored { return (true, -1) }
        k &+= 1
      }
      return (false, -1)
    default: return (true, -1)
    }
  }

  /// The same of up to eight rows: 1 or 0, and −1.
  @inline(__always) func targets(_ first: Int, _ count: Int) -> (counts: SIMD8<Int64>, index: SIMD8<Int64>) {
    let targets = problem.pointee.targets
    if count == step && Int(problem.pointee.target_kind) == XENTK_NO_TARGET && !problem.pointee.row_mask.isGiven {
      return (SIMD8(repeating: 1), SIMD8(repeating: -1))
    }
    let isInteger = Int(targets.dtype) == XENT_I64 || Int(targets.dtype) == XENT_I32
    if count == step && Int(problem.pointee.target_kind) == XENTK_INDEX && isInteger
      && !problem.pointee.row_mask.isGiven && isRun(targets, first, step)
    {
      let p = targets.address(position(first))
      let eight = Int(targets.dtype) == XENT_I64 ? p.loadUnaligned(as: SIMD8<Int64>.self) : xentk_load_ints(p)
      let isIgnored = xentk_equal(eight, problem.pointee.ignore_index)
      return (isIgnored &+ 1, isIgnored | eight)
    }
    var counts = SIMD8<Int64>()
    var index = SIMD8<Int64>(repeating: -1)
    var lane = 0
    while lane < count {
      let (isCounted, target) = self.target(position(first &+ lane))
      counts[lane] = isCounted ? 1 : 0
      index[lane] = Int64(target)
      lane &+= 1
    }
    return (counts, index)
  }

  /// Whether the elements of `count` rows, which have one each, lie next to each other.
  @inline(__always) private func isRun(_ array: xentk_array, _ first: Int, _ count: Int) -> Bool {
    inner == 1 ? array.outer_stride == 1 : array.inner_stride == 1 && first % inner &+ count <= inner
  }

  /// Stores a loss or a statistic of each of up to eight rows, where it is wanted.
  @inline(__always) func store(_ v: Doubles, in array: xentk_array, _ first: Int, _ count: Int) {
    guard array.isGiven else { return }
    if count == step && Int(array.dtype) == XENT_F32 && isRun(array, first, step) {
      return xentk_store_8floats(array.address(position(first)), xentk_floats(v))
    }
    var lane = 0
    while lane < count {
      array.store(v[lane], position(first &+ lane))
      lane &+= 1
    }
  }

  /// factor·upstream / (temperature·divisor): what a gradient is multiplied by, as hi + lo.
  @inline(never) func coefficient(_ row: Position, _ factor: (hi: Double, lo: Double)) -> (hi: Double, lo: Double) {
    var (top, topLow) = factor
    let upstream = upstream(row)
    if upstream != 1 { (top, topLow) = times(top, topLow, upstream) }
    let exponent = problem.pointee.divisor_exponent
    let isApart = exponent != 0 && top != 0 && top.isFinite
    // Neither the scaling nor the division alone is to leave the format.
    var own = 0.0
    if isApart {
      let mantissa = xentk_mantissa(top, &own)
      topLow = scaled(topLow, -own)
      top = mantissa
    }
    (top, topLow) = divide(top, topLow, by: problem.pointee.divisor_hi, problem.pointee.divisor_lo)
    if isApart {
      top = scaled(top, own - exponent)
      topLow = scaled(topLow, own - exponent)
    }
    return divide(top, topLow, by: problem.pointee.temperature, 0)
  }

  /// Adds (hi + lo)·2^exponent, times the weight, to the losses; stores it where per-row losses are wanted.
  @inline(never) func record(
    _ row: Position, _ value: (hi: Double, lo: Double), weight: Double = 1, exponent: Double = 0, _ c: Int = 0,
    in loss: UnsafeMutablePointer<xentk_loss>
  ) {
    let hi = weight * value.hi
    let size = hi.magnitude
    if exponent == 0 && size >= 0x1p-900 && size < 0x1p900 {
      let lo = (-hi).addingProduct(weight, value.hi) + weight * value.lo
      xentk_add(&loss.pointee.hi, &loss.pointee.lo, hi, lo)
      problem.pointee.row_loss.store(hi + lo, row, c)
    } else if weight.isFinite && value.hi.isFinite && weight != 0 && value.hi != 0 {
      // The product may leave the format where the reduced loss does not: exponents go apart.
      var weightExponent = 0.0
      var valueExponent = 0.0
      let w = xentk_mantissa(weight, &weightExponent)
      let v = xentk_mantissa(value.hi, &valueExponent)
      let product = w * v
      let low = (-product).addingProduct(w, v) + w * (value.lo / value.hi * v)
      let total = exponent + weightExponent + valueExponent
      xentk_accumulate(loss, product, low, total)
      problem.pointee.row_loss.store(scaled(product + low, total), row, c)
    } else {
      xentk_add(&loss.pointee.hi, &loss.pointee.lo, hi, 0)
      problem.pointee.row_loss.store(hi + 0, row, c)  // 0, not −0
    }
  }
}

/// value·2^exponent with one rounding.
@inline(never) func scaled(_ value: Double, _ exponent: Double) -> Double { xentk_scale(value, exponent) }

/// (hi + lo)·factor, as hi + lo.
@inline(__always) func times(_ hi: Double, _ lo: Double, _ factor: Double) -> (hi: Double, lo: Double) {
  let product = hi * factor
  return product.isFinite ? (product, (-product).addingProduct(hi, factor) + lo * factor) : (product, 0)
}

/// (hi + lo) / (by + low), as hi + lo.
@inline(__always) func divide(
  _ hi: Double, _ lo: Double, by divisor: Double, _ low: Double
) -> (hi: Double, lo: Double) {
  if divisor == 1 && low == 0 { return (hi, lo) }
  let quotient = hi / divisor
  if !quotient.isFinite || quotient == 0 { return (quotient, 0) }
  return (quotient, -((-hi).addingProduct(quotient, divisor) + quotient * low - lo) / divisor)
}

@inline(__always) func min(_ a: Int, _ b: Int) -> Int { a < b ? a : b }
