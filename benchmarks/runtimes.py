"""Runtimes: adaptive pools as `adapool.export.program` writes them, beside torch's own layers given to the same tool.

In one process, in turns, on one thread; a figure is the time of torch's own over ours, so more than 1 is ours faster,
with both file sizes. Where the tool does not take torch's own layer there is none. Needs the runtime:
`.venv-runtimes/bin/python benchmarks/runtimes.py litert --only avg2d` (`make test-runtimes` makes that environment).
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
                        nn.Linear(16 * 49, 10)).eval()
CASES = {
    "avg2d 50 × 45 → 7": (nn.AdaptiveAvgPool2d(7), (1, 64, 50, 45)),
    "avg2d 14 → 7": (nn.AdaptiveAvgPool2d(7), (1, 512, 14, 14)),
    "avg2d 13 → 6": (nn.AdaptiveAvgPool2d(6), (1, 256, 13, 13)),
    "avg2d 10 × 15 → 4 × 6": (nn.AdaptiveAvgPool2d((4, 6)), (1, 64, 10, 15)),
    "avg2d 56 → 1": (nn.AdaptiveAvgPool2d(1), (1, 64, 56, 56)),
    "avg2d 7 → 14": (nn.AdaptiveAvgPool2d(14), (1, 128, 7, 7)),
    "avg2d 112 → 50": (nn.AdaptiveAvgPool2d(50), (1, 32, 112, 112)),
    "avg1d 499 → 50": (nn.AdaptiveAvgPool1d(50), (1, 256, 499)),
    "avg3d → 1": (nn.AdaptiveAvgPool3d(1), (1, 32, 8, 14, 14)),
    "network": (NETWORK, (1, 3, 99, 93)),
}


def litert(model, x):
    "What runs a model on `x` in LiteRT, and the size of its file."
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        litert_torch.convert(model, (x,)).export(str(path))
        content = path.read_bytes()
    runs = Interpreter(model_content=content, num_threads=1)
    runs.allocate_tensors()
    runs.set_tensor(runs.get_input_details()[0]["index"], x.numpy())
    return runs.invoke, len(content)


RUNTIMES = {"litert": litert}


def compared(name, runtime, seconds):
    "The time of torch's own over ours, or None where the tool does not take it, and the sizes of both files."
    model, shape = CASES[name]
    model, x = model.eval(), torch.randn(shape)
    ours, size = RUNTIMES[runtime](program(model, x, target=runtime).module(), x)
    try: native, native_size = RUNTIMES[runtime](model, x)
    except Exception: return None, None, size  # whatever the tool raises of a layer that it does not take
    native, ours = medians([native, ours], seconds)
    return native / ours, native_size, size


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case")
    given, ratios, lines = parser.parse_args(), [], []
    for name in CASES:
        if given.only not in name: continue
        ratio, *sizes = compared(name, given.runtime, given.seconds)
        ratios += [ratio] if ratio else []
        lines.append(f"{name:24} {f'{ratio:.2f}' if ratio else '-':>7}  bytes {sizes[0] or '-'} → {sizes[1]}")
    print(*lines, sep="\n")
    if ratios: print(f"{'geometric mean':24} {statistics.geometric_mean(ratios):7.2f}")


if __name__ == "__main__": main()
