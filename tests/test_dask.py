"Arrays in chunks: the results of arrays in memory, the same bits whatever the chunks, few tasks, nothing half written."

import json
import math
import os
import subprocess
import sys
from fractions import Fraction

import dask
import dask.array as da
import numpy as np
import pytest
import zarr

import adapool
import adapool.dask.graph
from adapool.dask.sums import exact_sums, rounded

TYPES = "f2", "f4", "f8", "i1", "u2", "i4", "i8", "u8", "?"
CHUNKINGS = -1, (1, 29), (4, 2), (7, 3), ((1, 12, 4, 6), (20, 1, 8)), ((23,), (5, 24)), ((11, 12), (29,))  # of (23, 29)


def numbers(rng, shape, dtype):
    x = rng.standard_normal(shape) * 20
    return x > 0 if dtype == "?" else (abs(x) if dtype[0] == "u" else x).astype(dtype)


def chunks(rng, shape):
    "Irregular ones."
    def cut(n): return np.diff([0, *sorted(rng.choice(np.arange(1, n), min(n - 1, rng.integers(5)), False)), n])
    return tuple(tuple(map(int, cut(n))) for n in shape)


def far_apart(rng, shape, dtype, span):
    "Numbers of many magnitudes, a third of which cancel."
    x = (rng.standard_normal(shape) * 2.0**rng.integers(-span, span, shape)).astype(dtype)
    third = x.size // 3
    x.flat[third:2*third] = -x.flat[:third]
    return x


def tasks(y):
    (y,) = dask.optimize(y)
    return len(dict(y.__dask_graph__()))


@pytest.mark.parametrize("dtype", TYPES)
def test_results_are_those_in_memory(dtype):
    rng = np.random.default_rng(0)
    for reduction in ("mean", "sum", "max", "min"):
        shape = tuple(rng.integers(1, 25, rng.integers(1, 4)).tolist())
        axes = tuple(rng.choice(len(shape), rng.integers(1, len(shape) + 1), False).tolist())
        sizes = tuple(int(rng.integers(1, 2*shape[a] + 2)) for a in axes)
        x = numbers(rng, shape, dtype)
        y = adapool.adaptive_pool(da.from_array(x, chunks=chunks(rng, shape)), sizes, reduction, axes)
        expected, found = adapool.adaptive_pool(x, sizes, reduction, axes), y.compute(scheduler="sync")
        assert y.dtype == found.dtype and y.shape == found.shape and y._meta.dtype == y.dtype
        within = {"f2": 2e-3, "f4": 1e-5}.get(dtype, 1e-12)
        np.testing.assert_allclose(found, expected, rtol=within, atol=200 * within, strict=True)


@pytest.mark.parametrize("dtype, span", [("f2", 4), ("f4", 2), ("f4", 30), ("f4", 120), ("f8", 3), ("f8", 900)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "max"])
def test_bits_do_not_depend_on_chunks(dtype, span, reduction):
    rng = np.random.default_rng(1)
    plain, odd = (far_apart(rng, (23, 29), dtype, span) for _ in range(2))
    odd[3, 4], odd[20, 20], odd[21, 21], odd[0, :], odd[5, 5] = np.nan, np.inf, -np.inf, -0.0, 0
    for x in (plain, odd):
        for size in ((4, 5), (1, 1), (30, 9)):
            found = [adapool.dask.adaptive_pool(da.from_array(x, chunks=c), size, reduction).compute(scheduler="sync")
                     for c in CHUNKINGS]
            assert {y.tobytes() for y in found} == {found[0].tobytes()}


@pytest.mark.parametrize("options", [{"edges": "area"}, {"skipna": True}, {"weights": {0: np.linspace(0, 1, 23)}},
                                     {"edges": "area", "skipna": True, "weights": np.linspace(0, 2, 29)[None]}],
                         ids=lambda options: "-".join(options))
def test_bits_with_options_do_not_depend_on_chunks(options):
    x = far_apart(np.random.default_rng(2), (23, 29), "f4", 40)
    x[3:9, 4:20] = np.nan
    for reduction in ("mean", "sum", *(["max"] if "weights" not in options else [])):
        found = [adapool.dask.adaptive_pool(da.from_array(x, chunks=c), (4, 5), reduction, **options).compute()
                 for c in CHUNKINGS]
        assert {y.tobytes() for y in found} == {found[0].tobytes()}
        expected = adapool.adaptive_pool(x.astype(float), (4, 5), reduction, **options)
        np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6 * np.nanmax(abs(x)))


@pytest.mark.parametrize("dtype, span", [("f4", 2), ("f4", 60), ("f8", 3), ("f8", 500)])
def test_sums_are_exact(dtype, span):
    x = far_apart(np.random.default_rng(3), (9, 40), dtype, span)
    cuts = {0: (np.array([0, 4]), np.array([5, 9])), 1: (np.array([0, 20]), np.array([21, 40]))}
    found = rounded(exact_sums(x, cuts))
    for i, (s, t) in enumerate(zip(*cuts[0])):
        for j, (u, v) in enumerate(zip(*cuts[1])):
            whole = sum(map(Fraction, x[s:t, u:v].ravel().tolist()), Fraction(0))
            assert found[i, j] == whole.numerator / whole.denominator


def test_a_sum_that_overflows_on_the_way_is_right():
    x = np.array([1e308, 1e308, -1e308, 5e-324, -1e308])
    for c in (5, 1, 2): assert adapool.adaptive_pool(da.from_array(x, chunks=c), 1, "sum").compute().item() == 5e-324
    assert adapool.adaptive_pool(da.from_array(x[:2], chunks=1), 1, "sum").compute().item() == math.inf


def test_few_tasks(tmp_path):
    store = zarr.create_array(tmp_path / "x", shape=(600, 600), chunks=(30, 30), dtype="f4")
    x = da.from_zarr(store)
    for size in (200, 150, 33, 7, 1):
        for reduction in ("mean", "max"):
            assert tasks(adapool.adaptive_pool(x, (size, size), reduction)) <= 1.2 * 400, size
    assert tasks(adapool.adaptive_pool(x, 100, axes=0)) <= 1.2 * 400


def test_each_chunk_is_loaded_once_and_none_before_it_is_asked():
    loaded = []
    def load(block_id): return loaded.append(block_id) or np.full((5, 5), sum(block_id))
    x = da.map_blocks(load, chunks=((5,) * 6, (5,) * 4), dtype=int, meta=np.empty((0, 0), int))
    y = adapool.adaptive_pool(x, (7, 9))
    assert loaded == []
    y.compute(scheduler="sync")
    assert len(loaded) == len(set(loaded)) == 24


def test_chunks_of_the_result_are_neither_small_nor_large():
    x = da.zeros((4000, 4000), chunks=(100, 100), dtype="f4")
    assert adapool.adaptive_pool(x, (400, 400)).numblocks == (10, 10)
    assert adapool.adaptive_pool(x, (1, 1)).chunks == ((1,), (1,))
    with dask.config.set({"array.chunk-size": "1MB"}):
        y = adapool.adaptive_pool(x, (40000, 4000))
        assert max(map(max, y.chunks)) * 100 * 8 < 2e6


def test_empty_axes_and_empty_chunks():
    x = da.zeros((0, 6), chunks=(0, 2))
    assert adapool.adaptive_pool(x, 4).compute().shape == (0, 4)
    x = da.from_array(np.arange(6.0)[None], chunks=((1,), (2, 0, 4)))
    assert adapool.adaptive_pool(x, 2).compute().tolist() == [[1, 4]]


def test_a_weight_is_a_vector_of_numpy_or_of_dask():
    x, w = da.arange(6, chunks=4), np.arange(6.0)
    for given in ({0: w}, {0: da.from_array(w, chunks=2)}):
        assert adapool.adaptive_pool(x, 2, weights=given).compute().tolist() == [5 / 3, 50 / 12]


def wrong(call, *words):
    with pytest.raises((TypeError, ValueError)) as error: call()
    for word in words: assert word in str(error.value)


def test_what_is_wrong_is_said():
    x = da.arange(12, chunks=5).reshape(3, 4)
    pool = adapool.adaptive_pool
    wrong(lambda: pool(x[x.sum(1) > 3], 2), "known chunk sizes", "compute_chunk_sizes")
    wrong(lambda: adapool.dask.adaptive_pool([1, 2], 1), "dask array", "list")
    wrong(lambda: pool(x, 2, "median"), "reduction", "median", "rechunk")
    wrong(lambda: pool(x, 2, "widest"), "reduction must be one of")
    wrong(lambda: pool(x, 0), "output_size must be >= 1")
    wrong(lambda: pool(x, 2, axes=2), "axes must be in")
    wrong(lambda: pool(x, 2, axes=(1, 1)), "duplicate")
    wrong(lambda: pool(x, 2, weights={1: [1, 2]}), "weights", "4 numbers")
    wrong(lambda: pool(x, 2, weights={1: [1, 2, -1, 0]}), "weights", ">= 0")
    wrong(lambda: pool(x.astype(complex), 2), "complex")
    wrong(lambda: pool(da.ma.masked_greater(x, 3), 2), "masked", "filled")
    wrong(lambda: pool(x.astype(np.longdouble), 2), "64 bits")
    wrong(lambda: adapool.adaptive_max_pool(x, 2, return_indices=True), "return_indices")
    wrong(lambda: adapool.pool(x, adapool.split_windows(4, 2)), "dask array", "adaptive_pool")


def test_a_chunk_that_does_not_load_is_an_error():
    def load(block_id):
        if block_id == (2,): raise OSError("no such tape")
        return np.zeros(4)
    x = da.map_blocks(load, chunks=((4,) * 5,), dtype=float, meta=np.empty(0))
    with pytest.raises(OSError, match="no such tape"): adapool.adaptive_pool(x, 3).compute()
    x = da.map_blocks(lambda block_id: np.zeros(3), chunks=((4,) * 5,), dtype=float, meta=np.empty(0))
    with pytest.raises(ValueError, match="shape that x says"): adapool.adaptive_pool(x, 3).compute()


PLANNED = """
import dask
dask.config.set({"array.query-planning": True})
import dask.array as da, numpy as np, adapool
x = np.random.default_rng(0).standard_normal((23, 29)).astype("f4")
found = []
for chunks in (-1, (7, 3), 1):
    y = adapool.adaptive_pool(da.from_array(x, chunks=chunks), (4, 9), weights={0: np.arange(23.0)})
    assert hasattr(y, "expr") and y.shape == (4, 9) and y.dtype == x.dtype
    found.append((y + 1).compute().tobytes())
print(len(set(found)), adapool.adaptive_pool(da.arange(10, chunks=4), 4).compute())
"""


def test_with_dasks_planner():
    told = subprocess.run([sys.executable, "-c", PLANNED], capture_output=True, text=True)
    assert told.stdout == "1 [1. 3. 6. 8.]\n", told.stderr


def test_import_brings_no_dask():
    code = "import sys, adapool; adapool.adaptive_pool([1, 2], 1); print('dask' in sys.modules, 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"


# --- pyramids


def opened(path): return {name: array[:] for name, array in zarr.open_group(path, mode="r").arrays()}


@pytest.mark.parametrize("dtype", ["u1", "f4", "i8"])
def test_each_level_comes_from_the_image_itself(tmp_path, dtype):
    x = numbers(np.random.default_rng(0), (3, 90, 70), "f8").clip(0, 100).astype(dtype)
    path = adapool.dask.write_pyramid(da.from_array(x, chunks=(2, 31, 27)), tmp_path / "a.zarr",
                                      [None, (45, 33), (20, 20), (1, 1)], dims="cyx")
    levels = opened(path)
    np.testing.assert_array_equal(levels.pop("0"), x, strict=True)
    for y in levels.values():
        expected = adapool.adaptive_pool(x.astype(float), y.shape[1:])
        if dtype == "f4": np.testing.assert_allclose(y, expected, rtol=1e-6)
        else: assert y.dtype == x.dtype and (y == np.rint(expected)).all()
    assert [y.shape for _, y in sorted(levels.items())] == [(3, 45, 33), (3, 20, 20), (3, 1, 1)]


def test_chunks_of_a_store_have_one_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(adapool.dask.pyramid, "CHUNK", 8)
    seen, write = [], adapool.dask.pyramid._written
    def watched(block, target, block_info):
        for (a, b), c, n in zip(block_info[0]["array-location"], target.chunks, target.shape):
            seen.append(a % c == 0 and (b % c == 0 or b == n))
        return write(block, target, block_info)
    monkeypatch.setattr(adapool.dask.pyramid, "_written", watched)
    x = np.arange(5 * 90 * 70.).reshape(5, 90, 70)
    path = adapool.dask.write_pyramid(da.from_array(x, chunks=((2, 3), 13, (50, 20))), tmp_path / "a", [None, (37, 41)])
    assert all(seen) and len(seen) > 30
    np.testing.assert_array_equal(opened(path)["0"], x)
    np.testing.assert_allclose(opened(path)["1"], adapool.adaptive_pool(x, (37, 41)), rtol=1e-12)


def test_one_reading(tmp_path):
    loaded = []
    def load(block_id): return loaded.append(block_id) or np.ones((20, 20))
    x = da.map_blocks(load, chunks=((20,) * 3,) * 2, dtype=float, meta=np.empty((0, 0)))
    adapool.dask.write_pyramid(x, tmp_path / "a", [None, (30, 30), (7, 7)])
    assert len(loaded) == 9


def test_a_reader_of_the_format_opens_it(tmp_path):
    ngff_zarr = pytest.importorskip("ngff_zarr")
    x = np.random.default_rng(0).integers(0, 255, (2, 64, 48)).astype("u1")
    path = adapool.dask.write_pyramid(x, tmp_path / "a.ome.zarr", [None, (32, 24), (9, 7)], dims="cyx", scale=(1, 2, 3))
    image = ngff_zarr.from_ngff_zarr(str(path), validate=False)
    assert [level.data.shape for level in image.images] == [(2, 64, 48), (2, 32, 24), (2, 9, 7)]
    assert image.images[1].scale == {"c": 1, "y": 4, "x": 6}
    assert image.images[1].translation == {"c": 0, "y": 1, "x": 1.5}
    np.testing.assert_array_equal(image.images[2].data.compute(), opened(path)["2"])
    told = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert told["version"] == "0.5"
    assert [axis["type"] for axis in told["multiscales"][0]["axes"]] == ["channel", "space", "space"]


def test_what_goes_wrong_leaves_nothing(tmp_path):
    for error in (OSError, KeyboardInterrupt):
        def load(block_id, error=error):
            if block_id == (1, 1): raise error("on the way")
            return np.ones((20, 20))
        x = da.map_blocks(load, chunks=((20,) * 3,) * 2, dtype=float, meta=np.empty((0, 0)))
        with pytest.raises(error): adapool.dask.write_pyramid(x, tmp_path / "a", [None, (30, 30)])
        assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(tmp_path):
    x, store = np.ones((6, 6)), tmp_path / "a"
    adapool.dask.write_pyramid(x, store, [(3, 3)])
    with pytest.raises(FileExistsError, match="overwrite=True"): adapool.dask.write_pyramid(x * 2, store, [(3, 3)])
    bad = da.map_blocks(lambda b: 1 // 0, da.ones((6, 6)), dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(ZeroDivisionError): adapool.dask.write_pyramid(bad, store, [(3, 3)], overwrite=True)
    assert (opened(store)["0"] == 1).all()
    adapool.dask.write_pyramid(x * 2, store, [(3, 3)], overwrite=True)
    assert (opened(store)["0"] == 2).all() and len(list(tmp_path.iterdir())) == 1


FULL = """
import resource, sys, numpy as np, adapool
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try: adapool.dask.write_pyramid(np.random.default_rng(0).random((200, 200)), sys.argv[1], [None, (50, 50)])
except OSError as error: print(error.strerror)
"""


def test_a_disk_that_is_full(tmp_path):
    told = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "a")], capture_output=True, text=True)
    assert told.stdout == "File too large\n", told.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_a_pyramid_is_said(tmp_path):
    x, write = np.ones((4, 6)), adapool.dask.write_pyramid
    wrong(lambda: write(x, 3, [(2, 2)]), "path of a folder")
    wrong(lambda: write(x, tmp_path / "a", [(2, 2)], "sum"), "'mean', 'max' or 'min'")
    wrong(lambda: write(x, tmp_path / "a", []), "sizes")
    wrong(lambda: write(x, tmp_path / "a", 3), "sizes must be a sequence")
    wrong(lambda: write(x, tmp_path / "a", [(2, 2), (3, 3)]), "fine to coarse")
    wrong(lambda: write(x, tmp_path / "a", [(2, 2)], dims="yc"), "dims")
    wrong(lambda: write(x, tmp_path / "a", [(2, 2)], scale=[1]), "scale must be 2 numbers")
    wrong(lambda: write(x[0], tmp_path / "a", [2]), "2 to 5 axes")
    with pytest.raises(FileNotFoundError, match="in a folder"): write(x, tmp_path / "b/a", [(2, 2)])
    assert list(tmp_path.iterdir()) == []


# --- slow


def dense(x, sizes, axes, reduction, edges="whole", skipna=False, weights=None, min_valid=None):
    "By matrices: the part e of each cell that each window covers."
    seen = ~np.isnan(x) if skipna and x.dtype.kind == "f" else np.ones(x.shape, bool)
    w, e = np.ones(x.shape), []
    if isinstance(weights, dict):
        for a, v in weights.items(): w = w * np.reshape(v, [-1 if b == a else 1 for b in range(x.ndim)])
    elif weights is not None: w = w * weights
    for a, m in zip(axes, sizes):
        n, i, j = x.shape[a], np.arange(m)[:, None], np.arange(x.shape[a])
        part = np.clip(np.minimum((j + 1) * m, (i + 1) * n) - np.maximum(j * m, i * n), 0, None) / m
        e.append(part if edges == "area" else (part > 0).astype(float))
    def applied(v):
        for a, matrix in zip(axes, e): v = np.moveaxis(np.tensordot(matrix, v, (1, a)), 0, a)
        return v
    def greatest(v):
        for a, matrix in zip(axes, e):
            v = np.stack([v.compress(row > 0, a).max(a) for row in matrix], a)
        return v
    count, full = applied(seen * w), applied(w)
    with np.errstate(all="ignore"):
        if reduction in ("max", "min"):
            sign = 1 if reduction == "max" else -1
            y = sign * greatest(np.where(seen, sign * x.astype(float), -np.inf))
            y = np.where(count > 0, y, np.nan)
        else: y = applied(np.where(seen, x, 0) * w) / (count if reduction == "mean" else 1)
    if min_valid is not None: y = np.where((count > 0) & (count >= min_valid * full * (1 - 1e-9)), y, np.nan)
    return y


@pytest.mark.parametrize("seed", [pytest.param(k, marks=[pytest.mark.slow] * (k not in (0, 7))) for k in range(20)])
def test_random_arrays_chunks_and_options_beside_dense_matrices(seed):
    rng = np.random.default_rng(seed)
    for _ in range(20):
        shape = tuple(rng.integers(1, 20, rng.integers(1, 4)).tolist())
        axes = tuple(rng.choice(len(shape), rng.integers(1, len(shape) + 1), False).tolist())
        sizes = tuple(int(rng.integers(1, 2*shape[a] + 2)) for a in axes)
        dtype, reduction = str(rng.choice(["f4", "f8", "i2", "u1"])), str(rng.choice(["mean", "sum", "max", "min"]))
        x = numbers(rng, shape, dtype)
        options = {"edges": str(rng.choice(["whole", "area"])), "skipna": bool(rng.integers(2))}
        if dtype[0] == "f" and options["skipna"]: x[rng.random(shape) < 0.3] = np.nan
        if options["skipna"] and rng.integers(2): options["min_valid"] = 0.5
        if reduction in ("mean", "sum"):
            kind = rng.integers(3)
            if kind == 1: options["weights"] = {axes[0]: rng.random(shape[axes[0]])}
            if kind == 2: options["weights"] = rng.random(shape)
        found = adapool.adaptive_pool(da.from_array(x, chunks=chunks(rng, shape)), sizes, reduction, axes, **options)
        expected = dense(x, sizes, axes, reduction, **options)
        if found.dtype.kind in "iu": options.pop("min_valid", None)
        found = found.compute(scheduler="sync")
        if found.dtype.kind in "iu": expected = dense(x, sizes, axes, reduction, **options)
        within = 1e-5 if dtype == "f4" else 1e-11
        np.testing.assert_allclose(found, expected, rtol=within, atol=200 * within, err_msg=str(options))


KILLED = """
import os, sys, time, numpy as np, dask.array as da, adapool
from distributed import Client, LocalCluster
def load(block_id, folder):
    flag = os.path.join(folder, "killed")
    if block_id == (5, 5) and not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(1)
    return np.random.default_rng(block_id).standard_normal((50, 50)).astype("f4")
if __name__ == "__main__":
    x = da.map_blocks(load, folder=sys.argv[1], chunks=((50,) * 8,) * 2, dtype="f4", meta=np.empty((0, 0), "f4"))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        y = adapool.adaptive_pool(x, (33, 7)).compute()
        path = adapool.dask.write_pyramid(x, sys.argv[1] + "/image", [(33, 7), (3, 3)])
    assert os.path.exists(os.path.join(sys.argv[1], "killed"))
    assert y.tobytes() == adapool.adaptive_pool(x, (33, 7)).compute(scheduler="sync").tobytes()
    import zarr
    assert zarr.open_group(path, mode="r")["0"][:].tobytes() == y.tobytes()
    print("the same")
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_no_trace(tmp_path):
    (tmp_path / "run.py").write_text(KILLED)
    told = subprocess.run([sys.executable, str(tmp_path / "run.py"), str(tmp_path)], capture_output=True, text=True,
                          env={**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "9"})
    assert told.stdout.endswith("the same\n"), told.stderr


MEMORY = """
import sys, threading, numpy as np, psutil, dask, dask.array as da, zarr, adapool
path, factor = sys.argv[1], int(sys.argv[2])
chunk, n = 1000, 8000
x = da.map_blocks(lambda block_id: np.random.default_rng(block_id).random((chunk, chunk), np.float32),
                  chunks=((chunk,) * (n // chunk),) * 2, dtype="f4", meta=np.empty((0, 0), "f4"))
y = adapool.adaptive_pool(x, (n // factor - 1,) * 2)
target = zarr.create_array(path, shape=y.shape, chunks=(500, 500), dtype="f4")
adapool.adaptive_pool(x[:chunk, :chunk], (99, 99)).compute()
process, peak, end = psutil.Process(), [0], threading.Event()
def watch():
    while not end.wait(0.002): peak.append(process.memory_info().rss)
start = process.memory_info().rss
thread = threading.Thread(target=watch)
thread.start()
da.store(y, target, lock=True, scheduler="threads", num_workers=2)
end.set()
thread.join()
print((max(peak) - start) / (chunk * chunk * 4))
"""


@pytest.mark.slow
@pytest.mark.parametrize("factor, most", [(2, 13), (10, 11)])
def test_memory_is_that_of_a_few_chunks(tmp_path, factor, most):
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "y"), str(factor)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert float(told.stdout) < most
