"""Long windows: reduced in boxes and in parts, whatever their size.

The kernels are also run uncompiled with lines of 32 cells, 4 rows and parts of 8 cells, so that a small pool has all
the seams of a large one, with every access checked.
"""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from test_uncompiled import in_python, outputs, planned, table_of

import adapool
import adapool.functional as F
from adapool.kernels import indices, jobs, plan, rows, vectors
from adapool.windows import Windows, adaptive_windows


@pytest.fixture
def small_lines(monkeypatch):
    for room in (rows, plan): monkeypatch.setattr(room, "LINE", 32)
    for room in (indices, plan): monkeypatch.setattr(room, "RUN", 32)
    for name, size in dict(GROUP=16, TALL=4).items(): monkeypatch.setattr(rows, name, size)
    monkeypatch.setattr(plan, "PART_CELLS", 8)


def whole(made, parted):
    "`reduce_parts` uncompiled, on what the parts left."
    outs = made.geometry.rows * made.geometry.m_w
    y = np.full(outs, 7e77)
    reduce_parts = vectors.interpreted(rows.reduce_parts, made.types[3], 8)
    reduce_parts(parted, y, None, made.geometry, table_of(made), None, None, None, 0, outs)
    return y


def by_parts(kind, x, windows, inner):
    "The kernels' result for (A, P, ..., inner), and how many parts a window had."
    steps = [s // 8 for s in x.strides]
    axes = tuple(zip(windows, steps[2:]))
    made = planned(kind, x.shape, steps, axes, inner)
    parts, name, outs = made.geometry.parts, made.kernel.__name__, outputs(kind, axes)
    if parts == 1: return in_python(kind, x, axes, inner)[1], 1, name
    left = np.full(2 * made.geometry.rows * made.geometry.m_w * parts, 7e77)
    flat = np.lib.stride_tricks.as_strided(x, (1 + sum((n - 1) * s for n, s in zip(x.shape, steps)),), (8,))
    work = np.full(made.scratch[0], 7e77), None, np.zeros(made.scratch[1], np.int64)
    kernel = vectors.interpreted(made.kernel, made.types[3], 8)
    kernel(flat, left, None, made.geometry, table_of(made), *work, 0, made.total)
    return whole(made, left).reshape(*x.shape[:2], *outs, inner), parts, name


def along(join, x, windows):
    for axis, w in enumerate(windows, 2): x = np.stack([join(x.take(range(a, b), axis), axis) for a, b in w], axis)
    return x


def adaptive(shape, size): return [adaptive_windows(n, m) for n, m in zip(shape[2:], size)]


def divisors(windows):
    sizes = np.ones(())
    for w in windows: sizes = np.multiply.outer(sizes, w.divisors)
    return sizes[..., None]


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
    for kind, join in (("sum", np.sum), ("mean", np.sum), ("max", np.max), ("min", np.min)):
        y, parts, name = by_parts(kind, x, adaptive(shape, size), inner)
        want = along(join, x, adaptive(shape, size)) / (divisors(adaptive(shape, size)) if kind == "mean" else 1)
        np.testing.assert_allclose(y, want, rtol=1e-14, atol=1e-14)
        assert name == ("interleaved" if inner == 3 else "long_rows") and parts > 1


@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("windows", [
    [Windows(200, [3], [180], [7])], [Windows(200, [3, 60], [120, 190], [7, 9])],
    [Windows(9, [2], [8]), Windows(80, [1, 1, 41], [40, 70, 79], [2, 3, 4])],
    [Windows(40, [0, 20], [19, 39]), Windows(70, [5], [70])]], ids=str)
def test_long_windows_of_any_kind_in_boxes_and_parts_uncompiled(windows, inner, small_lines):
    "They leave cells out, before, between and after them."
    x = np.random.default_rng(0).integers(-9, 10, (1, 2, *(w.input_size for w in windows), inner)).astype(float)
    for kind, join in (("sum", np.sum), ("mean", np.sum), ("max", np.max), ("min", np.min)):
        y, parts, name = by_parts(kind, x, windows, inner)
        want = along(join, x, windows) / (divisors(windows) if kind == "mean" else 1)
        np.testing.assert_allclose(y, want, rtol=1e-14, atol=1e-14)
        assert name == ("interleaved" if inner == 3 else "long_rows") and parts > 1


@pytest.mark.parametrize("shape, size", [
    ((1, 1, 600), (1,)), ((1, 1, 2, 1200), (3, 2)), ((1, 1, 1030, 3), (2, 2)), ((1, 2, 600), (1,))])
@pytest.mark.parametrize("inner", [1, 2, 9])
def test_wide_gradients_and_indices_uncompiled(shape, size, inner, small_lines):
    "What is divided before it is summed, from many cells to few; and indices, cells side by side or not."
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, (*shape, inner)).astype(float)
    axes = tuple(zip(adaptive(shape, size), [s // 8 for s in x.strides[2:]]))
    planes = torch.from_numpy(np.moveaxis(x, -1, 2).reshape(-1, *shape[2:]).copy())
    pool = getattr(T, f"adaptive_max_pool{len(size)}d")
    best, places = pool(planes, size, return_indices=True)
    best, places = (np.moveaxis(t.numpy().reshape(*shape[:2], inner, *size), 2, -1) for t in (best, places))
    _, y, index = in_python("indices", x, axes, inner=inner)
    np.testing.assert_array_equal(y, best)
    np.testing.assert_array_equal(index, places)
    forward = [adaptive_windows(m, n) for n, m in zip(shape[2:], size)]
    want = along(np.sum, x / divisors(forward), [w.transposed() for w in forward])
    np.testing.assert_allclose(by_parts("avg_backward", x, forward, inner)[0], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inner", [1, 2])
def test_gradients_of_many_windows_over_one_cell_uncompiled(inner, small_lines):
    "A row that is one window, with a divisor for each of its cells."
    rng = np.random.default_rng(0)
    forward = Windows(1, [0] * 4000, [1] * 4000, rng.integers(1, 9, 4000))
    g = rng.integers(-9, 10, (2, 3, 4000, inner)).astype(float)
    y, parts, name = by_parts("avg_backward", g, [forward], inner)
    np.testing.assert_allclose(y, np.sum(g / divisors([forward]), 2, keepdims=True), rtol=1e-12, atol=1e-12)
    assert name == "long_rows" and parts > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "PARTS", 1)
        in_one, parts, _ = by_parts("avg_backward", g, [forward], inner)
    np.testing.assert_allclose(in_one, y, rtol=1e-12, atol=1e-12)
    assert parts == 1


@pytest.mark.parametrize("crew", ["torch's threads", "our threads"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape, size", [
    ((1, 1, 700_001), 3), ((1, 1, 500_000), 1), ((1, 1, 801, 900), (2, 3)), ((1, 2, 9000, 41), (2, 1))])
def test_the_same_bits_on_any_number_of_threads(shape, size, dtype, crew, monkeypatch):
    if crew == "our threads":
        monkeypatch.setattr("adapool.kernels.jobs.openmp", lambda imported: None)
        monkeypatch.setattr(jobs, "WAKE_OURS", 1)
    calls, run = [], jobs.InParts.__call__
    monkeypatch.setattr(jobs.InParts, "__call__", lambda *args: calls.append(1) or run(*args))
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
