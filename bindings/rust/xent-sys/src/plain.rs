// SPDX-License-Identifier: Apache-2.0
//! The plain functions: contiguous rows, one function for each dtype. xent.h says what each does; 16-bit types are bits.

use crate::xent_status;

extern "C" {
    pub fn xent_softmax_f32(logits: *const f32, rows: i64, classes: i64, probs: *mut f32) -> xent_status;
    pub fn xent_softmax_f64(logits: *const f64, rows: i64, classes: i64, probs: *mut f64) -> xent_status;
    pub fn xent_softmax_f16(logits: *const u16, rows: i64, classes: i64, probs: *mut u16) -> xent_status;
    pub fn xent_softmax_bf16(logits: *const u16, rows: i64, classes: i64, probs: *mut u16) -> xent_status;

    pub fn xent_log_softmax_f32(logits: *const f32, rows: i64, classes: i64, log_probs: *mut f32) -> xent_status;
    pub fn xent_log_softmax_f64(logits: *const f64, rows: i64, classes: i64, log_probs: *mut f64) -> xent_status;
    pub fn xent_log_softmax_f16(logits: *const u16, rows: i64, classes: i64, log_probs: *mut u16) -> xent_status;
    pub fn xent_log_softmax_bf16(logits: *const u16, rows: i64, classes: i64, log_probs: *mut u16) -> xent_status;

    pub fn xent_logsumexp_f32(logits: *const f32, rows: i64, classes: i64, lse: *mut f32) -> xent_status;
    pub fn xent_logsumexp_f64(logits: *const f64, rows: i64, classes: i64, lse: *mut f64) -> xent_status;
    pub fn xent_logsumexp_f16(logits: *const u16, rows: i64, classes: i64, lse: *mut f32) -> xent_status;
    pub fn xent_logsumexp_bf16(logits: *const u16, rows: i64, classes: i64, lse: *mut f32) -> xent_status;

    pub fn xent_nll_f32(
        log_probs: *const f32, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_nll_f64(
        log_probs: *const f64, targets: *const i64, rows: i64, classes: i64, weight: *const f64, ignore_index: i64,
        reduction: i32, loss: *mut f64,
    ) -> xent_status;
    pub fn xent_nll_f16(
        log_probs: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_nll_bf16(
        log_probs: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;

    pub fn xent_cross_entropy_f32(
        logits: *const f32, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_cross_entropy_f64(
        logits: *const f64, targets: *const i64, rows: i64, classes: i64, weight: *const f64, ignore_index: i64,
        reduction: i32, loss: *mut f64,
    ) -> xent_status;
    pub fn xent_cross_entropy_f16(
        logits: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_cross_entropy_bf16(
        logits: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;

    pub fn xent_cross_entropy_grad_f32(
        logits: *const f32, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32, grad_logits: *mut f32,
    ) -> xent_status;
    pub fn xent_cross_entropy_grad_f64(
        logits: *const f64, targets: *const i64, rows: i64, classes: i64, weight: *const f64, ignore_index: i64,
        reduction: i32, loss: *mut f64, grad_logits: *mut f64,
    ) -> xent_status;
    pub fn xent_cross_entropy_grad_f16(
        logits: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32, grad_logits: *mut u16,
    ) -> xent_status;
    pub fn xent_cross_entropy_grad_bf16(
        logits: *const u16, targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64,
        reduction: i32, loss: *mut f32, grad_logits: *mut u16,
    ) -> xent_status;

    pub fn xent_log_softmax_grad_f32(
        log_probs: *const f32, grad_log_probs: *const f32, rows: i64, classes: i64, grad_logits: *mut f32,
    ) -> xent_status;
    pub fn xent_log_softmax_grad_f64(
        log_probs: *const f64, grad_log_probs: *const f64, rows: i64, classes: i64, grad_logits: *mut f64,
    ) -> xent_status;
    pub fn xent_log_softmax_grad_f16(
        log_probs: *const u16, grad_log_probs: *const u16, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;
    pub fn xent_log_softmax_grad_bf16(
        log_probs: *const u16, grad_log_probs: *const u16, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;

    pub fn xent_softmax_grad_f32(
        probs: *const f32, grad_probs: *const f32, rows: i64, classes: i64, grad_logits: *mut f32,
    ) -> xent_status;
    pub fn xent_softmax_grad_f64(
        probs: *const f64, grad_probs: *const f64, rows: i64, classes: i64, grad_logits: *mut f64,
    ) -> xent_status;
    pub fn xent_softmax_grad_f16(
        probs: *const u16, grad_probs: *const u16, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;
    pub fn xent_softmax_grad_bf16(
        probs: *const u16, grad_probs: *const u16, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;

    pub fn xent_logsumexp_grad_f32(
        logits: *const f32, grad_lse: *const f32, rows: i64, classes: i64, grad_logits: *mut f32,
    ) -> xent_status;
    pub fn xent_logsumexp_grad_f64(
        logits: *const f64, grad_lse: *const f64, rows: i64, classes: i64, grad_logits: *mut f64,
    ) -> xent_status;
    pub fn xent_logsumexp_grad_f16(
        logits: *const u16, grad_lse: *const f32, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;
    pub fn xent_logsumexp_grad_bf16(
        logits: *const u16, grad_lse: *const f32, rows: i64, classes: i64, grad_logits: *mut u16,
    ) -> xent_status;

    pub fn xent_nll_grad_f32(
        targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64, reduction: i32,
        grad_log_probs: *mut f32,
    ) -> xent_status;
    pub fn xent_nll_grad_f64(
        targets: *const i64, rows: i64, classes: i64, weight: *const f64, ignore_index: i64, reduction: i32,
        grad_log_probs: *mut f64,
    ) -> xent_status;
    pub fn xent_nll_grad_f16(
        targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64, reduction: i32,
        grad_log_probs: *mut u16,
    ) -> xent_status;
    pub fn xent_nll_grad_bf16(
        targets: *const i64, rows: i64, classes: i64, weight: *const f32, ignore_index: i64, reduction: i32,
        grad_log_probs: *mut u16,
    ) -> xent_status;

    pub fn xent_binary_cross_entropy_f32(
        logits: *const f32, targets: *const f32, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_f64(
        logits: *const f64, targets: *const f64, rows: i64, classes: i64, weight: *const f64, pos_weight: *const f64,
        reduction: i32, loss: *mut f64,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_f16(
        logits: *const u16, targets: *const u16, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_bf16(
        logits: *const u16, targets: *const u16, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32,
    ) -> xent_status;

    pub fn xent_binary_cross_entropy_grad_f32(
        logits: *const f32, targets: *const f32, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32, grad_logits: *mut f32,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_grad_f64(
        logits: *const f64, targets: *const f64, rows: i64, classes: i64, weight: *const f64, pos_weight: *const f64,
        reduction: i32, loss: *mut f64, grad_logits: *mut f64,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_grad_f16(
        logits: *const u16, targets: *const u16, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32, grad_logits: *mut u16,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy_grad_bf16(
        logits: *const u16, targets: *const u16, rows: i64, classes: i64, weight: *const f32, pos_weight: *const f32,
        reduction: i32, loss: *mut f32, grad_logits: *mut u16,
    ) -> xent_status;
}
