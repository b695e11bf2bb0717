# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy on NumPy arrays: fast, and right to the last digit.

The functions have the names and parameters of `torch.nn.functional`; logarithms are natural, so losses are in nats.

>>> logits = np.array([[1.0, 2.0, 7.0], [4.0, 7.0, 9.0], [8.0, 3.0, 4.0]], np.float32)
>>> loss, grad = xent.cross_entropy_with_grad(logits, [2, 2, 0])
>>> print(loss.round(4))
0.0556
"""

from ._library import cpu_level, get_num_threads, set_num_threads, version
from ._losses import cross_entropy, cross_entropy_with_grad, nll_loss, nll_loss_grad
from ._softmax import log_softmax, log_softmax_grad, logsumexp, softmax

__version__ = "1.0.0"

__all__ = [
    "cpu_level",
    "cross_entropy",
    "cross_entropy_with_grad",
    "get_num_threads",
    "log_softmax",
    "log_softmax_grad",
    "logsumexp",
    "nll_loss",
    "nll_loss_grad",
    "set_num_threads",
    "softmax",
    "version",
]
