// SPDX-License-Identifier: Apache-2.0

package xent

// #include "call.h"
import "C"

import (
	"fmt"
	"math"
	"math/bits"
	"unsafe"
)

// problem is a call: its shape and inputs; options and outputs come with run.
type problem[T Float] struct {
	function      C.int32_t
	shape         Shape
	firstName     string
	first         []T
	second        Targets
	secondName    string
	onlyNeedsGrad bool // of nll: log_probs are not read
}

func dtypeOf[T Float]() C.int32_t {
	if unsafe.Sizeof(T(0)) == 4 {
		return C.XENT_F32
	}
	return C.XENT_F64
}

// pointer is nil for an empty slice: the library takes NULL for no elements.
func pointer[E any](slice []E) unsafe.Pointer {
	if len(slice) == 0 {
		return nil
	}
	return unsafe.Pointer(&slice[0])
}

// wanted is not nil for an empty slice that is not nil: an output of no elements is an output.
func wanted[E any](slice []E) unsafe.Pointer {
	if slice != nil && len(slice) == 0 {
		return unsafe.Pointer(&none)
	}
	return pointer(slice)
}

var none [8]byte

func product(sizes ...int) int {
	n := 1
	for _, size := range sizes {
		high, low := bits.Mul64(uint64(n), uint64(size))
		if size < 0 || high != 0 || low > math.MaxInt {
			return math.MaxInt // what no slice has
		}
		n = int(low)
	}
	return n
}

func sizeError(name string, length int, shape Shape) error {
	return &Error{Status: StatusSize, Row: -1, Message: fmt.Sprintf(
		"%s has %d elements, not %d * %d * %d", name, length, shape.Outer, shape.Classes, shape.Inner)}
}

// length is what a slice has, and what it needs.
type length struct {
	name  string
	has   int
	isNil bool
	shape Shape
}

// run is the one place that calls the library. Every slice has the length that its shape says, before it does.
func (p *problem[T]) run(options *Options[T], outputs *Outputs[T]) error {
	if options == nil {
		options = &Options[T]{}
	}
	isBinary := p.function == C.GO_BINARY
	elements, rows := p.shape.elements(), p.shape.perRow()
	perClass := Shape{Outer: 1, Classes: p.shape.Classes, Inner: 1}
	second := p.shape.with(p.second.perRow)
	if p.second.isDense {
		second = p.shape
	}
	gather := p.shape.with(0)
	if options.Gather != nil {
		gather.Classes = options.GatherPerRow
	}
	top, losses := p.shape.with(outputs.Top), rows
	if isBinary {
		losses = p.shape
	}
	lengths := []length{
		{p.firstName, len(p.first), p.onlyNeedsGrad, p.shape},
		{p.secondName, p.second.length, p.secondName == "", second},
		{"TargetProbs", p.second.probabilities, !p.second.isSparse, second},
		{"RowMask", len(options.RowMask), options.RowMask == nil, rows},
		{"ClassMask", len(options.ClassMask), options.ClassMask == nil, perClass},
		{"Gather", len(options.Gather), options.Gather == nil, gather},
		{"RowLoss", len(outputs.RowLoss), outputs.RowLoss == nil, losses},
		{"GradLogits", len(outputs.GradLogits), outputs.GradLogits == nil, p.shape},
		{"Probs", len(outputs.Probs), outputs.Probs == nil, p.shape},
		{"LogProbs", len(outputs.LogProbs), outputs.LogProbs == nil, p.shape},
		{"LSE", len(outputs.LSE), outputs.LSE == nil, rows},
		{"Entropy", len(outputs.Entropy), outputs.Entropy == nil, rows},
		{"MaxLogit", len(outputs.MaxLogit), outputs.MaxLogit == nil, rows},
		{"TargetLogProb", len(outputs.TargetLogProb), outputs.TargetLogProb == nil, rows},
		{"ZLoss", len(outputs.ZLoss), outputs.ZLoss == nil, rows},
		{"Argmax", len(outputs.Argmax), outputs.Argmax == nil, rows},
		{"TargetRank", len(outputs.TargetRank), outputs.TargetRank == nil, rows},
		{"TopIndices", len(outputs.TopIndices), outputs.TopIndices == nil, top},
		{"TopLogProbs", len(outputs.TopLogProbs), outputs.TopLogProbs == nil, top},
		{"Gathered", len(outputs.Gathered), outputs.Gathered == nil, gather},
	}
	// Where the binary loss takes an array of the logits' shape too, that length is right as well.
	whole := func(has int, other Shape) Shape {
		if isBinary && has == elements {
			return p.shape
		}
		return other
	}
	lengths = append(lengths,
		length{"Weight", len(options.Weight), options.Weight == nil, whole(len(options.Weight), perClass)},
		length{"PosWeight", len(options.PosWeight), options.PosWeight == nil, whole(len(options.PosWeight), perClass)},
		length{"GradLoss", len(options.GradLoss), len(options.GradLoss) == 1 || options.GradLoss == nil,
			whole(len(options.GradLoss), rows)})
	for _, l := range lengths {
		if !l.isNil && l.has != l.shape.elements() {
			return sizeError(l.name, l.has, l.shape)
		}
	}

	c := C.go_problem{
		function: p.function, dtype: dtypeOf[T](), second_dtype: C.int32_t(p.second.dtype),
		outer: C.int64_t(p.shape.Outer), classes: C.int64_t(p.shape.Classes), inner: C.int64_t(p.shape.Inner),
		second_classes: C.int64_t(second.Classes), gather_classes: C.int64_t(gather.Classes),
		top: C.int64_t(outputs.Top), weights: C.int64_t(len(options.Weight)),
		pos_weights: C.int64_t(len(options.PosWeight)), upstreams: C.int64_t(len(options.GradLoss)),
		options: options.plain(),
	}
	var detail C.xent_error
	status := C.go_call(&c, pointer(p.first), p.second.data, p.second.targetProbs, wanted(options.Weight),
		wanted(options.PosWeight), wanted(options.RowMask), wanted(options.ClassMask), wanted(options.GradLoss),
		wanted(options.Gather), unsafe.Pointer(outputs.Loss), wanted(outputs.RowLoss), wanted(outputs.GradLogits),
		wanted(outputs.Probs), wanted(outputs.LogProbs), wanted(outputs.LSE), wanted(outputs.Entropy),
		wanted(outputs.MaxLogit), wanted(outputs.TargetLogProb), wanted(outputs.ZLoss), wanted(outputs.Argmax),
		wanted(outputs.TargetRank), wanted(outputs.TopIndices), wanted(outputs.TopLogProbs), wanted(outputs.Gathered),
		(*C.int64_t)(outputs.Correct), (*C.int64_t)(outputs.RowsCounted), (*C.double)(outputs.LossSum),
		(*C.double)(outputs.WeightSum), &detail)
	if status == C.XENT_OK {
		return nil
	}
	return &Error{Status: Status(status), Row: int64(detail.row), Value: int64(detail.value),
		Message: C.GoString(&detail.message[0])}
}

func boolean(is bool) C.int32_t {
	if is {
		return 1
	}
	return 0
}

// reductions has those of C in the order of the constants of Go, where the zero value is the default.
var reductions = [...]C.int32_t{C.XENT_REDUCTION_MEAN, C.XENT_REDUCTION_NONE, C.XENT_REDUCTION_SUM,
	C.XENT_REDUCTION_MEAN_ROWS}

// plain has the options that are numbers. The zero Options are the library's defaults.
func (o *Options[T]) plain() C.xent_options {
	threads := o.NumThreads
	if threads != int(int32(threads)) {
		threads = -1 // which the library refuses, as it would the number
	}
	reduction := C.int32_t(-1)
	if int(o.Reduction) >= 0 && int(o.Reduction) < len(reductions) {
		reduction = reductions[o.Reduction]
	}
	p := C.xent_options{
		struct_size: C.sizeof_xent_options, reduction: reduction, ignore_index: C.XENT_IGNORE_INDEX,
		smoothing: boolean(o.SmoothingUniform), empty_mean: boolean(o.EmptyMeanZero),
		masked_row: boolean(o.SkipMaskedRows), divergence: C.int32_t(o.Divergence), num_threads: C.int32_t(threads),
		label_smoothing: C.double(o.LabelSmoothing), temperature: 1, softcap: C.double(o.Softcap),
		focal_gamma: C.double(o.FocalGamma), poly_epsilon: C.double(o.PolyEpsilon), z_loss: C.double(o.ZLoss),
		accuracy: boolean(o.Fastest),
	}
	if o.IgnoreIndex != nil {
		p.ignore_index = C.int64_t(*o.IgnoreIndex)
	}
	if o.Temperature != 0 {
		p.temperature = C.double(o.Temperature)
	}
	return p
}

// Version is that of the loaded library: major * 10000 + minor * 100 + patch.
func Version() int { return int(C.xent_version()) }

// CPULevel is the instruction set the kernels use: baseline, v3 or v4. Results do not depend on it.
func CPULevel() string { return C.GoString(C.xent_cpu_level()) }

// NumThreads is how many threads a call may use now.
func NumThreads() int { return int(C.xent_get_num_threads()) }

// SetNumThreads sets how many threads a call may use, for the whole process; 0 is automatic.
func SetNumThreads(number int) error {
	if number != int(int32(number)) {
		number = -1
	}
	// The text of an error is the thread's, so the goroutine stays on its thread until it has it.
	status, message := lockedSetNumThreads(C.int32_t(number))
	if status == C.XENT_OK {
		return nil
	}
	return &Error{Status: Status(status), Row: -1, Message: message}
}
