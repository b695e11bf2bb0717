// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/** The functions of {@link Xent#call}. */
public enum Function {
  /** Logits alone. */
  SOFTMAX,
  /** Logits and targets. */
  CROSS_ENTROPY,
  /** Log-probabilities and targets. */
  NLL,
  /** Logits and multi-label targets of their shape. */
  BINARY,
  /** A student's logits and a teacher's. */
  DIVERGENCE,
  /** What softmax gave, and as targets d loss / d probs; gives GRAD_LOGITS. */
  SOFTMAX_GRAD,
  /** What log-softmax gave, and as targets d loss / d log-probabilities; gives GRAD_LOGITS. */
  LOG_SOFTMAX_GRAD;

  int call(Native.Tensor a, Native.Tensor b, Native.Options options, Native.Outputs outputs, Native.Tensor gradient,
      Native.Failure error) {
    Native library = Native.LIBRARY;
    return switch (this) {
      case SOFTMAX -> library.xent_softmax(a, options, outputs, error);
      case CROSS_ENTROPY -> library.xent_cross_entropy(a, b, options, outputs, error);
      case NLL -> library.xent_nll(a, b, options, outputs, error);
      case BINARY -> library.xent_binary_cross_entropy(a, b, options, outputs, error);
      case DIVERGENCE -> library.xent_divergence(a, b, options, outputs, error);
      case SOFTMAX_GRAD -> library.xent_softmax_grad(a, b, gradient, error);
      case LOG_SOFTMAX_GRAD -> library.xent_log_softmax_grad(a, b, gradient, error);
    };
  }
}
