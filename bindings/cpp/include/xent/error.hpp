// SPDX-License-Identifier: Apache-2.0
//
// Part of xent.hpp: what went wrong, as an exception or as a std::expected.
#ifndef XENT_ERROR_HPP
#define XENT_ERROR_HPP

#include <xent.h>

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_expected)
#include <expected>
#endif

namespace xent {

/// xent_status, see there. A later version of the library may return a value that is none of these.
enum class status : xent_status {
  ok = XENT_OK,
  null = XENT_ERR_NULL,
  size = XENT_ERR_SIZE,
  target = XENT_ERR_TARGET,
  option = XENT_ERR_OPTION,
  overlap = XENT_ERR_OVERLAP,
  no_memory = XENT_ERR_NO_MEMORY,
  dtype = XENT_ERR_DTYPE,
  unsupported = XENT_ERR_UNSUPPORTED
};

/// What was wrong with a call, which has then written nothing.
struct failure {
  xent::status status = xent::status::ok;
  std::int64_t row = -1;   ///< the row that is wrong, -1 if it is not a matter of one row
  std::int64_t value = 0;  ///< the value that is wrong, where it is an integer; otherwise 0
  std::string message;     ///< which argument, which row and which value
};

/// What every exception of this library also is, whichever of the standard library's it is.
class error {
 public:
  xent::status status() const noexcept { return failure_.status; }
  std::int64_t row() const noexcept { return failure_.row; }
  std::int64_t value() const noexcept { return failure_.value; }
  const std::string& message() const noexcept { return failure_.message; }

 protected:
  explicit error(failure f) : failure_(std::move(f)) {}
  error(const error&) = default;
  error& operator=(const error&) = default;
  virtual ~error() = default;

 private:
  failure failure_;
};

template <class Standard>
class basic_error : public Standard, public error {
 public:
  explicit basic_error(failure f) : Standard(f.message), error(std::move(f)) {}
};

/// An argument is wrong: status null, size, option, overlap, dtype or unsupported.
using argument_error = basic_error<std::invalid_argument>;
/// A target, or an index to gather, is not a class; row() and value() say which.
using target_error = basic_error<std::out_of_range>;
/// Memory or threads could not be had; also a status that this header does not know.
using resource_error = basic_error<std::runtime_error>;

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define XENT_HAS_EXCEPTIONS 1

[[noreturn]] inline void raise(failure f) {
  switch (f.status) {
    case status::null:
    case status::size:
    case status::option:
    case status::overlap:
    case status::dtype:
    case status::unsupported:
      throw argument_error(std::move(f));
    case status::target:
      throw target_error(std::move(f));
    case status::ok:
    case status::no_memory:
      break;
  }
  throw resource_error(std::move(f));
}

/// The default: results are returned, and failures thrown.
struct as_exception {
  template <class R>
  using result = R;

  static void give(failure f) {
    if (f.status != status::ok) raise(std::move(f));
  }
  template <class R>
  static R give(failure f, R value) {
    if (f.status != status::ok) raise(std::move(f));
    return value;
  }
};
using default_policy = as_exception;
#endif

#if defined(__cpp_lib_expected)
#define XENT_HAS_EXPECTED 1

/// xent::cross_entropy<xent::as_expected>(...) returns std::expected<float, xent::failure> and throws only what an
/// allocation does. It is the default where exceptions are switched off.
struct as_expected {
  template <class R>
  using result = std::expected<R, failure>;

  static result<void> give(failure f) {
    if (f.status != status::ok) return std::unexpected(std::move(f));
    return {};
  }
  template <class R>
  static result<R> give(failure f, R value) {
    if (f.status != status::ok) return std::unexpected(std::move(f));
    return value;
  }
};
#if !defined(XENT_HAS_EXCEPTIONS)
using default_policy = as_expected;
#endif
#elif !defined(XENT_HAS_EXCEPTIONS)
#error "xent.hpp needs exceptions, or std::expected (C++23)"
#endif

namespace detail {

/// An array and the number of elements that it has to have.
struct size_rule {
  const char* name;
  std::int64_t actual, wanted;  ///< wanted is -1 where another size is wrong already, which the library will say
  bool shaped = true;           ///< false: of another shape than it has to have, whatever its size
};

inline std::string what_is_wrong(const size_rule& rule) {
  if (rule.actual == rule.wanted) return " is of another shape";
  return " has " + std::to_string(rule.actual) + " elements, not " + std::to_string(rule.wanted);
}

inline failure check(const char* function, std::initializer_list<size_rule> rules) {
  for (const size_rule& rule : rules)
    if (rule.wanted >= 0 && (rule.actual != rule.wanted || !rule.shaped))
      return {status::size, -1, rule.actual, std::string("xent::") + function + ": " + rule.name + what_is_wrong(rule)};
  return {};
}

/// Calls a C function when the sizes are right.
template <class Call>
failure attempt(const char* function, std::initializer_list<size_rule> rules, const Call& call) {
  failure f = check(function, rules);
  if (f.status != status::ok) return f;
  const xent_status result = call();
  if (result != XENT_OK) f = {static_cast<status>(result), -1, 0, ::xent_last_error()};
  return f;
}

}  // namespace detail
}  // namespace xent

#endif  // XENT_ERROR_HPP
