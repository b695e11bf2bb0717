// SPDX-License-Identifier: Apache-2.0
//! The four dtypes of logits.

use xent_sys::*;

/// The bits of an IEEE half-precision number; the same memory as a `u16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct F16(pub u16);

/// The bits of a bfloat16 number, the upper half of an `f32`; the same memory as a `u16`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct BF16(pub u16);

macro_rules! sixteen_bits {
    ($($type:ident),*) => { $(
        impl $type {
            /// Views bits as numbers, such as those of the crate `half` after its own conversion to `&[u16]`.
            pub fn from_bits(bits: &[u16]) -> &[Self] {
                // repr(transparent): the same layout, and every bit pattern is a number.
                unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
            }

            /// The same, to be written.
            pub fn from_bits_mut(bits: &mut [u16]) -> &mut [Self] {
                unsafe { std::slice::from_raw_parts_mut(bits.as_mut_ptr().cast(), bits.len()) }
            }
        }
    )* };
}
sixteen_bits!(F16, BF16);

mod sealed {
    pub trait Sealed {}
}

/// What logits can be: `f32`, `f64`, [`F16`] or [`BF16`].
pub trait Element: sealed::Sealed + Copy + Default + 'static {
    /// That of losses, statistics and weights: `f64` for `f64`, otherwise `f32`.
    type Real: Element;
    #[doc(hidden)]
    const DTYPE: xent_dtype;
}

macro_rules! elements {
    ($($type:ty: $real:ty, $dtype:ident;)*) => { $(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            type Real = $real;
            const DTYPE: xent_dtype = $dtype;
        }
    )* };
}
elements! {
    f32: f32, XENT_F32;
    f64: f64, XENT_F64;
    F16: f32, XENT_F16;
    BF16: f32, XENT_BF16;
}
