// SPDX-License-Identifier: Apache-2.0
//
// xent.hpp - softmax, log-softmax, log-sum-exp and the cross-entropy loss, with gradients, for C++17 and later.
//
//   #include <xent.hpp>                                c++ main.cpp $(pkg-config --cflags --libs xent)
//
//   const std::vector<float> scores = {1, 2, 7, 4, 7, 9, 8, 3, 4};
//   const std::vector<std::int64_t> targets = {2, 2, 0};
//   const xent::matrix_view logits(scores, 3, 3);               // 3 rows, 3 classes; nothing is copied
//   float loss = xent::cross_entropy(logits, targets);          // 0.0556 nats
//
// A thin layer over xent.h, which says what each function computes, to which accuracy, and which arrays may be the
// same one. Here are
//
//   Types       float, double, half precision and bfloat16 (element.hpp) by overloads instead of suffixes.
//   Views       span and matrix_view (view.hpp) take any contiguous range: std::vector, std::array, std::span, C
//               arrays. Nothing is owned and nothing is copied; what is viewed has to live as long as the call.
//   Sizes       are checked against each other before anything is done.
//   Errors      are exceptions (error.hpp): argument_error, target_error, resource_error, which are the standard
//               library's std::invalid_argument, std::out_of_range and std::runtime_error, and xent::error with
//               status, row, value and message. Where the library has std::expected, f<xent::as_expected>(...) returns
//               one and throws none.
//   Results     Two forms of each plain function (plain.hpp): with the places of its outputs last it allocates
//               nothing; without them it returns its results.
//   Everything  The descriptor functions (descriptor.hpp) take any layout, dtype, option and output in one call:
//               xent::cross_entropy(logits, xent::per_row(targets), {.label_smoothing = 0.1}, {.correct = &n})
#ifndef XENT_HPP
#define XENT_HPP

#include <xent/descriptor.hpp>
#include <xent/plain.hpp>

#include <string_view>

namespace xent {

/// major * 10000 + minor * 100 + patch of the loaded library; compare with XENT_VERSION.
inline int version() noexcept { return ::xent_version(); }

/// The instruction set that the kernels use: "baseline", "v3" or "v4".
inline std::string_view cpu_level() noexcept { return ::xent_cpu_level(); }

/// How many threads a call may use now: at least 1.
inline int num_threads() noexcept { return ::xent_get_num_threads(); }

/// Sets how many threads a call may use, for the whole process: 1 keeps every call in its own thread, 0 is automatic.
/// Throws argument_error for a number that is negative or too large, resource_error where threads cannot be had.
template <class P = default_policy>
typename P::template result<void> set_num_threads(int count) {
  return P::give(detail::attempt("set_num_threads", {}, [&] { return ::xent_set_num_threads(count); }));
}

}  // namespace xent

#endif  // XENT_HPP
