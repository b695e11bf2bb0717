# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on NumPy arrays: fast, and right to the last digit.

The functions have the names and parameters of `torch.nn.functional`; logarithms are natural, so losses are in nats.

>>> logits = np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], np.float32)
>>> loss, grad = xent.cross_entropy_with_grad(logits, [2, 2, 0])
>>> print(loss.round(4))
0.0556
"""

from ._binary import binary_cross_entropy_with_logits, binary_cross_entropy_with_logits_with_grad
from ._cross_entropy import cross_entropy, cross_entropy_with_grad
from ._divergence import divergence, js_div, kl_div
from ._library import cpu_level, get_num_threads, set_num_threads, version
from ._memory import get_reuse_limit, set_reuse_limit
from ._nll import nll_loss, nll_loss_grad
from ._softmax import log_softmax, log_softmax_grad, logsumexp, logsumexp_grad, softmax, softmax_grad
from ._statistics import selective_log_softmax, statistics, top_k_log_probs

__version__ = "1.0.0"

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "cpu_level",
    "cross_entropy",
    "cross_entropy_with_grad",
    "divergence",
    "get_num_threads",
    "get_reuse_limit",
    "js_div",
    "kl_div",
    "log_softmax",
    "log_softmax_grad",
    "logsumexp",
    "logsumexp_grad",
    "nll_loss",
    "nll_loss_grad",
    "selective_log_softmax",
    "set_num_threads",
    "set_reuse_limit",
    "softmax",
    "softmax_grad",
    "statistics",
    "top_k_log_probs",
    "version",
]
