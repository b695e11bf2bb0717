// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: the descriptor functions. Any layout and dtype, every option, and any number of outputs from one
// pass over the logits. xent.h says what each option and output is, and which go together.
//
//   xent::outputs out;                                  // C++17; with C++20's {.label_smoothing = 0.1} in place
//   xent::options options;
//   options.label_smoothing = 0.1;
//   out.loss = xent::scalar(loss);
//   xent::cross_entropy(logits, xent::per_row(targets), options, out);
#ifndef XENT_DESCRIPTOR_HPP
#define XENT_DESCRIPTOR_HPP

#include <xent/error.hpp>
#include <xent/options.hpp>
#include <xent/tensor.hpp>

#include <initializer_list>

namespace xent {

/// How class weights enter label smoothing.
enum class smoothing : std::int32_t { weighted = XENT_SMOOTHING_WEIGHTED, uniform = XENT_SMOOTHING_UNIFORM };

/// What a mean over no rows is, and a row of nothing but masks: NaN, or 0 and not counted.
enum class undefined : std::int32_t { nan = XENT_NAN, zero = XENT_ZERO };

/// How probabilities and gradients are made: within 1 ulp, or within 3 for less time (f32).
enum class accuracy : std::int32_t { faithful = XENT_ACCURACY_FAITHFUL, fastest = XENT_ACCURACY_FASTEST };

/// Which divergence.
enum class divergence_kind : std::int32_t {
  kl = XENT_KL,
  reverse_kl = XENT_REVERSE_KL,
  soft_cross_entropy = XENT_SOFT_CROSS_ENTROPY,
  jensen_shannon = XENT_JENSEN_SHANNON
};

/// xent_options: every option, at its default. A tensor that is not set is none.
struct options {
  xent::reduction reduction = xent::reduction::mean;
  xent::smoothing smoothing = xent::smoothing::weighted;
  undefined empty_mean = undefined::nan;
  undefined masked_row = undefined::nan;
  divergence_kind divergence = divergence_kind::kl;
  std::int32_t num_threads = 0;  ///< the most threads that the call may use; 0: as set_num_threads() says
  std::int64_t ignore_index = XENT_IGNORE_INDEX;
  double label_smoothing = 0;
  double temperature = 1;
  double softcap = 0;
  double focal_gamma = 0;
  double poly_epsilon = 0;
  double z_loss = 0;
  const_tensor weight{};        ///< per class
  const_tensor pos_weight{};    ///< per class or of the logits' shape: binary_cross_entropy
  const_tensor row_mask{};      ///< per row, integers
  const_tensor class_mask{};    ///< per class, integers
  const_tensor target_probs{};  ///< of the targets' shape: sparse soft targets
  const_tensor grad_loss{};     ///< per row or a scalar: the upstream gradient
  const_tensor gather{};        ///< (outer, k, inner), integers: which log-probabilities `gathered` is to have
  xent::accuracy accuracy = xent::accuracy::faithful;
};

/// xent_outputs: every output; those that are set are wanted. "real" is double for logits of double, otherwise float.
struct outputs {
  tensor loss{};             ///< scalar, real; not with reduction::none
  tensor row_loss{};         ///< per row, real (binary_cross_entropy: of the logits' shape)
  tensor grad_logits{};      ///< of the logits' shape, floating; may be in place
  tensor probs{};            ///< of the logits' shape, floating; may be in place
  tensor log_probs{};        ///< of the logits' shape, floating; may be in place
  tensor lse{};              ///< per row, real
  tensor entropy{};          ///< per row, real
  tensor max_logit{};        ///< per row, real
  tensor target_log_prob{};  ///< per row, real
  tensor z_loss{};           ///< per row, real
  tensor argmax{};           ///< per row, 32 or 64 bits, signed
  tensor target_rank{};      ///< per row, 32 or 64 bits, signed
  tensor top_indices{};      ///< (outer, k, inner), 32 or 64 bits, signed
  tensor top_log_probs{};    ///< (outer, k, inner), real
  tensor gathered{};         ///< of the shape of options::gather, real
  std::int64_t* correct = nullptr;
  std::int64_t* rows_counted = nullptr;
  double* loss_sum = nullptr;
  double* weight_sum = nullptr;
};

namespace detail {

struct named_tensor {
  const char* name;
  const const_tensor* array;
};

inline failure check_fit(const char* function, std::initializer_list<named_tensor> arrays) {
  for (const named_tensor& array : arrays)
    if (!array.array->fits())
      return {status::size, -1, 0,
              std::string("xent::") + function + ": " + array.name + " is not all within the array it was made from"};
  return {};
}

inline failure check_fit(const char* function, const options& o, const outputs& out) {
  failure f = check_fit(function, {{"weight", &o.weight},
                                   {"pos_weight", &o.pos_weight},
                                   {"row_mask", &o.row_mask},
                                   {"class_mask", &o.class_mask},
                                   {"target_probs", &o.target_probs},
                                   {"grad_loss", &o.grad_loss},
                                   {"gather", &o.gather}});
  if (f.status != status::ok) return f;
  return check_fit(function, {{"loss", &out.loss},
                              {"row_loss", &out.row_loss},
                              {"grad_logits", &out.grad_logits},
                              {"probs", &out.probs},
                              {"log_probs", &out.log_probs},
                              {"lse", &out.lse},
                              {"entropy", &out.entropy},
                              {"max_logit", &out.max_logit},
                              {"target_log_prob", &out.target_log_prob},
                              {"z_loss", &out.z_loss},
                              {"argmax", &out.argmax},
                              {"target_rank", &out.target_rank},
                              {"top_indices", &out.top_indices},
                              {"top_log_probs", &out.top_log_probs},
                              {"gathered", &out.gathered}});
}

/// The C structs point into ours, which live as long as the call.
inline xent_options c_options(const options& o) noexcept {
  return {sizeof(xent_options),
          static_cast<std::int32_t>(o.reduction),
          static_cast<std::int32_t>(o.smoothing),
          static_cast<std::int32_t>(o.empty_mean),
          static_cast<std::int32_t>(o.masked_row),
          static_cast<std::int32_t>(o.divergence),
          o.num_threads,
          o.ignore_index,
          o.label_smoothing,
          o.temperature,
          o.softcap,
          o.focal_gamma,
          o.poly_epsilon,
          o.z_loss,
          o.weight.c_tensor(),
          o.pos_weight.c_tensor(),
          o.row_mask.c_tensor(),
          o.class_mask.c_tensor(),
          o.target_probs.c_tensor(),
          o.grad_loss.c_tensor(),
          o.gather.c_tensor(),
          static_cast<std::int32_t>(o.accuracy),
          0};
}

inline xent_outputs c_outputs(const outputs& out) noexcept {
  return {sizeof(xent_outputs),
          out.loss.c_tensor(),
          out.row_loss.c_tensor(),
          out.grad_logits.c_tensor(),
          out.probs.c_tensor(),
          out.log_probs.c_tensor(),
          out.lse.c_tensor(),
          out.entropy.c_tensor(),
          out.max_logit.c_tensor(),
          out.target_log_prob.c_tensor(),
          out.z_loss.c_tensor(),
          out.argmax.c_tensor(),
          out.target_rank.c_tensor(),
          out.top_indices.c_tensor(),
          out.top_log_probs.c_tensor(),
          out.gathered.c_tensor(),
          out.correct,
          out.rows_counted,
          out.loss_sum,
          out.weight_sum};
}

/// Calls a descriptor function with a place for its error.
template <class Call>
failure described(failure f, const Call& call) {
  if (f.status != status::ok) return f;
  xent_error e;
  e.struct_size = sizeof e;
  const xent_status result = call(&e);
  if (result != XENT_OK) f = {static_cast<status>(result), e.row, e.value, e.message};
  return f;
}

template <class Call>
failure described(const char* function, std::initializer_list<named_tensor> inputs, const options& o,
                  const outputs& out, const Call& call) {
  failure f = check_fit(function, inputs);
  if (f.status == status::ok) f = check_fit(function, o, out);
  return described(std::move(f), [&](xent_error* error) {
    const xent_options options = c_options(o);
    const xent_outputs outputs = c_outputs(out);
    return call(&options, &outputs, error);
  });
}

}  // namespace detail

/// Softmax and what is known of a row without a target: probs, log_probs, lse, entropy, argmax, max_logit,
/// top_indices, top_log_probs, gathered, and the gradient of lse.
template <class P = default_policy>
typename P::template result<void> softmax(const const_tensor& logits, const options& o, const outputs& out) {
  return P::give(detail::described("softmax", {{"logits", &logits}}, o, out, [&](auto... shared) {
    return ::xent_softmax(logits.c_tensor(), shared...);
  }));
}

/// Cross-entropy of logits.
///
/// targets  class indices per row, of any integer type; sparse soft targets, indices (outer, k, inner) with
///          options::target_probs; or probabilities of the logits' shape
template <class P = default_policy>
typename P::template result<void> cross_entropy(const const_tensor& logits, const const_tensor& targets,
                                                const options& o, const outputs& out) {
  return P::give(detail::described(
      "cross_entropy", {{"logits", &logits}, {"targets", &targets}}, o, out,
      [&](auto... shared) { return ::xent_cross_entropy(logits.c_tensor(), targets.c_tensor(), shared...); }));
}

/// Negative log-likelihood of log-probabilities; targets are class indices per row.
template <class P = default_policy>
typename P::template result<void> nll(const const_tensor& log_probs, const const_tensor& targets, const options& o,
                                      const outputs& out) {
  return P::give(detail::described(
      "nll", {{"log_probs", &log_probs}, {"targets", &targets}}, o, out,
      [&](auto... shared) { return ::xent_nll(log_probs.c_tensor(), targets.c_tensor(), shared...); }));
}

/// Binary cross-entropy with logits, for multi-label targets of the logits' shape, floating or of one unsigned byte.
template <class P = default_policy>
typename P::template result<void> binary_cross_entropy(const const_tensor& logits, const const_tensor& targets,
                                                       const options& o, const outputs& out) {
  return P::give(detail::described(
      "binary_cross_entropy", {{"logits", &logits}, {"targets", &targets}}, o, out,
      [&](auto... shared) { return ::xent_binary_cross_entropy(logits.c_tensor(), targets.c_tensor(), shared...); }));
}

/// The divergence of a student's distribution from a teacher's, both given as logits, with the student's gradient.
template <class P = default_policy>
typename P::template result<void> divergence(const const_tensor& student, const const_tensor& teacher,
                                             const options& o, const outputs& out) {
  return P::give(detail::described(
      "divergence", {{"student", &student}, {"teacher", &teacher}}, o, out,
      [&](auto... shared) { return ::xent_divergence(student.c_tensor(), teacher.c_tensor(), shared...); }));
}

/// Backward of softmax in any layout: three tensors of one shape. The output may be in place of either input.
template <class P = default_policy>
typename P::template result<void> softmax_grad(const const_tensor& probs, const const_tensor& grad_probs,
                                               const tensor& grad_logits) {
  return P::give(detail::described(
      detail::check_fit("softmax_grad",
                        {{"probs", &probs}, {"grad_probs", &grad_probs}, {"grad_logits", &grad_logits}}),
      [&](xent_error* error) {
        return ::xent_softmax_grad(probs.c_tensor(), grad_probs.c_tensor(), grad_logits.c_tensor(), error);
      }));
}

/// Backward of log-softmax in any layout: three tensors of one shape. The output may be in place of either input.
template <class P = default_policy>
typename P::template result<void> log_softmax_grad(const const_tensor& log_probs, const const_tensor& grad_log_probs,
                                                   const tensor& grad_logits) {
  return P::give(detail::described(
      detail::check_fit("log_softmax_grad", {{"log_probs", &log_probs},
                                             {"grad_log_probs", &grad_log_probs},
                                             {"grad_logits", &grad_logits}}),
      [&](xent_error* error) {
        return ::xent_log_softmax_grad(log_probs.c_tensor(), grad_log_probs.c_tensor(), grad_logits.c_tensor(), error);
      }));
}

}  // namespace xent

#endif  // XENT_DESCRIPTOR_HPP
