// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: what the plain functions are made of. Nothing here is for a caller.
#ifndef XENT_CALL_HPP
#define XENT_CALL_HPP

#include <xent/error.hpp>
#include <xent/options.hpp>
#include <xent/view.hpp>

#include <vector>

namespace xent {
namespace detail {

// The C functions by dtype. They are called, never pointed to: a pointer to them does not link without -fPIE.
namespace c {
#define XENT_FUNCTION(name)                                                       \
  template <class T, class... Arguments>                                          \
  xent_status name(Arguments... arguments) noexcept {                             \
    constexpr xent_dtype dtype = element<std::remove_const_t<T>>::dtype;          \
    static_assert(dtype >= XENT_F32 && dtype <= XENT_BF16, "not a floating type"); \
    if constexpr (dtype == XENT_F32)                                              \
      return ::xent_##name##_f32(arguments...);                                   \
    else if constexpr (dtype == XENT_F64)                                         \
      return ::xent_##name##_f64(arguments...);                                   \
    else if constexpr (dtype == XENT_F16)                                         \
      return ::xent_##name##_f16(arguments...);                                   \
    else                                                                          \
      return ::xent_##name##_bf16(arguments...);                                  \
  }
XENT_FUNCTION(softmax)
XENT_FUNCTION(log_softmax)
XENT_FUNCTION(logsumexp)
XENT_FUNCTION(nll)
XENT_FUNCTION(cross_entropy)
XENT_FUNCTION(cross_entropy_grad)
XENT_FUNCTION(log_softmax_grad)
XENT_FUNCTION(softmax_grad)
XENT_FUNCTION(logsumexp_grad)
XENT_FUNCTION(nll_grad)
XENT_FUNCTION(binary_cross_entropy)
XENT_FUNCTION(binary_cross_entropy_grad)
#undef XENT_FUNCTION
}  // namespace c

template <class T>
using value_t = std::remove_const_t<T>;
/// For parameters that are to be converted to, not deduced from.
template <class T>
using in = like<const value_t<T>>;
template <class T>
using out = like<value_t<T>>;
template <class T>
using reals = span<real_t<T>>;
template <class T>
using options_for = loss_options<real_t<T>>;
template <class T>
using binary_options_for = binary_options<real_t<T>>;

/// Where a view's elements are, as a C function takes it; an optional view without elements is NULL.
template <class View>
auto at(const View& view) noexcept {
  return stored(view.data());
}
template <class T>
auto at_or_null(span<T> array) noexcept {
  return stored(array.empty() ? nullptr : array.data());
}

template <class T>
std::int64_t size(span<T> array) noexcept {
  return static_cast<std::int64_t>(array.size());
}

// ---- Which size an array has to have ----

template <class T>
size_rule full(const char* name, const matrix_view<T>& matrix) noexcept {
  return {name, matrix.size(), elements(matrix.rows(), matrix.classes())};
}

template <class T, class U>
size_rule same(const char* name, const like<T>& array, const matrix_view<U>& matrix) noexcept {
  return {name, array.size(), elements(matrix.rows(), matrix.classes()),
          array.has_shape(matrix.rows(), matrix.classes())};
}

template <class T>
size_rule one_for_each(const char* name, span<T> array, std::int64_t count) noexcept {
  return {name, size(array), count};
}

template <class T>
size_rule none_or_one_for_each(const char* name, span<T> array, std::int64_t count) noexcept {
  return {name, size(array), array.empty() ? 0 : count};
}

template <class T>
size_rule reduced(const char* name, span<T> loss, reduction r, std::int64_t count) noexcept {
  return {name, size(loss), r == reduction::none ? count : 1};
}

template <class T>
size_rule reduced_or_none(const char* name, span<T> loss, reduction r, std::int64_t count) noexcept {
  return {name, size(loss), loss.empty() ? 0 : r == reduction::none ? count : 1};
}

// ---- Calls ----

/// Calls a C function that takes targets, sizes and options in a row; the row that its error names is in the failure.
template <class Options, class Call>
failure attempt_with_targets(const char* function, std::initializer_list<size_rule> rules, std::int64_t rows,
                             std::int64_t classes, span<const std::int64_t> targets, const Options& options,
                             const Call& call) {
  failure f = check(function, rules);
  if (f.status != status::ok) return f;
  f = attempt(function,
              {one_for_each("targets", targets, rows), none_or_one_for_each("weight", options.weight, classes)}, [&] {
                return call(at(targets), rows, classes, at_or_null(options.weight), options.ignore_index,
                            static_cast<std::int32_t>(options.reduction));
              });
  if (f.status != status::target) return f;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    const std::int64_t target = targets[row];
    if (target == options.ignore_index || (target >= 0 && target < classes)) continue;
    f.row = static_cast<std::int64_t>(row);
    f.value = target;
    break;
  }
  return f;
}

/// The same for the multi-label loss, whose targets are a matrix.
template <class T, class Options, class Call>
failure attempt_binary(const char* function, std::initializer_list<size_rule> rules, const matrix_view<T>& logits,
                       const in<T>& targets, const Options& options, const Call& call) {
  failure f = check(function, rules);
  if (f.status != status::ok) return f;
  return attempt(function,
                 {full("logits", logits), same("targets", targets, logits),
                  none_or_one_for_each("weight", options.weight, logits.classes()),
                  none_or_one_for_each("pos_weight", options.pos_weight, logits.classes())},
                 [&] {
                   return call(at(logits), at(targets), logits.rows(), logits.classes(), at_or_null(options.weight),
                               at_or_null(options.pos_weight), static_cast<std::int32_t>(options.reduction));
                 });
}

/// The policy by which a function that returns its results calls the one that writes them.
struct as_failure {
  template <class>
  using result = failure;
  static failure give(failure f) { return f; }
};

/// Gives what `fill` writes, which returns a failure.
template <class P, class Value, class Fill>
typename P::template result<Value> returned(Value value, const Fill& fill) {
  failure f = fill(value);
  return P::give(std::move(f), std::move(value));
}

/// Room for an output of the shape of a matrix; none where the matrix is wrong, which the call will say.
template <class T>
std::vector<value_t<T>> room(const matrix_view<T>& matrix) {
  const std::int64_t count = elements(matrix.rows(), matrix.classes());
  return std::vector<value_t<T>>(count == matrix.size() && count > 0 ? static_cast<std::size_t>(count) : 0);
}

template <class T>
std::vector<real_t<T>> room_per_row(const matrix_view<T>& matrix) {
  const bool whole = matrix.size() == elements(matrix.rows(), matrix.classes());
  return std::vector<real_t<T>>(whole && matrix.rows() > 0 ? static_cast<std::size_t>(matrix.rows()) : 0);
}

template <class T>
loss_and_grad<value_t<T>> room_with_loss(const matrix_view<T>& matrix) {
  return {{}, room(matrix)};
}

}  // namespace detail
}  // namespace xent

#endif  // XENT_CALL_HPP
