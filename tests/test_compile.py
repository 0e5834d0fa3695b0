"The operators that are registered with torch: what torch.compile puts into a graph, and what torch.export does not."

import itertools
import warnings

import pytest
import torch
import torch.nn.functional as T
from quick import some
from torch.library import opcheck

import adapool.functional as F
from adapool.tensors.memory import KNOWN
from adapool.tensors.operators import best_op, max_op, mean_backward_op, mean_op, put_back_op


@pytest.fixture(autouse=True)
def start_afresh():
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def data(*shape, last=False, grad=True):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_(grad)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("op, grad", [(mean_op, True), (max_op, True), (mean_op, False), (best_op, False)])
def test_torch_finds_nothing_wrong_with_the_operators(op, grad, last):
    opcheck(op, (data(2, 9, 20, 30, last=last, grad=grad), [7, 4]))


def test_nor_with_their_derivatives():
    index = max_op(data(2, 9, 8, 9, grad=False), [5, 7])[1]
    for op, args in ((mean_backward_op, ([8, 9], True)), (put_back_op, (index, [8, 9]))):
        opcheck(op, (data(2, 9, 5, 7, grad=False), *args), test_utils=("test_schema", "test_faketensor"))


def operators(f, *args, **options):
    found = []

    def note(graph, _):
        found.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph
    torch.compile(f, backend=note, fullgraph=True, **options)(*args)
    return found


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_graph_holds_ours_where_sizes_do_not_divide(dynamic):
    x = data(2, 3, 8, 9)
    assert operators(lambda x: F.adaptive_avg_pool2d(x, (5, 7)), x, dynamic=dynamic) == ["adapool.mean.default"]
    assert operators(lambda x: F.adaptive_avg_pool2d(x, (None, 7)), x, dynamic=dynamic) == ["adapool.mean.default"]
    best = operators(lambda x: F.adaptive_max_pool2d(x, (5, 7)), x.detach(), dynamic=dynamic)
    assert best == ["adapool.best.default"]
    assert operators(lambda x: F.adaptive_max_pool2d(x, (5, 7)), x, dynamic=dynamic)[0] == "adapool.max.default"
    for size in ((4, 3), 1):
        found = operators(lambda x, size=size: F.adaptive_avg_pool2d(x, size), x, dynamic=dynamic)
        assert not any("adapool" in name for name in found)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_graph_holds_torchs(strict):
    class Net(torch.nn.Module):
        def forward(self, x): return F.adaptive_avg_pool2d(x, (5, 7)) + F.adaptive_max_pool2d(x, (5, 7))
    graph = torch.export.export(Net(), (data(2, 3, 8, 9, grad=False),), strict=strict).graph
    names = [str(node.target) for node in graph.nodes]
    assert "aten.adaptive_max_pool2d.default" in names and not any("adapool" in name for name in names)


def both(x):
    best, index = F.adaptive_max_pool2d(x, (7, 5), return_indices=True)
    return F.adaptive_avg_pool2d(x.sin(), (7, 5)) * best + F.adaptive_max_pool2d(x, (7, 5)) + index


@pytest.mark.parametrize("dynamic, last", [*itertools.product([False, True], repeat=2)])
def test_a_compiled_program_gives_the_same(dynamic, last):
    compiled = torch.compile(both, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for shape in ((2, 9, 20, 30), (3, 4, 5, 17)):
        x = data(*shape, last=last)
        mine, plain = compiled(x), both(x)
        g = torch.randn(mine.shape, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(mine, plain)
        assert mine.stride() == plain.stride()
        for a, b in zip(*(torch.autograd.grad(y, x, g) for y in (mine, plain))):
            torch.testing.assert_close(a, b)
            assert a.stride() == b.stride()
    torch.testing.assert_close(compiled(x.detach()), both(x.detach()))


@pytest.mark.parametrize("d, shape, size", [(1, (2, 9, 10), 7), (3, (2, 3, 7, 9, 8), (3, 4, 5))])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_one_and_three_dimensions_and_half_precision(kind, d, shape, size):
    name = f"adaptive_{kind}_pool{d}d"
    compiled = torch.compile(lambda x: getattr(F, name)(x, size), fullgraph=True, backend="aot_eager")
    for dtype in (torch.float32, torch.bfloat16):
        x = data(*shape, grad=False).to(dtype)
        torch.testing.assert_close(compiled(x), getattr(T, name)(x.double(), size).to(dtype))


@pytest.mark.parametrize("channels", [4, 64])  # torch's own operator eagerly, or a kernel
@pytest.mark.parametrize("kind, d", list(itertools.product(("avg", "max"), (1, 2, 3))))
def test_a_tracer_has_nothing_to_warn_of(kind, d, channels):
    "Sizes are tensors to it: none may decide anything, or be remembered."
    KNOWN.clear()
    x, larger = (data(2, channels, *[n] * d, grad=False) for n in (12, 17))
    for size in (3, (3,) * d, *[(None, 3, 5)[:d]] * (d > 1)):
        pool = lambda x, size=size: getattr(F, f"adaptive_{kind}_pool{d}d")(x, size)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            traced = torch.jit.trace(pool, x, check_trace=False)
        assert not [w for w in said if w.category is torch.jit.TracerWarning]
        assert not KNOWN
        for y in (x, larger): assert torch.equal(traced(y), getattr(T, f"adaptive_{kind}_pool{d}d")(y, size))


def test_vmap_inside_a_compiled_program():
    x = data(5, 2, 3, 8, 9, grad=False)
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        pool = lambda y, name=name: getattr(F, name)(y, (5, 7))
        compiled = torch.compile(torch.func.vmap(pool, in_dims=1), fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), torch.stack([pool(y) for y in x.unbind(1)]))


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("shape, size", some(
    [((4, 64, 400), 7), ((4, 64, 40, 41), (7, 9)), ((2, 9, 12, 13, 14), 5)], 1))
def test_a_compiled_backward_pass(kind, shape, size):
    name, x = f"adaptive_{kind}_pool{len(shape) - 2}d", data(*shape)
    def loss(pool): return pool(x, size).square().sum()
    def penalty(pool): return torch.autograd.grad(loss(pool), x, create_graph=True)[0].square().sum()
    for value in (loss, penalty):
        want, = torch.autograd.grad(value(getattr(T, name)), x)
        mine, x.grad = value(getattr(F, name)), None
        torch._dynamo.reset()
        with torch._dynamo.utils.maybe_enable_compiled_autograd(True, fullgraph=True): mine.backward()
        torch.testing.assert_close(x.grad, want)


def test_wrong_calls_are_refused_inside_a_compiled_program_too():
    for size in (-1, (5, 7, 9), 2.5):
        compiled = torch.compile(lambda x, size=size: F.adaptive_avg_pool2d(x, size), backend="eager")
        with pytest.raises((RuntimeError, TypeError)): compiled(data(2, 3, 8, 9))
