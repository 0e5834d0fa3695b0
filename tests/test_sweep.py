"""Pools of every width, and drawn at random of every kind, rank and layout, by the kernels themselves.

Cells are small integers, whose sums are exact in any order. The room of a kernel and its result are full of NaN
beforehand, and the work is cut anywhere. `ADAPOOL_SWEEP=20000 make test PYTEST_ARGS="-k random_pools"` draws as many
for each seed.
"""

import itertools
import os

import numpy as np
import pytest
import torch
from quick import some

from adapool import kernels
from adapool.windows import adaptive_windows

pytestmark = pytest.mark.skipif(not kernels.can_compile(), reason="tested is what a compiler makes of the kernels")
COUNT = int(os.environ.get("ADAPOOL_SWEEP", 150))
KINDS = ["sum", "mean", "spread", "max", "min", "places"]
CHANNELS = [1, 1, 1, 2, 3, 7, 8, 9, 16, 24, 25, 31, 40, 64, 65, 70, 128, 130, 200]


def draw(rng):
    "Shape (A, P, ..., C) and output size of a pool of not too many cells."
    def cells(): return int(rng.integers(1, rng.choice([6, 20, 80, 300], p=[0.35, 0.25, 0.25, 0.15])))
    while True:
        batch, d = (int(rng.integers(1, 4)), int(rng.integers(1, rng.choice([3, 20])))), int(rng.integers(1, 4))
        n, m = [cells() for _ in range(d)], [cells() if rng.random() < 0.7 else 1 for _ in range(d)]
        shape = (*batch, *n, int(rng.choice(CHANNELS)))
        if max(np.prod(shape), np.prod(batch) * np.prod(m) * shape[-1]) < 300_000: return shape, tuple(m)


def laid_out(x, rng):
    "The same numbers with gaps of NaN between them, with two axes the other way round, or as they are."
    choice = rng.random()
    if choice < 0.3:
        room = np.full((x.shape[0], *(n + 1 for n in x.shape[1:-1]), x.shape[-1]), np.nan, x.dtype)
        view = room[tuple(slice(n) for n in x.shape)]
        view[...] = x
        return view
    if choice < 0.45 and x.ndim > 4: return np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3)
    return x


def pooled(kind, x, size, cuts):
    "The kernel's result, range by range, and the places of maxima."
    code, strides = f"f{x.itemsize}", [s // x.itemsize for s in x.strides]
    batch, axes = tuple(zip(x.shape, strides))[:2], tuple(zip(x.shape[2:], size, strides[2:]))
    job = kernels.new_job(kind, (code,) * 3, batch, axes, x.shape[-1])
    y = np.full((*x.shape[:2], *size, x.shape[-1]), np.nan, x.dtype)
    index = np.full(y.shape, -7)
    kernels._space(job.bytes)[2].fill(255)
    cuts = sorted({0, job.total, *(int(cut * job.total) for cut in cuts)})
    for first, last in itertools.pairwise(cuts): job.run(x.ctypes.data, y.ctypes.data, index.ctypes.data, first, last)
    return y, index


def along(join, x, size):
    "`join` of the cells of each window, axis by axis."
    for axis, m in enumerate(size, 2):
        windows = adaptive_windows(x.shape[axis], m)
        x = np.stack([join(x.take(range(a, b), axis), axis) for a, b in windows], axis)
    return x


def cells_of(sizes, size):
    "The number of cells of each window of `sizes` pooled to `size`."
    cells = np.ones(())
    for n, m in zip(sizes, size): cells = np.multiply.outer(cells, adaptive_windows(n, m).sizes)
    return cells[..., None]


def places(x, size):
    "Where torch finds the maxima."
    planes = torch.from_numpy(np.moveaxis(x, -1, 2).reshape(-1, *x.shape[2:-1]).copy())
    found = getattr(torch.nn.functional, f"adaptive_max_pool{len(size)}d")(planes, size, return_indices=True)[1]
    return np.moveaxis(found.numpy().reshape(*x.shape[:2], x.shape[-1], *size), 2, -1)


def check(kind, x, size, cuts=()):
    "Is the kernel's result that of NumPy, in double precision, on the same numbers?"
    y, index = pooled(kind, x, size, cuts)
    single = x.dtype == np.float32
    told, x = f"{kind} of {x.shape} to {size}", x.astype(float)
    if kind == "spread": x = x / cells_of(size, x.shape[2:-1])
    want = along({"max": np.max, "places": np.max, "min": np.min}.get(kind, np.sum), x, size)
    if kind == "mean": want = want / cells_of(x.shape[2:-1], size)
    if kind == "mean": np.testing.assert_allclose(y, want, rtol=1e-6 if single else 1e-15, err_msg=told)
    elif kind == "spread":
        rtol, atol = (1e-5, 1e-4) if single else (1e-13, 1e-12)
        np.testing.assert_allclose(y, want, rtol, atol, err_msg=told)
    else: np.testing.assert_array_equal(y, want, err_msg=told)
    if kind == "places": np.testing.assert_array_equal(index, places(x, size), err_msg=told)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_pools(kind, dtype):
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(COUNT):
        shape, size = draw(rng)
        check(kind, laid_out(rng.integers(-8, 9, shape).astype(dtype), rng), size, rng.random(2))


@pytest.mark.parametrize("channels", some([1, 3, 8, 13, 70], [1, 13]))
def test_every_width_of_a_window(channels):
    "Each width up to 70 and some beyond, one row and many; and the gradients of these pools."
    rng = np.random.default_rng(channels)
    for H, h in ((1, 1), (23, 1), (70, 2)):
        for W, w in itertools.product((*range(1, 71), 95, 96, 97, 127, 128, 129, 140), (1, 2, 5)):
            planes = 2 if channels > 1 else 9
            x, g = (rng.integers(-8, 9, (1, planes, *n, channels)).astype(np.float32) for n in ((H, W), (h, w)))
            for kind in ("sum", "mean", "max", "places", "spread"): check(kind, x, (h, w))
            check("spread", g, (H, W))
