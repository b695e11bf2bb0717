# SPDX-License-Identifier: Apache-2.0
"""The libraries that can be measured: each is a table of functions from a batch's arrays to NumPy arrays.

    loss(logits, targets, weight, reduction)      gradient(logits, targets, weight, reduction)
    log_softmax(logits)  softmax(logits)  logsumexp(logits)  log_softmax_grad(log_probs, grads)

A library has what its own documentation offers under that name; what it lacks is left out.
"""

import sys
from pathlib import Path

import numpy as np
from measure import REDUCED, reduced_parts

NAMES = ("none", "mean", "sum")


def xent_functions():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bindings/python/src"))
    import xent

    return f"Xent {xent.version()} ({xent.cpu_level()})", {
        "loss": lambda x, t, w, reduction: xent.cross_entropy(x, t, weight=w, reduction=reduction),
        "gradient": lambda x, t, w, reduction: xent.cross_entropy_with_grad(x, t, weight=w, reduction=reduction)[1],
        "log_softmax": xent.log_softmax,
        "softmax": xent.softmax,
        "logsumexp": xent.logsumexp,
        "log_softmax_grad": xent.log_softmax_grad,
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


def results(functions, batch, log_probs):
    """What one library gives for a batch, by the names that measure.py takes."""
    x, t, w = batch.logits, batch.targets, batch.weight
    found = {}
    with np.errstate(all="ignore"):
        for name in ("log_softmax", "softmax", "logsumexp"):
            found[name] = functions[name](x)
        if "log_softmax_grad" in functions:
            found["log_softmax_grad"] = functions["log_softmax_grad"](log_probs, batch.grads)
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
    wrong = [name for name, array in arrays.items() if array.dtype != x.dtype]
    if wrong:
        raise TypeError(f"results of another dtype than the logits: {wrong}")
    return arrays
