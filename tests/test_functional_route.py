"One route from a call to its result: what a warm call costs, what is kept of a shape, torch without private names."

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as T
from torch.utils._python_dispatch import TorchDispatchMode

import adapool.functional as F
from adapool.kernels import quick
from adapool.tensors import memory, private, route

ROOT = os.path.dirname(F.__file__)


def frames(call):
    "The Python functions that a warm call runs: all of them, and those of this package."
    seen = []

    def note(frame, event, _):
        if event == "call": seen.append(frame.f_code)
    call(), call()
    sys.setprofile(note)
    try: call()
    finally: sys.setprofile(None)
    return len(seen) - 1, sum(code.co_filename.startswith(ROOT) for code in seen)


@pytest.fixture
def x():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield torch.rand(8, 64, 40, 41, generator=torch.Generator().manual_seed(0))
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_a_warm_call_runs_few_functions(kind, x):
    "Before there was one route: 12, 43 and 25, or 12, 44 and 35 for the maximum; the last is of our own functions."
    pool, leaf = getattr(F, f"adaptive_{kind}_pool2d"), x.clone().requires_grad_()
    y, outputs = pool(leaf, 7), iter([pool(leaf, 7) for _ in range(3)])
    assert frames(lambda: pool(x, 7))[0] <= 12
    assert frames(lambda: pool(leaf, 7))[0] <= 26
    g = torch.ones(y.shape)
    assert frames(lambda: torch.autograd.grad(next(outputs), leaf, g))[1] <= {"avg": 17, "max": 19}[kind]
    assert frames(lambda: pool(x[:1, :1, :5, :5], 2))[0] <= 5  # and torch's own operator


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_what_is_recorded_has_no_signature_for_torch_to_look_at(kind, x):
    "As torch does from 2.14 on, at each call of a function with a `setup_context`: a small pool takes no longer."
    y = getattr(F, f"adaptive_{kind}_pool2d")(x.clone().requires_grad_(), 7)
    assert y.grad_fn._forward_cls.setup_context is torch.autograd.Function.setup_context


def test_a_shape_is_planned_once(x, monkeypatch):
    planned = []
    new_job = memory.kernels.new_job
    monkeypatch.setattr(quick, "WITHOUT", 10**9)
    monkeypatch.setattr(memory.kernels, "new_job", lambda *args: planned.append(args[0]) or new_job(*args))
    memory.KNOWN.clear()
    leaf = x.clone().requires_grad_()
    for _ in range(3):
        F.adaptive_avg_pool2d(x, (7, 5))
        F.adaptive_avg_pool2d(leaf, (7, 5)).sum().backward()
    assert sorted(planned) == ["avg_backward", "mean", "mean"]  # with and without a gradient to come


def test_what_is_known_is_bounded_and_forgotten_as_a_whole():
    known = memory.Known()
    assert [known[divmod, i, 7] for i in range(3000)] == [divmod(i, 7) for i in range(3000)]
    assert len(known) <= memory._MOST_KNOWN
    with pytest.raises(ZeroDivisionError): known[divmod, 1, 0]
    assert (divmod, 1, 0) not in known


def test_wrong_calls_are_not_remembered(x):
    memory.KNOWN.clear()
    for size in (-1, (1, 2, 3), (7, 2**62)):
        for _ in range(2):
            with pytest.raises((RuntimeError, ValueError)): F.adaptive_avg_pool2d(x, size)
    with pytest.raises(TypeError): F.adaptive_avg_pool2d(x, True)  # which is equal to 1
    F.adaptive_avg_pool2d(x, 1)
    with pytest.raises(TypeError): F.adaptive_avg_pool2d(x, True)


class Watched(TorchDispatchMode):
    def __torch_dispatch__(self, op, types, args=(), kwargs=None): return op(*args, **(kwargs or {}))


def test_a_known_shape_whose_numbers_cannot_be_had(x):
    "The same shape, first plain, then watched, transformed, with a tangent, without memory."
    for kind in ("avg", "max"):
        pool, theirs = (getattr(lib, f"adaptive_{kind}_pool2d") for lib in (F, T))
        want = pool(x, 7)
        with Watched(): torch.testing.assert_close(pool(x, 7), want)
        torch.testing.assert_close(torch.func.vmap(lambda x, pool=pool: pool(x, 7))(x), want)
        assert not pool(torch._efficientzerotensor(x.shape), 7).any()
        _, tangent = torch.func.jvp(lambda x, pool=pool: pool(x, 7), (x,), (x,))
        torch.testing.assert_close(tangent, torch.func.jvp(lambda x, f=theirs: f(x, 7), (x,), (x,))[1])
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, x)
            torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(pool(dual, 7)).tangent, tangent)


def right():
    "Is everything as torch has it, by values, gradients, transforms, and in a graph?"
    x = torch.randn(2, 9, 30, 31, generator=torch.Generator().manual_seed(0))
    for kind, d in private.NAMES:
        y = x[:, 0] if d == 1 else x if d == 2 else x[None]
        for size in (7, 1):
            ours, theirs = (getattr(lib, private.NAMES[kind, d]) for lib in (F, T))
            for a in (y, y[..., :8], torch.nn.Parameter(y)): torch.testing.assert_close(ours(a, size), theirs(a, size))
            with torch.device("cpu"): torch.testing.assert_close(ours(y, size), theirs(y, size))
            leaves = [y.clone().requires_grad_() for _ in range(2)]
            for f, leaf in zip((ours, theirs), leaves): f(leaf, size).square().sum().backward()
            torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
            every = lambda f, y=y, size=size: (
                torch.func.grad(lambda x: f(x, size).sum())(y), torch.func.functionalize(lambda x: f(x, size))(y),
                torch.func.jvp(lambda x: f(x, size), (y,), (y,))[1], torch.jit.trace(lambda x: f(x, size), y)(y))
            for mine, want in zip(every(ours), every(theirs)): torch.testing.assert_close(mine, want)
            name = private.ORDINARY_NAMES[kind, d]
            f, g = (lambda x, lib=lib, name=name: getattr(lib, name)(x, 3, 2, 1) for lib in (F, T))
            for mine, want in zip((f(y), *every(lambda x, _, f=f: f(x))), (g(y), *every(lambda x, _, g=g: g(x)))):
                torch.testing.assert_close(mine, want)
            if kind == "max":
                places = (getattr(lib, name)(y, 2, return_indices=True) for lib in (F, T))
                for mine, want in zip(*places): assert torch.equal(mine, want)
    with F.enable(): torch.testing.assert_close(torch.nn.AdaptiveAvgPool2d(7)(x), F.adaptive_avg_pool2d(x, 7))
    return True


WITHOUT = """
import sys, warnings
warnings.simplefilter("ignore")
import torch, adapool.tensors.private as private
gone = [sys.argv[1]] if sys.argv[1] else [*private.STAND_INS]
for name, value in [*vars(private).items()]:
    for path in gone:
        found = torch
        for part in path.split("."): found = getattr(found, part, private)
        if value is found: setattr(private, name, private.STAND_INS[path])
if "_C._disabled_torch_function_impl" in gone: private._AS_IT_IS = private._AS_IT_IS[:1]
private.OPERATORS |= {key: private.STAND_INS[f"_C._nn.{name}"] for key, name in private.NAMES.items()
                      if f"_C._nn.{name}" in gone}
ordinary = {key: private.ORDINARY_NAMES[key[:2]] + "_with_indices" * key[2] for key in private.ORDINARY_OPERATORS}
private.ORDINARY_OPERATORS |= {key: private.STAND_INS[f"_C._nn.{name}"] for key, name in ordinary.items()
                               if f"_C._nn.{name}" in gone}
import test_functional_route
assert test_functional_route.right()
"""


def test_right_with_all_of_torchs_private_names(): assert right()


ONE_BY_ONE = [pytest.param(name, marks=pytest.mark.slow) for name in private.STAND_INS]


@pytest.mark.parametrize("gone", ["", *ONE_BY_ONE])
def test_torch_without_private_names_is_slower_and_as_right(gone):
    done = subprocess.run([sys.executable, "-c", WITHOUT, gone], capture_output=True, text=True,
                          cwd=os.path.dirname(__file__))
    assert done.returncode == 0, done.stderr[-2000:]


def test_which_calls_are_left_to_torch_depends_on_the_shape_alone():
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        assert route.small("avg", 2, (1, 1, 9, 9), torch.float32, True, (3, 3), False)
        assert not route.small("avg", 2, (8, 64, 40, 41), torch.float32, True, (7, 7), False)
