/* SPDX-License-Identifier: Apache-2.0
 *
 * A descriptor call: the loss of two small images whose pixels are classified, from bfloat16 logits as a network
 * leaves them, (N, C, H, W), with smoothed labels, and several outputs from one pass.
 *
 *   cc descriptors.c $(pkg-config --cflags --libs xent) -o descriptors && ./descriptors
 */
#include <xent.h>

#include <stdio.h>
#include <string.h>

enum { N = 2, C = 3, H = 2, W = 2, PIXELS = H * W };

/* bfloat16 is the upper half of a float; these logits have no more digits than it has. */
static uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)(bits >> 16);
}

static float from_bf16(uint16_t x) {
  uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

int main(void) {
  /* For each image a plane of H * W logits for each class. */
  const float scores[N * C * PIXELS] = {1, 4,  8, 0.5f, 2, 7, 3, 0.25f, 7, 9, 4, 2,
                                        0, -1, 2, 3,    1, 6, 2, -3,      5, 2, 2, 0};
  /* One byte a pixel; 255 is for pixels nobody has labelled. */
  const uint8_t labels[N * PIXELS] = {2, 2, 0, 255, 2, 1, 1, 0};
  uint16_t logits[N * C * PIXELS], grad[N * C * PIXELS];
  int32_t predicted[N * PIXELS];
  float loss;
  int64_t correct, counted;
  int k, image;
  for (k = 0; k < N * C * PIXELS; k++) logits[k] = to_bf16(scores[k]);

  /* (outer, classes, inner) and their strides: outer is the image, inner the pixel. No pixel is moved for this. */
  const xent_tensor x = {sizeof x, logits, XENT_BF16, 0, N, C, PIXELS, C * PIXELS, PIXELS, 1};
  const xent_tensor targets = {sizeof targets, (void *)labels, XENT_U8, 0, N, 1, PIXELS, PIXELS, 1, 1};
  const xent_tensor loss_out = XENT_SCALAR(&loss, XENT_F32);
  const xent_tensor grad_out = {sizeof grad_out, grad, XENT_BF16, 0, N, C, PIXELS, C * PIXELS, PIXELS, 1};
  const xent_tensor predicted_out = {sizeof predicted_out, predicted, XENT_I32, 0, N, 1, PIXELS, PIXELS, 1, 1};

  xent_options options = XENT_OPTIONS_INIT; /* the mean, and all else at its default */
  xent_outputs outputs = XENT_OUTPUTS_INIT; /* nothing yet */
  xent_error error;
  error.struct_size = sizeof error;
  options.ignore_index = 255;
  options.label_smoothing = 0.1;
  outputs.loss = &loss_out;
  outputs.grad_logits = &grad_out;
  outputs.argmax = &predicted_out;
  outputs.correct = &correct;
  outputs.rows_counted = &counted;
  if (xent_cross_entropy(&x, &targets, &options, &outputs, &error) != XENT_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  printf("loss     %.4f nats, %d of %d pixels right\n", loss, (int)correct, (int)counted);
  for (image = 0; image < N; image++) {
    const int32_t *pixel = predicted + image * PIXELS;
    printf("classes  %d %d / %d %d\n", (int)pixel[0], (int)pixel[1], (int)pixel[2], (int)pixel[3]);
  }
  printf("grad     %7.4f %7.4f %7.4f at the first pixel\n", from_bf16(grad[0]), from_bf16(grad[PIXELS]),
         from_bf16(grad[2 * PIXELS]));

  /* Two things that do not go together are refused, and the text says which. */
  options.focal_gamma = 2;
  if (xent_cross_entropy(&x, &targets, &options, &outputs, &error) != XENT_ERR_UNSUPPORTED) return 1;
  printf("error    %s\n", error.message);
  return 0;
}
