"How much memory pooling takes beside its input and output: counted by tracemalloc, which sees every NumPy array."

import itertools
import threading
import tracemalloc

import numpy as np
import pytest

import adapool
from adapool import kernels, pooling


def peak(call):
    call()  # compiles, the first time
    kernels._scratch = threading.local()  # room that threads hold from earlier calls
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
    assert peak(lambda: pool(x)) < kernels.threads_to_use() * 100 * x.shape[1] * 4


def test_without_kernels_a_slab_at_a_time(monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 2**60)
    for dtype, reduction, share in (("uint8", "mean", 0.6), ("float16", "mean", 0.3), ("float32", "mean", 0.1)):
        x = np.ones((2000, 3000), dtype)
        assert peak(lambda x=x, r=reduction: adapool.adaptive_pool(x, (7, 7), r)) < share * x.nbytes


KINDS = ["sum", "mean", "max", "min", "places", "spread"]


def scratch(kind, cell, shape, size, inner, gap=0):
    "The bytes that a thread works in, and the kernel, for an array of (A, P, ..., inner); `gap` cells after each row."
    axes, step = [], inner
    for n, m in reversed(list(zip(shape[2:], size))):
        axes.insert(0, (n, m, step))
        step = step*n + gap
    compute = kernels.COMPUTE.get(cell, "i8" if cell[0] in "iu" else cell)
    batch = (shape[0], step*shape[1] + gap), (shape[1], step)
    made = kernels.description(kind, (cell, cell, compute), batch, tuple(axes), inner)
    return kernels._scratch_sizes(made[1], *made[-2:])[2], made[0]


def test_the_scratch_of_a_thread_is_bounded_for_every_shape():
    rng, seen, lengths = np.random.default_rng(0), set(), [1, 2, 7, 33, 100, 1000, 1025, 4096, 10**5, 10**7, 10**9]
    some = itertools.product(KINDS, ["f4", "f8"], [1, 3, 8, 10**7], [0, 1], lengths, lengths)
    draws = [((1, 1, n), (m,), kind, cell, inner, gap) for kind, cell, inner, gap, n, m in some]
    for _ in range(20_000):
        d = int(rng.integers(1, 4))
        n, m = ([int(10 ** rng.uniform(0, 9 / d)) for _ in range(d)] for _ in range(2))
        if rng.random() < 0.3: n = [k * f for k, f in zip(m, (1, 2, 16)[:d])]
        A, P, gap = (int(rng.choice(some)) for some in ([1, 3], [1, 2, 9, 300], [0, 5]))
        cell = str(rng.choice(["f2", "f4", "f8", "u1", "i8"]))
        inner = int(rng.choice([1, 1, 2, 7, 8, 64, 130, 5000, 10**6]))
        draws.append(((A, P, *n), tuple(m), str(rng.choice(KINDS)), cell, inner, gap))
    for shape, size, kind, cell, inner, gap in draws:
        if kind == "spread" and cell[0] != "f": continue
        taken, kernel = scratch(kind, cell, shape, size, inner, gap)
        seen.add(kernel)
        assert 0 < taken <= 2**21, (taken, kernel, kind, cell, shape, size, inner)
    assert seen == {k.__name__ for k in kernels.KERNELS} - {"scatter", "whole"}


@pytest.mark.parametrize("shape, size, inner", [
    ((1, 1, 10**9), (1,), 1), ((1, 1, 10**9), (3,), 1), ((1, 3, 30_000, 30_000), (2, 7), 1),
    ((1, 1, 30_000, 30_000), (2, 7), 3), ((1, 1, 10**8), (3,), 2)])
def test_long_windows_take_less_than_a_megabyte(shape, size, inner):
    for kind in ("sum", "mean", "max", "places"): assert scratch(kind, "f4", shape, size, inner)[0] < 2**20


@pytest.mark.parametrize("shape, size", [
    ((20_000_000,), 1), ((20_000_000,), 3), ((20_000_000,), 7), ((4000, 5000), (3, 2)), ((5_000_000, 4), (2, 1)),
    ((4000, 5000), (1, 4000)), ((2, 10**7), (1, 5 * 10**6)), ((4, 5_000_000), (2, None))])
@pytest.mark.parametrize("reduction", ["mean", "max", "places"])
def test_what_a_call_takes_over_its_result(shape, size, reduction):
    x = np.ones(shape, np.uint8)
    def pool():
        if reduction == "places": return adapool.adaptive_max_pool(x, size, True)
        return adapool.adaptive_pool(x, size, reduction)
    made = pool()
    results = sum(y.nbytes for y in made) if reduction == "places" else made.nbytes
    assert peak(pool) < results + 2**21 * kernels.threads_to_use()


def odd_arrays():
    "Arrays that a kernel cannot address, so that they are copied."
    x = np.random.default_rng(0).integers(0, 9, (12, 30, 40)).astype("f4")
    yield from (x[:, ::-1], x[..., ::-1], x.astype(x.dtype.newbyteorder()), x.ravel()[::-1])
    yield x.reshape(3, 4, 30, 40).transpose(1, 0, 2, 3)[:, ::-1]


def test_what_has_to_be_copied_is_copied_in_parts(monkeypatch):
    monkeypatch.setattr(pooling, "_SMALL", 0)
    def results(x, size, axes):
        return adapool.adaptive_pool(x, size, "mean", axes), *adapool.adaptive_max_pool(x, size, True, axes)
    for x in odd_arrays():
        for axes, size in ((0, 5), ((0, 2), (3, 2)), ((2, 1), (4, 7)), ((0, 1, 2), (2, 3, 1)), ((0, 1, 2), 1)):
            if x.ndim == 1 and axes != 0: continue
            found = []
            for most in (2**40, 2**10):
                monkeypatch.setattr(pooling, "_COPY", most)
                monkeypatch.setattr(pooling, "_WORTH", most // 8)
                found.append(results(x, size, axes))
            for a, b in zip(*found): np.testing.assert_allclose(a, b, rtol=1e-6, strict=True)


@pytest.mark.parametrize("way", ["backwards", "swapped"])
def test_a_copy_is_never_of_the_whole_of_a_large_array(way, monkeypatch):
    monkeypatch.setattr(pooling, "_COPY", 2**22)
    x = np.ones((4000, 5000), "f4")
    x = x[:, ::-1] if way == "backwards" else x.astype(x.dtype.newbyteorder())
    for axes, size in ((0, 3), ((0, 1), (40, 3))):
        assert peak(lambda axes=axes, size=size: adapool.adaptive_pool(x, size, "mean", axes)) < 2**23


def test_memory_that_runs_out_on_the_way_is_not_said_to_be_of_the_result(monkeypatch):
    def full(*call): raise MemoryError("Unable to allocate 103 GiB")
    monkeypatch.setattr(pooling, "_by_kernel", full)
    with pytest.raises(MemoryError, match=r"shape \(100000,\).*output_size 3: Unable to allocate 103 GiB"):
        adapool.adaptive_pool(np.ones(100_000, np.uint8), 3)
    with pytest.raises(ValueError, match="output_size must be one whose result fits in memory"):
        adapool.adaptive_pool(np.ones(100_000, np.uint8), 10**6)
