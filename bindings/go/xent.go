// SPDX-License-Identifier: Apache-2.0

// Package xent is softmax cross-entropy over slices of float32 and float64: probabilities, losses and gradients from
// libxent. Every float32 result is within 1 ulp of the exact value of its formula, for losses of 1e-30 too, and has the
// same bits on every machine and for any number of threads. Logarithms are natural.
//
// Functions with one result return it in a new slice; those named Outputs write any number of results of one pass to
// slices of the caller's, see [Outputs]. Nothing here computes: xent.h is the reference for every option and output.
package xent

import "unsafe"

// Float is what logits can be. Losses and statistics are of the same type.
type Float interface{ float32 | float64 }

// Integer is what targets can be.
type Integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// Shape is contiguous (Outer, Classes, Inner), in row-major order.
type Shape struct{ Outer, Classes, Inner int }

// Matrix is the shape of rows of classes.
func Matrix(rows, classes int) Shape { return Shape{rows, classes, 1} }

// Rows is how many rows there are.
func (s Shape) Rows() int { return product(s.Outer, s.Inner) }

func (s Shape) elements() int          { return product(s.Outer, s.Classes, s.Inner) }
func (s Shape) with(classes int) Shape { return Shape{s.Outer, classes, s.Inner} }
func (s Shape) perRow() Shape          { return s.with(1) }

// Reduction is how the losses of rows become one.
type Reduction int

const (
	// ReductionMean divides by the sum of the targets' weights, as in PyTorch.
	ReductionMean Reduction = iota
	// ReductionNone makes the gradient that of the sum; for losses of rows.
	ReductionNone
	ReductionSum
	// ReductionMeanRows divides by the number of rows that count, weights or not.
	ReductionMeanRows
)

// Divergence is what [DivergenceLoss] computes, of a teacher's p and a student's q.
type Divergence int

const (
	KL               Divergence = iota // Σ p·log(p/q)
	ReverseKL                          // Σ q·log(q/p)
	SoftCrossEntropy                   // Σ −p·log q
	JensenShannon
)

// Options of a call; the zero value, and nil, are the defaults. What does not go together is an error that names the two.
type Options[T Float] struct {
	Reduction Reduction
	// IgnoreIndex is the target of rows that do not count; nil is -100.
	IgnoreIndex    *int64
	LabelSmoothing float64
	// SmoothingUniform smooths labels first and then weights rows by their target's weight.
	SmoothingUniform bool
	// Temperature divides the logits; 0 is 1.
	Temperature float64
	// Softcap makes softcap·tanh(x / softcap) of logits x; 0 is none.
	Softcap                 float64
	FocalGamma, PolyEpsilon float64
	// ZLoss·lse² is added to each row's loss.
	ZLoss float64
	// EmptyMeanZero makes a mean over no rows 0 instead of NaN.
	EmptyMeanZero bool
	// SkipMaskedRows makes a row of nothing but masks not count, instead of being NaN.
	SkipMaskedRows bool
	Divergence     Divergence
	// Fastest makes probabilities and gradients of float32 within 3 ulp instead of 1, for less time.
	Fastest bool
	// NumThreads is the most threads this call may use; 0 as SetNumThreads says.
	NumThreads int

	// Weight has one for each class; PosWeight, of the binary loss, also one for each element.
	Weight, PosWeight []T
	// GradLoss is the upstream gradient: one number, or one for each row.
	GradLoss []T
	// RowMask and ClassMask: rows do not count, and classes have probability 0, where it is 0.
	RowMask, ClassMask []uint8
	// Gather are the GatherPerRow classes of each row for Outputs.Gathered.
	Gather       []int64
	GatherPerRow int
}

// Outputs are the results wanted of one pass: where they are not nil they are written.
type Outputs[T Float] struct {
	Loss *T
	// RowLoss has one for each row, for the binary loss one for each element.
	RowLoss []T
	// GradLogits, Probs and LogProbs are of the logits' shape, and may be the logits themselves.
	GradLogits, Probs, LogProbs []T
	// One for each row.
	LSE, Entropy, MaxLogit, TargetLogProb, ZLoss []T
	Argmax                                       []int64
	// TargetRank is how many classes come before the target: 0 is top-1; -1 where the row does not count.
	TargetRank []int64
	// TopIndices and TopLogProbs have the Top most probable classes of each row.
	TopIndices           []int64
	TopLogProbs          []T
	Top                  int
	Gathered             []T
	Correct, RowsCounted *int64
	LossSum, WeightSum   *float64
}

// Targets are those of [CrossEntropy] and [NLLLoss]: made by [Indices], [Probabilities] or [Sparse].
type Targets struct {
	data, targetProbs     unsafe.Pointer
	length, probabilities int
	dtype                 int32
	perRow                int
	isDense, isSparse     bool
}

// Indices are a class for each row.
func Indices[I Integer](targets []I) Targets {
	return Targets{data: pointer(targets), length: len(targets), dtype: integerType[I](), perRow: 1}
}

// Probabilities are one for each class of each row, of the logits' shape and type. They need not sum to 1.
func Probabilities[T Float](probabilities []T) Targets {
	return Targets{data: pointer(probabilities), length: len(probabilities), dtype: int32(dtypeOf[T]()), isDense: true}
}

// Sparse are perRow classes for each row, of shape (Outer, perRow, Inner), and their probabilities, of the logits' type.
func Sparse[I Integer, T Float](indices []I, probabilities []T, perRow int) Targets {
	t := Indices(indices)
	t.targetProbs, t.probabilities, t.perRow, t.isSparse = wanted(probabilities), len(probabilities), perRow, true
	return t
}

func integerType[I Integer]() int32 {
	size := map[uintptr]int32{1: 0, 2: 1, 4: 2, 8: 3}[unsafe.Sizeof(I(0))]
	if ^I(0) > 0 {
		return 9 + size // XENT_U8 and those after it
	}
	return 5 + size // XENT_I8
}
