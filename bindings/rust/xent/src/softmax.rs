// SPDX-License-Identifier: Apache-2.0
//! Softmax and what is known of logits without a target; the backward passes.

use crate::call::{input, zeros, Call, Function, InPlace};
use crate::error::checked;
use crate::{Element, Options, Outputs, Result, Shape};
use xent_sys::*;

/// Any number of results about rows of logits, from one pass: probabilities, log-sum-exp, entropy, top-k, ...
pub fn softmax_outputs<T: Element>(
    logits: &[T], shape: impl Into<Shape>, options: &Options<T>, outputs: &mut Outputs<T>,
) -> Result<()> {
    let shape = shape.into();
    let first = input("logits", logits, shape)?;
    call(first, shape, options, InPlace::Nothing).run(outputs)
}

fn call<'c, 'a, T: Element>(
    first: xent_tensor, shape: Shape, options: &'c Options<'a, T>, in_place: InPlace,
) -> Call<'c, 'a, T> {
    Call { function: Function::Softmax, shape, first, second: None, target_probs: None, options, in_place }
}

/// The probability of each class.
///
/// ```
/// assert_eq!(xent::softmax(&[0f32, 0.0], (1, 2)), Ok(vec![0.5, 0.5]));
/// ```
pub fn softmax<T: Element>(logits: &[T], shape: impl Into<Shape>) -> Result<Vec<T>> {
    let mut probs = zeros(logits.len())?;
    softmax_into(logits, shape, &mut probs)?;
    Ok(probs)
}

/// [`softmax`] to a slice of the logits' length.
pub fn softmax_into<T: Element>(logits: &[T], shape: impl Into<Shape>, probs: &mut [T]) -> Result<()> {
    softmax_outputs(logits, shape, &Options::new(), &mut Outputs::new().probs(probs))
}

/// [`softmax`] over the logits.
pub fn softmax_in_place<T: Element>(logits: &mut [T], shape: impl Into<Shape>) -> Result<()> {
    over(logits, shape.into(), InPlace::Probs)
}

fn over<T: Element>(logits: &mut [T], shape: Shape, in_place: InPlace) -> Result<()> {
    let first = shape.view("logits", logits.as_mut_ptr().cast(), logits.len(), T::DTYPE)?;
    call::<T>(first, shape, &Options::new(), in_place).run(&mut Outputs::new())
}

/// The log-probability of each class.
pub fn log_softmax<T: Element>(logits: &[T], shape: impl Into<Shape>) -> Result<Vec<T>> {
    let mut log_probs = zeros(logits.len())?;
    log_softmax_into(logits, shape, &mut log_probs)?;
    Ok(log_probs)
}

/// [`log_softmax`] to a slice of the logits' length.
pub fn log_softmax_into<T: Element>(logits: &[T], shape: impl Into<Shape>, log_probs: &mut [T]) -> Result<()> {
    softmax_outputs(logits, shape, &Options::new(), &mut Outputs::new().log_probs(log_probs))
}

/// [`log_softmax`] over the logits.
pub fn log_softmax_in_place<T: Element>(logits: &mut [T], shape: impl Into<Shape>) -> Result<()> {
    over(logits, shape.into(), InPlace::LogProbs)
}

/// The logarithm of the sum of the exponentials of each row.
pub fn logsumexp<T: Element>(logits: &[T], shape: impl Into<Shape>) -> Result<Vec<T::Real>> {
    let shape = shape.into();
    let mut lse = zeros(shape.rows())?;
    softmax_outputs(logits, shape, &Options::new(), &mut Outputs::new().lse(&mut lse))?;
    Ok(lse)
}

/// Backward of [`logsumexp`]: from d loss / d lse, one a row, to d loss / d logits.
pub fn logsumexp_grad<T: Element>(logits: &[T], shape: impl Into<Shape>, grad_lse: &[T::Real]) -> Result<Vec<T>> {
    let mut grad = zeros(logits.len())?;
    let options = Options::new().grad_loss(grad_lse);
    softmax_outputs(logits, shape, &options, &mut Outputs::new().grad_logits(&mut grad))?;
    Ok(grad)
}

type Backward =
    unsafe extern "C" fn(*const xent_tensor, *const xent_tensor, *const xent_tensor, *mut xent_error) -> xent_status;

fn backward<T: Element>(
    function: Backward, names: [&str; 2], outputs: &[T], grads: &[T], shape: Shape,
) -> Result<Vec<T>> {
    let (a, b) = (input(names[0], outputs, shape)?, input(names[1], grads, shape)?);
    let mut grad: Vec<T> = zeros(outputs.len())?;
    let c = shape.view("grad_logits", grad.as_mut_ptr().cast(), grad.len(), T::DTYPE)?;
    checked(|error| unsafe { function(&a, &b, &c, error) })?;
    Ok(grad)
}

/// Backward of [`softmax`]: from its result and d loss / d probs to d loss / d logits.
pub fn softmax_grad<T: Element>(probs: &[T], grad_probs: &[T], shape: impl Into<Shape>) -> Result<Vec<T>> {
    backward(xent_softmax_grad, ["probs", "grad_probs"], probs, grad_probs, shape.into())
}

/// Backward of [`log_softmax`]: from its result and d loss / d log_probs to d loss / d logits.
pub fn log_softmax_grad<T: Element>(log_probs: &[T], grad_log_probs: &[T], shape: impl Into<Shape>) -> Result<Vec<T>> {
    backward(xent_log_softmax_grad, ["log_probs", "grad_log_probs"], log_probs, grad_log_probs, shape.into())
}
