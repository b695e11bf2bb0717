// The backward passes of softmax and log-softmax:
//
//   softmax:      grad_logits = probs·(grad_probs − Σ probs·grad_probs)
//   log-softmax:  grad_logits = grad_log_probs − exp(log_probs)·Σ grad_log_probs
//
// carried to twice f64 until they are rounded.

import CXent
import CXentSystem

@inline(never) func softmaxGrad(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>
) {
  let rows = Rows(problem, workspace)
  let isLog = problem.pointee.is_log != 0
  let x = xentk_strip(workspace, 1)
  let g = xentk_strip(workspace, 2)
  let out = xentk_strip(workspace, 3)
  var number = Int(first)
  while number < Int(last) {
    let row = rows.position(number)
    let outcome = rows.source(problem.pointee.input, row)
    let grad = rows.source(problem.pointee.second, row)
    let sink = rows.sink(problem.pointee.grad, row)
    var sum = LaneSum()
    rows.forEachStrip { first, count in
      grad.given(first, count, into: g)
      if !isLog { outcome.given(first, count, into: x) }
      forEachStep(count) { i, n in
        let value = Double.load(g + i, n)
        if isLog {
          sum.add(value)
        } else {
          let p = Double.load(x + i, n)
          let product = p * value
          sum.add(product, fma(p, value, -product))
        }
      }
    }
    let total = sum.total
    rows.forEachStrip { first, count in
      grad.given(first, count, into: g)
      outcome.given(first, count, into: x)
      forEachStep(count) { i, n in
        let result =
          isLog
          ? logSoftmaxGrad(Double.load(x + i, n), Double.load(g + i, n), total)
          : softmaxGrad(Double.load(x + i, n), Double.load(g + i, n), total)
        Double.store(result, out + i)
      }
      sink.put(UnsafePointer(out), first, count)
    }
    number &+= 1
  }
}

@inline(__always) private func softmaxGrad(_ p: Doubles, _ g: Doubles, _ total: (hi: Double, lo: Double)) -> Doubles {
  let (difference, lost) = twoSum(g, Doubles(repeating: -total.hi))
  let rest = lost - total.lo
  let product = p * difference
  let low = fma(p, difference, -product) + p * rest
  let result = product + low
  // What an infinite difference has lost is NaN, and counts for nothing.
  return product.replacing(with: result, where: result .== result)
}

@inline(never) private func logSoftmaxGrad(_ y: Doubles, _ g: Doubles, _ total: (hi: Double, lo: Double)) -> Doubles {
  let totalHi = Doubles(repeating: total.hi)
  let e = exponential(clamped(y, -2000, 2000))
  let product = e.value.hi * totalHi
  let productLow =
    fma(e.value.hi, totalHi, -product) + fma(e.value.hi, Doubles(repeating: total.lo), e.value.lo * totalHi)
  // In two steps: the exponent alone may leave the format where its product with the sum does not.
  let firstStep = clamped(e.exponent, -1000, 1000)
  let scale = powerOfTwo(firstStep)
  let scale2 = powerOfTwo(clamped(e.exponent - firstStep, -1000, 1000))
  let (difference, lost) = twoSum(g, -(product * scale * scale2))
  let rest = lost - productLow * scale * scale2
  // What an infinite difference has lost is NaN, and counts for nothing; a NaN that came in stays.
  var result = difference + rest.replacing(with: 0, where: rest .!= rest)
  result.replace(with: y, where: y .!= y)
  return result
}

extension Rows {
  /// Calls `body` for runs of up to 64 classes.
  @inline(__always) func forEachStrip(_ body: (_ first: Int, _ count: Int) -> Void) {
    var first = 0
    while first < classes {
      let count = min(strip, classes &- first)
      body(first, count)
      first &+= count
    }
  }
}
