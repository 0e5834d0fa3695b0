"Unpools beside torch's, beside loops, there and back; indices that are no places."

import copy
import itertools

import pytest
import torch
import torch.nn.functional as T
from quick import some
from test_torch_samples import outcome

import adapool.functional as F
from adapool import nn
from adapool.kernels.jobs import Job

FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
NAMES = [f"max_unpool{d}d" for d in (1, 2, 3)]
SHAPES = {1: (2, 3, 13), 2: (2, 3, 9, 8), 3: (2, 3, 6, 5, 7)}


def data(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def places(*shape, n, seed=0): return torch.randint(n, shape, generator=torch.Generator().manual_seed(seed))


def by_loops(x, index, sizes):
    "Cell after cell; also which of them stay."
    cells, where = x.flatten(-len(sizes)).flatten(0, -2), index.flatten(-len(sizes)).flatten(0, -2)
    y, stays = x.new_zeros(len(cells), torch.Size(sizes).numel()), torch.zeros_like(cells)
    for i in range(len(cells)):
        for j, to in enumerate(where[i].tolist()):
            stays[i][where[i] == to] = 0
            y[i, to], stays[i, j] = cells[i, j], 1
    return y.reshape(*x.shape[:-len(sizes)], *sizes), stays.reshape(x.shape)


def samples(name, dtype):
    from torch.testing._internal.common_methods_invocations import op_db
    info = next(info for info in op_db if info.name.endswith(name) and not info.variant_test_name)
    return info.sample_inputs("cpu", dtype, requires_grad=True), info.error_inputs("cpu")


SAMPLED = some(itertools.product(NAMES, FLOATS), [("max_unpool1d", torch.float64)])


@pytest.mark.parametrize("name, dtype", SAMPLED, ids=str)
def test_torchs_samples(name, dtype):
    "Bits, layout, errors; gradients where no place is named twice, where torch's are the true ones."
    valid, wrong = samples(name, dtype)
    for sample in valid:
        for case in (sample, sample.noncontiguous()):
            mine, wanted = (outcome(getattr(lib, name), case.input, *case.args, **case.kwargs) for lib in (F, T))
            if isinstance(wanted, type): assert mine is wanted; continue
            torch.testing.assert_close(mine, wanted, rtol=0, atol=0)
            index = case.args[0].flatten(-int(name[-2]))
            if any(len(set(row)) < len(row) for row in index.flatten(0, -2).tolist()): continue
            found = [torch.autograd.grad(y[0].square().sum(), case.input)[0] for y in (mine, wanted)]
            torch.testing.assert_close(*found, rtol=0, atol=0)
    for error in wrong:
        sample = error.sample_input
        with pytest.raises(error.error_type): getattr(F, name)(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True])
def test_of_several_the_last_stays_and_has_the_gradient(d, last):
    "By the kernel and by operations of torch, beside loops; second order, forward mode, batches."
    from adapool.tensors import unpool
    sizes, shape = (4, 3, 2)[:d], (2, 20, *(3, 4, 3)[:d])
    x, index = data(*shape), places(*shape, n=torch.Size(sizes).numel())
    if last: x, index = (a.movedim(1, -1).contiguous().movedim(-1, 1) for a in (x, index))
    want, stays = by_loops(x, index, sizes)
    for f in (unpool.unpool, unpool._by_torch):
        leaf = x.clone().requires_grad_()
        y = f(leaf, index, sizes)
        torch.testing.assert_close(y, want, rtol=0, atol=0)
        weights = data(*y.shape, seed=1)
        (g,) = torch.autograd.grad((y.square() * weights).sum(), leaf, create_graph=True)
        picked = weights.flatten(-d).gather(-1, index.flatten(-d)).reshape(x.shape) * stays
        torch.testing.assert_close(g, 2 * x * picked)
        torch.testing.assert_close(torch.autograd.grad(g.square().sum(), leaf)[0], 8 * x * picked.square())
    pool, small = lambda x: unpool.unpool(x, index[:1, :2], sizes), x[:1, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(pool, small, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(pool, small)
    many = data(3, 1, 2, *shape[2:])
    torch.testing.assert_close(torch.func.vmap(pool)(many), torch.stack([*map(pool, many)]))
    indices = torch.stack([index[:1, :2], index[1:, 2:4], index[:1, 3:5]])
    both = torch.func.vmap(lambda x, i: getattr(F, f"adaptive_max_unpool{d}d")(x, i, sizes))(many, indices)
    torch.testing.assert_close(both, torch.stack([by_loops(x, i, sizes)[0] for x, i in zip(many, indices)]))


@pytest.mark.parametrize("d, sizes", [(1, (5,)), (1, (20,)), (2, (4, 3)), (2, (9, 11)), (3, (2, 5, 9))])
def test_there_and_back(d, sizes):
    "What an adaptive pool found stands where it was, all else is 0; the whole shape says the sizes, too."
    x = data(*SHAPES[d])
    for a in (x, x[0], x.float(), x.half()):
        y, index = getattr(F, f"adaptive_max_pool{d}d")(a, sizes, return_indices=True)
        back = getattr(F, f"adaptive_max_unpool{d}d")(y, index, a.shape)
        assert torch.equal(back, getattr(F, f"adaptive_max_unpool{d}d")(y, index, tuple(a.shape[-d:])))
        found = torch.zeros_like(a).flatten(-d).scatter(-1, index.flatten(-d), 1.0).reshape(a.shape)
        assert torch.equal(back, a * found) and back.dtype is a.dtype
    layer = getattr(nn, f"AdaptiveMaxUnpool{d}d")
    assert torch.equal(layer(a.shape[-d:])(y, index), back) and torch.equal(layer()(y, index, a.shape), back)
    assert repr(layer(3)) == f"AdaptiveMaxUnpool{d}d(output_size=3)"


def test_wrong_calls_end_as_torchs_do():
    index = torch.tensor([[[[0, 1, 5]]]])
    x = torch.ones(index.shape)
    wrong = [(x, index.int(), 2), (x, index.float(), 2), (x, index[..., :1], 2), (x[0, 0], index[0, 0], 2), (x, 3, 2),
             (x[None], index[None], 2), (x[..., :0], index[..., :0], 2), (x[:, :0], index[:, :0], 2),
             (x.int(), index, 2), (x, index + 7, 2), (x, index + 2**40, 2), (x, index - 1, 2), (x, index - 2**62, 2),
             (x, index, 2.5),
             (x, index, "2"), (x, index, 2, 2, 5), (x, index, 2, 2, 0, 5), (x, index, 2, 2, 0, (7, 7)),
             (x, index, 2, 2, 0, ()), (x, index, 2, 2, 0, (2.5, 6)), (x, index, 2, 2, 9), (x.bool(), index, 2), (x,
             None, 2)]
    for args in wrong:
        mine, theirs = (outcome(lib.max_unpool2d, *args) for lib in (F, T))
        assert isinstance(mine, type) and mine is theirs, args
    fine = [(x, index, 2), (x[0], index[0], 2), (x[:0], index[:0], 2), (x, index, (2, 2), [2, 2]),
            (x, index.clamp(max=4), 3, 2, 1), (x, index, 2, 2, 0, (3, 7)), (x, index, 2, 2, 0, torch.Size((1, 1, 2,
            6))), (x, index, 2, None, 0, [2, 5])]
    for args in fine: torch.testing.assert_close(*(outcome(lib.max_unpool2d, *args) for lib in (F, T)), rtol=0, atol=0)
    deep = x[:, :, None], index[:, :, None]
    for lib in (F, T):
        with pytest.raises(RuntimeError): lib.max_unpool3d(*deep, 2, 0)


@pytest.mark.parametrize("wrong", [-1, -2**63, 12, 13, 2**62])
def test_indices_out_of_range_are_refused_before_anything_is_written(wrong, monkeypatch):
    calls, run = [], Job.__call__
    monkeypatch.setattr(Job, "__call__", lambda *args: calls.append(1) or run(*args))
    x, index = data(2, 2, 2, 3), places(2, 2, 2, 3, n=12)
    index[1, 1, 1, 2] = wrong
    for f in (lambda: F.adaptive_max_unpool2d(x, index, (3, 4)),
              lambda: F.max_unpool2d(x, index, (2, 1), (2, 1), 0, (4, 3)),
              lambda: F.adaptive_max_unpool2d(x.requires_grad_(), index, (3, 4)),
              lambda: F.adaptive_max_unpool2d(x.movedim(1, -1), index.movedim(1, -1), (3, 4))):
        with pytest.raises(RuntimeError, match="in indices"): f()
    with pytest.raises((RuntimeError, IndexError), match="index"):
        torch.func.vmap(lambda x, i: F.adaptive_max_unpool2d(x, i, (3, 4)))(x, index)
    assert not calls


def test_sizes_of_an_adaptive_unpool():
    x, index = torch.ones(1, 2, 3), torch.zeros(1, 2, 3, dtype=torch.int64)
    for size, error in ((0, RuntimeError), (-1, RuntimeError), (2.5, TypeError), ("5", TypeError),
                        ((5, 5), RuntimeError), ((), RuntimeError), (True, TypeError), (2**63, RuntimeError), (2**62,
                        RuntimeError)):
        with pytest.raises(error, match="output_size"): F.adaptive_max_unpool1d(x, index, size)
    for size in (5, (5,), [5], torch.tensor([5]), (1, 2, 5)):
        assert F.adaptive_max_unpool1d(x, index, size).shape == (1, 2, 5)
    assert F.adaptive_max_unpool1d(x, index, (None,)).shape == (1, 2, 3)
    assert F.adaptive_max_unpool2d(x, index, (4, None)).shape == (1, 4, 3)
    assert F.adaptive_max_unpool1d(x[:0], index[:0], 5).shape == (0, 2, 5)
    assert F.adaptive_max_unpool1d(x.to("meta"), index.to("meta"), 5).shape == (1, 2, 5)
    with pytest.raises(RuntimeError): F.adaptive_max_unpool1d(x, index.to("meta"), 5)


def test_the_same_bits_on_any_number_of_threads():
    x, index, before = data(2, 40, 30, 31), places(2, 40, 30, 31, n=50 * 50), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            leaf = x.clone().requires_grad_()
            y = F.adaptive_max_unpool2d(leaf, index, 50)
            found.append([y.detach(), *torch.autograd.grad(y.square().sum(), leaf)])
    finally: torch.set_num_threads(before)
    for other in found[1:]: assert all(map(torch.equal, found[0], other))
    want = torch.zeros(2, 40, 2500)
    for j in range(30 * 31): want.scatter_(-1, index.flatten(-2)[..., j, None], x.float().flatten(-2)[..., j, None])
    assert torch.equal(found[0][0].float(), want.reshape(2, 40, 50, 50))


class Segments(torch.nn.Module):
    "Down, and up again with the places."
    def __init__(self):
        super().__init__()
        self.pool, self.unpool = torch.nn.MaxPool2d(3, 2, 1, return_indices=True), torch.nn.MaxUnpool2d(3, 2, 1)

    def forward(self, x):
        y, places = self.pool(x)
        return self.unpool(y * 2, places, x.shape[-2:])


def test_a_network_with_unpools():
    "Switched, converted, traced, compiled, exported; channels_last."
    model, x = Segments(), data(2, 3, 9, 8)
    want = model(x)
    with F.enable(): assert torch.equal(model(x), want)
    ours = nn.convert(copy.deepcopy(model), verbose=False)
    assert type(ours.unpool) is nn.MaxUnpool2d and torch.equal(ours(x), want)
    last = ours(x.to(memory_format=torch.channels_last))
    assert torch.equal(last, want) and last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(torch.export.export(ours, (x,)).module()(x), want)
    assert torch.equal(torch.compile(ours, backend="aot_eager", fullgraph=True)(x), want)
    class Back(torch.nn.Module):
        def forward(self, y, places): return F.max_unpool2d(y, places, 2)
    traced = torch.fx.symbolic_trace(Back())
    assert T.max_unpool2d in {node.target for node in traced.graph.nodes}
    assert torch.equal(traced(*model.pool(x[..., :8, :])), T.max_unpool2d(*model.pool(x[..., :8, :]), 2))
