// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: the plain functions, over contiguous rows. Inputs, then options, then outputs. The logits' type T
// says which: float, double, float16, bfloat16 or a type that element.hpp was told of. Each function computes what the
// one of xent.h does that has its name and a suffix; every logarithm is natural.
//
// With outputs last, a function allocates nothing, and an output may be an input's own array where its text says "may
// be". Without them the results are returned: a std::vector of the output's shape, or the loss, which then has to be
// one.
#ifndef XENT_PLAIN_HPP
#define XENT_PLAIN_HPP

#include <xent/call.hpp>

#include <vector>

namespace xent {

// ---- Softmax, log-softmax, log-sum-exp ----------------------------------------------------------------------------

/// Softmax: the probability of each class.
///
/// logits  [rows, classes]
/// probs   [rows, classes], out; may be logits
template <class P = default_policy, class T>
typename P::template result<void> softmax(matrix_view<T> logits, detail::out<T> probs) {
  using namespace detail;
  return P::give(attempt("softmax", {full("logits", logits), same("probs", probs, logits)}, [&] {
    return c::softmax<T>(at(logits), logits.rows(), logits.classes(), at(probs));
  }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto softmax(matrix_view<T> logits) {
  return detail::returned<P>(detail::room(logits),
                             [&](auto& probs) { return softmax<detail::as_failure>(logits, probs); });
}

/// Log-softmax: the log-probability of each class.
///
/// logits     [rows, classes]
/// log_probs  [rows, classes], out; may be logits
template <class P = default_policy, class T>
typename P::template result<void> log_softmax(matrix_view<T> logits, detail::out<T> log_probs) {
  using namespace detail;
  return P::give(attempt("log_softmax", {full("logits", logits), same("log_probs", log_probs, logits)}, [&] {
    return c::log_softmax<T>(at(logits), logits.rows(), logits.classes(), at(log_probs));
  }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto log_softmax(matrix_view<T> logits) {
  return detail::returned<P>(detail::room(logits),
                             [&](auto& log_probs) { return log_softmax<detail::as_failure>(logits, log_probs); });
}

/// Log-sum-exp.
///
/// logits  [rows, classes]
/// lse     [rows], out
template <class P = default_policy, class T>
typename P::template result<void> logsumexp(matrix_view<T> logits, detail::reals<T> lse) {
  using namespace detail;
  return P::give(attempt("logsumexp", {full("logits", logits), one_for_each("lse", lse, logits.rows())}, [&] {
    return c::logsumexp<T>(at(logits), logits.rows(), logits.classes(), at(lse));
  }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto logsumexp(matrix_view<T> logits) {
  return detail::returned<P>(detail::room_per_row(logits),
                             [&](auto& lse) { return logsumexp<detail::as_failure>(logits, lse); });
}

// ---- Losses -------------------------------------------------------------------------------------------------------

/// Negative log-likelihood of log-probabilities.
///
/// log_probs  [rows, classes]; only the targets' entries are read
/// targets    [rows], each in [0, classes) or ignore_index; a target_error names the row of one that is not
/// loss       [rows] for reduction::none, otherwise one element; out
template <class P = default_policy, class T>
typename P::template result<void> nll(matrix_view<T> log_probs, span<const std::int64_t> targets,
                                      const detail::options_for<T>& options, detail::reals<T> loss) {
  using namespace detail;
  return P::give(attempt_with_targets(
      "nll", {full("log_probs", log_probs), reduced("loss", loss, options.reduction, log_probs.rows())},
      log_probs.rows(), log_probs.classes(), targets, options,
      [&](auto... shared) { return c::nll<T>(at(log_probs), shared..., at(loss)); }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto nll(matrix_view<T> log_probs, span<const std::int64_t> targets,
                       const detail::options_for<T>& options = {}) {
  return detail::returned<P>(real_t<T>{}, [&](auto& loss) {
    return nll<detail::as_failure>(log_probs, targets, options, {&loss, 1});
  });
}

/// Cross-entropy of logits: log-softmax and negative log-likelihood in one pass.
///
/// logits  [rows, classes]; the rows of ignored targets are not read
/// Otherwise like nll.
template <class P = default_policy, class T>
typename P::template result<void> cross_entropy(matrix_view<T> logits, span<const std::int64_t> targets,
                                                const detail::options_for<T>& options, detail::reals<T> loss) {
  using namespace detail;
  return P::give(attempt_with_targets(
      "cross_entropy", {full("logits", logits), reduced("loss", loss, options.reduction, logits.rows())},
      logits.rows(), logits.classes(), targets, options,
      [&](auto... shared) { return c::cross_entropy<T>(at(logits), shared..., at(loss)); }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto cross_entropy(matrix_view<T> logits, span<const std::int64_t> targets,
                                 const detail::options_for<T>& options = {}) {
  return detail::returned<P>(real_t<T>{}, [&](auto& loss) {
    return cross_entropy<detail::as_failure>(logits, targets, options, {&loss, 1});
  });
}

/// Cross-entropy and its gradient in one call: what a training step needs.
///
/// loss         as in cross_entropy, the same bits; may be empty: not wanted
/// grad_logits  [rows, classes], out; may be logits
/// Otherwise like cross_entropy.
template <class P = default_policy, class T>
typename P::template result<void> cross_entropy_with_grad(matrix_view<T> logits, span<const std::int64_t> targets,
                                                          const detail::options_for<T>& options,
                                                          detail::reals<T> loss, detail::out<T> grad_logits) {
  using namespace detail;
  return P::give(attempt_with_targets(
      "cross_entropy_with_grad",
      {full("logits", logits), same("grad_logits", grad_logits, logits),
       reduced_or_none("loss", loss, options.reduction, logits.rows())},
      logits.rows(), logits.classes(), targets, options, [&](auto... shared) {
        return c::cross_entropy_grad<T>(at(logits), shared..., at_or_null(loss), at(grad_logits));
      }));
}
/// The loss returned, the gradient written.
template <class P = default_policy, class T>
auto cross_entropy_with_grad(matrix_view<T> logits, span<const std::int64_t> targets,
                             const detail::options_for<T>& options, detail::out<T> grad_logits) {
  return detail::returned<P>(real_t<T>{}, [&](auto& loss) {
    return cross_entropy_with_grad<detail::as_failure>(logits, targets, options, {&loss, 1}, grad_logits);
  });
}
/// Both returned.
template <class P = default_policy, class T>
[[nodiscard]] auto cross_entropy_with_grad(matrix_view<T> logits, span<const std::int64_t> targets,
                                           const detail::options_for<T>& options = {}) {
  return detail::returned<P>(detail::room_with_loss(logits), [&](auto& both) {
    return cross_entropy_with_grad<detail::as_failure>(logits, targets, options, {&both.loss, 1}, both.grad_logits);
  });
}

/// Binary cross-entropy with logits, for multi-label targets.
///
/// logits   [rows, classes]
/// targets  [rows, classes]: 0 or 1, or anything between
/// loss     [rows, classes] for reduction::none, otherwise one element; out
template <class P = default_policy, class T>
typename P::template result<void> binary_cross_entropy(matrix_view<T> logits, detail::in<T> targets,
                                                       const detail::binary_options_for<T>& options,
                                                       detail::reals<T> loss) {
  using namespace detail;
  return P::give(attempt_binary("binary_cross_entropy",
                                {reduced("loss", loss, options.reduction, elements(logits.rows(), logits.classes()))},
                                logits, targets, options, [&](auto... shared) {
                                  return c::binary_cross_entropy<T>(shared..., at(loss));
                                }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto binary_cross_entropy(matrix_view<T> logits, detail::in<T> targets,
                                        const detail::binary_options_for<T>& options = {}) {
  return detail::returned<P>(real_t<T>{}, [&](auto& loss) {
    return binary_cross_entropy<detail::as_failure>(logits, targets, options, {&loss, 1});
  });
}

/// Binary cross-entropy and its gradient in one call.
///
/// loss         as in binary_cross_entropy, the same bits; may be empty: not wanted
/// grad_logits  [rows, classes], out; may be logits
/// Otherwise like binary_cross_entropy.
template <class P = default_policy, class T>
typename P::template result<void> binary_cross_entropy_with_grad(matrix_view<T> logits, detail::in<T> targets,
                                                                 const detail::binary_options_for<T>& options,
                                                                 detail::reals<T> loss, detail::out<T> grad_logits) {
  using namespace detail;
  const std::int64_t count = elements(logits.rows(), logits.classes());
  return P::give(attempt_binary(
      "binary_cross_entropy_with_grad",
      {same("grad_logits", grad_logits, logits), reduced_or_none("loss", loss, options.reduction, count)}, logits,
      targets, options, [&](auto... shared) {
        return c::binary_cross_entropy_grad<T>(shared..., at_or_null(loss), at(grad_logits));
      }));
}
/// The loss returned, the gradient written.
template <class P = default_policy, class T>
auto binary_cross_entropy_with_grad(matrix_view<T> logits, detail::in<T> targets,
                                    const detail::binary_options_for<T>& options, detail::out<T> grad_logits) {
  return detail::returned<P>(real_t<T>{}, [&](auto& loss) {
    return binary_cross_entropy_with_grad<detail::as_failure>(logits, targets, options, {&loss, 1}, grad_logits);
  });
}
/// Both returned.
template <class P = default_policy, class T>
[[nodiscard]] auto binary_cross_entropy_with_grad(matrix_view<T> logits, detail::in<T> targets,
                                                  const detail::binary_options_for<T>& options = {}) {
  return detail::returned<P>(detail::room_with_loss(logits), [&](auto& both) {
    return binary_cross_entropy_with_grad<detail::as_failure>(logits, targets, options, {&both.loss, 1},
                                                              both.grad_logits);
  });
}

// ---- Backward passes ----------------------------------------------------------------------------------------------

/// Backward of softmax: from d loss / d probs to d loss / d logits.
///
/// probs        [rows, classes], what softmax gave
/// grad_probs   [rows, classes]
/// grad_logits  [rows, classes], out; may be probs or grad_probs
template <class P = default_policy, class T>
typename P::template result<void> softmax_grad(matrix_view<T> probs, detail::in<T> grad_probs,
                                               detail::out<T> grad_logits) {
  using namespace detail;
  return P::give(attempt(
      "softmax_grad",
      {full("probs", probs), same("grad_probs", grad_probs, probs), same("grad_logits", grad_logits, probs)}, [&] {
        return c::softmax_grad<T>(at(probs), at(grad_probs), probs.rows(), probs.classes(), at(grad_logits));
      }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto softmax_grad(matrix_view<T> probs, detail::in<T> grad_probs) {
  return detail::returned<P>(detail::room(probs), [&](auto& grad_logits) {
    return softmax_grad<detail::as_failure>(probs, grad_probs, grad_logits);
  });
}

/// Backward of log-softmax: from d loss / d log_probs to d loss / d logits.
///
/// log_probs       [rows, classes], what log_softmax gave
/// grad_log_probs  [rows, classes]
/// grad_logits     [rows, classes], out; may be log_probs or grad_log_probs
template <class P = default_policy, class T>
typename P::template result<void> log_softmax_grad(matrix_view<T> log_probs, detail::in<T> grad_log_probs,
                                                   detail::out<T> grad_logits) {
  using namespace detail;
  return P::give(attempt("log_softmax_grad",
                         {full("log_probs", log_probs), same("grad_log_probs", grad_log_probs, log_probs),
                          same("grad_logits", grad_logits, log_probs)},
                         [&] {
                           return c::log_softmax_grad<T>(at(log_probs), at(grad_log_probs), log_probs.rows(),
                                                         log_probs.classes(), at(grad_logits));
                         }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto log_softmax_grad(matrix_view<T> log_probs, detail::in<T> grad_log_probs) {
  return detail::returned<P>(detail::room(log_probs), [&](auto& grad_logits) {
    return log_softmax_grad<detail::as_failure>(log_probs, grad_log_probs, grad_logits);
  });
}

/// Backward of log-sum-exp: from d loss / d lse to d loss / d logits.
///
/// logits       [rows, classes]
/// grad_lse     [rows]
/// grad_logits  [rows, classes], out; may be logits
template <class P = default_policy, class T>
typename P::template result<void> logsumexp_grad(matrix_view<T> logits, span<const real_t<T>> grad_lse,
                                                 detail::out<T> grad_logits) {
  using namespace detail;
  return P::give(attempt("logsumexp_grad",
                         {full("logits", logits), one_for_each("grad_lse", grad_lse, logits.rows()),
                          same("grad_logits", grad_logits, logits)},
                         [&] {
                           return c::logsumexp_grad<T>(at(logits), at(grad_lse), logits.rows(), logits.classes(),
                                                       at(grad_logits));
                         }));
}
template <class P = default_policy, class T>
[[nodiscard]] auto logsumexp_grad(matrix_view<T> logits, span<const real_t<T>> grad_lse) {
  return detail::returned<P>(detail::room(logits), [&](auto& grad_logits) {
    return logsumexp_grad<detail::as_failure>(logits, grad_lse, grad_logits);
  });
}

/// Backward of the negative log-likelihood: d loss / d log_probs, which does not depend on log_probs.
///
/// grad_log_probs  [rows, classes], out; its type and shape say those of log_probs
/// Otherwise like nll.
template <class P = default_policy, class T>
typename P::template result<void> nll_grad(span<const std::int64_t> targets, const detail::options_for<T>& options,
                                           matrix_view<T> grad_log_probs) {
  using namespace detail;
  return P::give(attempt_with_targets(
      "nll_grad", {full("grad_log_probs", grad_log_probs)}, grad_log_probs.rows(), grad_log_probs.classes(), targets,
      options, [&](auto... shared) { return c::nll_grad<T>(shared..., at(grad_log_probs)); }));
}

}  // namespace xent

#endif  // XENT_PLAIN_HPP
