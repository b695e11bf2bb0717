// The kernel table: a row for an operation, a column for a dtype. The one thing this module exports, under a name for
// each CPU level.

import CXentSystem

#if XENT_V4
  @_cdecl("xentk_kernel_v4") public func kernel(_ operation: xentk_operation, _ dtype: xentk_dtype) -> xentk_kernel? {
    entry(operation, dtype)
  }
#elseif XENT_V3
  @_cdecl("xentk_kernel_v3") public func kernel(_ operation: xentk_operation, _ dtype: xentk_dtype) -> xentk_kernel? {
    entry(operation, dtype)
  }
#else
  @_cdecl("xentk_kernel_baseline") public func kernel(_ operation: xentk_operation, _ dtype: xentk_dtype)
    -> xentk_kernel?
  {
    entry(operation, dtype)
  }
#endif

/// C function pointers cannot be formed of a generic, so each column is spelled out.
private func entry(_ operation: xentk_operation, _ dtype: xentk_dtype) -> xentk_kernel? {
  typealias Row = (f32: xentk_kernel, f64: xentk_kernel)
  let row: Row
  switch Int(operation) {
  case XENTK_SOFTMAX:
    row = ({ p, a, b, s, _ in softmax(Float.self, p, a, b, s) }, { p, a, b, s, _ in softmax(Double.self, p, a, b, s) })
  case XENTK_LOG_SOFTMAX:
    row = (
      { p, a, b, s, _ in logSoftmax(Float.self, p, a, b, s) }, { p, a, b, s, _ in logSoftmax(Double.self, p, a, b, s) }
    )
  case XENTK_LOGSUMEXP:
    row = (
      { p, a, b, s, _ in logSumExp(Float.self, p, a, b, s) }, { p, a, b, s, _ in logSumExp(Double.self, p, a, b, s) }
    )
  case XENTK_LOG_SOFTMAX_GRAD:
    row = (
      { p, a, b, s, _ in logSoftmaxGrad(Float.self, p, a, b, s) },
      { p, a, b, s, _ in logSoftmaxGrad(Double.self, p, a, b, s) }
    )
  case XENTK_NLL:
    row = ({ p, a, b, s, l in nll(Float.self, p, a, b, s, l) }, { p, a, b, s, l in nll(Double.self, p, a, b, s, l) })
  case XENTK_NLL_GRAD:
    row = ({ p, a, b, s, _ in nllGrad(Float.self, p, a, b, s) }, { p, a, b, s, _ in nllGrad(Double.self, p, a, b, s) })
  case XENTK_CROSS_ENTROPY:
    row = (
      { p, a, b, s, l in crossEntropy(Float.self, p, a, b, s, l) },
      { p, a, b, s, l in crossEntropy(Double.self, p, a, b, s, l) }
    )
  case XENTK_CROSS_ENTROPY_GRAD:
    row = (
      { p, a, b, s, l in crossEntropyGrad(Float.self, p, a, b, s, l) },
      { p, a, b, s, l in crossEntropyGrad(Double.self, p, a, b, s, l) }
    )
  default: return nil
  }
  switch Int(dtype) {
  case XENTK_F32: return row.f32
  case XENTK_F64: return row.f64
  default: return nil
  }
}
