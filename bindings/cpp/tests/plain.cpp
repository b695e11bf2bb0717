// SPDX-License-Identifier: Apache-2.0
//
// Every plain function in every dtype, with its outputs given and returned, against the function of xent.h that it
// stands for: the same bits. Then the worked example.
#include <xent.hpp>

#include "check.hpp"

#include <array>
#include <cmath>
#if __cplusplus >= 202002L
#include <span>
#endif

namespace {

// The C functions under names that can be counted on, written here and not taken from the wrapper.
#define C_FUNCTIONS(T, Real, Bits, suffix)                                                                       \
  template <>                                                                                                    \
  struct c_functions<T> {                                                                                        \
    using real = Real;                                                                                           \
    using bits = Bits;                                                                                           \
    static constexpr auto softmax = [](auto... a) { return xent_softmax_##suffix(a...); };                       \
    static constexpr auto log_softmax = [](auto... a) { return xent_log_softmax_##suffix(a...); };               \
    static constexpr auto logsumexp = [](auto... a) { return xent_logsumexp_##suffix(a...); };                   \
    static constexpr auto nll = [](auto... a) { return xent_nll_##suffix(a...); };                               \
    static constexpr auto cross_entropy = [](auto... a) { return xent_cross_entropy_##suffix(a...); };           \
    static constexpr auto cross_entropy_grad = [](auto... a) { return xent_cross_entropy_grad_##suffix(a...); }; \
    static constexpr auto binary = [](auto... a) { return xent_binary_cross_entropy_##suffix(a...); };           \
    static constexpr auto binary_grad = [](auto... a) { return xent_binary_cross_entropy_grad_##suffix(a...); }; \
    static constexpr auto softmax_grad = [](auto... a) { return xent_softmax_grad_##suffix(a...); };             \
    static constexpr auto log_softmax_grad = [](auto... a) { return xent_log_softmax_grad_##suffix(a...); };     \
    static constexpr auto logsumexp_grad = [](auto... a) { return xent_logsumexp_grad_##suffix(a...); };         \
    static constexpr auto nll_grad = [](auto... a) { return xent_nll_grad_##suffix(a...); };                     \
  }
template <class T>
struct c_functions;
C_FUNCTIONS(float, float, float, f32);
C_FUNCTIONS(double, double, double, f64);
C_FUNCTIONS(xent::float16, float, std::uint16_t, f16);
C_FUNCTIONS(xent::bfloat16, float, std::uint16_t, bf16);
#undef C_FUNCTIONS

constexpr std::int64_t rows = 5, classes = 7;

// Exact in every dtype, so that none needs a conversion beyond the placing of bits. Eighths from -8 to 8.
template <class Bits>
Bits number(int eighths, bool bfloat) {
  const float value = static_cast<float>(eighths) / 8;
  if constexpr (!std::is_same_v<Bits, std::uint16_t>) {
    (void)bfloat;
    return static_cast<Bits>(value);
  } else {
    std::uint32_t word;
    std::memcpy(&word, &value, sizeof word);
    if (bfloat || value == 0) return static_cast<std::uint16_t>(word >> 16);
    const std::uint32_t exponent = ((word >> 23) & 0xFF) - 112;
    return static_cast<std::uint16_t>((word >> 31 << 15) | (exponent << 10) | ((word >> 13) & 0x3FF));
  }
}

template <class T>
auto numbers(std::int64_t count, int step) {
  using bits = typename c_functions<T>::bits;
  std::vector<bits> out;
  for (std::int64_t k = 0; k < count; ++k)
    out.push_back(number<bits>(static_cast<int>(k * step) % 113 - 56, std::is_same_v<T, xent::bfloat16>));
  return out;
}

/// The same bits as elements of the wrapper's type.
template <class T, class Bits>
std::vector<T> as(const std::vector<Bits>& bits) {
  std::vector<T> out(bits.size());
  std::memcpy(static_cast<void*>(out.data()), bits.data(), bits.size() * sizeof(Bits));
  return out;
}

// T is the wrapper's type, C the one whose functions it stands for.
template <class T, class C = T>
void every_function(const std::string& dtype) {
  using c = c_functions<C>;
  using bits = typename c::bits;
  using real = typename c::real;
  static_assert(std::is_same_v<xent::real_t<T>, real> && std::is_same_v<xent::real_t<const T>, real>);
  const auto x = numbers<C>(rows * classes, 37), g = numbers<C>(rows * classes, 59);
  const auto tx = as<T>(x), tg = as<T>(g);
  const xent::matrix_view logits(tx, rows, classes);
  const std::vector<std::int64_t> targets = {3, 0, -7, 6, 2};
  const std::vector<real> weight = {1, 2, 0.5, 3, 0.25, 1, 4}, grad_rows = {1, -2, 3, 0.5, 4};
  std::vector<bits> y(x.size());
  std::vector<real> r(rows);
  const auto ok = [&](xent_status status) { check(status == XENT_OK, dtype + ": the C function fails"); };
  std::vector<T> out(x.size());
  const auto cleared = [&]() -> std::vector<T>& { return out = std::vector<T>(x.size()); };

  ok(c::softmax(x.data(), rows, classes, y.data()));
  const auto probs = as<T>(y);
  xent::softmax(logits, cleared());
  same_bits(out, y, dtype + " softmax");
  same_bits(xent::softmax(logits), y, dtype + " softmax, returned");
  auto in_place = tx;
  xent::softmax(xent::matrix_view(in_place, rows, classes), in_place);
  same_bits(in_place, y, dtype + " softmax, in place");
  ok(c::softmax_grad(y.data(), g.data(), rows, classes, y.data()));
  xent::softmax_grad(xent::matrix_view(probs, rows, classes), tg, cleared());
  same_bits(out, y, dtype + " softmax_grad");
  same_bits(xent::softmax_grad(xent::matrix_view(probs, rows, classes), tg), y, dtype + " softmax_grad, returned");

  ok(c::log_softmax(x.data(), rows, classes, y.data()));
  const auto log_probs = as<T>(y);
  const auto y_log = y;
  xent::log_softmax(logits, cleared());
  same_bits(out, y, dtype + " log_softmax");
  same_bits(xent::log_softmax(logits), y, dtype + " log_softmax, returned");
  ok(c::log_softmax_grad(y.data(), g.data(), rows, classes, y.data()));
  const xent::matrix_view log_view(log_probs, rows, classes);
  xent::log_softmax_grad(log_view, tg, cleared());
  same_bits(out, y, dtype + " log_softmax_grad");
  same_bits(xent::log_softmax_grad(log_view, xent::matrix_view(tg, rows, classes)), y,
            dtype + " log_softmax_grad, returned");

  ok(c::logsumexp(x.data(), rows, classes, r.data()));
  std::vector<real> lse(rows);
  xent::logsumexp(logits, lse);
  same_bits(lse, r, dtype + " logsumexp");
  same_bits(xent::logsumexp(logits), r, dtype + " logsumexp, returned");
  ok(c::logsumexp_grad(x.data(), grad_rows.data(), rows, classes, y.data()));
  xent::logsumexp_grad(logits, grad_rows, cleared());
  same_bits(out, y, dtype + " logsumexp_grad");
  same_bits(xent::logsumexp_grad(logits, grad_rows), y, dtype + " logsumexp_grad, returned");

  for (const auto reduction : {xent::reduction::none, xent::reduction::mean, xent::reduction::sum,
                               xent::reduction::mean_rows}) {
    for (const bool weighted : {false, true}) {
      const std::string name = dtype + " reduction " + std::to_string(static_cast<int>(reduction)) +
                               (weighted ? " weighted " : " ");
      const bool none = reduction == xent::reduction::none;
      const auto code = static_cast<std::int32_t>(reduction);
      const real* w = weighted ? weight.data() : nullptr;
      xent::loss_options<real> options;
      options.reduction = reduction;
      options.ignore_index = -7;
      if (weighted) options.weight = weight;
      std::vector<real> wanted(none ? rows : 1), loss(wanted.size());

      ok(c::nll(y_log.data(), targets.data(), rows, classes, w, std::int64_t{-7}, code, wanted.data()));
      xent::nll(log_view, targets, options, loss);
      same_bits(loss, wanted, name + "nll");
      if (!none) same_bits(xent::nll(log_view, targets, options), wanted[0], name + "nll, returned");
      ok(c::nll_grad(targets.data(), rows, classes, w, std::int64_t{-7}, code, y.data()));
      xent::nll_grad(targets, options, xent::matrix_view(cleared(), rows, classes));
      same_bits(out, y, name + "nll_grad");

      ok(c::cross_entropy(x.data(), targets.data(), rows, classes, w, std::int64_t{-7}, code, wanted.data()));
      xent::cross_entropy(logits, targets, options, loss);
      same_bits(loss, wanted, name + "cross_entropy");
      ok(c::cross_entropy_grad(x.data(), targets.data(), rows, classes, w, std::int64_t{-7}, code, wanted.data(),
                               y.data()));
      loss.assign(loss.size(), 0);
      xent::cross_entropy_with_grad(logits, targets, options, loss, cleared());
      same_bits(loss, wanted, name + "cross_entropy_with_grad, loss");
      same_bits(out, y, name + "cross_entropy_with_grad, grad");
      xent::cross_entropy_with_grad(logits, targets, options, {}, cleared());
      same_bits(out, y, name + "cross_entropy_with_grad, grad alone");
      if (!none) {
        same_bits(xent::cross_entropy(logits, targets, options), wanted[0], name + "cross_entropy, returned");
        const real returned = xent::cross_entropy_with_grad(logits, targets, options, cleared());
        same_bits(returned, wanted[0], name + "cross_entropy_with_grad, returned");
        same_bits(out, y, name + "cross_entropy_with_grad, grad beside the returned loss");
        const auto both = xent::cross_entropy_with_grad(logits, targets, options);
        same_bits(both.loss, wanted[0], name + "cross_entropy_with_grad, both, loss");
        same_bits(both.grad_logits, y, name + "cross_entropy_with_grad, both, grad");
      }

      xent::binary_options<real> binary;
      binary.reduction = reduction;
      if (weighted) {
        binary.weight = weight;
        binary.pos_weight = xent::span<const real>(weight.data(), weight.size());
      }
      std::vector<real> wanted_binary(none ? rows * classes : 1), loss_binary(wanted_binary.size());
      ok(c::binary(x.data(), g.data(), rows, classes, w, w, code, wanted_binary.data()));
      xent::binary_cross_entropy(logits, tg, binary, loss_binary);
      same_bits(loss_binary, wanted_binary, name + "binary_cross_entropy");
      ok(c::binary_grad(x.data(), g.data(), rows, classes, w, w, code, wanted_binary.data(), y.data()));
      loss_binary.assign(loss_binary.size(), 0);
      xent::binary_cross_entropy_with_grad(logits, tg, binary, loss_binary, cleared());
      same_bits(loss_binary, wanted_binary, name + "binary_cross_entropy_with_grad, loss");
      same_bits(out, y, name + "binary_cross_entropy_with_grad, grad");
      if (!none) {
        same_bits(xent::binary_cross_entropy(logits, tg, binary), wanted_binary[0], name + "binary, returned");
        const real returned = xent::binary_cross_entropy_with_grad(logits, tg, binary, cleared());
        same_bits(returned, wanted_binary[0], name + "binary_cross_entropy_with_grad, returned");
        const auto both = xent::binary_cross_entropy_with_grad(logits, tg, binary);
        same_bits(both.loss, wanted_binary[0], name + "binary_cross_entropy_with_grad, both, loss");
        same_bits(both.grad_logits, y, name + "binary_cross_entropy_with_grad, both, grad");
      }
    }
  }
}

void worked_example() {
  const float logits[3][3] = {{1, 2, 7}, {4, 7, 9}, {8, 3, 4}};
  const std::array<std::int64_t, 3> targets = {2, 2, 0};
  const auto both = xent::cross_entropy_with_grad(xent::matrix_view(logits), targets);
  const float wanted[9] = {0.0008F, 0.0022F, -0.0030F, 0.0020F, 0.0395F, -0.0415F, -0.0081F, 0.0022F, 0.0060F};
  check(std::fabs(both.loss - 0.0556F) < 5e-5F, "the worked example's loss");
  for (std::size_t k = 0; k < 9; ++k)
    check(std::fabs(both.grad_logits[k] - wanted[k]) < 5.1e-5F, "the worked example's grad " + std::to_string(k));
  const std::array<float, 2> sure = {70, 0};
  check(xent::cross_entropy(xent::matrix_view(sure, 1, 2), std::array<std::int64_t, 1>{0}) > 3e-31F, "a loss of 4e-31");
#if __cplusplus >= 202002L
  const std::span<const float> flat(&logits[0][0], 9);
  const auto loss = xent::cross_entropy(xent::matrix_view(flat, 3, 3), std::span(targets), {.ignore_index = 0});
  check(loss > 0 && loss < both.loss * 3, "std::span, and options in place");
#endif
}

}  // namespace

// A 16-bit type of somebody else's.
struct half_of_another_library {
  std::uint16_t x;
};
template <>
struct xent::element<half_of_another_library> : xent::element<xent::float16> {};

int main() {
  every_function<float>("f32");
  every_function<double>("f64");
  every_function<xent::float16>("f16");
  every_function<xent::bfloat16>("bf16");
  every_function<half_of_another_library, xent::float16>("foreign f16");
#if defined(__clang__) && defined(__FLT16_MANT_DIG__) && (defined(__x86_64__) || defined(__aarch64__))
  every_function<_Float16, xent::float16>("_Float16");
#endif
#if defined(__STDCPP_FLOAT16_T__)
  static_assert(xent::element<std::float16_t>::dtype == XENT_F16);
#endif
#if defined(__STDCPP_BFLOAT16_T__)
  every_function<std::bfloat16_t, xent::bfloat16>("std::bfloat16_t");
#endif
  worked_example();
  return finished();
}
