# SPDX-License-Identifier: Apache-2.0
"""The libraries that can be measured: each is a table of functions from a batch's arrays to NumPy arrays.

    loss(logits, targets, weight, reduction)      gradient(logits, targets, weight, reduction)
    log_softmax(logits)  softmax(logits)  logsumexp(logits)  log_softmax_grad(log_probs, grads)
    softmax_grad(probs, grads)  logsumexp_grad(logits, grad_lse)
    binary(logits, labels, weight, pos_weight, reduction)      binary_gradient(the same)

A library has what its own documentation offers under that name; what it lacks is left out.
"""

import sys
from pathlib import Path

import numpy as np
from measure import BINARY_REDUCED, REDUCED, output_dtype, reduced_parts
from regimes import DTYPES

NAMES = ("none", "mean", "sum", "mean_rows")


def xent_package():
    source = str(Path(__file__).resolve().parents[2] / "bindings/python/src")
    if source not in sys.path:
        sys.path.insert(0, source)
    import xent

    return xent


def xent_functions():
    xent = xent_package()
    return f"Xent {xent.version()} ({xent.cpu_level()})", {
        "loss": lambda x, t, w, reduction: xent.cross_entropy(x, t, weight=w, reduction=reduction),
        "gradient": lambda x, t, w, reduction: xent.cross_entropy_with_grad(x, t, weight=w, reduction=reduction)[1],
        "log_softmax": xent.log_softmax,
        "softmax": xent.softmax,
        "logsumexp": xent.logsumexp,
        "log_softmax_grad": xent.log_softmax_grad,
        "softmax_grad": xent.softmax_grad,
        "logsumexp_grad": xent.logsumexp_grad,
        "binary": xent.binary_cross_entropy_with_logits,
        "binary_gradient": lambda *given: xent.binary_cross_entropy_with_logits_with_grad(*given)[1],
    }


def torch_functions():
    import torch
    from torch.nn import functional

    tensor = torch.from_numpy

    def cross_entropy(x, t, w, reduction):
        return functional.cross_entropy(x, tensor(t), None if w is None else tensor(w), reduction=reduction)

    def loss(x, t, w, reduction):
        return cross_entropy(tensor(x), t, w, reduction).numpy()

    def gradient(x, t, w, reduction):
        leaf = tensor(x).requires_grad_()
        cross_entropy(leaf, t, w, reduction).backward()
        return leaf.grad.numpy()

    return f"PyTorch {torch.__version__}", {
        "loss": loss,
        "gradient": gradient,
        "log_softmax": lambda x: functional.log_softmax(tensor(x), 1).numpy(),
        "softmax": lambda x: functional.softmax(tensor(x), 1).numpy(),
        "logsumexp": lambda x: torch.logsumexp(tensor(x), 1).numpy(),
    }


def jax_functions():
    import jax

    jax.config.update("jax_enable_x64", True)
    import optax

    def loss(x, t, w, reduction):
        each = optax.softmax_cross_entropy_with_integer_labels(x, t)
        weights = 1 if w is None else jax.numpy.asarray(w)[t]
        if reduction == "none":
            return each * weights
        total = (each * weights).sum()
        return total if reduction == "sum" else total / (len(x) if w is None else weights.sum())

    def gradient(x, t, w, reduction):
        return jax.grad(loss)(jax.numpy.asarray(x), t, w, reduction)

    return f"JAX {jax.__version__} with Optax {optax.__version__}", {
        "loss": loss,
        "gradient": gradient,
        "log_softmax": jax.nn.log_softmax,
        "softmax": jax.nn.softmax,
        "logsumexp": lambda x: jax.nn.logsumexp(x, axis=1),
    }


def scipy_functions():
    import scipy
    from scipy import special

    return f"SciPy {scipy.__version__}", {
        "log_softmax": lambda x: special.log_softmax(x, axis=1),
        "softmax": lambda x: special.softmax(x, axis=1),
        "logsumexp": lambda x: special.logsumexp(x, axis=1),
    }


SUBJECTS = {"xent": xent_functions, "torch": torch_functions, "jax": jax_functions, "scipy": scipy_functions}


def inputs_of_gradients(functions, batch):
    """What the backward functions are given: the library's own log-probabilities and probabilities."""
    return {"log_softmax_grad": functions["log_softmax"](batch.logits),
            "softmax_grad": functions["softmax"](batch.logits)}  # fmt: skip


def results(functions, batch, given):
    """What one library gives for a batch, by the names that measure.py takes."""
    x, t, w = batch.logits, batch.targets, batch.weight
    found = {}
    with np.errstate(all="ignore"):
        for name in ("log_softmax", "softmax", "logsumexp"):
            found[name] = functions[name](x)
        for name, array in given.items():
            if name in functions:
                found[name] = functions[name](array, batch.grads)
        if "logsumexp_grad" in functions:
            found["logsumexp_grad"] = functions["logsumexp_grad"](x, batch.grad_lse)
        if "binary" in functions:
            found.update(binary_results(functions, batch))
        if "loss" in functions:
            found["loss"] = functions["loss"](x, t, None, "none")
            found["loss, weighted"] = functions["loss"](x, t, w, "none")
            found["gradient"] = functions["gradient"](x, t, None, "sum")
            found["gradient, weighted mean"] = functions["gradient"](x, t, w, "mean")
            for name, (reduction, weighted) in REDUCED.items():
                found[name] = np.array([
                    functions["loss"](x[a:b], t[a:b], w if weighted else None, NAMES[reduction])
                    for a, b in reduced_parts(len(x))
                ])  # fmt: skip
    arrays = {name: np.asarray(value) for name, value in found.items()}
    wrong = [name for name, array in arrays.items() if array.dtype != DTYPES[output_dtype(name, batch.dtype)]]
    if wrong:
        raise TypeError(f"results of another dtype than they should have: {wrong}")
    return arrays


def binary_results(functions, batch):
    weights = {False: (None, None), True: (batch.weight, batch.pos_weight)}
    call = lambda function, weighted, reduction: functions[function](
        batch.logits, batch.labels, weights[weighted][0], NAMES[reduction], weights[weighted][1])  # fmt: skip
    return {
        "binary": call("binary", False, 0),
        "binary, weighted": call("binary", True, 0),
        "binary gradient": call("binary_gradient", False, 0),
        "binary gradient, weighted": call("binary_gradient", True, 0),
        **{name: call("binary", weighted, reduction) for name, (reduction, weighted) in BINARY_REDUCED.items()},
    }
