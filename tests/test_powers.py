"Lp pools beside torch's, GeM and SoftPool beside their formulas, in every mode of torch."

import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from quick import some
from test_torch_samples import outcome

import adapool.functional as F
from adapool import nn

HALF = torch.float16, torch.bfloat16
LP = [f"lp_pool{d}d" for d in (1, 2, 3)]
SHAPES = {1: (2, 3, 13), 2: (2, 3, 9, 8), 3: (2, 3, 6, 5, 7)}


def data(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def assert_same(mine, theirs, **close):
    if isinstance(theirs, type): assert mine is theirs
    else: torch.testing.assert_close(mine, theirs, equal_nan=True, **close)


def grads(y, x, again=True):
    "The gradient of what comes out, and the gradient of that."
    first, = torch.autograd.grad((y * torch.linspace(1, 2, y.numel(), dtype=y.dtype).reshape(y.shape)).sum(), x,
                                 create_graph=again)
    return [first.detach(), *(torch.autograd.grad(first.sum(), x) if again and first.requires_grad else ())]


CALLS = [(2, 3), (2, 3, 2), (3, 2, 3, True), (1, 2), (1.5, 2, 1, True), (0.5, 3), (-2, 2), (math.inf, 3, 1, True),
         (-math.inf, 3), (2.0, 4, 3, True), (True, 2)]


@pytest.mark.parametrize("name", LP)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lp_pools_as_torchs(name, dtype):
    "Values and gradients; of negative numbers and of zeros, whose gradient is 0."
    x = data(*SHAPES[int(name[-2])], dtype=dtype)
    x[0, 0] = 0
    for args in CALLS:
        for a in (x, x.abs(), x[0], x[..., ::2]):
            found = []
            for lib in (F, T):
                leaf = a.clone().requires_grad_()
                y = getattr(lib, name)(leaf, *args)
                found.append([y.detach(), *grads(y, leaf, dtype is torch.float64)])
            if args[0] == 1.5: found[1][2:] = [g.where(a != 0,
            0) for g in found[1][2:]]  # torch's second gradient at 0: a NaN
            assert_same(*found)
    with F.enable(): assert torch.equal(getattr(T, name)(x, 2, 3, 2), getattr(F, name)(x, 2, 3, 2))


WRONG = [*((2, k) for k in (0, -1, 2.5, None, (), (2,), (2, 2), (2, 2, 2), [2, 2], 20)), (0, 2), (0.0, 2),
         (None, 2), ("2", 2), (2, 2, 0), (2, 2, -1), (2, 2, (1, 1)), (2, 2, 1.5), (2, 2, ()), (2, 2, None, None),
         (math.inf, (2,)), (math.nan, 2), (torch.tensor(2.0), 2), (np.float32(2), 2),
         (0, 2, None, "same"), (-0.0, 2, 0), (0, (2,) * 4)]


@pytest.mark.parametrize("name", LP)
def test_unusual_and_wrong_lp_pools_end_as_torchs_do(name):
    d = int(name[-2])
    x = data(*SHAPES[d])
    for args in WRONG: assert_same(*(outcome(getattr(lib, name), x, *args) for lib in (F, T)))
    for a in (x[0, 0], x[None], x[:0], x[:, :0], x[..., :0], x.long(), x.bool(), x.to(torch.complex64), x.to("meta")):
        assert_same(*(outcome(getattr(lib, name), a, 2, 2) for lib in (F, T)))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_half_precision_is_computed_in_single_and_rounded_once(d, dtype):
    x = (data(*SHAPES[d]).abs() + 0.5).to(dtype)
    pairs = [(getattr(F, f"lp_pool{d}d"), (3, 2)), (F.gem_pool, ((3,) * d,)), (F.soft_pool, ((3,) * d,))]
    for pool, args in pairs:
        y, want = pool(x, *args), pool(x.double(), *args)
        assert y.dtype is dtype
        torch.testing.assert_close(y.double(), want, rtol=0.51 * torch.finfo(dtype).eps, atol=0)
    large = torch.full((1, 1, *(2,) * d), 300, dtype=torch.float16)
    assert getattr(F, f"lp_pool{d}d")(large, 2, 2).item() == pytest.approx(300 * 2**(d/2), rel=1e-3)


def gem(pool, x, p, eps=1e-6): return pool(x.clamp(min=eps).pow(p)).pow(1 / p)
def soft(pool, x): return pool(x * x.exp()) / pool(x.exp())


WINDOWS = [  # ours, and how a mean of torch's has the same; for each number of axes
    ({}, lambda d: lambda x: x.mean([*range(-d, 0)], keepdim=True)),
    (dict(output_size=3), lambda d: lambda x: getattr(T, f"adaptive_avg_pool{d}d")(x, 3)),
    (dict(output_size=15), lambda d: lambda x: getattr(T, f"adaptive_avg_pool{d}d")(x, 15)),
    (dict(kernel_size=2), lambda d: lambda x: getattr(T, f"avg_pool{d}d")(x, 2)),
    (dict(kernel_size=3, stride=2, padding=1, ceil_mode=True),
     lambda d: lambda x: getattr(T, f"avg_pool{d}d")(x, 3, 2, 1, True, False)),
]


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("given, theirs", WINDOWS, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_the_formulas_over_any_windows(d, given, theirs):
    "With gradients, by one power and by one for each channel; SoftPool also where it takes windows one by one."
    pool, shape = theirs(d), SHAPES[d]
    for p in (torch.tensor(3.0), torch.tensor([2.5]), torch.tensor([1.0, 3.0, 6.0])):
        leaves = [(data(*shape).requires_grad_(), p.double().requires_grad_()) for _ in range(2)]
        mine = F.gem_pool(leaves[0][0], p=leaves[0][1], **given)
        want = gem(pool, leaves[1][0], leaves[1][1].reshape(-1, *[1] * d))
        torch.testing.assert_close(mine, want)
        for a, b in zip(*(torch.autograd.grad(y.square().sum(), x) for y, x in zip((mine, want), leaves))):
            torch.testing.assert_close(a, b)
    for spread in (1, 60):
        x = [(data(*shape) * spread).requires_grad_() for _ in range(2)]
        mine, want = F.soft_pool(x[0], **given), soft(pool, x[1])
        torch.testing.assert_close(mine, want)
        for a, b in zip(grads(mine, x[0]), grads(want, x[1])): torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_sizes_for_each_axis_and_tensors_without_a_batch():
    x = data(3, 9, 8)
    for pool in (F.gem_pool, F.soft_pool):
        for given in (dict(output_size=(4, None)), dict(kernel_size=(3, 2), stride=(2, 1)), dict(kernel_size=[3, 2])):
            torch.testing.assert_close(pool(x, **given), pool(x[None], **given)[0])
        assert pool(x, (4, None)).shape == (3, 4, 8) and pool(x).shape == (3, 9, 1)


def test_soft_pools_of_cells_far_apart():
    "Each window is as it is alone; a cell at -inf weighs nothing, a NaN stays in its windows."
    x = torch.tensor([[[-1e4, -1e4 - 1, 1e4, 1e4 + 3, 0, 1, -math.inf, 2, math.nan, 1]]])
    each = [F.soft_pool(x[..., i:i + 2]) for i in range(0, 10, 2)]
    torch.testing.assert_close(F.soft_pool(x, 5), torch.cat(each, -1), equal_nan=True)
    torch.testing.assert_close(F.soft_pool(x, kernel_size=2), torch.cat(each, -1), equal_nan=True)
    torch.testing.assert_close(each[0], torch.tensor([[[-1e4 - 0.26894143]]]))
    assert each[3].item() == 2 and each[4].isnan() and not F.soft_pool(x, 5)[..., :4].isnan().any()
    leaf = x[..., :8].clone().requires_grad_()
    F.soft_pool(leaf, 4).sum().backward()
    assert leaf.grad.isfinite().all()


def test_powers_neither_overflow_nor_vanish():
    x = torch.tensor([[[1e14, 2e14, 1e-3, 2e-3], [0, 0, 0, 0], [3, 5, 3e-5, 0]]], requires_grad=True)
    y = F.gem_pool(x, 2, p=20.0)
    want = gem(lambda x: T.adaptive_avg_pool1d(x, 2), x.detach().double(), 20.0).float()
    keep = torch.tensor([[True, False], [True, True], [True, False]])  # the rest vanishes beside its plane's largest
    torch.testing.assert_close(y[0][keep], want[0][keep])
    y.sum().backward()
    assert x.grad.isfinite().all() and not y.isnan().any()


@pytest.mark.parametrize("pool, name", [(F.gem_pool, "gem_pool"), (F.soft_pool, "soft_pool")])
def test_wrong_calls_of_both(pool, name):
    x = data(2, 3, 8, 7)
    refused = [(dict(output_size=2, kernel_size=2), ValueError), (dict(stride=2), ValueError),
               (dict(output_size=-1), RuntimeError), (dict(output_size=2.5), TypeError),
               (dict(kernel_size=0), RuntimeError), (dict(kernel_size=9), RuntimeError), (dict(kernel_size=2,
               padding=2), RuntimeError),
               (dict(output_size=(1,) * 4), RuntimeError), (dict(kernel_size="3"), TypeError)]
    if pool is F.gem_pool: refused += [
        (dict(p=0), ValueError), (dict(p=-1.0), ValueError), (dict(p=math.inf), ValueError), (dict(p="3"), TypeError),
        (dict(p=torch.ones(2)), ValueError), (dict(p=torch.ones(3, 1)), ValueError), (dict(eps=0), ValueError),
        (dict(p=torch.tensor(3)), TypeError), (dict(eps=None), TypeError)]
    for given, error in refused:
        with pytest.raises(error): pool(x, **given)
    for a, error in ((x.long(), NotImplementedError), (x[:, :0], RuntimeError), (x[..., :0], RuntimeError),
                     (x[0, 0, 0], RuntimeError), (x[None, None], RuntimeError), ([[1.0]], TypeError)):
        with pytest.raises(error): pool(a)
    assert pool(x[:0], 2).shape == (0, 3, 2, 2) and pool(x.to("meta"), 2).shape == (2, 3, 2, 2)


POOLS = {
    "lp": lambda x: F.lp_pool2d(x.abs() + 0.1, 3, 3, 2), "gem": lambda x: F.gem_pool(x.abs() + 0.1, (3, 4), p=2.0),
    "soft": lambda x: F.soft_pool(x, (3, 4)),
    "soft ordinary": lambda x: F.soft_pool(x, kernel_size=3, stride=2, padding=1)}


@pytest.mark.parametrize("name", some(POOLS, ["lp", "soft"]))
def test_derivatives_by_differences_and_in_batches(name):
    pool, x = POOLS[name], data(2, 2, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(pool, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(pool, x)
    y, many = pool(x), data(3, 2, 2, 6, 5)
    torch.testing.assert_close(torch.func.vmap(pool)(many), torch.stack([*map(pool, many)]))
    assert y.shape == pool(x.to(memory_format=torch.channels_last)).shape


@pytest.mark.parametrize("name", POOLS)
def test_threads_layouts_graphs_and_autocast(name):
    pool, x, before = POOLS[name], data(2, 33, 60, 61, dtype=torch.float32), torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            leaf = x.clone().requires_grad_()
            found.append([pool(leaf).detach(), *torch.autograd.grad(pool(leaf).sum(), leaf)])
    finally: torch.set_num_threads(before)
    for other in found[1:]: assert all(map(torch.equal, found[0], other))
    last = pool(x.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, found[0][0])
    graph = torch.compile(pool, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(graph(x), found[0][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        class Model(torch.nn.Module):
            def forward(self, x): return pool(x)
        torch.testing.assert_close(torch.export.export(Model(), (x,)).module()(x), found[0][0])
    with torch.autocast("cpu", torch.bfloat16): assert pool(x.bfloat16()).dtype is torch.bfloat16


def test_autocast_of_three_axes_as_torchs():
    x = data(*SHAPES[3]).abs().bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = (lib.lp_pool3d(x, 2, 2) for lib in (F, T))
    assert mine.dtype is theirs.dtype
    torch.testing.assert_close(mine, theirs, rtol=2e-2, atol=0)


def test_layers_learn_their_powers_and_are_converted():
    x = data(4, 3, 9, 8, dtype=torch.float32).abs()
    assert nn.GeM().state_dict()["p"].shape == (1,)
    layer = nn.GeM((2, 3), channels=3)
    optimiser = torch.optim.SGD(layer.parameters(), lr=1.0)
    target = gem(lambda x: T.adaptive_avg_pool2d(x, (2, 3)), x, 5.0)
    errors = []
    for _ in range(3):
        error = (layer(x) - target).square().sum()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[2] < errors[1] < errors[0] and (layer.p > 3).all()
    torch.testing.assert_close(nn.SoftPool(kernel_size=2)(x), F.soft_pool(x, kernel_size=2))
    model = torch.nn.Sequential(torch.nn.LPPool2d(2, 3, stride=2), torch.nn.LPPool2d(1.5, 2, ceil_mode=True))
    want = model(x)
    with F.enable(): torch.testing.assert_close(model(x), want)
    nn.convert(model, verbose=False)
    assert type(model[0]) is nn.LPPool2d
    torch.testing.assert_close(model(x), want)
    traced = torch.fx.symbolic_trace(model)
    torch.testing.assert_close(traced(x), want)
    assert {node.target for node in traced.graph.nodes if node.op == "call_function"} <= {T.lp_pool2d}
    both = torch.fx.symbolic_trace(torch.nn.Sequential(layer, nn.SoftPool()))
    torch.testing.assert_close(both(x), F.soft_pool(layer(x)))
