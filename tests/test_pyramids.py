"Pyramids: several output sizes of one input, against torch's pool to each."

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import DTYPES, HALF, LAYOUTS
from quick import rotated
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

import adapool
import adapool.functional as F
from adapool import nn
from adapool.kernels import rows, vectors
from adapool.kernels.geometry import Geometry
from adapool.tensors import pyramids
from adapool.tensors.memory import KNOWN
from adapool.windows import Windows, adaptive_windows

SIZES = {1: (37,), 2: (13, 17), 3: (7, 9, 8)}
LEVELS = {1: (1, 2, (4,), 6), 2: (1, (2, 3), 3, (4, 6)), 3: (1, 2, (3, 2, 3))}
KINDS = [*itertools.product(("avg", "max"), (1, 2, 3))]
CLOSE = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 1e-5, torch.float64: 1e-12}


def geometry_of(**fields): return Geometry(*[0] * len(Geometry._fields))._replace(**fields)


@pytest.fixture
def pieces(monkeypatch):
    "Pieces wherever there can be any; and nothing goes level by level."
    def refused(*args): raise AssertionError("went level by level")
    KNOWN.clear()
    monkeypatch.setattr(pyramids, "FEW_NUMBERS", 0)
    monkeypatch.setattr(pyramids, "CELLS_A_PIECE", dict.fromkeys(("avg", "max"), (0, 0)))
    monkeypatch.setattr(pyramids, "dispatched", refused)
    yield
    KNOWN.clear()


def data(d, dtype=torch.float64, layout="contiguous", ties=False):
    g = torch.Generator().manual_seed(d)
    x = torch.randn(3, 11, *SIZES[d], generator=g, dtype=torch.float64)
    return LAYOUTS[layout](((x * 2).round() if ties else x).to(dtype))


def ours(kind, d, x, levels=None, flatten=False):
    return getattr(F, f"pyramid_{kind}_pool{d}d")(x, levels or LEVELS[d], flatten)


def torchs(kind, d, x, levels=None):
    return [getattr(T, f"adaptive_{kind}_pool{d}d")(x, level) for level in levels or LEVELS[d]]


def laid_out(y): return y.dtype, y.shape, [step for n, step in zip(y.shape, y.stride()) if n > 1]


def weights(pools):
    g = torch.Generator().manual_seed(1)
    return [torch.randint(-4, 5, y.shape, generator=g).to(y.dtype) for y in pools]


FULL = [layout for layout in LAYOUTS if layout != "zero batch"]


@pytest.mark.parametrize("kind, dtype, d, layout", rotated(("avg", "max"), DTYPES, (1, 2, 3), FULL))
def test_every_level_is_torchs_pool(kind, dtype, d, layout, pieces):
    "In float64, rounded once; layouts of results and of gradients are those of single pools."
    dtype = DTYPES[dtype]
    x = data(d, dtype, layout, ties=True)
    a, b, c = (t.detach().requires_grad_() for t in (x, x.double(), x))
    mine, wanted = ours(kind, d, a), torchs(kind, d, b)
    like = [getattr(F, f"adaptive_{kind}_pool{d}d")(c, level) for level in LEVELS[d]]
    assert [*map(laid_out, mine)] == [*map(laid_out, like)]
    exact = dict(rtol=0, atol=0) if kind == "max" else dict(rtol=CLOSE[dtype], atol=CLOSE[dtype])
    for y, z, w in zip(mine, wanted, ours(kind, d, x)):
        torch.testing.assert_close(y, z.to(dtype), **exact)
        torch.testing.assert_close(w, y, rtol=0, atol=0)
    given = weights(wanted)
    got, = torch.autograd.grad(mine, a, [g.to(dtype) for g in given])
    want, = torch.autograd.grad(wanted, b, given)
    torch.testing.assert_close(got, want.to(dtype), rtol=CLOSE[dtype], atol=CLOSE[dtype])
    assert laid_out(got) == laid_out(torch.autograd.grad(like[-1].sum(), c)[0])


@pytest.mark.parametrize("kind, d", KINDS)
def test_first_and_last_of_equal_numbers(kind, d, pieces):
    "Where several cells are the maximum the first has the gradient, of several NaN the last: as of torch's pools."
    x = torch.zeros(1, 2, *SIZES[d])
    x[0, 1].view(-1)[::5] = torch.nan
    a, b = (x.clone().requires_grad_() for _ in "ab")
    for y, z in zip(mine := ours(kind, d, a), wanted := torchs(kind, d, b)):
        torch.testing.assert_close(y, z, equal_nan=True)
    grads = [torch.autograd.grad(pools, leaf, weights(pools))[0] for pools, leaf in ((mine, a), (wanted, b))]
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind, d", KINDS)
def test_flattened_as_torch_cat_does(kind, d, pieces):
    x = data(d)
    for t, at in ((x, 1), (x[0], 0), (x.contiguous(memory_format=torch.channels_last) if d == 2 else x, 1)):
        wanted = torch.cat([y.flatten(at) for y in torchs(kind, d, t)], at)
        torch.testing.assert_close(ours(kind, d, t, flatten=True), wanted)


def test_pieces_of_maxima_cover_each_window():
    "Windows of any kind: of adaptive ones the starts alone would tell."
    lists = [[adaptive_windows(n, m) for m in sizes] for n in range(1, 15) for sizes in ((1, 2, 4), (2, 3), (1, 3, 5))]
    lists += [[Windows(9, [0, 3], a), Windows(9, [0, 3, 5], [3, 5, 9])] for a in ([3, 9], [4, 9])]
    for given in [*lists, [Windows(9, [0, 2], [5, 9]), Windows(9, [0, 3, 5], [3, 5, 9])]]:
        pieces, runs = pyramids.covering(*given)
        for w, run in zip(given, runs, strict=True):
            for window, (first, last) in zip(w, run, strict=True):
                assert {*range(*window)} == {cell for piece in pieces[first:last] for cell in range(*piece)}


@pytest.mark.parametrize("dtype", HALF)
def test_sums_of_half_precision_are_single(dtype, pieces):
    "Their sums are larger than the largest number, and than those that are all whole."
    x = torch.full((1, 2, 36, 37), 59904, dtype=dtype).requires_grad_()
    mine = ours("avg", 2, x, (1, 2, 5))
    assert all((y == 59904).all() for y in mine)
    g, = torch.autograd.grad(mine, x, [torch.full_like(y, 59904) for y in mine])
    y = x.detach().double().requires_grad_()
    given = [torch.full_like(z, 59904, dtype=torch.float64) for z in mine]
    want, = torch.autograd.grad(torchs("avg", 2, y, (1, 2, 5)), y, given)
    assert (g == want.to(dtype)).double().mean() > 0.99  # single precision may lie on the other side of a half


@pytest.mark.parametrize("kind", ("avg", "max"))
def test_the_input_is_read_once_and_its_gradient_written_once(kind, pieces):
    x = data(2).requires_grad_()
    def reads(f): return sum(n is not None and type(n).__name__ == "AccumulateGrad" for n, _ in f.next_functions)
    seen, found = [y.grad_fn for y in ours(kind, 2, x)], set()
    while seen:
        f = seen.pop()
        if f in found: continue
        found.add(f)
        seen += [n for n, _ in f.next_functions if n is not None]
    assert sum(map(reads, found)) == 1


@pytest.mark.parametrize("kind, d", KINDS)
def test_derivatives_of_first_and_second_order(kind, d, pieces):
    shape = (1, 2, *((9,), (5, 6), (3, 4, 5))[d - 1])
    x = torch.randperm(int(np.prod(shape)), generator=torch.Generator().manual_seed(0)).double().reshape(shape)
    x.requires_grad_()
    def pool(t): return ours(kind, d, t, (1, 2), flatten=True)
    assert torch.autograd.gradcheck(pool, x, eps=1e-3, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(pool, x, eps=1e-3, fast_mode=True)


@pytest.mark.parametrize("kind", ("avg", "max"))
def test_forward_mode_and_vmap(kind):
    x, v = data(2), data(2).flip(0)
    def mine(t): return ours(kind, 2, t, flatten=True)
    def wanted(t): return torch.cat([y.flatten(-3) for y in torchs(kind, 2, t)], -1)
    torch.testing.assert_close(torch.func.jvp(mine, (x,), (v,)), torch.func.jvp(wanted, (x,), (v,)))
    torch.testing.assert_close(torch.func.vmap(mine)(x), wanted(x))
    back = torch.func.vmap(torch.func.grad(lambda t: (mine(t) ** 2).sum()))
    torch.testing.assert_close(back(x), torch.func.vmap(torch.func.grad(lambda t: (wanted(t) ** 2).sum()))(x))


@pytest.mark.parametrize("kind", ("avg", "max"))
def test_compiled_without_a_break(kind):
    x = data(2, torch.float32).requires_grad_()
    compiled = torch.compile(lambda t: ours(kind, 2, t, flatten=True), fullgraph=True, backend="aot_eager")
    mine, wanted = compiled(x), ours(kind, 2, x, flatten=True)
    torch.testing.assert_close(mine, wanted)
    torch.testing.assert_close(*(torch.autograd.grad((y ** 2).sum(), x)[0] for y in (mine, wanted)))


def test_kinds_of_tensors():
    x = data(2, torch.float32)
    wanted = [y.shape for y in torchs("avg", 2, x)]
    assert [y.shape for y in ours("avg", 2, x.to("meta"))] == wanted
    with FakeTensorMode() as mode:
        assert [y.shape for y in ours("max", 2, mode.from_tensor(x))] == wanted
    two = ours("avg", 2, TwoTensor(x, 2 * x))
    assert all(type(y) is TwoTensor for y in two)
    torch.testing.assert_close(two[1].b, torchs("avg", 2, 2 * x)[1])
    with torch.autocast("cpu", torch.bfloat16):
        for d, t in ((2, x.bfloat16()), (3, data(3, torch.bfloat16))):
            mine, theirs = ours("avg", d, t), torchs("avg", d, t)
            assert [y.dtype for y in mine] == [y.dtype for y in theirs]


@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("kind", ("avg", "max"))
def test_the_same_bits_on_any_number_of_threads(kind, dtype):
    x = torch.randn(4, 24, 44, 47, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    threads, found = torch.get_num_threads(), []
    try:
        for many in (1, 2, 8):
            torch.set_num_threads(many)
            y = ours(kind, 2, x, (1, 2, 3, 6), flatten=True)
            found.append((y, *torch.autograd.grad(y, x, torch.ones_like(y) / 3)))
    finally: torch.set_num_threads(threads)
    for other in found[1:]: torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def test_few_cells_go_level_by_level():
    "Small inputs, and levels that would cut an axis into more pieces than pay, and a single level."
    KNOWN.clear()
    for shape, levels in (((1, 2, 9, 9), (1, 2)), ((8, 64, 13, 13), (3, 5, 7)), ((8, 64, 30, 30), (3,))):
        x = torch.randn(shape)
        torch.testing.assert_close(ours("avg", 2, x, levels), torchs("avg", 2, x, levels))


WRONG = [(TypeError, 3), (TypeError, None), (TypeError, "12"), (TypeError, (1, 2.5)), (TypeError, (1, True)),
         (TypeError, (1, (1, "2"))), (ValueError, ()), (ValueError, []), (ValueError, (2, 1)),
         (ValueError, [(2, 2), 1]), (ValueError, ((1, 3), (2, 2))), (ValueError, ((2, None), 3)),
         (RuntimeError, (1, (2, 2, 2))), (RuntimeError, (-1, 2)), (RuntimeError, (1, (2,)))]


@pytest.mark.parametrize("error, levels", WRONG, ids=str)
def test_levels_that_are_refused(error, levels):
    for x in (data(2), data(2).to("meta")):
        with pytest.raises(error): F.pyramid_avg_pool2d(x, levels)


def test_inputs_that_are_refused():
    for kind in ("avg", "max"):
        with pytest.raises(NotImplementedError): ours(kind, 2, data(2).int())
        with pytest.raises(TypeError): ours(kind, 2, np.ones((1, 2, 3, 3)))
        with pytest.raises(RuntimeError): ours(kind, 2, torch.ones(3, 3))
        with pytest.raises(RuntimeError): ours(kind, 2, torch.ones(1, 2, 0, 3))
    assert [y.shape for y in ours("avg", 1, torch.ones(0, 2, 9), (1, 3))] == [(0, 2, 1), (0, 2, 3)]


@pytest.mark.parametrize("kind", ("avg", "max"))
def test_no_two_levels_share_memory(kind, pieces):
    for leaf in (data(2), data(2).requires_grad_()):
        assert len({y.data_ptr() for y in ours(kind, 2, leaf, (2, 4, 4))}) == 3


def test_none_keeps_an_axis():
    x = data(2)
    torch.testing.assert_close(ours("avg", 2, x, (1, (2, None))), torchs("avg", 2, x, (1, (2, None))))
    torch.testing.assert_close(ours("max", 2, x, [[1, 2], (2, 3)]), torchs("max", 2, x, ((1, 2), (2, 3))))


@pytest.mark.parametrize("d", (1, 2, 3))
def test_layers(d):
    x = data(d, torch.float32)
    for kind in ("avg", "max"):
        layer = getattr(nn, f"Pyramid{kind.title()}Pool{d}d")
        torch.testing.assert_close(layer(LEVELS[d])(x), torchs(kind, d, x))
        torch.testing.assert_close(layer(LEVELS[d], flatten=True)(x), ours(kind, d, x, flatten=True))
        assert "flatten" in repr(layer((1, 2), True)) and "flatten" not in repr(layer((1, 2)))
        with pytest.raises(ValueError): layer(())


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("d", (1, 2, 3))
def test_average_and_maximum(d, dtype):
    "As fastai puts them together, which leaves out a size for 1, and as timm does."
    x = data(d, dtype)
    layer = getattr(nn, f"AdaptiveConcatPool{d}d")
    last = LAYOUTS["channels_last"](x)
    for t, size in ((x, None), (x, 3), (x[0], 2), (last, 4)):
        leaf, other = (t.detach().requires_grad_() for _ in "ab")
        means, best = (getattr(F, f"adaptive_{kind}_pool{d}d")(other, size or 1) for kind in ("avg", "max"))
        at = -d - 1
        wanted = {"max_avg": torch.cat([best, means], at), "avg_max": torch.cat([means, best], at),
                  "mean": 0.5 * (means + best)}
        for mode, z in wanted.items():
            y = layer(size, mode)(leaf)
            torch.testing.assert_close(y, z, rtol=CLOSE[dtype], atol=CLOSE[dtype])
            g = weights([z])[0]
            grads = torch.autograd.grad(y, leaf, g)[0], torch.autograd.grad(z, other, g, retain_graph=True)[0]
            torch.testing.assert_close(*grads, rtol=CLOSE[dtype], atol=CLOSE[dtype])
    torch.testing.assert_close(layer(3)(x), getattr(F, f"adaptive_concat_pool{d}d")(x, 3))
    for wrong in ("max", None, 3):
        with pytest.raises(ValueError, match="mode must be"): layer(3, wrong)(x)


@pytest.mark.parametrize("d", (1, 2, 3))
def test_average_and_maximum_of_more_than_a_cache_holds(d, monkeypatch):
    "Some planes at a time, the same numbers; the last part may be small."
    x = data(d, torch.float32)
    monkeypatch.setattr(pyramids, "BLOCK", 1)
    wanted = [getattr(F, f"adaptive_concat_pool{d}d")(x, 3)]
    monkeypatch.setattr(pyramids, "MORE_THAN_A_CACHE", 1)
    parts, pool = [], pyramids._best_and_means
    monkeypatch.setattr(pyramids, "_best_and_means", lambda d, x, size: parts.append(len(x)) or pool(d, x, size))
    torch.testing.assert_close([getattr(F, f"adaptive_concat_pool{d}d")(x, 3)], wanted)
    assert parts == [8, 8, 8, 8, 1]


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("cells", [(32,), (7, 7), (4, 5, 3), (519,), (23, 45), (17000,)])
def test_average_and_maximum_of_planes_from_one_reading(cells, dtype):
    "NaN and infinities, planes at the end of memory, every number of threads: the numbers that two calls give."
    d, generator = len(cells), torch.Generator().manual_seed(0)
    for batch in ((3, 64), (67, 1), (5, 130), (65,))[:4 if cells[0] < 1000 else 2]:
        x = torch.randn(*batch, *cells, generator=generator).to(dtype)
        if batch[-1] == 64: x.view(-1)[3::x.numel() // 20] = torch.nan
        x.view(-1)[-1], x.view(-1)[5] = 99, torch.inf
        if x.numel() < pyramids.ONE_READING: x = x.repeat(40, *(1,) * (x.dim() - 1))
        best, means = pyramids._best_and_means(d, x, 1)
        for mode, pools in (("max_avg", [best, means]), ("avg_max", [means, best]), ("mean", None)):
            want = torch.cat(pools, -d - 1) if pools else (means + best) / 2
            found = []
            for threads in (1, 2, 8):
                torch.set_num_threads(threads)
                found.append(pyramids._by_one_kernel(d, x, 1, mode))
            torch.set_num_threads(2)
            found.append(getattr(F, f"adaptive_concat_pool{d}d")(x, 1, mode))
            for y in found[1:]: torch.testing.assert_close(y, found[0], rtol=0, atol=0, equal_nan=True)
            torch.testing.assert_close(found[0], want, rtol=CLOSE[dtype], atol=CLOSE[dtype], equal_nan=True)


@pytest.mark.parametrize("cells", (32, 61, 513, 1040))
def test_average_and_maximum_of_planes_uncompiled(cells):
    "Each access is checked: nothing is read behind the last plane."
    x, y = np.random.default_rng(0).integers(-9, 9, (4, cells)).astype(float), np.full((2, 4), np.nan)
    kernel = vectors.interpreted(rows.means_and_maxima, "sum", 8)
    for first, last in ((0, 3), (3, 4)):
        geometry = geometry_of(n_w=cells, planes=2, limit=x.size, y_a=4, y_h=2)
        kernel(x.ravel(), y.reshape(-1), None, geometry, None, None, None, None, first, last)
    np.testing.assert_array_equal(y, np.hstack([x.max(1).reshape(2, 2), x.mean(1).reshape(2, 2)]))


def test_average_and_maximum_of_many_samples_with_channels_innermost(monkeypatch):
    "Some samples at a time."
    x = data(2, torch.float32).contiguous(memory_format=torch.channels_last)
    wanted = F.adaptive_concat_pool2d(x, 3)
    monkeypatch.setattr(pyramids, "BLOCK", 1)
    monkeypatch.setattr(pyramids, "MORE_THAN_A_CACHE", 1)
    y = F.adaptive_concat_pool2d(x, 3)
    torch.testing.assert_close(y, wanted)
    assert y.stride() == wanted.stride()


def test_arrays_are_pooled_from_pieces(monkeypatch):
    x = np.random.default_rng(0).integers(0, 99, (4, 131, 127))
    wanted = [adapool.adaptive_pool(x, m, "sum", axes=(1, 2)) for m in (1, 2, 3)]
    monkeypatch.setattr("adapool.pyramids.adaptive_pool", None)
    for mine, y in zip(adapool.pyramid_pool(x, (1, 2, 3), "sum", (1, -1)), wanted, strict=True):
        np.testing.assert_array_equal(mine, y, strict=True)


def test_arrays():
    "More than are on the page: arrays that are laid out otherwise, all axes, more cells than there are."
    x = np.random.default_rng(0).normal(size=(40, 50, 60)).astype(np.float32)
    for t in (x, x.T, x[:, ::-1, ::2], np.asfortranarray(x), x.astype(">f4"), x.tolist()):
        for levels, axes in (((1, (2, 3, 3)), None), ((1, 5), (0, 2)), ((7, 90), -1), (np.array([2, 3]), [1, 0])):
            found = adapool.pyramid_pool(t, levels, "mean", axes)
            assert len(found) == len(levels)
            for y, level in zip(found, levels):
                wanted = adapool.adaptive_pool(t, level, "mean", axes if axes is not None else (0, 1, 2))
                np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5, strict=True)
    for wrong, axes in (((2, 1), 0), ((), 0), ((1, 2), 5), ((1, 0), 0)):
        with pytest.raises(ValueError): adapool.pyramid_pool(x, wrong, axes=axes)
    with pytest.raises(TypeError): adapool.pyramid_pool(x, 3)
    with pytest.raises(ValueError): adapool.pyramid_pool(x, (1, 2), "middle")


def test_exported_and_run_elsewhere(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.average, self.best = nn.PyramidAvgPool2d((1, 2, 3)), nn.PyramidMaxPool2d((1, 2, 5), flatten=True)
            self.both = nn.AdaptiveConcatPool2d()

        def forward(self, x): return *self.average(x), self.best(x), self.both(x)
    x = data(2, torch.float32)
    adapool.export.to_onnx(Head(), x, tmp_path / "a.onnx", progress=False)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for mine, other in zip(Head()(x), session.run(None, {session.get_inputs()[0].name: x.numpy()}), strict=True):
        np.testing.assert_allclose(other, mine.numpy(), rtol=1e-5, atol=1e-6)
    for y, z in zip(adapool.export.portable(Head(), x)(x), Head()(x), strict=True): torch.testing.assert_close(y, z)
