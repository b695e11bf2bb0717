import CXent
import CXentSystem
import XentCore

/// Targets with what goes with them, in all functions that have targets.
struct Targets<E: DType> {
  let targets: UnsafePointer<Int64>?
  let weight: UnsafePointer<E>?
  let ignoreIndex: Int64
  let reduction: Int32

  func arrays(_ call: Call, _ shape: Shape) throws(Failure) -> (targets: Array, weight: Array) {
    try call.reduction(reduction)
    return (
      try call.array("targets", targets, Int(shape.rows)), call.optionalArray("weight", weight, Int(shape.classes))
    )
  }

  /// Checks every target, and gives what a mean divides by: the sum of the weights of the targets that count,
  /// compensated.
  func checked(_ call: Call, _ shape: Shape) throws(Failure) -> xentk_loss {
    var sum = xentk_loss()
    guard shape.rows > 0, let targets else { return sum }
    var counted: Int64 = 0
    for row in 0..<Int(shape.rows) {
      let target = targets[row]
      if target == ignoreIndex { continue }
      guard target >= 0, target < shape.classes else {
        throw call.failure(XENT_ERR_TARGET) { text in
          text.add("targets[")
          text.add(Int64(row))
          text.add("] is ")
          text.add(target)
          text.add(", not in [0, ")
          text.add(shape.classes)
          text.add(") and not ignore_index (")
          text.add(ignoreIndex)
          text.add(")")
        }
      }
      counted += 1
      if let weight, isMean {
        let w = weight[Int(target)].asDouble
        // Apart, as for losses: the sum may overflow.
        if w.magnitude >= 0x1p900 && w.isFinite {
          xentk_add(&sum.huge_hi, &sum.huge_lo, w * 0x1p-1000 * 0x1p-100, 0)
        } else {
          xentk_add(&sum.hi, &sum.lo, w, 0)
        }
      }
    }
    if weight == nil { sum.hi = Double(counted) }
    return sum
  }

  var isMean: Bool { Int(reduction) == XENT_REDUCTION_MEAN }
  var isNone: Bool { Int(reduction) == XENT_REDUCTION_NONE }

  /// Elements of the output `loss`.
  func lossCount(_ shape: Shape) -> Int { isNone ? Int(shape.rows) : 1 }
}

extension xentk_problem {
  init<E: DType>(_ operation: Int, _: E.Type, _ shape: Shape) {
    self.init()
    self.operation = xentk_operation(operation)
    dtype = E.dtype
    rows = shape.rows
    classes = shape.classes
    divisor_hi = 1
  }

  mutating func set<E>(_ targets: Targets<E>, weightSum: xentk_loss) {
    self.targets = targets.targets
    weight = UnsafeRawPointer(targets.weight)
    ignore_index = targets.ignoreIndex
    reduction = targets.reduction
    if targets.isMean { (divisor_hi, divisor_lo, divisor_exponent) = weightSum.leading }
  }
}

extension xentk_loss {
  /// The sum as (hi + lo)·2^exponent.
  fileprivate var leading: (hi: Double, lo: Double, exponent: Double) {
    if !hi.isFinite { return (hi, lo, 0) }
    if huge_hi != 0 { return (huge_hi, huge_lo + hi * 0x1p-1000 * 0x1p-100, 1100) }
    if hi == 0 && tiny_hi != 0 { return (tiny_hi, tiny_lo, -1100) }
    return (hi, lo + tiny_hi * 0x1p-1000 * 0x1p-100, 0)
  }

  /// The sum of the losses, divided by the problem's divisor, as the output has it.
  func reduced<E: DType>(_ problem: xentk_problem) -> E {
    let (high, low, exponent) = leading
    guard high.isFinite, problem.divisor_hi.isFinite, problem.divisor_hi != 0 else {
      return E(rounding: high / problem.divisor_hi)
    }
    var divisorExponent = 0.0
    let divisor = xentk_mantissa(problem.divisor_hi, &divisorExponent)
    let divisorLow = xentk_scale(problem.divisor_lo, -divisorExponent)
    let quotient = high / divisor
    // What the division lost, and both low parts.
    let rest = high.addingProduct(-quotient, divisor) + low - quotient * divisorLow
    return E(rounding: xentk_scale(quotient + rest / divisor, exponent - divisorExponent - problem.divisor_exponent))
  }
}
