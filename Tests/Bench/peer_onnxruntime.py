# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: graphs of ONNX's own operators, run as usual and with inputs and outputs bound. It has no gradients."""

import numpy as np
from operations import FRESH, NONE, WARM
from subjects import Call, Peer, Unavailable

OPSET, IR_VERSION = 17, 9
INPUTS = {"x": "logits", "t": "targets", "y": "labels"}


def peer(settings):
    import onnxruntime
    from onnx import TensorProto, helper

    def session(nodes, problem, inputs, shape):
        info = helper.make_tensor_value_info
        types = {name: TensorProto.INT64 if name == "t" else TensorProto.FLOAT for name in inputs}
        graph = helper.make_graph(
            [helper.make_node(op, source, [result], **attributes) for op, source, result, attributes in nodes],
            "measured",
            [info(name, types[name], getattr(problem, INPUTS[name]).shape) for name in inputs],
            [info("out", TensorProto.FLOAT, shape)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = settings.threads, 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )  # fmt: skip

    def maker(nodes, inputs, name, shape_of, bound):
        def make(problem):
            if problem.dtype != "f32":
                raise Unavailable("no bf16 on CPUs")
            shape = shape_of(problem)
            ready = session(nodes, problem, inputs, shape)
            feed = {key: getattr(problem, INPUTS[key]) for key in inputs}
            if not bound:
                return Call(lambda: ready.run(None, feed), lambda got: {name: got[0]})
            value = onnxruntime.OrtValue.ortvalue_from_numpy
            binding = ready.io_binding()
            given = {key: value(array) for key, array in feed.items()}
            for key, array in given.items():
                binding.bind_ortvalue_input(key, array)
            out = value(np.zeros(shape, np.float32))
            binding.bind_ortvalue_output("out", out)
            return Call(lambda: ready.run_with_iobinding(binding), lambda got: {name: out.numpy()})

        return make

    def forms(nodes, inputs, name, shape_of):
        large = name in ("log_probs", "probs")
        return [
            ("run", FRESH if large else NONE, maker(nodes, inputs, name, shape_of, False)),
            ("io-binding", WARM if large else NONE, maker(nodes, inputs, name, shape_of, True)),
        ]

    whole, rows, scalar = (lambda p: p.shape), (lambda p: p.targets.shape), (lambda p: ())
    softplus = [("Softplus", ["x"], "a", {}), ("Mul", ["x", "y"], "b", {}), ("Sub", ["a", "b"], "c", {}),
                ("ReduceMean", ["c"], "out", {"keepdims": 0})]  # fmt: skip
    return Peer("ONNX Runtime", onnxruntime.__version__, {
        "forward": forms([("SoftmaxCrossEntropyLoss", ["x", "t"], "out", {})], "xt", "loss", scalar),
        "log_softmax": forms([("LogSoftmax", ["x"], "out", {"axis": 1})], "x", "log_probs", whole),
        "softmax": forms([("Softmax", ["x"], "out", {"axis": 1})], "x", "probs", whole),
        "logsumexp": forms([("ReduceLogSumExp", ["x"], "out", {"axes": [1], "keepdims": 0})], "x", "lse", rows),
        "binary": forms(softplus, "xy", "loss", scalar),
    }, pools=True)  # fmt: skip
