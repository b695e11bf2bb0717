// SPDX-License-Identifier: Apache-2.0

package xent

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"sync"
	"testing"
)

var logits = []float32{1, 2, 7, 4, 7, 9}
var shape = Matrix(2, 3)

func ExampleCrossEntropyOutputs() {
	logits := []float32{1, 2, 7, 4, 7, 9, 8, 3, 4}
	var loss float32
	var correct int64
	grad := make([]float32, 9)
	outputs := &Outputs[float32]{Loss: &loss, GradLogits: grad, Correct: &correct}
	if err := CrossEntropyOutputs(logits, Matrix(3, 3), Indices([]uint8{2, 2, 0}), nil, outputs); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("loss %.9f nats, %d of 3 right\n", loss, correct)
	fmt.Printf("grad %.6f of the first row\n", grad[:3])
	_, err := CrossEntropy(logits, Matrix(3, 3), Indices([]int64{2, 7, 0}), nil)
	fmt.Println(err)
	// Output:
	// loss 0.055588204 nats, 3 of 3 right
	// grad [0.000819 0.002225 -0.003044] of the first row
	// xent_cross_entropy: targets[1] is 7, not in [0, 3) and not ignore_index (-100)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestLengths(t *testing.T) {
	_, err := Softmax(logits, Matrix(2, 2))
	_, err2 := CrossEntropy(logits, shape, Indices([]int64{0, 1}), &Options[float32]{Weight: []float32{1, 2}})
	err3 := SoftmaxOutputs(logits, shape, nil, &Outputs[float32]{Probs: make([]float32, 5)})
	_, err4 := CrossEntropy(logits, shape, Probabilities([]float64{0, 0, 1, 0, 1, 0}), nil)
	_, err5 := CrossEntropy(logits, shape, Indices([]int64{0, 1}), &Options[float32]{Reduction: 7})
	for _, pair := range [][2]string{
		{message(err), "logits has 6 elements, not 2 * 2 * 1"},
		{message(err2), "Weight has 2 elements, not 1 * 3 * 1"},
		{message(err3), "Probs has 5 elements, not 2 * 3 * 1"},
		{message(err4), "xent_cross_entropy: targets of XENT_F64 and logits of XENT_F32 do not go together"},
		{message(err5), "xent_cross_entropy: reduction is -1, not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%q, not %q", pair[0], pair[1])
		}
	}
	for _, bad := range []Shape{{math.MaxInt, 7, 1}, {1 << 32, 1 << 32, 1}, {-2, -3, 1}, {math.MaxInt, 0, 2}} {
		if _, err := LogSumExp([]float32{}, bad); err == nil {
			t.Errorf("%v is no shape", bad)
		}
	}
}

func TestTargetsOfEveryType(t *testing.T) {
	want, _ := CrossEntropy(logits, shape, Indices([]int64{2, 1}), nil)
	for _, targets := range []Targets{
		Indices([]int8{2, 1}), Indices([]int16{2, 1}), Indices([]int32{2, 1}), Indices([]uint8{2, 1}),
		Indices([]uint16{2, 1}), Indices([]uint32{2, 1}), Indices([]uint64{2, 1}),
		Probabilities([]float32{0, 0, 1, 0, 1, 0}), Sparse([]int32{2, 1}, []float32{1, 1}, 1),
	} {
		if got, err := CrossEntropy(logits, shape, targets, nil); err != nil || got != want {
			t.Error(got, err, targets.dtype)
		}
	}
	_, err := CrossEntropy(logits, shape, Indices([]uint8{2, 156}), nil)
	var detail *Error
	if !errors.As(err, &detail) || detail.Status != StatusTarget || detail.Row != 1 || detail.Value != 156 {
		t.Error(err)
	}
}

func TestInPlaceAndLayout(t *testing.T) {
	want, _ := Softmax(logits, shape)
	memory := append([]float32{}, logits...)
	if err := SoftmaxOutputs(memory, shape, nil, &Outputs[float32]{Probs: memory}); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(memory, want) {
		t.Error(memory, want)
	}
	rows, _ := LogSumExp(logits, shape)
	middle, err := LogSumExp([]float32{1, 4, 2, 7, 7, 9}, Shape{1, 3, 2})
	if err != nil || !reflect.DeepEqual(rows, middle) {
		t.Error(rows, middle, err)
	}
	grad, err := LogSumExpGrad(logits, shape, []float32{1, 1})
	if err != nil || !reflect.DeepEqual(grad, want) {
		t.Error(grad, err)
	}
	byNothing := []float32{0, 0, 0, 0, 0, 0}
	if err := NLLLossOutputs(nil, shape, Indices([]int64{2, 1}), nil, &Outputs[float32]{GradLogits: byNothing}); err != nil ||
		byNothing[2] != -0.5 {
		t.Error(byNothing, err)
	}
	if _, err := NLLLoss[float32](nil, shape, Indices([]int64{2, 1}), nil); message(err) != "xent_nll: log_probs.data is NULL" {
		t.Error(err)
	}
}

func TestTopAndGather(t *testing.T) {
	all, _ := LogSoftmax(logits, shape)
	out := &Outputs[float32]{TopIndices: make([]int64, 4), TopLogProbs: make([]float32, 4), Top: 2,
		Gathered: make([]float32, 2)}
	if err := SoftmaxOutputs(logits, shape, &Options[float32]{Gather: []int64{2, 0}, GatherPerRow: 1}, out); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(out.TopIndices, []int64{2, 1, 2, 1}) || out.Gathered[1] != all[3] || out.TopLogProbs[3] != all[4] {
		t.Error(out)
	}
}

// The garbage collector may run during calls, from many goroutines.
func TestGoroutines(t *testing.T) {
	var group sync.WaitGroup
	for g := 0; g < 8; g++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 0; n < 200; n++ {
				loss, grad, err := CrossEntropyWithGrad(logits, shape, Indices([]int64{2, 1}), &Options[float32]{
					Weight: []float32{1, 1, 1}})
				if err != nil || len(grad) != 6 || loss < 1 {
					t.Error(loss, grad, err)
				}
				if n%50 == 0 {
					runtime.GC()
				}
			}
		}()
	}
	group.Wait()
}

func TestThreadsAndVersion(t *testing.T) {
	if Version()/10000 != 1 || CPULevel() == "" || StatusSize.String() == "" {
		t.Error(Version(), CPULevel(), StatusSize)
	}
	if err := SetNumThreads(2); err != nil || NumThreads() != 2 {
		t.Error(err, NumThreads())
	}
	if err := SetNumThreads(-1); message(err) == "" || NumThreads() != 2 {
		t.Error(err)
	}
	if err := SetNumThreads(0); err != nil {
		t.Error(err)
	}
}
