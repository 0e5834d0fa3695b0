"TVM's Relax, compiled for this processor: every layer of fixed size and of open size."

import pytest
import torch
import torch.nn.functional as T
from layers import EXAMPLE, FIXED, HW, OPEN, SIZES, Of, numbers
from torch import nn

from adapool.export import program

tvm = pytest.importorskip("tvm", reason="TVM is not installed, or does not load: pip install apache-tvm==0.26.0",
                          exc_type=ImportError)
READ = [name for name in OPEN if name != "area2d_factor"]  # whose own quotient of an open size TVM's reader refuses


def converted(model, x, **options):
    "A function that runs the model in TVM's virtual machine; a tuple of outputs."
    from tvm.relax.frontend.torch import from_exported_program
    found = program(model, x, target="tvm", **options).run_decompositions()
    machine = tvm.relax.VirtualMachine(tvm.compile(from_exported_program(found), "llvm"), tvm.cpu())
    return lambda x: tuple(torch.from_numpy(y.numpy()) for y in machine["main"](tvm.runtime.tensor(x.numpy())))


def assert_same(found, wanted):
    torch.testing.assert_close(found, wanted if isinstance(wanted, tuple) else (wanted,), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", FIXED)
def test_fixed_layers(name):
    model, shape = FIXED[name]
    run, x = converted(model, numbers(*shape)), numbers(*shape)
    assert_same(run(x), model(x))


@pytest.mark.parametrize("name", READ)
def test_open_layers(name):
    run = converted(OPEN[name], numbers(*EXAMPLE), dynamic_shapes=HW)
    for height, width in SIZES:
        x = numbers(1, 3, height, width)
        assert_same(run(x), OPEN[name](x))


@pytest.mark.parametrize("layer, shape, shapes, sizes", [
    (nn.AdaptiveAvgPool2d((4, 5)), (1, 3, 10, 15), None, [(10, 15)]),
    (nn.AdaptiveAvgPool2d((7, 1)), (1, 3, 15, 10), None, [(15, 10)]),
    (nn.AdaptiveAvgPool2d((1, 6)), EXAMPLE, HW, SIZES),
    (nn.AdaptiveAvgPool2d((4, 7)), (1, 3, 12, 14), ({2: "height"},), [(12, 14), (5, 14)]),
], ids=str)
def test_its_own_average_beside_an_axis_that_divides(layer, shape, shapes, sizes):
    "Torch's own layer is wrong there, which is why axes that divide are pooled before."
    run = converted(layer, numbers(*shape), dynamic_shapes=shapes)
    for size in sizes:
        x = numbers(*shape[:2], *size)
        assert_same(run(x), layer(x))


BEHIND = {
    "max": nn.AdaptiveMaxPool2d((4, 5)),
    "indices": nn.AdaptiveMaxPool2d(3, return_indices=True),
    "max_none": nn.AdaptiveMaxPool2d((None, 3), return_indices=True),
    "avg_none": nn.AdaptiveAvgPool2d((None, 3)),
    "avg_half": Of(lambda x: T.adaptive_avg_pool2d(x, [x.shape[2] // 2, 3])),
    "max_half": Of(lambda x: T.adaptive_max_pool2d(x, [3, x.shape[3] // 2])),
}


@pytest.mark.parametrize("stride, padding", [(1, 0), (2, 1)])
@pytest.mark.parametrize("name", BEHIND)
def test_open_sizes_behind_a_convolution(name, stride, padding):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride, padding), BEHIND[name]).eval().requires_grad_(False)
    run = converted(model, numbers(1, 3, 33, 30), dynamic_shapes=HW)
    for size in [(33, 30), (41, 29)]:
        x = numbers(1, 3, *size)
        assert_same(run(x), model(x))


def test_inf_and_nan_stay_where_they_are_read():
    layer, x = nn.AdaptiveMaxPool2d((4, 6), return_indices=True), numbers(1, 3, 20, 15)
    x[0, 0, 3, 3], x[0, 1, 7, 0], x[0, 2, :12] = torch.inf, torch.nan, -torch.inf
    (found, index), (wanted, places) = converted(layer, numbers(*EXAMPLE), dynamic_shapes=HW, finite=False)(x), layer(x)
    torch.testing.assert_close(found, wanted, equal_nan=True)
    assert torch.equal(index, places)
