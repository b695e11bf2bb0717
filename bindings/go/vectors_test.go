// SPDX-License-Identifier: Apache-2.0

package xent

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// number keeps the digits of a number, or a word in its place: inf, -inf, nan.
type number string

func (n *number) UnmarshalJSON(text []byte) error {
	*n = number(strings.Trim(string(text), `"`))
	return nil
}

func read[T Float](n number) T {
	value, err := strconv.ParseFloat(string(n), 8*int(unsafe.Sizeof(T(0))))
	if err != nil {
		panic(err)
	}
	return T(value)
}

func (n number) integer() int64 {
	value, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

type vector struct {
	Name, Function, Dtype string
	Rows, Classes         int
	Inputs                map[string][]number
	Options               map[string]number
	Outputs               map[string]struct {
		MaxULP int64 `json:"max_ulp"`
		Values []number
	}
	Error *struct {
		Status, Message string
		Row, Value      int64
	}
}

func floats[T Float](v vector, name string) []T {
	if v.Inputs[name] == nil {
		return nil
	}
	found := make([]T, len(v.Inputs[name]))
	for i, n := range v.Inputs[name] {
		found[i] = read[T](n)
	}
	return found
}

func integers[I Integer](numbers []number) []I {
	if numbers == nil {
		return nil
	}
	found := make([]I, len(numbers))
	for i, n := range numbers {
		found[i] = I(n.integer())
	}
	return found
}

// place is a number's in the order of all of its type; -0 and 0 are one.
func place[T Float](value T) int64 {
	bits := int64(math.Float64bits(math.Abs(float64(value))))
	if unsafe.Sizeof(value) == 4 {
		bits = int64(math.Float32bits(float32(math.Abs(float64(value)))))
	}
	if value < 0 {
		return -bits
	}
	return bits
}

func optionsOf[T Float](t *testing.T, v vector) *Options[T] {
	o := &Options[T]{Weight: floats[T](v, "weight"), PosWeight: floats[T](v, "pos_weight"),
		GradLoss: floats[T](v, "grad_loss"), RowMask: integers[uint8](v.Inputs["row_mask"]),
		ClassMask: integers[uint8](v.Inputs["class_mask"])}
	reductions := map[number]Reduction{"none": ReductionNone, "mean": ReductionMean, "sum": ReductionSum,
		"mean_rows": ReductionMeanRows}
	divergences := map[number]Divergence{"reverse_kl": ReverseKL, "soft_cross_entropy": SoftCrossEntropy,
		"jensen_shannon": JensenShannon}
	reals := map[string]*float64{"label_smoothing": &o.LabelSmoothing, "temperature": &o.Temperature,
		"softcap": &o.Softcap, "focal_gamma": &o.FocalGamma, "poly_epsilon": &o.PolyEpsilon, "z_loss": &o.ZLoss}
	for name, value := range v.Options {
		switch name {
		case "reduction":
			o.Reduction = reductions[value]
		case "divergence":
			o.Divergence = divergences[value]
		case "smoothing":
			o.SmoothingUniform = value == "uniform"
		case "accuracy":
			o.Fastest = value == "fastest"
		case "ignore_index":
			index := value.integer()
			o.IgnoreIndex = &index
		default:
			if reals[name] == nil {
				t.Fatalf("unknown option %s", name)
			}
			*reals[name] = read[float64](value)
		}
	}
	return o
}

func runVector[T Float](t *testing.T, v vector) (compared int) {
	shape, options := Matrix(v.Rows, v.Classes), optionsOf[T](t, v)
	slice := func(length int) []T { return make([]T, length) }
	elements := v.Rows * v.Classes
	losses := v.Rows
	if v.Function == "binary_cross_entropy" {
		losses = elements
	}
	var loss T
	var correct, counted int64
	out := &Outputs[T]{}
	slots := map[string]func() any{ // what to want, and what is to be compared
		"loss":            func() any { out.Loss = &loss; return &loss },
		"grad_logits":     func() any { out.GradLogits = slice(elements); return out.GradLogits },
		"probs":           func() any { out.Probs = slice(elements); return out.Probs },
		"log_probs":       func() any { out.LogProbs = slice(elements); return out.LogProbs },
		"lse":             func() any { out.LSE = slice(v.Rows); return out.LSE },
		"entropy":         func() any { out.Entropy = slice(v.Rows); return out.Entropy },
		"target_log_prob": func() any { out.TargetLogProb = slice(v.Rows); return out.TargetLogProb },
		"argmax":          func() any { out.Argmax = make([]int64, v.Rows); return out.Argmax },
		"target_rank":     func() any { out.TargetRank = make([]int64, v.Rows); return out.TargetRank },
		"correct":         func() any { out.Correct = &correct; return &correct },
		"rows_counted":    func() any { out.RowsCounted = &counted; return &counted },
	}
	if options.Reduction == ReductionNone {
		slots["loss"] = func() any { out.RowLoss = slice(losses); return out.RowLoss }
	}
	got := map[string]any{}
	for name := range v.Outputs {
		got[name] = slots[name]()
	}
	if v.Error != nil {
		slots["loss"]()
	}

	targets := Indices(integers[int64](nil))
	soft := floats[T](v, "probabilities")
	switch {
	case soft != nil:
		targets = Probabilities(soft)
	case v.Function == "cross_entropy" || v.Function == "nll":
		targets = Indices(integers[int64](v.Inputs["targets"]))
	}
	in := func(name string) []T { return floats[T](v, name) }
	var err error
	switch v.Function {
	case "softmax":
		err = SoftmaxOutputs(in("logits"), shape, options, out)
	case "cross_entropy":
		err = CrossEntropyOutputs(in("logits"), shape, targets, options, out)
	case "nll":
		err = NLLLossOutputs(in("log_probs"), shape, targets, options, out)
	case "binary_cross_entropy":
		err = BinaryCrossEntropyOutputs(in("logits"), shape, in("targets"), options, out)
	case "divergence":
		err = DivergenceOutputs(in("student"), shape, in("teacher"), options, out)
	case "softmax_grad":
		got["grad_logits"], err = SoftmaxGrad(in("probs"), in("grad_probs"), shape)
	case "log_softmax_grad":
		got["grad_logits"], err = LogSoftmaxGrad(in("log_probs"), in("grad_log_probs"), shape)
	default:
		t.Fatalf("unknown function %s", v.Function)
	}

	title := v.Function + " " + v.Dtype + " " + v.Name
	if v.Error != nil {
		statuses := map[string]Status{"XENT_ERR_TARGET": StatusTarget, "XENT_ERR_OPTION": StatusOption,
			"XENT_ERR_UNSUPPORTED": StatusUnsupported}
		want := &Error{statuses[v.Error.Status], v.Error.Row, v.Error.Value, "xent_" + v.Function + ": " + v.Error.Message}
		var detail *Error
		if !errors.As(err, &detail) || *detail != *want {
			t.Errorf("%s: %v, not %v", title, err, want)
		}
		return 1
	}
	if err != nil {
		t.Fatalf("%s: %v", title, err)
	}
	for name, want := range v.Outputs {
		var reals []T
		switch found := got[name].(type) {
		case *T:
			reals = []T{*found}
		case []T:
			reals = found
		case *int64:
			if *found != want.Values[0].integer() {
				t.Errorf("%s %s: %d, not %s", title, name, *found, want.Values[0])
			}
		case []int64:
			if !reflect.DeepEqual(found, integers[int64](want.Values)) {
				t.Errorf("%s %s: %d, not %s", title, name, found, want.Values)
			}
		}
		for i, value := range reals {
			expected := read[T](want.Values[i])
			distance := place(value) - place(expected)
			if value != value || expected != expected {
				distance = 0
				if (value != value) != (expected != expected) {
					distance = math.MaxInt64
				}
			}
			if distance > want.MaxULP || -distance > want.MaxULP {
				t.Errorf("%s %s[%d]: %g, not %s", title, name, i, value, want.Values[i])
			}
		}
		if reals != nil && len(reals) != len(want.Values) {
			t.Errorf("%s %s: %d values, not %d", title, name, len(reals), len(want.Values))
		}
		compared += len(want.Values)
	}
	return
}

// Tests/Golden/vectors.json; Tests/Golden/vectors.py describes it.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("../../Tests/Golden/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Format int
		Cases  []vector
	}
	if err := json.Unmarshal(text, &file); err != nil || file.Format != 1 {
		t.Fatal(file.Format, err)
	}
	compared := 0
	for _, v := range file.Cases {
		switch v.Dtype {
		case "f32":
			compared += runVector[float32](t, v)
		case "f64":
			compared += runVector[float64](t, v)
		}
	}
	if compared < 3000 {
		t.Errorf("only %d values were compared", compared)
	}
}
