/* SPDX-License-Identifier: Apache-2.0
 *
 * A host that takes its scorer as a plug-in: libxent is loaded by path when it is needed and let go afterwards; the
 * program is not linked with it.
 *
 *   plugin LIBRARY CLASSES LOGITS TARGETS [TIMES]
 *
 * LOGITS is a file of float, a row of CLASSES for each sample, and TARGETS one of int64_t, a class for each sample (-100:
 * does not count), both as numpy's tofile writes them. Prints the mean loss, the perplexity and the accuracy. With TIMES
 * the library is loaded, used and let go so often.
 *
 *   cc -std=c99 plugin.c -I../../../Include -ldl -lm -o plugin
 *   ./plugin ../../../build/lib/libxent.so 32000 logits.f32 targets.i64
 *
 * What dlclose does: libxent is linked with -z nodelete, so that its memory stays mapped. Threads of its pool may be
 * waiting in that code, and a process that unmapped it would crash in them. Letting go is therefore always safe, and
 * costs what the library has mapped, once, however often it is loaded: the next dlopen gets the same instance.
 */
#define _POSIX_C_SOURCE 200809L
#include <xent.h>

#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the host uses of the library, with the types that the header gives these functions. */
typedef struct scorer {
  void *library;
  int32_t (*version)(void);
  const char *(*status_string)(xent_status status);
  xent_status (*cross_entropy)(const xent_tensor *logits, const xent_tensor *targets, const xent_options *options,
                               const xent_outputs *outputs, xent_error *error);
} scorer;

static const struct {
  const char *name;
  size_t place;
} symbols[] = {
    {"xent_version", offsetof(scorer, version)},
    {"xent_status_string", offsetof(scorer, status_string)},
    {"xent_cross_entropy", offsetof(scorer, cross_entropy)},
};

/* 0, or 1 when it has said what is wrong. RTLD_LOCAL: another library in this process may carry its own libxent. */
static int scorer_load(scorer *s, const char *path) {
  size_t k;
  memset(s, 0, sizeof *s);
  s->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!s->library) {
    fprintf(stderr, "plugin: %s\n", dlerror());
    return 1;
  }
  for (k = 0; k < sizeof symbols / sizeof symbols[0]; k++) {
    void *symbol = dlsym(s->library, symbols[k].name);
    if (!symbol) {
      fprintf(stderr, "plugin: %s has no %s\n", path, symbols[k].name);
      dlclose(s->library);
      return 1;
    }
    memcpy((char *)s + symbols[k].place, &symbol, sizeof symbol); /* POSIX: functions fit a void *, C99 has no cast */
  }
  /* A newer minor version only adds; a shorter xent_options of ours means defaults there. */
  if (s->version() / 10000 != XENT_VERSION_MAJOR) {
    fprintf(stderr, "plugin: %s is version %d, not %d.x\n", path, (int)s->version(), XENT_VERSION_MAJOR);
    dlclose(s->library);
    return 1;
  }
  return 0;
}

/* A whole file, malloc'ed, and its size in bytes; NULL when it has said what is wrong. */
static void *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  char *data = NULL;
  size_t capacity = 0, got;
  *size = 0;
  if (!file) {
    perror(path);
    return NULL;
  }
  do {
    if (*size == capacity) {
      char *larger = realloc(data, capacity = capacity ? 2 * capacity : 1 << 16);
      if (!larger) {
        fprintf(stderr, "plugin: out of memory for %s\n", path);
        free(data);
        fclose(file);
        return NULL;
      }
      data = larger;
    }
    got = fread(data + *size, 1, capacity - *size, file);
    *size += got;
  } while (got > 0);
  if (ferror(file)) {
    perror(path);
    free(data);
    data = NULL;
  }
  fclose(file);
  return data;
}

static int score(const scorer *s, const float *logits, const int64_t *targets, int64_t rows, int64_t classes) {
  float mean;
  int64_t correct, counted;
  const xent_tensor x = XENT_MATRIX(logits, XENT_F32, rows, classes), t = XENT_PER_ROW(targets, XENT_I64, rows);
  const xent_tensor mean_out = XENT_SCALAR(&mean, XENT_F32);
  xent_outputs outputs = XENT_OUTPUTS_INIT;
  xent_error error;
  xent_status status;
  error.struct_size = sizeof error;
  outputs.loss = &mean_out;
  outputs.correct = &correct;
  outputs.rows_counted = &counted;
  status = s->cross_entropy(&x, &t, NULL, &outputs, &error);
  if (status != XENT_OK) {
    fprintf(stderr, "plugin: %s (%s)\n", error.message, s->status_string(status));
    return 1;
  }
  printf("%lld rows, loss %.6f nats, perplexity %.4f, %lld right\n", (long long)counted, mean, exp(mean),
         (long long)correct);
  return 0;
}

int main(int count, char **words) {
  const int64_t classes = count >= 5 ? strtoll(words[2], NULL, 10) : 0;
  long times = count == 6 ? strtol(words[5], NULL, 10) : 1;
  size_t logits_size, targets_size;
  float *logits;
  int64_t *targets;
  int failed = 0;
  if (count < 5 || count > 6 || classes < 1 || times < 1) {
    fprintf(stderr, "usage: plugin LIBRARY CLASSES LOGITS TARGETS [TIMES]\n");
    return 2;
  }
  logits = read_file(words[3], &logits_size);
  targets = logits ? read_file(words[4], &targets_size) : NULL;
  if (!targets) {
    free(logits);
    return 1;
  }
  if (logits_size / sizeof *logits / (size_t)classes != targets_size / sizeof *targets ||
      logits_size % (sizeof *logits * (size_t)classes) != 0 || targets_size % sizeof *targets != 0) {
    fprintf(stderr, "plugin: %s is not a row of %lld floats for each int64_t of %s\n", words[3], (long long)classes,
            words[4]);
    failed = 1;
  }
  while (times-- > 0 && !failed) {
    scorer s;
    failed = scorer_load(&s, words[1]);
    if (failed) break;
    failed = score(&s, logits, targets, (int64_t)(targets_size / sizeof *targets), classes);
    dlclose(s.library);
  }
  free(targets);
  free(logits);
  return failed;
}
