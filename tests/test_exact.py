"""Averages and their gradients against exact rational arithmetic, numbers that are not ordinary, and huge axes.

The bound is the one that any order of summation keeps (Higham, Accuracy and Stability of Numerical Algorithms, 4.2):
with k cells in a window and unit roundoff u of the type that is computed in, the mean is off by at most k u times the
mean of the absolute values, and then half a unit in the last place of the type of the result.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import nothing_left_to_torch
from hypothesis import given
from hypothesis import strategies as st

import adapool
import adapool.functional as F
from adapool import pooling
from adapool.tensors.memory import adaptive_plan
from adapool.tensors.plain import max_with_index

# significand bits and smallest exponent of the type, unit roundoff of the type that sums are computed in
TYPES = {torch.float64: (53, -1074, 2.0**-53), torch.float32: (24, -149, 2.0**-24),
         torch.float16: (11, -24, 2.0**-24), torch.bfloat16: (8, -133, 2.0**-24)}


def half_ulp(value, dtype):
    "Half the distance of neighbours of `dtype` at the Fraction `value`."
    bits, least, _ = TYPES[dtype]
    exponent = math.frexp(float(abs(value)))[1] - bits if value else least
    return Fraction(2) ** (max(exponent, least) - 1)


def within(got, cells, weights, dtype):
    "Is `got` the sum of cells times weights, to the bound above?"
    exact = sum((Fraction(c) * w for c, w in zip(cells, weights)), Fraction(0))
    size = sum((abs(Fraction(c)) * w for c, w in zip(cells, weights)), Fraction(0))
    k, last_place = len(cells) + 1, half_ulp(exact, dtype) * (1 + Fraction(1, 64))
    tiny = Fraction(2) ** (TYPES[dtype][1] - 1) if dtype in (torch.float64, torch.float32) else 0  # of a division
    return abs(Fraction(got) - exact) <= k * Fraction(TYPES[dtype][2]) * size + last_place + tiny


@st.composite
def rows(draw):
    "A row of numbers of some type, and an output size; the largest halves have sums that are no halves."
    dtype = draw(st.sampled_from(list(TYPES)))
    width = {torch.float64: 64, torch.float32: 32}.get(dtype, 16)
    most = {64: 1e300, 32: 2.0**120, 16: 65504.0}[width]
    cell = st.floats(-most, most, width=width, allow_subnormal=True)
    few = st.sampled_from([0.0, 1.0, -1.0, most, -most, 2.0**-14])
    values = draw(st.lists(st.one_of(cell, few), min_size=1, max_size=40))
    return torch.tensor(values, dtype=torch.float64).to(dtype), draw(st.integers(1, 50))


def check_means(y, x, m, dtype):
    cells = x.double().tolist()
    for got, (start, stop) in zip(y.double().tolist(), adapool.adaptive_windows(len(cells), m), strict=True):
        seen = cells[start:stop]
        assert within(got, seen, [Fraction(1, len(seen))] * len(seen), dtype), (seen, got)


def test_the_bound_tells_two_neighbours_apart():
    cells, weights = [1.0, 2.0, 4.0], [Fraction(1, 3)] * 3
    for dtype in (torch.float16, torch.bfloat16):
        near = torch.tensor(7 / 3, dtype=dtype)
        assert within(near.item(), cells, weights, dtype)
        step = float(2 * half_ulp(Fraction(7, 3), dtype))
        for off in (-step, step): assert not within(near.item() + off, cells, weights, dtype)
    for dtype in (torch.float32, torch.float64):
        for off in (-1, 1): assert not within(7 / 3 * (1 + off * 8 * TYPES[dtype][2]), cells, weights, dtype)


@pytest.fixture
def kernels_only(monkeypatch):
    "Neither torch's operator nor NumPy does small calls."
    monkeypatch.setattr(pooling, "_SMALL", 0)
    with nothing_left_to_torch(): yield


@given(rows())
def test_means_of_small_calls_are_exact_to_the_bound(row):
    x, m = row
    check_means(F.adaptive_avg_pool1d(x[None], m)[0], x, m, x.dtype)
    if x.dtype != torch.bfloat16: check_means(torch.tensor(adapool.adaptive_pool(x.numpy(), m)), x, m, x.dtype)


def test_means_of_kernels_are_exact_to_the_bound(kernels_only): test_means_of_small_calls_are_exact_to_the_bound()


@given(rows())
def gradients_are_exact(row):
    g, n = row  # g has m cells; the input n
    x = torch.zeros(1, n, dtype=g.dtype, requires_grad=True)
    F.adaptive_avg_pool1d(x, len(g)).backward(g[None])
    cells = g.double().tolist()
    windows = list(adapool.adaptive_windows(n, len(cells)))
    for i, got in enumerate(x.grad[0].double().tolist()):
        readers = [j for j, (start, stop) in enumerate(windows) if start <= i < stop]
        weights = [Fraction(1, windows[j][1] - windows[j][0]) for j in readers]
        exact = sum((Fraction(cells[j]) * w for j, w in zip(readers, weights)), Fraction(0))
        if abs(exact) <= Fraction(torch.finfo(g.dtype).max):
            assert within(got, [cells[j] for j in readers], weights, g.dtype), (i, got)


def test_gradients_are_exact_to_the_bound(): gradients_are_exact()
def test_gradients_of_kernels_are_exact_to_the_bound(kernels_only): gradients_are_exact()


@st.composite
def boxes(draw):
    "Numbers of some type in two or three axes, an output size, and a gradient of it."
    d = draw(st.sampled_from([2, 3]))
    sizes = st.lists(st.integers(1, 9 - 2*d), min_size=d, max_size=d)
    shape, size = draw(sizes), draw(sizes)
    dtype = draw(st.sampled_from(list(TYPES)))
    cell = st.floats(-300, 300, width=16) | st.sampled_from([0.0, 1.0, -1.0, 1.5])  # often equal ones
    x, g = (draw(st.lists(cell, min_size=math.prod(n), max_size=math.prod(n))) for n in (shape, size))
    return *(torch.tensor(v, dtype=torch.float64).reshape(n).to(dtype) for v, n in ((x, shape), (g, size))), size


def boxes_of(shape, size):
    "The output places, and for each the input places in its window, in order of memory."
    axes = [[range(*w) for w in adapool.adaptive_windows(n, m)] for n, m in zip(shape, size)]
    return {at: [*itertools.product(*(windows[i] for windows, i in zip(axes, at)))]
            for at in itertools.product(*map(range, size))}


@given(boxes())
def boxes_are_exact(box):
    "Means and maxima in two and three axes, and their gradients, by fractions."
    x, g, size = box
    d, dtype, boxes = x.dim(), x.dtype, boxes_of(x.shape, size)
    means, maxima = ({cell: [] for cell in itertools.product(*map(range, x.shape))} for _ in range(2))
    for layout in (torch.contiguous_format, torch.channels_last if d == 2 else torch.channels_last_3d):
        leaf = x.expand(1, 9, *x.shape).contiguous(memory_format=layout).requires_grad_()
        y, best = (getattr(F, f"adaptive_{kind}_pool{d}d")(leaf, size) for kind in ("avg", "max"))
        upstream = g.expand(y.shape).contiguous(memory_format=layout)
        of_mean, of_best = (torch.autograd.grad(v, leaf, upstream)[0][0, 4] for v in (y, best))
        for cell in means: means[cell], maxima[cell] = [], []
        for at, cells in boxes.items():
            seen = [x[cell].item() for cell in cells]
            assert within(y[0, 4][at].item(), seen, [Fraction(1, len(seen))] * len(seen), dtype), (at, seen)
            assert best[0, 4][at].item() == max(seen)
            for cell in cells: means[cell].append((g[at].item(), Fraction(1, len(cells))))
            maxima[cells[seen.index(max(seen))]].append(g[at].item())
        for cell in means:
            assert within(of_mean[cell].item(), *zip(*means[cell]), dtype), cell
            each = Fraction(2) ** -TYPES[dtype][0]  # as torch's, these sums are rounded at each step
            off = abs(Fraction(of_best[cell].item()) - sum(map(Fraction, maxima[cell])))
            assert off <= len(maxima[cell]) * each * sum(map(abs, map(Fraction, maxima[cell]))), cell


def test_boxes_are_exact_to_the_bound(): boxes_are_exact()
def test_boxes_of_kernels_are_exact_to_the_bound(kernels_only): boxes_are_exact()


@pytest.mark.parametrize("path", ["small", "kernels"])
def test_a_mean_of_halves_whose_sum_is_beyond_them(path, request):
    if path == "kernels": request.getfixturevalue("kernels_only")
    for cells in (2, 7, 1000):
        x = torch.full((1, 3, cells), 65504, dtype=torch.float16)
        assert (F.adaptive_avg_pool1d(x, 1) == 65504).all()
        assert (adapool.adaptive_pool(x.numpy(), 2) == 65504).all()
        assert (adapool.adaptive_pool(x.numpy(), 1, "sum") == np.inf).all()


SPECIAL = [0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 5e-324, -2.0**-149]


@given(st.lists(st.sampled_from(SPECIAL), min_size=1, max_size=12), st.integers(1, 14), st.sampled_from(list(TYPES)))
def specials(values, m, dtype):
    "A NaN stays NaN, infinities of both signs meet in NaN, and of two zeros the first one wins."
    x = torch.tensor(values, dtype=torch.float64).to(dtype)
    cells = x.double().tolist()
    means, best = F.adaptive_avg_pool1d(x[None], m)[0], F.adaptive_max_pool1d(x[None], m)[0]
    values, places = F.adaptive_max_pool1d(x[None], m, return_indices=True)
    torch.testing.assert_close(values[0], best, rtol=0, atol=0, equal_nan=True)
    theirs = T.adaptive_max_pool1d(x[None], m, return_indices=True)
    assert torch.equal(places, theirs[1])
    for i, (start, stop) in enumerate(adapool.adaptive_windows(len(cells), m)):
        seen = cells[start:stop]
        if any(map(math.isnan, seen)) or {math.inf, -math.inf} <= set(seen): assert math.isnan(means[i])
        elif math.inf in map(abs, seen): assert means[i].item() in seen
        else: assert abs(means[i].item()) <= 1
        if not any(map(math.isnan, seen)):
            first = next(v for v in seen if v == max(seen))
            for y in (best[i], values[0, i]): assert y.item() == first
            assert math.copysign(1, values[0, i].item()) == math.copysign(1, first)
            assert places[0, i].item() == start + seen.index(first)


def test_numbers_that_are_not_ordinary(): specials()
def test_numbers_that_are_not_ordinary_in_kernels(kernels_only): specials()


@pytest.mark.parametrize("n", [10**8, 99_999_989])
def test_an_axis_of_100_million_cells(n):
    "Bytes have exact sums; the mean of equal cells is the cell. A prime number of cells has windows that share some."
    x = np.zeros(n, np.uint8)
    x[::1000], x[-1] = 200, 255
    sums = [int(x[start:stop].sum(dtype=np.int64)) for start, stop in adapool.adaptive_windows(n, 7)]
    assert adapool.adaptive_pool(x, 7, "sum").tolist() == sums
    exact = [Fraction(s, stop - start) for s, (start, stop) in zip(sums, adapool.adaptive_windows(n, 7))]
    assert adapool.adaptive_pool(x, 7).tolist() == [float(mean) for mean in exact]
    values, places = adapool.adaptive_max_pool(x, (3,), return_indices=True)
    assert (values.tolist(), places.tolist()[0], places.tolist()[2]) == ([200, 200, 255], 0, n - 1)
    half = torch.full((1, 1, n), 0.1, dtype=torch.float16)
    assert torch.equal(F.adaptive_avg_pool1d(half, 3), half[..., :3])
    del half
    same = torch.full((1, 1, 1), 0.1).expand(1, 1, n)
    torch.testing.assert_close(F.adaptive_avg_pool1d(same, 2), same[..., :2], rtol=2**-22, atol=0)


def test_sizes_of_one_and_of_one_cell():
    for shape, m in (((1, 1, 1), 1), ((1, 1, 1), 97), ((1, 1, 97), 1), ((1, 1, 97), 97), ((1, 1, 97), 89)):
        x = torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)
        windows = adapool.adaptive_windows(shape[-1], m)
        exact = [float(Fraction(sum(range(start, stop)), stop - start)) for start, stop in windows]
        assert F.adaptive_avg_pool1d(x, m).flatten().tolist() == exact


@pytest.mark.parametrize("shape, size", [((2, 3, 11), (4,)), ((2, 3, 7, 9), (3, 4)), ((1, 2, 5, 6, 7), (2, 3, 4))])
def test_plain_operations_choose_the_last_of_several_not_a_numbers(shape, size):
    "As torch does, along every axis."
    x = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    x[torch.rand(shape, generator=torch.Generator().manual_seed(6)) < 0.3] = math.nan
    planned = adaptive_plan(shape[2:], size)
    want = getattr(T, f"adaptive_max_pool{len(size)}d")(x, size, return_indices=True)
    for got, right in zip(max_with_index(x, planned), want):
        torch.testing.assert_close(got, right, equal_nan=True, rtol=0, atol=0)
