# SPDX-License-Identifier: Apache-2.0
"""What the tests share: where things are, and the dtypes."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import settings

# Derandomised: the same examples every time, so that a red run means a change. `--hypothesis-profile=explore` searches.
settings.register_profile("fixed", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile("fixed")


@pytest.fixture(params=[np.float32, np.float64], ids=["f32", "f64"])
def dtype(request):
    return np.dtype(request.param)


@pytest.fixture(params=[np.float32, np.float64, np.float16, ml_dtypes.bfloat16], ids=["f32", "f64", "f16", "bf16"])
def any_dtype(request):
    return np.dtype(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def checkout():
    root = Path(__file__).resolve().parents[3]
    if not (root / "Include" / "xent.h").is_file():
        pytest.fail("the tests of the Python package run in a checkout of Xent")
    return root
