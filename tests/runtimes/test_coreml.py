"Core ML: programs that coremltools converts give eager's numbers, as an interpreter of MIL operators runs them."

import mil
import pytest
import torch
from layers import EXAMPLE, FIXED, HW, OPEN, SIZES, numbers

from adapool.export import program

ct = pytest.importorskip("coremltools", reason="coremltools is not installed: make test-runtimes installs it")


def converted(layer, x, shapes=None, target="coreml"):
    found = program(layer.eval(), x, shapes, target=target).run_decompositions({})
    return ct.convert(found, minimum_deployment_target=ct.target.iOS17, compute_precision=ct.precision.FLOAT32,
                      convert_to="milinternal")


def same(layer, found, x):
    wanted = layer(x)
    for a, b in zip(wanted if isinstance(wanted, tuple) else [wanted], mil.run(found, x), strict=True):
        torch.testing.assert_close(b.to(a.dtype), a, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("target", [None, "coreml"])
@pytest.mark.parametrize("name", FIXED)
def test_fixed_sizes(name, target):
    layer, shape = FIXED[name]
    same(layer, converted(layer, numbers(*shape), target=target), numbers(*shape))


@pytest.mark.parametrize("name", OPEN)
def test_open_sizes(name):
    found = converted(OPEN[name], numbers(*EXAMPLE), HW)
    for size in SIZES: same(OPEN[name], found, numbers(*EXAMPLE[:2], *size))
