// Losses that are a function F of −log p[target] = l: focal (Lin et al., Focal Loss for Dense Object Detection, 2017)
// and PolyLoss (Leng et al., PolyLoss, 2022), which go together:
//
//   F(l)  = (1 − p)^γ · (l + ε·(1 − p))                               p = exp(−l)
//   F'(l) = (1 − p)^γ · (1 + γ·p·l/(1 − p) + ε·(γ + 1)·p)
//
// 1 − p is the sum over the other classes, so that both are right where p is nearly 1; l/(1 − p) is 1 there.

import CXentSystem

extension Outcome {
  /// F and F' of eight rows.
  @inline(never) func focal(gamma: Double, epsilon: Double) -> (value: Pair, slope: Pair) {
    let one = Doubles(repeating: 1)
    let zero = Doubles()
    // Where exponents are apart, l and 1 − p are below 2^-900 and equal: what is left of them when they are put
    // together is all that F can show.
    let isTiny = exponent .< 0
    let scale = powerOfTwo(clamped(exponent, -1000, 0)).replacing(with: 0, where: exponent .< -1000)
    var l = loss
    var rest = others
    l.hi.replace(with: loss.hi * scale, where: isTiny)
    l.lo.replace(with: zero, where: isTiny)
    rest.hi.replace(with: others.hi * scale, where: isTiny)
    rest.lo.replace(with: zero, where: isTiny)
    l.hi.replace(with: Doubles(repeating: .infinity), where: exponent .> 0)

    var power = Pair(one, zero)
    if gamma != 0 {
      let isNothing = rest.hi .== 0
      let logarithm = logarithm(
        Pair(rest.hi.replacing(with: one, where: isNothing), rest.lo), exponent: zero, offset: Pair(zero, zero))
      let product = logarithm.hi * gamma
      let low = fma(logarithm.hi, Doubles(repeating: gamma), -product) + logarithm.lo * gamma
      let e = exponential(clamped(product, -2000, 0), low)
      let size = powerOfTwo(clamped(e.exponent, -1022, 0))
      power = Pair(e.value.hi * size, e.value.lo * size)
      power.hi.replace(with: zero, where: isNothing .| (product .< -700))
      power.lo.replace(with: zero, where: isNothing .| (product .< -700))
    }
    let p = exponential(clamped(-l.hi, -740, 0), -l.lo)
    let pScale = powerOfTwo(clamped(p.exponent, -1000, 0))
    let chance = p.value.hi * pScale
    var ratio = l.hi / rest.hi
    ratio.replace(with: one, where: rest.hi .== 0)
    var bend = chance * ratio * gamma
    bend.replace(with: zero, where: chance .== 0)  // an infinite loss
    bend += chance * (epsilon * (gamma + 1))
    bend.replace(with: zero, where: l.hi .>= 739)

    let (sum, lost) = twoSum(l.hi, rest.hi * epsilon)
    let sumLow = lost + fma(rest.hi, Doubles(repeating: epsilon), -(rest.hi * epsilon)) + (l.lo + rest.lo * epsilon)
    let isFinite = sum - sum .== 0
    var value = power * Pair(sum, zero.replacing(with: sumLow, where: isFinite))
    value.hi.replace(with: sum, where: .!isFinite)
    value.lo.replace(with: zero, where: .!isFinite)
    let (factor, factorLow) = twoSum(one, bend)
    var slope = power * Pair(factor, factorLow)
    slope.hi.replace(with: sum, where: sum .!= sum)
    return (value, slope)
  }
}
