// SPDX-License-Identifier: Apache-2.0

package xent

// #include "call.h"
import "C"

// SoftmaxOutputs gives any results about rows of logits, from one pass.
func SoftmaxOutputs[T Float](logits []T, shape Shape, options *Options[T], outputs *Outputs[T]) error {
	p := problem[T]{function: C.GO_SOFTMAX, shape: shape, firstName: "logits", first: logits}
	return p.run(options, outputs)
}

// Softmax is the probability of each class.
func Softmax[T Float](logits []T, shape Shape) ([]T, error) {
	probs := make([]T, len(logits))
	return probs, SoftmaxOutputs(logits, shape, nil, &Outputs[T]{Probs: probs})
}

// LogSoftmax is the log-probability of each class.
func LogSoftmax[T Float](logits []T, shape Shape) ([]T, error) {
	logProbs := make([]T, len(logits))
	return logProbs, SoftmaxOutputs(logits, shape, nil, &Outputs[T]{LogProbs: logProbs})
}

// LogSumExp is the logarithm of the sum of the exponentials of each row.
func LogSumExp[T Float](logits []T, shape Shape) ([]T, error) {
	// Before memory is taken for a shape that may be nonsense; rows of no classes have no elements, however many.
	if len(logits) != shape.elements() || shape.Rows() > 1<<40 {
		return nil, sizeError("logits", len(logits), shape)
	}
	lse := make([]T, shape.Rows())
	return lse, SoftmaxOutputs(logits, shape, nil, &Outputs[T]{LSE: lse})
}

// LogSumExpGrad goes from d loss / d lse, one a row, to d loss / d logits.
func LogSumExpGrad[T Float](logits []T, shape Shape, gradLSE []T) ([]T, error) {
	grad := make([]T, len(logits))
	return grad, SoftmaxOutputs(logits, shape, &Options[T]{GradLoss: gradLSE}, &Outputs[T]{GradLogits: grad})
}

func backward[T Float](function C.int32_t, names [2]string, outputs, grads []T, shape Shape) ([]T, error) {
	p := problem[T]{function: function, shape: shape, firstName: names[0], first: outputs,
		secondName: names[1], second: Probabilities(grads)}
	grad := make([]T, len(outputs))
	return grad, p.run(nil, &Outputs[T]{GradLogits: grad})
}

// SoftmaxGrad goes from what Softmax gave and d loss / d probs to d loss / d logits.
func SoftmaxGrad[T Float](probs, gradProbs []T, shape Shape) ([]T, error) {
	return backward(C.GO_SOFTMAX_GRAD, [2]string{"probs", "gradProbs"}, probs, gradProbs, shape)
}

// LogSoftmaxGrad goes from what LogSoftmax gave and d loss / d log-probabilities to d loss / d logits.
func LogSoftmaxGrad[T Float](logProbs, gradLogProbs []T, shape Shape) ([]T, error) {
	return backward(C.GO_LOG_SOFTMAX_GRAD, [2]string{"logProbs", "gradLogProbs"}, logProbs, gradLogProbs, shape)
}

// CrossEntropyOutputs gives any results about rows of logits and their targets, from one pass.
func CrossEntropyOutputs[T Float](
	logits []T, shape Shape, targets Targets, options *Options[T], outputs *Outputs[T],
) error {
	p := problem[T]{function: C.GO_CROSS_ENTROPY, shape: shape, firstName: "logits", first: logits,
		secondName: "targets", second: targets}
	return p.run(options, outputs)
}

// CrossEntropy of logits, reduced: by default the mean over rows of -log p[target], in nats.
func CrossEntropy[T Float](logits []T, shape Shape, targets Targets, options *Options[T]) (loss T, err error) {
	err = CrossEntropyOutputs(logits, shape, targets, options, &Outputs[T]{Loss: &loss})
	return
}

// CrossEntropyWithGrad is CrossEntropy and its gradient for the logits, in one pass.
func CrossEntropyWithGrad[T Float](
	logits []T, shape Shape, targets Targets, options *Options[T],
) (loss T, grad []T, err error) {
	grad = make([]T, len(logits))
	err = CrossEntropyOutputs(logits, shape, targets, options, &Outputs[T]{Loss: &loss, GradLogits: grad})
	return
}

// NLLLossOutputs gives Loss, RowLoss, GradLogits and the counts of the negative log-likelihood of log-probabilities; for
// GradLogits alone they may be nil.
func NLLLossOutputs[T Float](
	logProbs []T, shape Shape, targets Targets, options *Options[T], outputs *Outputs[T],
) error {
	p := problem[T]{function: C.GO_NLL, shape: shape, firstName: "logProbs", first: logProbs,
		secondName: "targets", second: targets, onlyNeedsGrad: logProbs == nil}
	return p.run(options, outputs)
}

// NLLLoss is the negative log-likelihood of log-probabilities, reduced.
func NLLLoss[T Float](logProbs []T, shape Shape, targets Targets, options *Options[T]) (loss T, err error) {
	err = NLLLossOutputs(logProbs, shape, targets, options, &Outputs[T]{Loss: &loss})
	return
}

// BinaryCrossEntropyOutputs gives Loss, RowLoss (one for each element), GradLogits and the counts of the binary
// cross-entropy of logits with multi-label targets of the same shape.
func BinaryCrossEntropyOutputs[T Float](
	logits []T, shape Shape, targets []T, options *Options[T], outputs *Outputs[T],
) error {
	p := problem[T]{function: C.GO_BINARY, shape: shape, firstName: "logits", first: logits,
		secondName: "targets", second: Probabilities(targets)}
	return p.run(options, outputs)
}

// BinaryCrossEntropy of logits, reduced; the mean divides by the number of elements.
func BinaryCrossEntropy[T Float](logits []T, shape Shape, targets []T, options *Options[T]) (loss T, err error) {
	err = BinaryCrossEntropyOutputs(logits, shape, targets, options, &Outputs[T]{Loss: &loss})
	return
}

// DivergenceOutputs gives Loss, RowLoss and GradLogits (of the student's) of the divergence of two distributions that are
// given as logits.
func DivergenceOutputs[T Float](student []T, shape Shape, teacher []T, options *Options[T], outputs *Outputs[T]) error {
	p := problem[T]{function: C.GO_DIVERGENCE, shape: shape, firstName: "student", first: student,
		secondName: "teacher", second: Probabilities(teacher)}
	return p.run(options, outputs)
}

// DivergenceLoss of a student's distribution from a teacher's, reduced; Options.Divergence says which.
func DivergenceLoss[T Float](student []T, shape Shape, teacher []T, options *Options[T]) (loss T, err error) {
	err = DivergenceOutputs(student, shape, teacher, options, &Outputs[T]{Loss: &loss})
	return
}
