// SPDX-License-Identifier: Apache-2.0
//! What a row's target can be.

use crate::{Element, Result, Shape};
use std::ffi::c_void;
use xent_sys::*;

mod sealed {
    pub trait Sealed {}
}

/// An integer that targets can be: `u8` to `u64` and `i8` to `i64`.
pub trait Index: sealed::Sealed + Copy {
    #[doc(hidden)]
    const DTYPE: xent_dtype;
}

macro_rules! indices {
    ($($type:ty: $dtype:ident),*) => { $(
        impl sealed::Sealed for $type {}
        impl Index for $type {
            const DTYPE: xent_dtype = $dtype;
        }
    )* };
}
indices!(i8: XENT_I8, i16: XENT_I16, i32: XENT_I32, i64: XENT_I64, u8: XENT_U8, u16: XENT_U16, u32: XENT_U32,
         u64: XENT_U64);

/// Targets of [`cross_entropy`](crate::cross_entropy): a class for each row, or a distribution. Slices, arrays and
/// vectors of any integer type become class indices by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a, T: Element> {
    pub(crate) data: Ints<'a>,
    pub(crate) probabilities: Option<&'a [T]>,
    per_row: Option<usize>,
}

/// A slice of any integer type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ints<'a> {
    data: *const c_void,
    length: usize,
    dtype: xent_dtype,
    lifetime: std::marker::PhantomData<&'a [u8]>,
}

// A borrowed slice of integers, which is both.
unsafe impl Send for Ints<'_> {}
unsafe impl Sync for Ints<'_> {}

impl<'a> Ints<'a> {
    pub(crate) fn new<I: Index>(data: &'a [I]) -> Self {
        Ints { data: data.as_ptr().cast(), length: data.len(), dtype: I::DTYPE, lifetime: Default::default() }
    }

    pub(crate) fn view(&self, name: &str, shape: Shape) -> Result<xent_tensor> {
        shape.view(name, self.data, self.length, self.dtype)
    }
}

impl<'a, T: Element> Targets<'a, T> {
    /// A class for each row.
    pub fn indices<I: Index>(targets: &'a [I]) -> Self {
        Targets { data: Ints::new(targets), probabilities: None, per_row: Some(1) }
    }

    /// A probability for each class of each row, of the logits' shape. They need not sum to 1.
    pub fn probabilities(probabilities: &'a [T]) -> Self {
        Targets { data: Ints::new::<i64>(&[]), probabilities: Some(probabilities), per_row: None }
    }

    /// `per_row` classes for each row, of shape `(outer, per_row, inner)`, and their probabilities; all other classes
    /// have none.
    pub fn sparse<I: Index>(indices: &'a [I], probabilities: &'a [T], per_row: usize) -> Self {
        Targets { data: Ints::new(indices), probabilities: Some(probabilities), per_row: Some(per_row) }
    }

    /// (targets, target_probs) for the library
    pub(crate) fn views(&self, shape: Shape) -> Result<(xent_tensor, Option<xent_tensor>)> {
        let floats = |name, shape: Shape, data: &[T]| shape.view(name, data.as_ptr().cast(), data.len(), T::DTYPE);
        match (self.per_row, self.probabilities) {
            (None, p) => Ok((floats("targets", shape, p.unwrap_or_default())?, None)),
            (Some(k), None) => Ok((self.data.view("targets", shape.with(k))?, None)),
            (Some(k), Some(p)) => {
                Ok((self.data.view("targets", shape.with(k))?, Some(floats("target_probs", shape.with(k), p)?)))
            }
        }
    }
}

impl<'a, T: Element, I: Index> From<&'a [I]> for Targets<'a, T> {
    fn from(targets: &'a [I]) -> Self {
        Targets::indices(targets)
    }
}

impl<'a, T: Element, I: Index> From<&'a Vec<I>> for Targets<'a, T> {
    fn from(targets: &'a Vec<I>) -> Self {
        Targets::indices(targets)
    }
}

impl<'a, T: Element, I: Index, const N: usize> From<&'a [I; N]> for Targets<'a, T> {
    fn from(targets: &'a [I; N]) -> Self {
        Targets::indices(targets)
    }
}
