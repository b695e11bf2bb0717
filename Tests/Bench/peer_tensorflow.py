# SPDX-License-Identifier: Apache-2.0
"""TensorFlow: tf.function, and the same compiled by XLA. Its results are always new arrays."""

import os

from operations import FRESH, NONE
from subjects import Call, Peer, Unavailable


def peer(settings):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def loss(x, targets, labels):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=x))

    def binary(x, targets, labels):
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=x))

    def gradient(of):
        def both(x, targets, labels):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = of(x, targets, labels)
            return value, tape.gradient(value, x)

        return both

    def maker(function, names, compiled, last_axis):
        def make(problem):
            if last_axis and len(problem.shape) > 2:
                raise Unavailable("classes last only")
            args = [tf.constant(array) for array in (problem.logits, problem.targets, problem.labels)]
            ready = tf.function(function, jit_compile=compiled)
            return Call(lambda: ready(*args), lambda got: {name: value.numpy() for name, value in zip(names, got)})

        return make

    def forms(function, names, output, last_axis=False):
        return [
            (form, output, maker(function, names, compiled, last_axis))
            for form, compiled in (("tf.function", False), ("tf.function, XLA", True))
        ]

    one = lambda function: lambda *args: (function(*args),)
    both = ("loss", "grad")
    return Peer("TensorFlow", tf.__version__, {
        "forward": forms(one(loss), ("loss",), NONE, True),
        "gradient": forms(gradient(loss), both, FRESH, True),
        "log_softmax": forms(one(lambda x, t, y: tf.nn.log_softmax(x, axis=1)), ("log_probs",), FRESH),
        "softmax": forms(one(lambda x, t, y: tf.nn.softmax(x, axis=1)), ("probs",), FRESH),
        "logsumexp": forms(one(lambda x, t, y: tf.reduce_logsumexp(x, axis=1)), ("lse",), NONE),
        "binary": forms(one(binary), ("loss",), NONE),
        "binary gradient": forms(gradient(binary), both, FRESH),
    }, pools=True)  # fmt: skip
