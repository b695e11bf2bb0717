// SPDX-License-Identifier: Apache-2.0
//! The losses. Of each: the reduced loss, the loss of each row, and the loss with its gradient.

use crate::call::{input, zeros, Call, Function, InPlace};
use crate::{Element, Options, Outputs, Result, Shape, Targets};
use xent_sys::xent_tensor;

/// What the losses have in common: a function, its inputs and its options.
struct Loss<'c, 'a, T: Element> {
    function: Function,
    shape: Shape,
    first: xent_tensor,
    second: xent_tensor,
    target_probs: Option<xent_tensor>,
    options: &'c Options<'a, T>,
}

impl<T: Element> Loss<'_, '_, T> {
    fn outputs(self, in_place: InPlace, outputs: &mut Outputs<T>) -> Result<()> {
        let Loss { function, shape, first, second, target_probs, options } = self;
        Call { function, shape, first, second: Some(second), target_probs, options, in_place }.run(outputs)
    }

    fn reduced(self) -> Result<T::Real> {
        let mut loss = T::Real::default();
        self.outputs(InPlace::Nothing, &mut Outputs::new().loss(&mut loss))?;
        Ok(loss)
    }

    /// Of each row, or of each element for the binary loss.
    fn rows(self) -> Result<Vec<T::Real>> {
        let number = if self.function == Function::Binary { self.shape.elements() } else { self.shape.rows() };
        let mut losses = zeros(number)?;
        self.outputs(InPlace::Nothing, &mut Outputs::new().row_loss(&mut losses))?;
        Ok(losses)
    }

    fn with_grad(self) -> Result<(T::Real, Vec<T>)> {
        let mut grad = zeros(self.shape.elements())?;
        Ok((self.with_grad_into(&mut grad)?, grad))
    }

    fn with_grad_into(self, grad: &mut [T]) -> Result<T::Real> {
        let mut loss = T::Real::default();
        self.outputs(InPlace::Nothing, &mut Outputs::new().loss(&mut loss).grad_logits(grad))?;
        Ok(loss)
    }
}

// ---- Cross-entropy --------------------------------------------------------------------------------------------------

fn cross_entropy_of<'c, 'a, T: Element>(
    logits: Result<xent_tensor>, shape: Shape, targets: Targets<T>, options: &'c Options<'a, T>,
) -> Result<Loss<'c, 'a, T>> {
    let (second, target_probs) = targets.views(shape)?;
    Ok(Loss { function: Function::CrossEntropy, shape, first: logits?, second, target_probs, options })
}

/// Cross-entropy of logits, reduced: with the defaults the mean over rows of -log p\[target\], in nats.
///
/// ```
/// # fn main() -> Result<(), xent::Error> {
/// let loss = xent::cross_entropy(&[70f32, 0.0], (1, 2), &[0i64], &xent::Options::new())?;
/// assert_eq!(loss, 3.97545e-31);
/// # Ok(()) }
/// ```
pub fn cross_entropy<'a, T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<T::Real> {
    let shape = shape.into();
    cross_entropy_of(input("logits", logits, shape), shape, targets.into(), options)?.reduced()
}

/// The cross-entropy of each row, before any reduction.
pub fn cross_entropy_rows<'a, T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<Vec<T::Real>> {
    let shape = shape.into();
    cross_entropy_of(input("logits", logits, shape), shape, targets.into(), options)?.rows()
}

/// [`cross_entropy`] and its gradient for the logits, in one pass.
pub fn cross_entropy_with_grad<'a, T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<(T::Real, Vec<T>)> {
    let shape = shape.into();
    cross_entropy_of(input("logits", logits, shape), shape, targets.into(), options)?.with_grad()
}

/// [`cross_entropy_with_grad`] to a slice of the logits' length.
pub fn cross_entropy_with_grad_into<'a, T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>, grad: &mut [T],
) -> Result<T::Real> {
    let shape = shape.into();
    cross_entropy_of(input("logits", logits, shape), shape, targets.into(), options)?.with_grad_into(grad)
}

/// [`cross_entropy_with_grad`] over the logits: they become the gradient.
pub fn cross_entropy_with_grad_in_place<'a, T: Element>(
    logits: &mut [T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<T::Real> {
    let shape = shape.into();
    let mut loss = T::Real::default();
    let first = shape.view("logits", logits.as_mut_ptr().cast(), logits.len(), T::DTYPE);
    cross_entropy_of(first, shape, targets.into(), options)?
        .outputs(InPlace::GradLogits, &mut Outputs::new().loss(&mut loss))?;
    Ok(loss)
}

/// Any number of results about rows of logits and their targets, from one pass.
pub fn cross_entropy_outputs<'a, T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
    outputs: &mut Outputs<T>,
) -> Result<()> {
    let shape = shape.into();
    cross_entropy_of(input("logits", logits, shape), shape, targets.into(), options)?.outputs(InPlace::Nothing, outputs)
}

// ---- Negative log-likelihood ----------------------------------------------------------------------------------------

fn nll_of<'c, 'a, T: Element>(
    log_probs: Result<xent_tensor>, shape: Shape, targets: Targets<T>, options: &'c Options<'a, T>,
) -> Result<Loss<'c, 'a, T>> {
    // With soft targets the library says what is wrong.
    let (second, target_probs) = targets.views(shape)?;
    Ok(Loss { function: Function::Nll, shape, first: log_probs?, second, target_probs, options })
}

/// Negative log-likelihood of log-probabilities, reduced.
pub fn nll_loss<'a, T: Element>(
    log_probs: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<T::Real> {
    let shape = shape.into();
    nll_of(input("log_probs", log_probs, shape), shape, targets.into(), options)?.reduced()
}

/// The negative log-likelihood of each row.
pub fn nll_loss_rows<'a, T: Element>(
    log_probs: &[T], shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<Vec<T::Real>> {
    let shape = shape.into();
    nll_of(input("log_probs", log_probs, shape), shape, targets.into(), options)?.rows()
}

/// The gradient of [`nll_loss`] for the log-probabilities, which does not depend on them.
pub fn nll_loss_grad<'a, T: Element>(
    shape: impl Into<Shape>, targets: impl Into<Targets<'a, T>>, options: &Options<T>,
) -> Result<Vec<T>> {
    let shape = shape.into();
    let mut grad = zeros(shape.elements())?;
    let no_log_probs = shape.view("log_probs", std::ptr::null(), grad.len(), T::DTYPE);
    nll_of(no_log_probs, shape, targets.into(), options)?
        .outputs(InPlace::Nothing, &mut Outputs::new().grad_logits(&mut grad))?;
    Ok(grad)
}

// ---- Binary cross-entropy -------------------------------------------------------------------------------------------

fn binary_of<'c, 'a, T: Element>(
    logits: &[T], shape: Shape, targets: &[T], options: &'c Options<'a, T>,
) -> Result<Loss<'c, 'a, T>> {
    let (first, second) = (input("logits", logits, shape)?, input("targets", targets, shape)?);
    Ok(Loss { function: Function::Binary, shape, first, second, target_probs: None, options })
}

/// Binary cross-entropy of logits with multi-label targets of the same shape, reduced.
pub fn binary_cross_entropy<T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: &[T], options: &Options<T>,
) -> Result<T::Real> {
    binary_of(logits, shape.into(), targets, options)?.reduced()
}

/// The binary cross-entropy of each element.
pub fn binary_cross_entropy_elements<T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: &[T], options: &Options<T>,
) -> Result<Vec<T::Real>> {
    binary_of(logits, shape.into(), targets, options)?.rows()
}

/// [`binary_cross_entropy`] and its gradient for the logits.
pub fn binary_cross_entropy_with_grad<T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: &[T], options: &Options<T>,
) -> Result<(T::Real, Vec<T>)> {
    binary_of(logits, shape.into(), targets, options)?.with_grad()
}

/// Any of the binary loss's results: loss, row_loss (of the logits' shape), grad_logits and the counts.
pub fn binary_cross_entropy_outputs<T: Element>(
    logits: &[T], shape: impl Into<Shape>, targets: &[T], options: &Options<T>, outputs: &mut Outputs<T>,
) -> Result<()> {
    binary_of(logits, shape.into(), targets, options)?.outputs(InPlace::Nothing, outputs)
}

// ---- Divergence -----------------------------------------------------------------------------------------------------

fn divergence_of<'c, 'a, T: Element>(
    student: &[T], teacher: &[T], shape: Shape, options: &'c Options<'a, T>,
) -> Result<Loss<'c, 'a, T>> {
    let (first, second) = (input("student", student, shape)?, input("teacher", teacher, shape)?);
    Ok(Loss { function: Function::Divergence, shape, first, second, target_probs: None, options })
}

/// The divergence of a student's distribution from a teacher's, both given as logits; `Options::divergence` says which.
pub fn divergence<T: Element>(
    student: &[T], teacher: &[T], shape: impl Into<Shape>, options: &Options<T>,
) -> Result<T::Real> {
    divergence_of(student, teacher, shape.into(), options)?.reduced()
}

/// The divergence of each row.
pub fn divergence_rows<T: Element>(
    student: &[T], teacher: &[T], shape: impl Into<Shape>, options: &Options<T>,
) -> Result<Vec<T::Real>> {
    divergence_of(student, teacher, shape.into(), options)?.rows()
}

/// [`divergence`] and its gradient for the student's logits.
pub fn divergence_with_grad<T: Element>(
    student: &[T], teacher: &[T], shape: impl Into<Shape>, options: &Options<T>,
) -> Result<(T::Real, Vec<T>)> {
    divergence_of(student, teacher, shape.into(), options)?.with_grad()
}
