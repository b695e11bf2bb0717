/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptor calls large enough for threads: the same bits for any number of them, set for the process or in the
 * options, in rows that lie one behind the other and in rows that lie side by side. And many callers at once.
 */
#include "check.h"
#include "descriptors.h"
#include "stack.h"

#include <unistd.h>

static const int32_t numbers[] = {2, 5};

/* Contiguous or class-last; `v` has the options. */
static void check_bits(form form, dtype type, const int64_t *shape, const variant *v, const layout *l) {
  call expected = make_call(form, type, shape[0], shape[1], shape[2], v, false, 8);
  call c = make_call(form, type, shape[0], shape[1], shape[2], v, false, 8);
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    move_tensor(&expected, t, l);
    move_tensor(&c, t, l);
  }
  REQUIRE(xent_set_num_threads(1) == XENT_OK && run_call(&expected, NULL) == XENT_OK);
  for (size_t k = 0; k < 2 * sizeof numbers / sizeof *numbers; k++) {
    int32_t number = numbers[k / 2];
    bool is_option = k % 2;
    REQUIRE(xent_set_num_threads(is_option ? 16 : number) == XENT_OK);
    c.options.num_threads = is_option ? number : 0;
    if (form >= LOG_SOFTMAX_GRAD && is_option) continue; /* no options */
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
      if (c.blocks[t]) memset(c.blocks[t], UNTOUCHED, c.block_bytes[t]);
    const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s, %s: %d threads%s give the bits of 1", call_label(&c), l->name, (int)number,
          is_option ? " in the options" : "");
  }
  free_call(&expected);
  free_call(&c);
}

/* ---- Many callers ----------------------------------------------------------------------------------------------- */

enum { CALLERS = 6, ROUNDS = 4 };

static call references[LOG_SOFTMAX_GRAD];

static void *caller(void *number) {
  intptr_t first = (intptr_t)number;
  for (int n = 0; n < ROUNDS * LOG_SOFTMAX_GRAD; n++) {
    const call *expected = &references[(first + n) % LOG_SOFTMAX_GRAD];
    call c = make_call(expected->form, expected->type, expected->outer, expected->classes, expected->inner,
                       expected->variant, false, 8);
    xent_error error = {.struct_size = sizeof error};
    c.options.num_threads = n % 4;
    const char *different = run_call(&c, &error) == XENT_OK ? different_output(&c, expected) : "the status";
    c.tensors[LOGITS].reserved = 1;
    if (!different && (run_call(&c, &error) != XENT_ERR_OPTION || strcmp(error.message, xent_last_error())))
      different = "the error";
    free_call(&c);
    if (different) return (void *)different;
  }
  return NULL;
}

static void check_callers(void) {
  pthread_t threads[CALLERS];
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  for (form form = 0; form < LOG_SOFTMAX_GRAD; form++) {
    references[form] = make_call(form, (dtype)((int)form % DTYPES), 450, 150, 2, variant_named("defaults"), false, 8);
    REQUIRE(run_call(&references[form], NULL) == XENT_OK);
  }
  REQUIRE(xent_set_num_threads(4) == XENT_OK);
  for (intptr_t k = 0; k < CALLERS; k++) REQUIRE(!pthread_create(&threads[k], NULL, caller, (void *)k));
  for (int k = 0; k < CALLERS; k++) {
    void *wrong;
    pthread_join(threads[k], &wrong);
    because("%s went wrong", wrong ? (const char *)wrong : "");
    CHECK(!wrong, "caller %d of %d at once", k, CALLERS);
  }
  for (form form = 0; form < LOG_SOFTMAX_GRAD; form++) free_call(&references[form]);
}

/* ---- A caller with hardly any stack ----------------------------------------------------------------------------- */

static void *run_on_small_stack(void *prepared) {
  xent_error error = {.struct_size = sizeof error};
  return run_call(prepared, &error) == XENT_OK ? NULL : "the status";
}

static void check_small_stack(form form, dtype type, const variant *v) {
  call c = make_call(form, type, 4, 80, 450, v, false, 8);
  for (int32_t number = 1; number <= 4; number += 3) {
    void *wrong;
    REQUIRE(xent_set_num_threads(number) == XENT_OK);
    size_t depth = stack_depth(run_on_small_stack, &c, &wrong);
    because("%zu bytes; %s", depth, wrong ? (const char *)wrong : "");
    CHECK(!wrong && depth <= MOST_STACK, "%s: a caller with a stack of 64 KB, %d threads", call_label(&c), (int)number);
  }
  free_call(&c);
}

int main(void) {
  static const int64_t shapes[][3] = {{600, 257, 1}, {3, 65, 800}, {2, 70001, 1}, {1, 40, 3500}};
  enum { SHAPES = sizeof shapes / sizeof *shapes };
  alarm(600); /* a hang fails */
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int v = 0, turn = 0; v < variant_count; v++) {
        if (!(variants[v].forms >> form & 1)) continue;
        bool is_in_all = v == 0; /* each other variant in one dtype and shape */
        turn++;
        if (!is_in_all && (dtype)(turn % DTYPES) != type) continue;
        for (int s = 0; s < SHAPES; s++)
          if (is_in_all ? (s + (int)type) % 2 == 0 : s == turn % SHAPES)
            check_bits(form, type, shapes[s], &variants[v], &layouts[(turn + s) % 4]);
      }
  check_callers();
  fflush(stdout);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int v = 0; v < variant_count; v++)
        if (variants[v].forms >> form & 1 && (dtype)(v % DTYPES) == type) check_small_stack(form, type, &variants[v]);
  return check_summary();
}
