// SPDX-License-Identifier: Apache-2.0
//! The outputs of a call.

use crate::Element;

/// The results wanted of one pass over the logits, each in memory of yours.
///
/// ```
/// # fn main() -> Result<(), xent::Error> {
/// use xent::{Options, Outputs};
/// let (mut loss, mut entropy, mut rank, mut correct) = (0f32, [0f32; 2], [0i64; 2], 0);
/// let mut outputs = Outputs::new().loss(&mut loss).entropy(&mut entropy).target_rank(&mut rank).correct(&mut correct);
/// let logits = [1f32, 2., 7., 4., 7., 9.];
/// xent::cross_entropy_outputs(&logits, (2, 3), &[2i64, 1], &Options::new(), &mut outputs)?;
/// assert_eq!((rank, correct), ([0, 1], 1));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Outputs<'a, T: Element> {
    pub(crate) loss: Option<&'a mut T::Real>,
    pub(crate) row_loss: Option<&'a mut [T::Real]>,
    pub(crate) grad_logits: Option<&'a mut [T]>,
    pub(crate) probs: Option<&'a mut [T]>,
    pub(crate) log_probs: Option<&'a mut [T]>,
    pub(crate) lse: Option<&'a mut [T::Real]>,
    pub(crate) entropy: Option<&'a mut [T::Real]>,
    pub(crate) max_logit: Option<&'a mut [T::Real]>,
    pub(crate) target_log_prob: Option<&'a mut [T::Real]>,
    pub(crate) z_loss: Option<&'a mut [T::Real]>,
    pub(crate) argmax: Option<&'a mut [i64]>,
    pub(crate) target_rank: Option<&'a mut [i64]>,
    pub(crate) top_indices: Option<&'a mut [i64]>,
    pub(crate) top_log_probs: Option<&'a mut [T::Real]>,
    pub(crate) top: usize,
    pub(crate) gathered: Option<&'a mut [T::Real]>,
    pub(crate) correct: Option<&'a mut i64>,
    pub(crate) rows_counted: Option<&'a mut i64>,
    pub(crate) loss_sum: Option<&'a mut f64>,
    pub(crate) weight_sum: Option<&'a mut f64>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => { $(
        $(#[$doc])*
        pub fn $name(mut self, $name: &'a mut $type) -> Self {
            self.$name = Some($name);
            self
        }
    )* };
}

impl<'a, T: Element> Outputs<'a, T> {
    /// Nothing is wanted yet.
    #[rustfmt::skip]
    pub fn new() -> Self {
        Outputs {
            loss: None, row_loss: None, grad_logits: None, probs: None, log_probs: None, lse: None, entropy: None,
            max_logit: None, target_log_prob: None, z_loss: None, argmax: None, target_rank: None, top_indices: None,
            top_log_probs: None, top: 0, gathered: None, correct: None, rows_counted: None, loss_sum: None,
            weight_sum: None,
        }
    }

    setters! {
        /// The reduced loss.
        loss: T::Real;
        /// The loss of each row; of each element for the binary loss.
        row_loss: [T::Real];
        /// d loss / d logits, of the logits' shape.
        grad_logits: [T];
        /// Of the logits' shape.
        probs: [T];
        /// Of the logits' shape.
        log_probs: [T];
        /// Log-sum-exp, per row.
        lse: [T::Real];
        /// In nats, per row.
        entropy: [T::Real];
        /// Per row.
        max_logit: [T::Real];
        /// Per row; 0 in rows that do not count.
        target_log_prob: [T::Real];
        /// The part of each row's loss that `Options::z_loss` adds.
        z_loss: [T::Real];
        /// The first of the largest, per row.
        argmax: [i64];
        /// How many classes come before the target, per row: 0 is top-1; -1 in rows that do not count.
        target_rank: [i64];
        /// The log-probabilities of `Options::gather`, of its shape.
        gathered: [T::Real];
        /// How many rows have their target as argmax.
        correct: i64;
        /// How many rows count.
        rows_counted: i64;
        /// The sum of the losses.
        loss_sum: f64;
        /// What the mean divides by.
        weight_sum: f64;
    }

    /// The `k` most probable classes of each row in order, of shape `(outer, k, inner)`, and their log-probabilities.
    pub fn top(mut self, k: usize, indices: &'a mut [i64], log_probs: &'a mut [T::Real]) -> Self {
        (self.top, self.top_indices, self.top_log_probs) = (k, Some(indices), Some(log_probs));
        self
    }
}

impl<T: Element> Default for Outputs<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}
