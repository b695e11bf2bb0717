// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import com.sun.jna.Pointer;
import java.util.function.BiConsumer;

/** What one pass over the logits can give. */
public enum Output {
  /** The reduced loss: a number. */
  LOSS(Kind.REAL, (o, p) -> o.loss = p),
  /** The loss of each row; of each element for the binary loss. */
  ROW_LOSS(Kind.ROW_LOSS, (o, p) -> o.row_loss = p),
  /** d loss / d logits, of the logits' shape. */
  GRAD_LOGITS(Kind.LOGITS, (o, p) -> o.grad_logits = p),
  /** Of the logits' shape. */
  PROBS(Kind.LOGITS, (o, p) -> o.probs = p),
  /** Of the logits' shape. */
  LOG_PROBS(Kind.LOGITS, (o, p) -> o.log_probs = p),
  /** Log-sum-exp, per row. */
  LSE(Kind.ROW_REAL, (o, p) -> o.lse = p),
  /** In nats, per row. */
  ENTROPY(Kind.ROW_REAL, (o, p) -> o.entropy = p),
  MAX_LOGIT(Kind.ROW_REAL, (o, p) -> o.max_logit = p),
  /** Per row; 0 in rows that do not count. */
  TARGET_LOG_PROB(Kind.ROW_REAL, (o, p) -> o.target_log_prob = p),
  /** The part of each row's loss that the option z_loss adds. */
  Z_LOSS(Kind.ROW_REAL, (o, p) -> o.z_loss = p),
  /** The first of the largest, per row. */
  ARGMAX(Kind.ROW_INDEX, (o, p) -> o.argmax = p),
  /** How many classes come before the target: 0 is top-1; -1 in rows that do not count. */
  TARGET_RANK(Kind.ROW_INDEX, (o, p) -> o.target_rank = p),
  /** The most probable classes of each row, in order; how many is what {@link Call#top} says. */
  TOP_INDICES(Kind.TOP_INDEX, (o, p) -> o.top_indices = p),
  TOP_LOG_PROBS(Kind.TOP_REAL, (o, p) -> o.top_log_probs = p),
  /** The log-probabilities of {@link Call#gather}. */
  GATHERED(Kind.GATHERED, (o, p) -> o.gathered = p),
  /** How many rows have their target as argmax: a number, as are the others below. */
  CORRECT(Kind.COUNTER, (o, p) -> o.correct = p),
  ROWS_COUNTED(Kind.COUNTER, (o, p) -> o.rows_counted = p),
  LOSS_SUM(Kind.SUM, (o, p) -> o.loss_sum = p),
  /** What the mean divides by. */
  WEIGHT_SUM(Kind.SUM, (o, p) -> o.weight_sum = p);

  enum Kind { REAL, ROW_LOSS, LOGITS, ROW_REAL, ROW_INDEX, TOP_INDEX, TOP_REAL, GATHERED, COUNTER, SUM }

  final Kind kind;
  final BiConsumer<Native.Outputs, Pointer> field;

  Output(Kind kind, BiConsumer<Native.Outputs, Pointer> field) {
    this.kind = kind;
    this.field = field;
  }

  /** Whether the field is a pointer to the number itself, not to a tensor. */
  boolean isBare() {
    return kind == Kind.COUNTER || kind == Kind.SUM;
  }
}
