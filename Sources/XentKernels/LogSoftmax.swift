import CXentSystem

/// log_probs = (logits − largest) − loss of the largest: the sum leaves the largest out, so that its own
/// log-probability, which may be as small as −1e-30, is not the difference of two equal numbers.
@inline(never) func logSoftmax<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>
) {
  let rows = Rows<E>(problem)
  let scratch = Scratch<E>(scratch)
  forEachBatch(Int(first), Int(last), size: batchSize(E.self, classes: rows.classes)) { start, count in
    let batch = rows.peakStates(start, count, scratch)
    let outcome = batch.outcome()
    var lane = 0
    while lane < count {
      let x = rows.input(start &+ lane)
      let out = rows.output(start &+ lane)
      let hi = outcome.loss.hi[lane]
      let lo = outcome.loss.lo[lane]
      let exponent = outcome.exponent[lane]
      let index = Int(batch.index[lane])
      // A loss with an exponent of its own is nothing next to the others' distance from the largest.
      let loss: (hi: Double, lo: Double) = exponent == 0 ? (hi, lo) : (0, 0)
      subtract(batch.kept[lane], loss, from: x, to: out, rows.classes)
      if index >= 0 { out[index] = E(rounding: exponent == 0 ? 0 - (hi + lo) : -scaled(hi, exponent)) }
      lane &+= 1
    }
  }
}

@inline(never) private func subtract<E: Element>(
  _ largest: Double, _ loss: (hi: Double, lo: Double), from x: UnsafePointer<E>, to out: UnsafeMutablePointer<E>,
  _ count: Int
) {
  let largest = Doubles(repeating: largest)
  let loss = Pair(Doubles(repeating: loss.hi), Doubles(repeating: loss.lo))
  forEachStep(count) { i, n in
    E.store(E.difference(E.load(x + i, n), largest, loss), out + i, n)
  }
}

/// grad_logits = grad_log_probs − exp(log_probs)·Σ grad_log_probs, carried to twice f64 until it is rounded.
@inline(never) func logSoftmaxGrad<E: Element>(
  _: E.Type, _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ scratch: UnsafePointer<xentk_scratch>
) {
  let rows = Rows<E>(problem)
  var row = Int(first)
  while row < Int(last) {
    logSoftmaxGrad(rows.input(row), rows.gradInput(row), to: rows.output(row), rows.classes)
    row &+= 1
  }
}

@inline(never) private func logSoftmaxGrad<E: Element>(
  _ logProbs: UnsafePointer<E>, _ grad: UnsafePointer<E>, to out: UnsafeMutablePointer<E>, _ count: Int
) {
  var high = Doubles()
  var low = Doubles()
  forEachStep(count) { i, n in
    let (sum, lost) = twoSum(high, E.widened(E.load(grad + i, n)))
    high = sum
    low += lost
  }
  let (hi, lo) = reduced(high, low)
  let total = Pair(Doubles(repeating: hi), Doubles(repeating: lo))
  forEachStep(count) { i, n in
    let g = E.widened(E.load(grad + i, n))
    let y = E.widened(E.load(logProbs + i, n))
    let e = exponential(clamped(y, -2000, 2000))
    let product = e.value.hi * total.hi
    let productLow = fma(e.value.hi, total.hi, -product) + fma(e.value.hi, total.lo, e.value.lo * total.hi)
    // In two steps: the exponent alone may leave the format where its product with the sum does not.
    let firstStep = clamped(e.exponent, -1000, 1000)
    let scale = powerOfTwo(firstStep)
    let scale2 = powerOfTwo(clamped(e.exponent - firstStep, -1000, 1000))
    let (difference, lost) = twoSum(g, -(product * scale * scale2))
    let rest = lost - productLow * scale * scale2
    // What an infinite difference has lost is NaN, and counts for nothing; a NaN that came in stays.
    var result = difference + rest.replacing(with: 0, where: rest .!= rest)
    result.replace(with: y, where: y .!= y)
    E.store(E.rounded(result), out + i, n)
  }
}
