// SPDX-License-Identifier: Apache-2.0
//! `Include/xent.h` in Rust, name by name: the functions of libxent, its structs and its constants. The header is the
//! documentation; the crate `xent` is the safe interface.
//!
//! The build script finds the library in `XENT_LIB_DIR`, by pkg-config, or in `build/lib` of the checkout.
//! `tests/layout.rs` compares every struct and constant with what a C compiler makes of the header.
#![allow(non_camel_case_types)]
#![no_std]

use core::ffi::{c_char, c_void};
use core::mem::size_of;
use core::ptr::{null, null_mut};

mod plain;
pub use plain::*;

/// The version of the header these declarations were written for; `xent_version()` gives that of the library.
pub const XENT_VERSION: i32 = 10000;

pub type xent_status = i32;
pub const XENT_OK: xent_status = 0;
pub const XENT_ERR_NULL: xent_status = 1;
pub const XENT_ERR_SIZE: xent_status = 2;
pub const XENT_ERR_TARGET: xent_status = 3;
pub const XENT_ERR_OPTION: xent_status = 4;
pub const XENT_ERR_OVERLAP: xent_status = 5;
pub const XENT_ERR_NO_MEMORY: xent_status = 6;
pub const XENT_ERR_DTYPE: xent_status = 7;
pub const XENT_ERR_UNSUPPORTED: xent_status = 8;

pub const XENT_REDUCTION_NONE: i32 = 0;
pub const XENT_REDUCTION_MEAN: i32 = 1;
pub const XENT_REDUCTION_SUM: i32 = 2;
pub const XENT_REDUCTION_MEAN_ROWS: i32 = 3;
pub const XENT_IGNORE_INDEX: i64 = -100;

pub type xent_dtype = i32;
pub const XENT_F32: xent_dtype = 1;
pub const XENT_F64: xent_dtype = 2;
pub const XENT_F16: xent_dtype = 3;
pub const XENT_BF16: xent_dtype = 4;
pub const XENT_I8: xent_dtype = 5;
pub const XENT_I16: xent_dtype = 6;
pub const XENT_I32: xent_dtype = 7;
pub const XENT_I64: xent_dtype = 8;
pub const XENT_U8: xent_dtype = 9;
pub const XENT_U16: xent_dtype = 10;
pub const XENT_U32: xent_dtype = 11;
pub const XENT_U64: xent_dtype = 12;

pub const XENT_SMOOTHING_WEIGHTED: i32 = 0;
pub const XENT_SMOOTHING_UNIFORM: i32 = 1;
pub const XENT_NAN: i32 = 0;
pub const XENT_ZERO: i32 = 1;
pub const XENT_ACCURACY_FAITHFUL: i32 = 0;
pub const XENT_ACCURACY_FASTEST: i32 = 1;
pub const XENT_KL: i32 = 0;
pub const XENT_REVERSE_KL: i32 = 1;
pub const XENT_SOFT_CROSS_ENTROPY: i32 = 2;
pub const XENT_JENSEN_SHANNON: i32 = 3;
pub const XENT_MAX_TOP: i64 = 64;
pub const XENT_MAX_THREADS: i32 = 1024;

/// A view of `outer * classes * inner` elements; strides count elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_tensor {
    pub struct_size: usize,
    pub data: *mut c_void,
    pub dtype: xent_dtype,
    pub reserved: i32,
    pub outer: i64,
    pub classes: i64,
    pub inner: i64,
    pub outer_stride: i64,
    pub class_stride: i64,
    pub inner_stride: i64,
}

/// Every option; `Default` is XENT_OPTIONS_INIT.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_options {
    pub struct_size: usize,
    pub reduction: i32,
    pub smoothing: i32,
    pub empty_mean: i32,
    pub masked_row: i32,
    pub divergence: i32,
    pub num_threads: i32,
    pub ignore_index: i64,
    pub label_smoothing: f64,
    pub temperature: f64,
    pub softcap: f64,
    pub focal_gamma: f64,
    pub poly_epsilon: f64,
    pub z_loss: f64,
    pub weight: *const xent_tensor,
    pub pos_weight: *const xent_tensor,
    pub row_mask: *const xent_tensor,
    pub class_mask: *const xent_tensor,
    pub target_probs: *const xent_tensor,
    pub grad_loss: *const xent_tensor,
    pub gather: *const xent_tensor,
    pub accuracy: i32,
    pub reserved: i32,
}

impl Default for xent_options {
    fn default() -> Self {
        xent_options {
            struct_size: size_of::<Self>(),
            reduction: XENT_REDUCTION_MEAN,
            smoothing: XENT_SMOOTHING_WEIGHTED,
            empty_mean: XENT_NAN,
            masked_row: XENT_NAN,
            divergence: XENT_KL,
            num_threads: 0,
            ignore_index: XENT_IGNORE_INDEX,
            label_smoothing: 0.0,
            temperature: 1.0,
            softcap: 0.0,
            focal_gamma: 0.0,
            poly_epsilon: 0.0,
            z_loss: 0.0,
            weight: null(),
            pos_weight: null(),
            row_mask: null(),
            class_mask: null(),
            target_probs: null(),
            grad_loss: null(),
            gather: null(),
            accuracy: XENT_ACCURACY_FAITHFUL,
            reserved: 0,
        }
    }
}

/// Every output; `Default` is XENT_OUTPUTS_INIT, which wants nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_outputs {
    pub struct_size: usize,
    pub loss: *const xent_tensor,
    pub row_loss: *const xent_tensor,
    pub grad_logits: *const xent_tensor,
    pub probs: *const xent_tensor,
    pub log_probs: *const xent_tensor,
    pub lse: *const xent_tensor,
    pub entropy: *const xent_tensor,
    pub max_logit: *const xent_tensor,
    pub target_log_prob: *const xent_tensor,
    pub z_loss: *const xent_tensor,
    pub argmax: *const xent_tensor,
    pub target_rank: *const xent_tensor,
    pub top_indices: *const xent_tensor,
    pub top_log_probs: *const xent_tensor,
    pub gathered: *const xent_tensor,
    pub correct: *mut i64,
    pub rows_counted: *mut i64,
    pub loss_sum: *mut f64,
    pub weight_sum: *mut f64,
}

impl Default for xent_outputs {
    fn default() -> Self {
        xent_outputs {
            struct_size: size_of::<Self>(),
            loss: null(),
            row_loss: null(),
            grad_logits: null(),
            probs: null(),
            log_probs: null(),
            lse: null(),
            entropy: null(),
            max_logit: null(),
            target_log_prob: null(),
            z_loss: null(),
            argmax: null(),
            target_rank: null(),
            top_indices: null(),
            top_log_probs: null(),
            gathered: null(),
            correct: null_mut(),
            rows_counted: null_mut(),
            loss_sum: null_mut(),
            weight_sum: null_mut(),
        }
    }
}

/// The caller's own place for the detail of an error.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct xent_error {
    pub struct_size: usize,
    pub status: xent_status,
    pub reserved: i32,
    pub row: i64,
    pub value: i64,
    pub message: [c_char; 256],
}

impl Default for xent_error {
    fn default() -> Self {
        xent_error {
            struct_size: size_of::<Self>(),
            status: XENT_OK,
            reserved: 0,
            row: -1,
            value: 0,
            message: [0; 256],
        }
    }
}

extern "C" {
    pub fn xent_status_string(status: xent_status) -> *const c_char;
    pub fn xent_last_error() -> *const c_char;
    pub fn xent_softmax(
        logits: *const xent_tensor, options: *const xent_options, outputs: *const xent_outputs, error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_cross_entropy(
        logits: *const xent_tensor, targets: *const xent_tensor, options: *const xent_options,
        outputs: *const xent_outputs, error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_nll(
        log_probs: *const xent_tensor, targets: *const xent_tensor, options: *const xent_options,
        outputs: *const xent_outputs, error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_binary_cross_entropy(
        logits: *const xent_tensor, targets: *const xent_tensor, options: *const xent_options,
        outputs: *const xent_outputs, error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_divergence(
        student: *const xent_tensor, teacher: *const xent_tensor, options: *const xent_options,
        outputs: *const xent_outputs, error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_log_softmax_grad(
        log_probs: *const xent_tensor, grad_log_probs: *const xent_tensor, grad_logits: *const xent_tensor,
        error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_softmax_grad(
        probs: *const xent_tensor, grad_probs: *const xent_tensor, grad_logits: *const xent_tensor,
        error: *mut xent_error,
    ) -> xent_status;
    pub fn xent_version() -> i32;
    pub fn xent_cpu_level() -> *const c_char;
    pub fn xent_set_num_threads(num_threads: i32) -> xent_status;
    pub fn xent_get_num_threads() -> i32;
}
