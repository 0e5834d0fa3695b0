"How much memory pooling takes beside its input and output: counted by tracemalloc, which sees every NumPy array."

import tracemalloc

import numpy as np
import pytest

import adapool


def peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()


@pytest.mark.parametrize("dtype, reduction, share", [
    ("uint8", "mean", 0.6), ("float16", "mean", 0.3), ("float32", "mean", 0.1), ("uint8", "max", 0.1)])
def test_a_reduction_copies_nothing_of_the_size_of_its_input(dtype, reduction, share):
    x = np.ones((2000, 3000), dtype)
    assert peak(lambda: adapool.adaptive_pool(x, (7, 7), reduction)) < share * x.nbytes


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_places_of_maxima_cost_one_copy(dtype):
    x = np.ones((2000, 3000), dtype)
    assert peak(lambda: adapool.adaptive_max_pool(x, (7, 7), return_indices=True)) < 1.6 * x.nbytes
