// The gradient where more than one class has a label, or the logits' probabilities have a factor of their own:
//
//   grad[c] = factor·(B·p[c] − a[c])·dz/dx,    B = Σ a + 2·z_loss·lse
//
// in f64 with what each step loses, so that where B·p and a cancel the error is that of the logits' exponentials alone.
// For the class kept out of the sum (Σ a − a[c]) − Σ a·(1 − p[c]) + 2·z_loss·lse·p[c]: right where p is nearly 1.

import CXent
import CXentSystem

struct MixedGradient {
  let source: Source
  let coefficients: Coefficients
  /// Σ a, and 2·z_loss·lse.
  let labels: (hi: Double, lo: Double)
  let extra: (hi: Double, lo: Double)
  /// The row's state with one class kept out, and 1 − p of that class.
  let state: RowState
  let others: (hi: Double, lo: Double)
  let factor: (hi: Double, lo: Double)
  /// Without labels a is 0 throughout, and Σ a stands for the 1 in 1 + 2·z_loss·lse.
  let hasLabels: Bool

  @inline(never) func write(to sink: Sink) {
    let rows = source.rows
    let total = state.total
    if !total.isOrdinary { return sink.fill(with: .nan) }
    let both = Sums.sum(labels.hi, labels.lo, extra.hi, extra.lo)
    let share =
      Pair(Doubles(repeating: both.hi), Doubles(repeating: both.lo))
      / Pair(Doubles(repeating: total.hi), Doubles(repeating: total.lo))
    let out = xentk_strip(rows.workspace, 3)
    // An index target may be anything but: B·p may then be all there is, and less than what Σ a loses.
    let isNearlyCertain = coefficients.target < 0 || others.hi < 0.5
    source.forEachChunk { elements, chunkFirst, chunkCount in
      rows.forEachStrip(of: elements, chunkFirst, chunkCount) { x, first, count in
        let a = coefficients.strip(first, count, withTarget: true)
        differences(x, a, count, total, share, into: out)
        let kept = state.index &- first
        if isNearlyCertain && kept >= 0 && kept < count { out[kept] = keptOne(a[kept]) }
        // Before anything is written: in place it would be over the logits.
        source.bend(first, count, out)
        sink.put(UnsafePointer(out), first, count)
      }
    }
  }

  @inline(never) private func differences(
    _ x: UnsafePointer<Double>, _ a: UnsafePointer<Double>, _ count: Int, _ total: Wide, _ share: Pair,
    into out: UnsafeMutablePointer<Double>
  ) {
    let anchor = Doubles(repeating: total.anchor)
    let scaleDown = Doubles(repeating: total.exponent)
    let c = Doubles(repeating: factor.hi)
    let cLow = Doubles(repeating: factor.lo)
    var i = 0
    while i < count {
      let (gap, gapLow) = twoSum(Double.load(x + i), -anchor)
      let isFinite = gap - gap .== 0
      let e = exponential(clamped(gap, -0x1p16, 0x1p16), Doubles().replacing(with: gapLow, where: isFinite))
      let p = e.value * share
      // In two steps: 2^n alone may leave the format where p does not.
      let n = e.exponent - scaleDown
      let firstStep = clamped(n, -1000, 1000)
      let scale = powerOfTwo(firstStep)
      let scale2 = powerOfTwo(clamped(n - firstStep, -1000, 1000))
      let (difference, lost) = twoSum(p.hi * scale * scale2, -Double.load(a + i))
      let rest = lost + p.lo * scale * scale2
      let product = difference * c
      let low = fma(difference, c, -product) + (rest * c + difference * cLow)
      let whole = product + low
      Double.store(whole.replacing(with: product, where: whole .!= whole), out + i)
      i &+= step
    }
  }

  @inline(never) private func keptOne(_ a: Double) -> Double {
    let own = hasLabels ? Sums.sum(labels.hi, labels.lo, -a, 0) : labels
    let away = product(labels.hi, labels.lo, others.hi, others.lo)
    var sum = Sums.sum(own.hi, own.lo, -away.hi, -away.lo)
    if extra.hi != 0 {
      let p = Sums.sum(1, 0, -others.hi, -others.lo)
      let part = product(extra.hi, extra.lo, p.hi, p.lo)
      sum = Sums.sum(sum.hi, sum.lo, part.hi, part.lo)
    }
    let result = product(sum.hi, sum.lo, factor.hi, factor.lo)
    return result.hi + result.lo
  }
}

extension Source {
  /// dz/dx = sech²(x / softcap), the temperature being in the factor: 4u / (1 + u)² with u = exp(−2·|x| / softcap).
  @inline(never) func bend(_ first: Int, _ count: Int, _ out: UnsafeMutablePointer<Double>) {
    let softcap = rows.problem.pointee.softcap
    if softcap == 0 { return }
    let x = xentk_strip(rows.workspace, 0)
    given(first, count, into: x)
    var i = 0
    while i < count {
      let size = x[i].magnitude
      let y = size / softcap
      // What the division lost is as much of u as u's exponent is large.
      let yLow = y < 700 ? size.addingProduct(-y, softcap) / softcap : 0
      let e = exponential(clamped(Doubles(repeating: -2 * y), -1400, 0), Doubles(repeating: -2 * yLow))
      let u = scaled(e.value.hi[0], e.exponent[0])
      // A mask has no slope, and 0 whatever stands there.
      out[i] = x[i] == -.infinity ? 0 : out[i] * (4 * u / ((1 + u) * (1 + u)))
      i &+= 1
    }
  }
}

extension Rows {
  /// Makes z of x: softcap·tanh(x / softcap) / temperature. A mask stays one.
  @inline(never) func scale(_ x: UnsafeMutablePointer<Double>, _ count: Int) {
    let softcap = problem.pointee.softcap
    let temperature = problem.pointee.temperature
    var i = 0
    while i < count {
      let n = min(step, count &- i)
      var v = Double.load(x + i, n)
      if softcap != 0 {
        // tanh y = (1 − u) / (1 + u), u = exp(−2·|y|), with the sign of y; 1 − u from the exponential's both parts.
        let y = v / softcap
        let magnitude = y.replacing(with: -y, where: y .< 0)
        let e = exponential(clamped(-2 * magnitude, -1400, 0))
        let scale = powerOfTwo(clamped(e.exponent, -1000, 0))
        let u = e.value.hi * scale
        let tanh = ((1 - u) - e.value.lo * scale) / (1 + u)
        var capped = tanh * softcap
        capped.replace(with: -capped, where: y .< 0)
        capped.replace(with: v, where: (v .== -.infinity) .| (v .!= v))
        v = capped
      }
      Double.store(v / temperature, x + i, n)
      i &+= n
    }
  }
}

/// The product of two pairs.
@inline(__always) func product(
  _ a: Double, _ aLow: Double, _ b: Double, _ bLow: Double
) -> (hi: Double, lo: Double) {
  let product = a * b
  return product.isFinite ? (product, (-product).addingProduct(a, b) + (a * bLow + aLow * b)) : (product, 0)
}
