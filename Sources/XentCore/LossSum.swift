import CXentSystem

extension xentk_loss {
  /// Compensated (Neumaier 1974); infinities and NaN come through.
  public mutating func add(_ other: xentk_loss) {
    let sum = hi + other.hi
    guard sum.isFinite else {
      self = xentk_loss(hi: sum, lo: 0)
      return
    }
    let part = sum - hi
    lo += (hi - (sum - part)) + (other.hi - part) + other.lo
    hi = sum
  }
}
