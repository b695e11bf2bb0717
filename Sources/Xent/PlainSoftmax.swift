import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_softmax_f32")
public func xent_softmax_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainRows("xent_softmax_f32", XENT_F32, logits, rows, classes, isLog: false, Pointer(probs))
}

@implementation @_cdecl("xent_softmax_f64")
public func xent_softmax_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainRows("xent_softmax_f64", XENT_F64, logits, rows, classes, isLog: false, Pointer(probs))
}

@implementation @_cdecl("xent_softmax_f16")
public func xent_softmax_f16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainRows("xent_softmax_f16", XENT_F16, logits, rows, classes, isLog: false, Pointer(probs))
}

@implementation @_cdecl("xent_softmax_bf16")
public func xent_softmax_bf16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainRows("xent_softmax_bf16", XENT_BF16, logits, rows, classes, isLog: false, Pointer(probs))
}

@implementation @_cdecl("xent_log_softmax_f32")
public func xent_log_softmax_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainRows("xent_log_softmax_f32", XENT_F32, logits, rows, classes, isLog: true, Pointer(log_probs))
}

@implementation @_cdecl("xent_log_softmax_f64")
public func xent_log_softmax_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainRows("xent_log_softmax_f64", XENT_F64, logits, rows, classes, isLog: true, Pointer(log_probs))
}

@implementation @_cdecl("xent_log_softmax_f16")
public func xent_log_softmax_f16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainRows("xent_log_softmax_f16", XENT_F16, logits, rows, classes, isLog: true, Pointer(log_probs))
}

@implementation @_cdecl("xent_log_softmax_bf16")
public func xent_log_softmax_bf16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ log_probs: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainRows("xent_log_softmax_bf16", XENT_BF16, logits, rows, classes, isLog: true, Pointer(log_probs))
}

@implementation @_cdecl("xent_logsumexp_f32")
public func xent_logsumexp_f32(
  _ logits: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainLogSumExp("xent_logsumexp_f32", XENT_F32, logits, rows, classes, Pointer(lse))
}

@implementation @_cdecl("xent_logsumexp_f64")
public func xent_logsumexp_f64(
  _ logits: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainLogSumExp("xent_logsumexp_f64", XENT_F64, logits, rows, classes, Pointer(lse))
}

@implementation @_cdecl("xent_logsumexp_f16")
public func xent_logsumexp_f16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainLogSumExp("xent_logsumexp_f16", XENT_F16, logits, rows, classes, Pointer(lse))
}

@implementation @_cdecl("xent_logsumexp_bf16")
public func xent_logsumexp_bf16(
  _ logits: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64, _ lse: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainLogSumExp("xent_logsumexp_bf16", XENT_BF16, logits, rows, classes, Pointer(lse))
}

@implementation @_cdecl("xent_softmax_grad_f32")
public func xent_softmax_grad_f32(
  _ probs: UnsafePointer<Float>?, _ grad_probs: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_softmax_grad_f32", isLog: false, XENT_F32, probs, grad_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_softmax_grad_f64")
public func xent_softmax_grad_f64(
  _ probs: UnsafePointer<Double>?, _ grad_probs: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_softmax_grad_f64", isLog: false, XENT_F64, probs, grad_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_softmax_grad_f16")
public func xent_softmax_grad_f16(
  _ probs: UnsafePointer<UInt16>?, _ grad_probs: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_softmax_grad_f16", isLog: false, XENT_F16, probs, grad_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_softmax_grad_bf16")
public func xent_softmax_grad_bf16(
  _ probs: UnsafePointer<UInt16>?, _ grad_probs: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_softmax_grad_bf16", isLog: false, XENT_BF16, probs, grad_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_log_softmax_grad_f32")
public func xent_log_softmax_grad_f32(
  _ log_probs: UnsafePointer<Float>?, _ grad_log_probs: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_log_softmax_grad_f32", isLog: true, XENT_F32, log_probs, grad_log_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_log_softmax_grad_f64")
public func xent_log_softmax_grad_f64(
  _ log_probs: UnsafePointer<Double>?, _ grad_log_probs: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_log_softmax_grad_f64", isLog: true, XENT_F64, log_probs, grad_log_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_log_softmax_grad_f16")
public func xent_log_softmax_grad_f16(
  _ log_probs: UnsafePointer<UInt16>?, _ grad_log_probs: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_log_softmax_grad_f16", isLog: true, XENT_F16, log_probs, grad_log_probs, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_log_softmax_grad_bf16")
public func xent_log_softmax_grad_bf16(
  _ log_probs: UnsafePointer<UInt16>?, _ grad_log_probs: UnsafePointer<UInt16>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainSoftmaxGrad(
    "xent_log_softmax_grad_bf16", isLog: true, XENT_BF16, log_probs, grad_log_probs, rows, classes,
    Pointer(grad_logits))
}

@implementation @_cdecl("xent_logsumexp_grad_f32")
public func xent_logsumexp_grad_f32(
  _ logits: UnsafePointer<Float>?, _ grad_lse: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Float>?
) -> xent_status {
  plainLogSumExpGrad("xent_logsumexp_grad_f32", XENT_F32, logits, grad_lse, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_logsumexp_grad_f64")
public func xent_logsumexp_grad_f64(
  _ logits: UnsafePointer<Double>?, _ grad_lse: UnsafePointer<Double>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<Double>?
) -> xent_status {
  plainLogSumExpGrad("xent_logsumexp_grad_f64", XENT_F64, logits, grad_lse, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_logsumexp_grad_f16")
public func xent_logsumexp_grad_f16(
  _ logits: UnsafePointer<UInt16>?, _ grad_lse: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainLogSumExpGrad("xent_logsumexp_grad_f16", XENT_F16, logits, grad_lse, rows, classes, Pointer(grad_logits))
}

@implementation @_cdecl("xent_logsumexp_grad_bf16")
public func xent_logsumexp_grad_bf16(
  _ logits: UnsafePointer<UInt16>?, _ grad_lse: UnsafePointer<Float>?, _ rows: Int64, _ classes: Int64,
  _ grad_logits: UnsafeMutablePointer<UInt16>?
) -> xent_status {
  plainLogSumExpGrad("xent_logsumexp_grad_bf16", XENT_BF16, logits, grad_lse, rows, classes, Pointer(grad_logits))
}
