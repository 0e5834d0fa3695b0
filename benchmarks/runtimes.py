"""Runtimes: adaptive pools as `adapool.export.program` writes them, beside torch's own layers given to the same tool.

In one process, in turns, on one thread; a figure is the time of torch's own over ours, so more than 1 is ours faster,
with both file sizes. Where the tool does not take torch's own layer, or is wrong with it, there is none. Needs the
runtime: `.venv-runtimes/bin/python benchmarks/runtimes.py litert --only avg2d` (`make test-runtimes` makes that
environment). With `--open` height and width are open in the programs.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from timing import medians
from torch import nn

from adapool.export import program

NETWORK = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Flatten(),
                        nn.Linear(16 * 49, 10))
CASES = {
    "avg2d 50 × 45 → 7": (nn.AdaptiveAvgPool2d(7), (1, 64, 50, 45)),
    "avg2d 14 → 7": (nn.AdaptiveAvgPool2d(7), (1, 512, 14, 14)),
    "avg2d 14 → 7, 3 channels": (nn.AdaptiveAvgPool2d(7), (1, 3, 14, 14)),
    "avg2d 13 → 6": (nn.AdaptiveAvgPool2d(6), (1, 256, 13, 13)),
    "avg2d 60 → 6": (nn.AdaptiveAvgPool2d(6), (1, 64, 60, 60)),
    "avg2d 10 × 15 → 4 × 6": (nn.AdaptiveAvgPool2d((4, 6)), (1, 64, 10, 15)),
    "avg2d 56 → 1": (nn.AdaptiveAvgPool2d(1), (1, 64, 56, 56)),
    "avg2d 7 → 14": (nn.AdaptiveAvgPool2d(14), (1, 128, 7, 7)),
    "avg2d 112 → 50": (nn.AdaptiveAvgPool2d(50), (1, 32, 112, 112)),
    "avg2d 32 × 20 → 32 × 1": (nn.AdaptiveAvgPool2d((None, 1)), (1, 64, 32, 20)),
    "avg1d 499 → 50": (nn.AdaptiveAvgPool1d(50), (1, 256, 499)),
    "avg3d → 1": (nn.AdaptiveAvgPool3d(1), (1, 32, 8, 14, 14)),
    "max2d 14 → 7": (nn.AdaptiveMaxPool2d(7), (1, 256, 14, 14)),
    "max2d 50 × 45 → 7": (nn.AdaptiveMaxPool2d(7), (1, 64, 50, 45)),
    "max2d 56 → 1": (nn.AdaptiveMaxPool2d(1), (1, 64, 56, 56)),
    "network": (NETWORK, (1, 3, 99, 93)),
}


def litert(found, x):
    "What runs a program on `x` in LiteRT, and the size of its file."
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        litert_torch.convert(found.module(), (x,)).export(str(path))
        content = path.read_bytes()
    runs = Interpreter(model_content=content, num_threads=1)
    runs.allocate_tensors()
    runs.set_tensor(runs.get_input_details()[0]["index"], x.numpy())
    runs.invoke()
    return runs.invoke, len(content), torch.from_numpy(runs.get_tensor(runs.get_output_details()[0]["index"]))


def executorch(found, x, partitioner=()):
    "The same by ExecuTorch's own kernels."
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime
    content = to_edge_transform_and_lower(found, partitioner=list(partitioner)).to_executorch().buffer
    loaded = Runtime.get().load_program(content)
    method = loaded.load_method("forward")
    return lambda loaded=loaded: method.execute([x]), len(content), method.execute([x])[0].clone()


def xnnpack(found, x):
    "The same with what XNNPACK takes handed to it."
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    return executorch(found, x, [XnnpackPartitioner()])


def tvm(found, x):
    "The same compiled by TVM for this processor."
    import tvm
    from tvm.relax.frontend.torch import from_exported_program
    module = tvm.compile(from_exported_program(found.run_decompositions()), "llvm")
    machine, given = tvm.relax.VirtualMachine(module, tvm.cpu()), tvm.runtime.tensor(x.numpy())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.so")
        module.export_library(str(path))
        size = path.stat().st_size
    return lambda: machine["main"](given), size, torch.from_numpy(machine["main"](given)[0].numpy())


def aoti(found, x):
    "The same compiled by AOTInductor."
    with tempfile.TemporaryDirectory() as folder:
        path = torch._inductor.aoti_compile_and_package(found, package_path=str(Path(folder, "model.pt2")))
        run, size = torch._inductor.aoti_load_package(path), Path(path).stat().st_size
    return lambda: run(x), size, run(x)


RUNTIMES = {made.__name__: made for made in (litert, executorch, xnnpack, tvm, aoti)}


def opened(shape):
    "Height and width open, up to twice the example's."
    return ({axis: torch.export.Dim(f"size{axis}", min=2, max=2 * shape[axis]) for axis in (2, 3)},)


def compared(name, runtime, open_sizes, seconds):
    "The time of torch's own over ours, or None where the tool is not right with it, and the sizes of both files."
    model, shape = CASES[name]
    model, x = model.eval().requires_grad_(False), torch.randn(shape)
    shapes = opened(shape) if open_sizes else None
    ours, size, found = RUNTIMES[runtime](program(model, x, shapes, target=runtime), x)
    torch.testing.assert_close(found, model(x), atol=1e-4, rtol=1e-4)
    try: native, native_size, _ = RUNTIMES[runtime](torch.export.export(model, (x,), dynamic_shapes=shapes), x)
    except Exception: return None, None, size  # whatever the tool raises of a layer that it does not take
    native, ours = medians([native, ours], seconds)
    return native / ours, native_size, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--open", action="store_true", help="height and width open, in cases of two dimensions")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case")
    given, ratios = parser.parse_args(), []
    torch.set_num_threads(1)
    for name, (_, shape) in CASES.items():
        if given.only not in name or (given.open and len(shape) != 4): continue
        ratio, *sizes = compared(name, given.runtime, given.open, given.seconds)
        ratios += [ratio] if ratio else []
        print(f"{name:26} {f'{ratio:.2f}' if ratio else '-':>7}  bytes {sizes[0] or '-'} → {sizes[1]}", flush=True)
    if ratios: print(f"{'geometric mean':26} {statistics.geometric_mean(ratios):7.2f}")


if __name__ == "__main__": main()
