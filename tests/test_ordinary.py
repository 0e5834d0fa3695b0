"Ordinary pools: torch's own samples, random parameters against torch, wrong calls, whole networks, threads."

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import HALF, nothing_left_to_torch
from quick import some
from test_functional_route import frames
from test_torch_samples import outcome

import adapool.functional as F
from adapool import networks, nn
from adapool.kernels import jobs
from adapool.kernels.jobs import Job
from adapool.tensors import memory, ordinary, plain, route

FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
NAMES = [f"{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)]


@pytest.fixture
def kernels():
    with nothing_left_to_torch(): yield


def data(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def operators():
    from torch.testing._internal.common_methods_invocations import op_db
    return {info.name.rpartition(".")[2]: info for info in op_db}


def assert_same(mine, theirs, exact=False, **close):
    if isinstance(theirs, type): assert mine is theirs
    else:
        assert [(a.shape, a.dtype, a.stride()) for a in mine] == [(a.shape, a.dtype, a.stride()) for a in theirs]
        torch.testing.assert_close(mine, theirs, **dict(rtol=0, atol=0) if exact else close)


FEW_SAMPLES = ("avg_pool3d", torch.float64), ("max_pool3d", torch.bfloat16)  # of others there are hundreds
SAMPLED = [case for case in itertools.product(NAMES, FLOATS) if case[0] != "avg_pool3d" or case[1] not in HALF]


@pytest.mark.parametrize("name, dtype", some(SAMPLED, FEW_SAMPLES), ids=str)
def test_torchs_samples(name, dtype, kernels):
    "Also with every tensor made non-contiguous, and with the gradient of what comes out."
    for sample in operators()[name].sample_inputs("cpu", dtype, requires_grad=True):
        for case in (sample, sample.noncontiguous()):
            mine, wanted = (outcome(getattr(lib, name), case.input, *case.args, **case.kwargs) for lib in (F, T))
            assert_same(mine, wanted, "max" in name)
            if isinstance(wanted, type) or not case.input.numel(): continue
            grads = [torch.autograd.grad(y[0], case.input, torch.ones_like(y[0]))[0] for y in (mine, wanted)]
            torch.testing.assert_close(*grads)


@pytest.mark.parametrize("name", NAMES)
def test_what_torch_refuses(name):
    found = [*operators()[name].error_inputs("cpu")]
    assert found
    for error in found:
        sample = error.sample_input
        with pytest.raises(error.error_type): getattr(F, name)(sample.input, *sample.args, **sample.kwargs)


WRONG = [  # torch's type of error, or none, for each number of axes
    *({"kernel_size": k} for k in (0, -1, 2.5, True, None, "3", (), (2,), [2], (2, 2), (2, 2, 2), (True,), 20)),
    {"kernel_size": 2**31}, {"kernel_size": 2**63},
    *({"kernel_size": np.int64(2)}, {"kernel_size": torch.tensor(2)}, {"kernel_size": np.array([2, 2])}),
    *({"stride": s} for s in (0, -1, (), [], 1.5, True, (1,), (1, 1), (True, 1), (None,), 2**31, 2**63)),
    *({"padding": p} for p in (-1, 2, 1, None, (), True, (1,), (1, 1), "same")),
    *({"ceil_mode": c} for c in (1, None)), {"kernel_size": 20, "ceil_mode": True},
    *({"kernel_size": 7, "padding": 3, "ceil_mode": up} for up in (False, True)),
]
OF_KIND = {
    "avg": [{"count_include_pad": 1}, *({"divisor_override": v} for v in (0, -2, 1, 5, 1.5, True, 2**31))],
    "max": [{"return_indices": 1}, {"return_indices": None},
            *({"dilation": v} for v in (0, -1, 2, (), None, (1,), (2, 2)))],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("grad", [False, True])
def test_unusual_and_wrong_calls_end_as_torchs_do(name, grad, kernels):
    x = data(2, 3, *(10, 9, 8)[:int(name[-2])]).requires_grad_(grad)
    for options in WRONG + OF_KIND[name[:3]]:
        for _ in range(2):
            mine, theirs = (outcome(getattr(lib, name), x, **{"kernel_size": 2} | options) for lib in (F, T))
            if isinstance(theirs, type): assert mine is theirs, options
            else: assert_same(mine, theirs, "max" in name)


@pytest.mark.parametrize("name", NAMES)
def test_unusual_tensors_are_taken_or_refused_as_torch_does(name, kernels):
    d = int(name[-2])
    x = data(2, 3, *(6, 5, 4)[:d])
    pieces = x[0, 0], x[None], x[:0], x[:, :0], x[0, :0], x[..., :0], torch.tensor(1.)
    types = [x.to(t) for t in (torch.int64, torch.int32, torch.uint8, torch.bool, torch.complex64)]
    for a in (*pieces, *types, x.to_sparse(), x.to("meta"), [1, 2], None):
        for f in (lambda lib, a: getattr(lib, name)(a, 2), lambda lib, a: getattr(lib, name)(a, 3, 2, 1)):
            mine, theirs = outcome(f, F, a), outcome(f, T, a)
            assert_same(mine, theirs, getattr(a, "device", None) != torch.device("meta"))


def numbers_of(kind, d, kernel_size, stride, padding, ceil_mode=False, count_include_pad=True, divisor_override=None):
    "What a plan is told."
    rest = (1, ceil_mode) if kind == "max" else (ceil_mode, count_include_pad, divisor_override)
    return ordinary.numbers_of(kind, d, ordinary.Ordinary((kernel_size, stride, padding, *rest)))


def random_call(rng, kind, d):
    "A shape and parameters that make a pool."
    while True:
        cells = [int(rng.integers(1, 24 if d < 3 else 10)) for _ in range(d)]
        K = [int(rng.integers(1, 7)) for _ in range(d)]
        S, P = [int(rng.integers(1, 6)) for _ in range(d)], [int(rng.integers(0, k // 2 + 1)) for k in K]
        options = dict(kernel_size=tuple(K), stride=tuple(S), padding=tuple(P), ceil_mode=bool(rng.integers(2)))
        if kind == "avg": options["count_include_pad"] = bool(rng.integers(2))
        if kind == "avg" and d > 1 and rng.integers(4) == 0: options["divisor_override"] = int(rng.integers(1, 9))
        x = torch.from_numpy(rng.standard_normal((int(rng.integers(1, 4)), int(rng.integers(1, 18)), *cells)))
        if rng.integers(4) == 0: x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        if rng.integers(6) == 0: x = x[..., ::2]
        if rng.integers(6) == 0: x = x[0]
        if kind == "max" and rng.integers(3) == 0: x[x > 1] = rng.choice([torch.nan, torch.inf, 2.0])
        if not isinstance(outcome(getattr(T, f"{kind}_pool{d}d"), x, **options), type): return x, options


@pytest.mark.parametrize("seed", some(range(12), 2))
@pytest.mark.parametrize("kind, d", [*itertools.product(("avg", "max"), (1, 2, 3))])
def test_random_pools(kind, d, seed, kernels):
    "Values, places, gradients, and the gradient of a gradient, in float64; by a kernel and by plain operations."
    rng, name = np.random.default_rng((seed, d)), f"{kind}_pool{d}d"
    for _ in range(12):
        x, options = random_call(rng, kind, d)
        found = []
        for lib in (F, T):
            leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
            more = {"return_indices": True} if kind == "max" else {}
            y = outcome(getattr(lib, name), leaf, **options, **more)
            g = torch.linspace(-1, 1, y[0].numel(), dtype=torch.float64).reshape(y[0].shape)
            (first,) = torch.autograd.grad((y[0].square() * g).sum(), leaf, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), leaf)
            found.append(([a.detach() for a in y], getattr(lib, name)(x, **options), first.detach(), second))
        (y, alone, *grads), (want, want_alone, *want_grads) = found
        for a, b in zip((*y, alone), (*want, want_alone)):
            assert a.stride() == b.stride() or 1 in a.shape, options
            torch.testing.assert_close(a, b, equal_nan=True, **dict(rtol=0, atol=0) if kind == "max" else {})
        for a, b in zip(grads, want_grads): torch.testing.assert_close(a, b, equal_nan=True)
        numbers = numbers_of(kind, d, **options)
        plan = memory.plan_of(x.shape[-d:], None, numbers)
        if kind == "avg":
            torch.testing.assert_close(plain.mean(x, plan), want_alone)
            leaf = x.detach().clone().requires_grad_()
            (back,) = torch.autograd.grad(getattr(T, name)(leaf, **options).sum(), leaf)
            torch.testing.assert_close(plain.mean_backward(torch.ones_like(want_alone), plan), back)
        else:
            for a, b in zip(plain.max_with_index(x, plan), want):
                torch.testing.assert_close(a, b, equal_nan=True, rtol=0, atol=0)


LONG = [((2, 3, 7001), 3, 2, 1), ((1, 1, 7000), 2, 2, 0), ((5, 7000), 5, 1, 2), ((2, 3, 7003), 10, 5, 5),
        ((1, 9, 3001, 3), (3, 2), (2, 1), (1, 0)), ((2, 2, 3, 7001), (2, 4), (1, 4), (1, 1)),
        ((1, 2, 2, 3, 5001), (1, 2, 3), (1, 1, 2), 0), ((2, 3, 90001), 160, 80, 80), ((1, 2, 70001), 300, 3, 150)]


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("shape, size, stride, padding", LONG)
def test_long_axes(kind, shape, size, stride, padding, kernels, monkeypatch):
    "They are ours, of any length, without tables of all their windows; forward and backward, on any number of threads."
    monkeypatch.setattr(jobs, "MANY_WINDOWS", 2**10)
    monkeypatch.setattr(jobs, "BLOCK_WINDOWS", 2**8 if max(shape) < 10**4 else 2**11)
    for cached in (jobs.job, jobs.back_job): cached.cache_clear()
    d = len(shape) - 1 - (len(shape) > 2)
    name, options = f"{kind}_pool{d}d", dict(stride=stride, padding=padding)
    for ceil_mode, last in itertools.product((False, True), (False, True)[:1 + (d == 2 and shape[1] > 8)]):
        x = data(*shape).mul_(2).round_().div_(2)  # some maxima are there twice
        if last: x = x.to(memory_format=torch.channels_last)
        found = []
        for lib, threads in ((F, 1), (F, 2), (F, 8), (T, 1)):
            torch.set_num_threads(threads)
            leaf = x.clone().requires_grad_()
            y = getattr(lib, name)(leaf, size, ceil_mode=ceil_mode, **options)
            g = data(*y.shape, seed=1)
            found.append((y.detach(), *torch.autograd.grad(y, leaf, g)))
        torch.set_num_threads(2)
        for other in found[1:3]: assert all(map(torch.equal, found[0], other))
        assert_same(found[0], found[3], rtol=1e-5, atol=1e-5)
        if kind == "max": assert torch.equal(found[0][0], found[3][0])
    for cached in (jobs.job, jobs.back_job): cached.cache_clear()


@pytest.mark.parametrize("kind, d", some(itertools.product(("avg", "max"), (1, 2, 3)), [("avg", 1), ("max", 2)]))
def test_derivatives_by_differences(kind, d, kernels):
    "Forward mode, second order and gradients in batches, too; with cells that no window reads, and padded ones."
    for options in (dict(kernel_size=2, stride=3), dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)):
        x = data(2, 2, *(5, 4, 3)[:d], dtype=torch.float64, seed=d).requires_grad_()
        pool = lambda x, options=options: getattr(F, f"{kind}_pool{d}d")(x, **options)
        if isinstance(outcome(getattr(T, f"{kind}_pool{d}d"), x, **options), type): continue
        assert torch.autograd.gradcheck(pool, x, check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(pool, x)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_summed_in_single_and_rounded_once(d, dtype, kernels):
    x = (data(2, 8, *(24, 22, 20)[:d]) + 3).to(dtype)
    y = getattr(F, f"avg_pool{d}d")(x, 5, 1, 2)
    assert torch.equal(y, getattr(T, f"avg_pool{d}d")(x.double(), 5, 1, 2).to(dtype)) or (
        y.double() - getattr(T, f"avg_pool{d}d")(x.double(), 5, 1, 2)).abs().max() <= 3 * torch.finfo(dtype).eps


@pytest.mark.parametrize("kind, d", [*itertools.product(("avg", "max"), (1, 2, 3))])
def test_the_same_bits_on_any_number_of_threads(kind, d, kernels):
    shape, before = {1: (8, 64, 999), 2: (2, 33, 60, 61), 3: (2, 9, 20, 21, 22)}[d], torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 8):
            torch.set_num_threads(threads)
            x = data(*shape).requires_grad_()
            y = outcome(getattr(F, f"{kind}_pool{d}d"), x, 3, 2, 1, **{"return_indices": True} if kind == "max" else {})
            found.append([*(a.detach() for a in y), *torch.autograd.grad(y[0], x, data(*y[0].shape, seed=1))])
    finally: torch.set_num_threads(before)
    for other in found[1:]: assert all(map(torch.equal, found[0], other))


def test_who_takes_a_call(monkeypatch):
    "A kernel takes large ones; torch's operator small ones, maxima with places in channels_last, and what is unusual."
    calls, job = [], Job.__call__
    monkeypatch.setattr(Job, "__call__", lambda *args: calls.append(1) or job(*args))

    def by_kernel(pool, *args, **options):
        calls.clear()
        pool(*args, **options)
        return bool(calls)
    x = data(2, 32, 56, 57)
    last = x.contiguous(memory_format=torch.channels_last)
    for pool in (F.max_pool2d, F.avg_pool2d):
        assert by_kernel(pool, x, 3, 2, 1) and by_kernel(pool, x, (3, 3), [2, 2], 1) and by_kernel(pool, x[..., ::2], 2)
        assert by_kernel(pool, last, 3, 2, 1) and not by_kernel(pool, last.half(), 3, 2, 1)
        assert not by_kernel(pool, x[:1, :1, :9, :9], 3) and not by_kernel(pool, last[:1, :, :9, :9], 3, 2, 1)
        leaf = last.repeat(4, 1, 1, 1).contiguous(memory_format=torch.channels_last).requires_grad_()
        assert by_kernel(pool, leaf, 3, 1) and by_kernel(pool, leaf.half(), 3, 2, 1) == (pool is F.max_pool2d)
        assert not by_kernel(pool, x, np.int64(3))
    assert not by_kernel(F.max_pool2d, last, 3, 2, 1, return_indices=True)
    deep = data(2, 8, 16, 16, 17)
    assert by_kernel(F.max_pool3d, deep, 2) and by_kernel(F.avg_pool3d, deep, 2)
    assert not by_kernel(F.max_pool3d, deep.to(memory_format=torch.channels_last_3d), 2)
    assert not by_kernel(F.max_pool2d, x, 3, dilation=2) and not by_kernel(F.avg_pool2d, x, 3, divisor_override=-9)
    assert by_kernel(F.avg_pool1d, data(1, 2, 2**15), 2) and by_kernel(F.max_pool1d, data(1, 2, 2**15), 2)


def test_a_warm_call_runs_few_functions():
    "As an adaptive pool's, and what asks whether the numbers are plain."
    x = data(8, 64, 40, 41)
    leaf = x.clone().requires_grad_()
    for pool in (F.max_pool2d, F.avg_pool2d):
        assert frames(lambda pool=pool: pool(x, 3, 2, 1))[0] <= 13
        assert frames(lambda pool=pool: pool(leaf, 3, 2, 1))[0] <= 27
        assert frames(lambda pool=pool: pool(x[:1, :1, :5, :5], 3))[0] <= 5  # torch's own operator


def test_cells_that_no_window_reads_have_a_gradient_of_zero(kernels):
    for options, unread in ((dict(kernel_size=2), 16), (dict(kernel_size=2, stride=3), 2)):
        for pool in (F.avg_pool2d, F.max_pool2d):
            x = data(2, 8, 17, 19).requires_grad_()
            pool(x, **options).sum().backward()
            assert not x.grad[..., unread, :].any() and x.grad[..., unread - 1, :].any()


def small_networks():
    "What is at the start of a ResNet, in a VGG, in an Inception block and in an SPPF block, on 2 × 3 × 65 × 66 cells."
    torch.manual_seed(0)
    conv = lambda a, b: [torch.nn.Conv2d(a, b, 3, padding=1), torch.nn.BatchNorm2d(b), torch.nn.ReLU()]

    class Spp(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = torch.nn.MaxPool2d(5, 1, 2)

        def forward(self, x):
            y = self.pool(x)
            return torch.cat([x, y, self.pool(y), T.max_pool2d(y, kernel_size=3, stride=1, padding=1)], 1)

    class Inception(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = torch.nn.Sequential(*conv(16, 8))

        def forward(self, x):
            pooled, places = T.max_pool2d(x, 3, stride=2, return_indices=True)
            mean = self.branch(T.avg_pool2d(x, 3, stride=1, padding=1))
            other = T.max_pool2d(mean, 3, 2).repeat(1, 2, 1, 1).sum((2, 3))
            return pooled.mean((2, 3)) + other + places.double().mean()

    return {
        "ResNet": torch.nn.Sequential(*conv(3, 16), torch.nn.MaxPool2d(3, 2, 1), *conv(16, 16),
                                      torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 5)),
        "VGG": torch.nn.Sequential(*conv(3, 8), torch.nn.MaxPool2d(2, 2), *conv(8, 16), torch.nn.MaxPool2d(2, 2),
                                   torch.nn.AdaptiveAvgPool2d(7), torch.nn.Flatten(), torch.nn.Linear(16*49, 5)),
        "DenseNet": torch.nn.Sequential(*conv(3, 16), torch.nn.AvgPool2d(2, 2), *conv(16, 16), torch.nn.AvgPool2d(3)),
        "SPPF": torch.nn.Sequential(*conv(3, 16), Spp()),
        "Inception": torch.nn.Sequential(*conv(3, 16), Inception()),
    }


def result(model, x):
    "What a model gives, and the gradients of its input and its weights."
    x = x.clone().requires_grad_()
    y = model(x)
    g = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
    return [y.detach(), *torch.autograd.grad(y, [x, *model.parameters()], g, allow_unused=True)]


@pytest.mark.parametrize("name", small_networks())
def test_a_whole_network_before_and_after(name):
    "Its output, its gradients, its state; converted, with the switch on, copied, pickled, exported."
    model, x = small_networks()[name].double().train(), data(2, 3, 65, 66, dtype=torch.float64)
    want = result(model, x)
    with F.enable(): torch.testing.assert_close(result(model, x), want)
    torch.testing.assert_close(result(model, x), want)
    state = copy.deepcopy(model.state_dict())
    types = {type(module) for module in nn.convert(model, verbose=False).modules()}
    if name != "Inception": assert any(t.__module__ == "adapool.nn" for t in types)
    torch.testing.assert_close(result(model, x), want)
    model.load_state_dict(state)
    model.eval()
    out = model(x)
    for other in (copy.deepcopy(model), *([pickle.loads(pickle.dumps(model))] if name[0] in "RVD" else ())):
        torch.testing.assert_close(other(x), out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch.export.export(model, (x,))
        traced = torch.fx.symbolic_trace(model)
    torch.testing.assert_close(graph.module()(x), out)
    torch.testing.assert_close(traced(x), out)
    said = [str(node.target) for node in [*graph.graph.nodes, *traced.graph.nodes]]
    assert not any("adapool" in name for name in said)


def test_the_table_of_a_network_is_the_same_before_and_after():
    "Layers and calls of functions, under the switch, too: trace_shapes knows them by torch's names."
    for name in ("ResNet", "DenseNet", "Inception"):
        model = small_networks()[name].eval()
        before = networks.trace_shapes(model, (1, 3, 65, 66))
        with F.enable(): assert str(networks.trace_shapes(model, (1, 3, 65, 66))) == str(before)
        assert str(networks.trace_shapes(nn.convert(model, verbose=False), (1, 3, 65, 66))) == str(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["avg_pool2d", "max_pool2d"])
def test_a_compiled_backward_pass(name, kernels):
    x = data(2, 16, 21, 20).requires_grad_()

    def penalty(lib):
        y = getattr(lib, name)(x, kernel_size=3, stride=2, padding=1)
        return torch.autograd.grad(y.square().sum(), x, create_graph=True)[0].square().sum()
    want, = torch.autograd.grad(penalty(T), x)
    mine, x.grad = penalty(F), None
    torch._dynamo.reset()
    with torch._dynamo.utils.maybe_enable_compiled_autograd(True, fullgraph=True): mine.backward()
    torch.testing.assert_close(x.grad, want)
    torch._dynamo.reset()


def test_what_is_decided_depends_on_the_shape_alone():
    numbers = numbers_of("max", 2, 3, 2, 1)
    assert route.small("max", 2, (1, 2, 9, 9), torch.float32, True, (5, 5), False, numbers, False)
    assert not route.small("max", 2, (8, 64, 56, 56), torch.float32, True, (28, 28), True, numbers, False)
    assert route.small("max", 2, (8, 64, 56, 56), torch.bfloat16, False, (28, 28), False, numbers, True)
    assert not route.small("max", 2, (8, 64, 56, 56), torch.bfloat16, False, (28, 28), True, numbers, True)
    assert route.small("max", 2, (8, 64, 56, 56), torch.float32, False, (28, 28), True, numbers, True, True)


@pytest.mark.parametrize("n", range(1, 12))
def test_sizes_are_torchs(n):
    for k, s, p, up in itertools.product(range(1, 7), range(1, 6), range(4), (False, True)):
        if p > k // 2: continue
        numbers = numbers_of("max", 1, k, s, p, up)
        want = outcome(T.max_pool1d, torch.zeros(1, 1, n), k, s, p, 1, up)
        size, = ordinary.sizes_of((n,), numbers)
        assert (max(size, 0) or RuntimeError) == (want if isinstance(want, type) else want[0].shape[-1])


CLIPPED = [(1, (8,), dict(kernel_size=3, stride=2, ceil_mode=True)),
           (2, (8, 9), dict(kernel_size=3, stride=2, ceil_mode=True)),
           (2, (10, 7), dict(kernel_size=(4, 3), stride=(3, 2), padding=(1, 0), ceil_mode=True)),
           (3, (5, 6, 4), dict(kernel_size=3, stride=2, padding=1, ceil_mode=True))]


@pytest.mark.slow
@pytest.mark.parametrize("d, cells, options, dtype", [
    (*case, dtype) for case in CLIPPED for dtype in (torch.float32, torch.float64, torch.bfloat16)
    if case[0] < 3 or dtype not in HALF])
def test_inductor_divides_a_clipped_window_by_what_it_counts(d, cells, options, dtype):
    "pytorch #198119: it divides the gradient by all cells of the kernel."
    x, name = data(2, 3, *cells, dtype=dtype).requires_grad_(), f"avg_pool{d}d"
    torch._dynamo.reset()
    mine, wanted = torch.compile(lambda x: getattr(F, name)(x, **options))(x), getattr(T, name)(x, **options)
    g = data(*wanted.shape, dtype=dtype, seed=1)
    close = dict(rtol=2e-2, atol=2e-2) if dtype in HALF else {}
    torch.testing.assert_close(mine, wanted, **close)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, g)[0] for y in (mine, wanted)), **close)


@pytest.mark.parametrize("d, padding", [(1, 1), (1, 0), (2, 1), (2, (0, 1)), (2, 0), (3, 1)])
def test_where_a_gradient_of_channels_last_is_wrong_the_operator_sees_rows(d, padding, monkeypatch):
    "pytorch #188344, on CUDA: here it is what the operator is given that is looked at."
    seen, op = [], ordinary.ORDINARY_OPERATORS["avg", d, False]
    monkeypatch.setitem(ordinary.ORDINARY_OPERATORS, ("avg", d, False), lambda x, *told: seen.append(x) or op(x, *told))
    last = data(2, *[6] * d, 3).movedim(-1, 1)
    pool = ordinary.on_other_devices("avg", d, ordinary.Ordinary((3, 2, padding, False, True)), False)
    for x in (last, last.clone().requires_grad_(), last.contiguous().requires_grad_()):
        assert_same([pool(x)], [op(x, 3, 2, padding, False, True)])
    assert [x.is_contiguous() for x in seen] == [False, d < 3 and padding != 0, True]


def test_a_small_call_elsewhere_than_on_the_cpu_goes_that_way_too(monkeypatch):
    seen, op = [], ordinary.ORDINARY_OPERATORS["avg", 1, False]
    monkeypatch.setitem(ordinary.ORDINARY_OPERATORS, ("avg", 1, False), lambda x, *told: seen.append(x) or op(x, *told))
    x = data(2, 6, 3).movedim(-1, 1).to("meta").requires_grad_()
    assert F.avg_pool1d(x, 3, 2, 1).stride() == T.avg_pool1d(x, 3, 2, 1).stride() and seen[0].is_contiguous()


GAPS = [(2, 3, 0), (1, 2, 0), (2, 4, 1), ((2, 1), (3, 2), 0), ((1, 3), (2, 1), 0), ((3, 1), (1, 2), 0), (2, 2, 0)]


@pytest.mark.skipif(not memory.COMPILER, reason="tested is what a compiler makes of the kernels")
@pytest.mark.parametrize("last", (False, True))
@pytest.mark.parametrize("told", GAPS, ids=str)
def test_gradients_where_a_stride_leaps_over_cells(told, last, kernels, monkeypatch):
    "They come from a kernel, are zero in the gaps and behind the last window, in the same bits on 1 and 2 threads."
    monkeypatch.setattr(plain, "mean_backward", None)
    threads = torch.get_num_threads()
    shapes = (2, 9, 23, 37), (3, 64, 41, 40), (2, 5, 9, 4 if told[0] != (1, 3) else 10)
    for shape, more in itertools.product(shapes, [(False, True), (True, False)]):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format).requires_grad_()
        want, y = T.avg_pool2d(x.double(), *told, *more), F.avg_pool2d(x, *told, *more)
        g = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
        g = g.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
        want, found = torch.autograd.grad(want, x, g.double()), []
        try:
            for n in (1, 2):
                torch.set_num_threads(n)
                found += torch.autograd.grad(y, x, g, retain_graph=True)
        finally: torch.set_num_threads(threads)
        assert torch.equal(*found)
        torch.testing.assert_close(found[0], *want, rtol=1e-5, atol=1e-6)
        assert torch.equal(found[0] == 0, want[0] == 0)
