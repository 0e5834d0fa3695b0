"`functional.enable`: torch's names, our functions, for as long as was asked for."

import json
import re
import subprocess
import sys
import threading
import warnings
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as T
from conformance import nothing_left_to_torch
from quick import some
from torch.nn.functional import adaptive_avg_pool2d as imported_before
from torch.nn.modules import pooling
from torch.overrides import TorchFunctionMode, resolve_name

import adapool.functional as F
from adapool.kernels.jobs import Job
from adapool.tensors import private
from adapool.tensors.switch import _enabled

NAMES = [f"adaptive_{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)]
NAMES += [f"adaptive_max_pool{d}d_with_indices" for d in (1, 2, 3)]
ORDINARY = [name.removeprefix("adaptive_") for name in NAMES]
NAMES += [name for name in ORDINARY if name.startswith("max")]  # the averages are written in C
THEIRS = {name: getattr(T, name) for name in NAMES}


BEFORE = [(holder, name, value) for holder in (torch, torch._C, torch._C._nn, T)
          for name, value in vars(holder).items() if "pool" in name]
WRITTEN_IN_PYTHON = [f for name, f in vars(T).items()
                     if re.fullmatch(r"_?(adaptive_avg|adaptive_max|max)_pool\dd(_with_indices)?", name)
                     and hasattr(f, "__code__") and not f.__code__.co_freevars]
CODE = [f.__code__ for f in WRITTEN_IN_PYTHON]


def on(): return all(f.__code__ is not code for f, code in zip(WRITTEN_IN_PYTHON, CODE)) and pooling.F is not T


def off(): return all(f.__code__ is code for f, code in zip(WRITTEN_IN_PYTHON, CODE)) and pooling.F is T


def named_as_ever():
    "Does every name of torch's mean the object that it meant before adapool was at work?"
    return len(BEFORE) > 40 and all(vars(holder).get(name) is value for holder, name, value in BEFORE)


@pytest.fixture(autouse=True)
def left_as_found():
    assert off() and len(CODE) == 8 + 6
    yield
    assert off() and named_as_ever() and not _enabled


@pytest.fixture
def kernels_only():
    with nothing_left_to_torch(): yield


def data(*shape): return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_until_the_end_of_the_block():
    with F.enable(): assert on() and named_as_ever()
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
def test_layers_and_calls_get_ours(kind, d, monkeypatch, kernels_only):
    name, x, size = f"adaptive_{kind.lower()}_pool{d}d", data(2, 3, *(8, 9, 7)[:d]), (5, 4, 3)[:d]
    calls = []
    job = Job.__call__
    monkeypatch.setattr(Job, "__call__", lambda *args: calls.append(1) or job(*args))
    layer = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(size)
    function = getattr(T, name)
    ways = layer, function, lambda *args: getattr(T, name)(*args)
    ways = [way if way is layer else lambda x, way=way: way(x, size) for way in ways]
    want = layer(x)
    assert not calls
    with F.enable():
        for way in ways: torch.testing.assert_close(way(x), want)
        if kind == "Max":
            best, place = function(x, size, return_indices=True)
            assert torch.equal(best, want) and place.dtype is torch.int64
    in_c = function is T.adaptive_avg_pool1d  # which only the layer is kept from
    assert len(calls) == (1 if in_c else 3 + (kind == "Max"))
    many = len(calls)
    for way in ways: way(x)
    assert len(calls) == many


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_layers_and_calls_get_ours(name, monkeypatch, kernels_only):
    "But for direct calls of the averages, which are written in C."
    d, calls, job = int(re.search(r"\d", name)[0]), [], Job.__call__
    monkeypatch.setattr(Job, "__call__", lambda *args: calls.append(1) or job(*args))
    x, many = data(2, 3, *(8, 9, 7)[:d]), {"return_indices": True} if name.endswith("indices") else {}
    layer = getattr(torch.nn, f"{name[:3].title()}Pool{d}d")(3, 2, 1, **many)
    ways = layer, lambda x: getattr(T, name)(x, 3, 2, padding=1)
    want = [way(x) for way in ways]
    assert not calls
    with F.enable(): got = [way(x) for way in ways]
    assert len(calls) == (1 if "avg" in name else 2)
    torch.testing.assert_close(got, want)
    for way in ways: way(x)
    assert len(calls) == (1 if "avg" in name else 2)


def test_names_imported_before_follow():
    x = data(4, 64, 40, 41).half()
    exact, theirs = imported_before(x.double(), (5, 7)), imported_before(x, (5, 7))
    with F.enable(): assert torch.equal(imported_before(x, (5, 7)), F.adaptive_avg_pool2d(x, (5, 7)))
    assert torch.equal(imported_before(x, (5, 7)), theirs)
    torch.testing.assert_close(theirs.double(), exact, rtol=1e-2, atol=1e-2)


def operators(graphs): return [[str(n.target) for n in g.graph.nodes if n.op == "call_function"] for g in graphs]


def compiled_on_both_sides(program, x):
    "The operators in each graph that torch.compile makes of `program` as the switch goes on and off."
    graphs = []
    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(program, backend=lambda g, _: graphs.append(g) or g, fullgraph=True)
        want = compiled(x)
        for _ in range(2):
            with F.enable(): torch.testing.assert_close(compiled(x), want)
            torch.testing.assert_close(compiled(x), want)
    torch._dynamo.reset()
    return operators(graphs)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind, op", [("Avg", "adapool.mean.default"), ("Max", "adapool.best.default")])
def test_a_compiled_program_follows(kind, op, d):
    layer = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")((5, 7, 4)[:d])
    theirs, ours = compiled_on_both_sides(layer, data(2, 3, *(8, 9, 7)[:d]))
    assert ours == [op] and theirs != ours


def test_a_direct_call_in_a_compiled_program_is_torchs():
    graphs = compiled_on_both_sides(lambda x: T.adaptive_avg_pool2d(x, (5, 7)), data(2, 3, 8, 9))
    assert len(graphs) <= 2 and "adapool" not in str(graphs)
    with F.enable():
        compiled = torch.compile(lambda x: T.adaptive_avg_pool2d(x, (5, 7)).sin(), backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(data(2, 3, 8, 9)), T.adaptive_avg_pool2d(data(2, 3, 8, 9), (5, 7)).sin())
    torch._dynamo.reset()


@pytest.mark.parametrize("kind, d, options", [
    ("Avg", 1, {}), ("Avg", 2, {}), ("Avg", 3, {}), ("Max", 1, {}), ("Max", 2, {}), ("Max", 3, {}),
    ("Max", 2, {"return_indices": True})])
def test_what_captures_programs_finds_torchs_functions(kind, d, options):
    layer, x = getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(3, **options), data(2, 3, *(8, 9, 7)[:d])
    want = layer(x)
    with F.enable(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
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


class Handled(torch.Tensor):
    "As PyTorch's documentation shows it: functions are told apart by what they are."
    handlers: ClassVar[dict] = {}

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in cls.handlers: return cls.handlers[function]
        for name in NAMES:
            if function is getattr(T, name): return "by name", name
        return super().__torch_function__(function, types, args, kwargs or {})


class Asked(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        return [name for name in NAMES if function is getattr(T, name)], resolve_name(function)


def called(name, x):
    with Asked(): seen = getattr(T, name)(x, 3)
    return getattr(T, name)(x.as_subclass(Handled), 3), seen


@pytest.mark.parametrize("registered", ["never", "before", "during", "after"])
@pytest.mark.parametrize("name", NAMES)
def test_handlers_know_functions_by_identity(name, registered, monkeypatch):
    monkeypatch.setattr(Handled, "handlers", handlers := {})
    x = data(2, 3, *(8, 9, 7)[:int(re.search(r"\d", name)[0])])
    answer = ("by name", name)

    def register(now):
        nonlocal answer
        if now == registered: handlers[getattr(T, name)], answer = "mine", "mine"
    register("before")
    asked = [called(name, x)]
    with F.enable():
        register("during")
        asked += [called(name, x)]
        want = answer
    register("after")
    asked += [called(name, x)]
    assert [mine for mine, _ in asked] == [{"before": "mine"}.get(registered, ("by name", name)), want, answer]
    assert [seen for _, seen in asked] == [([name], f"torch.nn.functional.{name}")] * 3


TABLES = """
import sys, gc, json, warnings
warnings.simplefilter("ignore")
import torch, adapool.functional as F, torch.nn.functional as T
from adapool.tensors.private import THEIRS
first, switched = sys.argv[1:]
if switched == "yes": switch = F.enable()
x = torch.rand(2, 3, 8, 9)
def call(x): return T.adaptive_avg_pool2d(x, (5, 7)) + T.adaptive_max_pool2d(x, (5, 7))
if first == "dynamo": torch.compile(call, backend="eager")(x)
elif first == "overrides":
    torch.overrides.get_overridable_functions(), torch.overrides.get_testing_overrides()
    torch.overrides.resolve_name(T.adaptive_avg_pool2d), torch.overrides.get_ignored_functions()
elif first == "fx":
    import torch.fx.experimental.optimization
    torch.fx.symbolic_trace(torch.nn.AdaptiveAvgPool2d((5, 7)))(x), torch.fx.symbolic_trace(call)(x)
else:
    torch.func.vmap(call)(x[None]), torch.func.jacrev(lambda x: call(x).sum())(x), torch.func.functionalize(call)(x)
if switched == "yes": switch.disable()

names = [name for name in THEIRS]
ours, theirs = ([getattr(lib, name) for name in names] for lib in (F, T))
named = {id(f): lib + name for lib, fs in (("adapool.", ours), ("torch.", theirs)) for name, f in zip(names, fs)}
def name(f): return named.get(id(f)) or f"{getattr(f, '__module__', '')}.{getattr(f, '__qualname__', '')}"
found = {"held": [sorted(type(r).__name__ for r in gc.get_referrers(f) if type(r).__name__ != "frame") for f in ours]}
if first == "dynamo":
    rules = torch._dynamo.trace_rules.get_torch_obj_rule_map()
    found["rules"] = sorted((name(f), rule.__name__) for f, rule in rules.items())
    ops = []
    note = lambda g, _: ops.extend(str(n.target) for n in g.graph.nodes if n.op == "call_function") or g
    torch.compile(lambda x: F.adaptive_avg_pool2d(x, (5, 7)), backend=note, fullgraph=True)(x)
    assert ops == ["adapool.mean.default"], ops
tables = torch.overrides.get_overridable_functions(), torch.overrides.get_testing_overrides()
found["functions"] = sorted([getattr(space, "__name__", ""), *sorted(map(name, fs))] for space, fs in tables[0].items())
found["testing"] = sorted(map(name, tables[1]))
found["resolved"] = [torch.overrides.resolve_name(f) for f in theirs]
found["ours resolved"] = [torch.overrides.resolve_name(f) for f in ours]
if first == "fx": found["fx"] = sorted(map(name, torch.fx.experimental.optimization.mkldnn_supported))
print(json.dumps(found))
"""


@pytest.mark.parametrize("first", some(["dynamo", "overrides", "fx", "functorch"], ["fx"]))
def test_what_is_first_used_under_the_switch_finds_torchs_functions(first):
    start = lambda switched: subprocess.Popen([sys.executable, "-c", TABLES, first, switched], stdout=subprocess.PIPE)
    switched, never = (json.loads(process.communicate(timeout=240)[0]) for process in [start("yes"), start("no")])
    assert switched == never and switched["ours resolved"] == [None] * len(private.THEIRS)
    assert switched["resolved"] == [f"torch.nn.functional.{name}" for name in private.THEIRS]


def test_a_default_device_is_nobody_watching(monkeypatch):
    monkeypatch.setitem(private.THEIRS, "adaptive_avg_pool2d", None)  # which is not asked
    x = data(4, 64, 40, 40)
    want = F.adaptive_avg_pool2d(x, 7)
    with torch.device("meta"): assert torch.equal(F.adaptive_avg_pool2d(x, 7), want)
