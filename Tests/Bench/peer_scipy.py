# SPDX-License-Identifier: Apache-2.0
"""SciPy: scipy.special, which has no out= for these."""

from operations import FRESH, NONE
from subjects import Call, Peer, Unavailable


def peer(settings):
    import scipy
    from scipy import special

    def maker(function, name):
        def make(problem):
            if problem.dtype != "f32":
                raise Unavailable("no bf16")
            return Call(lambda: function(problem.logits, axis=1), lambda got: {name: got})

        return make

    table = {
        "log_softmax": (special.log_softmax, "log_probs", FRESH),
        "softmax": (special.softmax, "probs", FRESH),
        "logsumexp": (special.logsumexp, "lse", NONE),
    }
    return Peer("SciPy", scipy.__version__, {
        name: [(f"special.{name}", output, maker(function, result))]
        for name, (function, result, output) in table.items()
    })  # fmt: skip
