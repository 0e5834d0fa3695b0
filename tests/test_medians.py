"Median and mode of arrays, against loops over the windows with NumPy's and SciPy's own."

import numpy as np
import pytest
from quick import slow
from scipy import stats

import adapool
from adapool import fixed_windows

NAN = np.nan


def by_loops(x, axes, windows, reduction, skipna):
    "Each window on its own."
    shape = [len(windows[axes.index(a)]) if a in axes else n for a, n in enumerate(x.shape)]
    y = np.zeros(shape)
    for out in np.ndindex(*shape):
        cells = x[tuple(slice(*windows[axes.index(a)][i]) if a in axes else i for a, i in enumerate(out))].ravel()
        if skipna: cells = cells[~np.isnan(cells)]
        if not cells.size or (cells != cells).any(): y[out] = NAN
        else: y[out] = stats.mode(cells).mode if reduction == "mode" else np.median(cells)
    return y


@pytest.mark.parametrize("seed", [*range(10), *(slow(seed) for seed in range(10, 100))])
def test_random_arrays(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 5)))
    axes = tuple(int(a) for a in rng.permutation(len(shape))[:rng.integers(1, len(shape) + 1)])
    sizes = tuple(int(m) for m in rng.integers(1, 11, len(axes)))
    x = rng.integers(-3, 4, shape).astype(rng.choice(["f4", "f8", "i2", "u1", "i8"]))
    x = np.flip(x, int(rng.integers(len(shape))))
    if rng.integers(2) and len(shape) > 1: x = np.swapaxes(np.ascontiguousarray(np.swapaxes(x, 0, -1)), 0, -1)
    skipna = bool(rng.integers(2))
    if x.dtype.kind == "f": x = np.where(rng.random(shape) < 0.2, x.dtype.type(NAN), x)
    before, windows = x.copy(), [adapool.adaptive_windows(x.shape[a], m) for a, m in zip(axes, sizes)]
    for reduction in ("median", "mode"):
        y = adapool.adaptive_pool(x, sizes, reduction, axes, skipna=skipna)
        want = by_loops(x, axes, windows, reduction, skipna and x.dtype.kind == "f")
        np.testing.assert_array_equal(y.astype(float), want)
        assert y.dtype == (x.dtype if reduction == "mode" or x.dtype.kind == "f" else np.float64)
        assert y.flags.c_contiguous
    np.testing.assert_array_equal(x, before)


def test_what_a_median_leaves_out():
    x = np.array([1, NAN, 5, 7, NAN, NAN])
    assert adapool.adaptive_pool(x, 2, "median", skipna=True).tolist() == [3, 7]
    half = adapool.adaptive_pool(x, 2, "median", skipna=True, min_valid=0.5)
    np.testing.assert_array_equal(half, [3, NAN])
    masked = np.ma.masked_array([3, 1, 3, 9, 9, 9], [0, 0, 1, 1, 1, 1])
    y = adapool.adaptive_pool(masked, 2, "mode")
    assert y.dtype == masked.dtype and y.mask.tolist() == [False, True] and y[0] == 1
    assert adapool.adaptive_pool(masked, 2, "median").tolist() == [2, None]


def test_windows_of_ones_own_and_pyramids():
    x = np.array([5, 1, 4, 4, 0, 9, 0])
    assert adapool.pool(x, fixed_windows(7, 3, stride=2), "median").tolist() == [4, 4, 0]
    assert [y.tolist() for y in adapool.pyramid_pool(x, (1, 2), "mode")] == [[0], [4, 0]]
    with pytest.raises(ValueError, match="must not be empty where a mode is asked for"):
        adapool.pool(x, adapool.Windows(7, [0, 3], [3, 3]), "mode")


@pytest.mark.parametrize("reduction", ["median", "mode"])
def test_weights_and_areas_are_refused(reduction):
    with pytest.raises(ValueError, match=f"edges must be 'whole' for a {reduction}"):
        adapool.adaptive_pool(np.ones(5), 2, reduction, edges="area")
    with pytest.raises(ValueError, match=f"weights must be None for a {reduction}"):
        adapool.adaptive_pool(np.ones(5), 2, reduction, weights=np.ones(5))
    with pytest.raises(ValueError, match=r"'sum', .*'median', 'mode'"): adapool.adaptive_pool(np.ones(5), 2, "modes")
