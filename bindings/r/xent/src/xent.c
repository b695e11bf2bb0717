/* SPDX-License-Identifier: Apache-2.0
 *
 * From R's vectors to the descriptors of xent.h; R/xent.R is the interface. A matrix of R's lies column by column, which
 * the strides say: nothing is transposed. Reals are double; integers are int32, with classes from 0.
 */
#define R_NO_REMAP
#include <R.h>
#include <Rinternals.h>
#include <R_ext/Rdynload.h>
#include <string.h>
#include <xent.h>

/* What the arrays of a call lie like. */
typedef struct layout {
  int64_t rows, classes;
} layout;

enum { SCALAR, PER_ROW, PER_CLASS, MATRIX };

/* The elements of an R vector as a view; an error of R's where it has another length or type. */
static xent_tensor view(SEXP data, const char *name, layout l, int shape) {
  const int64_t rows = shape == PER_ROW || shape == MATRIX ? l.rows : 1;
  const int64_t classes = shape == PER_CLASS || shape == MATRIX ? l.classes : 1;
  xent_tensor tensor = {sizeof tensor, NULL, 0, 0, rows, classes, 1, 1, rows, 1};
  if (Rf_xlength(data) != rows * classes) {
    Rf_error("%s has %lld elements, not %lld * %lld", name, (long long)Rf_xlength(data), (long long)rows,
             (long long)classes);
  }
  switch (TYPEOF(data)) {
    case REALSXP: tensor.data = REAL(data), tensor.dtype = XENT_F64; break;
    case INTSXP: tensor.data = INTEGER(data), tensor.dtype = XENT_I32; break;
    case LGLSXP: tensor.data = LOGICAL(data), tensor.dtype = XENT_I32; break;
    default: Rf_error("%s is not numeric", name);
  }
  return tensor;
}

typedef struct field {
  const char *name;
  int shape; /* of tensors; INTEGER_FIELD, REAL_FIELD and the like otherwise */
  size_t place;
} field;

enum { INTEGER_FIELD = 10, WIDE_FIELD, REAL_FIELD, COUNT_FIELD, SUM_FIELD };

#define OPTION(name, shape) {#name, shape, offsetof(xent_options, name)}
static const field option_fields[] = {
    OPTION(reduction, INTEGER_FIELD),   OPTION(smoothing, INTEGER_FIELD),   OPTION(empty_mean, INTEGER_FIELD),
    OPTION(masked_row, INTEGER_FIELD),  OPTION(divergence, INTEGER_FIELD),  OPTION(num_threads, INTEGER_FIELD),
    OPTION(ignore_index, WIDE_FIELD),   OPTION(label_smoothing, REAL_FIELD), OPTION(temperature, REAL_FIELD),
    OPTION(softcap, REAL_FIELD),        OPTION(focal_gamma, REAL_FIELD),    OPTION(poly_epsilon, REAL_FIELD),
    OPTION(z_loss, REAL_FIELD),         OPTION(weight, PER_CLASS),          OPTION(pos_weight, PER_CLASS),
    OPTION(row_mask, PER_ROW),          OPTION(class_mask, PER_CLASS),      OPTION(grad_loss, PER_ROW),
};

#define OUTPUT(name, shape) {#name, shape, offsetof(xent_outputs, name)}
static const field output_fields[] = {
    OUTPUT(loss, SCALAR),        OUTPUT(row_loss, PER_ROW),      OUTPUT(grad_logits, MATRIX), OUTPUT(probs, MATRIX),
    OUTPUT(log_probs, MATRIX),   OUTPUT(lse, PER_ROW),           OUTPUT(entropy, PER_ROW),    OUTPUT(max_logit, PER_ROW),
    OUTPUT(target_log_prob, PER_ROW), OUTPUT(z_loss, PER_ROW),   OUTPUT(argmax, PER_ROW),     OUTPUT(target_rank, PER_ROW),
    OUTPUT(correct, COUNT_FIELD), OUTPUT(rows_counted, COUNT_FIELD), OUTPUT(loss_sum, SUM_FIELD),
    OUTPUT(weight_sum, SUM_FIELD),
};

enum {
  OPTIONS = sizeof option_fields / sizeof option_fields[0],
  OUTPUTS = sizeof output_fields / sizeof output_fields[0]
};

static const field *find(const field *fields, size_t count, const char *name) {
  size_t k;
  for (k = 0; k < count; k++) {
    if (strcmp(fields[k].name, name) == 0) return &fields[k];
  }
  Rf_error("there is no %s", name);
}

static void read_options(SEXP list, layout l, xent_options *options, xent_tensor *tensors) {
  SEXP names = Rf_getAttrib(list, R_NamesSymbol);
  R_xlen_t k;
  if (Rf_xlength(names) != Rf_xlength(list)) Rf_error("an option has no name");
  for (k = 0; k < Rf_xlength(list); k++) {
    const field *f = find(option_fields, OPTIONS, CHAR(STRING_ELT(names, k)));
    SEXP value = VECTOR_ELT(list, k);
    char *place = (char *)options + f->place;
    if (f->shape == INTEGER_FIELD) {
      const int32_t number = Rf_asInteger(value);
      memcpy(place, &number, sizeof number);
    } else if (f->shape == WIDE_FIELD) {
      const int64_t number = Rf_asInteger(value);
      memcpy(place, &number, sizeof number);
    } else if (f->shape == REAL_FIELD) {
      const double number = Rf_asReal(value);
      memcpy(place, &number, sizeof number);
    } else {
      xent_tensor *tensor = &tensors[f - option_fields];
      const int is_scalar = strcmp(f->name, "grad_loss") == 0 && Rf_xlength(value) == 1;
      *tensor = view(value, f->name, l, is_scalar ? SCALAR : f->shape);
      memcpy(place, &tensor, sizeof tensor);
    }
  }
}

/* New vectors for what is wanted, in a named list; the counts' memory is C's. */
static SEXP make_outputs(SEXP wanted, layout l, int is_binary, xent_outputs *outputs, xent_tensor *tensors,
                         int64_t *counts) {
  const R_xlen_t number = Rf_xlength(wanted);
  SEXP results = PROTECT(Rf_allocVector(VECSXP, number));
  R_xlen_t k;
  Rf_setAttrib(results, R_NamesSymbol, wanted);
  for (k = 0; k < number; k++) {
    const field *f = find(output_fields, OUTPUTS, CHAR(STRING_ELT(wanted, k)));
    char *place = (char *)outputs + f->place;
    const int is_index = strcmp(f->name, "argmax") == 0 || strcmp(f->name, "target_rank") == 0;
    const int shape = is_binary && strcmp(f->name, "row_loss") == 0 ? MATRIX : f->shape;
    SEXP result;
    if (shape == MATRIX) {
      result = Rf_allocMatrix(REALSXP, (int)l.rows, (int)l.classes);
    } else {
      result = Rf_allocVector(is_index ? INTSXP : REALSXP, shape == PER_ROW ? (R_xlen_t)l.rows : 1);
    }
    SET_VECTOR_ELT(results, k, result);
    if (f->shape == COUNT_FIELD) {
      int64_t *count = &counts[f - output_fields];
      memcpy(place, &count, sizeof count);
    } else if (f->shape == SUM_FIELD) {
      double *sum = REAL(result);
      memcpy(place, &sum, sizeof sum);
    } else {
      xent_tensor *tensor = &tensors[f - output_fields];
      *tensor = view(result, f->name, l, shape);
      memcpy(place, &tensor, sizeof tensor);
    }
  }
  UNPROTECT(1);
  return results;
}

/* list(status, row, value, message), which R/xent.R makes a condition of */
static SEXP failure(const xent_error *error) {
  const char *names[] = {"status", "row", "value", "message", ""};
  SEXP list = PROTECT(Rf_mkNamed(VECSXP, names));
  SET_VECTOR_ELT(list, 0, Rf_ScalarInteger(error->status));
  SET_VECTOR_ELT(list, 1, Rf_ScalarReal((double)error->row));
  SET_VECTOR_ELT(list, 2, Rf_ScalarReal((double)error->value));
  SET_VECTOR_ELT(list, 3, Rf_mkString(error->message));
  UNPROTECT(1);
  return list;
}

/* (function, matrix, targets or NULL, options, names of outputs): a named list of outputs, or of an error's parts */
static SEXP call(SEXP function, SEXP logits, SEXP targets, SEXP list, SEXP wanted) {
  const char *name = CHAR(STRING_ELT(function, 0));
  const int is_binary = strcmp(name, "binary_cross_entropy") == 0;
  const layout l = {Rf_nrows(logits), Rf_ncols(logits)};
  const xent_tensor first = view(logits, "logits", l, MATRIX);
  xent_tensor second = first, of_options[OPTIONS], of_outputs[OUTPUTS];
  int64_t counts[OUTPUTS];
  xent_options options = XENT_OPTIONS_INIT;
  xent_outputs outputs = XENT_OUTPUTS_INIT;
  xent_error error;
  xent_status status;
  SEXP results;
  R_xlen_t k;
  error.struct_size = sizeof error;
  if (targets != R_NilValue) second = view(targets, "targets", l, TYPEOF(targets) == REALSXP ? MATRIX : PER_ROW);
  read_options(list, l, &options, of_options);
  results = PROTECT(make_outputs(wanted, l, is_binary, &outputs, of_outputs, counts));
  if (strcmp(name, "softmax") == 0) {
    status = xent_softmax(&first, &options, &outputs, &error);
  } else if (strcmp(name, "cross_entropy") == 0) {
    status = xent_cross_entropy(&first, &second, &options, &outputs, &error);
  } else if (strcmp(name, "nll") == 0) {
    status = xent_nll(&first, &second, &options, &outputs, &error);
  } else if (is_binary) {
    status = xent_binary_cross_entropy(&first, &second, &options, &outputs, &error);
  } else if (strcmp(name, "divergence") == 0) {
    status = xent_divergence(&first, &second, &options, &outputs, &error);
  } else if (strcmp(name, "softmax_grad") == 0) {
    status = xent_softmax_grad(&first, &second, outputs.grad_logits, &error);
  } else if (strcmp(name, "log_softmax_grad") == 0) {
    status = xent_log_softmax_grad(&first, &second, outputs.grad_logits, &error);
  } else {
    Rf_error("there is no function %s", name);
  }
  if (status != XENT_OK) {
    UNPROTECT(1);
    return failure(&error);
  }
  for (k = 0; k < Rf_xlength(wanted); k++) {
    const field *f = find(output_fields, OUTPUTS, CHAR(STRING_ELT(wanted, k)));
    if (f->shape == COUNT_FIELD) REAL(VECTOR_ELT(results, k))[0] = (double)counts[f - output_fields];
  }
  UNPROTECT(1);
  return results;
}

static SEXP version(void) { return Rf_ScalarInteger(xent_version()); }
static SEXP cpu_level(void) { return Rf_mkString(xent_cpu_level()); }

/* The number of threads, after it has been set when one is given. */
static SEXP threads(SEXP number) {
  if (number != R_NilValue && xent_set_num_threads(Rf_asInteger(number)) != XENT_OK) {
    Rf_error("%s", xent_last_error());
  }
  return Rf_ScalarInteger(xent_get_num_threads());
}

static const R_CallMethodDef methods[] = {{"call", (DL_FUNC)&call, 5},
                                          {"version", (DL_FUNC)&version, 0},
                                          {"cpu_level", (DL_FUNC)&cpu_level, 0},
                                          {"threads", (DL_FUNC)&threads, 1},
                                          {NULL, NULL, 0}};

void R_init_xent(DllInfo *info) {
  R_registerRoutines(info, NULL, methods, NULL, NULL);
  R_useDynamicSymbols(info, FALSE);
}
