import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_nll_f32")
public func xent_nll_f32(
  _ log_probs: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss("xent_nll_f32", XENTK_NLL, XENT_F32, log_probs, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_nll_f64")
public func xent_nll_f64(
  _ log_probs: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss("xent_nll_f64", XENTK_NLL, XENT_F64, log_probs, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_nll_f16")
public func xent_nll_f16(
  _ log_probs: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss("xent_nll_f16", XENTK_NLL, XENT_F16, log_probs, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_nll_bf16")
public func xent_nll_bf16(
  _ log_probs: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss("xent_nll_bf16", XENTK_NLL, XENT_BF16, log_probs, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_nll_grad_f32")
public func xent_nll_grad_f32(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Float>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_nll_grad_f32", XENTK_NLL, XENT_F32, nil, targets, rows, classes, .gradAlone(grad_log_probs))
}

@implementation @_cdecl("xent_nll_grad_f64")
public func xent_nll_grad_f64(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Double>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_nll_grad_f64", XENTK_NLL, XENT_F64, nil, targets, rows, classes, .gradAlone(grad_log_probs))
}

@implementation @_cdecl("xent_nll_grad_f16")
public func xent_nll_grad_f16(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Float>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_nll_grad_f16", XENTK_NLL, XENT_F16, nil, targets, rows, classes, .gradAlone(grad_log_probs))
}

@implementation @_cdecl("xent_nll_grad_bf16")
public func xent_nll_grad_bf16(
  _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64, _ weight: UnsafePointer<Float>?,
  _ ignore_index: Int64, _ reduction: Int32, _ grad_log_probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_nll_grad_bf16", XENTK_NLL, XENT_BF16, nil, targets, rows, classes, .gradAlone(grad_log_probs))
}

@implementation @_cdecl("xent_cross_entropy_f32")
public func xent_cross_entropy_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_f32", XENTK_ROWS, XENT_F32, logits, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_cross_entropy_f64")
public func xent_cross_entropy_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_f64", XENTK_ROWS, XENT_F64, logits, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_cross_entropy_f16")
public func xent_cross_entropy_f16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_f16", XENTK_ROWS, XENT_F16, logits, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_cross_entropy_bf16")
public func xent_cross_entropy_bf16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_bf16", XENTK_ROWS, XENT_BF16, logits, targets, rows, classes, .loss(loss))
}

@implementation @_cdecl("xent_cross_entropy_grad_f32")
public func xent_cross_entropy_grad_f32(
  _ logits: UnsafePointer<Float>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_grad_f32", XENTK_ROWS, XENT_F32, logits, targets, rows, classes,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_cross_entropy_grad_f64")
public func xent_cross_entropy_grad_f64(
  _ logits: UnsafePointer<Double>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Double>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Double>?,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_grad_f64", XENTK_ROWS, XENT_F64, logits, targets, rows, classes,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_cross_entropy_grad_f16")
public func xent_cross_entropy_grad_f16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_grad_f16", XENTK_ROWS, XENT_F16, logits, targets, rows, classes,
    .grad(grad_logits, loss: loss))
}

@implementation @_cdecl("xent_cross_entropy_grad_bf16")
public func xent_cross_entropy_grad_bf16(
  _ logits: UnsafePointer<UInt16>?, _ targets: UnsafePointer<Int64>?, _ rows: Int64, _ classes: Int64,
  _ weight: UnsafePointer<Float>?, _ ignore_index: Int64, _ reduction: Int32, _ loss: UnsafeMutablePointer<Float>?,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  let targets = PlainTargets(targets: targets, weight: weight, ignoreIndex: ignore_index, reduction: reduction)
  return plainLoss(
    "xent_cross_entropy_grad_bf16", XENTK_ROWS, XENT_BF16, logits, targets, rows, classes,
    .grad(grad_logits, loss: loss))
}
