"""Flat, narrow and deep shapes, whose axes a plan joins or turns: what torch gives, whatever the number of threads."""

import pytest
import torch
import torch.nn.functional as T

import adapool.functional as F
from adapool.kernels import can_compile, jobs
from adapool.tensors.memory import KNOWN

pytestmark = pytest.mark.skipif(not can_compile(), reason="tested is what a compiler makes of the kernels")
DTYPES = torch.float32, torch.float64, torch.float16, torch.bfloat16
# shape, sizes, are channels innermost, the kernels of maximum, average and its gradient
CASES = {
    "rows read whole": ((6, 40, 331, 3), (3, 1), False, ["long_rows", "long_rows", "expand_rows"]),
    "rows read whole, a few windows": ((6, 40, 51, 3), (17, 1), False, ["planes", "planes", "expand_rows"]),
    "rows read whole, channels_last": ((6, 40, 331, 37), (40, 1), True, ["channels_last"] * 3),
    "slices read whole": ((4, 19, 23, 12, 13), (4, 1, 1), False, ["long_rows", "long_rows", "expand_rows"]),
    "a cell, repeated": ((6, 80, 23, 1), (47, 3), False, ["planes", "planes", "planes"]),
    "one long row of few planes": ((1, 3, 9001), (700,), False, ["planes", "planes", "planes"]),
    "one window": ((7, 30, 23, 19), (1, 1), False, ["long_rows", "long_rows", "expand_rows"]),
    "far fewer windows than cells": ((8, 30, 487), (2,), False, ["long_rows", "long_rows", "expand_rows"]),
    "deep, channels_last": ((4, 38, 9, 24, 17), (4, 1, 3), True, ["channels_last", "channels_last", "planes"]),
    "deep, a few channels": ((6, 5, 19, 24, 97), (2, 3, 2), True, ["interleaved", "interleaved", "expand_rows"]),
    "deep, one window": ((3, 70, 9, 24, 17), (1, 1, 1), True, ["channels_last", "channels_last", "expand_rows"]),
}
DOUBLE = {"rows read whole, a few windows": "long_rows", "one long row of few planes": "long_rows"}  # of the average


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def numbers(shape, dtype, last):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)
    if not last: return x
    return x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)


def pooled(library, x, sizes):
    "The maxima without and with their places, the means, and the gradient of the means."
    best, mean = (getattr(library, f"adaptive_{kind}_pool{len(sizes)}d") for kind in ("max", "avg"))
    g = torch.linspace(-1, 1, mean(x, sizes).numel()).reshape(mean(x, sizes).shape).to(x.dtype)
    leaf = x.detach().requires_grad_()
    return [best(x, sizes), *best(x, sizes, True), mean(x, sizes), *torch.autograd.grad(mean(leaf, sizes), leaf, g)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_what_torch_gives_in_the_same_bits(name, dtype, monkeypatch):
    shape, sizes, last, wanted = CASES[name]
    took, make_plan, x = {}, jobs.make_plan, numbers(shape, dtype, last)
    def planned(kind, *args):
        plan = make_plan(kind, *args)
        took[kind] = plan.kernel.__name__
        return plan
    monkeypatch.setattr(jobs, "make_plan", planned)
    monkeypatch.setattr(jobs, "planner", lambda: None)
    KNOWN.clear()
    found = []
    for threads in (1, 2, 8):
        torch.set_num_threads(threads)
        found.append(pooled(F, x, sizes))
    if name in DOUBLE and dtype == torch.float64: wanted = [wanted[0], DOUBLE[name], wanted[2]]
    assert [took[kind] for kind in ("max", "mean", "avg_backward")] == wanted
    for other in found[1:]: assert all(map(torch.equal, found[0], other))
    exact, theirs = pooled(T, x.double(), sizes), pooled(T, x, sizes)
    for ours, right in zip(found[0], exact): torch.testing.assert_close(ours, right.to(ours.dtype))
    for ours, right in zip(found[0][:4], theirs): assert ours.stride() == right.stride() or sizes == (1, 1, 1)
