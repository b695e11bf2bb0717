// SPDX-License-Identifier: Apache-2.0
//! Softmax cross-entropy over slices: probabilities, losses and gradients from libxent, in `f32`, `f64`, [`F16`] and
//! [`BF16`]. Every `f32` result is within 1 ulp of the exact value of its formula, for losses of 1e-30 too, and has the
//! same bits on every machine and for any number of threads.
//!
//! ```
//! # fn main() -> Result<(), xent::Error> {
//! let logits = [1f32, 2., 7., 4., 7., 9., 8., 3., 4.];
//! let targets = [2i64, 2, 0];
//! let (loss, grad) = xent::cross_entropy_with_grad(&logits, (3, 3), &targets, &xent::Options::new())?;
//! assert_eq!(loss, 0.055588204); // nats
//! assert_eq!(grad.len(), 9);
//!
//! let error = xent::cross_entropy(&logits, (3, 3), &[2i64, 7, 0], &xent::Options::new()).unwrap_err();
//! assert_eq!((error.kind(), error.row(), error.value()), (xent::ErrorKind::Target, Some(1), 7));
//! # Ok(()) }
//! ```
//!
//! Arrays are contiguous slices with a [`Shape`]: `(rows, classes)`, or `(outer, classes, inner)` for a class axis in the
//! middle, such as `(N, C, H * W)`. What is one a row is in the order `outer * inner`. Logarithms are natural.
//!
//! The functions with one result return it; the `_into` functions write to a slice of yours, `_in_place` over the logits.
//! The `_outputs` functions give any number of results from one pass, see [`Outputs`]. All options are in [`Options`].
//! Nothing here computes: `xent.h`, the C header, is the reference for what every option and output is.
//!
//! No function panics because of its arguments: a slice that does not have its shape's length is an [`Error`] too.

#![deny(missing_docs)]

mod call;
mod dtype;
mod error;
mod losses;
mod options;
mod outputs;
mod shape;
mod softmax;
mod targets;

pub use dtype::{Element, BF16, F16};
pub use error::{Error, ErrorKind, Result};
pub use losses::*;
pub use options::{Divergence, Options, Reduction};
pub use outputs::Outputs;
pub use shape::Shape;
pub use softmax::*;
pub use targets::{Index, Targets};

/// The version of the library that was loaded: major * 10000 + minor * 100 + patch.
pub fn version() -> i32 {
    unsafe { xent_sys::xent_version() }
}

/// The instruction set the kernels use: `baseline`, `v3` or `v4`. Results do not depend on it.
pub fn cpu_level() -> &'static str {
    // A static string of the library, in ASCII.
    unsafe { std::ffi::CStr::from_ptr(xent_sys::xent_cpu_level()) }.to_str().unwrap_or_default()
}

/// How many threads a call may use, for the whole process; 0 is automatic.
pub fn set_num_threads(num_threads: usize) -> Result<()> {
    let number = i32::try_from(num_threads).unwrap_or(i32::MAX);
    error::of_status(unsafe { xent_sys::xent_set_num_threads(number) })
}

/// How many threads a call may use now.
pub fn num_threads() -> usize {
    usize::try_from(unsafe { xent_sys::xent_get_num_threads() }).unwrap_or(1)
}
