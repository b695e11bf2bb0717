# SPDX-License-Identifier: Apache-2.0
"""JAX: jit, and jit with the array of the result donated."""

import os

import numpy as np
from operations import FRESH, IN_PLACE, NONE, WARM
from subjects import Call, Peer


def peer(settings):
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    from jax import numpy as jnp

    # The call itself is timed, not how soon it says that it will be done.
    jax.config.update("jax_cpu_enable_async_dispatch", False)

    def device(array):
        if array.dtype == np.float32:
            return jax.dlpack.from_dlpack(array)  # the same memory: the arrays are aligned as JAX wants them
        return jnp.asarray(array)

    def loss(x, targets, labels):
        picked = jnp.take_along_axis(x, jnp.expand_dims(targets, 1), axis=1).squeeze(1)
        return (jax.nn.logsumexp(x, axis=1) - picked).mean(dtype=jnp.float32)

    def binary(x, targets, labels):
        return (jax.nn.softplus(x) - x * labels).mean(dtype=jnp.float32)

    def reading(names):
        return lambda got: {name: np.asarray(value) for name, value in zip(names, got)}

    def plain(function, *names):
        def make(problem):
            args = [device(a) for a in (problem.logits, problem.targets, problem.labels)]
            ready = jax.jit(function)
            return Call(lambda: jax.block_until_ready(ready(*args)), reading(names))

        return make

    def donated(function, *names):
        """The last result goes where the one before it was."""

        def make(problem):
            args = [device(a) for a in (problem.logits, problem.targets, problem.labels)]
            ready = jax.jit(lambda x, t, y, out: function(x, t, y), donate_argnums=(3,), keep_unused=True)
            given = [jnp.zeros(problem.shape, args[0].dtype)]

            def run():
                got = jax.block_until_ready(ready(*args, given.pop()))
                given.append(got[-1])
                return got

            return Call(run, reading(names))

        return make

    def in_place(function, *names):
        def make(problem):
            logits, targets, labels = (device(a) for a in (problem.logits, problem.targets, problem.labels))
            ready = jax.jit(function, donate_argnums=(0,))
            given = []

            def fill():
                given[:] = [jax.block_until_ready(jnp.array(logits, copy=True))]

            return Call(lambda: jax.block_until_ready(ready(given.pop(), targets, labels)), reading(names), fill)

        return make

    def gradient(of):
        return jax.value_and_grad(of)

    def large(function, *names):
        return [("jit", FRESH, plain(function, *names)), ("jit, result donated", WARM, donated(function, *names))]

    def with_grad(of):
        names = ("loss", "grad")
        return [
            *large(gradient(of), *names),
            ("jit, logits donated", IN_PLACE, in_place(gradient(of), *names)),
        ]

    def small(function, name):
        return [("jit", NONE, plain(lambda *args: (function(*args),), name))]

    return Peer("JAX", jax.__version__, {
        "forward": small(loss, "loss"),
        "gradient": with_grad(loss),
        "log_softmax": large(lambda x, t, y: (jax.nn.log_softmax(x, axis=1),), "log_probs"),
        "softmax": large(lambda x, t, y: (jax.nn.softmax(x, axis=1),), "probs"),
        "logsumexp": small(lambda x, t, y: jax.nn.logsumexp(x, axis=1), "lse"),
        "binary": small(binary, "loss"),
        "binary gradient": with_grad(binary),
    })  # fmt: skip
