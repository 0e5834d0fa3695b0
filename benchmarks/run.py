"""How fast adapool's pools are on the CPU, beside torch's own, torch.compile, and reading the input once.

Everything runs in one process, in turns; a figure is a ratio of medians. "torch" and "compiled" are how many times as
long as adapool torch's eager operator and torch.compile in steady state take (above 1, adapool is faster); "read" is
how many times as long as `x.sum()`, plus writing the output where that is large, adapool takes. `make bench` runs
everything and writes benchmarks/results.json, which the page use/08_benchmarks draws;
`BENCH_ARGS="--kind max --threads 1"` runs a part and writes nothing.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from importlib.metadata import version
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as T
from cases import ARRAYS, AVERAGE, ERRORS, LARGE, LONG, MAXIMUM, STEPS
from skimage.measure import block_reduce
from steps import loops, rows_first
from timing import medians

import adapool
import adapool.functional as F
from adapool.kernels import threads as crew


def both_ways(pool, x, size, g):
    x.grad = None
    pool(x, size).backward(g)


def compare(kind, shape, size, seconds, compiled, d=None, dtype="float32", indices=False):
    "The ratios of one case."
    d = d or len(shape) - 2
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    name = f"adaptive_{kind}_pool{d}d"
    ours, theirs = (getattr(lib, name) for lib in (F, T))
    if indices: ours, theirs = (lambda x, size, pool=pool: pool(x, size, True)[0] for pool in (ours, theirs))
    y = theirs(x, size)

    def read():
        x.sum()
        if 4 * y.numel() > x.numel(): y.fill_(0)

    calls = {"adapool": lambda: ours(x, size), "torch": lambda: theirs(x, size), "read": read}
    if compiled:
        torch._dynamo.reset()
        fast = torch.compile(lambda x: theirs(x, size))
        calls["compiled"] = lambda: fast(x)
    t = dict(zip(calls, medians(list(calls.values()), seconds)))
    row = {"ms": t["adapool"] * 1e3, "torch": t["torch"] / t["adapool"], "read": t["adapool"] / t["read"]}
    if compiled: row["compiled"] = t["compiled"] / t["adapool"]
    if d == 2 and len(shape) == 4 and shape[1] > 1:
        last = x.contiguous(memory_format=torch.channels_last)
        a, b = medians([lambda: ours(last, size), lambda: theirs(last, size)], seconds)
        row["channels_last"] = b / a
    leaf, g = x.clone().requires_grad_(), torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(x.dtype)
    a, b = medians([lambda: both_ways(ours, leaf, size, g), lambda: both_ways(theirs, leaf, size, g)], seconds)
    return row | {"both": b / a}


def arrays(shape, block, seconds):
    "The ratios of one NumPy case: scikit-image's `block_reduce` and OpenCV's `INTER_AREA` over adapool."
    x = np.random.default_rng(0).random(shape, dtype=np.float32)
    size = tuple(n // block for n in shape[:2])
    cv2.setNumThreads(torch.get_num_threads())
    calls = {"adapool": lambda: adapool.adaptive_pool(x, size, axes=(0, 1)),
             "block_reduce": lambda: block_reduce(x, (block, block, 1)[:x.ndim], np.mean),
             "INTER_AREA": lambda: cv2.resize(x, size[::-1], interpolation=cv2.INTER_AREA)}
    t = dict(zip(calls, medians(list(calls.values()), seconds)))
    return {"ms": t["adapool"] * 1e3} | {name: t[name] / t["adapool"] for name in list(calls)[1:]}


def steps(shape, size, seconds):
    "What each step on the way to the kernel is worth, on one thread: its time over that of the kernel."
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    a, y = x[0].numpy(), np.empty((shape[0], size, size), np.float32)
    calls = {"adapool": lambda: F.adaptive_avg_pool2d(x, size), "loops": lambda: loops(a, y),
             "rows first": lambda: rows_first(a, y), "torch": lambda: T.adaptive_avg_pool2d(x, size), "read": x.sum}
    for call in (loops, rows_first):
        call(a, y)
        np.testing.assert_allclose(y, F.adaptive_avg_pool2d(x, size)[0].numpy(), rtol=1e-4, atol=1e-4)
    t = dict(zip(calls, medians(list(calls.values()), seconds)))
    return {name: t[name] / t["adapool"] for name in list(calls)[1:]}


POOLS = {
    "average to 7": lambda library, x: library.adaptive_avg_pool2d(x, 7),
    "maximum to 7": lambda library, x: library.adaptive_max_pool2d(x, 7),
    "average 2/2": lambda library, x: library.avg_pool2d(x, 2),
    "maximum 3/2/1": lambda library, x: library.max_pool2d(x, 3, 2, 1)}


def new_shapes(pool, channels, low, high):
    "torch's time over adapool's for a program that brings a shape never seen before at each call."
    rng = np.random.default_rng(channels)
    sizes = rng.integers((channels // 2, low, low), (channels, high, high), (300, 3))
    inputs = [torch.randn(shape) for shape in {(1, *map(int, size)) for size in sizes}]
    taken = {F: [], T: []}
    for i, x in enumerate(inputs):
        x.sum()
        for library in ((F, T), (T, F))[i % 2]:
            times = taken[library]
            start = time.perf_counter()
            POOLS[pool](library, x)
            times.append(time.perf_counter() - start)
    return statistics.median(taken[T]) / statistics.median(taken[F])


def errors(shape, size, dtype):
    "Root mean square of the errors of averages against float64, in units in the last place: contiguous, channels_last."
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    exact = T.adaptive_avg_pool2d(x.double(), size)
    unit = exact.log2().floor().exp2() * torch.finfo(x.dtype).eps
    off = lambda lib, x: ((lib.adaptive_avg_pool2d(x, size) - exact) / unit).square().mean().sqrt().item()
    last = x.contiguous(memory_format=torch.channels_last)
    return {name: [off(lib, x), off(lib, last)] for name, lib in (("adapool", F), ("torch", T))}


def extra_memory(kind, shape, size):
    "What a call takes beside input and output, which are torch's: KiB a thread, and the share of the input."
    x, pool = torch.ones(shape), getattr(F, f"adaptive_{kind}_pool{len(shape) - 2}d")
    pool(x, size)
    crew._scratch = threading.local()  # room that threads hold from earlier calls
    tracemalloc.start()
    pool(x, size)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"KiB": taken / 1024 / torch.get_num_threads(), "share": taken / x.nbytes}


def long_windows(kind, shape, size, seconds):
    "The time of a pool with long windows over that of reading its input, and what memory it takes."
    x, pool = torch.randn(shape), getattr(F, f"adaptive_{kind}_pool{len(shape) - 2}d")
    ours, read = medians([lambda: pool(x, size), x.sum], seconds)
    return {"ms": ours * 1e3, "read": ours / read, "KiB": extra_memory(kind, shape, size)["KiB"]}


def seconds_of(code, times=5, **environment):
    "The median time of a fresh interpreter that runs `code` and prints how long a part of it took."
    taken = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as empty:
            env = {**os.environ, **{k: v or empty for k, v in environment.items()}}
            command = [sys.executable, "-c", code]
            taken.append(float(subprocess.run(command, check=True, capture_output=True, env=env).stdout))
    return statistics.median(taken)


FIRST = """import time, numpy as np, adapool
x = np.ones((9, 64, 64), np.float32)
start = time.perf_counter(); adapool.adaptive_pool(x, (7, 7)); print(time.perf_counter() - start)"""
BARE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"


def machine():
    "What processor this is, as far as the system says."
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [platform.processor()]
    return f"{told[0]} ({platform.machine()}), {os.cpu_count()} cores"


def show(row): return "  ".join(f"{k} {v:8.3f}" if k == "ms" else f"{k} {v:6.2f}" for k, v in row.items())


def asked():
    "What the command line asks for."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["avg", "max"], action="append", help="both when left out")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 when left out")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each case is measured")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    args = parser.parse_args()
    args.partly = bool(args.kind or args.threads)
    args.kind, args.threads = args.kind or ["avg", "max"], args.threads or [1, 2]
    return args


def begun():
    "The results before anything is measured but how long it takes to begin."
    packages = {name: version(name) for name in ("torch", "numpy", "numba", "llvmlite")}
    whole, numpy = (seconds_of(BARE.format(f"import {name}")) for name in ("adapool", "numpy"))
    start = {"import adapool, over NumPy": whole - numpy,
             "first call ever": seconds_of(FIRST, 3, ADAPOOL_CACHE_DIR=""),
             "first call of a later process": seconds_of(FIRST)}
    result = {"date": time.strftime("%Y-%m-%d"), "machine": machine(),
              "versions": {"python": platform.python_version(), **packages}, "start": start,
              "cases": [], "new": [], "arrays": [], "memory": [], "long": [], "errors": [], "steps": []}
    print(result["date"], result["machine"], result["versions"])
    for what, t in start.items(): print(f"{what}: {t:.2f} s")
    return result


def tensors(result, args, threads, kind):
    "Measure every shape of the average or the maximum beside torch."
    print(f"\n{kind}, threads: {threads}")
    rows = []
    for shape, size, *more in AVERAGE if kind == "avg" else MAXIMUM:
        options = more[0] if more else {}
        rows.append(compare(kind, shape, size, args.seconds, not args.no_compile, **options))
        print(f"{shape!s:24} -> {size!s:10} {show(rows[-1])} {options or ''}", flush=True)
        case = {"kind": kind, "threads": threads, "shape": shape, "size": size, "d": len(shape) - 2, **options}
        result["cases"].append(case | rows[-1])
    for name in ("torch", "both", "channels_last", "compiled", "read"):
        column = [row[name] for row in rows if name in row]
        if not column: continue
        mean = statistics.geometric_mean(column)
        print(f"geometric mean, {name}: {mean:.2f} (least {min(column):.2f}, most {max(column):.2f})")


def other_calls(result, args, threads):
    "Measure new shapes, arrays, memory and long windows."
    print(f"\na new shape each time, threads: {threads}")
    for pool, (channels, low, high) in product(POOLS, ((16, 5, 16), (64, 8, 40), (64, 20, 70), (256, 30, 60))):
        ratio = new_shapes(pool, channels, low, high)
        print(f"{pool:14} {channels // 2:3} to {channels:3} channels, {low:2} to {high} cells: torch {ratio:.2f}")
        case = {"pool": pool, "threads": threads, "channels": channels, "low": low, "high": high}
        result["new"].append(case | {"torch": ratio})
    print(f"\narrays, threads: {threads}")
    for shape, block in ARRAYS:
        row = arrays(shape, block, args.seconds)
        print(f"{shape!s:24} / {block:<4} {show(row)}", flush=True)
        result["arrays"].append({"threads": threads, "shape": shape, "block": block, **row})
    print(f"\nextra memory, threads: {threads}")
    for (shape, size), kind in product(LARGE, args.kind):
        row = extra_memory(kind, shape, size)
        told = f"{row['KiB']:.0f} KiB a thread, {row['share']:.2%} of the input"
        print(f"{shape!s:24} -> {size:<4} {kind}: {told}")
        result["memory"].append({"kind": kind, "threads": threads, "shape": shape, "size": size, **row})
    print(f"\nlong windows, threads: {threads}; KiB a thread")
    for (shape, size), kind in product(LONG, args.kind):
        row = long_windows(kind, shape, size, args.seconds)
        print(f"{shape!s:24} -> {size!s:6} {kind}: {show(row)}", flush=True)
        result["long"].append({"kind": kind, "threads": threads, "shape": shape, "size": size, **row})


def on_one_thread(result, args):
    "Measure how far sums are off, and the steps of a call."
    torch.set_num_threads(1)
    print("\nerrors of the average, in units in the last place")
    for (shape, size), dtype in product(ERRORS, ("float32", "float16", "bfloat16")):
        row = errors(shape, size, dtype)
        told = "  ".join(f"{name} {first:6.2f}, channels_last {last:6.2f}" for name, (first, last) in row.items())
        print(f"{shape!s:24} -> {size:<4} {dtype:8} {told}")
        result["errors"].append({"shape": shape, "size": size, "dtype": dtype, **row})
    print("\nsteps, one thread")
    for shape, size in STEPS:
        row = steps(shape, size, args.seconds)
        print(f"{shape!s:24} -> {size:<4} {show(row)}", flush=True)
        result["steps"].append({"shape": shape, "size": size, **row})


def main():
    args = asked()
    result = begun()
    for threads in args.threads:
        torch.set_num_threads(threads)
        for kind in args.kind: tensors(result, args, threads, kind)
        other_calls(result, args, threads)
    on_one_thread(result, args)
    if not args.partly: Path(__file__).with_name("results.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__": main()
