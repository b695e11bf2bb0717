// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: views of any layout and dtype, for the descriptor functions (descriptor.hpp).
#ifndef XENT_TENSOR_HPP
#define XENT_TENSOR_HPP

#include <xent/view.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>

namespace xent {

/// Sizes of a tensor, or its strides in elements: along the axes outside the classes, the classes, the axes inside
/// them. (N, C) is {N, C, 1}; (N, C, H, W) is {N, C, H * W}; (N, H, W, C) is {N * H * W, C, 1}. A row is what is along
/// `classes`.
struct extents {
  std::int64_t outer = 1, classes = 1, inner = 1;
};

class const_tensor;
class tensor;

namespace detail {

/// What the rows of a contiguous tensor are apart, and so on.
constexpr extents contiguous_strides(const extents& sizes) noexcept {
  return {elements(sizes.classes, sizes.inner), sizes.inner, 1};
}

/// The least and the greatest of the places k * stride for k in [0, size), added to what is there; false where that is
/// more than 64 bits hold.
constexpr bool reach(std::int64_t size, std::int64_t stride, std::int64_t& low, std::int64_t& high) noexcept {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (size <= 1 || stride == 0) return true;
  if (stride < -most) return false;
  const std::int64_t steps = size - 1, step = stride < 0 ? -stride : stride;
  if (step > most / steps) return false;
  const std::int64_t distance = step * steps;
  if (stride > 0) {
    if (high > most - distance) return false;
    high += distance;
  } else {
    if (low < -most + distance) return false;
    low -= distance;
  }
  return true;
}

/// Whether all of a tensor lies in an array of `count` elements, with element (0, 0, 0) at `offset`.
constexpr bool fits(const extents& sizes, const extents& strides, std::int64_t offset, std::int64_t count) noexcept {
  // Negative sizes are for the library to name.
  if (sizes.outer <= 0 || sizes.classes <= 0 || sizes.inner <= 0) return true;
  std::int64_t low = offset, high = offset;
  return reach(sizes.outer, strides.outer, low, high) && reach(sizes.classes, strides.classes, low, high) &&
         reach(sizes.inner, strides.inner, low, high) && low >= 0 && high < count;
}

template <class T>
using tensor_of = std::conditional_t<std::is_const_v<T>, const_tensor, tensor>;

}  // namespace detail

/// Memory that is read: where it is, its dtype, sizes and strides. Without memory it stands for "none".
class const_tensor {
 public:
  const_tensor() noexcept = default;
  /// With element (0, 0, 0) at data. That all of it is memory is taken on trust, unless `fits` says that it is not.
  template <class T>
  const_tensor(const T* data, const extents& sizes, const extents& strides, bool fits = true) noexcept
      : tensor_{sizeof(xent_tensor),
                const_cast<void*>(static_cast<const void*>(data)),
                element<T>::dtype,
                0,
                sizes.outer,
                sizes.classes,
                sizes.inner,
                strides.outer,
                strides.classes,
                strides.inner},
        fits_(fits) {}
  /// [rows, classes]
  template <class T>
  const_tensor(const matrix_view<T>& matrix) noexcept
      : const_tensor(matrix.data(), {matrix.rows(), matrix.classes(), 1}, {matrix.classes(), 1, 1},
                     matrix.size() == detail::elements(matrix.rows(), matrix.classes())) {}
  /// Anything with the members of std::mdspan, of rank 1 (one row), 2 (rows, classes) or 3 (outer, classes, inner).
  template <class M, class = typename M::mapping_type>
  const_tensor(const M& array) noexcept
      : const_tensor(array.data_handle(), sizes_of(array), strides_of(array)) {}

  bool is_none() const noexcept { return tensor_.struct_size == 0; }
  xent_dtype dtype() const noexcept { return tensor_.dtype; }
  extents sizes() const noexcept { return {tensor_.outer, tensor_.classes, tensor_.inner}; }
  extents strides() const noexcept { return {tensor_.outer_stride, tensor_.class_stride, tensor_.inner_stride}; }
  /// Whether the array that it was made from is as large as its sizes and strides say.
  bool fits() const noexcept { return fits_; }
  /// As the C functions take it: NULL for none. Valid as long as this object.
  const xent_tensor* c_tensor() const noexcept { return is_none() ? nullptr : &tensor_; }

 private:
  template <class M>
  static extents sizes_of(const M& array) noexcept {
    const auto size = [&](auto axis) { return static_cast<std::int64_t>(array.extent(axis)); };
    return by_rank<M>(size, 1);
  }
  template <class M>
  static extents strides_of(const M& array) noexcept {
    const auto stride = [&](auto axis) { return static_cast<std::int64_t>(array.stride(axis)); };
    return by_rank<M>(stride, 0);
  }

  template <class M, class Get>
  static extents by_rank(const Get& get, std::int64_t none) noexcept {
    constexpr auto rank = M::rank();
    static_assert(rank >= 1 && rank <= 3, "a tensor has one, two or three axes");
    if constexpr (rank == 1) return {none, get(0U), none};
    if constexpr (rank == 2) return {get(0U), get(1U), none};
    if constexpr (rank == 3) return {get(0U), get(1U), get(2U)};
  }

  xent_tensor tensor_{};
  bool fits_ = true;
};

/// Memory that is written. It can be read as well: a tensor is also a const_tensor.
class tensor : public const_tensor {
 public:
  tensor() noexcept = default;
  template <class T, std::enable_if_t<!std::is_const_v<T>, int> = 0>
  tensor(T* data, const extents& sizes, const extents& strides, bool fits = true) noexcept
      : const_tensor(data, sizes, strides, fits) {}
  template <class T, std::enable_if_t<!std::is_const_v<T>, int> = 0>
  tensor(const matrix_view<T>& matrix) noexcept : const_tensor(matrix) {}
  template <class M, std::enable_if_t<!std::is_const_v<typename M::element_type>, typename M::mapping_type>* = nullptr>
  tensor(const M& array) noexcept : const_tensor(array) {}
};

/// A range with strides; element (0, 0, 0) is the one at `offset`. Strides may be negative, and those of an input 0.
/// That all of it is in the range is checked by the function that gets the tensor. A temporary container is refused by
/// the compiler, here and below.
template <class R, std::enable_if_t<detail::outlives<R>::value, int> = 0>
auto strided(R&& range, const extents& sizes, const extents& strides, std::int64_t offset = 0) noexcept {
  const bool fits = detail::fits(sizes, strides, offset, static_cast<std::int64_t>(std::size(range)));
  return detail::tensor_of<detail::range_element_t<R>>(std::data(range) + (fits ? offset : 0), sizes, strides, fits);
}

/// A range of outer * classes * inner elements: {N, C, H * W} for images by planes, {N, 1, H * W} for their labels.
template <class R, std::enable_if_t<detail::outlives<R>::value, int> = 0>
auto contiguous(R&& range, const extents& sizes) noexcept {
  return strided(range, sizes, detail::contiguous_strides(sizes));
}

/// A range with one element for each row of a matrix: targets, row masks, losses of rows.
template <class R, std::enable_if_t<detail::outlives<R>::value, int> = 0>
auto per_row(R&& range) noexcept {
  return contiguous(range, {static_cast<std::int64_t>(std::size(range)), 1, 1});
}

/// A range with one element for each class: weights, class masks.
template <class R, std::enable_if_t<detail::outlives<R>::value, int> = 0>
auto per_class(R&& range) noexcept {
  return contiguous(range, {1, static_cast<std::int64_t>(std::size(range)), 1});
}

/// One element: a reduced loss.
template <class T>
auto scalar(T& value) noexcept {
  return detail::tensor_of<T>(&value, {}, {});
}

}  // namespace xent

#endif  // XENT_TENSOR_HPP
