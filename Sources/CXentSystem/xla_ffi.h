/* What the handlers for XLA read and write of XLA's FFI, by hand after xla/ffi/api/c_api.h, so that no jaxlib is needed
 * to build. bindings/python/tests/test_xla_layout.py compares it with the jaxlib that is installed.
 *
 * The layouts are those of "XLA FFI C API", Copyright 2023 The OpenXLA Authors, licensed under the Apache License,
 * Version 2.0. Structs are named as there, with xents_xla for XLA_FFI, and end after the last field that is used: each
 * but a span and a scalar has its size in front, and XLA only adds fields at the end within a major version. */
#ifndef CXENT_XLA_FFI_H
#define CXENT_XLA_FFI_H

#include <stddef.h>
#include <stdint.h>

/* The first version with all that is used here. XLA takes handlers of this one and of all that came after it. */
enum { XENTS_XLA_API_MAJOR = 0, XENTS_XLA_API_MINOR = 1 };

enum { XENTS_XLA_EXTENSION_METADATA = 1 };
enum { XENTS_XLA_STAGE_EXECUTE = 3 };
enum { XENTS_XLA_ERROR_INVALID_ARGUMENT = 3 };
enum { XENTS_XLA_ATTR_SCALAR = 3, XENTS_XLA_ATTR_STRING = 4 };
enum {
  XENTS_XLA_PRED = 1,
  XENTS_XLA_S8 = 2,
  XENTS_XLA_S16 = 3,
  XENTS_XLA_S32 = 4,
  XENTS_XLA_S64 = 5,
  XENTS_XLA_U8 = 6,
  XENTS_XLA_U16 = 7,
  XENTS_XLA_U32 = 8,
  XENTS_XLA_U64 = 9,
  XENTS_XLA_F16 = 10,
  XENTS_XLA_F32 = 11,
  XENTS_XLA_F64 = 12,
  XENTS_XLA_BF16 = 16
};

typedef struct xents_xla_extension_base {
  size_t struct_size;
  int32_t type;
  struct xents_xla_extension_base *_Nullable next;
} xents_xla_extension_base;

typedef struct xents_xla_api_version {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  int32_t major_version, minor_version;
} xents_xla_api_version;

typedef struct xents_xla_metadata {
  size_t struct_size;
  xents_xla_api_version api_version;
  uint32_t traits;
} xents_xla_metadata;

typedef struct xents_xla_metadata_extension {
  xents_xla_extension_base extension_base;
  xents_xla_metadata *_Nonnull metadata;
} xents_xla_metadata_extension;

typedef struct xents_xla_error_create_args {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  const char *_Nonnull message;
  int32_t errc;
} xents_xla_error_create_args;

struct XLA_FFI_Error;
typedef struct xents_xla_api {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  xents_xla_api_version api_version;
  const void *_Nullable internal_api;
  struct XLA_FFI_Error *_Nullable (*_Nonnull error_create)(xents_xla_error_create_args *_Nonnull);
} xents_xla_api;

/* Row-major and without gaps. */
typedef struct xents_xla_buffer {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  int32_t dtype;
  void *_Nullable data;
  int64_t rank;
  const int64_t *_Nullable dims;
} xents_xla_buffer;

typedef struct xents_xla_byte_span {
  const char *_Nullable ptr;
  size_t len;
} xents_xla_byte_span;

typedef struct xents_xla_scalar {
  int32_t dtype;
  const void *_Nonnull value;
} xents_xla_scalar;

/* XLA_FFI_Args and XLA_FFI_Rets. */
typedef struct xents_xla_values {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  int64_t size;
  const int32_t *_Nullable types;
  const xents_xla_buffer *_Nonnull const *_Nullable values;
} xents_xla_values;

typedef struct xents_xla_attrs {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  int64_t size;
  const int32_t *_Nullable types;
  const xents_xla_byte_span *_Nonnull const *_Nullable names;
  const void *_Nonnull const *_Nullable attrs;
} xents_xla_attrs;

typedef struct xents_xla_call_frame {
  size_t struct_size;
  xents_xla_extension_base *_Nullable extension_start;
  const xents_xla_api *_Nullable api;
  void *_Nullable ctx;
  int32_t stage;
  xents_xla_values args, rets;
  xents_xla_attrs attrs;
} xents_xla_call_frame;

#endif
