"How much memory pooling takes beside its input and output: counted by tracemalloc, which sees every NumPy array."

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
