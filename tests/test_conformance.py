"Every cell of the table of conformance; see conformance.py."

import pytest
import torch
import torch.nn.functional as T
from conformance import DTYPES, SIZES, cells, expected, nothing_left_to_torch, verdict

import adapool.functional as F


@pytest.fixture(autouse=True, scope="module")
def kernels():
    with nothing_left_to_torch(): yield
    torch._dynamo.reset()


@pytest.mark.parametrize("operation, kind, d, dtype, layout", [*cells()])
def test_as_torch(operation, kind, d, dtype, layout):
    assert verdict(operation, kind, d, dtype, layout) in expected(operation, kind, layout)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_average_of_half_precision_is_summed_in_single(dtype):
    "Better than torch, whose average in three dimensions adds up in the type of the input."
    x = torch.rand(1, 9, 40, 41, 42, generator=torch.Generator().manual_seed(0)).to(DTYPES[dtype])
    exact = T.adaptive_avg_pool3d(x.double(), SIZES[3][1])
    ours, theirs = ((lib.adaptive_avg_pool3d(x, SIZES[3][1]).double() - exact).abs().max() for lib in (F, T))
    assert ours <= max(theirs, torch.finfo(DTYPES[dtype]).eps)
