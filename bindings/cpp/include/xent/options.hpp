// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: the options of the plain functions, and what their gradients come with.
#ifndef XENT_OPTIONS_HPP
#define XENT_OPTIONS_HPP

#include <xent/view.hpp>

#include <vector>

namespace xent {

/// How the losses of the rows become one.
enum class reduction : std::int32_t {
  none = XENT_REDUCTION_NONE,          ///< they do not: a loss for each row
  mean = XENT_REDUCTION_MEAN,          ///< the sum divided by the sum of the weights of the targets that count
  sum = XENT_REDUCTION_SUM,            ///< the sum
  mean_rows = XENT_REDUCTION_MEAN_ROWS  ///< the sum divided by the number of rows that count, weights or not
};

/// Options of losses with class indices as targets; Real is real_t of the logits.
template <class Real>
struct loss_options {
  xent::reduction reduction = xent::reduction::mean;
  std::int64_t ignore_index = XENT_IGNORE_INDEX;  ///< rows with this target do not count
  span<const Real> weight{};                      ///< [classes], or empty: every weight is 1
};

/// Options of the multi-label loss.
template <class Real>
struct binary_options {
  xent::reduction reduction = xent::reduction::mean;
  span<const Real> weight{};      ///< [classes], or empty: every weight is 1
  span<const Real> pos_weight{};  ///< [classes], or empty: every weight is 1
};

/// What a function with a gradient returns.
template <class T>
struct loss_and_grad {
  real_t<T> loss;
  std::vector<T> grad_logits;  ///< [rows, classes]
};

}  // namespace xent

#endif  // XENT_OPTIONS_HPP
