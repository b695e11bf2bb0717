// How far a student's distribution q is from a teacher's p, class by class from δ = log p − log q, in sums of terms that
// are not negative, so that nothing cancels where the two are nearly the same:
//
//   KL(p, q) = Σ p·(e^−δ − 1 + δ)                    for Σ q = Σ p: what is added to p·δ adds up to nothing
//   KL(q, m) = Σ m·((1−u)·log(1−u) + u)              m = (p + q)/2, u = (p − q)/(p + q) = tanh(δ/2); KL(p, m) with −u
//   q − p    = p·(e^−δ − 1)

import CXent
import CXentSystem

/// Eight probabilities.
private struct Probabilities {
  /// Each is mantissa·2^exponent: what it is multiplied by may be large enough to make a normal number of one below these.
  private let mantissa, exponent: Doubles
  /// As f64 has them.
  let value: Doubles
  /// Whether it is too small for any product.
  private let isNothing: Mask

  @inline(__always) init(_ logProb: Pair) {
    let e = exponential(clamped(logProb.hi, -1400, 0), logProb.lo)
    (mantissa, exponent) = (e.value.hi, e.exponent)
    isNothing = .!(logProb.hi .> -1400)
    let near = clamped(exponent, -1000, 10)
    value = mantissa * powerOfTwo(near) * powerOfTwo(clamped(exponent - near, -1000, 0))
  }

  /// Each times v·factor; 0 where f64 has 0 for it and v is infinite.
  @inline(__always) func times(_ v: Doubles, _ factor: Double = 1) -> Doubles {
    let first = chosen(exponent .< -700, exponent * 0.5 + 0x1.8p52 - 0x1.8p52, else: exponent)
    let product = (v * powerOfTwo(first) * mantissa) * (powerOfTwo(exponent - first) * factor)
    return product.replacing(with: 0, where: isNothing .| (value .== 0) .& .!(product - product .== 0))
  }
}

/// Eight classes.
private struct Comparison {
  var p, q: Probabilities
  /// log p − log q; 0 where both are 0.
  var delta: Doubles
  /// −log q.
  var cost: Doubles
}

/// One row of each of the two, with their largest logits and the losses of these.
private struct Side {
  let source: Source
  let largest: Double
  let loss: (hi: Double, lo: Double)

  /// log p of eight classes.
  @inline(__always) func logProbs(_ x: Doubles) -> Pair {
    let (gap, gapLow) = twoSum(x, Doubles(repeating: -largest))
    let (value, lost) = twoSum(gap, Doubles(repeating: -loss.hi))
    let low = lost + gapLow - loss.lo
    return Pair(value, Doubles().replacing(with: low, where: value - value .== 0))
  }
}

/// e^−δ − 1 + δ ≥ 0 for |δ| < ¼: its Taylor series, to 2^-53.
@inline(__always) private func bend(_ delta: Doubles) -> Doubles {
  var q = Doubles(repeating: 1 / 6_227_020_800)
  for divisor in [479001600.0, 39_916_800, 3_628_800, 362880, 40320, 5040, 720, 120, 24, 6, 2] {
    q = fma(-delta, q, Doubles(repeating: 1 / divisor))
  }
  return delta * delta * q
}

/// (1 − u)·log(1 − u) + u ≥ 0.
@inline(never) private func bendOfMean(_ u: Doubles) -> Doubles {
  // Σ u^k / (k·(k − 1)) from k = 2, for |u| < ⅛
  var series = Doubles(repeating: 1.0 / (19 * 18))
  var k = 18.0
  while k >= 2 {
    series = fma(u, series, Doubles(repeating: 1 / (k * (k - 1))))
    k -= 1
  }
  let (rest, restLow) = twoSum(Doubles(repeating: 1), -u)
  let isNothing = rest .<= 0
  let log = logarithm(
    Pair(rest.replacing(with: 1, where: isNothing), restLow), exponent: Doubles(),
    offset: Pair(Doubles(), Doubles()))
  let whole = (rest * log.hi).replacing(with: 0, where: isNothing) + u
  return whole.replacing(with: series * u * u, where: u * u .< 0x1p-6)
}

private struct DivergenceRow {
  let student, teacher: Side
  let kind: Int

  @inline(__always) var rows: Rows { student.source.rows }

  @inline(never) private func compare(_ first: Int, _ i: Int, _ n: Int) -> Comparison {
    let s = Double.load(xentk_strip(rows.workspace, 1) + i, n)
    let t = Double.load(xentk_strip(rows.workspace, 2) + i, n)
    let logQ = student.logProbs(s)
    let logP = teacher.logProbs(t)
    let (gap, lost) = twoSum(logP.hi, -logQ.hi)
    var delta = gap + (lost + (logP.lo - logQ.lo)).replacing(with: 0, where: gap - gap .!= 0)
    let isNeither = (s .== -.infinity) .& (t .== -.infinity)
    delta.replace(with: 0, where: isNeither)
    return Comparison(p: Probabilities(logP), q: Probabilities(logQ), delta: delta, cost: -(logQ.hi + logQ.lo))
  }

  @inline(__always) private func forEachStep(
    _ body: (_ first: Int, _ i: Int, _ n: Int, _ each: Comparison) -> Void, then: (_ first: Int, _ n: Int) -> Void
  ) {
    rows.forEachStrip { first, count in
      student.source.read(first, count, into: xentk_strip(rows.workspace, 1))
      teacher.source.read(first, count, into: xentk_strip(rows.workspace, 2))
      var i = 0
      while i < count {
        let n = min(step, count &- i)
        body(first, i, n, compare(first, i, n))
        i &+= n
      }
      then(first, count)
    }
  }

  /// u = (p − q) / (p + q), and e^−δ − 1 where that is small.
  @inline(never) private static func tanh(_ each: Comparison) -> Doubles {
    let isSmall = each.delta * each.delta .< 0x1p-4
    let difference = each.delta - bend(each.delta)
    let (p, q) = (each.p.value, each.q.value)
    let direct = (p - q) / (p + q)
    let u = direct.replacing(with: difference / (2 - difference), where: isSmall)
    return u.replacing(with: 0, where: (p .== 0) .& (q .== 0))
  }

  /// log(1 − u) = log(q / m): from u where δ is small, otherwise as ln 2 − log(1 + e^δ), which keeps its digits where q
  /// is nothing next to p.
  @inline(never) private static func logOfRest(_ each: Comparison) -> Doubles {
    let zero = Doubles()
    let none = Pair(zero, zero)
    let (rest, restLow) = twoSum(Doubles(repeating: 1), -tanh(each))
    let near = logarithm(Pair(rest.replacing(with: 1, where: rest .<= 0), restLow), exponent: zero, offset: none)
    let isPositive = each.delta .> 0
    let e = exponential(clamped(each.delta.replacing(with: -each.delta, where: isPositive), -700, 0))
    let scale = powerOfTwo(clamped(e.exponent, -1020, 0))
    let (sum, lost) = twoSum(Doubles(repeating: 1), e.value.hi * scale)
    let curve = logarithm(Pair(normalizing: sum, lost + e.value.lo * scale), exponent: zero, offset: none)
    let far = (0x1.62e42fefa39efp-1 - curve.hi) - zero.replacing(with: each.delta, where: isPositive)
    return far.replacing(with: near.hi, where: each.delta * each.delta .< 1)
  }

  /// Σ over the classes: the loss, and KL(q, m) where that is needed.
  @inline(never) func sums() -> (loss: (hi: Double, lo: Double), toMean: Double) {
    var loss = LaneSum()
    var toMean = LaneSum()
    forEachStep { _, _, n, each in
      let isSmall = each.delta * each.delta .< 0x1p-4
      var term: Doubles
      switch kind {
      case XENT_SOFT_CROSS_ENTROPY:
        term = each.p.times(each.cost)
      case XENT_JENSEN_SHANNON:
        let u = Self.tanh(each)
        let mean = (each.p.value + each.q.value) * 0.5
        let own = mean * bendOfMean(u)
        toMean.add(own, Doubles(), n)
        term = (own + mean * bendOfMean(-u)) * 0.5
      default:
        let isReverse = kind == XENT_REVERSE_KL
        let a = isReverse ? each.q : each.p
        let b = isReverse ? each.p : each.q
        let delta = isReverse ? -each.delta : each.delta
        let direct = a.times(delta) + (b.value - a.value)
        term = direct.replacing(with: a.value * bend(delta), where: isSmall)
      }
      loss.add(term, Doubles(), n)
    } then: { _, _ in
    }
    return (loss.total, toMean.total.hi)
  }

  @inline(never) func write(
    to sink: Sink, factor: (hi: Double, lo: Double), loss: Double, toMean: Double
  ) {
    let out = xentk_strip(rows.workspace, 3)
    forEachStep { first, i, n, each in
      let isSmall = each.delta * each.delta .< 0x1p-4
      var g: Doubles
      switch kind {
      case XENT_REVERSE_KL:
        g = each.q.times(-each.delta - loss, factor.hi)
      case XENT_JENSEN_SHANNON:
        let log = Self.logOfRest(each)
        g = each.q.times((log - toMean) * 0.5, factor.hi)
      default:
        let difference = each.q.value - each.p.value
        g = difference.replacing(with: each.p.value * (bend(each.delta) - each.delta), where: isSmall) * factor.hi
      }
      Double.store(g, out + i)
    } then: { first, count in
      student.source.bend(first, count, out)
      sink.put(UnsafePointer(out), first, count)
    }
  }
}

@inline(never) func divergence(
  _ problem: UnsafePointer<xentk_problem>, _ first: Int64, _ last: Int64,
  _ workspace: UnsafeMutablePointer<xentk_workspace>, _ loss: UnsafeMutablePointer<xentk_loss>
) {
  let rows = Rows(problem, workspace)
  var wanted = Wanted()
  wanted.largest = true
  // Where rows of logits have theirs: on the stack they would be too much for a caller who has little of it.
  let student = xentk_results(workspace).assumingMemoryBound(to: Results.self)
  let teacher = student + 1
  forEachBatch(Int(first), Int(last), size: batchSize(true, classes: rows.classes)) { start, count in
    student.pointee.largest = Batch()
    teacher.pointee.largest = Batch()
    var lane = 0
    while lane < count {
      let row = rows.position(start &+ lane)
      if rows.target(row).counts {
        student.pointee.largest.set(lane, rows.largestState(problem.pointee.input, row, wanted))
        teacher.pointee.largest.set(lane, rows.largestState(problem.pointee.second, row, wanted))
      }
      lane &+= 1
    }
    student.pointee.largest.conclude(count, others: false, in: &student.pointee.largestOutcome)
    teacher.pointee.largest.conclude(count, others: false, in: &teacher.pointee.largestOutcome)
    lane = 0
    while lane < count {
      let row = rows.position(start &+ lane)
      var counts = rows.target(row).counts
      let isEmpty = student.pointee.largest.state(lane).isEmpty || teacher.pointee.largest.state(lane).isEmpty
      if problem.pointee.skips_masked != 0 && isEmpty { counts = false }
      if !counts {
        rows.record(row, (0, 0), in: loss)
        if problem.pointee.grad.isGiven { rows.sink(problem.pointee.grad, row).fill(with: 0) }
      } else {
        let pair = DivergenceRow(
          student: Side(
            source: rows.source(problem.pointee.input, row), largest: student.pointee.largest.kept[lane],
            loss: student.pointee.largestOutcome.wholeLoss(lane)),
          teacher: Side(
            source: rows.source(problem.pointee.second, row), largest: teacher.pointee.largest.kept[lane],
            loss: teacher.pointee.largestOutcome.wholeLoss(lane)),
          kind: Int(problem.pointee.divergence))
        var (sum, toMean) = pair.sums()
        let (own, other) = (student.pointee.largestOutcome.loss, teacher.pointee.largestOutcome.loss)
        if own.hi[lane].isNaN || other.hi[lane].isNaN { sum = (.nan, 0) }
        rows.record(row, sum, in: loss)
        if problem.pointee.grad.isGiven {
          let sink = rows.sink(problem.pointee.grad, row)
          if sum.hi.isNaN {
            sink.fill(with: .nan)
          } else {
            pair.write(to: sink, factor: rows.coefficient(row, (1, 0)), loss: sum.hi + sum.lo, toMean: toMean)
          }
        }
      }
      lane &+= 1
    }
  }
}

extension Rows {
  @inline(never) fileprivate func largestState(_ array: xentk_array, _ row: Position, _ wanted: Wanted) -> RowState {
    Reading(
      source: source(array, row), row: row, wanted: wanted, target: -1,
      targetLogit: 0, top: nil
    ).states().pointee.largest
  }
}
