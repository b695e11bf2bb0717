// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: views of memory that somebody else owns.
#ifndef XENT_VIEW_HPP
#define XENT_VIEW_HPP

#include <xent/element.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <type_traits>
#include <utility>

namespace xent {
namespace detail {

template <class R>
using range_element_t = std::remove_pointer_t<decltype(std::data(std::declval<R&>()))>;

/// Whether R is a contiguous range whose elements can be seen as T: the same type, or with a const more.
template <class R, class T, class = void>
struct is_range_of : std::false_type {};
template <class R, class T>
struct is_range_of<R, T, std::void_t<range_element_t<R>, decltype(std::size(std::declval<R&>()))>>
    : std::is_convertible<range_element_t<R> (*)[], T (*)[]> {};

/// Whether a view of what is passed as R&& outlives the expression: that of an lvalue does, and of a temporary that is
/// a view itself, whose elements are no more const when it is.
template <class R, class = void>
struct outlives : std::is_lvalue_reference<R> {};
template <class R>
struct outlives<R, std::enable_if_t<!std::is_reference_v<R>, std::void_t<range_element_t<R>>>>
    : std::is_same<range_element_t<R>, range_element_t<const R>> {};

/// A pointer itself, not an array that would become one and lose its size.
template <class P, class T>
struct is_pointer_to : std::false_type {};
template <class E, class T>
struct is_pointer_to<E*, T> : std::is_convertible<E (*)[], T (*)[]> {};

/// rows * classes, or -1 where that is no size: the library then says what is wrong.
constexpr std::int64_t elements(std::int64_t rows, std::int64_t classes) noexcept {
  if (rows < 0 || classes < 0) return -1;
  if (classes != 0 && rows > std::numeric_limits<std::int64_t>::max() / classes) return -1;
  return rows * classes;
}

}  // namespace detail

/// A contiguous array, as std::span, which C++17 has not; a std::span and any other contiguous range convert to it.
template <class T>
class span {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  constexpr span() noexcept = default;
  constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class R, std::enable_if_t<detail::is_range_of<R, T>::value, int> = 0>
  constexpr span(R&& range) noexcept(noexcept(std::data(range))) : data_(std::data(range)), size_(std::size(range)) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T& operator[](std::size_t k) const noexcept { return data_[k]; }
  constexpr T* begin() const noexcept { return data_; }
  constexpr T* end() const noexcept { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

template <class R>
span(R&&) -> span<detail::range_element_t<R>>;

/// [rows, classes], row-major: the classes of one row next to each other. With a range, that it has rows * classes
/// elements is checked by the function that gets the view; with a pointer it is taken on trust. A temporary container
/// is refused by the compiler.
template <class T>
class matrix_view {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;

  constexpr matrix_view() noexcept = default;
  template <class Pointer, std::enable_if_t<detail::is_pointer_to<Pointer, T>::value, int> = 0>
  constexpr matrix_view(const Pointer& data, std::int64_t rows, std::int64_t classes) noexcept
      : data_(data), rows_(rows), classes_(classes), size_(detail::elements(rows, classes)) {}
  template <class R, std::enable_if_t<detail::is_range_of<R, T>::value && detail::outlives<R>::value, int> = 0>
  constexpr matrix_view(R&& range, std::int64_t rows, std::int64_t classes) noexcept(noexcept(std::data(range)))
      : data_(std::data(range)), rows_(rows), classes_(classes), size_(static_cast<std::int64_t>(std::size(range))) {}
  template <std::size_t Rows, std::size_t Classes>
  constexpr matrix_view(T (&array)[Rows][Classes]) noexcept
      : matrix_view(&array[0][0], static_cast<std::int64_t>(Rows), static_cast<std::int64_t>(Classes)) {}
  template <class U, std::enable_if_t<std::is_same_v<T, const U>, int> = 0>
  constexpr matrix_view(const matrix_view<U>& other) noexcept
      : data_(other.data()), rows_(other.rows()), classes_(other.classes()), size_(other.size()) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::int64_t rows() const noexcept { return rows_; }
  constexpr std::int64_t classes() const noexcept { return classes_; }
  /// How many elements there are in memory; -1 where rows * classes is no size.
  constexpr std::int64_t size() const noexcept { return size_; }
  constexpr T& operator()(std::int64_t row, std::int64_t c) const noexcept { return data_[row * classes_ + c]; }
  constexpr span<T> row(std::int64_t row) const noexcept {
    return {data_ + row * classes_, static_cast<std::size_t>(classes_)};
  }

 private:
  T* data_ = nullptr;
  std::int64_t rows_ = 0, classes_ = 0, size_ = 0;
};

template <class R, std::enable_if_t<detail::outlives<R>::value, int> = 0>
matrix_view(R&&, std::int64_t, std::int64_t) -> matrix_view<detail::range_element_t<R>>;
template <class Pointer, std::enable_if_t<std::is_pointer_v<Pointer>, int> = 0>
matrix_view(const Pointer&, std::int64_t, std::int64_t) -> matrix_view<std::remove_pointer_t<Pointer>>;
template <class T, std::size_t Rows, std::size_t Classes>
matrix_view(T (&)[Rows][Classes]) -> matrix_view<T>;

namespace detail {
template <class R>
struct is_matrix : std::false_type {};
template <class T>
struct is_matrix<matrix_view<T>> : std::true_type {};
}  // namespace detail

/// A parameter that has the shape of another: a matrix_view of that shape, or a range of that many elements.
template <class T>
class like {
 public:
  template <class U, std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>, int> = 0>
  constexpr like(const matrix_view<U>& matrix) noexcept
      : data_(matrix.data()), size_(matrix.size()), rows_(matrix.rows()), classes_(matrix.classes()), shaped_(true) {}
  template <class R, std::enable_if_t<detail::is_range_of<R, T>::value &&
                                          !detail::is_matrix<std::remove_cv_t<std::remove_reference_t<R>>>::value,
                                      int> = 0>
  constexpr like(R&& range) noexcept(noexcept(std::data(range)))
      : data_(std::data(range)), size_(static_cast<std::int64_t>(std::size(range))) {}
  template <std::size_t Rows, std::size_t Classes>
  constexpr like(T (&array)[Rows][Classes]) noexcept : like(matrix_view<T>(array)) {}

  constexpr T* data() const noexcept { return data_; }
  constexpr std::int64_t size() const noexcept { return size_; }
  constexpr bool has_shape(std::int64_t rows, std::int64_t classes) const noexcept {
    return !shaped_ || (rows_ == rows && classes_ == classes);
  }

 private:
  T* data_;
  std::int64_t size_, rows_ = 0, classes_ = 0;
  bool shaped_ = false;
};

}  // namespace xent

#endif  // XENT_VIEW_HPP
