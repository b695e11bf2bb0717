// SPDX-License-Identifier: Apache-2.0
//
// What is refused, when and as what: by the compiler, by the checks of sizes, by the library.
#include <xent.hpp>

#include "check.hpp"

#include <array>
#include <functional>
#include <string_view>

namespace {

// ---- By the compiler

template <class T, class... From>
constexpr bool makes = std::is_constructible_v<T, From...>;
template <class From, class To>
constexpr bool becomes = std::is_convertible_v<From, To>;
using floats = std::vector<float>;

static_assert(becomes<floats&, xent::span<float>> && becomes<const floats&, xent::span<const float>>);
static_assert(becomes<float (&)[3], xent::span<float>> && becomes<std::array<float, 3>&, xent::span<const float>>);
static_assert(!becomes<const floats&, xent::span<float>>, "what is const is not written");
static_assert(!becomes<std::vector<double>&, xent::span<const float>>, "nothing is converted");
static_assert(!becomes<std::vector<int>&, xent::span<const std::int64_t>>);
static_assert(becomes<xent::matrix_view<float>, xent::matrix_view<const float>>);
static_assert(!becomes<xent::matrix_view<const float>, xent::matrix_view<float>>);
static_assert(!becomes<xent::matrix_view<const float>, xent::like<float>>);
static_assert(becomes<xent::matrix_view<float>, xent::like<const float>>);
static_assert(becomes<xent::matrix_view<float>, xent::tensor> && becomes<xent::tensor, xent::const_tensor>);
static_assert(!makes<xent::tensor, xent::matrix_view<const float>>);
static_assert(!makes<xent::tensor, const float*, xent::extents, xent::extents>);
static_assert(!makes<xent::tensor, xent::const_tensor>);
static_assert(makes<xent::const_tensor, const float*, xent::extents, xent::extents>);
static_assert(std::is_same_v<decltype(xent::per_row(std::declval<const floats&>())), xent::const_tensor>);
static_assert(std::is_same_v<decltype(xent::per_row(std::declval<floats&>())), xent::tensor>);
static_assert(std::is_same_v<decltype(xent::matrix_view(std::declval<const floats&>(), 1, 1)),
                             xent::matrix_view<const float>>);
static_assert(std::is_same_v<decltype(xent::matrix_view(std::declval<float*>(), 1, 1)), xent::matrix_view<float>>);
template <class R, class = void>
constexpr bool has_per_row = false;
template <class R>
constexpr bool has_per_row<R, std::void_t<decltype(xent::per_row(std::declval<R>()))>> = true;
static_assert(makes<xent::matrix_view<float>, floats&, int, int> && !makes<xent::matrix_view<float>, floats, int, int>);
static_assert(makes<xent::matrix_view<float>, xent::span<float>, int, int>, "a temporary view is none of a temporary");
static_assert(has_per_row<floats&> && has_per_row<const floats&> && has_per_row<xent::span<float>>);
static_assert(!has_per_row<floats> && !has_per_row<std::array<float, 3>>);
static_assert(becomes<floats, xent::span<const float>>, "an argument lives as long as the call");
static_assert(std::is_base_of_v<std::invalid_argument, xent::argument_error>);
static_assert(std::is_base_of_v<std::out_of_range, xent::target_error>);
static_assert(std::is_base_of_v<std::runtime_error, xent::resource_error>);
static_assert(noexcept(xent::version()) && noexcept(xent::num_threads()) && noexcept(xent::cpu_level()));
static_assert(noexcept(xent::span<float>()) && noexcept(xent::per_row(std::declval<std::array<float, 2>&>())));

static_assert(xent::element<bool>::dtype == XENT_U8 && xent::element<std::int8_t>::dtype == XENT_I8);
static_assert(xent::element<short>::dtype == XENT_I16 && xent::element<unsigned short>::dtype == XENT_U16);
static_assert(xent::element<int>::dtype == XENT_I32 && xent::element<unsigned>::dtype == XENT_U32);
static_assert(xent::element<long long>::dtype == XENT_I64 && xent::element<unsigned long long>::dtype == XENT_U64);

// ---- By the checks and by the library

floats scores = {1, 2, 7, 4, 7, 9}, six(6), five(5), two(2), three(3), one(1);
const std::vector<std::int64_t> targets = {2, 1}, wrong = {2, 7}, too_many = {2, 1, 0};
const xent::matrix_view<const float> logits(scores, 2, 3);

template <class Error>
void throws(const std::function<void()>& call, xent::status status, std::string_view message, std::int64_t row = -1) {
  bool as_wanted = false;
  const std::string name(message);
  try {
    call();
  } catch (const Error& error) {
    const xent::error& details = error;
    as_wanted = error.what() == name && details.message() == name && details.status() == status && details.row() == row;
    if (!as_wanted) std::printf("# status %d row %d %s\n", static_cast<int>(details.status()),
                                static_cast<int>(details.row()), error.what());
  } catch (const std::exception& error) {
    std::printf("# of another type: %s\n", error.what());
  }
  check(as_wanted, name);
}

void sizes() {
  const auto refused = [](const std::function<void()>& call, std::string_view message) {
    throws<xent::argument_error>(call, xent::status::size, message);
  };
  xent::loss_options<float> none;
  none.reduction = xent::reduction::none;
  xent::loss_options<float> weighted;
  weighted.weight = two;
  xent::binary_options<float> binary;
  binary.pos_weight = two;
  refused([] { xent::softmax(logits, five); }, "xent::softmax: probs has 5 elements, not 6");
  refused([] { xent::softmax(logits, xent::matrix_view(six, 3, 2)); }, "xent::softmax: probs is of another shape");
  refused([] { (void)xent::softmax(xent::matrix_view(scores, 2, 4)); }, "xent::softmax: logits has 6 elements, not 8");
  refused([] { (void)xent::softmax(xent::matrix_view(scores, -2, -3)); },
          "xent_softmax_f32: rows is -2, must not be negative");
  refused([] { xent::log_softmax(logits, five); }, "xent::log_softmax: log_probs has 5 elements, not 6");
  refused([] { xent::logsumexp(logits, three); }, "xent::logsumexp: lse has 3 elements, not 2");
  refused([] { (void)xent::nll(logits, too_many); }, "xent::nll: targets has 3 elements, not 2");
  refused([&] { (void)xent::nll(logits, targets, weighted); }, "xent::nll: weight has 2 elements, not 3");
  refused([&] { xent::nll(logits, targets, none, one); }, "xent::nll: loss has 1 elements, not 2");
  refused([&] { xent::nll(logits, targets, {}, two); }, "xent::nll: loss has 2 elements, not 1");
  refused([&] { (void)xent::cross_entropy(logits, targets, none); }, "xent::cross_entropy: loss has 1 elements, not 2");
  refused([] { (void)xent::cross_entropy(logits, too_many); }, "xent::cross_entropy: targets has 3 elements, not 2");
  refused([] { xent::cross_entropy_with_grad(logits, targets, {}, five); },
          "xent::cross_entropy_with_grad: grad_logits has 5 elements, not 6");
  refused([] { xent::cross_entropy_with_grad(logits, targets, {}, two, six); },
          "xent::cross_entropy_with_grad: loss has 2 elements, not 1");
  refused([] { xent::nll_grad(too_many, {}, xent::matrix_view(six, 2, 3)); },
          "xent::nll_grad: targets has 3 elements, not 2");
  refused([] { (void)xent::binary_cross_entropy(logits, five); },
          "xent::binary_cross_entropy: targets has 5 elements, not 6");
  refused([&] { (void)xent::binary_cross_entropy(logits, six, binary); },
          "xent::binary_cross_entropy: pos_weight has 2 elements, not 3");
  refused([] { xent::binary_cross_entropy_with_grad(logits, six, {}, five); },
          "xent::binary_cross_entropy_with_grad: grad_logits has 5 elements, not 6");
  refused([] { xent::softmax_grad(logits, five, six); }, "xent::softmax_grad: grad_probs has 5 elements, not 6");
  refused([] { (void)xent::log_softmax_grad(logits, five); },
          "xent::log_softmax_grad: grad_log_probs has 5 elements, not 6");
  refused([] { (void)xent::logsumexp_grad(logits, three); }, "xent::logsumexp_grad: grad_lse has 3 elements, not 2");
}

void tensors() {
  const auto outside = [](const xent::const_tensor& tensor) {
    throws<xent::argument_error>([&] { xent::softmax(tensor, {}, {}); }, xent::status::size,
                                 "xent::softmax: logits is not all within the array it was made from");
  };
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  outside(xent::contiguous(scores, {2, 2, 2}));
  outside(xent::matrix_view(scores, 2, 4));
  outside(xent::strided(scores, {2, 3, 1}, {3, 1, 1}, 1));
  outside(xent::strided(scores, {2, 3, 1}, {-3, 1, 1}, 2));
  outside(xent::strided(scores, {2, 3, 1}, {most, 1, 1}));
  outside(xent::strided(scores, {most, 3, 1}, {most, 1, 1}));
  outside(xent::strided(scores, {2, 3, 1}, {-most - 1, 1, 1}, 3));
  outside(xent::strided(scores, {1, 1, 1}, {1, 1, 1}, 6));
  check(xent::strided(scores, {2, 3, 1}, {-3, 1, 1}, 3).fits(), "from the last row to the first fits");
  check(xent::strided(scores, {most, 3, 1}, {0, 1, 1}).fits(), "a broadcast row fits");
  xent::outputs out;
  out.lse = xent::contiguous(one, {2, 1, 1});
  throws<xent::argument_error>([&] { xent::softmax(logits, {}, out); }, xent::status::size,
                               "xent::softmax: lse is not all within the array it was made from");
  xent::options options;
  options.label_smoothing = 0.5;
  options.focal_gamma = 2;
  throws<xent::argument_error>([&] { xent::cross_entropy(logits, xent::per_row(targets), options, {}); },
                               xent::status::unsupported,
                               "xent_cross_entropy: label_smoothing and focal_gamma do not go together");
  throws<xent::argument_error>([&] { xent::cross_entropy(logits, xent::const_tensor(), {}, {}); }, xent::status::null,
                               "xent_cross_entropy: targets is NULL");
  options = {};
  options.row_mask = xent::per_row(two);
  throws<xent::argument_error>([&] { xent::cross_entropy(logits, xent::per_row(targets), options, {}); },
                               xent::status::dtype,
                               "xent_cross_entropy: row_mask.dtype is XENT_F32, not an integer dtype");
  throws<xent::target_error>([&] { xent::cross_entropy(logits, xent::per_row(wrong), {}, {}); }, xent::status::target,
                             "xent_cross_entropy: targets[1] is 7, not in [0, 3) and not ignore_index (-100)", 1);
}

void by_the_library() {
  throws<xent::target_error>([] { (void)xent::cross_entropy(logits, wrong); }, xent::status::target,
                             "xent_cross_entropy_f32: targets[1] is 7, not in [0, 3) and not ignore_index (-100)", 1);
  try {
    (void)xent::cross_entropy(logits, wrong);
  } catch (const xent::error& error) {  // as what all of them are
    check(error.value() == 7, "the value that is wrong");
  }
  floats eight = {1, 2, 7, 4, 7, 9, 0, 0};
  throws<xent::argument_error>(
      [&] { xent::softmax(xent::matrix_view(eight.data(), 2, 3), xent::span<float>(eight.data() + 1, 6)); },
      xent::status::overlap, "xent_softmax_f32: probs overlaps logits");
  throws<xent::argument_error>(
      [] { (void)xent::cross_entropy(logits, targets, {static_cast<xent::reduction>(9), -100, {}}); },
      xent::status::option, "xent_cross_entropy_f32: reduction is 9, not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)");
  throws<xent::argument_error>([] { xent::set_num_threads(-1); }, xent::status::option,
                               "xent_set_num_threads: num_threads is -1, not in [0, 1024]");
  try {
    xent::raise({static_cast<xent::status>(99), -1, 0, "new"});
  } catch (const xent::resource_error& error) {
    check(error.status() == static_cast<xent::status>(99), "an unknown status is an error, too");
  }
  xent::set_num_threads(1);
  check(xent::num_threads() == 1 && xent::version() == XENT_VERSION && !xent::cpu_level().empty(), "the library");
  floats nothing;
  check(xent::softmax(xent::matrix_view(nothing, 0, 3)).empty(), "no rows");
}

// ---- Others' views

/// The members of std::mdspan that are used, with the strides of layout_left.
struct columns {
  using element_type = float;
  using mapping_type = int;
  float* data;
  static constexpr std::size_t rank() { return 2; }
  float* data_handle() const { return data; }
  std::int64_t extent(std::size_t axis) const { return axis == 0 ? 2 : 3; }
  std::int64_t stride(std::size_t axis) const { return axis == 0 ? 1 : 2; }
};
static_assert(becomes<columns, xent::tensor> && becomes<columns, xent::const_tensor>);

void mdspan() {
  floats transposed = {1, 4, 2, 7, 7, 9}, lse(2), probs(6);
  xent::outputs out;
  out.lse = xent::per_row(lse);
  out.probs = columns{probs.data()};
  xent::softmax(columns{transposed.data()}, {}, out);
  same_bits(lse, xent::logsumexp(logits), "an mdspan is read by its strides");
  const floats wanted = xent::softmax(logits);
  check(probs[1] == wanted[3] && probs[2] == wanted[1], "an mdspan is written by its strides");
}

#if defined(XENT_HAS_EXPECTED)
void expected() {
  const auto loss = xent::cross_entropy<xent::as_expected>(logits, targets);
  static_assert(std::is_same_v<decltype(loss), const std::expected<float, xent::failure>>);
  check(loss.has_value() && *loss == xent::cross_entropy(logits, targets), "an expected loss");
  const auto failed_loss = xent::cross_entropy<xent::as_expected>(logits, wrong);
  check(!failed_loss && failed_loss.error().status == xent::status::target && failed_loss.error().row == 1 &&
            failed_loss.error().value == 7, "an expected loss that is none");
  check(xent::softmax<xent::as_expected>(logits, six).has_value(), "an expected nothing");
  check(xent::softmax<xent::as_expected>(logits).value() == six, "an expected vector");
  check(!xent::softmax<xent::as_expected>(logits, five), "a size, expected");
  float out = 0;
  check(!xent::cross_entropy<xent::as_expected>(logits, xent::per_row(targets), {.label_smoothing = 2},
                                                {.loss = xent::scalar(out)}), "a descriptor call, expected");
  check(!xent::set_num_threads<xent::as_expected>(-1), "set_num_threads, expected");
}
#endif

}  // namespace

int main() {
  sizes();
  tensors();
  by_the_library();
  mdspan();
#if defined(XENT_HAS_EXPECTED)
  expected();
#endif
  return finished();
}
