import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_binary_cross_entropy_f32")
public func xent_binary_cross_entropy_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_f32", XENT_F32, logits, targets, rows, classes, weight, pos_weight, reduction,
    .loss(loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_f64")
public func xent_binary_cross_entropy_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ pos_weight: UnsafePointer<Double>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_f64", XENT_F64, logits, targets, rows, classes, weight, pos_weight, reduction,
    .loss(loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_f16")
public func xent_binary_cross_entropy_f16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_f16", XENT_F16, logits, targets, rows, classes, weight, pos_weight, reduction,
    .loss(loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_bf16")
public func xent_binary_cross_entropy_bf16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_bf16", XENT_BF16, logits, targets, rows, classes, weight, pos_weight, reduction,
    .loss(loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_grad_f32")
public func xent_binary_cross_entropy_grad_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?, _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_grad_f32", XENT_F32, logits, targets, rows, classes, weight, pos_weight, reduction,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_grad_f64")
public func xent_binary_cross_entropy_grad_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ pos_weight: UnsafePointer<Double>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Double>?, _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_grad_f64", XENT_F64, logits, targets, rows, classes, weight, pos_weight, reduction,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_grad_f16")
public func xent_binary_cross_entropy_grad_f16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?, _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_grad_f16", XENT_F16, logits, targets, rows, classes, weight, pos_weight, reduction,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_binary_cross_entropy_grad_bf16")
public func xent_binary_cross_entropy_grad_bf16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ pos_weight: UnsafePointer<Float>?, _ reduction: Int32,
  _ loss: UnsafeMutablePointer<Float>?, _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainBinary(
    "xent_binary_cross_entropy_grad_bf16", XENT_BF16, logits, targets, rows, classes, weight, pos_weight, reduction,
    .grad(grad_logits, loss: loss))
}
