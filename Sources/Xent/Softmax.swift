import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_softmax_f32")
public func xent_softmax_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  mapRows("xent_softmax_f32", XENTK_SOFTMAX, logits, rows, classes, "probs", probs)
}

@implementation @_cdecl("xent_softmax_f64")
public func xent_softmax_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  mapRows("xent_softmax_f64", XENTK_SOFTMAX, logits, rows, classes, "probs", probs)
}
