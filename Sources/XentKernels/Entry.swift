// The kernel table. The one thing this module exports, under a name for each CPU level.

import CXentSystem

#if XENT_V4
  @_cdecl("xentk_kernel_v4") public func kernel(_ operation: xentk_operation) -> xentk_kernel? { entry(operation) }
#elseif XENT_V3
  @_cdecl("xentk_kernel_v3") public func kernel(_ operation: xentk_operation) -> xentk_kernel? { entry(operation) }
#else
  @_cdecl("xentk_kernel_baseline") public func kernel(_ operation: xentk_operation) -> xentk_kernel? {
    entry(operation)
  }
#endif

private func entry(_ operation: xentk_operation) -> xentk_kernel? {
  switch Int(operation) {
  case XENTK_ROWS: { p, a, b, w, l in rowsOfLogits(p, a, b, w, l) }
  case XENTK_NLL: { p, a, b, w, l in nll(p, a, b, w, l) }
  case XENTK_BINARY: { p, a, b, w, l in binaryCrossEntropy(p, a, b, w, l) }
  #if !XENT_V4
    // What is worked on in pairs of f64 throughout gains little from v4: there the kernels of v3 do it.
    case XENTK_SOFTMAX_GRAD: { p, a, b, w, _ in softmaxGrad(p, a, b, w) }
    case XENTK_DIVERGENCE: { p, a, b, w, l in divergence(p, a, b, w, l) }
  #endif
  default: nil
  }
}
