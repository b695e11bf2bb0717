// Sums over the classes beside that of the exponentials, all relative to the largest logit m: none of their terms is
// negative (but for negative weights), so that nothing cancels, and merging two parts with different m adds and never
// subtracts.

import CXentSystem

struct Sums {
  /// The largest logit m, −inf for none.
  var largest = -Double.infinity
  /// Σ exp(x − m), and Σ (m − x)·exp(x − m): the entropy is log p(m)'s negative plus their quotient.
  var mass = 0.0, massLow = 0.0, moment = 0.0, momentLow = 0.0
  /// Σ a and Σ a·(m − x), a the factors of −log p in the loss.
  var weight = 0.0, weightLow = 0.0, distance = 0.0, distanceLow = 0.0
  /// How many come before the target in the order of size.
  var rank = 0

  @inline(__always) init() {}

  /// Both parts, `a` the one to the left.
  @inline(never) static func + (a: Sums, b: Sums) -> Sums {
    var high = a.largest >= b.largest ? a : b
    let low = a.largest >= b.largest ? b : a
    // Where the lower part is nothing but masks its sums are 0, but a distance may be infinite.
    let gap = low.largest == -.infinity ? 0 : high.largest - low.largest
    if gap < 700 {
      let e = exponential(Doubles(repeating: -gap))
      let scale = powerOfTwo(e.exponent[0])
      let (r, rLow) = (e.value.hi[0] * scale, e.value.lo[0] * scale)
      let (shifted, shiftedLow) = Sums.sum(low.moment, low.momentLow, gap * low.mass, gap * low.massLow)
      high.addMoment(r * shifted, r * shiftedLow + rLow * shifted)
      let mass = r * low.mass
      (high.mass, high.massLow) = Sums.sum(
        high.mass, high.massLow, mass, (-mass).addingProduct(r, low.mass) + r * low.massLow + rLow * low.mass)
    }
    let moved = gap * low.weight
    high.addDistance(moved, (-moved).addingProduct(gap, low.weight) + gap * low.weightLow)
    high.addDistance(low.distance, low.distanceLow)
    (high.weight, high.weightLow) = Sums.sum(high.weight, high.weightLow, low.weight, low.weightLow)
    high.rank = a.rank &+ b.rank
    return high
  }

  @inline(__always) private mutating func addMoment(_ value: Double, _ low: Double) {
    (moment, momentLow) = Sums.sum(moment, momentLow, value, low)
  }

  @inline(__always) private mutating func addDistance(_ value: Double, _ low: Double) {
    (distance, distanceLow) = Sums.sum(distance, distanceLow, value, low)
  }

  /// The sum of two pairs; infinities and NaN come through.
  @inline(__always) static func sum(
    _ a: Double, _ aLow: Double, _ b: Double, _ bLow: Double
  ) -> (hi: Double, lo: Double) {
    let (hi, lost) = twoSum(a, b)
    return hi.isFinite ? (hi, lost + (aLow + bLow)) : (hi, 0)
  }
}

/// A compensated sum in eight lanes.
struct LaneSum {
  var high = Doubles(), low = Doubles()

  @inline(__always) init() {}

  @inline(__always) mutating func add(_ value: Doubles, _ rest: Doubles = Doubles()) {
    let (sum, lost) = twoSum(high, value)
    high = sum
    low += lost + rest
  }

  @inline(__always) var total: (hi: Double, lo: Double) { reduced(high, low) }
}

extension Reading {
  /// The sums of a chunk whose largest logit is `largest`.
  @inline(never) func sums(_ elements: UnsafeRawPointer, _ first: Int, _ count: Int, largest: Double) -> Sums {
    var sums = Sums()
    sums.largest = largest
    if wanted.entropy { addEntropy(&sums, elements, first, count) }
    if wanted.distance { addDistance(&sums, elements, first, count) }
    if wanted.rank { addRank(&sums, elements, first, count) }
    return sums
  }

  @inline(never) private func addEntropy(_ sums: inout Sums, _ elements: UnsafeRawPointer, _ first: Int, _ count: Int) {
    guard sums.largest > -.infinity else { return }
    if !source.rows.isWide { return addEntropyOfNarrow(&sums, elements, first, count) }
    var mass = LaneSum()
    var moment = LaneSum()
    let largest = Doubles(repeating: sums.largest)
    source.rows.forEachStrip(of: elements, first, count) { x, _, n in
      var i = 0
      while i < n {
        // With what the difference loses: a gap of 100 is off by 100 times what its exponential may be.
        let (gap, gapLost) = twoSum(largest, -Double.load(x + i))
        // Beyond 740 nothing is left: and an infinite gap would give infinity times 0.
        let isFar = .!(gap .<= 739)
        let gapLow = gapLost.replacing(with: 0, where: isFar)
        let e = exponential(clamped(-gap, -740, 0), -gapLow)
        let scale = powerOfTwo(clamped(e.exponent, -1000, 0))
        let hi = (e.value.hi * scale).replacing(with: 0, where: isFar)
        let lo = (e.value.lo * scale).replacing(with: 0, where: isFar)
        mass.add(hi, lo)
        let distance = gap.replacing(with: 0, where: isFar)
        let product = hi * distance
        moment.add(product, fma(hi, distance, -product) + (lo * distance + hi * gapLow))
        i &+= step
      }
    }
    (sums.mass, sums.massLow) = mass.total
    (sums.moment, sums.momentLow) = moment.total
  }

  /// Of f32 rows with f64's own roundings, 2^-40 of the sums: their differences are exact, or as good as that.
  @inline(never) private func addEntropyOfNarrow(
    _ sums: inout Sums, _ elements: UnsafeRawPointer, _ first: Int, _ count: Int
  ) {
    var mass = Halves(repeating: 0)
    var moment = Halves(repeating: 0)
    let largest = Halves(repeating: sums.largest)
    source.rows.forEachStrip(of: elements, first, count, filledTo: 2 &* step) { x, _, n in
      var i = 0
      while i < n {
        let gap = largest - Halves(Double.load(x + i), Double.load(x + (i &+ step)))
        let isNear = gap .<= 739
        let e = exponentialOfNarrow(clamped(-gap, -740, 0))
        let scale = powerOfTwo(clamped(e.exponent, -1000, 0))
        let term = chosen(isNear, e.value * scale, else: Halves(repeating: 0))
        mass = mass + term
        moment = moment + term * chosen(isNear, gap, else: Halves(repeating: 0))
        i &+= 2 &* step
      }
    }
    (sums.mass, sums.massLow) = (reduced(mass), 0)
    (sums.moment, sums.momentLow) = (reduced(moment), 0)
  }

  @inline(never) private func addDistance(_ sums: inout Sums, _ elements: UnsafeRawPointer, _ first: Int, _ count: Int)
  {
    let coefficients = Coefficients(source.rows, row, target: target)
    var weight = LaneSum()
    var distance = LaneSum()
    // A part of masks alone: its factors are 0, or the distance is infinite.
    let largest = Doubles(repeating: sums.largest == -.infinity ? 0 : sums.largest)
    source.rows.forEachStrip(of: elements, first, count) { x, start, n in
      let a = coefficients.strip(start, n, withTarget: false)
      var i = 0
      while i < n {
        let factor = Double.load(a + i)
        let (gap, lost) = twoSum(largest, -Double.load(x + i))
        let product = factor * gap
        let isNothing = factor .== 0
        weight.add(factor)
        let rest = fma(factor, gap, -product) + factor * lost
        let isFinite = product - product .== 0
        distance.add(
          product.replacing(with: 0, where: isNothing),
          Doubles().replacing(with: rest, where: isFinite .& .!isNothing))
        i &+= step
      }
    }
    (sums.weight, sums.weightLow) = weight.total
    (sums.distance, sums.distanceLow) = distance.total
  }

  @inline(never) private func addRank(_ sums: inout Sums, _ elements: UnsafeRawPointer, _ first: Int, _ count: Int) {
    var before = Doubles()
    let logit = Doubles(repeating: targetLogit)
    let place = Doubles(repeating: Double(target))
    source.rows.forEachStrip(of: elements, first, count) { x, start, n in
      var number = Doubles(0, 1, 2, 3, 4, 5, 6, 7) + Double(start)
      var i = 0
      while i < n {
        let value = Double.load(x + i)
        let isBefore = (value .> logit) .| ((value .== logit) .& (number .< place))
        before += Doubles().replacing(with: 1, where: isBefore)
        number += 8
        i &+= step
      }
    }
    sums.rank = Int(reduced(before, Doubles()).hi)
  }
}
