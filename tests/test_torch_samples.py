"The samples by which PyTorch tests its own adaptive pools, run with its names switched to ours."

import re
from functools import cache

import pytest
import torch
import torch.nn.functional as T
from conformance import HALF, nothing_left_to_torch
from quick import rotated, some

import adapool.functional as F

OPERATORS = [f"adaptive_{kind}_pool{d}d" for kind in ("avg", "max") for d in (1, 2, 3)]
LAYERS = [f"Adaptive{kind}Pool{d}d" for kind in ("Max", "Avg") for d in (1, 2, 3)]
FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
OTHER_WORDS = {  # torch says here what a user cannot use
    "internal error": "output_size must be [23] sizes, one per pooled axis, or an int, got",
    "Trying to create tensor with negative dimension": "output_size must be greater than or equal to 0, got",
}


@cache
def operators():
    "torch's list: two seconds, so that only a process that runs these tests loads it."
    from torch.testing._internal.common_methods_invocations import op_db
    return {info.name.rpartition(".")[2]: info for info in op_db if "adaptive" in info.name}


@cache
def layers():
    from torch.testing._internal.common_modules import module_db
    return {info.module_cls.__name__: info for info in module_db if "Adaptive" in info.module_cls.__name__}


@pytest.fixture(autouse=True, scope="module")
def kernels():
    with nothing_left_to_torch(): yield


def outcome(function, *args, **kwargs):
    "The tensors that come out, or the type of what is raised."
    try: y = function(*args, **kwargs)
    except Exception as error: return type(error)
    return torch.utils._pytree.tree_leaves(y)


def assert_same(mine, theirs, exact):
    if isinstance(theirs, type): assert mine is theirs
    else:
        assert [(a.shape, a.dtype, a.stride()) for a in mine] == [(a.shape, a.dtype, a.stride()) for a in theirs]
        torch.testing.assert_close(mine, theirs, **dict(rtol=0, atol=0) if exact else {})


def true_average(name, dtype):
    "torch's function, but for the average of three axes in half precision, where torch adds up in that precision."
    if name != "adaptive_avg_pool3d" or dtype not in HALF: return getattr(T, name)
    return lambda x, *args, **kwargs: getattr(T, name)(x.double(), *args, **kwargs).to(dtype)


def test_they_are_all_here():
    assert set(OPERATORS) == set(operators()) and set(LAYERS) == set(layers())
    assert all(info.error_inputs_func for info in operators().values())


def switched(name):
    "Torch's function, which the switch leads to ours; ours itself where torch's is written in C."
    return getattr(T if hasattr(getattr(T, name), "__code__") else F, name)


@pytest.mark.parametrize("name, dtype", rotated(OPERATORS, FLOATS), ids=str)
def test_samples(name, dtype):
    "Also with every tensor made non-contiguous, and with the gradient of what comes out."
    theirs, exact = true_average(name, dtype), "max" in name
    for sample in operators()[name].sample_inputs("cpu", dtype, requires_grad=True):
        for case in (sample, sample.noncontiguous()):
            with F.enable(): mine = outcome(switched(name), case.input, *case.args, **case.kwargs)
            wanted = outcome(theirs, case.input, *case.args, **case.kwargs)
            if theirs is getattr(T, name) or isinstance(wanted, type): assert_same(mine, wanted, exact)
            else: torch.testing.assert_close(mine, wanted)
            if isinstance(wanted, type) or not case.input.numel(): continue
            grads = [torch.autograd.grad(y[0], case.input, torch.ones_like(y[0]))[0] for y in (mine, wanted)]
            torch.testing.assert_close(*grads)


@pytest.mark.parametrize("name", some(OPERATORS, ["adaptive_avg_pool2d", "adaptive_max_pool1d"]))
def test_gradients_by_differences(name):
    "First and second derivatives against finite differences; forward mode and gradients in batches too."
    for sample in operators()[name].sample_inputs("cpu", torch.float64, requires_grad=True):
        if not 0 < sample.input.numel() < 400: continue
        def pool(x, args=sample.args, kwargs=sample.kwargs): return outcome(getattr(F, name), x, *args, **kwargs)[0]
        assert torch.autograd.gradcheck(pool, sample.input, check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(pool, sample.input)


@pytest.mark.parametrize("name", OPERATORS)
def test_what_torch_refuses(name):
    for error in operators()[name].error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises(error.error_type) as raised, F.enable():
            switched(name)(sample.input, *sample.args, **sample.kwargs)
        said = error.error_regex
        words = next((ours for theirs, ours in OTHER_WORDS.items() if re.search(theirs, said)), said)
        assert re.search(words, str(raised.value))


@pytest.mark.parametrize("name, dtype", rotated(LAYERS, FLOATS), ids=str)
def test_layers(name, dtype):
    info = layers()[name]
    for given in info.module_inputs_func(info, "cpu", dtype, True, training=True):
        layer = info.module_cls(*given.constructor_input.args, **given.constructor_input.kwargs)
        with F.enable(): mine = outcome(layer, *given.forward_input.args, **given.forward_input.kwargs)
        wanted = outcome(layer, *given.forward_input.args, **given.forward_input.kwargs)
        if name != "AdaptiveAvgPool3d" or dtype not in HALF: assert_same(mine, wanted, "Max" in name)
        else: torch.testing.assert_close(mine[0], layer(given.forward_input.args[0].double()).to(dtype))
