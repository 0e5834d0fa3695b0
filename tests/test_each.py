"Lists of tensors of different sizes and padded batches, beside torch's pool of each and a stack."

import itertools

import pytest
import torch
import torch.nn.functional as T
from quick import some

import adapool.functional as F

FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
SIZES = {1: [(5,), (1,), (17,), (5,)], 2: [(4, 9), (1, 1), (30, 2), (9, 4)], 3: [(2, 3, 4), (5, 1, 2), (1, 7, 9)]}
TO = {1: (4,), 2: (3, 4), 3: (2, 1, 3)}


def data(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def lists(d, dtype=torch.float64, grad=True):
    return [data(3, *n, dtype=dtype, seed=i).requires_grad_(grad) for i, n in enumerate(SIZES[d])]


def one_by_one(kind, xs, size):
    "Halves in double, rounded once."
    half = xs[0].dtype in FLOATS[:2] and kind == "avg"
    pool = getattr(T, f"adaptive_{kind}_pool{xs[0].dim() - 1}d")
    return torch.stack([pool(x.double(), size).to(x.dtype) if half else pool(x, size) for x in xs])


@pytest.mark.parametrize("kind, d, dtype", some(itertools.product(("avg", "max"), (1, 2, 3), FLOATS), 12), ids=str)
def test_a_list_as_each_alone(kind, d, dtype):
    "Values, gradients of each, and of some of them alone."
    xs = lists(d, dtype)
    mine, theirs = F.pool_each(xs, TO[d], kind), one_by_one(kind, xs, TO[d])
    assert mine.is_contiguous() and mine.dtype is dtype
    close = dict(rtol=0, atol=0) if kind == "max" else {}
    torch.testing.assert_close(mine, theirs, **close)
    g = data(*mine.shape, dtype=dtype, seed=9)
    near = dict(rtol=3e-2, atol=3e-2) if dtype.itemsize == 2 else {}  # torch adds gradients in the type itself
    for a, b in zip(*(torch.autograd.grad(y, xs, g) for y in (mine, theirs))): torch.testing.assert_close(a, b, **near)
    xs[1].requires_grad_(False)
    some_of_them = [xs[0], *xs[2:]]
    for a, b in zip(*(torch.autograd.grad(y, some_of_them, g) for y in (
            F.pool_each(xs, TO[d], kind), one_by_one(kind, xs, TO[d])))): torch.testing.assert_close(a, b)
    with torch.no_grad(): assert torch.equal(F.pool_each(tuple(xs), TO[d], kind), mine)


def padded(xs, value=torch.nan):
    "A batch with `value` behind each."
    d, most = xs[0].dim() - 1, [max(n) for n in zip(*(x.shape[1:] for x in xs))]
    batch = torch.full((len(xs), len(xs[0]), *most), value, dtype=xs[0].dtype)
    for row, x in zip(batch, xs): row[(..., *map(slice, x.shape[1:]))] = x.detach()
    return batch, [tuple(x.shape[1:]) if d > 1 else x.shape[1] for x in xs]


@pytest.mark.parametrize("kind, d", [*itertools.product(("avg", "max"), (1, 2, 3))])
def test_a_padded_batch_reads_no_padding(kind, d):
    xs = lists(d)
    batch, sizes = padded(xs)
    leaf = batch.clone().requires_grad_()
    want, y = F.pool_each(xs, TO[d], kind), F.pool_each(leaf, TO[d], kind, sizes=sizes)
    assert torch.equal(y, want) and torch.equal(F.pool_each(batch, TO[d], kind, torch.tensor(sizes)), want)
    (g,), each = torch.autograd.grad(y.square().sum(), leaf), torch.autograd.grad(want.square().sum(), xs)
    alone, _ = padded(each, 0.0)
    assert torch.equal(g, alone)
    last = batch.movedim(1, -1).contiguous().movedim(-1, 1)
    torch.testing.assert_close(F.pool_each(last, TO[d], kind, sizes), want)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_derivatives_by_differences(kind):
    xs = [data(2, 3, 4).requires_grad_(), data(2, 2, 5, seed=1).requires_grad_()]
    assert torch.autograd.gradcheck(lambda *xs: F.pool_each(xs, 2, kind), xs)
    assert torch.autograd.gradgradcheck(lambda *xs: F.pool_each(xs, 2, kind), xs)
    batch, sizes = padded(xs, 0.5)
    pool = lambda x: F.pool_each(x, 2, kind, sizes)
    assert torch.autograd.gradcheck(pool, batch.requires_grad_(), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(pool, batch)
    many = torch.stack([batch.detach(), -batch.detach()])
    torch.testing.assert_close(torch.func.vmap(pool)(many), torch.stack([*map(pool, many)]))


@pytest.mark.filterwarnings("ignore")
def test_nested_tensors_graphs_and_other_kinds():
    xs = [x.detach().float() for x in lists(1)]
    want = F.pool_each(xs, 4)
    ragged = [x.T.contiguous().requires_grad_() for x in xs]
    jagged = torch.nested.nested_tensor([x.detach() for x in ragged], layout=torch.jagged, requires_grad=True)
    y = F.pool_each(jagged.transpose(1, 2), 4)
    torch.testing.assert_close(y, want)
    y.sum().backward()
    for a in jagged.grad.unbind(): torch.testing.assert_close(a.sum(0), torch.full((3,), 4.0))
    assert torch.equal(F.pool_each(torch.nested.nested_tensor(xs), 4), want)
    batch, sizes = padded(xs, 0.0)
    torch.testing.assert_close(F.pool_each(batch, 4), F.adaptive_avg_pool1d(batch, 4))
    graph = torch.compile(lambda x: F.pool_each(x, 4, sizes=sizes), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(graph(batch), want)
    class Model(torch.nn.Module):
        def forward(self, x): return F.pool_each(x, 4, sizes=sizes)
    torch.testing.assert_close(torch.export.export(Model(), (batch,)).module()(batch), want)
    assert F.pool_each([x.to("meta") for x in xs], 4).shape == want.shape
    deep = [x.bfloat16() for x in lists(3)]
    with torch.autocast("cpu", torch.bfloat16):
        assert F.pool_each(deep, 2).dtype is F.adaptive_avg_pool3d(deep[0], 2).dtype


def test_the_same_bits_on_any_number_of_threads():
    xs, before, found = [data(64, n, 70 - n) for n in range(20, 50)], torch.get_num_threads(), []
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            leaves = [x.clone().requires_grad_() for x in xs]
            y = F.pool_each(leaves, 7)
            found.append([y.detach(), *torch.autograd.grad(y.square().sum(), leaves)])
    finally: torch.set_num_threads(before)
    for other in found[1:]: assert all(map(torch.equal, found[0], other))


def test_wrong_lists_and_sizes():
    x, batch = data(3, 4, 5), data(2, 3, 4, 5)
    for xs, error in (([], RuntimeError), ([x, x[:2]], RuntimeError), ([x, x.float()], RuntimeError), ([x, x[0]],
    RuntimeError),
                      ([x, x.to("meta")], RuntimeError), ([x, x[:, :0]], RuntimeError), ([x[..., :0]], RuntimeError),
                      ([x, 3], TypeError), (None, TypeError), ("text", TypeError), ([x.long()], NotImplementedError),
                      ([x[0, 0]], RuntimeError), ([batch[None]], RuntimeError), (x[0, 0, 0], RuntimeError)):
        with pytest.raises(error, match="input"): F.pool_each(xs, 2)
    for size, error in ((-1, RuntimeError), (2.5, TypeError), ((1, 2, 3), (RuntimeError, ValueError)), ((None, 2),
    ValueError)):
        with pytest.raises(error, match="output_size"): F.pool_each([x, x], size)
    with pytest.raises(ValueError, match="kind"): F.pool_each([x], 2, "sum")
    for sizes, error in (([(4, 6), (1, 1)], ValueError), ([(0, 1), (1, 1)], ValueError), ([(1, 1)], ValueError), (3,
    ValueError),
                         ([(1,), (1,)], ValueError), ([(-1, 1), (1, 1)], ValueError), ([(1.5, 1), (1, 1)], TypeError),
                         (torch.ones(2, 3), ValueError), (torch.ones(2, 2), TypeError), ([4, 4], ValueError)):
        with pytest.raises(error, match="sizes"): F.pool_each(batch, 2, sizes=sizes)
    with pytest.raises(TypeError, match="sizes"): F.pool_each([x], 2, sizes=[(1, 1)])
    assert F.pool_each([x, x], 0).shape == (2, 3, 0, 0)
