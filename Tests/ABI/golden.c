/* SPDX-License-Identifier: Apache-2.0
 *
 * golden <file>...: every case of Tests/Golden against the error bound that xent.h states: 2 ulp for f64 outputs, 1 for
 * all others (a 16-bit number within 1 ulp is the nearest or its neighbour; how many are the nearest is for
 * Tests/Accuracy), infinities and NaN where they belong. The format is described at the top of each file.
 *
 * Each case runs as it stands, then with every array moved off its alignment, then in place where xent.h allows it. The
 * moved and the in-place runs must give the same bits as the first.
 */
#include "check.h"
#include "operations.h"

#include <math.h>

static const double bounds[DTYPES] = {[F32] = 1, [F64] = 2, [F16] = 1, [BF16] = 1};

/* Bits of the significand, and the exponent of the smallest normal number as frexp counts. */
static const struct {
  int digits, lowest;
} formats[DTYPES] = {[F32] = {24, -125}, [F64] = {53, -1021}, [F16] = {11, -13}, [BF16] = {8, -125}};

typedef struct {
  double hi, lo, scale;
} exact_value;

typedef struct {
  char name[128];
  const operation *op;
  dtype type;
  parameters p;
  void *arrays[MAX_ARRAYS]; /* the inputs as read; NULL is NULL */
  exact_value *exact[MAX_ARRAYS];
  bool seen[MAX_ARRAYS];
} golden_case;

static const char *file_name;
static long file_line;
static double worst[64][DTYPES];

static void malformed(const char *what) {
  printf("not ok - %s:%ld: %s\n", file_name, file_line, what);
  exit(3);
}

static double ulp(double scale, dtype type) {
  int lowest = formats[type].lowest, exponent = lowest;
  if (scale != 0) frexp(scale, &exponent);
  return ldexp(1, (exponent < lowest ? lowest : exponent) - formats[type].digits);
}

/* The error in ulps; infinity where a value that is not finite is wrong. */
static double error_in_ulps(double got, exact_value exact, dtype type) {
  double wanted;
  store(&wanted, type, 0, exact.hi);
  wanted = load(&wanted, type, 0);
  if (isnan(wanted)) return isnan(got) ? 0 : INFINITY;
  if (isinf(wanted)) return got == wanted ? 0 : INFINITY;
  if (!isfinite(got)) return INFINITY;
  /* The difference of neighbours is exact in long double; for others it need only be large. */
  return (double)(fabsl((long double)got - exact.hi - exact.lo) / ulp(exact.scale, type));
}

static void check_output(const golden_case *c, int k, const void *got) {
  const array_spec *array = &c->op->arrays[k];
  dtype type = element_type(array, c->type);
  double most = 0;
  int64_t where = -1, count = element_count(array, &c->p);
  for (int64_t n = 0; n < count; n++) {
    double error = error_in_ulps(load(got, type, n), c->exact[k][n], type);
    if (!(error <= most)) most = error, where = n;
  }
  double *record = &worst[c->op - operations][c->type];
  if (!(most <= *record)) *record = most;
  if (where >= 0) {
    because("[%lld] is %a, exactly %a + %a, off by %.3f ulp", (long long)where, load(got, type, where),
            c->exact[k][where].hi, c->exact[k][where].lo, most);
  }
  CHECK(most <= bounds[type], "%s %s %s within %g ulp", function_name(c->op, c->type), c->name, array->name,
        bounds[type]);
}

/* Calls with copies of the inputs at `shift` elements past an aligned address (at another one for every array) and, for
 * in_place >= 0, with output k in the place of input in_place. outputs[] gets what came out. */
static bool run(const golden_case *c, int shift, int output, int in_place, void **outputs, const char *how) {
  void *blocks[MAX_ARRAYS] = {0}, *at[MAX_ARRAYS] = {0};
  size_t bytes[MAX_ARRAYS];
  bool fine = true;
  for (int k = 0; k < c->op->count; k++) {
    const array_spec *array = &c->op->arrays[k];
    bytes[k] = array_bytes(array, c->type, &c->p);
    if (!array->is_output && !c->arrays[k]) continue;
    size_t offset = (size_t)(shift ? shift + k : 0) * element_size(array, c->type);
    REQUIRE(!posix_memalign(&blocks[k], 64, bytes[k] + offset + 64));
    at[k] = (char *)blocks[k] + offset;
    if (array->is_output) memset(at[k], 0xA5, bytes[k]);
    else memcpy(at[k], c->arrays[k], bytes[k]);
  }
  if (in_place >= 0) at[output] = at[in_place];

  xent_status status = c->op->call[c->type](at, &c->p);
  because("status %d: %s", (int)status, xent_last_error());
  fine = CHECK(status == XENT_OK, "%s %s %s succeeds", function_name(c->op, c->type), c->name, how);

  for (int k = 0; k < c->op->count; k++) {
    const array_spec *array = &c->op->arrays[k];
    if (array->is_output) memcpy(outputs[k], at[k], bytes[k]);
    else if (c->arrays[k] && k != in_place)
      CHECK(!memcmp(at[k], c->arrays[k], bytes[k]), "%s %s %s leaves %s as it was", function_name(c->op, c->type),
            c->name, how, array->name);
  }
  for (int k = 0; k < c->op->count; k++) free(blocks[k]);
  return fine;
}

static void check_same(const golden_case *c, void *const *first, void *const *other, const char *how) {
  for (int k = 0; k < c->op->count; k++) {
    const array_spec *array = &c->op->arrays[k];
    if (array->is_output)
      CHECK(same_values(first[k], other[k], array, c->type, element_count(array, &c->p)),
            "%s %s %s gives the same bits of %s", function_name(c->op, c->type), c->name, how, array->name);
  }
}

static void run_case(const golden_case *c) {
  void *first[MAX_ARRAYS], *other[MAX_ARRAYS];
  allocate_arrays(c->op, c->type, &c->p, first);
  allocate_arrays(c->op, c->type, &c->p, other);
  if (run(c, 0, 0, -1, first, "aligned")) {
    for (int k = 0; k < c->op->count; k++)
      if (c->op->arrays[k].is_output) check_output(c, k, first[k]);
    if (run(c, 1, 0, -1, other, "misaligned")) check_same(c, first, other, "misaligned");
    for (int k = 0; k < c->op->count; k++)
      for (int j = 0; j < c->op->count; j++)
        if (c->op->arrays[k].in_place >> j & 1)
          for (int shift = 0; shift < 2; shift++) {
            char how[80];
            snprintf(how, sizeof how, "%s in place of %s%s", c->op->arrays[k].name, c->op->arrays[j].name,
                     shift ? ", misaligned" : "");
            if (run(c, shift, k, j, other, how)) check_same(c, first, other, how);
          }
  }
  free_arrays(c->op, first);
  free_arrays(c->op, other);
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

static double next_real(char **text) {
  char *end;
  double value = strtod(*text, &end);
  if (end == *text) malformed("a number is missing");
  *text = end;
  return value;
}

static golden_case begin_case(const char *line) {
  golden_case c = {.p = {.ignore_index = XENT_IGNORE_INDEX}};
  char function[64], type[8];
  long long rows, classes, ignore_index = XENT_IGNORE_INDEX;
  int reduction = 0;
  int fields = sscanf(line, "case %127s %63s %7s rows %lld classes %lld reduction %d ignore_index %lld", c.name,
                      function, type, &rows, &classes, &reduction, &ignore_index);
  for (int k = 0; k < operation_count; k++)
    if (!strcmp(operations[k].name, function)) c.op = &operations[k];
  while (c.type < DTYPES && strcmp(type, dtype_name(c.type))) c.type++;
  if (!c.op || c.type == DTYPES || fields != (c.op->has_options ? 7 : c.op->has_reduction ? 6 : 5))
    malformed("not a case of a known function");
  c.p = (parameters){rows, classes, ignore_index, reduction};
  return c;
}

static void read_array(golden_case *c, char *line) {
  static char nothing[] = "\n";
  size_t length = strcspn(line, " \n");
  char *text = line[length] == ' ' ? line + length + 1 : nothing;
  line[length] = 0;
  int k = array_index(c->op, line);
  if (k < 0 || c->seen[k]) malformed("not an array of this function, or one given twice");
  const array_spec *array = &c->op->arrays[k];
  int64_t count = element_count(array, &c->p);
  c->seen[k] = true;
  if (array->is_nullable && !strcmp(text, "none\n")) return;
  if (array->is_output) {
    REQUIRE(c->exact[k] = malloc((size_t)count * sizeof(exact_value) + 1));
    for (int64_t n = 0; n < count; n++) {
      c->exact[k][n].hi = next_real(&text);
      c->exact[k][n].lo = next_real(&text);
      c->exact[k][n].scale = next_real(&text);
    }
  } else {
    REQUIRE(c->arrays[k] = malloc(array_bytes(array, c->type, &c->p) + 1));
    for (int64_t n = 0; n < count; n++) {
      if (array->is_int64) ((int64_t *)c->arrays[k])[n] = strtoll(text, &text, 10);
      else {
        double value = next_real(&text);
        store(c->arrays[k], element_type(array, c->type), n, value);
        if (!isnan(value) && load(c->arrays[k], element_type(array, c->type), n) != value)
          malformed("an input is not of the dtype");
      }
    }
  }
  if (text[strspn(text, " ")] != '\n') malformed("there are more numbers than elements");
}

static void end_case(golden_case *c) {
  for (int k = 0; k < c->op->count; k++)
    if (!c->seen[k]) malformed("an array is missing");
  run_case(c);
  for (int k = 0; k < c->op->count; k++) {
    free(c->arrays[k]);
    free(c->exact[k]);
  }
}

static void read_file(const char *name) {
  FILE *file = fopen(name, "r");
  char *line = NULL;
  size_t capacity = 0;
  golden_case c = {.op = NULL};
  long cases = 0;
  REQUIRE(file);
  file_name = name;
  for (file_line = 1; getline(&line, &capacity, file) >= 0; file_line++) {
    if (*line == '#' || *line == '\n') continue;
    if (!strncmp(line, "case ", 5)) {
      if (c.op) malformed("a case inside a case");
      c = begin_case(line);
    } else if (!c.op) {
      malformed("a line outside a case");
    } else if (!strcmp(line, "end\n")) {
      end_case(&c);
      c.op = NULL;
      cases++;
    } else {
      read_array(&c, line);
    }
  }
  if (c.op) malformed("the last case has no end");
  CHECK(cases > 0, "%s has cases", name);
  free(line);
  fclose(file);
}

int main(int count, char **names) {
  for (int k = 1; k < count; k++) read_file(names[k]);
  for (int k = 0; k < operation_count; k++) {
    printf("# worst error of %-25s", operations[k].name);
    for (dtype type = F32; type < DTYPES; type++) printf("   %s %6.3f ulp", dtype_name(type), worst[k][type]);
    putchar('\n');
  }
  return check_summary();
}
