"`adapool.array_api`: the numbers of NumPy's arrays, whatever the library, the device, the type."

import sys
from types import SimpleNamespace

import array_api_strict as strict
import jax.numpy as jnp
import numpy as np
import pytest
from quick import some

import adapool
from adapool import array_api

DEVICES = [strict.Device(name) for name in ("CPU_DEVICE", "device1")]
TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]
REDUCTIONS = "mean", "sum", "max", "min"


def random_case(i):
    "An array with ties and some NaN, sizes that shrink and grow, axes in any order."
    rng = np.random.default_rng(i)
    shape = tuple(int(n) for n in rng.integers(1, 12, rng.integers(1, 6)))
    axes = tuple(int(a) for a in rng.permutation(len(shape))[:rng.integers(1, len(shape) + 1)])
    sizes = tuple(None if rng.random() < 0.2 else int(rng.integers(1, 15)) for _ in axes)
    dtype = np.dtype(TYPES[i % len(TYPES)])
    x = rng.integers(0, 5, shape).astype(dtype) if dtype.kind in "bu" else rng.integers(-3, 4, shape).astype(dtype)
    if dtype.kind == "f" and i % 2: x[rng.random(shape) < 0.1] = np.nan
    return x, sizes, axes


def strictly(x, device=DEVICES[0]): return strict.asarray(x, device=device)


def same(got, want, device):
    "The same numbers on the device, a mean to its last bits."
    assert isinstance(got, type(strict.asarray(1))) and got.device == device
    got = np.asarray(strict.asarray(got, device=DEVICES[0], copy=True) if device != DEVICES[0] else got)
    np.testing.assert_allclose(got, want, rtol=1e-6 if want.dtype == np.float32 else 1e-14, strict=True)


@pytest.mark.parametrize("i", some(range(330), 110))
def test_the_numbers_of_numpy(i):
    x, sizes, axes = random_case(i)
    device = DEVICES[i // 2 % 2]
    given = strictly(x, device)
    for reduction in REDUCTIONS:
        want = adapool.adaptive_pool(x, sizes, reduction, axes)
        same(adapool.adaptive_pool(given, sizes, reduction, axes), want, device)
    for got, want in zip(adapool.adaptive_max_pool(given, sizes, True, axes),
                         adapool.adaptive_max_pool(x, sizes, True, axes)): same(got, want, device)
    assert bool(strict.all((given == strictly(x, device)) | (given != given)))


def lists(n):
    "Lists of windows of every family, one with an empty window, one of as many sizes as windows."
    return [adapool.adaptive_windows(n, 5), adapool.split_windows(n, 4), adapool.fixed_windows(n, 4, 3, 1),
            adapool.fixed_windows(n, 3, 2, 1, count_include_pad=True),
            adapool.Windows(n, [0, 3, 3, 7], [1, 3, 9, n]), adapool.Windows(n, range(n), [n] * n)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["bool", "int32", "float64"])
def test_windows_that_are_given(dtype, device):
    x = np.random.default_rng(0).integers(0, 9, (3, 11, 2)).astype(dtype)
    for w in lists(11):
        for reduction in REDUCTIONS if w.sizes.all() else ("mean", "sum"):
            want = adapool.pool(x, w, reduction, 1)
            same(adapool.pool(strictly(x, device), w, reduction, 1), want, device)
    both = [adapool.split_windows(11, 3), adapool.adaptive_windows(2, 3)]
    same(adapool.pool(strictly(x, device), both), adapool.pool(x, both), device)


@pytest.mark.parametrize("device", ["no_float64", "no_x64"])
def test_a_device_without_64_bits_has_32(device):
    x, device = np.arange(12, dtype="int32").reshape(3, 4), strict.Device(device)
    given = strict.asarray(x, device=device)
    whole = strict.int32 if device == strict.Device("no_x64") else strict.int64
    for reduction, dtype in (("mean", strict.float32), ("sum", whole), ("max", strict.int32)):
        got, want = (adapool.adaptive_pool(a, (2, 3), reduction) for a in (given, x))
        assert (got.dtype, got.device) == (dtype, device)
        np.testing.assert_array_equal(np.asarray(strict.asarray(got, device=DEVICES[0], copy=True)), want)


def test_half_precision_is_summed_in_single_and_empty_batches_stay():
    for xp, dtype in ((np, "float16"), (jnp, "float16"), (jnp, "bfloat16")):
        x = xp.asarray(np.full((2, 4096), 0.1), dtype)
        for reduction in ("mean", "sum"):
            got = array_api.adaptive_pool(x, 3, reduction)
            want = adapool.adaptive_pool(np.asarray(x, "float32"), 3, reduction)
            assert got.dtype == x.dtype
            np.testing.assert_array_equal(got, xp.asarray(want, dtype))
    x = np.ones((0, 5))
    same(adapool.adaptive_pool(strictly(x), 3), adapool.adaptive_pool(x, 3), DEVICES[0])
    assert adapool.adaptive_max_pool(strictly(x), 3, return_indices=True)[1].shape == (0, 3)


def test_an_infinity_and_the_last_nan():
    inf, nan = np.inf, np.nan
    for row in ([-inf, -inf, -inf, 1], [inf, nan, 1, nan], [nan, nan, nan, -inf], [1, inf, inf, 0], [-0.0, 0.0, 1, 1]):
        x = np.array(row)
        for got, want in zip(adapool.adaptive_max_pool(strictly(x), 3, return_indices=True),
                             adapool.adaptive_max_pool(x, 3, return_indices=True)): same(got, want, DEVICES[0])


class CupyArray:
    "What CuPy 14 has of the standard: the functions of its module, and no word on where they are."

    __module__ = "cupy._core.core"

    def __init__(self, values): self.values, self.device = values, "gpu"
    dtype = property(lambda self: self.values.dtype)
    shape = property(lambda self: self.values.shape)


def plain(x): return x.values if isinstance(x, CupyArray) else [*map(plain, x)] if isinstance(x, list) else x


def of_cupy(name):
    "A function of NumPy for these arrays."
    def call(*given, **told): return CupyArray(getattr(np, name)(*map(plain, given), **told))
    return call


for sign in ("sub", "mul", "truediv", "gt", "eq"):
    def operate(self, other, name=f"__{sign}__"): return CupyArray(getattr(self.values, name)(plain(other)))
    setattr(CupyArray, f"__{sign}__", operate)


def test_arrays_of_cupy_are_pooled_by_the_functions_of_their_module(monkeypatch):
    functions = "astype take reshape concat where isnan sum max min argmax".split()
    cupy = SimpleNamespace(**(whole() | {name: of_cupy(name) for name in functions}))
    cupy.asarray = lambda values, dtype=None: CupyArray(np.asarray(values, dtype))  # it takes no device
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    x = np.random.default_rng(0).integers(0, 5, (3, 7, 8)).astype("float32")
    x[1, 2, 3] = np.nan
    got = adapool.adaptive_pool(CupyArray(x), (5, 3))
    np.testing.assert_allclose(got.values, adapool.adaptive_pool(x, (5, 3)), rtol=1e-6)
    for a, b in zip(adapool.adaptive_max_pool(CupyArray(x), (9, 3), True), adapool.adaptive_max_pool(x, (9, 3), True)):
        np.testing.assert_array_equal(a.values, b)
    with pytest.raises(TypeError, match="skipna must be left out for arrays of cupy"):
        adapool.adaptive_pool(CupyArray(x), 2, skipna=True)


class Speaks:
    "An array whose library has what it is given."

    dtype, shape, device = np.dtype("float32"), (4,), "cpu"

    def __init__(self, **functions): self.xp = SimpleNamespace(**functions)
    def __array_namespace__(self, api_version=None): return self.xp


def whole(): return {name: getattr(np, name) for name in array_api._NEEDED}


def test_what_is_missing_is_named():
    some_of_it = {name: f for name, f in whole().items() if name not in ("take", "isnan")}
    with pytest.raises(TypeError, match="got a Speaks, which lacks take, isnan"):
        adapool.adaptive_pool(Speaks(**some_of_it), 2)
    given = {"__array_namespace__": Speaks.__array_namespace__, "xp": SimpleNamespace(**whole())}
    with pytest.raises(TypeError, match=r"which lacks Placeless\.dtype, Placeless\.shape, Placeless\.device"):
        adapool.adaptive_max_pool(type("Placeless", (), given)(), 2)
    unknown = type("Lazy", (Speaks,), {"shape": (None, 4)})(**whole())
    with pytest.raises(ValueError, match=r"x must have a known shape, got \(None, 4\)"):
        adapool.adaptive_pool(unknown, 2)
    with pytest.raises(TypeError, match="speaks the array API, got a list"): array_api.adaptive_pool([1], 1)


@pytest.mark.parametrize("error, said, call", [
    (TypeError, "skipna must be left out for arrays of array_api_strict",
     lambda x: adapool.adaptive_pool(x, 2, skipna=True)),
    (TypeError, "weights must be left out", lambda x: adapool.adaptive_pool(x, 2, weights={0: [1]})),
    (TypeError, "edges must be left out", lambda x: adapool.adaptive_pool(x, 2, edges="area")),
    (TypeError, "min_valid must be left out", lambda x: adapool.pool(x, adapool.split_windows(4, 2), min_valid=1.0)),
    (ValueError, "reduction must be one of", lambda x: adapool.adaptive_pool(x, 2, "median")),
    (ValueError, "output_size must be >= 1", lambda x: adapool.adaptive_pool(x, 0)),
    (ValueError, "windows must be of 4 cells", lambda x: adapool.pool(x, adapool.split_windows(5, 2))),
    (ValueError, "axes", lambda x: adapool.adaptive_max_pool(x, 2, True, axes=7)),
    (TypeError, "x must hold booleans, integers or floats", lambda x: adapool.adaptive_pool(x, 2)),
    (TypeError, "return_indices must be True or False", lambda x: array_api.adaptive_max_pool(x, 2, (1,))),
])
def test_errors(error, said, call):
    x = strict.ones((3, 4), dtype=strict.complex128 if "hold" in said else None)
    with pytest.raises(error, match=said): call(x)


def test_arrays_of_numpy_stay_where_they_are():
    mixed = type("Mixed", (np.lib.mixins.NDArrayOperatorsMixin,), {"__array_namespace__": lambda self: np})
    assert adapool.kinds.home(np.ones(3)) is adapool.kinds.home(np.ma.ones(3)) is None
    assert adapool.kinds.home(mixed()) is adapool.kinds.home(strict.ones(3)) is array_api


def test_memory_that_runs_out_is_said_in_words(monkeypatch):
    x = strict.ones((10**6, 10))
    with pytest.raises(ValueError, match="output_size must be one whose result fits in memory, got 1000000 for"):
        adapool.adaptive_pool(x, 10**6)
    with pytest.raises(ValueError, match="output_size must be one whose result fits in memory"):
        adapool.pool(x, adapool.adaptive_windows(10, 10**6))
    def full(*args, **told): raise MemoryError("Unable to allocate 8 GiB")
    monkeypatch.setattr(array_api, "_side_by_side", full)
    for call in (lambda: adapool.adaptive_pool(x, 3), lambda: adapool.adaptive_max_pool(x, 3, return_indices=True)):
        with pytest.raises(MemoryError, match=r"shape \(1000000, 10\) and dtype .*float64 to output_size 3"): call()
