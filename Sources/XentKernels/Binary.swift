// Binary cross-entropy with logits, element by element, in f64 pairs:
//
//   log(1 + exp(x)) = max(x, 0) + log1p(exp(−|x|))      a sum of two numbers that are not negative
//   1/(1 + exp(−x)) and exp(−x)/(1 + exp(−x)) both from exp(−|x|) ≤ 1: neither is 1 minus the other

import CXent
import CXentSystem

/// Of eight logits: −log s(x), −log (1 − s(x)), and s and 1 − s themselves.
private struct Sides {
  var lossAt1, lossAt0, s, other: Pair
}

@inline(never) private func sides(_ x: Doubles) -> Sides {
  let zero = Doubles()
  let one = Doubles(repeating: 1)
  let isNegative = x .< 0
  let magnitude = x.replacing(with: -x, where: isNegative)
  let e = exponential(clamped(-magnitude, -1400, 0))
  // In two steps: below 2^-1000 the results may be subnormal.
  let near = clamped(e.exponent, -1000, 0)
  let scale = powerOfTwo(near)
  let scale2 = powerOfTwo(clamped(e.exponent - near, -1000, 0))
  let small = Pair(e.value.hi * scale, e.value.lo * scale)
  let (sum, lost) = twoSum(one, small.hi)
  let both = Pair(normalizing: sum, lost + small.lo)
  var curve = logarithm(both, exponent: zero, offset: Pair(zero, zero))
  let far = e.exponent .< -100
  curve.hi.replace(with: small.hi * scale2, where: far)
  curve.lo.replace(with: zero, where: far)
  let large = Pair(one, zero) / both
  var little = small / both
  little.hi.replace(with: small.hi * scale2, where: far)
  little.lo.replace(with: zero, where: far)

  let (high, highLow) = twoSum(magnitude, curve.hi)
  let steepLow = (highLow + curve.lo).replacing(with: zero, where: magnitude .== .infinity)
  let steep = Pair(high, steepLow)
  func choose(_ negative: Pair, _ positive: Pair) -> Pair {
    var hi = positive.hi.replacing(with: negative.hi, where: isNegative)
    hi.replace(with: x, where: x .!= x)
    return Pair(hi, positive.lo.replacing(with: negative.lo, where: isNegative))
  }
  return Sides(
    lossAt1: choose(steep, curve), lossAt0: choose(curve, steep), s: choose(little, large),
    other: choose(large, little))
}

/// factor·value, and 0 where the factor is 0, but for NaN.
@inline(__always) private func times(_ factor: Doubles, _ value: Pair) -> Pair {
  let zero = Doubles()
  let product = factor * value.hi
  let low = fma(factor, value.hi, -product) + factor * value.lo
  let isNothing = (factor .== 0) .& (value.hi .== value.hi)
  let isOdd = isNothing .| (product - product .!= 0)
  return Pair(product.replacing(with: zero, where: isNothing), low.replacing(with: zero, where: isOdd))
}

@inline(__always) private func plus(_ a: Pair, _ b: Pair) -> Pair {
  let (sum, lost) = twoSum(a.hi, b.hi)
  let low = lost + (a.lo + b.lo)
  return Pair(sum, low.replacing(with: Doubles(), where: sum - sum .!= 0))
}

@inline(never) func binaryCrossEntropy(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows(problem, workspace)
  var number = Int(first)
  while number < Int(last) {
    let row = rows.position(number)
    if rows.target(row).counts {
      binaryRow(rows, row, loss)
    } else {
      if problem.pointee.row_loss.isGiven { rows.sink(problem.pointee.row_loss, row).fill(with: 0) }
      if problem.pointee.grad.isGiven { rows.sink(problem.pointee.grad, row).fill(with: 0) }
    }
    number &+= 1
  }
}

@inline(never) private func binaryRow(_ rows: Rows, _ row: Position, _ loss: UnsafeMutablePointer<xentk_loss>) {
  let problem = rows.problem
  let x = xentk_strip(rows.workspace, 0)
  let y = xentk_strip(rows.workspace, 1)
  let weight = xentk_strip(rows.workspace, 2)
  let positive = xentk_strip(rows.workspace, 3)
  let upstream = xentk_strip(rows.workspace, 4)
  let rowLoss = xentk_strip(rows.workspace, 5)
  let grad = xentk_strip(rows.workspace, 6)
  let hasGrad = problem.pointee.grad.isGiven
  let divisor = Pair(
    Doubles(repeating: problem.pointee.divisor_hi), Doubles(repeating: problem.pointee.divisor_lo))
  let logits = rows.source(problem.pointee.input, row)
  let lossSink = problem.pointee.row_loss.isGiven ? rows.sink(problem.pointee.row_loss, row) : nil
  let gradSink = hasGrad ? rows.sink(problem.pointee.grad, row) : nil
  var sum = LaneSum()
  rows.forEachStrip { first, count in
    logits.given(first, count, into: x)
    problem.pointee.targets.strip(row, first, count, else: 0, into: y)
    problem.pointee.weight.strip(row, first, count, else: 1, into: weight)
    problem.pointee.pos_weight.strip(row, first, count, else: 1, into: positive)
    if hasGrad { problem.pointee.grad_loss.strip(row, first, count, else: 1, into: upstream) }
    forEachStep(count) { i, n in
      let sides = sides(Double.load(x + i, n))
      let label = Double.load(y + i, n)
      let w = Double.load(weight + i, n)
      let up = label * Double.load(positive + i, n)
      let down = 1 - label
      let own = plus(times(up, sides.lossAt1), times(down, sides.lossAt0))
      let l = times(w, own)
      if n == step { sum.add(l.hi, l.lo) } else { sum.addFew(l.hi, l.lo, n) }
      Double.store(l.hi + l.lo, rowLoss + i)
      if hasGrad {
        let difference = plus(times(down, sides.s), times(-up, sides.other))
        let g = times(Double.load(upstream + i, n), times(w, difference)) / divisor
        Double.store(g.hi.replacing(with: g.hi + g.lo, where: g.lo .== g.lo), grad + i)
      }
    }
    lossSink?.put(UnsafePointer(rowLoss), first, count)
    gradSink?.put(UnsafePointer(grad), first, count)
  }
  let total = sum.total
  xentk_accumulate(loss, total.hi, total.lo, 0)
}

extension LaneSum {
  /// `add` for the first `count` lanes.
  @inline(__always) mutating func addFew(_ value: Doubles, _ rest: Doubles, _ count: Int) {
    var value = value
    var rest = rest
    var lane = count
    while lane < step {
      value[lane] = 0
      rest[lane] = 0
      lane &+= 1
    }
    add(value, rest)
  }
}

extension xentk_array {
  /// Up to a strip of classes in f64, or the same number everywhere where there is no such tensor.
  @inline(never) func strip(
    _ row: Position, _ first: Int, _ count: Int, else value: Double, into out: UnsafeMutablePointer<Double>
  ) {
    if isGiven {
      Double.gather(UnsafeRawPointer(address(row, first)), dtype, stride: Int(class_stride), count, into: out)
    } else {
      spread(value, over: out, count)
    }
  }
}
