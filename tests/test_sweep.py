"""Pools of every width, and drawn at random of every kind, rank, layout and family of windows, by the kernels.

Cells are small integers, whose sums are exact in any order. The room of a kernel and its result are full of NaN
beforehand, and the work is cut anywhere. `ADAPOOL_SWEEP=20000 make test PYTEST_ARGS="-k random_pools"` draws as many
for each seed.
"""

import itertools
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import settings
from quick import rotated, some

from adapool.kernels import can_compile, jobs, new_job, threads
from adapool.windows import Windows, adaptive_windows, fixed_windows, split_windows

pytestmark = pytest.mark.skipif(not can_compile(), reason="tested is what a compiler makes of the kernels")
COUNT = int(os.environ.get("ADAPOOL_SWEEP", settings.default.max_examples))  # few, unless slow tests are wanted
KINDS = ["sum", "mean", "avg_backward", "max", "min", "indices"]
CHANNELS = [1, 1, 1, 2, 3, 7, 8, 9, 16, 24, 25, 31, 40, 64, 65, 70, 128, 130, 200]


def fixed(rng, n, m):
    "Windows of an ordinary pool with about m outputs."
    K = int(rng.integers(1, max(2, min(n, 2*n // m + 2))))
    padding, ceil_mode = int(rng.integers(0, K // 2 + 1)), bool(rng.random() < 0.5)
    return fixed_windows(n, K, int(rng.integers(1, max(2, n // m + 2))), padding, ceil_mode, bool(rng.random() < 0.5))


def own(rng, n, m):
    "Windows that lie anywhere, with gaps and repetitions, and divisors of no meaning."
    starts = np.sort(rng.integers(0, n, m))
    stops = np.maximum.accumulate(np.minimum(n, starts + rng.integers(1, rng.choice([3, 9, 90]), m)))
    return Windows(n, starts, stops, rng.integers(1, 9, m))


FAMILIES = {"adaptive": lambda rng, n, m: adaptive_windows(n, m), "fixed": fixed, "own": own,
            "split": lambda rng, n, m: split_windows(n, min(n, m))}


def every_cell_is_read(w): return not len(np.setdiff1d(np.arange(w.input_size), [i for a, b in w for i in range(a, b)]))


def draw(rng, family, backward):
    "Shape (A, P, ..., C) of a pool of not too many cells, and its windows; `backward`, of the gradient of one."
    def cells(): return int(rng.integers(1, rng.choice([6, 20, 80, 300], p=[0.35, 0.25, 0.25, 0.15])))
    while True:
        batch, d = (int(rng.integers(1, 4)), int(rng.integers(1, rng.choice([3, 20])))), int(rng.integers(1, 4))
        n, m = [cells() for _ in range(d)], [cells() if rng.random() < 0.7 else 1 for _ in range(d)]
        windows = [FAMILIES[family](rng, *((b, a) if backward else (a, b))) for a, b in zip(n, m)]
        if backward and not all(map(every_cell_is_read, windows)): continue
        C, (read, made) = int(rng.choice(CHANNELS)), sizes(windows, backward)
        if max(math.prod(read), math.prod(made)) * math.prod(batch) * C < 300_000: return (*batch, *read, C), windows


def sizes(windows, backward):
    "How many cells are read along each pooled axis, and how many written."
    cells, outs = [w.input_size for w in windows], [len(w) for w in windows]
    return (outs, cells) if backward else (cells, outs)


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


def job_for(kind, x, windows):
    "The job that pools `x`, of shape (A, P, ..., C)."
    code, strides = f"f{x.itemsize}", [s // x.itemsize for s in x.strides]
    return new_job(kind, (code,) * 3, tuple(zip(x.shape, strides))[:2], tuple(zip(windows, strides[2:])), x.shape[-1])


def pooled(kind, x, windows, cuts=()):
    "The kernel's result, range by range, and the indices of maxima."
    job, (_, outs) = job_for(kind, x, windows), sizes(windows, kind == "avg_backward")
    y = np.full((*x.shape[:2], *outs, x.shape[-1]), np.nan, x.dtype)
    index = np.full(y.shape, -7)
    at = x.ctypes.data, y.ctypes.data, index.ctypes.data
    if not isinstance(job, jobs.Job): job(*at, 1)
    else:
        threads.scratch(job.bytes)[2].fill(255)
        cuts = sorted({0, job.total, *(int(cut * job.total) for cut in cuts)})
        for first, last in itertools.pairwise(cuts): job.run(*at, first, last)
    return y, index


def along(join, x, windows):
    "`join` of the cells of each window, axis by axis."
    for axis, w in enumerate(windows, 2): x = np.stack([join(x.take(range(a, b), axis), axis) for a, b in w], axis)
    return x


def divisors(windows):
    "What the mean of each window is divided by."
    cells = np.ones(())
    for w in windows: cells = np.multiply.outer(cells, w.divisors)
    return cells[..., None]


def spread(g, windows):
    "The gradient of a mean: each cell of `g` over its divisor, added to the cells of its window, axis by axis."
    g = g / divisors(windows)
    for axis, w in enumerate(windows, 2):
        cells = np.arange(w.input_size)[:, None]
        reads = (w.starts <= cells) & (cells < w.stops)
        g = np.moveaxis(np.tensordot(g, reads.astype(float), ((axis,), (1,))), -1, axis)
    return g


def indices(x, windows):
    "Where the maxima are, flat: the first one in row-major order."
    index, stride = np.zeros((1,) * x.ndim, int), 1
    for axis, w in reversed([*enumerate(windows, 2)]):
        found = [a + np.expand_dims(x.take(range(a, b), axis).argmax(axis), axis) for a, b in w]
        at = np.concatenate(found, axis)
        index = np.take_along_axis(np.broadcast_to(index, x.shape), at, axis) + at * stride
        x, stride = np.take_along_axis(x, at, axis), stride * w.input_size
    return index


def torchs_indices(x, size):
    "Where torch finds the maxima."
    planes = torch.from_numpy(np.moveaxis(x, -1, 2).reshape(-1, *x.shape[2:-1]).copy())
    found = getattr(torch.nn.functional, f"adaptive_max_pool{len(size)}d")(planes, size, return_indices=True)[1]
    return np.moveaxis(found.numpy().reshape(*x.shape[:2], x.shape[-1], *size), 2, -1)


def check(kind, x, windows, cuts=(), pooled=pooled):
    "Is the kernel's result that of NumPy, in double precision, on the same numbers?"
    y, index = pooled(kind, x, windows, cuts)
    single = x.dtype == np.float32
    told, x = f"{kind} of {x.shape}, strides {x.strides}, by {windows}", x.astype(float)
    if kind == "avg_backward": want = spread(x, windows)
    else: want = along({"max": np.max, "indices": np.max, "min": np.min}.get(kind, np.sum), x, windows)
    if kind == "mean": want = want / divisors(windows)
    if kind == "mean": np.testing.assert_allclose(y, want, rtol=1e-6 if single else 1e-15, err_msg=told)
    elif kind == "avg_backward":
        rtol, atol = (1e-5, 1e-4) if single else (1e-13, 1e-12)
        np.testing.assert_allclose(y, want, rtol, atol, err_msg=told)
    else: np.testing.assert_array_equal(y, want, err_msg=told)
    if kind == "indices": np.testing.assert_array_equal(index, indices(x, windows), err_msg=told)
    return index


def check_adaptive(kind, x, size, cuts=()):
    "`check` for adaptive windows, and whether indices are torch's."
    pairs = zip(size, x.shape[2:]) if kind == "avg_backward" else zip(x.shape[2:], size)
    index = check(kind, x, list(itertools.starmap(adaptive_windows, pairs)), cuts)
    if kind == "indices": np.testing.assert_array_equal(index, torchs_indices(x.astype(float), size))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_pools(kind, dtype, family):
    rng = np.random.default_rng([KINDS.index(kind), *map(ord, family)])
    for _ in range(COUNT if family == "adaptive" else COUNT // 2):
        shape, windows = draw(rng, family, kind == "avg_backward")
        x = laid_out(rng.integers(-8, 9, shape).astype(dtype), rng)
        if family == "adaptive": check_adaptive(kind, x, sizes(windows, kind == "avg_backward")[1], rng.random(2))
        else: check(kind, x, windows, rng.random(2))


@pytest.mark.parametrize("channels", some([1, 3, 8, 13, 70], [1, 13]))
def test_every_width_of_a_window(channels):
    "Each width up to 70 and some beyond, one row and many; and the gradients of these pools."
    rng = np.random.default_rng(channels)
    for H, h in ((1, 1), (23, 1), (70, 2)):
        for W, w in itertools.product((*range(1, 71), 95, 96, 97, 127, 128, 129, 140), (1, 2, 5)):
            planes = 2 if channels > 1 else 9
            x, g = (rng.integers(-8, 9, (1, planes, *n, channels)).astype(np.float32) for n in ((H, W), (h, w)))
            for kind in ("sum", "mean", "max", "indices", "avg_backward"): check_adaptive(kind, x, (h, w))
            check_adaptive("avg_backward", g, (H, W))


# Very many windows, some at a time

def in_blocks(kind, x, windows, cuts=()):
    "The result of a job that does some windows at a time, all along one axis."
    job, (_, outs) = job_for(kind, x, windows), sizes(windows, kind == "avg_backward")
    assert isinstance(job, jobs.InBlocks) and job.along == outs.index(max(outs))
    y = np.full((*x.shape[:2], *outs, x.shape[-1]), np.nan, x.dtype)
    index = np.full(y.shape, -7)
    job(x.ctypes.data, y.ctypes.data, index.ctypes.data, 1)
    return y, index


@pytest.mark.parametrize("kind, axis, family", rotated(KINDS, [0, 1, 2], FAMILIES))
def test_blocks_of_windows(kind, axis, family, monkeypatch):
    "As without them: along each axis, with few channels and many, and where one of the axes has a single window."
    rng, backward, done = np.random.default_rng(axis), kind == "avg_backward", 0
    for channels, many, others in itertools.product((1, 3, 9), (11, 40), (1, 4)):
        outs = [others] * axis + [many] + [others] * (2 - axis)
        windows = [FAMILIES[family](rng, *((m, 7) if backward else (23, m))) for m in outs]
        if backward: windows = [w if every_cell_is_read(w) else adaptive_windows(w.input_size, 7) for w in windows]
        read, made = sizes(windows, backward)
        if max(made) < 6 or made.index(max(made)) != axis: continue
        done += 1
        x = laid_out(rng.integers(-8, 9, (2, 3, *read, channels)).astype(np.float64), rng)
        plain = pooled(kind, x, windows)
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "MOST_WINDOWS", 5)
            check(kind, x, windows, pooled=in_blocks)
            found = in_blocks(kind, x, windows)
        rtol = 1e-14 if kind in ("mean", "avg_backward") else 0
        for a, b in zip(found, plain): np.testing.assert_allclose(a, b, rtol, rtol * 100)
    assert done > 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n, m", [(22, 11), (30, 20), (12, 30)])
def test_blocks_of_windows_that_repeat(kind, n, m, monkeypatch):
    "All whole blocks have one plan, made once; but not for indices, which count from the first cell of all."
    plans, make, windows = [], jobs.make_plan, [adaptive_windows(n, m)]
    monkeypatch.setattr(jobs, "MOST_WINDOWS", 5)
    monkeypatch.setattr(jobs, "make_plan", lambda *call: plans.append(call) or make(*call))
    monkeypatch.setattr(jobs, "MOST_KEPT", 1)
    jobs._large.cache_clear()
    x = np.random.default_rng(0).integers(-8, 9, (2, 3, m if kind == "avg_backward" else n, 1)).astype(np.float64)
    check(kind, x, windows, pooled=in_blocks)
    if kind != "indices": assert len(plans) <= 2


def in_equal_blocks(kind, x, windows, cuts=()):
    "The result of a job to which equal blocks of windows are planes."
    job, (_, outs) = job_for(kind, x, windows), sizes(windows, kind == "avg_backward")
    assert isinstance(job, jobs.InEqualBlocks)
    y = np.full((*x.shape[:2], *outs, x.shape[-1]), np.nan, x.dtype)
    job(x.ctypes.data, y.ctypes.data, 0, 1)
    return y, None


@pytest.mark.parametrize("kind, axis", [*itertools.product(sorted({*KINDS} - {"indices"}), [0, 1, 2])])
def test_equal_blocks_of_windows(kind, axis, monkeypatch):
    "As without them, with few channels and many: the first and the last block are cut, or not; cells may be left over."
    monkeypatch.setattr(jobs, "MANY_WINDOWS", 60)
    monkeypatch.setattr(jobs, "BLOCK_WINDOWS", 32)
    rng, backward, found = np.random.default_rng(axis), kind == "avg_backward", set()
    lists = [fixed_windows(n, *pool) for n, pool in itertools.product((300, 333), (
        (3, 2, 1), (2, 2), (5, 1, 2), (3, 1, 1, False, False), (4, 2, 1, True)))]
    lists += [fixed_windows(512, 2, 2), adaptive_windows(300, 150), adaptive_windows(130, 260)]
    for w, channels in itertools.product(lists, (1, 3, 9)):
        if backward and not every_cell_is_read(w): continue
        windows = [adaptive_windows(4, 3)] * axis + [w] + [adaptive_windows(5, 2)] * (2 - axis)
        x = rng.integers(-8, 9, (2, 3, *sizes(windows, backward)[0], channels)).astype(np.float64)
        check(kind, x, windows, pooled=in_equal_blocks)
        found.add(len(job_for(kind, x, windows).calls))
    assert found == {1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [1, 2**20])
def test_an_empty_window_has_no_job(kind, most, monkeypatch):
    "The gradient of a mean that leaves a cell out has none, or it is right."
    monkeypatch.setattr(jobs, "MOST_WINDOWS", most)
    empty, gap = Windows(9, [0, 4, 6], [4, 4, 9]), Windows(9, [0, 5], [4, 9])
    whole = adaptive_windows(9, 2)
    lacking, harmless = (gap, Windows(9, [0, 4, 4], [4, 4, 9])) if kind == "avg_backward" else (empty, gap)
    for place, w in itertools.product((0, 1), (lacking, harmless)):
        windows = [whole, w] if place else [w, whole]
        read, _ = sizes(windows, kind == "avg_backward")
        x = np.ones((1, 1, *read, 1))
        job = job_for(kind, x, windows)
        if w is harmless: assert job is not None, (place, w)
        elif kind == "avg_backward" and job is not None: check(kind, x, windows)  # a kernel writes zeros in the gap
        else: assert job is None, (place, w)
