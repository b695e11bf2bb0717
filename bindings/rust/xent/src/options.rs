// SPDX-License-Identifier: Apache-2.0
//! The options of a call.

use crate::targets::Ints;
use crate::{Element, Index};
use xent_sys::*;

/// How the losses of rows become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Reduction {
    /// They do not; the gradient is that of the sum. For functions that give a loss for each row.
    None = XENT_REDUCTION_NONE,
    /// The sum divided by the sum of the targets' weights, as in PyTorch.
    #[default]
    Mean = XENT_REDUCTION_MEAN,
    /// The sum.
    Sum = XENT_REDUCTION_SUM,
    /// The sum divided by the number of rows that count, weights or not.
    MeanRows = XENT_REDUCTION_MEAN_ROWS,
}

/// What [`divergence`](crate::divergence) computes, of a teacher's p and a student's q.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Divergence {
    /// Σ p·log(p/q)
    #[default]
    Kl = XENT_KL,
    /// Σ q·log(q/p)
    ReverseKl = XENT_REVERSE_KL,
    /// Σ −p·log q
    SoftCrossEntropy = XENT_SOFT_CROSS_ENTROPY,
    /// (Σ p·log(p/m) + q·log(q/m)) / 2 with m = (p + q) / 2
    JensenShannon = XENT_JENSEN_SHANNON,
}

/// Every option of a call, each at its default until it is set. Not every function takes every option; what does not go
/// together is an error that names the two.
///
/// ```
/// # fn main() -> Result<(), xent::Error> {
/// use xent::{Options, Reduction};
/// let options = Options::new().label_smoothing(0.1).reduction(Reduction::Sum).weight(&[1.0, 2.0, 0.5]);
/// let loss = xent::cross_entropy(&[1f32, 2.0, 7.0], (1, 3), &[2u8], &options)?;
/// # assert!(loss > 0.0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Options<'a, T: Element> {
    pub(crate) plain: xent_options,
    pub(crate) weight: Option<&'a [T::Real]>,
    pub(crate) pos_weight: Option<&'a [T::Real]>,
    pub(crate) grad_loss: Option<&'a [T::Real]>,
    pub(crate) row_mask: Option<Ints<'a>>,
    pub(crate) class_mask: Option<Ints<'a>>,
    pub(crate) gather: Option<(Ints<'a>, usize)>,
}

// The pointers of `plain` are null; all else is numbers and borrowed slices of numbers.
unsafe impl<T: Element> Send for Options<'_, T> {}
unsafe impl<T: Element> Sync for Options<'_, T> {}

impl<T: Element> Default for Options<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Setters of the fields that are numbers.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => { $(
        $(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.plain.$name = $name;
            self
        }
    )* };
}

impl<'a, T: Element> Options<'a, T> {
    /// The defaults.
    pub fn new() -> Self {
        let plain = xent_options::default();
        Options {
            plain,
            weight: None,
            pos_weight: None,
            grad_loss: None,
            row_mask: None,
            class_mask: None,
            gather: None,
        }
    }

    numbers! {
        /// Rows with this target do not count. Default -100; any value, also one of the classes.
        ignore_index: i64;
        /// In [0, 1].
        label_smoothing: f64;
        /// Logits are divided by it; > 0. Default 1.
        temperature: f64;
        /// Logits x become softcap·tanh(x / softcap) first; 0, the default, is none.
        softcap: f64;
        /// The loss is multiplied by (1 − p)^γ, p the target's probability.
        focal_gamma: f64;
        /// ε·(1 − p) is added to −log p (PolyLoss).
        poly_epsilon: f64;
        /// z_loss·lse² is added to each row's loss.
        z_loss: f64;
    }

    /// How the losses of rows become one; also what the gradient is the gradient of.
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.plain.reduction = reduction as i32;
        self
    }

    /// Which divergence [`divergence`](crate::divergence) is.
    pub fn divergence(mut self, divergence: Divergence) -> Self {
        self.plain.divergence = divergence as i32;
        self
    }

    /// Smooths labels first and then weights rows by their target's weight, where PyTorch weights each class's share.
    pub fn smoothing_uniform(mut self, uniform: bool) -> Self {
        self.plain.smoothing = if uniform { XENT_SMOOTHING_UNIFORM } else { XENT_SMOOTHING_WEIGHTED };
        self
    }

    /// A mean over no rows is 0 instead of NaN.
    pub fn empty_mean_is_zero(mut self, zero: bool) -> Self {
        self.plain.empty_mean = if zero { XENT_ZERO } else { XENT_NAN };
        self
    }

    /// A row of nothing but masks does not count, instead of being NaN.
    pub fn skip_masked_rows(mut self, skip: bool) -> Self {
        self.plain.masked_row = if skip { XENT_ZERO } else { XENT_NAN };
        self
    }

    /// Probabilities and gradients of f32 within 3 ulp instead of 1, for less time.
    pub fn fastest(mut self, fastest: bool) -> Self {
        self.plain.accuracy = if fastest { XENT_ACCURACY_FASTEST } else { XENT_ACCURACY_FAITHFUL };
        self
    }

    /// The most threads this call may use; 0, the default, as [`set_num_threads`](crate::set_num_threads) says.
    pub fn num_threads(mut self, num_threads: usize) -> Self {
        self.plain.num_threads = i32::try_from(num_threads).unwrap_or(i32::MAX);
        self
    }

    /// A weight for each class.
    pub fn weight(mut self, weight: &'a [T::Real]) -> Self {
        self.weight = Some(weight);
        self
    }

    /// For the binary loss: a weight of the positive labels of each class.
    pub fn pos_weight(mut self, pos_weight: &'a [T::Real]) -> Self {
        self.pos_weight = Some(pos_weight);
        self
    }

    /// The upstream gradient: one number for all rows, or one for each.
    pub fn grad_loss(mut self, grad_loss: &'a [T::Real]) -> Self {
        self.grad_loss = Some(grad_loss);
        self
    }

    /// Rows where it is 0 do not count.
    pub fn row_mask<I: Index>(mut self, row_mask: &'a [I]) -> Self {
        self.row_mask = Some(Ints::new(row_mask));
        self
    }

    /// Classes where it is 0 have probability 0 and are no part of any sum.
    pub fn class_mask<I: Index>(mut self, class_mask: &'a [I]) -> Self {
        self.class_mask = Some(Ints::new(class_mask));
        self
    }

    /// Which `per_row` classes' log-probabilities [`Outputs::gathered`](crate::Outputs::gathered) is to have.
    pub fn gather<I: Index>(mut self, classes: &'a [I], per_row: usize) -> Self {
        self.gather = Some((Ints::new(classes), per_row));
        self
    }
}
