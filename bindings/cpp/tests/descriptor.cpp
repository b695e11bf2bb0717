// SPDX-License-Identifier: Apache-2.0
//
// The descriptor functions against those of xent.h: the same bits of every output, with every option, in layouts made
// in every way that tensor.hpp has.
#include <xent.hpp>

#include "check.hpp"

namespace {

constexpr std::int64_t outer = 2, classes = 4, inner = 3, rows = outer * inner, top = 2;

std::vector<float> numbers(std::int64_t count, int step) {
  std::vector<float> out;
  for (std::int64_t k = 0; k < count; ++k) out.push_back(static_cast<float>(k * step % 113 - 56) / 8);
  return out;
}

/// The places of all outputs; the wrapper's are compared with those of the C function, member by member.
struct places {
  float loss = 0;
  std::vector<float> row_loss = f(rows), grad = f(rows * classes), probs = f(rows * classes);
  std::vector<float> log_probs = f(rows * classes), lse = f(rows), entropy = f(rows), max_logit = f(rows);
  std::vector<float> target_log_prob = f(rows), z_loss = f(rows), top_log_probs = f(rows * top), gathered = f(rows);
  std::vector<std::int64_t> argmax = std::vector<std::int64_t>(rows);
  std::vector<std::int32_t> rank = std::vector<std::int32_t>(rows), top_indices = std::vector<std::int32_t>(rows * top);
  std::int64_t correct = 0, rows_counted = 0;
  double loss_sum = 0, weight_sum = 0;

  static std::vector<float> f(std::int64_t count) { return std::vector<float>(static_cast<std::size_t>(count)); }
};

void same(const places& got, const places& wanted, const std::string& name) {
  same_bits(got.loss, wanted.loss, name + " loss");
  same_bits(got.row_loss, wanted.row_loss, name + " row_loss");
  same_bits(got.grad, wanted.grad, name + " grad_logits");
  same_bits(got.probs, wanted.probs, name + " probs");
  same_bits(got.log_probs, wanted.log_probs, name + " log_probs");
  same_bits(got.lse, wanted.lse, name + " lse");
  same_bits(got.entropy, wanted.entropy, name + " entropy");
  same_bits(got.max_logit, wanted.max_logit, name + " max_logit");
  same_bits(got.target_log_prob, wanted.target_log_prob, name + " target_log_prob");
  same_bits(got.z_loss, wanted.z_loss, name + " z_loss");
  same_bits(got.top_log_probs, wanted.top_log_probs, name + " top_log_probs");
  same_bits(got.gathered, wanted.gathered, name + " gathered");
  same_bits(got.argmax, wanted.argmax, name + " argmax");
  same_bits(got.rank, wanted.rank, name + " target_rank");
  same_bits(got.top_indices, wanted.top_indices, name + " top_indices");
  same_bits(got.correct, wanted.correct, name + " correct");
  same_bits(got.rows_counted, wanted.rows_counted, name + " rows_counted");
  same_bits(got.loss_sum, wanted.loss_sum, name + " loss_sum");
  same_bits(got.weight_sum, wanted.weight_sum, name + " weight_sum");
}

xent_tensor c(const void* data, xent_dtype dtype, std::int64_t o, std::int64_t k, std::int64_t i) {
  return {sizeof(xent_tensor), const_cast<void*>(data), dtype, 0, o, k, i, k * i, i, 1};
}

const std::vector<float> scores = numbers(rows * classes, 37), weight = {1, 2, 0.5F, 3}, grad_rows = numbers(rows, 11);
const std::vector<std::uint8_t> targets = {3, 0, 99, 1, 2, 3};
const bool class_mask[classes] = {true, true, false, true}, row_mask[rows] = {true, true, true, true, false, true};
const std::vector<std::int16_t> gather = {0, 1, 3, 0, 1, 3};

void every_output() {
  places got, wanted;
  xent::options o;
  o.reduction = xent::reduction::mean_rows;
  o.ignore_index = 99;
  o.label_smoothing = 0.25;
  o.smoothing = xent::smoothing::uniform;
  o.temperature = 1.5;
  o.softcap = 20;
  o.z_loss = 0.125;
  o.num_threads = 1;
  o.masked_row = xent::undefined::zero;
  o.accuracy = xent::accuracy::fastest;
  o.empty_mean = xent::undefined::zero;
  o.weight = xent::per_class(weight);
  o.class_mask = xent::per_class(class_mask);
  o.row_mask = xent::contiguous(row_mask, {outer, 1, inner});
  o.grad_loss = xent::contiguous(grad_rows, {outer, 1, inner});
  o.gather = xent::contiguous(gather, {outer, 1, inner});
  xent::outputs out;
  const xent::extents per_row = {outer, 1, inner}, full = {outer, classes, inner}, best = {outer, top, inner};
  out.loss = xent::scalar(got.loss);
  out.row_loss = xent::contiguous(got.row_loss, per_row);
  out.grad_logits = xent::contiguous(got.grad, full);
  out.probs = xent::contiguous(got.probs, full);
  out.log_probs = xent::contiguous(got.log_probs, full);
  out.lse = xent::contiguous(got.lse, per_row);
  out.entropy = xent::contiguous(got.entropy, per_row);
  out.max_logit = xent::contiguous(got.max_logit, per_row);
  out.target_log_prob = xent::contiguous(got.target_log_prob, per_row);
  out.z_loss = xent::contiguous(got.z_loss, per_row);
  out.argmax = xent::contiguous(got.argmax, per_row);
  out.target_rank = xent::contiguous(got.rank, per_row);
  out.top_indices = xent::contiguous(got.top_indices, best);
  out.top_log_probs = xent::contiguous(got.top_log_probs, best);
  out.gathered = xent::contiguous(got.gathered, per_row);
  out.correct = &got.correct;
  out.rows_counted = &got.rows_counted;
  out.loss_sum = &got.loss_sum;
  out.weight_sum = &got.weight_sum;

  // The C structs, written out.
  const xent_tensor x = c(scores.data(), XENT_F32, outer, classes, inner);
  const xent_tensor t = c(targets.data(), XENT_U8, outer, 1, inner);
  const xent_tensor w = c(weight.data(), XENT_F32, 1, classes, 1), cm = c(class_mask, XENT_U8, 1, classes, 1);
  const xent_tensor rm = c(row_mask, XENT_U8, outer, 1, inner), g = c(grad_rows.data(), XENT_F32, outer, 1, inner);
  const xent_tensor ga = c(gather.data(), XENT_I16, outer, 1, inner);
  const xent_options co = {sizeof(xent_options), XENT_REDUCTION_MEAN_ROWS, XENT_SMOOTHING_UNIFORM, XENT_ZERO, XENT_ZERO,
                           XENT_KL, 1, 99, 0.25, 1.5, 20, 0, 0, 0.125, &w, nullptr, &rm, &cm, nullptr, &g, &ga,
                           XENT_ACCURACY_FASTEST, 0};
  const auto row = [](auto& place, xent_dtype dtype) { return c(place.data(), dtype, outer, 1, inner); };
  const auto all = [](auto& place) { return c(place.data(), XENT_F32, outer, classes, inner); };
  const xent_tensor loss = c(&wanted.loss, XENT_F32, 1, 1, 1), row_loss = row(wanted.row_loss, XENT_F32);
  const xent_tensor grad = all(wanted.grad), probs = all(wanted.probs), log_probs = all(wanted.log_probs);
  const xent_tensor lse = row(wanted.lse, XENT_F32), entropy = row(wanted.entropy, XENT_F32);
  const xent_tensor max_logit = row(wanted.max_logit, XENT_F32), tlp = row(wanted.target_log_prob, XENT_F32);
  const xent_tensor zl = row(wanted.z_loss, XENT_F32), argmax = row(wanted.argmax, XENT_I64);
  const xent_tensor rank = row(wanted.rank, XENT_I32), ti = c(wanted.top_indices.data(), XENT_I32, outer, top, inner);
  const xent_tensor tp = c(wanted.top_log_probs.data(), XENT_F32, outer, top, inner);
  const xent_tensor gathered = row(wanted.gathered, XENT_F32);
  const xent_outputs cout = {sizeof(xent_outputs), &loss, &row_loss, &grad, &probs, &log_probs, &lse, &entropy,
                             &max_logit, &tlp, &zl, &argmax, &rank, &ti, &tp, &gathered, &wanted.correct,
                             &wanted.rows_counted, &wanted.loss_sum, &wanted.weight_sum};
  check(xent_cross_entropy(&x, &t, &co, &cout, nullptr) == XENT_OK, "the C call with every output");
  xent::cross_entropy(xent::contiguous(scores, full), xent::contiguous(targets, per_row), o, out);
  same(got, wanted, "every output:");

  // What of these goes without a target.
  places other;
  xent::options oo = o;
  oo.label_smoothing = 0, oo.smoothing = xent::smoothing::weighted, oo.weight = {}, oo.reduction = {};
  oo.ignore_index = XENT_IGNORE_INDEX, oo.row_mask = {};
  xent::outputs soft;
  soft.probs = xent::contiguous(other.probs, full);
  soft.entropy = xent::contiguous(other.entropy, per_row);
  xent::softmax(xent::contiguous(scores, full), oo, soft);
  same_bits(other.probs, wanted.probs, "softmax: probs");
  same_bits(other.entropy, wanted.entropy, "softmax: entropy");
}

void focal_and_soft_targets() {
  // Options that do not go with those above: focal and poly for indices; sparse soft targets.
  const xent_tensor x = c(scores.data(), XENT_F32, rows, classes, 1);
  const std::vector<std::int32_t> index = {0, 3, 1, 1, 2, 0, 3, 2, 1, 0, 2, 3};
  const std::vector<float> share = {0.5F, 0.5F, 0.75F, 0.25F, 1, 0, 0.5F, 0.25F, 0.125F, 0.875F, 0.5F, 0.5F};
  const xent_tensor ti = c(index.data(), XENT_I32, rows, 2, 1), tp = c(share.data(), XENT_F32, rows, 2, 1);
  const xent_tensor t1 = {sizeof t1, const_cast<int*>(index.data()), XENT_I32, 0, rows, 1, 1, 2, 1, 1};
  const xent::matrix_view logits(scores, rows, classes);
  for (const bool soft : {false, true}) {
    float wanted = 0, got = 0;
    const xent_tensor loss = XENT_SCALAR(&wanted, XENT_F32);
    xent_options co = XENT_OPTIONS_INIT;
    xent_outputs cout = XENT_OUTPUTS_INIT;
    cout.loss = &loss;
    xent::options o;
    xent::outputs out;
    out.loss = xent::scalar(got);
    if (soft) {
      co.target_probs = &tp;
      o.target_probs = xent::matrix_view(share, rows, 2);
    } else {
      o.focal_gamma = co.focal_gamma = 2;
      o.poly_epsilon = co.poly_epsilon = 0.5;
    }
    check(xent_cross_entropy(&x, soft ? &ti : &t1, &co, &cout, nullptr) == XENT_OK, "the C call, focal or soft");
    xent::cross_entropy(logits, soft ? xent::const_tensor(xent::matrix_view(index, rows, 2))
                                     : xent::strided(index, {rows, 1, 1}, {2, 1, 1}), o, out);
    same_bits(got, wanted, soft ? "sparse soft targets" : "focal and poly");
  }
}

template <class Call, class CCall>
void one_loss(const char* name, const xent::options& o, xent_options co, const Call& call, const CCall& c_call) {
  float got = 0, wanted = 0;
  std::vector<float> grad(scores.size()), wanted_grad(scores.size());
  const xent_tensor loss = XENT_SCALAR(&wanted, XENT_F32), grad_out = c(wanted_grad.data(), XENT_F32, rows, classes, 1);
  xent_outputs cout = XENT_OUTPUTS_INIT;
  cout.loss = &loss;
  cout.grad_logits = &grad_out;
  xent::outputs out;
  out.loss = xent::scalar(got);
  out.grad_logits = xent::matrix_view(grad, rows, classes);
  check(c_call(&co, &cout) == XENT_OK, std::string("the C call, ") + name);
  call(o, out);
  same_bits(got, wanted, std::string(name) + " loss");
  same_bits(grad, wanted_grad, std::string(name) + " grad");
}

void the_other_functions() {
  const std::vector<float> teacher = numbers(rows * classes, 59);
  const std::vector<std::uint8_t> labels(static_cast<std::size_t>(rows * classes), 1), index = {3, 0, 2, 1, 2, 3};
  const xent_tensor x = c(scores.data(), XENT_F32, rows, classes, 1), y = c(teacher.data(), XENT_F32, rows, classes, 1);
  const xent_tensor l = c(labels.data(), XENT_U8, rows, classes, 1), t = c(index.data(), XENT_U8, rows, 1, 1);
  const xent_tensor w = c(weight.data(), XENT_F32, 1, classes, 1);
  const xent::matrix_view student(scores, rows, classes), other(teacher, rows, classes);
  xent_options co = XENT_OPTIONS_INIT;
  xent::options o;
  one_loss("nll", o, co, [&](auto... a) { xent::nll(student, xent::per_row(index), a...); },
           [&](auto... a) { return xent_nll(&x, &t, a..., nullptr); });
  for (const auto kind : {xent::divergence_kind::kl, xent::divergence_kind::reverse_kl,
                          xent::divergence_kind::soft_cross_entropy, xent::divergence_kind::jensen_shannon}) {
    o.divergence = kind;
    co.divergence = static_cast<std::int32_t>(kind);
    one_loss("divergence", o, co, [&](auto... a) { xent::divergence(student, other, a...); },
             [&](auto... a) { return xent_divergence(&x, &y, a..., nullptr); });
  }
  o = {};
  co.divergence = XENT_KL;
  o.pos_weight = xent::per_class(weight);
  co.pos_weight = &w;
  one_loss("binary", o, co,
           [&](auto... a) { xent::binary_cross_entropy(student, xent::matrix_view(labels, rows, classes), a...); },
           [&](auto... a) { return xent_binary_cross_entropy(&x, &l, a..., nullptr); });

  // Column-major logits by strides, and rows from the last to the first.
  std::vector<float> got(scores.size()), wanted(scores.size());
  const auto probs = xent::softmax(xent::matrix_view(scores, rows, classes));
  const xent_tensor p = c(probs.data(), XENT_F32, rows, classes, 1);
  xent_tensor columns = c(wanted.data(), XENT_F32, rows, classes, 1);
  columns.outer_stride = 1, columns.class_stride = rows;
  check(xent_softmax_grad(&p, &y, &columns, nullptr) == XENT_OK, "the C call, softmax_grad");
  const xent::matrix_view pv(probs, rows, classes);
  xent::softmax_grad(pv, other, xent::strided(got, {rows, classes, 1}, {1, rows, 1}));
  same_bits(got, wanted, "softmax_grad, column-major");
  xent_tensor reversed = columns;
  reversed.data = wanted.data() + (rows - 1) * classes, reversed.outer_stride = -classes, reversed.class_stride = 1;
  check(xent_log_softmax_grad(&p, &y, &reversed, nullptr) == XENT_OK, "the C call, log_softmax_grad");
  xent::log_softmax_grad(pv, other, xent::strided(got, {rows, classes, 1}, {-classes, 1, 1}, (rows - 1) * classes));
  same_bits(got, wanted, "log_softmax_grad, reversed");
}

}  // namespace

int main() {
  every_output();
  focal_and_soft_targets();
  the_other_functions();
  return finished();
}
