/* SPDX-License-Identifier: Apache-2.0
 *
 * Every output of every function against each of its other arrays: overlapping at either end, inside, around, the very
 * same, next to each other. What is not allowed is XENT_ERR_OVERLAP and nothing written; what is allowed gives the
 * same bits as separate arrays.
 */
#include "check.h"
#include "operations.h"

enum { SLOT = 4096 }; /* bytes of the arena for each array, which lies in the middle of them */

static _Alignas(64) char arena[MAX_ARRAYS * SLOT], arena_before[MAX_ARRAYS * SLOT];

typedef struct {
  const operation *op;
  dtype type;
  parameters p;
  int output, other;
  void *results[MAX_ARRAYS]; /* with separate arrays */
} pair;

static void lay_out(const pair *c, void **at) {
  memset(arena, 0x5A, sizeof arena);
  for (int k = 0; k < MAX_ARRAYS; k++) at[k] = k < c->op->count ? arena + k * SLOT + SLOT / 2 : NULL;
  fill_arrays(c->op, c->type, &c->p, at, 3);
}

/* Moves the output to `offset` bytes from the other array and calls. */
static void try_offset(const pair *c, int64_t offset, bool allowed, const char *how) {
  void *at[MAX_ARRAYS];
  const array_spec *output = &c->op->arrays[c->output], *other = &c->op->arrays[c->other];
  const char *name = function_name(c->op, c->type);
  lay_out(c, at);
  at[c->output] = (char *)at[c->other] + offset;
  memcpy(arena_before, arena, sizeof arena);
  xent_status status = c->op->call[c->type](at, &c->p);

  char label[160];
  snprintf(label, sizeof label, "%s: %s %s %s, reduction %d", name, output->name, how, other->name,
           (int)c->p.reduction);
  because("status %d: %s", (int)status, xent_last_error());
  if (allowed) {
    if (!CHECK(status == XENT_OK, "%s is allowed", label)) return;
    CHECK(same_values(at[c->output], c->results[c->output], output, c->type, element_count(output, &c->p)),
          "%s gives the same bits", label);
    return;
  }
  char text[128], reverse[128];
  snprintf(text, sizeof text, "%s: %s overlaps %s", name, output->name, other->name);
  snprintf(reverse, sizeof reverse, "%s: %s overlaps %s", name, other->name, output->name);
  bool named = !strcmp(xent_last_error(), text) || (other->is_output && !strcmp(xent_last_error(), reverse));
  CHECK(status == XENT_ERR_OVERLAP && named, "%s is refused by name", label);
  CHECK(!memcmp(arena, arena_before, sizeof arena), "%s: nothing is written", label);
}

static void check_pair(const pair *c) {
  const array_spec *output = &c->op->arrays[c->output], *other = &c->op->arrays[c->other];
  int64_t size = (int64_t)array_bytes(output, c->type, &c->p), other_size = (int64_t)array_bytes(other, c->type, &c->p);
  int64_t step = (int64_t)element_size(output, c->type);
  bool in_place = output->in_place >> c->other & 1;

  try_offset(c, 0, in_place, "the same as");
  try_offset(c, other_size, true, "right behind");
  try_offset(c, -size, true, "right before");
  try_offset(c, other_size - step, false, "begins at the end of");
  try_offset(c, step - size, false, "ends at the beginning of");
  if (size == other_size) {
    try_offset(c, step, false, "one element behind the start of");
    try_offset(c, -step, false, "one element before");
  }
  if (size > other_size + 2 * step) try_offset(c, -step, false, "around");
  if (other_size > size + 2 * step) try_offset(c, step, false, "inside");
}

static void check_operation(const operation *op, dtype type, int32_t reduction) {
  pair c = {.op = op, .type = type, .p = {4, 3, XENT_IGNORE_INDEX, reduction}};
  allocate_arrays(op, type, &c.p, c.results);
  fill_arrays(op, type, &c.p, c.results, 3);
  REQUIRE(op->call[type](c.results, &c.p) == XENT_OK);
  for (c.output = 0; c.output < op->count; c.output++)
    for (c.other = 0; c.other < op->count; c.other++)
      if (op->arrays[c.output].is_output && c.other != c.output) check_pair(&c);

  /* An array that has no elements overlaps nothing, and no more does one that is NULL. */
  for (c.output = 0; c.output < op->count; c.output++) {
    shape shape = op->arrays[c.output].shape;
    if (!op->arrays[c.output].is_output || shape == LOSS || shape == MATRIX_LOSS) continue;
    void *at[MAX_ARRAYS];
    parameters empty = {0, 3, XENT_IGNORE_INDEX, reduction};
    lay_out(&c, at);
    at[c.output] = (char *)at[0] + element_size(&op->arrays[c.output], type);
    because("%s", xent_last_error());
    CHECK(op->call[type](at, &empty) == XENT_OK, "%s: %s of no elements overlaps nothing, reduction %d",
          function_name(op, type), op->arrays[c.output].name, (int)reduction);
  }
  free_arrays(op, c.results);
}

/* Inputs may overlap as they like. */
static void check_inputs(const operation *op, dtype type) {
  pair c = {.op = op, .type = type, .p = {4, 3, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE}};
  for (int a = 0; a < op->count; a++)
    for (int b = a + 1; b < op->count; b++) {
      const array_spec *first = &op->arrays[a], *second = &op->arrays[b];
      if (first->is_output || second->is_output || first->is_int64 || second->is_int64) continue;
      void *at[MAX_ARRAYS], *apart[MAX_ARRAYS];
      lay_out(&c, at);
      at[b] = (char *)at[a] + element_size(first, type);
      allocate_arrays(op, type, &c.p, apart);
      for (int k = 0; k < op->count; k++) memcpy(apart[k], at[k], array_bytes(&op->arrays[k], type, &c.p));
      REQUIRE(op->call[type](apart, &c.p) == XENT_OK);
      because("%s", xent_last_error());
      CHECK(op->call[type](at, &c.p) == XENT_OK, "%s: %s and %s may overlap", function_name(op, type), first->name,
            second->name);
      for (int k = 0; k < op->count; k++)
        CHECK(same_values(at[k], apart[k], &op->arrays[k], type, element_count(&op->arrays[k], &c.p)),
              "%s: %s and %s overlapping give the same %s", function_name(op, type), first->name, second->name,
              op->arrays[k].name);
      free_arrays(op, apart);
    }
}

int main(void) {
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      for (int32_t reduction = 0; reduction < (operations[k].has_reduction ? REDUCTIONS : 1); reduction++)
        check_operation(&operations[k], type, reduction);
      check_inputs(&operations[k], type);
    }

  /* Both inputs and the output one array. */
  float all[6] = {-1, -2, -3, -1, -2, -3}, result[6];
  REQUIRE(xent_log_softmax_grad_f32(all, all, 2, 3, result) == XENT_OK);
  CHECK(xent_log_softmax_grad_f32(all, all, 2, 3, all) == XENT_OK && !memcmp(all, result, sizeof all),
        "xent_log_softmax_grad_f32: three times the same array");
  return check_summary();
}
