// From the rows' losses to one number.

import CXent
import CXentSystem
import XentCore

extension Call {
  func checkReduction(_ reduction: Int32) throws(Failure) {
    switch Int(reduction) {
    case XENT_REDUCTION_NONE, XENT_REDUCTION_MEAN, XENT_REDUCTION_SUM, XENT_REDUCTION_MEAN_ROWS: return
    default:
      throw failure(XENT_ERR_OPTION) { text in
        text.add("reduction", Int64(reduction), ", not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)")
      }
    }
  }

  /// Sets what the gradient and the reduced loss are divided by. `elements`: the loss is one for each of them, not one
  /// for each row.
  func setDivisor(_ reduction: Int32, _ counted: Counted, elements: Bool = false) {
    switch Int(reduction) {
    case XENT_REDUCTION_MEAN:
      if elements {
        problem.pointee.divisor_hi = Double(counted.rows) * Double(problem.pointee.classes)
      } else {
        (problem.pointee.divisor_hi, problem.pointee.divisor_lo, problem.pointee.divisor_exponent) =
          counted.weight.leading
      }
    case XENT_REDUCTION_MEAN_ROWS: problem.pointee.divisor_hi = Double(counted.rows)
    default: return  // a sum, or the gradient of one
    }
  }
}

extension xentk_loss {
  /// The sum as (hi + lo)·2^exponent.
  var leading: (hi: Double, lo: Double, exponent: Double) {
    if !hi.isFinite { return (hi, lo, 0) }
    if huge_hi != 0 { return (huge_hi, huge_lo + hi * 0x1p-1000 * 0x1p-100, 1100) }
    if hi == 0 && tiny_hi != 0 { return (tiny_hi, tiny_lo, -1100) }
    return (hi, lo + tiny_hi * 0x1p-1000 * 0x1p-100, 0)
  }

  /// The sum in one number.
  var sum: Double {
    let (high, low, exponent) = leading
    return high.isFinite ? xentk_scale(high + low, exponent) : high
  }

  /// The sum of the losses, divided by the problem's divisor.
  func reduced(_ problem: UnsafePointer<xentk_problem>) -> Double {
    if problem.pointee.divisor_hi == 1 && problem.pointee.divisor_lo == 0 && problem.pointee.divisor_exponent == 0 {
      return sum
    }
    let (high, low, exponent) = leading
    guard high.isFinite, problem.pointee.divisor_hi.isFinite, problem.pointee.divisor_hi != 0 else {
      return high / problem.pointee.divisor_hi
    }
    var divisorExponent = 0.0
    let divisor = xentk_mantissa(problem.pointee.divisor_hi, &divisorExponent)
    let divisorLow = xentk_scale(problem.pointee.divisor_lo, -divisorExponent)
    let quotient = high / divisor
    // What the division lost, and both low parts.
    let rest = high.addingProduct(-quotient, divisor) + low - quotient * divisorLow
    return xentk_scale(quotient + rest / divisor, exponent - divisorExponent - problem.pointee.divisor_exponent)
  }
}

/// Stores a number of the dtype of losses.
func store(_ value: Double, _ place: UnsafeMutableRawPointer?, _ dtype: Int) {
  if dtype == XENT_F64 {
    place?.storeBytes(of: value, as: Double.self)
  } else {
    place?.storeBytes(of: Float(value), as: Float.self)
  }
}
