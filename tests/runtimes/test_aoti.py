"AOTInductor, torch's own compiler of exported programs: every layer of `layers`, several compiled as one model."

import shutil

import pytest
import torch
from layers import EXAMPLE, FIXED, HW, OPEN, SIZES, OfOne, Together, numbers
from torch import nn

from adapool.export import program

pytestmark = pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None,
                                reason="AOTInductor compiles C++: neither g++ nor clang++ is installed")


def compiled(found, folder):
    "An exported program as AOTInductor makes it, loaded."
    path = torch._inductor.aoti_compile_and_package(found, package_path=str(folder / "model.pt2"))
    return torch._inductor.aoti_load_package(path)


def test_fixed_layers(tmp_path):
    model, inputs = Together([layer for layer, _ in FIXED.values()]), [numbers(*shape) for _, shape in FIXED.values()]
    run = compiled(program(model, tuple(inputs), target="aoti"), tmp_path)
    inputs = tuple(torch.randn_like(x) for x in inputs)
    torch.testing.assert_close(tuple(run(*inputs)), model(*inputs), atol=1e-5, rtol=1e-5)


def test_open_layers(tmp_path):
    model = OfOne(OPEN.values())
    run = compiled(program(model, numbers(*EXAMPLE), dynamic_shapes=HW, target="aoti"), tmp_path)
    for height, width in SIZES:
        x = numbers(1, 3, height, width)
        torch.testing.assert_close(tuple(run(x)), model(x), atol=1e-5, rtol=1e-5)


def test_why_torchs_own_layers_are_not_left_in(tmp_path):
    "With open sizes they are wrong, without a word, where the largest window of the example has at most 25 cells."
    model, x = nn.AdaptiveAvgPool2d(7), numbers(*EXAMPLE)
    sizes = {2: torch.export.Dim("height", min=2, max=99), 3: torch.export.Dim("width", min=2, max=99)}
    run = compiled(torch.export.export(model, (x,), dynamic_shapes=(sizes,)), tmp_path)
    torch.testing.assert_close(run(x), model(x))
    x = numbers(1, 3, 31, 30)
    assert run(x).shape == (1, 3, 7, 7) and (run(x) - model(x)).abs().max() > 0.1
