/* SPDX-License-Identifier: Apache-2.0
 *
 * The second half of calls.c: the two kinds of calls.
 */

/* ---- Descriptor calls ------------------------------------------------------------------------------------------- */

static void guard_all(void) {
  opened_count = 0;
  __asan_poison_memory_region(memory.rooms, sizeof memory.rooms);
  __asan_poison_memory_region(structs, sizeof structs);
}

/* How far an output may be the logits' own memory. */
static void alias(input *in, call *c) {
  tensor t = (tensor)(REDUCED_LOSS + below(in, TENSORS - REDUCED_LOSS)), other = (tensor)below(in, TENSORS);
  int64_t below_, above;
  if (!c->has[t] || !c->has[other] || !c->tensors[other].data) return;
  void *room = c->tensors[other].data;
  if (once_in(in, 2)) c->tensors[t] = c->tensors[other];
  if (!extent_of(&c->tensors[t], &below_, &above)) return;
  /* Inside of the other's room, wherever. */
  char *start = memory.rooms[other] + GUARD;
  c->tensors[t].data = once_in(in, 2) ? room : start + below_ + 8 * below(in, 16);
  char *lowest = (char *)c->tensors[t].data - below_;
  if (lowest < start || lowest + below_ + above > memory.rooms[other] + ROOM) c->tensors[t].data = start + below_;
  open_memory((char *)c->tensors[t].data - below_, (size_t)(below_ + above));
}

static xent_status descriptor_call(input *in) {
  call c = {.form = (form)below(in, FORMS)};
  uint8_t shape = take8(in);
  uint32_t wanted = (uint32_t)take(in, 2);
  c.type = (dtype)(shape & 3);
  c.outer = (shape >> 2 & 3);
  c.inner = (shape >> 4 & 3);
  c.classes = shape >> 6 ? take8(in) % 9 : take8(in) % 40;
  guard_all();
  choose_options(in, &c);
  const xent_tensor *pointers[TENSORS] = {NULL};
  for (tensor t = 0; t < TENSORS; t++) {
    bool is_needed = t <= TARGETS || t == TARGET_PROBS || (t == GRAD_LOGITS && c.form >= LOG_SOFTMAX_GRAD);
    bool is_chosen = is_output(t) ? wanted >> (t - REDUCED_LOSS) & 1 : once_in(in, 4);
    bool goes = is_taken(c.form, t) && !(t == REDUCED_LOSS && c.options.reduction == XENT_REDUCTION_NONE);
    if (once_in(in, 60)) is_needed = is_chosen = !is_needed, goes = !goes;
    if (goes && (is_needed || is_chosen)) choose_tensor(in, &c, t);
  }
  if (once_in(in, 8)) alias(in, &c);
  for (tensor t = 0; t < TENSORS; t++)
    if (c.has[t]) pointers[t] = put_struct(in, t, &c.tensors[t], sizeof c.tensors[t]);

  xent_outputs outputs = XENT_OUTPUTS_INIT;
  for (tensor t = WEIGHT; t < TENSORS; t++)
    memcpy((is_output(t) ? (char *)&outputs : (char *)&c.options) + tensor_specs[t].offset, &pointers[t],
           sizeof pointers[t]);
  uint8_t ones = take8(in);
  if (ones & 1) outputs.correct = &memory.sums.correct;
  if (ones & 2) outputs.rows_counted = &memory.sums.rows_counted;
  if (ones & 4) outputs.loss_sum = &memory.sums.loss_sum;
  if (ones & 8) outputs.weight_sum = &memory.sums.weight_sum;
  if ((ones & 0xF0) == 0xF0) outputs.loss_sum = (double *)(void *)&memory.sums.correct;
  if (ones & 15 && ((ones & 1 && c.form != CE_INDEX) || !(WITH_LOSS >> c.form & 1)) && !once_in(in, 8))
    outputs.correct = NULL, outputs.rows_counted = NULL, outputs.loss_sum = NULL, outputs.weight_sum = NULL;
  const xent_options *options = once_in(in, 12) ? NULL : put_struct(in, TENSORS, &c.options, sizeof c.options);
  const xent_outputs *out = once_in(in, 100) ? NULL : put_struct(in, TENSORS + 1, &outputs, sizeof outputs);
  xent_error *error = NULL, full = {.struct_size = sizeof full};
  bool has_full_error = once_in(in, 2);
  if (has_full_error) error = &full;
  else if (once_in(in, 2)) error = put_struct(in, TENSORS + 2, &full, sizeof full);

  const xent_tensor *logits = pointers[LOGITS], *targets = pointers[TARGETS], *gradient = pointers[GRAD_LOGITS];
  xent_status status = XENT_OK;
  copy_opened(&before, &memory);
  for (int turn = 0; turn < 2; turn++) {
    xent_status now;
    prepare_environment();
    switch (c.form) {
      case SOFTMAX: now = xent_softmax(logits, options, out, error); break;
      case NLL: now = xent_nll(logits, targets, options, out, error); break;
      case BINARY: now = xent_binary_cross_entropy(logits, targets, options, out, error); break;
      case DIVERGENCE: now = xent_divergence(logits, targets, options, out, error); break;
      case LOG_SOFTMAX_GRAD: now = xent_log_softmax_grad(logits, targets, gradient, error); break;
      case SOFTMAX_GRAD: now = xent_softmax_grad(logits, targets, gradient, error); break;
      default: now = xent_cross_entropy(logits, targets, options, out, error); break;
    }
    check_environment();
    check_refusal(now, form_specs[c.form].function, has_full_error ? error : NULL);
    if (turn == 0) {
      status = now;
      check_written(&c, now);
      copy_opened(&first, &memory);
      if (status != XENT_OK) break;
    } else if (now != status) {
      fail("another status the second time");
    }
    if (once_in(in, 2)) break;
    /* In place the inputs are gone. */
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
      for (tensor other = 0; other < REDUCED_LOSS; other++)
        if (c.has[t] && c.has[other] && c.tensors[t].data && c.tensors[other].data &&
            llabs((char *)c.tensors[t].data - (char *)c.tensors[other].data) < ROOM)
          return status;
  }
  if (status == XENT_OK && !is_opened_same(&memory, &first)) fail("other bits the second time");
  return status;
}

/* ---- Plain calls ------------------------------------------------------------------------------------------------ */

static xent_status plain_call(input *in) {
  const operation *op = &operations[below(in, operation_count)];
  dtype type = (dtype)below(in, DTYPES);
  parameters p = {below(in, 6), below(in, 24), XENT_IGNORE_INDEX, (int32_t)(take8(in) % 4)};
  uint8_t how = take8(in);
  if (how % 8 == 7) p.rows = odd_number(in);
  if (how % 8 >= 6) p.classes = odd_number(in);
  if (how % 8 == 5) p.reduction = (int32_t)odd_number(in);
  if (how % 8 == 4) p.ignore_index = odd_number(in);
  guard_all();
  void *arrays[MAX_ARRAYS];
  __int128 elements = (__int128)p.rows * p.classes;
  bool is_small = p.rows >= 0 && p.classes >= 0 && p.rows < 96 && p.classes < 96 && elements < 96;
  /* Where the sizes are right but more than there is memory for, a call must not be made that would go through. */
  if (!is_small && p.rows >= 0 && p.classes >= 0) p.reduction = -1;
  if (!is_small && !op->has_reduction && p.rows >= 0 && p.classes >= 0) p.rows = -p.rows - 1;
  uint64_t seed = take(in, 4);
  for (int k = 0; k < op->count; k++) {
    size_t bytes = is_small ? array_bytes(&op->arrays[k], type, &p) : 0;
    char *start = memory.rooms[k] + GUARD + (bytes ? element_size(&op->arrays[k], type) * (take8(in) % 2) : 0);
    arrays[k] = start;
    open_memory(start, bytes);
  }
  if (is_small) {
    fill_arrays(op, type, &p, arrays, seed);
    int t = array_index(op, "targets");
    if (op->has_options && t >= 0 && p.rows && once_in(in, 5))
      ((int64_t *)arrays[t])[below(in, p.rows)] = odd_number(in);
  }
  bool is_moved = false;
  for (int k = 0; k < op->count; k++) {
    if (once_in(in, 30)) arrays[k] = NULL;
    else if (once_in(in, 20)) arrays[k] = arrays[below(in, op->count)], is_moved = true;
  }
  if (is_moved) open_memory(memory.rooms[0], (size_t)op->count * ROOM); /* one array's room for another's size */
  copy_opened(&before, &memory);
  prepare_environment();
  xent_status status = op->call[type](arrays, &p);
  check_environment();
  check_refusal(status, function_name(op, type), NULL);
  open_all();
  for (int k = 0; k < op->count && status == XENT_OK; k++)
    if (op->arrays[k].is_output && arrays[k])
      memcpy((char *)&before + ((char *)arrays[k] - (char *)&memory), arrays[k], array_bytes(&op->arrays[k], type, &p));
  if (!is_opened_same(&before, &memory)) fail(status == XENT_OK ? "a write beside an output" : "a write");
  return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  input in = open_input(bytes, count);
  uint8_t what = take8(&in);
  if (what >= 250) { /* the calls that are left */
    int32_t number = (int32_t)take(&in, 4) % (what == 255 ? INT32_MAX : 9);
    const char *text = xent_status_string((xent_status)number);
    if (!text || strlen(text) < 10) fail("xent_status_string");
    /* Threads would be more than one, for a fuzzer that may fork. */
    if ((number < 0 || number > XENT_MAX_THREADS) && xent_set_num_threads(number) != XENT_ERR_OPTION) fail("threads");
    if (xent_get_num_threads() < 1 || xent_version() != XENT_VERSION || !xent_cpu_level()[0]) fail("a constant");
    return 0;
  }
  if (what < 190) descriptor_call(&in);
  else plain_call(&in);
  return 0;
}
