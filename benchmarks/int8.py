"""Float and int8 side by side in ONNX Runtime, OpenVINO, LiteRT and ExecuTorch: file size, operators, error.

A small network that reads scikit-learn's digits, trained here in seconds, goes to each runtime with torch's own pools
and through adapool, and is quantized to 8 bits by that runtime's tool, calibrated on digits of its training. All
figures are of the digits that it has not seen. What is installed is measured; in benchmarks/int8.json, which the page
use/03b_int8 shows, the rest stays as it was: the runtimes need no common environment.

    python benchmarks/int8.py --runtime onnxruntime
"""

import argparse
import importlib.util
import json
import operator
import os
import re
import tempfile
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from adapool.export import program, to_onnx

RESULTS = Path(__file__).with_suffix(".json")
POOLS = {"averages": nn.AdaptiveAvgPool2d, "a maximum and an average": nn.AdaptiveMaxPool2d}
SEEN, CALIBRATED = 1400, 256  # digits to train with; those of them that ranges are found on


def network(pools):
    "A network without weights of its own yet: 8 → 5 by the pool named, 5 → 3 by an average."
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), POOLS[pools](5), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(288, 10))


def digits():
    "Images (1797, 1, 8, 8) in [0, 1], and what they show."
    images, shown = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return torch.tensor(images[order] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(shown[order])


def trained(pools, epochs=12):
    "The network after some epochs, the images that it was trained with, those that it was not, and what these show."
    with torch.random.fork_rng():
        torch.manual_seed(0)
        (x, shown), model = digits(), network(pools)
        steps = torch.optim.Adam(model.parameters(), 4e-3)
        for _ in range(epochs):
            for batch in torch.randperm(SEEN).split(50):
                steps.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), shown[batch]).backward()
                steps.step()
    return model.eval().requires_grad_(False), x[:SEEN], x[SEEN:], shown[SEEN:]


def written(model, x, path, ours):
    "An ONNX file of the model, by `to_onnx` or by torch's exporter."
    if ours: to_onnx(model, x, path, input_names=["x"], progress=False)
    else: torch.onnx.export(model, (x,), path, input_names=["x"], dynamo=True, verbose=False, external_data=False)
    return path


def in_onnxruntime(model, x, folder, ours):
    "`(kB, operators, run)` of the float file and of the one that `quantize_static` writes."
    import onnx
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    class Reader(CalibrationDataReader):
        batches = iter([{"x": image[None].numpy()} for image in x])
        def get_next(self): return next(self.batches, None)
    paths = [written(model, x[:1], folder / "float.onnx", ours), folder / "int8.onnx"]
    quantize_static(*paths, Reader())
    for path in paths:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(folder / "runs.onnx")
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options)
        runs = Counter(node.op_type for node in onnx.load(folder / "runs.onnx").graph.node)
        yield path.stat().st_size, runs, lambda x, run=session.run: run(None, {"x": x.numpy()})[0]


def in_openvino(model, x, folder, ours):
    "The same of what OpenVINO reads from the ONNX file, and of what NNCF makes of it."
    import nncf
    import openvino
    nncf.set_log_level("ERROR")
    path = written(model, x[:1], folder / "model.onnx", ours)
    read = openvino.convert_model(path)
    images = nncf.Dataset(list(x[:, None].numpy()))
    to_the_largest = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX  # a mean of them clips
    told = nncf.AdvancedQuantizationParameters(activations_range_estimator_params=to_the_largest)
    made_int8 = nncf.quantize(
        read, images, subset_size=len(x), fast_bias_correction=False, advanced_parameters=told)
    for model in (read, made_int8):
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        made, runs = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}), Counter()
        for op in made.get_runtime_model().get_ops():
            told = {name: str(op.rt_info[name].astype(str)) for name in ("layerType", "runtimePrecision")}
            if told["layerType"] not in ("Input", "Output", "Const"): runs[" ".join(told.values())] += 1
        size = sum((folder / f"model.{end}").stat().st_size for end in ("xml", "bin"))
        yield size, runs, lambda x, run=made: run([x.numpy()])[0]


def in_litert(model, x, folder, ours):
    "The same of what litert_torch converts, as it is and quantized by torchao's PT2E with LiteRT's quantizer."
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
    from litert_torch.quantize.quant_config import QuantConfig
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    example = (x[:1],)
    def captured():
        found = program(model, x[:1], target="litert_int8") if ours else torch.export.export(model, example)
        return found.module()
    told = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    watched = prepare_pt2e(captured(), told)
    for image in x: watched(image[None])
    made_int8 = convert_pt2e(watched, fold_quantize=False)  # folded, the converter refuses the weights
    for model, config in ((captured(), {}), (made_int8, {"quant_config": QuantConfig(pt2e_quantizer=told)})):
        path = folder / ("int8.tflite" if config else "float.tflite")  # an interpreter reads its file as it runs
        litert_torch.convert(model, example, **config).export(str(path))
        made = Interpreter(str(path))
        made.allocate_tensors()
        def run(x, made=made):
            (taken,), (given,) = made.get_input_details(), made.get_output_details()
            (by, zero), (factor, offset) = taken["quantization"], given["quantization"]
            x = np.clip(np.round(x.numpy() / by) + zero, -128, 127).astype(np.int8) if by else x.numpy()
            made.set_tensor(taken["index"], x)
            made.invoke()
            y = made.get_tensor(given["index"])
            return (y.astype(np.float32) - offset) * factor if factor else y
        yield path.stat().st_size, Counter(op["op_name"] for op in made._get_ops_details()), run


def in_executorch(model, x, folder, ours):
    "The same of what ExecuTorch hands to XNNPACK, as it is and quantized by torchao's PT2E with XNNPACK's quantizer."
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    example = (x[:1],)
    found = program(model, *example, target="xnnpack") if ours else torch.export.export(model, example)
    ranges = xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    told = xnnpack_quantizer.XNNPACKQuantizer().set_global(ranges)
    watched = prepare_pt2e(found.module(), told)
    for image in x: watched(image[None])
    for each in (found, torch.export.export(convert_pt2e(watched), example)):
        lowered = to_edge_transform_and_lower(each, partitioner=[XnnpackPartitioner()])
        runs = Counter(node.target.__name__ for node in lowered.exported_program().graph.nodes
                       if node.op == "call_function" and node.target is not operator.getitem)
        made = lowered.to_executorch().buffer
        loaded = Runtime.get().load_program(made)  # it must live as long as its method
        method = loaded.load_method("forward")
        def run(x, loaded=loaded, method=method): return method.execute([x])[0].clone().numpy()
        yield len(made), runs, run


RUNTIMES = {  # what measures it, the packages that it takes
    "onnxruntime": (in_onnxruntime, ("onnxruntime", "onnx", "onnxscript", "tqdm")),
    "openvino": (in_openvino, ("openvino", "nncf", "onnxruntime", "onnxscript", "tqdm")),
    "litert": (in_litert, ("litert-torch", "ai-edge-litert", "torchao")),
    "executorch": (in_executorch, ("executorch", "torchao")),
}


def missing(runtime):
    "The packages of a runtime that are not installed."
    return [name for name in RUNTIMES[runtime][1] if importlib.util.find_spec(name.replace("-", "_")) is None]


def row(runtime, pools, ours):
    "What is measured of one network in one runtime, or why it does not get there."
    model, seen, new, shown = trained(pools)
    found = {"runtime": runtime, "pools": pools, "by": "adapool" if ours else "torch"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        try:
            made = list(RUNTIMES[runtime][0](model, seen[:CALIBRATED], Path(folder), ours))
            outputs = [np.concatenate([run(image[None]) for image in new]) for *_, run in made]
        except Exception as error:
            if ours: raise
            return found | {"fails": re.sub(r"\s+", " ", str(error))[:60] or type(error).__name__}
    norm = np.linalg.norm
    return found | {
        "kB": [round(size / 1000, 1) for size, *_ in made],
        "operators": [dict(runs.most_common()) for _, runs, _ in made],
        "accuracy": [float((y.argmax(1) == shown.numpy()).mean()) for y in outputs],
        "float_error": float(norm(outputs[0] - model(new).numpy()) / norm(outputs[0])),
        "error": float(norm(outputs[1] - outputs[0]) / norm(outputs[0]))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", choices=list(RUNTIMES), action="append", help="all installed when left out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"versions": {}, "rows": []}
    for runtime in args.runtime or RUNTIMES:
        if absent := missing(runtime):
            print(f"{runtime}: not measured, {', '.join(absent)} not installed: pip install {' '.join(absent)}")
            continue
        rows = [row(runtime, pools, ours) for pools in POOLS for ours in (False, True)]
        for found in rows: print(*(f"{k} {v}" for k, v in found.items()), sep="\n  ", flush=True)
        known["rows"] = [other for other in known["rows"] if other["runtime"] != runtime] + rows
        known["versions"][runtime] = {name: version(name) for name in ("torch", *RUNTIMES[runtime][1])}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
