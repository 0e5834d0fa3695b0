"How much memory pooling takes beside its input and output: counted by tracemalloc, which sees every NumPy array."

import itertools
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from quick import rotated, some

import adapool
from adapool import pooling
from adapool.kernels import COMPUTE, arrays, channels, gradients, indices, jobs, plan, planes, rows, strided, threads
from adapool.kernels.tables import part_of
from adapool.windows import Windows, adaptive_windows, fixed_windows, split_windows


def peak(call):
    call()  # compiles, the first time
    threads._scratch = threading.local()  # room that threads hold from earlier calls
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@pytest.mark.parametrize("pool", [
    lambda x: adapool.adaptive_pool(x, (7, 7)), lambda x: adapool.adaptive_pool(x, (7, 7), "max"),
    lambda x: adapool.adaptive_max_pool(x, (7, 7), return_indices=True)], ids=["mean", "max", "places"])
def test_pooling_takes_no_more_than_rows_of_its_own_for_each_thread(pool, dtype):
    x = np.ones((2000, 3000), dtype)
    assert peak(lambda: pool(x)) < threads.threads_to_use() * 100 * x.shape[1] * 4


def test_without_kernels_a_slab_at_a_time(monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 2**60)
    for dtype, reduction, share in (("uint8", "mean", 0.6), ("float16", "mean", 0.3), ("float32", "mean", 0.1)):
        x = np.ones((2000, 3000), dtype)
        assert peak(lambda x=x, r=reduction: adapool.adaptive_pool(x, (7, 7), r)) < share * x.nbytes


KINDS = ["sum", "mean", "max", "min", "indices", "avg_backward"]
KERNELS = {rows.long_rows, rows.interleaved, strided.strided, planes.planes, channels.channels_last,
           indices.long_rows_indices, indices.channels_last_indices, gradients.expand_rows}


def planned(kind, cell, windows, inner, batch=(1, 1), gap=0):
    "The plan for an array of (A, P, ..., inner) in the order of its axes; `gap` cells after each row."
    axes, step = [], inner
    for w in reversed(windows):
        axes.insert(0, (w, step))
        step = step * (len(w) if kind == "avg_backward" else w.input_size) + gap
    compute, (A, P) = COMPUTE.get(cell, "i8" if cell[0] in "iu" else cell), batch
    return plan.make_plan(kind, (cell, cell, compute), ((A, step*P + gap), (P, step)), tuple(axes), inner)


def scratch(*call):
    "The bytes that a thread works in, and the kernel."
    made = planned(*call)
    return jobs._scratch_layout(made.types, *made.scratch)[2], made.kernel


def adaptive(kind, n, m):
    "Windows of n cells read and m written; of very many, those that are done at a time."
    if kind == "avg_backward": return adaptive_windows(min(m, MANY), min(n, MANY))
    w = adaptive_windows(n, m)
    return w if m <= MANY else part_of(w, 0, MANY, shift=kind != "indices")[0]


MANY = 2**12  # windows of an axis here; a job does as many at a time as fit into its tables


def test_the_scratch_of_a_thread_is_bounded_for_every_shape():
    rng, seen, lengths = np.random.default_rng(0), set(), [1, 2, 7, 33, 100, 1000, 1025, 4096, 10**5, 10**7, 10**9]
    some = itertools.product(KINDS, ["f4", "f8"], [1, 3, 8, 10**7], [0, 1], lengths, lengths)
    draws = [(((n, m),), (1, 1), kind, cell, inner, gap) for kind, cell, inner, gap, n, m in some]
    for _ in range(10_000):
        d = int(rng.integers(1, 4))
        n, m = ([int(10 ** rng.uniform(0, 9 / d)) for _ in range(d)] for _ in range(2))
        if rng.random() < 0.3: n = [k * f for k, f in zip(m, (1, 2, 16)[:d])]
        A, P, gap = (int(rng.choice(some)) for some in ([1, 3], [1, 2, 9, 300], [0, 5]))
        cell = str(rng.choice(["f2", "f4", "f8", "u1", "i8"]))
        inner = int(rng.choice([1, 1, 2, 7, 8, 64, 130, 5000, 10**6]))
        draws.append((tuple(zip(n, m)), (A, P), str(rng.choice(KINDS)), cell, inner, gap))
    for sizes, batch, kind, cell, inner, gap in draws:
        if kind == "avg_backward" and cell[0] != "f": continue
        taken, kernel = scratch(kind, cell, [adaptive(kind, n, m) for n, m in sizes], inner, batch, gap)
        seen.add(kernel)
        assert 0 < taken <= 2**21, (taken, kernel, kind, cell, sizes, batch, inner, gap)
    assert seen == KERNELS


@pytest.mark.parametrize("draws", some([200, 2000], 1))
def test_the_scratch_of_a_thread_is_bounded_for_every_list_of_windows(draws):
    "With windows that lie far apart or are very unlike, too."
    rng, seen = np.random.default_rng(0), set()
    def windows():
        n, family = int(10 ** rng.uniform(0, 7)), rng.integers(4)
        K = int(10 ** rng.uniform(0, np.log10(n)))
        if family == 0: return fixed_windows(n, K, max(1, int(K * rng.choice([0.1, 0.5, 1, 3])), n // 2000), K // 3)
        if family == 3: return fixed_windows(n + 7, int(rng.integers(1, 8)), max(int(rng.choice([1, 2, 4])), n // 2000))
        if family == 1: return split_windows(n, min(n, int(10 ** rng.uniform(0, 3))))
        starts = np.sort(rng.integers(0, n, int(10 ** rng.uniform(0, 3))))
        stops = starts + 10 ** rng.uniform(0, np.log10(n), len(starts))
        return Windows(n, starts, np.maximum.accumulate(np.minimum(n, stops.astype(int))), starts % 7 + 1)
    for _ in range(draws):
        kind, cell, inner = (rng.choice(some) for some in (KINDS, ["f2", "f4", "f8"], [1, 1, 2, 7, 8, 64, 130, 5000]))
        lists = [windows() for _ in range(rng.integers(1, 4))]
        if kind == "avg_backward": lists = [w.transposed() if len(w) < 2**12 > w.input_size else w for w in lists]
        if planned(kind, cell, lists, int(inner)) is None: continue
        taken, kernel = scratch(str(kind), str(cell), lists, int(inner), (1, int(rng.choice([1, 9]))))
        seen.add(kernel)
        assert 0 < taken <= 2**21, (taken, kernel, kind, cell, lists, inner)
    assert seen >= KERNELS - {gradients.expand_rows}


@pytest.mark.parametrize("shape, size, inner", [
    ((1, 1, 10**9), (1,), 1), ((1, 1, 10**9), (3,), 1), ((1, 3, 30_000, 30_000), (2, 7), 1),
    ((1, 1, 30_000, 30_000), (2, 7), 3), ((1, 1, 10**8), (3,), 2)])
def test_long_windows_take_less_than_a_megabyte(shape, size, inner):
    windows = [adaptive_windows(n, m) for n, m in zip(shape[2:], size)]
    for kind in ("sum", "mean", "max", "indices"): assert scratch(kind, "f4", windows, inner, shape[:2])[0] < 2**20


LARGE = [((20_000_000,), 1), ((20_000_000,), 3), ((20_000_000,), 7), ((4000, 5000), (3, 2)), ((5_000_000, 4), (2, 1)),
         ((4000, 5000), (1, 4000)), ((2, 10**7), (1, 5 * 10**6)), ((4, 5_000_000), (2, None))]


@pytest.mark.parametrize("call, reduction", rotated(LARGE, ["mean", "max", "places"]))
def test_what_a_call_takes_over_its_result(call, reduction):
    shape, size = call
    x = np.ones(shape, np.uint8)
    def pool():
        if reduction == "places": return adapool.adaptive_max_pool(x, size, True)
        return adapool.adaptive_pool(x, size, reduction)
    made = pool()
    results = sum(y.nbytes for y in made) if reduction == "places" else made.nbytes
    windows = max(made[0].shape if reduction == "places" else made.shape)
    tables = 104 * min(windows, jobs.MOST_WINDOWS)  # so many windows are done at a time
    assert peak(pool) < results + tables + 2**21 * threads.threads_to_use()


def unaligned(x):
    "The same cells, the first of them at an odd address."
    return np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)


def odd_arrays():
    "Arrays that a kernel cannot address, so that they are copied."
    x = np.random.default_rng(0).integers(0, 9, (12, 30, 40)).astype("f4")
    yield from (x[:, ::-1], x[..., ::-1], x.astype(x.dtype.newbyteorder()), x.ravel()[::-1], unaligned(x))
    yield x.reshape(3, 4, 30, 40).transpose(1, 0, 2, 3)[:, ::-1]


def test_what_has_to_be_copied_is_copied_in_parts(monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 0)
    def results(x, size, axes):
        kinds = [adapool.adaptive_pool(x, size, kind, axes) for kind in ("mean", "sum", "max", "min")]
        return *kinds, *adapool.adaptive_max_pool(x, size, True, axes)
    cut, cuts = set(), arrays._cut_up
    def noted(x, axes, windows):
        found = cuts(x, axes, windows)
        cut.add("inside one" if found is None else "between windows" if found[1] is not None else "free axis")
        return found
    monkeypatch.setattr(arrays, "_cut_up", noted)
    for x in odd_arrays():
        for axes, size in ((0, 5), ((0, 2), (3, 2)), ((2, 1), (4, 7)), ((0, 1, 2), (2, 3, 1)), ((0, 1, 2), 1)):
            if x.ndim == 1 and axes != 0: continue
            plain = results(np.array(x, "f4"), size, axes)
            for most in (2**40, 2**14, 2**10):
                monkeypatch.setattr(arrays, "COPY", most)
                for a, b in zip(results(x, size, axes), plain, strict=True):
                    np.testing.assert_allclose(a, b, rtol=1e-6, strict=True)
    assert cut == {"free axis", "between windows", "inside one"}


@pytest.mark.parametrize("dtype, kind", rotated(["?", "u1", "i4", "u8", "f2", "f8"], ["mean", "sum", "max", "min"]))
def test_parts_of_a_copy_by_windows_of_any_kind(kind, dtype, monkeypatch):
    "With gaps, with divisors of their own, with cells before the first window and after the last."
    monkeypatch.setattr(pooling, "_SMALL", 0)
    base = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 9, (14, 9, 16)).astype(dtype)
    lists = [Windows(14, [1, 2, 9], [4, 8, 12], [3, 2, 7]), fixed_windows(14, 3, 2, 1), Windows(14, [3], [12], [5]),
             split_windows(14, 4)]
    others = [Windows(16, [2, 7], [9, 15], [1, 2]), Windows(16, [5], [14]), fixed_windows(16, 2, 5)]
    for w, other in itertools.product(lists, others):
        one = adaptive_windows(9, 1)
        for axes, given in ((0, 2), (w, other)), ((0,), (w,)), ((2, 0), (other, w)), ((0, 1, 2), (w, one, other)):
            monkeypatch.setattr(arrays, "COPY", 2**40)
            plain = adapool.pool(base, given, kind, axes)
            monkeypatch.setattr(arrays, "COPY", 200)
            for x in (base[::-1][::-1], np.ascontiguousarray(base[::-1])[::-1], base[..., ::-1].copy()[..., ::-1],
                      base.astype(base.dtype.newbyteorder()), unaligned(base)):
                found = adapool.pool(x, given, kind, axes)
                np.testing.assert_allclose(found, plain, rtol=1e-3 if dtype == "f2" else 1e-12, strict=True)


@pytest.mark.parametrize("way", ["backwards", "swapped"])
def test_a_copy_is_never_of_the_whole_of_a_large_array(way, monkeypatch):
    monkeypatch.setattr(arrays, "COPY", 2**22)
    x = np.ones((4000, 5000), "f4")
    x = x[:, ::-1] if way == "backwards" else x.astype(x.dtype.newbyteorder())
    for axes, size in ((0, 3), ((0, 1), (40, 3))):
        assert peak(lambda axes=axes, size=size: adapool.adaptive_pool(x, size, "mean", axes)) < 2**23


def test_memory_that_runs_out_on_the_way_is_not_said_to_be_of_the_result(monkeypatch):
    def full(*call): raise MemoryError("Unable to allocate 103 GiB")
    monkeypatch.setattr(pooling, "array_by_kernel", full)
    with pytest.raises(MemoryError, match=r"shape \(100000,\).*output_size 3: Unable to allocate 103 GiB"):
        adapool.adaptive_pool(np.ones(100_000, np.uint8), 3)
    with pytest.raises(ValueError, match="output_size must be one whose result fits in memory"):
        adapool.adaptive_pool(np.ones(100_000, np.uint8), 10**6)


NO_ROOM = """
import resource, adapool
m, used = 4 * 10**7, int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: adapool.adaptive_windows(10, m).starts
except ValueError as error: print(error, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < m)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux, to limit and to read the memory in use")
def test_windows_without_room_are_refused_before_memory_is_touched():
    told = subprocess.run([sys.executable, "-c", NO_ROOM], capture_output=True, text=True)
    assert told.stdout == "output_size must be one whose windows fit in memory, got 40000000 True\n", told.stderr
