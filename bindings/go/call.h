/* SPDX-License-Identifier: Apache-2.0
 *
 * Go may pass a pointer to its memory, but not memory that holds one: the structs with pointers are built on this side,
 * from arrays that each are an argument of their own. NULL is an array that is not given or not wanted. */
#ifndef XENT_GO_CALL_H
#define XENT_GO_CALL_H

#include <xent.h>

enum { GO_SOFTMAX, GO_CROSS_ENTROPY, GO_NLL, GO_BINARY, GO_DIVERGENCE, GO_SOFTMAX_GRAD, GO_LOG_SOFTMAX_GRAD };

/* What is not an array. Where an array may have several shapes, its number of elements decides. */
typedef struct go_problem {
  int32_t function, dtype, second_dtype;
  int64_t outer, classes, inner;
  int64_t second_classes; /* of targets: 1, the k of sparse ones, or classes */
  int64_t gather_classes, top;
  int64_t weights, pos_weights, upstreams; /* numbers of elements */
  xent_options options;                    /* without pointers */
} go_problem;

xent_status go_call(const go_problem *problem, const void *first, const void *second, const void *target_probs,
                    const void *weight, const void *pos_weight, const void *row_mask, const void *class_mask,
                    const void *grad_loss, const void *gather, void *loss, void *row_loss, void *grad_logits,
                    void *probs, void *log_probs, void *lse, void *entropy, void *max_logit, void *target_log_prob,
                    void *z_loss, void *argmax, void *target_rank, void *top_indices, void *top_log_probs,
                    void *gathered, int64_t *correct, int64_t *rows_counted, double *loss_sum, double *weight_sum,
                    xent_error *error);

#endif
