"`functional.enable`: torch's names, our functions, for as long as was asked for."

import threading
import warnings

import pytest
import torch
import torch.nn.functional as T

import adapool.functional as F

NAMES = [f"adaptive_{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)]
NAMES += [f"adaptive_max_pool{d}d_with_indices" for d in (1, 2, 3)]
THEIRS = {name: getattr(T, name) for name in NAMES}


def on(): return {getattr(T, name) is getattr(F, name) for name in NAMES} == {True}


def off(): return all(getattr(T, name) is THEIRS[name] for name in NAMES)


@pytest.fixture(autouse=True)
def left_as_found():
    assert off()
    yield
    assert off() and not F._enabled


def data(*shape): return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_until_the_end_of_the_block():
    with F.enable(): assert on()
    assert off()
    with pytest.raises(KeyError), F.enable(): raise KeyError
    assert off()


def test_a_switch():
    switch = F.enable()
    assert on()
    switch.disable()
    switch.disable()
    assert off()
    with switch: assert on()


def test_nested():
    with F.enable():
        with F.enable(): assert on()
        assert on()
        outer = F.enable()
    assert on()
    outer.disable()


def test_several_threads_at_once():
    steps, faults = threading.Barrier(2), []

    def first():
        with F.enable(): steps.wait(10); steps.wait(10)
        steps.wait(10)

    def second():
        steps.wait(10)
        with F.enable():
            steps.wait(10)
            steps.wait(10)  # the first has left
            if not on(): faults.append("went with the first")
        if not off(): faults.append("stayed after the last")
    threads = [threading.Thread(target=f) for f in (first, second)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert not faults


@pytest.mark.parametrize("kind", ["Avg", "Max"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_layers_and_calls_get_ours(kind, d, monkeypatch):
    name, x, size = f"adaptive_{kind.lower()}_pool{d}d", data(2, 3, *(8, 9, 7)[:d]), (5, 4, 3)[:d]
    calls = []
    job = F.kernels.Job.__call__
    monkeypatch.setattr(F, "_small", lambda *call: False)
    monkeypatch.setattr(F, "_TINY", 0)
    monkeypatch.setattr(F, "_prepared", {})
    monkeypatch.setattr(F.kernels.Job, "__call__", lambda *args: calls.append(1) or job(*args))
    layer = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(size)
    want = layer(x)
    assert not calls
    with F.enable():
        torch.testing.assert_close(layer(x), want)
        torch.testing.assert_close(getattr(T, name)(x, size), want)
    assert len(calls) == 2
    layer(x)
    assert len(calls) == 2


def operators(graphs): return [[str(n.target) for n in g.graph.nodes if n.op == "call_function"] for g in graphs]


@pytest.mark.parametrize("program", [lambda x: T.adaptive_avg_pool2d(x, (5, 7)), torch.nn.AdaptiveAvgPool2d((5, 7))])
def test_a_compiled_program_follows(program):
    graphs = []
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(program, backend=lambda g, _: graphs.append(g) or g, fullgraph=True)
        x, ours, seen = data(2, 3, 8, 9), ["adapool.mean.default"], []
        want = compiled(x)
        for _ in range(2):
            with F.enable(): torch.testing.assert_close(compiled(x), want)
            seen.append(len(graphs))
            compiled(x)
    found = operators(graphs)
    assert found[1] == ours and found[0] != ours and seen == [2, 2] and len(found) == 2
    torch._dynamo.reset()


@pytest.mark.parametrize("kind, d, options", [
    ("Avg", 1, {}), ("Avg", 2, {}), ("Avg", 3, {}), ("Max", 1, {}), ("Max", 2, {}), ("Max", 3, {}),
    ("Max", 2, {"return_indices": True})])
def test_what_captures_programs_finds_torchs_functions(kind, d, options):
    layer, x = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(3, **options), data(2, 3, *(8, 9, 7)[:d])
    want = layer(x)
    with F.enable(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.testing.assert_close(torch.jit.script(layer)(x), want)
        torch.testing.assert_close(torch.jit.trace(layer, x)(x), want)
        exported = torch.export.export(layer, (x,))
        traced = torch.fx.symbolic_trace(layer)
    torch.testing.assert_close(exported.module()(x), want)
    torch.testing.assert_close(traced(x), want)
    assert not any("adapool" in str(n.target) for graph in (exported.graph, traced.graph) for n in graph.nodes)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_return_indices_in_a_recorded_program(d):
    pool, x = f"adaptive_max_pool{d}d", data(2, 3, *(8, 9, 7)[:d])

    class Asked(torch.nn.Module):
        def forward(self, x, indices=False): return getattr(T, pool)(x, 3, indices)

    class Sure(torch.nn.Module):
        def forward(self, x): return getattr(T, pool)(x, 3, 2)

    with F.enable():
        with pytest.raises(torch.fx.proxy.TraceError): torch.fx.symbolic_trace(Asked())
        recorded = torch.fx.symbolic_trace(Sure())
    for mine, theirs in zip(recorded(x), Sure()(x), strict=True): assert torch.equal(mine, theirs)


SEEN = []


class Logged(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        SEEN.append(function)
        return super().__torch_function__(function, types, args, kwargs or {})


class Named(torch.Tensor): pass


class Duck:
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return function, args[1], kwargs


def test_classes_that_override_torchs_functions_are_asked():
    x = data(2, 3, 8, 9)
    for f, name in ((F, "adaptive_avg_pool2d"), (F, "adaptive_max_pool2d")):
        y = getattr(f, name)(x.as_subclass(Logged), 5)
        assert type(y) is Logged and THEIRS[name] in SEEN
    assert F.adaptive_avg_pool3d(Duck(), 4) == (THEIRS["adaptive_avg_pool3d"], 4, {})
    assert F.adaptive_max_pool3d(Duck(), 4, True)[2] == {"return_indices": True}
    y = F.adaptive_avg_pool2d(x.as_subclass(Named), (5, 7))
    assert type(y) is Named
    torch.testing.assert_close(y.as_subclass(torch.Tensor), T.adaptive_avg_pool2d(x, (5, 7)))


@pytest.mark.parametrize("options", [{}, {"return_indices": True}])
@pytest.mark.parametrize("name", ["adaptive_max_pool2d", "adaptive_max_pool3d"])
def test_under_the_switch_too(name, options):
    x = data(2, 9, 8, 9)
    with F.enable(): y = getattr(T, name)(x.as_subclass(Logged), 5, **options)
    want = getattr(T, name)(x, 5, **options)
    for a, b in zip(*((y, want) if options else ((y,), (want,)))):
        assert type(a) is Logged and torch.equal(a.as_subclass(torch.Tensor), b)
    assert SEEN[-1] is THEIRS[name + "_with_indices" * bool(options)]


def test_a_default_device_is_nobody_watching(monkeypatch):
    monkeypatch.setitem(F._THEIRS, "adaptive_avg_pool2d", None)  # which is not asked
    x = data(4, 64, 40, 40)
    want = F.adaptive_avg_pool2d(x, 7)
    with torch.device("meta"): assert torch.equal(F.adaptive_avg_pool2d(x, 7), want)


def test_scripted_programs_may_call_ours():
    @torch.jit.script
    def program(x: torch.Tensor):
        best, place = F.adaptive_max_pool2d(x, [3, 2], return_indices=True)
        return F.adaptive_avg_pool2d(x, [3, 2]) + best + F.adaptive_max_pool2d(x, [3, 2]), place
    x = data(2, 3, 8, 9)
    best, place = T.adaptive_max_pool2d(x, (3, 2), return_indices=True)
    torch.testing.assert_close(program(x), (T.adaptive_avg_pool2d(x, (3, 2)) + best + best, place))
