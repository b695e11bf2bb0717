/* SPDX-License-Identifier: Apache-2.0
 *
 * A first program: the loss of three samples, its gradient, and what an error looks like.
 *
 *   cc example.c $(pkg-config --cflags --libs xent) -o example && ./example
 */
#include <xent.h>

#include <stdio.h>

#define SAMPLES 3
#define CLASSES 3

int main(void) {
  /* A row of logits (raw scores) for each sample, and its real class. */
  const float logits[SAMPLES * CLASSES] = {1, 2, 7, 4, 7, 9, 8, 3, 4};
  int64_t targets[SAMPLES] = {2, 2, 0};
  float loss, grad[SAMPLES * CLASSES];
  int row;

  /* The loss alone: no class weights (NULL), rows with target -100 left
   * out, the mean over the rows. */
  xent_status status = xent_cross_entropy_f32(
      logits, targets, SAMPLES, CLASSES, NULL, XENT_IGNORE_INDEX,
      XENT_REDUCTION_MEAN, &loss);
  if (status != XENT_OK) {
    fprintf(stderr, "%s\n", xent_last_error());
    return 1;
  }
  printf("loss  %.4f nats\n", loss);

  /* The loss and its gradient in one call: what a training step needs. */
  status = xent_cross_entropy_grad_f32(
      logits, targets, SAMPLES, CLASSES, NULL, XENT_IGNORE_INDEX,
      XENT_REDUCTION_MEAN, &loss, grad);
  if (status != XENT_OK) {
    fprintf(stderr, "%s\n", xent_last_error());
    return 1;
  }
  for (row = 0; row < SAMPLES; row++) {
    const float *g = grad + row * CLASSES;
    printf("grad  %7.4f %7.4f %7.4f\n", g[0], g[1], g[2]);
  }

  /* A target that is not a class: the call says so, and writes nothing. */
  targets[1] = 7;
  status = xent_cross_entropy_f32(
      logits, targets, SAMPLES, CLASSES, NULL, XENT_IGNORE_INDEX,
      XENT_REDUCTION_MEAN, &loss);
  printf("error %d: %s\n", (int)status, xent_status_string(status));
  printf("      %s\n", xent_last_error());
  return status == XENT_ERR_TARGET ? 0 : 1;
}
