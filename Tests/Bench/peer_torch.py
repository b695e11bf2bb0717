# SPDX-License-Identifier: Apache-2.0
"""PyTorch: as it is used, with everything preallocated, and compiled."""

import os

import numpy as np
from operations import FRESH, IN_PLACE, NONE, WARM
from subjects import Call, Peer, Unavailable


def peer(settings):
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(os.path.abspath(settings.folder), "inductor"))
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(settings.threads)
    aten = torch.ops.aten
    MEAN = 1

    def tensor(array):
        if array.dtype in (np.float32, np.int64):
            return torch.from_numpy(array)
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)

    def array(value):
        value = value.detach()
        return value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()

    def reading(names):
        return lambda got: {name: array(value) for name, value in zip(names, got)}

    def inference(function, *names):
        """A maker: function(x, targets, labels, out) gives a tuple, called without autograd."""

        def make(problem):
            args = [tensor(a) for a in (problem.logits, problem.targets, problem.labels, problem.out)]

            def run():
                with torch.inference_mode():
                    return function(*args)

            return Call(run, reading(names))

        return make

    def compiled(function, *names, in_place=False):
        """A maker: function(x, targets, labels, out) compiled for the problem's shape."""

        def make(problem):
            if not settings.compiled:
                raise Unavailable("torch.compile: not in QUICK")
            torch._dynamo.reset()
            logits = problem.in_place if in_place else problem.logits
            args = [tensor(a) for a in (logits, problem.targets, problem.labels, problem.out)]
            ready = torch.compile(function, dynamic=False, fullgraph=True)

            def run():
                with torch.no_grad():
                    return ready(*args)

            return Call(run, reading(names), problem.restore if in_place else None)

        return make

    def backward(loss_of):
        """A maker: forward and backward by autograd, as in training."""

        def make(problem):
            leaf = tensor(problem.logits).requires_grad_()
            targets, labels = tensor(problem.targets), tensor(problem.labels)

            def clear():
                leaf.grad = None

            def run():
                loss = loss_of(leaf, targets, labels)
                loss.backward()
                return loss, leaf.grad

            return Call(run, reading(("loss", "grad")), clear)

        return make

    def chain(problem):
        """What autograd runs, kernel by kernel, each into an array that is there."""
        x, targets, out = map(tensor, (problem.logits, problem.targets, problem.out))
        log_probs, passed = torch.empty_like(x), torch.empty_like(x)
        loss, total = torch.empty((), dtype=x.dtype), torch.empty((), dtype=x.dtype)
        one = torch.ones((), dtype=x.dtype)
        forward, back = (
            (aten.nll_loss_forward.output, aten.nll_loss_backward.grad_input) if x.dim() == 2
            else (aten.nll_loss2d_forward.output, aten.nll_loss2d_backward.grad_input)
        )  # fmt: skip

        def run():
            with torch.inference_mode():
                aten._log_softmax.out(x, 1, False, out=log_probs)
                forward(log_probs, targets, None, MEAN, -100, output=loss, total_weight=total)
                back(one, log_probs, targets, None, MEAN, -100, total, grad_input=passed)
                aten._log_softmax_backward_data.out(passed, log_probs, 1, x.dtype, out=out)
                return loss, out

        return Call(run, reading(("loss", "grad")))

    def one_hot(in_place):
        """By hand: softmax into the result, less one at the targets."""

        def make(problem):
            x = tensor(problem.in_place if in_place else problem.logits)
            out = x if in_place else tensor(problem.out)
            picked = tensor(problem.targets).unsqueeze(1)
            scale = -1.0 / problem.rows
            column = torch.full(picked.shape, scale, dtype=x.dtype)

            def run():
                with torch.inference_mode():
                    torch.softmax(x, 1, out=out)
                    loss = out.gather(1, picked).float().log_().mean().neg_()
                    out.mul_(-scale)
                    out.scatter_add_(1, picked, column)
                    return loss, out

            return Call(run, reading(("loss", "grad")), problem.restore if in_place else None)

        return make

    def mkldnn(problem):
        x = tensor(problem.logits).to_mkldnn()
        return Call(lambda: x.softmax(1), lambda got: {"probs": array(got.to_dense())})

    def loss(x, targets, labels=None):
        return F.cross_entropy(x, targets)

    def binary(x, targets, labels):
        return F.binary_cross_entropy_with_logits(x, labels)

    def gradient(of):
        """(loss, gradient) as torch.compile can see through them."""
        both = torch.func.grad_and_value(of)
        return lambda x, t, y: tuple(reversed(both(x, t, y)))

    def into_out(function):
        """The last of the results into the array given; the compiler makes it the place where it is written."""

        def run(x, t, y, out):
            *first, last = function(x, t, y)
            return (*first, out.copy_(last))

        return run

    def into_logits(function):
        def run(x, t, y, out):
            *first, last = function(x, t, y)
            return (*first, x.copy_(last))

        return run

    def dropping_out(function):
        return lambda x, t, y, out: function(x, t, y)

    def rowwise(name, plain, given):
        """The forms of an operation without targets whose result has the logits' shape."""
        row = lambda x, t, y: (plain(x, 1),)
        return [
            (plain.__name__, FRESH, inference(dropping_out(row), name)),
            (f"{plain.__name__}(out=)", WARM, inference(lambda x, t, y, o: (given(x, 1, out=o),), name)),
            ("compile", FRESH, compiled(dropping_out(row), name)),
            ("compile, out given", WARM, compiled(into_out(row), name)),
        ]

    def with_grad(name, of):
        return [
            (name + " backward", FRESH, backward(of)),
            ("compile", FRESH, compiled(dropping_out(gradient(of)), "loss", "grad")),
            ("compile, out given", WARM, compiled(into_out(gradient(of)), "loss", "grad")),
            ("compile, in place", IN_PLACE, compiled(into_logits(gradient(of)), "loss", "grad", in_place=True)),
        ]

    def scalar(form, name, of):
        row = lambda x, t, y, out: (of(x, t, y),)
        return [(form, NONE, inference(row, name)), ("compile", NONE, compiled(row, name))]

    return Peer("PyTorch", torch.__version__, {
        "forward": [
            *scalar("F.cross_entropy", "loss", loss),
            ("log_softmax(out=) alone", NONE,
             inference(lambda x, t, y, out: (torch.log_softmax(x, 1, out=out),), "log_probs"), "log_softmax"),
        ],
        "gradient": [
            *with_grad("F.cross_entropy", loss),
            ("aten kernels, out=", WARM, chain),
            ("softmax less one-hot, out=", WARM, one_hot(False)),
            ("softmax less one-hot, in place", IN_PLACE, one_hot(True)),
        ],
        "log_softmax": rowwise("log_probs", F.log_softmax, torch.log_softmax),
        "softmax": [
            *rowwise("probs", F.softmax, torch.softmax),
            ("oneDNN softmax", FRESH, mkldnn),
        ],
        "logsumexp": scalar("logsumexp", "lse", lambda x, t, y: torch.logsumexp(x, 1)),
        "binary": scalar("F.binary_cross_entropy_with_logits", "loss", binary),
        "binary gradient": with_grad("F.binary_cross_entropy_with_logits", binary),
    })  # fmt: skip
