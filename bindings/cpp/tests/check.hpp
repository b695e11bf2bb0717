// SPDX-License-Identifier: Apache-2.0
//
// Counting, and comparing bit by bit. A program of tests ends with `return finished();`.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

inline int passed = 0, failed = 0;

inline void check(bool good, const std::string& name) {
  if (good) {
    ++passed;
  } else {
    ++failed;
    std::printf("not ok - %s\n", name.c_str());
  }
}

template <class T, class U>
void same_bits(const std::vector<T>& got, const std::vector<U>& wanted, const std::string& name) {
  static_assert(sizeof(T) == sizeof(U));
  check(!wanted.empty() && got.size() == wanted.size() &&
            std::memcmp(static_cast<const void*>(got.data()), wanted.data(), wanted.size() * sizeof(U)) == 0,
        name);
}

template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
void same_bits(T got, T wanted, const std::string& name) {
  check(std::memcmp(&got, &wanted, sizeof(T)) == 0, name);
}

inline int finished() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed != 0 || passed == 0;
}

#endif  // CHECK_HPP
