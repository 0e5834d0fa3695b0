"""How fast adapool's ONNX graphs run in ONNX Runtime, beside those that PyTorch's own exporter writes.

Each line is a layer. Both files run in one process, in turns, and the figure is how many times as long as ours
PyTorch's graph takes (medians; above 1, ours is faster). Where PyTorch's graph is wrong, or none is written, the figure
is our time over that of eager PyTorch. Then the forms: how many times as long as the averaging matrix the gathers take,
and how many times as long our averages of open size take, which are one Einsum, as MatMul, which quantizers spoil.
`make bench-onnx` runs everything; BENCH_ARGS="--quick" a part, in a minute.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from timing import medians

from adapool.export import to_onnx
from adapool.export.calls import quiet

PYRAMID = [("avg", (8, 512, 60, 60), m) for m in (1, 2, 3, 6)]
ODD = [("avg", (8, 512, n, n), m) for n in (61, 59) for m in (1, 2, 3, 6)]
HEADS = [
    ("avg", (8, 512, 14, 14), 7),
    ("avg", (8, 512, 13, 13), 7),
    ("avg", (8, 512, 16, 16), 7),
    ("avg", (8, 256, 13, 13), 6),
    ("avg", (8, 64, 56, 56), 7),
    ("avg", (1, 64, 10, 9), (None, 7)),
    ("avg", (1, 64, 8, 9), (5, 7)),
]
OTHERS = [
    ("avg", (8, 64, 40, 40), (None, 1)),
    ("avg", (4, 64, 112, 112), 50),
    ("avg", (1, 3, 1024, 1024), 224),
    ("avg", (1, 64, 24, 24), 50),
    ("avg", (8, 512, 7, 7), 14),
    ("avg", (16, 768, 499), 50),
    ("max", (8, 512, 14, 14), 7),
    ("max", (8, 256, 60, 60), 6),
    ("max", (8, 256, 13, 13), 6),
    ("max", (8, 256, 61, 61), 6),
    ("max", (4, 64, 112, 112), 50),
]
FORMS = [((8, 512, 16, 16), 7), ((8, 512, 60, 60), 7), ((4, 64, 120, 120), 50), ((1, 3, 1021, 1021), 100)]

PRODUCTS = [((batch, *rest), size) for batch in (1, 8) for *rest, size in (
    (512, 14, 14, 7), (256, 13, 13, 6), (64, 56, 56, 7), (64, 10, 9, (None, 7)), (512, 14, 14, (7, None)),
    (64, 40, 40, (7, None)), (64, 64, 64, (7, None)), (64, 112, 112, (50, None)))]
PRODUCTS += [((1, 64, 9, 9), 7), ((4, 64, 112, 112), 50), ((1, 3, 1024, 1024), 120), ((16, 768, 499), 50)]


class Pool(torch.nn.Module):
    def __init__(self, kind, shape, size):
        super().__init__()
        self.pool = getattr(torch.nn, f"Adaptive{kind.title()}Pool{len(shape) - 2}d")(size)

    def forward(self, x): return self.pool(x)


def runs(path, x):
    "One run of the file on `x`, as a call."
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else waiting threads keep the cores
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed)


def of_torch(model, x, path, dynamic):
    "A run of the file of PyTorch's exporter, or what is wrong with it, here or one and two cells further."
    try:
        with quiet():
            torch.onnx.export(model, (x,), path, dynamo=True, verbose=False, dynamic_shapes=dynamic)
        for more in (0, 1, 2) if dynamic else (0,):
            y = torch.randn(*x.shape[:2], *(n + more for n in x.shape[2:]))
            np.testing.assert_allclose(runs(path, y)()[0], model(y), atol=1e-4)
    except AssertionError: return "wrong"
    except Exception: return "fails"
    return runs(path, x)


def compare(kind, shape, size, dynamic, seconds, folder):
    "One line of the table."
    model, x = Pool(kind, shape, size).eval(), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    dynamic = ({i: torch.export.Dim.DYNAMIC for i in range(2, len(shape))},) if dynamic else None
    theirs = of_torch(model, x, folder / "torch.onnx", dynamic)
    report = to_onnx(model, x, folder / "ours.onnx", dynamic, progress=False)
    worthless = isinstance(theirs, str)
    with torch.no_grad():
        mine, other = medians([runs(report.path, x), (lambda: model(x)) if worthless else theirs], seconds, 5)
    nodes = "" if dynamic else ", ".join(f"{name} {count}" for name, count in report.operators.items())
    figure = f"torch's {theirs}; {mine / other:.2f} of eager" if worthless else f"{other / mine:.2f} × as fast"
    what = f"{kind} {'×'.join(map(str, shape)):>16} -> {size!s:10} {'open' if dynamic else 'fixed'}"
    print(f"{what:44} {figure:30} {nodes}", flush=True)


def compare_forms(shape, size, seconds, folder):
    "Gathers beside the matrix, for the averages that have both."
    model, x = Pool("avg", shape, size).eval(), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    files = [to_onnx(model, x, folder / f"{name}.onnx", finite=name == "matrix", progress=False).path
             for name in ("matrix", "cells")]
    matrix, cells = medians([runs(path, x) for path in files], seconds, 5)
    print(f"avg {'×'.join(map(str, shape)):>16} -> {size!s:10} gathers take {cells / matrix:.1f} × the matrix's time")


def as_matmul(path, new):
    "A copy of our file with a MatMul for each averaging matrix in place of the Einsum."
    model, nodes = onnx.load(path), []
    for node in model.graph.node:
        if node.op_type != "Einsum":
            nodes.append(node)
            continue
        (x, *matrices), equation = node.input, node.attribute[0].s.decode()
        names, *terms = equation.split("->")[0].split(",")
        for i, (matrix, term) in enumerate(zip(matrices, terms, strict=True), 1):
            y, pair = node.output[0] if i == len(matrices) else f"averaged_{i}", [matrix, x]
            if term[1] == names[-1]:
                nodes.append(onnx.helper.make_node("Transpose", [matrix], [f"turned_{i}"]))
                pair = [x, f"turned_{i}"]
            else: assert term[1] == names[-2], equation
            nodes.append(onnx.helper.make_node("MatMul", pair, [y]))
            x = y
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, new)
    return new


def compare_products(shape, size, seconds, folder):
    "Our averages of open size beside the same file with MatMul; the ratio of medians."
    model, x = Pool("avg", shape, size).eval(), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    dynamic = ({i: torch.export.Dim.DYNAMIC for i in range(2, len(shape))},)
    ours = to_onnx(model, x, folder / "ours.onnx", dynamic, progress=False).path
    calls = [runs(path, x) for path in (ours, as_matmul(ours, folder / "matmul.onnx"))]
    np.testing.assert_allclose(calls[0]()[0], calls[1]()[0], atol=1e-5)
    einsum, matmul = medians(calls, seconds, 5)
    what = f"avg {'×'.join(map(str, shape)):>16} -> {size!s:10} open"
    print(f"{what:44} Einsum takes {einsum / matmul:.2f} × MatMul's time", flush=True)
    return einsum / matmul


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="half a second a line, fixed sizes only")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line")
    args = parser.parse_args()
    seconds = 0.5 if args.quick else args.seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in [*PYRAMID, *ODD, *HEADS, *OTHERS]: compare(*case, False, seconds, folder)
        for case in [] if args.quick else [*PYRAMID, *HEADS, *OTHERS]: compare(*case, True, seconds, folder)
        for case in FORMS: compare_forms(*case, seconds, folder)
        ratios = [compare_products(*case, seconds, folder) for case in PRODUCTS]
        print(f"geometric mean {statistics.geometric_mean(ratios):.2f}, largest {max(ratios):.2f}")


if __name__ == "__main__": main()
