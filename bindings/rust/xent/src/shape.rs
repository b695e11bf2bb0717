// SPDX-License-Identifier: Apache-2.0
//! Shapes, and the views of memory the library gets.

use crate::{Error, Result};
use std::ffi::c_void;
use std::mem::size_of;
use xent_sys::{xent_dtype, xent_tensor};

/// Contiguous `(outer, classes, inner)`, in C order; `(rows, classes)` is `inner` 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// What lies before the class axis.
    pub outer: usize,
    /// The class axis.
    pub classes: usize,
    /// What lies after it.
    pub inner: usize,
}

impl From<(usize, usize)> for Shape {
    fn from((rows, classes): (usize, usize)) -> Self {
        Shape { outer: rows, classes, inner: 1 }
    }
}

impl From<(usize, usize, usize)> for Shape {
    fn from((outer, classes, inner): (usize, usize, usize)) -> Self {
        Shape { outer, classes, inner }
    }
}

impl Shape {
    /// How many rows there are: `outer * inner`.
    pub fn rows(&self) -> usize {
        self.outer.saturating_mul(self.inner)
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.rows().saturating_mul(self.classes)
    }

    pub(crate) fn with(self, classes: usize) -> Self {
        Shape { classes, ..self }
    }

    /// One entry a row.
    pub(crate) fn per_row(self) -> Self {
        self.with(1)
    }

    /// One entry a class.
    pub(crate) fn per_class(self) -> Self {
        Shape { outer: 1, classes: self.classes, inner: 1 }
    }

    pub(crate) const SCALAR: Shape = Shape { outer: 1, classes: 1, inner: 1 };

    /// A view of a slice, when it has this shape's length: the library cannot know it.
    pub(crate) fn view(self, name: &str, data: *const c_void, length: usize, dtype: xent_dtype) -> Result<xent_tensor> {
        if length != self.elements() {
            let Shape { outer, classes, inner } = self;
            return Err(Error::size(format!("{name} has {length} elements, not {outer} * {classes} * {inner}")));
        }
        let [outer, classes, inner] =
            [self.outer, self.classes, self.inner].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        Ok(xent_tensor {
            struct_size: size_of::<xent_tensor>(),
            data: data.cast_mut(),
            dtype,
            reserved: 0,
            outer,
            classes,
            inner,
            outer_stride: classes.saturating_mul(inner),
            class_stride: inner,
            inner_stride: 1,
        })
    }
}
