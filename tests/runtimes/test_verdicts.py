"What `why_not` says of torch's own layers, asked of the runtimes themselves."

import pytest
import torch
from layers import FIXED, numbers
from torch import nn

from adapool.export import why_not

LAYERS = {name: FIXED[name] for name in ("avg1d", "avg2d_matrix", "avg3d", "max2d_divides", "max1d_indices")} | {
    "avg2d_torn": (nn.AdaptiveAvgPool2d((5, 4)), (1, 3, 10, 15)),
    "avg3d_one": (nn.AdaptiveAvgPool3d(1), (1, 2, 7, 5, 9)),
    "avg3d_torn": (nn.AdaptiveAvgPool3d((3, 2, 4)), (1, 2, 6, 5, 9)),
    "avg3d_divides": (nn.AdaptiveAvgPool3d((3, 2, 4)), (1, 2, 6, 4, 8))}


def litert(layer, x):
    import litert_torch
    return litert_torch.convert(layer, (x,))(x)


def executorch(layer, x):
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime
    made = to_edge_transform_and_lower(torch.export.export(layer, (x,))).to_executorch()
    program = Runtime.get().load_program(made.buffer)
    return program.load_method("forward").execute([x])[0].clone()


def tvm(layer, x):
    import tvm
    from tvm.relax.frontend.torch import from_exported_program
    made = tvm.compile(from_exported_program(torch.export.export(layer, (x,))), target="llvm")
    return tvm.relax.VirtualMachine(made, tvm.cpu())["main"](tvm.runtime.tensor(x.numpy()))[0].numpy()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("tool, package, run", [
    ("LiteRT", "litert_torch", litert), ("ExecuTorch", "executorch", executorch), ("TVM", "tvm", tvm)])
def test_verdicts_are_those_of_the_runtimes(tool, package, run, name):
    pytest.importorskip(package)
    layer, shape = LAYERS[name]
    x = numbers(*shape)
    try:
        same = torch.allclose(layer(x), torch.as_tensor(run(layer, x)), atol=1e-5)
        verdict = "right" if same else "wrong"
    except Exception: verdict = "fails"
    assert why_not(layer, x)[0][tool].split(" / ")[0] == verdict


@pytest.mark.parametrize("layer, shape, tool, says", [
    (nn.AdaptiveAvgPool2d((1, 4)), (1, 2, 9, 16), "TVM", "right / wrong"),
    (nn.AdaptiveAvgPool2d((None, 7)), (1, 2, 14, 15), "TVM", "right / fails"),
    (nn.AdaptiveAvgPool2d((9, 3)), (1, 2, 9, 9), "TVM", "right"),
    (nn.AdaptiveAvgPool3d((3, 2, 2)), (1, 2, 9, 9, 8), "TVM", "wrong / right"),
    (nn.AdaptiveAvgPool1d(1), (2, 1, 36), "Core ML", "right / fails"),
    (nn.AdaptiveMaxPool3d((2, 1, 1)), (1, 2, 10, 2, 4), "AOTInductor", "right / wrong"),
    (nn.AdaptiveMaxPool3d(2), (1, 2, 10, 9, 7), "AOTInductor", "right"),
    (nn.AdaptiveAvgPool3d(2), (1, 2, 10, 8, 6), "AOTInductor", "right"),
    (nn.AdaptiveAvgPool3d((2, 2, 4)), (1, 2, 4, 10, 12), "LiteRT", "right / fails"),
    (nn.AdaptiveAvgPool2d((9, 9)), (1, 2, 9, 9), "LiteRT", "right / fails"),
    (nn.AdaptiveAvgPool2d((9, 3)), (1, 2, 9, 9), "LiteRT", "right / wrong"),
])
def test_verdicts_of_open_sizes_as_measured(layer, shape, tool, says):
    assert why_not(layer, numbers(*shape))[0][tool] == says
