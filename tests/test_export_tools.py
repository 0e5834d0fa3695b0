"What people do next with a file: quantize it to 8 bits, convert it to 16, in ONNX Runtime's own tools."

import logging
import warnings

import onnx
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from quick import some

from adapool.export import to_onnx

# kind, sizes of the example, wanted sizes; all axes open or fixed, inf and NaN looked after or not
CASES = [
    ("Avg", (64,), 7, "open"), ("Avg", (64,), 7, "fixed"), ("Max", (64,), 7, "open"),
    ("Avg", (64, 64), 7, "open"), ("Avg", (64, 64), 7, "fixed"), ("Avg", (10, 8), (7, 5), "fixed"),
    ("Avg", (9, 5), (20, 7), "fixed"), ("Avg", (64, 48), (7, None), "open"), ("Avg", (300, 20), (130, 7), "open"),
    ("Avg", (64, 64), 7, "open, infinite"), ("Avg", (6, 16, 20), (4, 7, 3), "open"),
    ("Avg", (6, 16, 20), (4, 7, 3), "fixed"), ("Max", (64, 64), 7, "open"), ("Max", (64, 64), 7, "fixed"),
    ("Max", (64, 64), 7, "open, infinite"), ("Max", (6, 16, 20), (4, 7, 3), "open"),
]
FEW = ("Avg", (64, 64), 7, "open"), ("Avg", (9, 5), (20, 7), "fixed"), ("Max", (64, 64), 7, "open, infinite")
FACTORS = (1, 0.05, 0.2, 0.3, 0.5, 0.8, 1.2, 1.5, 2, 3)  # of the size that the ranges are calibrated with


def numbers(shape, seed=0): return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


class Batches(CalibrationDataReader):
    "Inputs of one size to calibrate with: noise, and the least and the largest input that there will be."
    def __init__(self, shape):
        self.batches = iter([{"x": x.numpy()} for x in (numbers(shape, 99), torch.zeros(shape), torch.ones(shape))])

    def get_next(self): return next(self.batches, None)


def written(path, kind, shape, size, how):
    "A convolution, then the pool; the model, and the file that holds it. The input is called x."
    torch.manual_seed(0)
    d, (open_axes, finite) = len(shape), ("open" in how, "infinite" not in how)
    conv = getattr(torch.nn, f"Conv{d}d")(2, 4, 1)
    torch.nn.init.uniform_(conv.weight)
    model = torch.nn.Sequential(conv, torch.nn.ReLU(), getattr(torch.nn, f"Adaptive{kind}Pool{d}d")(size)).eval()
    names = ({i + 2: f"axis{i}" for i in range(d)},) if open_axes else None
    to_onnx(model, numbers((1, 2, *shape)), path, names, input_names=["x"], finite=finite, progress=False)
    return model.requires_grad_(False)


def quantized(path, tool, shape):
    "The file with 8-bit integers, its ranges calibrated at one shape."
    target, before = path.with_name("int8.onnx"), logging.root.manager.disable
    logging.disable()
    with warnings.catch_warnings(action="ignore"):
        if tool == "dynamic": quantize_dynamic(path, target)
        else: quantize_static(path, target, Batches(shape), quant_format=QuantFormat[tool])
    logging.disable(before)
    return target


def opened(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


def error(wanted, got): return ((wanted - got).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("kind, shape, size, how", some(CASES, FEW))
def test_quantized_to_eight_bits(kind, shape, size, how, tmp_path):
    "Within 2 % of the float model, at the size that the ranges were calibrated with and at nine others."
    model = written(tmp_path / "a.onnx", kind, shape, size, how)
    for tool in ("QDQ", "QOperator", "dynamic"):
        run = opened(quantized(tmp_path / "a.onnx", tool, (1, 2, *shape)))
        for seed, factor in enumerate(FACTORS if "open" in how else (1,)):
            x = numbers((1, 2, *(max(1, round(n * factor)) for n in shape)), seed)
            assert error(model(x), run(x)) < 0.02, (tool, tuple(x.shape))


@pytest.mark.parametrize("kind, shape, size, how", some(
    [case for case in CASES if len(case[1]) == 2 and "open" in case[3]], 2))
def test_converted_to_half_precision(kind, shape, size, how, tmp_path):
    "The file holds no Cast to single precision, which the converter would leave as it is, and the file invalid."
    model, file = written(tmp_path / "a.onnx", kind, shape, size, how), onnx.load(tmp_path / "a.onnx")
    casts = [node.attribute[0].i for node in file.graph.node if node.op_type == "Cast"]
    assert onnx.TensorProto.FLOAT not in casts
    run, x = opened(convert_float_to_float16(file).SerializeToString()), numbers((1, 2, *shape), 1)
    assert error(model(x), run(x.half()).float()) < 2e-3


@pytest.mark.parametrize("kind", some(["Avg", "Max"], ["Max"]))
def test_prepared_for_quantization(kind, tmp_path):
    "ONNX Runtime's symbolic shape inference knows no ReduceMax; without it, the file passes."
    model = written(tmp_path / "a.onnx", kind, (64, 64), 7, "open")
    quant_pre_process(tmp_path / "a.onnx", tmp_path / "b.onnx", skip_symbolic_shape=kind == "Max")
    run = opened(quantized(tmp_path / "b.onnx", "QDQ", (1, 2, 64, 64)))
    for n in (1, 14, 64, 99): assert error(model(numbers((1, 2, n, n))), run(numbers((1, 2, n, n)))) < 0.02
