"Gaps, weights and area of arrays, against matrices that are made here from exact fractions, and against the loops."

import ctypes
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import adapool
from adapool import pooling
from adapool.kernels import counts as plans
from adapool.kernels import vectors
from adapool.pooling import counted_loops

NAN = np.nan


def covering(n, m, area):
    "How much of each cell each window reads, (m, n): all of it or, by area, the part that lies in the window."
    edges = [Fraction(i*n, m) for i in range(m + 1)]
    parts = [[max(Fraction(0), min(b, c + 1) - max(a, c)) for c in range(n)] for a, b in pairwise(edges)]
    return np.array([[float(p) if area else float(p > 0) for p in row] for row in parts])


def by_matrices(x, matrices, axes):
    "The matrix of each axis applied to it."
    for a, matrix in zip(axes, matrices): x = np.moveaxis(np.tensordot(matrix, x, (1, a)), 0, a)
    return x


def dense(x, valid, axes, sizes, reduction, area, weights, min_valid):
    "Σ e w v x / Σ e w v by matrices, in double; NaN where it is not known."
    matrices = [covering(x.shape[a], m, area) for a, m in zip(axes, sizes)]
    w = np.broadcast_to(weights, x.shape) * 1.0
    counts, total = by_matrices(w * valid, matrices, axes), by_matrices(w, matrices, axes)
    with np.errstate(all="ignore"):
        y = by_matrices(np.where(valid, x.astype(float), 0) * w, matrices, axes)
        if reduction == "mean": y = np.where(counts > 0, y / counts, NAN)
        if min_valid is not None: y = np.where((counts >= min_valid*total*(1 - 1e-9)) & (total > 0), y, NAN)
    return y


def rest(shape, axis): return tuple(a for a in range(len(shape)) if a != axis)


TYPES = ["f4", "f8", "f2", ">f8", "i2", "u1", "i8", "?"]


def case(rng, shape=None, reductions=("mean", "sum"), types=TYPES):
    "A random call: an array with gaps, and all that is asked."
    shape = shape or tuple(int(n) for n in rng.integers(1, 9, rng.integers(1, 5)))
    axes = [int(a) for a in rng.permutation(len(shape))[:rng.integers(1, len(shape) + 1)]]
    sizes = [int(m) for m in rng.integers(1, 11, len(axes))]
    dtype = rng.choice(types)
    x = (rng.normal(size=shape) * 20).astype(dtype) if dtype != "u1" else rng.integers(0, 256, shape).astype(dtype)
    floats = x.dtype.kind == "f"
    masked, skipna = rng.random() < 0.3, bool(rng.random() < 0.5)
    if floats and skipna: x[rng.random(shape) < rng.choice([0.1, 0.5, 0.9])] = NAN
    mask = rng.random(shape) < rng.choice([0, 0.3, 0.8]) if masked else np.zeros(shape, bool)
    kind = rng.integers(4)
    weights, given = 1.0, None
    if kind == 1:
        some = [a for a in axes if rng.random() < 0.7]
        given = {a - rng.integers(2)*len(shape): rng.integers(0, 4, shape[a]) / 2 for a in some} or None
        for a in some: weights = weights * np.expand_dims(given.get(a, given.get(a - len(shape))), rest(shape, a))
    if kind == 2: weights = given = rng.random([n if rng.random() < 0.7 else 1 for n in shape])
    min_valid = float(rng.choice([0.25, 0.5, 1])) if (skipna or masked) and rng.random() < 0.5 else None
    asked = dict(edges=str(rng.choice(["whole", "area"])), skipna=skipna, weights=given, min_valid=min_valid)
    return dict(x=np.ma.MaskedArray(x, mask) if masked else x, valid=~mask & (x == x), axes=axes, sizes=sizes,
                reduction=str(rng.choice(reductions)), weights=weights, asked=asked)


def close_to(y):
    "How near a result of its type should be."
    return {2: dict(rtol=2e-3, atol=2e-2), 4: dict(rtol=2e-5, atol=1e-4)}.get(
        y.dtype.itemsize if y.dtype.kind == "f" else 8, dict(rtol=1e-11, atol=1e-11))


def known(y):
    "A result as an array, NaN where it is masked."
    return np.ma.filled(y.astype(float), NAN) if isinstance(y, np.ma.MaskedArray) else y.astype(float)


def compare(rng, types, shape=None):
    "A random mean or sum with the same by matrices, in all that is promised of it."
    c = case(rng, shape, types=types)
    x, asked = c["x"], c["asked"]
    before = x.copy()
    y = adapool.adaptive_pool(x, tuple(c["sizes"]), c["reduction"], tuple(c["axes"]), **asked)
    area = asked["edges"] == "area"
    want = dense(np.ma.getdata(x), c["valid"], c["axes"], c["sizes"], c["reduction"], area, c["weights"],
                 asked["min_valid"])
    if isinstance(x, np.ma.MaskedArray):
        counts = dense(np.zeros(x.shape), c["valid"], c["axes"], c["sizes"], "mean", area, c["weights"], None)
        want = np.where(np.isnan(counts), NAN, want)
    np.testing.assert_allclose(known(y), want, **close_to(y), err_msg=repr(c), strict=True)
    assert y.flags.c_contiguous and isinstance(y, np.ma.MaskedArray) == isinstance(x, np.ma.MaskedArray)
    np.testing.assert_array_equal(np.ma.getdata(x), np.ma.getdata(before), strict=True)
    plain = x.dtype.kind in "biu" and c["reduction"] == "sum" and not area and asked["weights"] is None
    if x.dtype.kind == "f": assert y.dtype == x.dtype.newbyteorder("=")
    elif plain: assert y.dtype == ("u8" if x.dtype.kind == "u" else "i8")
    else: assert y.dtype == "f8"


@pytest.mark.parametrize("seed", range(2))
def test_means_and_sums_are_those_of_dense_matrices(seed):
    rng = np.random.default_rng(seed)
    for _ in range(150): compare(rng, TYPES)


SHAPES = [None, None, (3, 40, 50), (2, 37, 29, 3), (1, 2, 30, 20, 11), (5000,), (3, 1500, 2), (1100, 9), (4, 70, 1030)]


@pytest.mark.parametrize("types", [["f4"], pytest.param(TYPES, marks=pytest.mark.slow)])
def test_kernels_give_what_dense_matrices_give(types, monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 0)
    rng = np.random.default_rng(len(types))
    for i in range(200): compare(rng, types, SHAPES[i % len(SHAPES)])


class Checked:
    "A job that runs its kernel as the Python that it is, on memory whose every access is checked."
    def __init__(self, plan): self.plan, self.function = plan, True

    def __call__(self, x, y, index, threads, v, out):
        types, g = self.plan.types, self.plan.geometry
        cells = np.frombuffer((ctypes.c_double * g.limit).from_address(x))
        made = np.frombuffer((ctypes.c_double * out.size).from_address(y))
        table = np.frombuffer(b"".join(part.tobytes() for part in self.plan.tables), np.int64)
        buf, cut = np.full(self.plan.scratch[0], 7e77), self.plan.total // 2
        kernel = vectors.interpreted(self.plan.kernel, types[3], 8)
        for part in ((0, cut), (cut, self.plan.total)):
            kernel(cells, made, None, g, table, buf, None, None, *part)


@pytest.fixture
def fresh():
    "No job of other tests, and none that stays."
    plans.counted_job.cache_clear()
    yield
    plans.counted_job.cache_clear()


def test_uncompiled_with_every_access_checked(monkeypatch, fresh):
    monkeypatch.setattr(pooling, "_SMALL", 0)
    monkeypatch.setattr(plans, "Job", Checked)
    rng = np.random.default_rng(4)
    monkeypatch.setattr(plans, "LINED", 24)
    with np.errstate(all="ignore"):
        for shape in (None, None, (2, 9, 50), (3, 5, 40, 3), (2, 4, 3, 11), (60,), (7, 5, 30)):
            for _ in range(6): compare(rng, ["f8"], shape)
        x = rng.normal(size=(3, 9, 40))
        x[rng.random(x.shape) < 0.6] = NAN
        for axes in ((1, 2), (0, 1)):
            y = adapool.adaptive_pool(x, (4, 3), "max", axes, skipna=True)
            np.testing.assert_array_equal(y, counted_loops(x, (4, 3), "max", axes, skipna=True), strict=True)


def test_bits_do_not_depend_on_threads(monkeypatch):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 1030, 1100)).astype("f4")
    x[rng.random(x.shape, "f4") < 0.1] = NAN
    calls = dict(size=(100, 77), axes=(1, 2), weights={1: np.linspace(0, 1, 1030)}), dict(size=(1, 300), axes=(0, 1))
    for call in calls:
        asked = dict(skipna=True, edges="area", weights=call.get("weights"))
        found = []
        for threads in (1, 2, 8):
            monkeypatch.setattr(plans, "threads_to_use", lambda n=threads: n)
            found.append(adapool.adaptive_pool(x, call["size"], axes=call["axes"], **asked))
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes() and not np.isnan(found[0]).any()


def test_all_reductions_are_those_of_the_loops(monkeypatch):
    rng = np.random.default_rng(7)
    for i in range(120):
        monkeypatch.setattr(pooling, "_SMALL", 0 if i % 2 else 2**12)
        shape, types = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4))), ["f4"] if i % 2 else TYPES
        c = case(rng, shape, ("mean", "max", "min", "sum"), types)
        if c["reduction"] in ("max", "min"): c["asked"]["weights"], c["weights"] = None, 1.0
        x, asked = c["x"], c["asked"]
        y = adapool.adaptive_pool(x, tuple(c["sizes"]), c["reduction"], tuple(c["axes"]), **asked)
        want = counted_loops(x, c["sizes"], c["reduction"], c["axes"], asked["edges"], asked["skipna"], c["weights"],
                             asked["min_valid"] or 0.0)
        np.testing.assert_allclose(known(y), want, **close_to(y), err_msg=repr(c), strict=True)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_area_conserves(n, m, seed):
    x = np.random.default_rng(seed).integers(-99, 99, (2, n))
    y = adapool.adaptive_pool(x, m, "sum", edges="area")
    np.testing.assert_allclose(y.sum(1), x.sum(1), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(adapool.adaptive_pool(x, m, edges="area").mean(1), x.mean(1), rtol=1e-12, atol=1e-9)


def test_integers_by_area_are_exact():
    "The exact sum of integer weights times integers, divided once."
    rng = np.random.default_rng(3)
    for dtype in ("u1", "i4", "u8", "i8"):
        for n, m in ((10, 7), (5, 9), (100, 3)):
            x = rng.integers(0, 2**40 if dtype[1] == "8" else 200, n).astype(dtype)
            parts = [[max(Fraction(0), min(Fraction((i+1)*n, m), Fraction(c+1)) - max(Fraction(i*n, m), Fraction(c)))
                      for c in range(n)] for i in range(m)]
            want = [float(sum(p * int(v) for p, v in zip(row, x)) * Fraction(m, n)) for row in parts]
            assert adapool.adaptive_pool(x, m, edges="area").tolist() == want


@pytest.mark.parametrize("size", [50, 10**5])
def test_a_share_that_is_just_reached_is_enough(size):
    x = np.resize(np.array([1.0, 2, 3]*5 + [NAN]*35, "f4"), size)
    assert (adapool.adaptive_pool(x, size // 50, skipna=True, min_valid=0.3) == 2).all()
    assert np.isnan(adapool.adaptive_pool(x, size // 50, skipna=True, min_valid=0.301)).all()


def test_pool_takes_any_windows():
    x = np.array([1.0, NAN, 3, 4, NAN, NAN])
    w = adapool.Windows(6, [0, 1, 4], [3, 4, 6])
    assert known(adapool.pool(x, w, skipna=True)).tolist()[:2] == [2.0, 3.5]
    np.testing.assert_array_equal(adapool.pool(x, w, "sum", skipna=True), [4.0, 7, 0], strict=True)
    np.testing.assert_array_equal(adapool.pool(x, w, "max", skipna=True), [3.0, 4, NAN], strict=True)
    np.testing.assert_array_equal(adapool.pool(x, w, skipna=True, weights={0: [1, 1, 3, 1, 1, 1]}), [2.5, 3.25, NAN])
    np.testing.assert_array_equal(adapool.pool(x, w, "sum", skipna=True, min_valid=0.6), [4, 7, NAN], strict=True)
    padded = adapool.fixed_windows(4, 3, 2, 1)
    np.testing.assert_allclose(adapool.pool(np.arange(4.0), padded, skipna=True), [0.5, 2], strict=True)
    hollow = adapool.Windows(4, [0, 2, 2], [2, 2, 4], [2, 1, 2])
    np.testing.assert_array_equal(adapool.pool(np.arange(4.0), hollow, skipna=True), [0.5, NAN, 2.5], strict=True)


def test_a_masked_array_gives_one():
    x = np.ma.masked_array([1, 2, 3, 4], [0, 0, 1, 1])
    for reduction, want in (("mean", 1.5), ("sum", 3), ("max", 2), ("min", 1)):
        y = adapool.adaptive_pool(x, 2, reduction)
        assert isinstance(y, np.ma.MaskedArray) and y.tolist() == [want, None], reduction
    y = adapool.adaptive_pool(np.ma.masked_array([1.0, NAN, 3, 4], [0, 0, 0, 1]), 2)
    assert np.isnan(y[0]) and y[1] == 3
    assert not adapool.adaptive_pool(np.ma.masked_array([1.0, 2]), 1).mask.any()
    assert adapool.pool(x, adapool.split_windows(4, 2), "sum", min_valid=1).tolist() == [3, None]


def test_what_is_wrong_is_said():
    x = np.ones((3, 4))
    for error, words, asked in (
            (ValueError, "edges must be", dict(edges="area ")), (TypeError, "skipna must be", dict(skipna="yes")),
            (ValueError, "min_valid must be in", dict(min_valid=2, skipna=True)),
            (ValueError, "weights must be 4 numbers", dict(weights={1: [1, 2]})),
            (ValueError, "weights must be for pooled axes", dict(weights={0: [1, 2, 3]})),
            (ValueError, "weights must be finite", dict(weights={-1: [1, 2, NAN, 3]})),
            (TypeError, "weights must hold", dict(weights=["a"] * 4)),
            (ValueError, "weights must broadcast", dict(weights=np.ones(3)))):
        with pytest.raises(error, match=words): adapool.adaptive_pool(x, 2, **asked)
        if "edges" not in asked:
            with pytest.raises(error, match=words): adapool.pool(x, adapool.adaptive_windows(4, 2), **asked)
    with pytest.raises(ValueError, match="weights must be None for a max"):
        adapool.adaptive_pool(x, 2, "max", weights=[1, 1, 1, 1])
    with pytest.raises(TypeError, match="x must hold"): adapool.adaptive_pool(["a", "b"], 2, skipna=True)
