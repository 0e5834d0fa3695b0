"The kernels as the Python that they are: cell by cell, every access checked, nothing compiled."

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T

from adapool.kernels import gradients, plan, runs, vectors
from adapool.kernels.geometry import Geometry
from adapool.windows import Windows, adaptive_windows, fixed_windows


def table_of(made):
    "All tables of a plan, one after the other, as a kernel reads them."
    return np.concatenate([np.array(part) for part in made.tables])


def planned(kind, shape, steps, axes, inner=1):
    "The plan for float64 cells: two axes that are not pooled, with their steps, the pooled ones, and `inner` channels."
    return plan.make_plan(kind, ("f8",) * 3, tuple(zip(shape[:2], steps)), axes, inner)


def in_python(kind, x, axes, inner=1):
    "Run a kernel uncompiled, on flat arrays whose every access is checked; the kernel's name and its result."
    made = planned(kind, x.shape, [s // 8 for s in x.strides], axes, inner)
    shape = *x.shape[:2], *outputs(kind, axes), inner
    y, index = np.full(shape, 7e77), np.full(shape, -7)
    cells, entries = made.scratch
    work = np.full(cells, 7e77), np.zeros(cells, np.int64), np.zeros(entries, np.int64)
    kernel, cut = vectors.interpreted(made.kernel, made.types[3], 8), made.total // 2
    for part in ((0, cut), (cut, made.total)):
        kernel(x.ravel(), y.reshape(-1), index.reshape(-1), made.geometry, table_of(made), *work, *part)
    return made.kernel.__name__, y, index


def outputs(kind, axes):
    "How many cells are written along each pooled axis."
    return [w.input_size if kind == "avg_backward" else len(w) for w, _ in axes]


SHAPES = [
    ((2, 9, 6, 7), (4, 3)), ((1, 3, 5, 4), (7, 9)), ((1, 9, 2, 70), (1, 2)), ((1, 2, 70, 9), (2, 4)),
    ((1, 2, 1, 700), (1, 2)), ((1, 1, 20, 30), (1, 1)), ((1, 9, 3, 40), (2, 36)), ((1, 8, 9, 9), (3, 3)),
    ((1, 2, 5, 34), (2, 17)), ((2, 1, 2, 256), (2, 16)),
    ((2, 3, 4, 300), (3, 2)), ((1, 9, 17, 200), (1, 2)), ((1, 3, 7, 11), (2, 3)),
    ((1, 2, 5, 64), (2, 32)), ((2, 1, 9, 66), (5, 33)), ((1, 1, 12, 64), (2, 16)), ((2, 3, 4, 1), (3, 40)),
    ((1, 2, 2, 3), (4, 48)), ((1, 3, 1, 1), (5, 7))]
LARGER = [  # sums of sums, four wide rows at once, pairs of many rows, up to 64 channels in registers and more
    (((1, 2, 1, 1200), (1, 1)), 1), (((1, 2, 1, 1200), (1, 1)), 3), (((1, 1, 6, 2100), (1, 40)), 1),
    (((1, 1, 70, 32), (1, 16)), 1), (((1, 1, 12, 13), (1, 2)), 40), (((1, 1, 12, 13), (1, 2)), 72),
    (((1, 2, 4, 5), (2, 3)), 72)]


CASES = [*itertools.product(SHAPES, [1, 3, 11]), *LARGER]


def axes_of(layer, inner, kind):
    "An adaptive list for each pooled axis, and the step along it in the array that is read (a gradient is of `size`)."
    (*_, rows, columns), size = layer
    width = size[1] if kind == "avg_backward" else columns
    return (adaptive_windows(rows, size[0]), width * inner), (adaptive_windows(columns, size[1]), inner)


@pytest.mark.parametrize("layer, inner", CASES)
def test_uncompiled_with_every_access_checked(layer, inner):
    shape, size = layer
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (*shape, inner)).astype(np.float64)
    axes = axes_of(layer, inner, "mean")
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    restore = lambda t: t.unflatten(1, (shape[1], inner)).movedim(2, -1).numpy()
    _, y, _ = in_python("mean", x, axes, inner=inner)
    np.testing.assert_allclose(y, restore(T.adaptive_avg_pool2d(planes, size)), rtol=1e-12, atol=1e-12)
    for kind, sign in (("max", 1), ("min", -1)):
        want = sign * restore(T.adaptive_max_pool2d(sign * planes, size))
        np.testing.assert_array_equal(in_python(kind, x, axes, inner=inner)[1], want)
    x[rng.random(x.shape) < 0.02] = np.nan
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    _, y, index = in_python("indices", x, axes, inner=inner)
    best, places = T.adaptive_max_pool2d(planes, size, return_indices=True)
    np.testing.assert_array_equal(y, restore(best))
    np.testing.assert_array_equal(index, restore(places))
    source = torch.zeros(shape[0], shape[1] * inner, *shape[2:], dtype=torch.float64, requires_grad=True)
    g = rng.normal(size=(*shape[:2], *size, inner))
    T.adaptive_avg_pool2d(source, size).backward(torch.from_numpy(g).movedim(-1, 2).flatten(1, 2))
    _, y, _ = in_python("avg_backward", g, axes_of(layer, inner, "avg_backward"), inner=inner)
    np.testing.assert_allclose(y, restore(source.grad), rtol=1e-12, atol=1e-12)


def test_uncompiled_in_three_dimensions():
    x = np.random.default_rng(0).integers(-3, 4, (1, 2, 6, 5, 7, 9)).astype(np.float64)
    axes = tuple((adaptive_windows(n, m), k) for n, m, k in zip((6, 5, 7), (2, 2, 2), (5 * 7 * 9, 7 * 9, 9)))
    planes = torch.from_numpy(x).movedim(-1, 2).flatten(1, 2)
    for kind, pool in (("mean", T.adaptive_avg_pool3d), ("max", T.adaptive_max_pool3d)):
        name, y, _ = in_python(kind, x, axes, inner=9)
        want = pool(planes, 2).unflatten(1, (2, 9)).movedim(2, -1).numpy()
        np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12, strict=True)
        assert name == "channels_last"


FIXED = Windows(30, [0, 3, 6, 24], [5, 9, 9, 30], [5, 6, 3, 7])


@pytest.mark.parametrize("inner", [1, 3, 11])
@pytest.mark.parametrize("rows, columns", [
    (FIXED, FIXED), (FIXED, adaptive_windows(70, 3)), (FIXED, fixed_windows(110, 5, 2)),
    (fixed_windows(7, 3, 2), fixed_windows(61, 3, 1)), (fixed_windows(7, 2), fixed_windows(213, 7, 4)),
    (fixed_windows(6, 2, 3), fixed_windows(120, 3, 4)),
    (Windows(9, [1, 1], [7, 7]), Windows(200, [3, 40], [130, 190], [2, 9])),
    (adaptive_windows(8, 4), Windows(2, [0, 0, 1], [1, 2, 2], [1, 3, 1])), (Windows(3, [2], [3], [4]), FIXED)])
def test_windows_of_any_kind_uncompiled(rows, columns, inner):
    "With gaps, with divisors of their own, the same window twice; and no cell is read that no window holds."
    rng, windows = np.random.default_rng(0), (rows, columns)
    x = rng.integers(-3, 4, (2, 3, rows.input_size, columns.input_size, inner)).astype(float)
    axes = tuple((w, k * inner) for w, k in zip(windows, (columns.input_size, 1)))
    boxes = [[x[:, :, a:b, c:d] for c, d in columns] for a, b in rows]
    divisors = np.multiply.outer(rows.divisors, columns.divisors)[..., None]
    def reduced(join): return np.moveaxis([[join(box, (2, 3)) for box in row] for row in boxes], (0, 1), (2, 3))
    for kind, want in (("sum", reduced(np.sum)), ("mean", reduced(np.sum) / divisors), ("max", reduced(np.max)),
                       ("min", reduced(np.min)), ("indices", reduced(np.max))):
        _, y, index = in_python(kind, x, axes, inner=inner)
        np.testing.assert_allclose(y, want, 1e-14)
    flat = x.reshape(2, 3, -1, inner)
    np.testing.assert_array_equal(np.take_along_axis(flat, index.reshape(2, 3, -1, inner), 2).reshape(y.shape), y)
    for j, (a, b) in enumerate(rows):
        at = index[:, :, j] // columns.input_size
        assert (a <= at).all() and (at < b).all()


def test_the_cases_above_reach_every_kernel():
    reached = set()
    for (layer, inner), kind in itertools.product(CASES, ("mean", "indices", "avg_backward")):
        a, p, *sides = layer[0]
        if kind == "avg_backward": sides = layer[1]
        plane = inner * sides[0] * sides[1]
        reached.add(planned(kind, (a, p), (p * plane, plane), axes_of(layer, inner, kind), inner).kernel.__name__)
    assert reached == {"planes", "long_rows", "interleaved", "channels_last", "channels_last_indices",
                       "long_rows_indices", "expand_rows", "strided"}


def test_uncompiled_gradient_of_the_maximum():
    index = np.array([0, 0, 8, 3, 3, 3]).astype(np.int64)
    y = np.full(18, 7e77)
    geometry = Geometry(*[0] * len(Geometry._fields))._replace(n_w=9, m_w=3, channels=1)
    scatter = vectors.interpreted(gradients.scatter, "sum", 8)
    scatter(np.arange(6.0), y, index, geometry, None, np.zeros(8), None, None, 0, 2)
    assert y.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 12, 0, 0, 0, 0, 0]
    put = vectors.interpreted(gradients.put_cells, "sum", 8)
    put(np.arange(6.0), y, index, geometry, None, np.zeros(8), None, None, 0, 2)
    assert y.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0]
    kept, last_cells = np.zeros(6), vectors.interpreted(gradients.last_cells, "sum", 8)
    last_cells(np.arange(1.0, 7), kept, index, geometry, None, np.ones(9), None, None, 0, 2)
    assert kept.tolist() == [0, 2, 3, 0, 0, 6]


@pytest.mark.parametrize("lanes, innermost", [(3, False), (11, False), (11, True), (8, True)])
def test_uncompiled_runs_of_maxima(lanes, innermost):
    "The best of boxes of a grid and its index: the least of equal ones, of several NaN the largest."
    rng, grid, boxes = np.random.default_rng(0), (2, 3, 4), [(0, 2, 0, 3, 0, 4), (0, 1, 1, 3, 0, 2), (1, 2, 2, 3, 3, 4)]
    x = rng.choice([0.0, 1.0, np.nan], (2, lanes, 24), p=(0.5, 0.4, 0.1))
    place = np.stack([rng.permutation(24) for _ in range(2*lanes)]).reshape(x.shape)
    held = np.swapaxes(x, 1, 2) if innermost else x
    index = np.full(x.size + 6*lanes, -7)
    index[:x.size] = (np.swapaxes(place, 1, 2) if innermost else place).ravel()
    steps = dict(zip(("stride_p", "stride_w", "y_p", "y_h"), (1, lanes, 1, lanes) if innermost else (24, 1, 3, 1)))
    geometry = Geometry(*[0] * len(Geometry._fields))._replace(
        planes=lanes, stride_a=24*lanes, y_a=3*lanes, n_d=2, n_h=3, n_w=4, m_w=3, limit=x.size, **steps)
    y, groups = np.full(6*lanes, 7e77), 2 * -(-lanes // 8)
    work = np.full(8*24 + 16, 7e77), np.zeros(8*24 + 16, np.int64), np.zeros(8, np.int64)
    for part in ((0, 1), (1, groups)):
        vectors.interpreted(runs.runs, "indices", 8)(
            np.ascontiguousarray(held).ravel(), y, index, geometry, np.array(boxes).ravel(), *work, *part)
    shape = (2, 3, lanes) if innermost else (2, lanes, 3)
    found = [np.swapaxes(a.reshape(shape), 1, 2) if innermost else a.reshape(shape) for a in (y, index[x.size:])]
    for (a, p), j in itertools.product(np.ndindex(2, lanes), range(3)):
        d0, d1, h0, h1, w0, w1 = boxes[j]
        seen, at = (t[a, p].reshape(grid)[d0:d1, h0:h1, w0:w1].ravel() for t in (x, place))
        best = at[np.isnan(seen)].max() if np.isnan(seen).any() else at[seen == seen.max()].min()
        np.testing.assert_equal((found[0][a, p, j], found[1][a, p, j]), (seen[at == best][0], best))


@pytest.mark.parametrize("access", [
    lambda x: vectors.load(x, 20), lambda x: vectors.load(x, -1), lambda x: vectors.store(x, 20, 1.0),
    lambda x: vectors.vload(x, 13), lambda x: vectors.vload(x, -1), lambda x: vectors.vstore(x, 13, np.ones(8))])
def test_an_access_beyond_the_array_is_caught(access):
    x = np.zeros(20)
    with pytest.raises(IndexError, match="of 20"): access(x)
    assert not x.any()
