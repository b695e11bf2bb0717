// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: the types that elements may have.
#ifndef XENT_ELEMENT_HPP
#define XENT_ELEMENT_HPP

#include <xent.h>

#include <cstdint>
#include <type_traits>
#if defined(__STDCPP_FLOAT16_T__) || defined(__STDCPP_BFLOAT16_T__)
#include <stdfloat>
#endif

namespace xent {

/// IEEE 754 half precision, as its bits: for where the compiler has no type for it.
struct float16 {
  std::uint16_t bits;
};

/// bfloat16, the upper 16 bits of a float.
struct bfloat16 {
  std::uint16_t bits;
};

/// What the library knows a type as: its dtype; `storage`, the type of the C functions' pointers; and for floating
/// types `real`, in which losses, lse and weights are. A 16-bit type of your own is made known in one line:
///
///   template <> struct xent::element<Eigen::half> : xent::element<xent::float16> {};
template <class T, class = void>
struct element;

template <>
struct element<float> {
  static constexpr xent_dtype dtype = XENT_F32;
  using storage = float;
  using real = float;
};

template <>
struct element<double> {
  static constexpr xent_dtype dtype = XENT_F64;
  using storage = double;
  using real = double;
};

template <>
struct element<float16> {
  static constexpr xent_dtype dtype = XENT_F16;
  using storage = std::uint16_t;
  using real = float;
};

template <>
struct element<bfloat16> {
  static constexpr xent_dtype dtype = XENT_BF16;
  using storage = std::uint16_t;
  using real = float;
};

/// Integers, for targets, masks and indices of tensors; bool is U8.
template <class T>
struct element<T, std::enable_if_t<std::is_integral_v<T>>> {
  static constexpr xent_dtype dtype = std::is_signed_v<T> ? (sizeof(T) == 1   ? XENT_I8
                                                             : sizeof(T) == 2 ? XENT_I16
                                                             : sizeof(T) == 4 ? XENT_I32
                                                                              : XENT_I64)
                                                          : (sizeof(T) == 1   ? XENT_U8
                                                             : sizeof(T) == 2 ? XENT_U16
                                                             : sizeof(T) == 4 ? XENT_U32
                                                                              : XENT_U64);
  using storage = T;
};

// The compilers' own types. std::float16_t is _Float16, where there is one.
#if (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 13)) && defined(__FLT16_MANT_DIG__) && \
    (defined(__x86_64__) || defined(__aarch64__))
namespace detail {
__extension__ typedef _Float16 native_half;  // no word from -Wpedantic
}  // namespace detail
template <>
struct element<detail::native_half> : element<float16> {};
#elif defined(__STDCPP_FLOAT16_T__)
template <>
struct element<std::float16_t> : element<float16> {};
#endif
#if defined(__STDCPP_BFLOAT16_T__)
template <>
struct element<std::bfloat16_t> : element<bfloat16> {};
#endif

/// The type of losses, lse and weights for logits of type T: double for double, float for all others.
template <class T>
using real_t = typename element<std::remove_const_t<T>>::real;

namespace detail {

template <class T>
using storage_t = std::conditional_t<std::is_const_v<T>, const typename element<std::remove_const_t<T>>::storage,
                                     typename element<std::remove_const_t<T>>::storage>;

/// The pointer as a C function takes it.
template <class T>
storage_t<T>* stored(T* data) noexcept {
  static_assert(sizeof(T) == sizeof(storage_t<T>), "xent::element<T> is of a type of another size");
  if constexpr (std::is_same_v<T, storage_t<T>>) {
    return data;
  } else {
    return reinterpret_cast<storage_t<T>*>(data);
  }
}

}  // namespace detail
}  // namespace xent

#endif  // XENT_ELEMENT_HPP
