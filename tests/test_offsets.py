"The gradient of a maximum, which keeps a byte of each window: places, ties, NaN, borders, half precision, derivatives."

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import HALF, nothing_left_to_torch
from quick import some
from test_uncompiled import table_of

import adapool.functional as F
from adapool.kernels import back, jobs, plan, tables, vectors
from adapool.tensors import memory, operators, plain, route
from adapool.windows import Windows, adaptive_windows, fixed_windows


@pytest.fixture(autouse=True)
def kernels():
    with nothing_left_to_torch(): yield


def in_python(made, x, y, index):
    "Run a plan's kernel uncompiled, in two parts, on flat arrays whose every access is checked."
    cells, entries = made.scratch
    work = np.full(cells, 7e77), np.full(cells, 77), np.full(entries, 10**9)
    kernel, cut = vectors.interpreted(made.kernel, made.types[3], 8), made.total // 2
    for part in ((0, cut), (cut, made.total)):
        kernel(x.ravel(), y.reshape(-1), index.reshape(-1), made.geometry, table_of(made), *work, *part)
    return made.kernel.__name__


LISTS = {  # rows and columns; what finds offsets, what brings gradients back, of one channel
    "pairs": (fixed_windows(6, 2), fixed_windows(34, 2), "strided_offsets", "put_back_rows"),
    "padded": (fixed_windows(7, 3, 2, 1), fixed_windows(37, 3, 2, 1), "strided_offsets", "put_back_rows"),
    "every column": (fixed_windows(6, 5, 1, 2), fixed_windows(11, 5, 1, 2), "strided_offsets", "put_back_rows"),
    "fours": (fixed_windows(9, 4), fixed_windows(45, 6, 4, 3, True), "strided_offsets", "put_back_rows"),
    "gaps": (fixed_windows(9, 2, 4), fixed_windows(40, 3, 4), "strided_offsets", "put_back_rows"),
    "threes": (fixed_windows(9, 3), fixed_windows(27, 3), "planes", "put_back_cells"),
    "adaptive": (adaptive_windows(9, 4), adaptive_windows(23, 7), "planes", "put_back_cells"),
    "twice": (adaptive_windows(3, 6), adaptive_windows(10, 15), "planes", "put_back_cells"),
    "any": (Windows(9, [1, 1, 6], [7, 7, 8]), Windows(12, [3, 4, 4], [9, 9, 12]), "planes", "put_back_cells"),
    "long": (adaptive_windows(2, 1), adaptive_windows(240, 2), "long_rows_indices", "put_back_cells"),
}


@pytest.mark.parametrize("inner", [1, 3, 11])
@pytest.mark.parametrize("name", LISTS)
def test_uncompiled_with_every_access_checked(name, inner):
    "Against a loop over windows: the first of equals, the last NaN, and gradients added where they were."
    rows, columns, forward, backward = LISTS[name]
    rng, shape = np.random.default_rng(0), (2, 3, rows.input_size, columns.input_size, inner)
    x = rng.integers(-1, 2, shape).astype(float)
    x[rng.random(shape) < 0.1] = np.nan
    x[0, :, 1], x[1, 2, :, :9] = -np.inf, -np.inf
    axes = (rows, shape[3] * inner), (columns, inner)
    batch = (2, 3 * math.prod(shape[2:])), (3, math.prod(shape[2:]))
    made = plan.make_plan("offsets", ("f8",) * 3, batch, axes, inner)
    out = 2, 3, len(rows), len(columns), inner
    y, offsets = np.full(out, 7e77), np.full(out, 255, np.uint8)
    g, back_to = rng.normal(size=out), np.full(shape, 7e77)
    assert in_python(made, x, y, offsets) == ("channels_last_indices" if inner == 11 else forward) or inner == 3
    want, want_y, places = np.zeros(shape), np.empty(out), np.empty(out, np.int64)
    for at in np.ndindex(out):
        n, c, i, j, e = at
        (a, b), (p, q) = rows[i], columns[j]
        cells = x[n, c, a:b, p:q, e].ravel()
        best = int(np.flatnonzero(np.isnan(cells))[-1]) if np.isnan(cells).any() else int(cells.argmax())
        h, w = a + best // (q - p), p + best % (q - p)
        want_y[at], places[at] = x[n, c, h, w, e], h * columns.input_size + w
        want[n, c, h, w, e] += g[at]
    np.testing.assert_array_equal(y, want_y)
    found = torch.from_numpy(offsets).movedim(-1, 2)
    index = plain.indices(found, memory.Plan([(-2, rows), (-1, columns)]))
    np.testing.assert_array_equal(index.movedim(2, -1).numpy(), places)
    made = back.back_plan(("f8",) * 3, 6, (rows, columns), inner)
    name = in_python(made, g, back_to, offsets)
    assert name == (backward if inner == 1 else "put_back_cells" if inner == 3 else "put_back_channels")
    np.testing.assert_allclose(back_to, want, 1e-13, 1e-13)


def test_where_windows_begin():
    "Clipped windows begin where the others say; a list that is no such one begins where it starts."
    def told(w):
        first, cells, apart = tables.begins(*tables.tables(w)[:2], w.input_size)
        return [*first], cells, apart
    assert told(fixed_windows(9, 3, 2, 1)) == ([-1, 1, 3, 5, 7], 3, 2)
    assert told(fixed_windows(5, 5, 1, 2)) == ([-2, -1, 0, 1, 2], 5, 1)
    assert told(adaptive_windows(6, 3)) == ([0, 2, 4], 2, 2)
    assert told(adaptive_windows(7, 3)) == ([0, 2, 4], 3, 2)
    assert told(adaptive_windows(7, 2)) == ([0, 3], 4, 3)
    assert told(adaptive_windows(3, 5)) == ([0, 0, 1, 1, 2], 2, 0)
    assert told(Windows(9, [2, 4, 6], [4, 6, 8])) == ([2, 4, 6], 2, 2)
    assert told(adaptive_windows(7, 1)) == ([0], 7, 0)


CALLS = [
    ("max", 1, (3, 9, 70), (3, 2, 1)), ("max", 1, (3, 3, 700), (255, 1, 127)), ("max", 1, (3, 3, 700), (256, 3, 128)),
    ("max", 2, (2, 9, 20, 33), (3, 2, 1)), ("max", 2, (2, 9, 40, 34), (2, 2)), ("max", 2, (2, 16, 20, 21), (5, 1, 2)),
    ("max", 2, (2, 9, 33, 61), ((5, 51), 1, (2, 25))), ("max", 2, (2, 9, 33, 61), ((16, 16), 4)),
    ("max", 2, (2, 9, 20, 50), (2, 5)), ("max", 2, (2, 9, 30, 64), (3, (3, 4), 1, 1, True)),
    ("max", 3, (2, 8, 9, 10, 35), (3, 2, 1)), ("max", 3, (2, 8, 9, 10, 35), ((1, 3, 3), (1, 1, 4), 0)),
    ("adaptive_max", 1, (3, 9, 70), (13,)), ("adaptive_max", 2, (2, 16, 30, 41), ((7, 9),)),
    ("adaptive_max", 2, (2, 16, 30, 64), ((10, 32),)), ("adaptive_max", 2, (2, 16, 8, 9), ((16, 19),)),
    ("adaptive_max", 3, (2, 8, 9, 10, 11), ((3, 10, 5),))]


def pooled(lib, kind, d, x, args): return getattr(lib, f"{kind}_pool{d}d")(x, *args)


def leaf(x, last): return (x.to(memory_format=torch.channels_last) if last else x.clone()).requires_grad_()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_ties_and_nan_as_torchs(call, last):
    "The gradient tells which cell won; also of a gradient that comes in strided, or as one number."
    kind, d, shape, args = call
    if last and d != 2: return
    g = torch.Generator().manual_seed(0)
    x = torch.randint(-2, 3, shape, generator=g).double()
    for spoilt in (x, x.where(torch.rand(shape, generator=g) > 0.05, torch.nan), torch.full_like(x, -torch.inf)):
        mine, theirs = leaf(spoilt, last), leaf(spoilt, last)
        y, want = pooled(F, kind, d, mine, args), pooled(T, kind, d, theirs, args)
        assert torch.equal(y.nan_to_num(77), want.nan_to_num(77)) and y.stride() == want.stride()
        weights = torch.randn(*y.shape, 2, dtype=x.dtype, generator=g)[..., 0]
        for come in (weights, torch.ones(()).double().expand(y.shape), weights.to(memory_format=torch.preserve_format)):
            a, b = torch.autograd.grad(y, mine, come, True)[0], torch.autograd.grad(want, theirs, come, True)[0]
            torch.testing.assert_close(a, b)


def test_a_byte_is_kept_where_it_will_do():
    "Windows of up to 255 cells, and the index of larger ones."
    row, square = (1, 1, 700), (1, 1, 40, 60)
    for shape, told, byte in ((row, (255, 1, 0), True), (row, (256, 1, 0), False),
                              (square, (5, 51, 1, 1, 0, 0), True), (square, (16, 16, 1, 1, 0, 0), False)):
        y, places = operators.max_with_place(
            torch.randn(shape), memory.plan_of(shape[2:], None, (*told, 0, 1, 0)))
        assert places.dtype == (torch.uint8 if byte else torch.int64) and places.shape == y.shape
    x = torch.randn(2, 3, 40, 40).requires_grad_()
    assert F.max_pool2d(x, 3, return_indices=True)[1].dtype == torch.int64


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("kind, shape, args", [
    ("max", (2, 8, 20, 21), (5, 1, 2)), ("adaptive_max", (2, 8, 3, 3), ((64, 61),)),
    ("adaptive_max", (2, 8, 5, 3), ((9, 7),)), ("adaptive_max", (2, 8, 40, 3), ((1, 60),)),
    ("max", (2, 8, 33, 20), (16, 1))])
def test_half_precision_is_added_in_single_and_rounded_once(kind, shape, args, dtype, last):
    "Of a few cells that win hundreds of windows; also windows of more than 255 cells, and plain operations."
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    wide, half = leaf(x.double(), last), leaf(x, last)
    y, want = pooled(F, kind, 2, half, args), pooled(T, kind, 2, wide, args)
    g = torch.rand(y.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    (right,), (found,) = torch.autograd.grad(want, wide, g.double()), torch.autograd.grad(y, half, g)
    assert found.dtype == dtype and found.stride() == right.stride()
    assert ((found.double() - right).abs() <= right.abs() * torch.finfo(dtype).eps * 0.501).all()
    by_plain = plain.put_back(g, pooled_places(x, kind, args), plan_for(kind, shape, args))
    assert ((by_plain.double() - right).abs() <= right.abs() * torch.finfo(dtype).eps * 0.501).all()


def plan_for(kind, shape, args):
    if kind != "max": return memory.plan_of(shape[2:], args[0])
    size, stride, padding = (*args, 0)[:3]
    return memory.plan_of(shape[2:], None, (size, size, stride, stride, padding, padding, 0, 1, 0))


def pooled_places(x, kind, args): return getattr(T, f"{kind}_pool2d")(x.double(), *args, return_indices=True)[1]


@pytest.mark.parametrize("call", some([(c,) for c in CALLS], [(CALLS[i],) for i in (4, 5, 13)]), ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_the_same_bits_on_any_number_of_threads(call, last):
    kind, d, shape, args = call
    if last and d != 2: return
    shape, before, found = (4, 64, *shape[2:]), torch.get_num_threads(), []
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            mine = leaf(x, last)
            y = pooled(F, kind, d, mine, args)
            g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
            found.append([y.detach(), *torch.autograd.grad(y, mine, g)])
    finally: torch.set_num_threads(before)
    for other in found[1:]: assert all(map(torch.equal, found[0], other))


SMALL = [("max", 1, (2, 2, 17), (3, 2, 1)), ("max", 2, (2, 2, 6, 17), (3, 2, 1)), ("max", 2, (1, 9, 5, 6), (2, 3)),
         ("max", 3, (1, 2, 3, 4, 9), (2, 1)), ("adaptive_max", 2, (1, 2, 5, 7), ((3, 4),))]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("call", SMALL, ids=str)
def test_derivatives_of_all_kinds(call, last):
    "Second order, forward mode, batches of gradients, and functional transforms, from bytes as from indices."
    kind, d, shape, args = call
    if last and d != 2: return
    x = leaf(torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), last)
    pool = lambda x: pooled(F, kind, d, x, args)
    every = dict(check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert torch.autograd.gradcheck(pool, x, **every)
    assert torch.autograd.gradgradcheck(pool, x, check_batched_grad=True)
    one = x.detach()
    grads = [torch.func.grad(lambda a, lib=lib: pooled(lib, kind, d, a, args).square().sum()) for lib in (F, T)]
    many = torch.stack([one, -one])
    torch.testing.assert_close(torch.vmap(grads[0])(many), torch.stack([grads[1](a) for a in many]))
    second = [torch.func.hessian(lambda a, lib=lib: pooled(lib, kind, d, a, args).pow(3).sum())(one) for lib in (F, T)]
    torch.testing.assert_close(*second)


def test_compiled_backward_passes_read_bytes_too():
    "Compiled autograd takes the operator, which is told of an ordinary pool what it was told."
    for kind, shape, args in (("max", (2, 9, 20, 21), (3, 2, 1)), ("adaptive_max", (2, 9, 20, 21), ((7, 8),))):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
        y = pooled(F, kind, 2, x, args)
        places = y.grad_fn.saved_tensors[0]
        assert places.dtype == torch.uint8
        (want,), plan = torch.autograd.grad(y.sum(), x), plan_for(kind, shape, args)
        g = torch.ones_like(y)
        op = lambda g, p, plan=plan: operators.put_back_op(g, p, plan.input_sizes, plan.fixed)
        back = torch.compile(op, backend="aot_eager")
        assert torch.equal(back(g, places), want) and torch.equal(plain.put_back(g, places, plan), want)


def test_checkpoints_and_hooks_see_the_byte():
    "Saved tensors may be packed and unpacked, and computed anew."
    x = torch.randn(2, 4, 20, 22, generator=torch.Generator().manual_seed(0)).requires_grad_()
    want, = torch.autograd.grad(T.max_pool2d(x, 3, 2, 1).square().sum(), x)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.dtype) or t.clone(), lambda t: t):
        y = F.max_pool2d(x, 3, 2, 1)
    torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x)[0], want)
    assert kept == [torch.uint8]
    y = torch.utils.checkpoint.checkpoint(F.max_pool2d, x, 3, 2, 1, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x)[0], want)
    empty = torch.zeros(0, 4, 20, 22).requires_grad_()
    assert torch.autograd.grad(F.max_pool2d(empty, 3, 2, 1).sum(), empty)[0].shape == empty.shape


def test_very_many_windows_keep_indices(monkeypatch):
    "Such calls are done in blocks; an offset is one byte, and counted from where the windows of all begin."
    monkeypatch.setattr(jobs, "MOST_WINDOWS", 8)
    monkeypatch.setattr(route, "SMALL_NS", dict.fromkeys(("avg", "max"), (0, 0)))
    for shape, size in (((2, 9, 70), (37,)), ((2, 9, 70), (90,)), ((1, 9, 40, 13), (31, 5)), ((1, 9, 5, 40), (3, 33))):
        memory.KNOWN.clear()
        x, d = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True), len(size)
        ours, theirs = (getattr(lib, f"adaptive_max_pool{d}d")(x, size) for lib in (F, torch.nn.functional))
        assert torch.equal(ours, theirs)
        g = torch.randn_like(ours)
        torch.testing.assert_close(*(torch.autograd.grad(y, x, g)[0] for y in (ours, theirs)))
    memory.KNOWN.clear()


def test_what_has_no_offsets_is_not_copied_to_find_that_out(monkeypatch):
    x = torch.randn(2, 40, 60, 50).to(memory_format=torch.channels_last)
    monkeypatch.setattr(torch.Tensor, "contiguous", None)
    long = memory.adaptive_plan((60, 50), (2, 2))
    assert memory.tensor_by_kernel("offsets", x, long) is None
    y, places = operators.max_with_place(x, long)
    assert places.dtype is torch.int64 and y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_long_windows_in_many_channels_are_looked_at_in_runs(dtype):
    "Ties, NaN and infinities at the ends of runs and of blocks of channels; a window of more than a megabyte."
    g = torch.Generator().manual_seed(0)
    x = torch.randint(-9, 10, (2, 299, 61, 60), generator=g).to(dtype)
    x[:, ::7, 17:19, ::11], x[:, 5::13, 40, 1::9], x[1, 3] = float("inf"), float("nan"), -float("inf")
    x = x.to(memory_format=torch.channels_last)
    for size in (1, (1, 2)):
        found, wanted = F.adaptive_max_pool2d(x, size, True), T.adaptive_max_pool2d(x, size, True)
        torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("indices", [True, False])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_few_cells_of_half_precision_are_added_in_single(dtype, indices):
    "Plane after plane: nothing of one is left for the next."
    x = torch.zeros(5, 3, 30, 31)
    x[:, :, 10, 10::10] = x[:, :, 20, 10::10] = 1  # cells that two or four windows share
    leaf, single = x.to(dtype).requires_grad_(), x.clone().requires_grad_()
    g = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = F.adaptive_max_pool2d(leaf, 3, indices)
    (y[0] if indices else y).backward(g)
    T.adaptive_max_pool2d(single, 3).backward(g.float())
    torch.testing.assert_close(leaf.grad, single.grad.to(dtype), rtol=0, atol=0)
