// SPDX-License-Identifier: Apache-2.0
//! From slices to the library's descriptors: the one place that calls it.

use crate::error::checked;
use crate::{Element, Error, Options, Outputs, Result, Shape};
use std::ptr::{null, null_mut};
use xent_sys::*;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Softmax,
    CrossEntropy,
    Nll,
    Binary,
    Divergence,
}

/// Which output is to be written over the first input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InPlace {
    Nothing,
    Probs,
    LogProbs,
    GradLogits,
}

pub(crate) struct Call<'c, 'a, T: Element> {
    pub function: Function,
    pub shape: Shape,
    /// logits, log_probs or student
    pub first: xent_tensor,
    /// targets or teacher
    pub second: Option<xent_tensor>,
    pub target_probs: Option<xent_tensor>,
    pub options: &'c Options<'a, T>,
    pub in_place: InPlace,
}

pub(crate) fn input<T: Element>(name: &str, data: &[T], shape: Shape) -> Result<xent_tensor> {
    shape.view(name, data.as_ptr().cast(), data.len(), T::DTYPE)
}

/// Memory for a result; a shape may ask for more than there is.
pub(crate) fn zeros<T: Element>(length: usize) -> Result<Vec<T>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(length).map_err(|_| Error::size(format!("no memory for {length} elements")))?;
    memory.resize(length, T::default());
    Ok(memory)
}

fn written<T: Element>(name: &str, data: &mut Option<&mut [T]>, shape: Shape) -> Result<Option<xent_tensor>> {
    data.as_deref_mut().map(|d| shape.view(name, d.as_mut_ptr().cast(), d.len(), T::DTYPE)).transpose()
}

fn integers(name: &str, data: &mut Option<&mut [i64]>, shape: Shape) -> Result<Option<xent_tensor>> {
    data.as_deref_mut().map(|d| shape.view(name, d.as_mut_ptr().cast(), d.len(), XENT_I64)).transpose()
}

fn pointer(tensor: &Option<xent_tensor>) -> *const xent_tensor {
    tensor.as_ref().map_or(null(), |t| t)
}

fn number<N>(place: &mut Option<&mut N>) -> *mut N {
    place.as_deref_mut().map_or(null_mut(), |p| p)
}

impl<T: Element> Call<'_, '_, T> {
    /// A weight per class, or where the binary loss takes it, per element.
    fn weights(&self, name: &str, data: Option<&[T::Real]>) -> Result<Option<xent_tensor>> {
        let whole = |length| self.function == Function::Binary && length == self.shape.elements();
        let shape_of = |length| if whole(length) { self.shape } else { self.shape.per_class() };
        data.map(|d| input(name, d, shape_of(d.len()))).transpose()
    }

    /// The upstream gradient: a scalar, per row, or for the binary loss per element.
    fn upstream(&self) -> Result<Option<xent_tensor>> {
        let whole = |length| self.function == Function::Binary && length == self.shape.elements();
        let shape_of = |length| match length {
            1 => Shape::SCALAR,
            n if whole(n) => self.shape,
            _ => self.shape.per_row(),
        };
        self.options.grad_loss.map(|d| input("grad_loss", d, shape_of(d.len()))).transpose()
    }

    pub(crate) fn run(self, wanted: &mut Outputs<'_, T>) -> Result<()> {
        let (shape, per_row) = (self.shape, self.shape.per_row());
        let given = self.options;
        let weight = self.weights("weight", given.weight)?;
        let pos_weight = self.weights("pos_weight", given.pos_weight)?;
        let row_mask = given.row_mask.map(|m| m.view("row_mask", per_row)).transpose()?;
        let class_mask = given.class_mask.map(|m| m.view("class_mask", shape.per_class())).transpose()?;
        let grad_loss = self.upstream()?;
        let gather = given.gather.map(|(g, k)| g.view("gather", shape.with(k))).transpose()?;
        let options = xent_options {
            weight: pointer(&weight),
            pos_weight: pointer(&pos_weight),
            row_mask: pointer(&row_mask),
            class_mask: pointer(&class_mask),
            target_probs: pointer(&self.target_probs),
            grad_loss: pointer(&grad_loss),
            gather: pointer(&gather),
            ..given.plain
        };

        let of_losses = if self.function == Function::Binary { shape } else { per_row };
        let (of_top, of_gather) = (shape.with(wanted.top), shape.with(given.gather.map_or(0, |(_, k)| k)));
        let mut loss = wanted.loss.as_deref_mut().map(std::slice::from_mut);
        let loss = written("loss", &mut loss, Shape::SCALAR)?;
        let row_loss = written("row_loss", &mut wanted.row_loss, of_losses)?;
        let mut grad_logits = written("grad_logits", &mut wanted.grad_logits, shape)?;
        let mut probs = written("probs", &mut wanted.probs, shape)?;
        let mut log_probs = written("log_probs", &mut wanted.log_probs, shape)?;
        let lse = written("lse", &mut wanted.lse, per_row)?;
        let entropy = written("entropy", &mut wanted.entropy, per_row)?;
        let max_logit = written("max_logit", &mut wanted.max_logit, per_row)?;
        let target_log_prob = written("target_log_prob", &mut wanted.target_log_prob, per_row)?;
        let z_loss = written("z_loss", &mut wanted.z_loss, per_row)?;
        let argmax = integers("argmax", &mut wanted.argmax, per_row)?;
        let target_rank = integers("target_rank", &mut wanted.target_rank, per_row)?;
        let top_indices = integers("top_indices", &mut wanted.top_indices, of_top)?;
        let top_log_probs = written("top_log_probs", &mut wanted.top_log_probs, of_top)?;
        let gathered = written("gathered", &mut wanted.gathered, of_gather)?;
        match self.in_place {
            InPlace::Nothing => {}
            InPlace::Probs => probs = Some(self.first),
            InPlace::LogProbs => log_probs = Some(self.first),
            InPlace::GradLogits => grad_logits = Some(self.first),
        }
        let outputs = xent_outputs {
            loss: pointer(&loss),
            row_loss: pointer(&row_loss),
            grad_logits: pointer(&grad_logits),
            probs: pointer(&probs),
            log_probs: pointer(&log_probs),
            lse: pointer(&lse),
            entropy: pointer(&entropy),
            max_logit: pointer(&max_logit),
            target_log_prob: pointer(&target_log_prob),
            z_loss: pointer(&z_loss),
            argmax: pointer(&argmax),
            target_rank: pointer(&target_rank),
            top_indices: pointer(&top_indices),
            top_log_probs: pointer(&top_log_probs),
            gathered: pointer(&gathered),
            correct: number(&mut wanted.correct),
            rows_counted: number(&mut wanted.rows_counted),
            loss_sum: number(&mut wanted.loss_sum),
            weight_sum: number(&mut wanted.weight_sum),
            ..xent_outputs::default()
        };

        // Every tensor is a view of a slice that is borrowed for this call, with the length that its shape says.
        let (first, second) = (&self.first, pointer(&self.second));
        checked(|error| unsafe {
            match self.function {
                Function::Softmax => xent_softmax(first, &options, &outputs, error),
                Function::CrossEntropy => xent_cross_entropy(first, second, &options, &outputs, error),
                Function::Nll => xent_nll(first, second, &options, &outputs, error),
                Function::Binary => xent_binary_cross_entropy(first, second, &options, &outputs, error),
                Function::Divergence => xent_divergence(first, second, &options, &outputs, error),
            }
        })
    }
}
