// SPDX-License-Identifier: Apache-2.0
//
// A first program in C++17: the loss of three samples, its gradient, several outputs of one pass, and what an error looks
// like.
//
//   c++ -std=c++17 example.cpp $(pkg-config --cflags --libs xent) -o example && ./example
#include <xent.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  // One row of logits (raw scores) for each sample, and the class that each sample really has.
  const std::vector<float> scores = {1, 2, 7, 4, 7, 9, 8, 3, 4};
  std::vector<std::int64_t> targets = {2, 2, 0};
  const xent::matrix_view logits(scores, 3, 3);

  // The loss alone: the mean over the rows, rows with target -100 left out.
  std::printf("loss    %.4f nats\n", static_cast<double>(xent::cross_entropy(logits, targets)));

  // The loss and its gradient in one call, into memory that is there already: what a training step needs.
  std::vector<float> grad(scores.size());
  xent::loss_options<float> options;
  options.reduction = xent::reduction::sum;
  const float sum = xent::cross_entropy_with_grad(logits, targets, options, grad);
  std::printf("sum     %.4f nats\n", static_cast<double>(sum));
  const xent::matrix_view rows(grad, 3, 3);
  for (int row = 0; row < 3; ++row)
    std::printf("grad    %7.4f %7.4f %7.4f\n", static_cast<double>(rows(row, 0)), static_cast<double>(rows(row, 1)),
                static_cast<double>(rows(row, 2)));

  // Any layout, option and output: two images of 2 x 2 pixels in three planes, one byte a pixel for its class.
  const float images[2 * 3 * 4] = {1, 4, 8, 0.5F, 2, 7, 3, 0.25F, 7, 9, 4, 2, 0, -1, 2, 3, 1, 6, 2, -3, 5, 2, 2, 0};
  const std::uint8_t labels[2 * 4] = {2, 2, 0, 255, 2, 1, 1, 0};
  float loss = 0;
  std::int64_t correct = 0, counted = 0;
  xent::options smoothed;
  smoothed.label_smoothing = 0.1;
  smoothed.ignore_index = 255;
  xent::outputs outputs;
  outputs.loss = xent::scalar(loss);
  outputs.correct = &correct;
  outputs.rows_counted = &counted;
  xent::cross_entropy(xent::contiguous(images, {2, 3, 4}), xent::contiguous(labels, {2, 1, 4}), smoothed, outputs);
  std::printf("pixels  %.4f nats, %d of %d right\n", static_cast<double>(loss), static_cast<int>(correct),
              static_cast<int>(counted));

  // A target that is not a class: the call says so, and writes nothing.
  targets[1] = 7;
  try {
    xent::cross_entropy_with_grad(logits, targets, {}, grad);
  } catch (const xent::target_error& error) {  // also a std::out_of_range
    std::printf("error   row %d: %s\n", static_cast<int>(error.row()), error.what());
    return 0;
  }
  return 1;
}
