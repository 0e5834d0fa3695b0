"What holds for every size, with exact fractions, plain loops and torch as the oracles."

from fractions import Fraction
from math import ceil, floor, gcd

import numpy as np
import torch
import torch.nn.functional as T
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import adapool
import adapool.functional as F
from adapool import pooling
from adapool.pooling import max_pool_loops, pool_loops

sizes = st.integers(1, 10**6)
small = st.integers(1, 12)


@given(sizes, st.integers(1, 300))
def test_windows_are_the_exact_ones(n, m):
    w = adapool.adaptive_windows(n, m)
    assert list(w) == [(floor(Fraction(i * n, m)), ceil(Fraction((i + 1) * n, m))) for i in range(m)]
    assert w.sizes.sum() == n + m - gcd(n, m)
    assert set(w.overlaps.tolist()) <= {0, 1}
    assert len(set(w.sizes.tolist())) <= 2


@given(st.integers(10**15, 2**63 - 1), st.integers(1, 50))
def test_windows_of_huge_axes_do_not_overflow(n, m):
    assert list(adapool.adaptive_windows(n, m)) == [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


@given(st.integers(1, 400), st.integers(1, 120))
def test_windows_are_symmetric_and_dual(n, m):
    w = adapool.adaptive_windows(n, m)
    assert [(n - stop, n - start) for start, stop in reversed(list(w))] == list(w)
    read = {(i, j) for j, (start, stop) in enumerate(w) for i in range(start, stop)}
    dual = {(i, j) for i, (start, stop) in enumerate(adapool.adaptive_windows(m, n)) for j in range(start, stop)}
    assert read == dual


@given(st.integers(1, 3000), st.integers(1, 200))
def test_equivalents_read_the_same_cells(n, m):
    blocked = adapool.blocked_equivalent(n, m)
    if m in (1, 2, 3, 4, 6) and n >= m: assert blocked is not None
    if blocked is None: return
    b, k, s, p = blocked
    starts = [max(i * s - p, 0) for i in range(m // b)]
    stops = [min(i * s - p + k, n // b) for i in range(m // b)]
    cells = [(c * (n // b) + i, c * (n // b) + j) for c in range(b) for i, j in zip(starts, stops)]
    assert cells == list(adapool.adaptive_windows(n, m))
    assert (adapool.fixed_equivalent(n, m) is not None) == (b == 1)


@given(n=st.integers(1, 60), k=small, s=small, p=st.integers(0, 12), d=st.integers(1, 4))
def test_conv_sizes_count_positions(n, k, s, p, d):
    positions = [i for i in range(-p, n + p, s) if i + d * (k - 1) < n + p]
    assume(positions)
    assert adapool.conv_output_size(n, k, s, p, d) == len(positions)
    read = [c for i in positions for c in range(i, i + d * (k - 1) + 1, d) if 0 <= c < n]
    assert adapool.unused_inputs(n, k, s, p, d) == n - 1 - max(read, default=-1)


@given(n=st.integers(1, 60), k=small, s=small, d=st.integers(1, 4))
def test_same_padding_gives_one_window_per_stride(n, k, s, d):
    before, after = adapool.same_padding_pair(n, k, s, d)
    assert after - before in (0, 1)
    assert adapool.conv_output_size(n, k, s, "same", d) == -(-n // s)
    assert adapool.conv_output_size(n + before + after, k, s, 0, d) == -(-n // s)


@given(st.lists(st.tuples(st.integers(9, 30), small, st.integers(1, 4)), min_size=1, max_size=4))
def test_axes_do_not_mix(axes):
    n, k, s = (tuple(values) for values in zip(*axes))
    assume(all(a >= b for a, b in zip(n, k)))
    for size in (adapool.conv_output_size, adapool.pool_output_size, adapool.conv_transpose_output_size):
        assert size(n, k, s) == tuple(size(*axis) for axis in axes)
    assert adapool.unused_inputs(n, k, s) == tuple(adapool.unused_inputs(*axis) for axis in axes)


either = dict(endianness="?")
dtypes = st.one_of(hnp.boolean_dtypes(), hnp.integer_dtypes(**either), hnp.unsigned_integer_dtypes(**either),
                   hnp.floating_dtypes(sizes=(32, 64), **either))


@st.composite
def pools(draw):
    "An array, the axes to pool, a size for each, and a view of the array with its axes and their direction shuffled."
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
    elements = dict(allow_nan=False, allow_infinity=False, min_value=-1000, max_value=1000)
    dtype = draw(dtypes)
    x = draw(hnp.arrays(dtype, shape, elements=elements if dtype.kind == "f" else None))
    x = x.transpose(draw(st.permutations(range(x.ndim))))
    x = x[tuple(slice(None, None, draw(st.sampled_from((1, -1)))) for _ in range(x.ndim))]
    axes = draw(st.lists(st.sampled_from(range(x.ndim)), min_size=1, unique=True))
    return x, tuple(axes), tuple(draw(st.one_of(st.none(), st.integers(1, 9))) for _ in axes)


@given(pools(), st.sampled_from(["mean", "max", "min", "sum"]))
def test_arrays_pool_as_the_loops_do(pool, reduction):
    x, axes, size = pool
    if reduction == "sum" and x.dtype.itemsize == 8 and x.dtype.kind in "iu": x = x % 1000
    before = x.copy()
    want = pool_loops(x, size, reduction, axes)
    y = adapool.adaptive_pool(x, size, reduction, axes)
    close = dict(rtol=1e-5, atol=1e-3) if x.dtype.kind == "f" and x.dtype.itemsize < 8 else dict(rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(y.astype(float), want, **close, strict=True)
    np.testing.assert_array_equal(x, before, strict=True)
    assert not np.shares_memory(x, y)


def test_arrays_pool_as_the_loops_do_without_a_kernel(monkeypatch):
    monkeypatch.setattr(pooling, "_fast", lambda *args: None)
    test_arrays_pool_as_the_loops_do()


@given(pools())
def test_places_of_maxima_are_those_of_the_loops(pool):
    x, axes, size = pool
    if x.dtype.kind == "f": x = np.where(x > 500, np.nan, np.round(x / 300)).astype(x.dtype)
    for got, want in zip(adapool.adaptive_max_pool(x, size, True, axes), max_pool_loops(x, size, axes)):
        np.testing.assert_array_equal(got, want.astype(want.dtype.newbyteorder("=")), strict=True)


@given(st.data(), st.integers(1, 3), st.sampled_from([torch.float32, torch.float64]))
def test_tensors_pool_and_pull_back_as_torch_does(data, d, dtype):
    lead = data.draw(st.sampled_from([(2, 3), (3,), (0, 2), (1, 1)]))
    n = data.draw(st.lists(st.integers(1, 9), min_size=d, max_size=d))
    size = st.integers(1, 9) if d == 1 else st.one_of(st.none(), st.integers(1, 9))
    m = tuple(data.draw(st.lists(size, min_size=d, max_size=d)))
    g = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    spread = data.draw(st.sampled_from([0.7, 100.0]))  # many ties, or few
    base = (torch.randn(*lead, *n, generator=g, dtype=torch.float64) * spread).round().to(dtype)
    base = base.transpose(*data.draw(st.tuples(st.integers(-d, -1), st.integers(-d, -1))))
    for kind, extra in (("avg", ()), ("max", (True,))):
        results = []
        for lib in (F, T):
            x = base.detach().requires_grad_()
            out = getattr(lib, f"adaptive_{kind}_pool{d}d")(x, m, *extra)
            y, index = out if extra else (out, None)
            (y * torch.arange(y.numel(), dtype=dtype).reshape(y.shape)).sum().backward()
            results.append((y.detach(), index, x.grad))
        for mine, theirs in zip(*results): torch.testing.assert_close(mine, theirs)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 3))
def test_found_convolutions_give_the_size_and_read_as_much_as_they_say(n, out, d):
    found = adapool.find_conv(n, out, dilation=range(1, d + 1))
    assert len(set(found)) == len(found)
    unread = [n - len({j*s - p + t*d for j in range(out) for t in range(k)} & set(range(n))) for k, s, p, d in found]
    assert unread == sorted(unread)
    for params in found: assert adapool.conv_output_size(n, *params) == out


@given(st.integers(1, 200), st.integers(1, 1000))
def test_exact_sizes_are_those_with_an_ordinary_pool(m, up_to):
    sizes = adapool.exact_sizes(m, up_to)
    assert sizes == [n for n in range(1, up_to + 1) if adapool.fixed_equivalent(n, m)]


def test_exact_sizes_reach_as_far_as_they_say():
    m = 10**7
    assert adapool.exact_sizes(m, 2 * m) == [m - 1, m, m + 1, 2 * m - 1, 2 * m]
