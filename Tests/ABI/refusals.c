/* SPDX-License-Identifier: Apache-2.0
 *
 * refusals TABLE [emulated]: runs every row of refusals.txt, in each of its dtypes. The status and the whole text are as it says, also
 * in xent_error; nothing is written, to arrays, beside them, or to the structs; and errno, the signal mask and the
 * floating-point environment are as they were. Where the processor is emulated, exception flags may not be.
 */
#include "check.h"
#include "descriptors.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum { PLACES = 40, SLOT = 2048, START = 512, TAIL = 64, NUMBERS = 5 };
typedef enum { PLAIN_ARRAY, ARGUMENT, OF_OPTIONS, OF_OUTPUTS, SPARE } role;

/* What a call is made of: an array, a tensor or a sum, with a slot of the arena to itself. */
typedef struct {
  char name[32], dtype[8];
  role role;
  bool is_output, is_tensor;
  int64_t sizes[3];
  void *data; /* a plain array's or a sum's */
  struct {
    xent_tensor tensor;
    char tail[TAIL];
  } of;
} place;

static struct {
  char label[64], function[64];
  int count, number_count;
  place places[PLACES];
  struct {
    char name[16];
    int64_t value;
  } numbers[NUMBERS];
} base, now;

static struct {
  struct {
    xent_options options;
    char tail[TAIL];
  } options;
  struct {
    xent_outputs outputs;
    char tail[TAIL];
  } outputs;
  xent_tensor *unused;
} structs, structs_before;
static bool has_options, has_outputs, is_emulated;
static _Alignas(64) char arena[PLACES * SLOT], arena_before[PLACES * SLOT];

static const char *const names[] = {"", "f32", "f64", "f16", "bf16", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"};
static const char *const statuses[] = {"OK", "NULL", "SIZE", "TARGET", "OPTION", "OVERLAP", "NO_MEMORY", "DTYPE", "UNSUPPORTED"};

/* For a line that cannot be read: the table and this program do not fit. */
static _Noreturn void broken(const char *what) {
  printf("not ok - the table's %s cannot be read\n0 passed, 1 failed\n", what);
  exit(2);
}

static xent_dtype code_of(const char *name, dtype type) {
  if (!strcmp(name, "{d}")) return (xent_dtype)type + XENT_F32;
  if (!strcmp(name, "{r}")) return type == F64 ? XENT_F64 : XENT_F32;
  for (xent_dtype k = XENT_F32; k <= XENT_U64; k++)
    if (!strcmp(name, names[k])) return k;
  broken(name);
}

static place *find(const char *name) {
  for (int k = 0; k < now.count; k++)
    if (!strcmp(now.places[k].name, name)) return &now.places[k];
  broken(name);
}

static char *slot_of(const place *p) { return arena + (p - now.places) * SLOT + START; }

/* ---- Fields ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  size_t offset;
  char kind; /* z size_t, i int32_t, l int64_t, d double, p pointer */
} field;

#define FIELD(type, name, kind) {#name, offsetof(type, name), kind}
static const field tensor_fields[] = {
    FIELD(xent_tensor, struct_size, 'z'),  FIELD(xent_tensor, dtype, 'i'),        FIELD(xent_tensor, reserved, 'i'),
    FIELD(xent_tensor, outer, 'l'),        FIELD(xent_tensor, classes, 'l'),      FIELD(xent_tensor, inner, 'l'),
    FIELD(xent_tensor, outer_stride, 'l'), FIELD(xent_tensor, class_stride, 'l'), FIELD(xent_tensor, inner_stride, 'l'),
    FIELD(xent_tensor, data, 'p'),         {NULL, 0, 0}};
static const field option_fields[] = {
    FIELD(xent_options, struct_size, 'z'),     FIELD(xent_options, reduction, 'i'),    FIELD(xent_options, smoothing, 'i'),
    FIELD(xent_options, empty_mean, 'i'),      FIELD(xent_options, masked_row, 'i'),   FIELD(xent_options, divergence, 'i'),
    FIELD(xent_options, num_threads, 'i'),     FIELD(xent_options, ignore_index, 'l'), FIELD(xent_options, temperature, 'd'),
    FIELD(xent_options, label_smoothing, 'd'), FIELD(xent_options, softcap, 'd'),      FIELD(xent_options, focal_gamma, 'd'),
    FIELD(xent_options, poly_epsilon, 'd'),    FIELD(xent_options, z_loss, 'd'),
    FIELD(xent_options, accuracy, 'i'),        FIELD(xent_options, reserved, 'i'),     {NULL, 0, 0}};
static const field output_fields[] = {FIELD(xent_outputs, struct_size, 'z'), {NULL, 0, 0}};
static const field sum_fields[] = {FIELD(xent_outputs, correct, 'p'), FIELD(xent_outputs, rows_counted, 'p'),
                                   FIELD(xent_outputs, loss_sum, 'p'), FIELD(xent_outputs, weight_sum, 'p'), {NULL, 0, 0}};

static const field *field_of(const field *fields, const char *name) {
  while (fields->name && strcmp(fields->name, name)) fields++;
  return fields->name ? fields : NULL;
}

static int64_t integer(const char *text) {
  return *text == '-' ? strtoll(text, NULL, 10) : (int64_t)strtoull(text, NULL, 10);
}

static void *pointer(const char *text) {
  char name[32];
  long long offset;
  if (!strcmp(text, "NULL")) return NULL;
  if (sscanf(text, "@%31[a-z_]%lld", name, &offset) != 2) broken(text);
  return slot_of(find(name)) + offset;
}

static void set_field(void *at, const field *fields, const char *name, const char *text, dtype type) {
  const field *f = field_of(fields, name);
  if (!f) broken(name);
  bool is_number = *text == '-' || (*text >= '0' && *text <= '9');
  int32_t narrow = f->kind == 'i' ? is_number ? (int32_t)integer(text) : code_of(text, type) : 0;
  int64_t wide = f->kind == 'l' || f->kind == 'z' ? integer(text) : 0;
  double real = f->kind == 'd' ? strtod(text, NULL) : 0;
  void *address = f->kind == 'p' ? pointer(text) : NULL;
  const void *from = f->kind == 'i' ? (void *)&narrow : f->kind == 'd' ? (void *)&real : f->kind == 'p' ? (void *)&address : &wide;
  memcpy((char *)at + f->offset, from, f->kind == 'i' ? sizeof narrow : sizeof wide);
}

/* What a struct of the call has to point to this tensor or sum. */
static void *pointer_to(const place *p) {
  for (tensor t = WEIGHT; t < TENSORS && p->is_tensor; t++)
    if (!strcmp(tensor_specs[t].name, p->name))
      return (is_output(t) ? (char *)&structs.outputs : (char *)&structs.options) + tensor_specs[t].offset;
  const field *f = field_of(sum_fields, p->name);
  if (!f) broken(p->name);
  return (char *)&structs.outputs + f->offset;
}

static void point(place *p, void *to) {
  if (p->role == PLAIN_ARRAY || p->role == ARGUMENT) p->data = to;
  else memcpy(pointer_to(p), &to, sizeof to);
}

static void set_element(place *p, const char *indices, const char *text) {
  long long at[3] = {0, 0, 0};
  int count = sscanf(indices, "%lld,%lld,%lld", &at[0], &at[1], &at[2]);
  int64_t value = integer(text);
  if (count == 3) store_integer(&p->of.tensor, at[0], at[1], at[2], value);
  else memcpy(slot_of(p) + at[0] * (int64_t)sizeof value, &value, sizeof value);
}

/* A struct's size and the bytes behind what this header knows. */
static void set_tail(void *whole, size_t known, const char *text) {
  unsigned long bytes, nonzero;
  if (sscanf(text, "%lu:%lu", &bytes, &nonzero) != 2 || bytes > TAIL) broken(text);
  size_t size = known + bytes;
  memcpy(whole, &size, sizeof size);
  memset((char *)whole + known, 0, bytes);
  if (nonzero < bytes) ((char *)whole + known)[nonzero] = 1;
}

static void change(char *words, dtype type) {
  char *value = strchr(words, '=');
  if (!value) broken(words);
  *value++ = 0;
  char *field = strchr(words, '.'), *index = strchr(words, '[');
  if (index) {
    *index++ = 0;
    return set_element(find(words), index, value);
  }
  if (field) *field++ = 0;
  bool is_options = !strcmp(words, "options"), is_outputs = !strcmp(words, "outputs");
  if (is_options || is_outputs) {
    void *whole = is_options ? (void *)&structs.options : &structs.outputs;
    if (!field) *(is_options ? &has_options : &has_outputs) = false;
    else if (!strcmp(field, "tail")) set_tail(whole, is_options ? sizeof(xent_options) : sizeof(xent_outputs), value);
    else set_field(whole, is_options ? option_fields : output_fields, field, value, type);
    return;
  }
  for (int k = 0; k < now.number_count; k++)
    if (!field && !strcmp(now.numbers[k].name, words)) {
      now.numbers[k].value = integer(value);
      return;
    }
  place *p = find(words);
  if (!field && !strcmp(value, "&")) point(p, p->is_tensor ? (void *)&p->of : slot_of(p));
  else if (!field) point(p, pointer(value));
  else if (!strcmp(field, "tail")) set_tail(&p->of, sizeof(xent_tensor), value);
  else set_field(&p->of.tensor, tensor_fields, field, value, type);
}

/* ---- A call ----------------------------------------------------------------------------------------------------- */

/* The call that is right. */
static void prepare(dtype type) {
  now = base;
  memset(arena, UNTOUCHED, sizeof arena);
  memset(&structs, 0, sizeof structs);
  structs.options.options = (xent_options)XENT_OPTIONS_INIT;
  structs.outputs.outputs = (xent_outputs)XENT_OUTPUTS_INIT;
  has_options = has_outputs = true;
  for (int k = 0; k < now.count; k++) {
    place *p = &now.places[k];
    xent_dtype code = code_of(p->dtype, type);
    int64_t count = p->sizes[0] * p->sizes[1] * p->sizes[2];
    if (count * (int64_t)xent_dtype_size(code) > SLOT - 2 * START) broken(p->name);
    p->of.tensor = (xent_tensor){sizeof(xent_tensor), slot_of(p), code, 0, p->sizes[0], p->sizes[1], p->sizes[2],
                                 p->sizes[1] * p->sizes[2], p->sizes[2], 1};
    for (int64_t n = 0; n < count && !p->is_output; n++) {
      xent_tensor flat = {sizeof flat, slot_of(p), code, 0, count, 1, 1, 1, 1, 1};
      store_element(&flat, n, 0, 0, is_floating(code) ? 1.5 : 1);
    }
    if (p->role != SPARE) point(p, p->is_tensor ? (void *)&p->of : slot_of(p));
    if (p->role == SPARE) p->role = OF_OPTIONS; /* pointer_to knows which */
  }
}

static int64_t number(const char *name) {
  for (int k = 0; k < now.number_count; k++)
    if (!strcmp(now.numbers[k].name, name)) return now.numbers[k].value;
  return 0;
}

static xent_status call_plain(const char *function, dtype type) {
  if (!strcmp(function, "xent_set_num_threads")) return xent_set_num_threads((int32_t)number("num_threads"));
  for (int k = 0; k < operation_count; k++) {
    if (strcmp(function_name(&operations[k], type), function)) continue;
    void *arrays[MAX_ARRAYS] = {0};
    parameters p = {number("rows"), number("classes"), number("ignore_index"), (int32_t)number("reduction")};
    for (int n = 0; n < now.count && n < MAX_ARRAYS; n++) arrays[n] = now.places[n].data;
    return operations[k].call[type](arrays, &p);
  }
  broken(function);
}

static xent_status call_descriptor(xent_error *error) {
  const xent_tensor *first = now.places[0].data, *second = now.places[1].data, *third = now.places[2].data;
  const xent_options *options = has_options ? &structs.options.options : NULL;
  const xent_outputs *outputs = has_outputs ? &structs.outputs.outputs : NULL;
  const char *function = now.function;
  if (!strcmp(function, "xent_softmax")) return xent_softmax(first, options, outputs, error);
  if (!strcmp(function, "xent_cross_entropy")) return xent_cross_entropy(first, second, options, outputs, error);
  if (!strcmp(function, "xent_nll")) return xent_nll(first, second, options, outputs, error);
  if (!strcmp(function, "xent_binary_cross_entropy")) return xent_binary_cross_entropy(first, second, options, outputs, error);
  if (!strcmp(function, "xent_divergence")) return xent_divergence(first, second, options, outputs, error);
  if (!strcmp(function, "xent_log_softmax_grad")) return xent_log_softmax_grad(first, second, third, error);
  if (!strcmp(function, "xent_softmax_grad")) return xent_softmax_grad(first, second, third, error);
  broken(function);
}

/* Of a call that went through, elements of outputs may differ from before. */
static void allow_outputs(void) {
  for (int k = 0; k < now.count; k++) {
    const place *p = &now.places[k];
    const xent_tensor *x = &p->of.tensor;
    if (!p->is_output || p->role == SPARE) continue;
    void *at = p->is_tensor ? x->data : p->role == PLAIN_ARRAY ? p->data : slot_of(p);
    if (!at || (p->role == PLAIN_ARRAY && !p->data)) continue;
    memcpy(arena_before + ((char *)at - arena), at, (size_t)tensor_count(x) * xent_dtype_size(x->dtype));
  }
}

static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

/* Replaces {d}, {D} and {R} in a text. */
static void spell(char *to, size_t size, const char *text, dtype type) {
  static const char *const upper[] = {"XENT_F32", "XENT_F64", "XENT_F16", "XENT_BF16"};
  size_t length = 0;
  while (*text && length + 16 < size) {
    const char *word = NULL;
    if (text[0] == '{' && text[2] == '}')
      word = text[1] == 'd' ? names[type + 1] : text[1] == 'D' ? upper[type] : text[1] == 'R' ? upper[type == F64] : NULL;
    if (word) length += (size_t)snprintf(to + length, size - length, "%s", word), text += 3;
    else to[length++] = *text++;
  }
  to[length] = 0;
}

static void run_row(dtype type, const char *status, const char *changes, const char *text, int64_t row, int64_t value) {
  static int turn;
  char words[400], function[64], wanted[400], rest[280];
  xent_status expected = XENT_OK;
  while (strcmp(statuses[expected], status))
    if (++expected > XENT_ERR_UNSUPPORTED) broken(status);
  prepare(type);
  snprintf(words, sizeof words, "%s", changes);
  for (char *next = NULL, *word = strtok_r(words, " ", &next); word; word = strtok_r(NULL, " ", &next)) change(word, type);
  spell(function, sizeof function, now.function, type);
  spell(rest, sizeof rest, text, type);
  snprintf(wanted, sizeof wanted, "%s: %s", function, rest);
  memcpy(arena_before, arena, sizeof arena);
  structs_before = structs;
  static place places_before[PLACES];
  memcpy(places_before, now.places, sizeof places_before);

  bool is_descriptor = now.count && now.places[0].role == ARGUMENT;
  xent_error error = {.struct_size = sizeof error};
  sigset_t signals, signals_after;
  int rounding = roundings[turn++ % 4], raised = turn % 3 ? FE_UNDERFLOW : 0;
  memset(&signals, 0, sizeof signals); /* the kernel knows of 64, and sets no more */
  memset(&signals_after, 0, sizeof signals_after);
  pthread_sigmask(SIG_SETMASK, NULL, &signals);
  feclearexcept(FE_ALL_EXCEPT);
  feraiseexcept(raised);
  fesetround(rounding);
  errno = 4711;
  xent_status got = is_descriptor ? call_descriptor(&error) : call_plain(function, type);
  bool is_kept = errno == 4711 && fegetround() == rounding && (is_emulated || fetestexcept(FE_ALL_EXCEPT) == raised);
  fesetround(FE_TONEAREST);
  feclearexcept(FE_ALL_EXCEPT);
  pthread_sigmask(SIG_SETMASK, NULL, &signals_after);
  is_kept &= !memcmp(&signals, &signals_after, sizeof signals);

  char label[600];
  snprintf(label, sizeof label, "%s %s: %s", now.label, names[type + 1], changes);
  because("%s, \"%s\", not %s, \"%s\"", got >= 0 && got <= XENT_ERR_UNSUPPORTED ? statuses[got] : "?", xent_last_error(), status, wanted);
  bool right = got == expected && (got == XENT_OK || !strcmp(xent_last_error(), wanted));
  if (!CHECK(right, "%s", label)) return;
  if (is_descriptor) {
    because("status %d, row %lld, value %lld, \"%s\"", (int)error.status, (long long)error.row, (long long)error.value, error.message);
    CHECK(error.status == got && error.row == row && error.value == value && !error.reserved &&
              error.struct_size == sizeof error && !strcmp(error.message, got == XENT_OK ? "" : wanted),
          "%s: xent_error", label);
  }
  if (got == XENT_OK) allow_outputs();
  bool is_untouched = !memcmp(arena, arena_before, sizeof arena) && !memcmp(&structs, &structs_before, sizeof structs) &&
                      !memcmp(now.places, places_before, sizeof places_before);
  CHECK(is_untouched, "%s: nothing is written", label);
  CHECK(is_kept, "%s: errno, signal mask and floating-point environment stay", label);
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static void read_part(char *line) {
  char kind[16], name[32], of[16] = "", dtype[8] = "i64", way[8] = "out";
  long long a = 1, b = 1, c = 1;
  int from = 0;
  if (sscanf(line, "%15s %31s %n", kind, name, &from) != 2) broken(line);
  if (!strcmp(kind, "number")) {
    if (base.number_count == NUMBERS) broken(line);
    snprintf(base.numbers[base.number_count].name, sizeof base.numbers->name, "%.15s", name);
    base.numbers[base.number_count++].value = integer(line + from);
    return;
  }
  if (base.count == PLACES) broken(line);
  place *p = &base.places[base.count++];
  memset(p, 0, sizeof *p);
  p->is_tensor = !strcmp(kind, "tensor");
  int count = p->is_tensor                ? sscanf(line + from, "%15s %7s %lld %lld %lld %7s", of, dtype, &a, &b, &c, way) - 6
              : !strcmp(kind, "array")    ? sscanf(line + from, "%7s %lld %7s", dtype, &a, way) - 3
              : !strcmp(kind, "sum")      ? sscanf(line + from, "%15s", of) - 1
                                          : 1;
  if (count) broken(line);
  snprintf(p->name, sizeof p->name, "%s", name);
  snprintf(p->dtype, sizeof p->dtype, "%s", dtype);
  p->is_output = !strcmp(way, "out");
  p->role = !*of                      ? PLAIN_ARRAY
            : !strcmp(of, "argument") ? ARGUMENT
            : !strcmp(of, "options")  ? OF_OPTIONS
            : !strcmp(of, "outputs")  ? OF_OUTPUTS
                                      : SPARE;
  p->sizes[0] = a;
  p->sizes[1] = b;
  p->sizes[2] = c;
}

static void read_row(char *line) {
  char *columns[6] = {NULL}, *next = line;
  for (int k = 0; k < 6 && next; k++) columns[k] = strsep(&next, "\t");
  if (!columns[3]) broken(line);
  int64_t row = columns[4] ? integer(columns[4]) : -1, value = columns[5] ? integer(columns[5]) : 0;
  for (dtype type = F32; type < DTYPES; type++) {
    char list[40], one[8];
    snprintf(list, sizeof list, ",%s,", columns[0]);
    snprintf(one, sizeof one, ",%s,", names[type + 1]);
    if (!strcmp(columns[0], "*") || strstr(list, one)) run_row(type, columns[1], columns[2], columns[3], row, value);
  }
}

int main(int count, char **arguments) {
  FILE *table = count >= 2 ? fopen(arguments[1], "r") : NULL;
  char line[1000];
  bool is_begun = false;
  REQUIRE(table);
  is_emulated = count > 2;
  /* A size that slips through would mean a loop of 2^62 steps. */
  alarm(300);
  while (fgets(line, sizeof line, table)) {
    line[strcspn(line, "\n")] = 0;
    if (!*line || *line == '#') continue;
    if (!strncmp(line, "call ", 5)) {
      memset(&base, 0, sizeof base);
      if (sscanf(line, "call %63s %63s", base.label, base.function) != 2) broken(line);
      is_begun = true;
    } else if (*line == ' ') {
      read_part(line);
      is_begun = true;
    } else {
      /* Each thing that is wrong is the only one. */
      for (dtype type = F32; is_begun && type < DTYPES; type++) run_row(type, "OK", "", "", -1, 0);
      is_begun = false;
      read_row(line);
    }
  }
  fclose(table);
  return check_summary();
}
