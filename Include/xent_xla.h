/* SPDX-License-Identifier: Apache-2.0
 *
 * xent_xla.h - xent.h's descriptor functions as handlers for XLA's FFI, which JAX calls on a CPU.
 *
 *   handler = jax.ffi.pycapsule(ctypes.CDLL("libxent.so").xent_xla_cross_entropy)
 *   jax.ffi.register_ffi_target("xent_cross_entropy", handler, platform="cpu")
 *
 *   jax.ffi.ffi_call("xent_cross_entropy", jax.ShapeDtypeStruct((), np.float32), vmap_method="expand_dims")(
 *       logits, targets, inputs="logits targets", outputs="loss", rank=np.int64(2), axis=np.int64(1),
 *       reduction=np.int32(1))
 *
 * Every handler takes buffers as XLA has them, row-major and without gaps, in xent.h's dtypes (and PRED, as XENT_U8),
 * and works on them where they lie. Attributes say what they are:
 *
 *   inputs    string: for each argument its name, with spaces between them: the parameters of the function in xent.h
 *             (logits, targets, student, teacher, probs, log_probs, grad_probs, grad_log_probs), first of all and in
 *             their order, and the tensors of xent_options (weight, grad_loss, ...)
 *   outputs   string: for each result its name: the tensors of xent_outputs (loss, row_loss, grad_logits, ...)
 *   rank      int64: how many dimensions the first argument has in one call. Any before them are batches, each of which
 *             is a call of its own, with a mean of its own; all other buffers have the same batches before their own
 *             dimensions, or ones, which stand for the same in each.
 *   axis      int64: the class axis, counted from the end: 1 is the last
 *   and the numbers of xent_options by their names, where they are not to be the defaults: int32 (reduction, ...),
 *             int64 (ignore_index), float64 (label_smoothing, ...)
 *
 * Shapes    A tensor of the logits' shape has their dimensions; "per row" the same without the class axis; "per class"
 *           one; a scalar none.
 * Errors    come as XLA's INVALID_ARGUMENT, with the text of xent_last_error().
 * Version   XLA FFI API 0.1 or any later one that XLA supports beside it. */
#ifndef XENT_XLA_H
#define XENT_XLA_H

#include "xent.h"

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct XLA_FFI_Error;
struct XLA_FFI_CallFrame;

struct XLA_FFI_Error *XENT_NULLABLE xent_xla_softmax(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_cross_entropy(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_nll(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_binary_cross_entropy(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_divergence(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_softmax_grad(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);
struct XLA_FFI_Error *XENT_NULLABLE xent_xla_log_softmax_grad(struct XLA_FFI_CallFrame *XENT_NONNULL call_frame);

#ifdef __cplusplus
}
#endif

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
#endif /* XENT_XLA_H */
