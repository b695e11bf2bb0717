/* SPDX-License-Identifier: Apache-2.0
 *
 * From JavaScript objects to the descriptors of xent.h; index.js is the interface.
 *
 *   call(function, first, second, options, outputs)
 *
 * function   "softmax", "cross_entropy", "nll", "binary_cross_entropy", "divergence", "softmax_grad", "log_softmax_grad"
 * tensors    {data: TypedArray or null, dtype: number, shape: [outer, classes, inner]}, contiguous
 * options    fields of xent_options by their names in C: numbers, bigints and tensors; what is missing is the default
 * outputs    fields of xent_outputs: tensors; a counter (correct, ...) has a typed array of one element as data
 * Gives undefined, or {status, row, value, message}. Throws a TypeError for what is not of these forms: a tensor has as
 * many elements as its typed array, of its type. (Getters that detach an array meanwhile are the caller's own affair;
 * index.js passes plain objects.)
 */
#define NAPI_VERSION 8
#include <node_api.h>
#include <xent.h>

#include <stdbool.h>
#include <string.h>

/* ---- Typed arrays --------------------------------------------------------------------------------------------- */

/* What kinds of array a dtype's memory may come in. */
static bool fits(napi_typedarray_type type, int32_t dtype) {
  switch (type) {
    case napi_float32_array: return dtype == XENT_F32;
    case napi_float64_array: return dtype == XENT_F64;
    case napi_uint16_array: return dtype == XENT_F16 || dtype == XENT_BF16 || dtype == XENT_U16;
    case napi_int8_array: return dtype == XENT_I8;
    case napi_int16_array: return dtype == XENT_I16;
    case napi_int32_array: return dtype == XENT_I32;
    case napi_bigint64_array: return dtype == XENT_I64;
    case napi_uint8_array:
    case napi_uint8_clamped_array: return dtype == XENT_U8;
    case napi_uint32_array: return dtype == XENT_U32;
    case napi_biguint64_array: return dtype == XENT_U64;
    default: return false;
  }
}

/* The value of a property, or NULL for null and undefined. */
static napi_value property(napi_env env, napi_value object, const char *name) {
  napi_value value;
  napi_valuetype type;
  if (napi_get_named_property(env, object, name, &value) != napi_ok || napi_typeof(env, value, &type) != napi_ok ||
      type == napi_null || type == napi_undefined) {
    return NULL;
  }
  return value;
}

static bool integer(napi_env env, napi_value value, int64_t *found) {
  bool lossless;
  return value && (napi_get_value_int64(env, value, found) == napi_ok ||
                   (napi_get_value_bigint_int64(env, value, found, &lossless) == napi_ok && lossless));
}

/* false for what is no tensor, or lies: a shape that its memory does not have, or memory of another type. */
static bool read_tensor(napi_env env, napi_value value, xent_tensor *found) {
  int64_t dtype, sizes[3], elements = 1;
  napi_value shape, data = property(env, value, "data");
  napi_typedarray_type type;
  size_t length = 0;
  uint32_t k;
  bool is_array;
  memset(found, 0, sizeof *found);
  found->struct_size = sizeof *found;
  shape = property(env, value, "shape");
  if (!integer(env, property(env, value, "dtype"), &dtype) || dtype < XENT_F32 || dtype > XENT_U64 || !shape) return false;
  for (k = 0; k < 3; k++) {
    napi_value size;
    if (napi_get_element(env, shape, k, &size) != napi_ok || !integer(env, size, &sizes[k])) return false;
    if (sizes[k] < 0 || (sizes[k] > 0 && elements > INT64_MAX / sizes[k])) return false;
    elements *= sizes[k];
  }
  if (data) {
    if (napi_is_typedarray(env, data, &is_array) != napi_ok || !is_array ||
        napi_get_typedarray_info(env, data, &type, &length, &found->data, NULL, NULL) != napi_ok ||
        !fits(type, (int32_t)dtype) || (uint64_t)elements != length) {
      return false;
    }
  } /* NULL: the library says whether it may be */
  found->dtype = (int32_t)dtype;
  found->outer = sizes[0], found->classes = sizes[1], found->inner = sizes[2];
  found->outer_stride = sizes[1] * sizes[2], found->class_stride = sizes[2], found->inner_stride = 1;
  return true;
}

/* ---- Structs -------------------------------------------------------------------------------------------------- */

typedef enum kind { INT32, INT64, REAL, TENSOR, COUNTER, SUM } kind;

typedef struct field {
  const char *name;
  kind kind;
  size_t place;
} field;

#define OPTION(name, kind) {#name, kind, offsetof(xent_options, name)}
static const field options_fields[] = {
    OPTION(reduction, INT32),    OPTION(smoothing, INT32),    OPTION(empty_mean, INT32),
    OPTION(masked_row, INT32),   OPTION(divergence, INT32),   OPTION(num_threads, INT32),
    OPTION(ignore_index, INT64), OPTION(label_smoothing, REAL), OPTION(temperature, REAL),
    OPTION(softcap, REAL),       OPTION(focal_gamma, REAL),   OPTION(poly_epsilon, REAL),
    OPTION(z_loss, REAL),        OPTION(weight, TENSOR),      OPTION(pos_weight, TENSOR),
    OPTION(row_mask, TENSOR),    OPTION(class_mask, TENSOR),  OPTION(target_probs, TENSOR),
    OPTION(grad_loss, TENSOR),   OPTION(gather, TENSOR),      OPTION(accuracy, INT32),
};

#define OUTPUT(name, kind) {#name, kind, offsetof(xent_outputs, name)}
static const field outputs_fields[] = {
    OUTPUT(loss, TENSOR),        OUTPUT(row_loss, TENSOR),        OUTPUT(grad_logits, TENSOR), OUTPUT(probs, TENSOR),
    OUTPUT(log_probs, TENSOR),   OUTPUT(lse, TENSOR),             OUTPUT(entropy, TENSOR),     OUTPUT(max_logit, TENSOR),
    OUTPUT(target_log_prob, TENSOR), OUTPUT(z_loss, TENSOR),      OUTPUT(argmax, TENSOR),      OUTPUT(target_rank, TENSOR),
    OUTPUT(top_indices, TENSOR), OUTPUT(top_log_probs, TENSOR),   OUTPUT(gathered, TENSOR),    OUTPUT(correct, COUNTER),
    OUTPUT(rows_counted, COUNTER), OUTPUT(loss_sum, SUM),         OUTPUT(weight_sum, SUM),
};

enum {
  OPTIONS = sizeof options_fields / sizeof options_fields[0],
  OUTPUTS = sizeof outputs_fields / sizeof outputs_fields[0]
};

/* Fills a struct's fields from an object's properties; tensors have a place for each field. NULL, or the field at fault. */
static const char *fill(napi_env env, napi_value object, const field *fields, size_t count, void *target,
                        xent_tensor *tensors) {
  size_t k;
  for (k = 0; k < count; k++) {
    const field *f = &fields[k];
    char *place = (char *)target + f->place;
    napi_value value = property(env, object, f->name);
    int64_t whole;
    double real;
    if (!value) continue;
    switch (f->kind) {
      case INT32: {
        int32_t narrow;
        if (!integer(env, value, &whole)) return f->name;
        narrow = whole < INT32_MIN ? INT32_MIN : whole > INT32_MAX ? INT32_MAX : (int32_t)whole;
        memcpy(place, &narrow, sizeof narrow);
        break;
      }
      case INT64:
        if (!integer(env, value, &whole)) return f->name;
        memcpy(place, &whole, sizeof whole);
        break;
      case REAL:
        if (napi_get_value_double(env, value, &real) != napi_ok) return f->name;
        memcpy(place, &real, sizeof real);
        break;
      case TENSOR: {
        const xent_tensor *tensor = &tensors[k];
        if (!read_tensor(env, value, &tensors[k])) return f->name;
        memcpy(place, &tensor, sizeof tensor);
        break;
      }
      case COUNTER:
      case SUM:
        if (!read_tensor(env, value, &tensors[k]) || tensors[k].outer * tensors[k].classes * tensors[k].inner != 1 ||
            tensors[k].dtype != (f->kind == SUM ? XENT_F64 : XENT_I64)) {
          return f->name;
        }
        memcpy(place, &tensors[k].data, sizeof tensors[k].data);
        break;
    }
  }
  return NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------------------------- */

static napi_value refuse(napi_env env, const char *name) {
  char text[96] = "xent: not of the form that is needed: ";
  strncat(text, name, sizeof text - strlen(text) - 1);
  napi_throw_type_error(env, NULL, text);
  return NULL;
}

static napi_value failure(napi_env env, xent_status status, const xent_error *error) {
  napi_value object, value;
  if (napi_create_object(env, &object) != napi_ok) return NULL;
  if (napi_create_int32(env, status, &value) == napi_ok) napi_set_named_property(env, object, "status", value);
  if (napi_create_int64(env, error->row, &value) == napi_ok) napi_set_named_property(env, object, "row", value);
  if (napi_create_bigint_int64(env, error->value, &value) == napi_ok) {
    napi_set_named_property(env, object, "value", value);
  }
  if (napi_create_string_utf8(env, error->message, NAPI_AUTO_LENGTH, &value) == napi_ok) {
    napi_set_named_property(env, object, "message", value);
  }
  return object;
}

typedef xent_status full(const xent_tensor *, const xent_tensor *, const xent_options *, const xent_outputs *,
                         xent_error *);
typedef xent_status backward(const xent_tensor *, const xent_tensor *, const xent_tensor *, xent_error *);

static xent_status softmax(const xent_tensor *first, const xent_tensor *second, const xent_options *options,
                           const xent_outputs *outputs, xent_error *error) {
  (void)second;
  return xent_softmax(first, options, outputs, error);
}

static const struct {
  const char *name;
  full *full;
  backward *backward;
} functions[] = {
    {"softmax", softmax, NULL},
    {"cross_entropy", xent_cross_entropy, NULL},
    {"nll", xent_nll, NULL},
    {"binary_cross_entropy", xent_binary_cross_entropy, NULL},
    {"divergence", xent_divergence, NULL},
    {"softmax_grad", NULL, xent_softmax_grad},
    {"log_softmax_grad", NULL, xent_log_softmax_grad},
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static napi_value call(napi_env env, napi_callback_info info) {
  napi_value words[5];
  size_t count = 5;
  int k;
  char name[32] = "";
  const char *wrong;
  napi_valuetype type = napi_undefined;
  xent_tensor first, second, of_options[OPTIONS], of_outputs[OUTPUTS];
  const xent_tensor *second_or_none = NULL;
  xent_options options = XENT_OPTIONS_INIT;
  xent_outputs outputs = XENT_OUTPUTS_INIT;
  xent_error error;
  xent_status status;
  if (napi_get_cb_info(env, info, &count, words, NULL, NULL) != napi_ok || count != 5) return refuse(env, "arguments");
  if (napi_get_value_string_utf8(env, words[0], name, sizeof name, NULL) != napi_ok) return refuse(env, "function");
  for (k = 0; k < FUNCTIONS && strcmp(name, functions[k].name) != 0; k++) {
  }
  if (k == FUNCTIONS) return refuse(env, "function");
  if (!read_tensor(env, words[1], &first)) return refuse(env, "logits");
  if (napi_typeof(env, words[2], &type) == napi_ok && type == napi_object) {
    if (!read_tensor(env, words[2], &second)) return refuse(env, "targets");
    second_or_none = &second;
  }
  wrong = fill(env, words[3], options_fields, OPTIONS, &options, of_options);
  if (!wrong) wrong = fill(env, words[4], outputs_fields, OUTPUTS, &outputs, of_outputs);
  if (wrong) return refuse(env, wrong);
  memset(&error, 0, sizeof error);
  error.struct_size = sizeof error;
  status = functions[k].full ? functions[k].full(&first, second_or_none, &options, &outputs, &error)
                             : functions[k].backward(&first, second_or_none, outputs.grad_logits, &error);
  return status == XENT_OK ? NULL : failure(env, status, &error);
}

static napi_value set_num_threads(napi_env env, napi_callback_info info) {
  napi_value word;
  size_t count = 1;
  int32_t number;
  xent_error error = {sizeof error, XENT_OK, 0, -1, 0, ""};
  xent_status status;
  if (napi_get_cb_info(env, info, &count, &word, NULL, NULL) != napi_ok || count != 1 ||
      napi_get_value_int32(env, word, &number) != napi_ok) {
    return refuse(env, "number of threads");
  }
  status = xent_set_num_threads(number);
  if (status == XENT_OK) return NULL;
  strncpy(error.message, xent_last_error(), sizeof error.message - 1);
  return failure(env, status, &error);
}

static napi_value get_num_threads(napi_env env, napi_callback_info info) {
  napi_value number = NULL;
  (void)info;
  napi_create_int32(env, xent_get_num_threads(), &number);
  return number;
}

static napi_value initialise(napi_env env, napi_value exports) {
  napi_value value;
  const napi_property_descriptor functions_of[] = {
      {"call", NULL, call, NULL, NULL, NULL, napi_default, NULL},
      {"setNumThreads", NULL, set_num_threads, NULL, NULL, NULL, napi_default, NULL},
      {"getNumThreads", NULL, get_num_threads, NULL, NULL, NULL, napi_default, NULL},
  };
  napi_define_properties(env, exports, 3, functions_of);
  if (napi_create_int32(env, xent_version(), &value) == napi_ok) napi_set_named_property(env, exports, "version", value);
  if (napi_create_string_utf8(env, xent_cpu_level(), NAPI_AUTO_LENGTH, &value) == napi_ok) {
    napi_set_named_property(env, exports, "cpuLevel", value);
  }
  return exports;
}

NAPI_MODULE_INIT() { return initialise(env, exports); }
