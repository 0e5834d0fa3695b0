"TVM's Relax, compiled for this processor: every layer of fixed size, and those of open size that its reader takes."

import pytest
import torch
from layers import EXAMPLE, FIXED, HW, OPEN, SIZES, numbers

from adapool.export import program

tvm = pytest.importorskip("tvm", reason="TVM is not installed, or does not load: pip install apache-tvm==0.26.0",
                          exc_type=ImportError)
READ = [name for name in OPEN if name != "avg2d_half"]  # whose own `//` of an open size TVM's reader refuses


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
