"""Long windows: reduced in boxes and in parts, whatever their size.

The kernels are also run uncompiled with lines of 32 cells, 4 rows and parts of 8 cells, so that a small pool has all
the seams of a large one, with every access checked.
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from test_uncompiled import in_python

import adapool
import adapool.functional as F
from adapool import kernels
from adapool.windows import adaptive_windows


@pytest.fixture
def small_lines(monkeypatch):
    sizes = dict(LINE=32, GROUP=16, TALL=4, SIZES=64, _PART_CELLS=8)
    for name, size in sizes.items(): monkeypatch.setattr(kernels, name, size)


def whole(kind, parted, x, axes, batch, inner):
    "`kernels.whole` uncompiled, on what the parts left."
    _, types, numbers, *_ = kernels.description(kind, ("f8",) * 3, batch, axes, inner)
    outs = int(numbers[kernels.ROWS] * numbers[10])
    y = np.full(outs, 7e77)
    meant = kernels.meaning(types[3], 8)
    before = {k: getattr(kernels, k) for k in meant}
    vars(kernels).update(meant)
    try: kernels.whole(parted, y, None, numbers, None, None, None, 0, outs)
    finally: vars(kernels).update(before)
    return y


def by_parts(kind, x, size, inner):
    "The kernels' result for (A, P, ..., inner), and how many parts a window had."
    steps = [s // 8 for s in x.strides]
    axes, batch = tuple(zip(x.shape[2:], size, steps[2:])), tuple(zip(x.shape[:2], steps))
    name, types, numbers, total, _, _, room, table = kernels.description(kind, ("f8",) * 3, batch, axes, inner)
    parts = numbers[kernels.PARTS]
    if parts == 1: return in_python(kind, x, axes, batch, inner)[1], 1, name
    left = np.full(2 * numbers[kernels.ROWS] * numbers[10] * parts, 7e77)
    meant = kernels.meaning(types[3], 8)
    before = {k: getattr(kernels, k) for k in meant}
    vars(kernels).update(meant)
    flat = np.lib.stride_tricks.as_strided(x, (1 + sum((n - 1) * s for n, s in zip(x.shape, steps)),), (8,))
    work = np.full(room, 7e77), None, np.zeros(table, np.int64)
    try: getattr(kernels, name)(flat, left, None, numbers, *work, 0, total)
    finally: vars(kernels).update(before)
    return whole(kind, left, x, axes, batch, inner).reshape(*x.shape[:2], *size, inner), parts, name


def along(join, x, size):
    for axis, m in enumerate(size, 2):
        x = np.stack([join(x.take(range(a, b), axis), axis) for a, b in adaptive_windows(x.shape[axis], m)], axis)
    return x


SHAPES = [((1, 1, 200), (3,)), ((1, 1, 64), (1,)), ((2, 1, 1, 100), (1, 2)), ((1, 1, 9, 80), (2, 1)),
          ((1, 1, 9, 80), (2, 2)), ((1, 1, 23, 70), (2, 1)), ((1, 2, 3, 5, 90), (2, 2, 2)),
          ((1, 1, 7, 3, 40), (3, 1, 1)), ((1, 3, 2, 36), (2, 1))]


@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("gap", [0, 1])
@pytest.mark.parametrize("shape, size", SHAPES)
def test_boxes_and_parts_uncompiled(shape, size, gap, inner, small_lines):
    rng = np.random.default_rng(0)
    room = rng.integers(-9, 10, (*shape[:-1], shape[-1] + gap, inner)).astype(float)
    x = room[..., :shape[-1], :]
    sizes = 1
    for n, m in zip(shape[2:], size): sizes = np.multiply.outer(sizes, adaptive_windows(n, m).sizes)
    for kind, join in (("sum", np.sum), ("mean", np.sum), ("max", np.max), ("min", np.min)):
        y, parts, name = by_parts(kind, x, size, inner)
        want = along(join, x, size) / (sizes[..., None] if kind == "mean" else 1)
        np.testing.assert_allclose(y, want, rtol=1e-14, atol=1e-14)
        assert name == ("interleaved" if inner == 3 else "lines") and parts > 1


@pytest.mark.parametrize("shape, size", [
    ((1, 1, 600), (1,)), ((1, 1, 2, 1200), (3, 2)), ((1, 1, 1030, 3), (2, 2)), ((1, 2, 600), (1,))])
@pytest.mark.parametrize("inner", [1, 2, 9])
def test_wide_gradients_and_places_uncompiled(shape, size, inner, small_lines):
    "What is divided before it is summed, from many cells to few; and places, cells side by side or not."
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, (*shape, inner)).astype(float)
    steps = [s // 8 for s in x.strides]
    axes = tuple(zip(shape[2:], size, steps[2:]))
    planes = torch.from_numpy(np.moveaxis(x, -1, 2).reshape(-1, *shape[2:]).copy())
    pool = getattr(T, f"adaptive_max_pool{len(size)}d")
    best, places = pool(planes, size, return_indices=True)
    best, places = (np.moveaxis(t.numpy().reshape(*shape[:2], inner, *size), 2, -1) for t in (best, places))
    _, y, index = in_python("places", x, axes, inner=inner)
    np.testing.assert_array_equal(y, best)
    np.testing.assert_array_equal(index, places)
    sizes = 1
    for n, m in zip(shape[2:], size): sizes = np.multiply.outer(sizes, adaptive_windows(m, n).sizes)
    want = along(np.sum, x / sizes[..., None], size)
    np.testing.assert_allclose(by_parts("spread", x, size, inner)[0], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("crew", ["torch's threads", "our threads"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape, size", [
    ((1, 1, 700_001), 3), ((1, 1, 500_000), 1), ((1, 1, 801, 900), (2, 3)), ((1, 2, 9000, 41), (2, 1))])
def test_the_same_bits_on_any_number_of_threads(shape, size, dtype, crew, monkeypatch):
    if crew == "our threads":
        monkeypatch.setattr(kernels, "_openmp", lambda: None)
        monkeypatch.setattr(kernels, "_EACH_ASLEEP", 1)
    calls, run = [], kernels.InParts.__call__
    monkeypatch.setattr(kernels.InParts, "__call__", lambda *args: calls.append(1) or run(*args))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    d, given = len(shape) - 2, torch.get_num_threads()
    exact = getattr(T, f"adaptive_avg_pool{d}d")(x.double(), size)
    largest = getattr(T, f"adaptive_max_pool{d}d")(x.double(), size)
    found = []
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            found.append((getattr(F, f"adaptive_avg_pool{d}d")(x, size), getattr(F, f"adaptive_max_pool{d}d")(x, size)))
    finally: torch.set_num_threads(given)
    for mean, best in found:
        assert torch.equal(mean, found[0][0]) and torch.equal(best.double(), largest)
        atol = 1e-16 if dtype == torch.float64 else 2**-26  # of sums of numbers of about 1
        torch.testing.assert_close(mean.double(), exact, rtol=torch.finfo(dtype).eps, atol=atol)
    assert len(calls) == 8


@pytest.mark.parametrize("dtype, reduction", [
    ("?", "mean"), ("u1", "sum"), ("i8", "max"), ("u8", "sum"), ("f2", "min"), ("f2", "mean")])
def test_arrays_in_parts(dtype, reduction):
    rng = np.random.default_rng(0)
    low, high = {"?": (0, 2), "u8": (2**62, 2**62 + 50)}.get(dtype, (0, 100))
    for shape, size in (((300_001,), 3), ((700, 801), (2, 3))):
        x = rng.integers(low, high, shape, "u8").astype(dtype)
        y = adapool.adaptive_pool(x, size, reduction)
        sizes = size if isinstance(size, tuple) else (size,)
        boxes = itertools.product(*(adaptive_windows(n, m) for n, m in zip(shape, sizes)))
        for at, spans in zip(np.ndindex(sizes), boxes):
            cells = x[tuple(slice(a, b) for a, b in spans)]
            if reduction in ("max", "min"): want = getattr(cells, reduction)()
            elif dtype == "f2": want = cells.astype("f8").sum() / (cells.size if reduction == "mean" else 1)
            else: want = getattr(cells, reduction)(dtype=y.dtype)
            if dtype == "f2" and want > 65504: want = np.inf
            np.testing.assert_allclose(y[at], want, rtol=1e-3 if dtype == "f2" else 1e-14)


@pytest.mark.heavy
def test_the_largest_windows():
    "Input of 2.3 and 4.3 GiB; more than 2**31 cells in one window."
    x = np.ones(2_500_000_000, np.uint8)
    x[-1] = 7
    assert adapool.adaptive_pool(x, 3, "sum").tolist() == [833_333_334, 833_333_334, 833_333_334 + 6]
    assert adapool.adaptive_pool(x, 1).tolist() == [1 + 6 / x.size]
    assert adapool.adaptive_max_pool(x, 3, return_indices=True)[1].tolist() == [0, 833_333_333, x.size - 1]
    del x
    assert F.adaptive_avg_pool2d(torch.ones(1, 1, 48_000, 48_000, dtype=torch.float16), 1).item() == 1
