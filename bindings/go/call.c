/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

/* A contiguous view, or with_classes entries in the place of the classes. */
static xent_tensor view(const go_problem *p, const void *data, int32_t dtype, int64_t with_classes) {
  xent_tensor tensor = {sizeof tensor, (void *)data, dtype, 0, p->outer, with_classes, p->inner, 0, p->inner, 1};
  tensor.outer_stride = with_classes * p->inner;
  return tensor;
}

static xent_tensor per_class(const go_problem *p, const void *data, int32_t dtype) {
  const xent_tensor tensor = XENT_PER_CLASS(data, dtype, p->classes);
  return tensor;
}

/* Per class, or where the binary loss takes it, of the logits' shape. */
static xent_tensor weights(const go_problem *p, const void *data, int64_t count) {
  return p->function == GO_BINARY && count == p->outer * p->classes * p->inner ? view(p, data, p->dtype, p->classes)
                                                                              : per_class(p, data, p->dtype);
}

static xent_tensor upstream(const go_problem *p, const void *data) {
  const xent_tensor scalar = XENT_SCALAR(data, p->dtype);
  const int whole = p->function == GO_BINARY && p->upstreams == p->outer * p->classes * p->inner;
  return p->upstreams == 1 ? scalar : view(p, data, p->dtype, whole ? p->classes : 1);
}

xent_status go_call(const go_problem *p, const void *first, const void *second, const void *target_probs,
                    const void *weight, const void *pos_weight, const void *row_mask, const void *class_mask,
                    const void *grad_loss, const void *gather, void *loss, void *row_loss, void *grad_logits,
                    void *probs, void *log_probs, void *lse, void *entropy, void *max_logit, void *target_log_prob,
                    void *z_loss, void *argmax, void *target_rank, void *top_indices, void *top_log_probs,
                    void *gathered, int64_t *correct, int64_t *rows_counted, double *loss_sum, double *weight_sum,
                    xent_error *error) {
  const int32_t real = p->dtype;
  const xent_tensor a = view(p, first, p->dtype, p->classes);
  const xent_tensor b = view(p, second, p->second_dtype, p->second_classes);
  const xent_tensor grad = view(p, grad_logits, p->dtype, p->classes);
  xent_options options = p->options;
  xent_outputs outputs = XENT_OUTPUTS_INIT;
#define GIVE(name, tensor)            \
  const xent_tensor name##_in = tensor; \
  options.name = name ? &name##_in : NULL
  GIVE(target_probs, view(p, target_probs, p->dtype, p->second_classes));
  GIVE(weight, weights(p, weight, p->weights));
  GIVE(pos_weight, weights(p, pos_weight, p->pos_weights));
  GIVE(row_mask, view(p, row_mask, XENT_U8, 1));
  GIVE(class_mask, per_class(p, class_mask, XENT_U8));
  GIVE(grad_loss, upstream(p, grad_loss));
  GIVE(gather, view(p, gather, XENT_I64, p->gather_classes));
#define WANT(name, tensor)             \
  const xent_tensor name##_out = tensor; \
  outputs.name = name ? &name##_out : NULL
  WANT(loss, ((xent_tensor)XENT_SCALAR(loss, real)));
  WANT(row_loss, view(p, row_loss, real, p->function == GO_BINARY ? p->classes : 1));
  WANT(grad_logits, grad);
  WANT(probs, view(p, probs, p->dtype, p->classes));
  WANT(log_probs, view(p, log_probs, p->dtype, p->classes));
  WANT(lse, view(p, lse, real, 1));
  WANT(entropy, view(p, entropy, real, 1));
  WANT(max_logit, view(p, max_logit, real, 1));
  WANT(target_log_prob, view(p, target_log_prob, real, 1));
  WANT(z_loss, view(p, z_loss, real, 1));
  WANT(argmax, view(p, argmax, XENT_I64, 1));
  WANT(target_rank, view(p, target_rank, XENT_I64, 1));
  WANT(top_indices, view(p, top_indices, XENT_I64, p->top));
  WANT(top_log_probs, view(p, top_log_probs, real, p->top));
  WANT(gathered, view(p, gathered, real, p->gather_classes));
  outputs.correct = correct, outputs.rows_counted = rows_counted;
  outputs.loss_sum = loss_sum, outputs.weight_sum = weight_sum;
  error->struct_size = sizeof *error;
  switch (p->function) {
    case GO_SOFTMAX: return xent_softmax(&a, &options, &outputs, error);
    case GO_CROSS_ENTROPY: return xent_cross_entropy(&a, &b, &options, &outputs, error);
    case GO_NLL: return xent_nll(&a, &b, &options, &outputs, error);
    case GO_BINARY: return xent_binary_cross_entropy(&a, &b, &options, &outputs, error);
    case GO_DIVERGENCE: return xent_divergence(&a, &b, &options, &outputs, error);
    case GO_SOFTMAX_GRAD: return xent_softmax_grad(&a, &b, &grad, error);
    default: return xent_log_softmax_grad(&a, &b, &grad, error);
  }
}
