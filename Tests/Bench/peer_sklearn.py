# SPDX-License-Identifier: Apache-2.0
"""scikit-learn: the losses its own classifiers are trained with, and its softmax."""

import numpy as np
from operations import FRESH, NONE, WARM
from subjects import Call, Peer, Unavailable


def peer(settings):
    import sklearn
    from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss
    from sklearn.utils.extmath import softmax

    def need(problem):
        if problem.dtype != "f32":
            raise Unavailable("no bf16")
        if len(problem.shape) != 2:
            raise Unavailable("rows only")

    def multinomial(problem):
        """The loss, and what all its methods take: class numbers as floats, and 1/N as weights for a mean."""
        targets = problem.targets.astype(np.float32)
        weights = np.full(problem.rows, 1 / problem.rows, np.float32)
        loss_out = np.empty(problem.rows, np.float32)
        return HalfMultinomialLoss(n_classes=problem.classes), targets, problem.logits, weights, loss_out, problem.out

    def binomial(problem):
        flat = (problem.labels.reshape(-1), problem.logits.reshape(-1))
        weights = np.full(problem.logits.size, 1 / problem.logits.size, np.float32)
        loss_out = np.empty(problem.logits.size, np.float32)
        return HalfBinomialLoss(), *flat, weights, loss_out, problem.out.reshape(-1)

    def forward(arguments):
        def make(problem):
            need(problem)
            loss, targets, logits, weights, loss_out, _ = arguments(problem)

            def run():
                each = loss.loss(targets, logits, weights, loss_out=loss_out, n_threads=settings.threads)
                return each.sum(dtype=np.float64)

            return Call(run, lambda got: {"loss": got})

        return make

    def gradient(arguments):
        def make(problem):
            need(problem)
            loss, targets, logits, weights, loss_out, out = arguments(problem)

            def run():
                each, grad = loss.loss_gradient(
                    targets, logits, weights, loss_out=loss_out, gradient_out=out, n_threads=settings.threads
                )
                return each.sum(dtype=np.float64), grad

            return Call(run, lambda got: {"loss": got[0], "grad": got[1].reshape(problem.shape)})

        return make

    def probabilities(problem):
        need(problem)
        return Call(lambda: softmax(problem.logits, copy=True), lambda got: {"probs": got})

    return Peer("scikit-learn", sklearn.__version__, {
        "forward": [("HalfMultinomialLoss", NONE, forward(multinomial))],
        "gradient": [("HalfMultinomialLoss", WARM, gradient(multinomial))],
        "softmax": [("extmath.softmax", FRESH, probabilities)],
        "binary": [("HalfBinomialLoss", NONE, forward(binomial))],
        "binary gradient": [("HalfBinomialLoss", WARM, gradient(binomial))],
    })  # fmt: skip
