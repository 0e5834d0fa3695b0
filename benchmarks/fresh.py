"""What fresh memory costs, and what training would gain if the memory of large tensors were kept.

`written` is the time to write a block of some size once: memory that is new each time, had in several ways, beside the
same memory again. `trained` is one step, forward and backward, of convolution, pool, convolution: torch's pool, ours,
and ours in memory that is kept, as a trial: a tensor in it is not torch's own and cannot grow. Everything but what
malloc is told runs in one process, in turns; medians. `make bench` runs it and writes benchmarks/fresh.json, which the
page use/08_benchmarks shows.
"""

import argparse
import contextlib
import json
import math
import mmap
import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as T
from timing import medians

import adapool.functional as F
from adapool.tensors import memory

MIB = 2**20
FREE: dict[int, list] = {}  # blocks by their size
SIZES = 24, 196  # MiB
KEEP_ALL = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**32), "MALLOC_TOP_PAD_": str(MIB)}
STEPS = [  # input of a pool and its size, between two convolutions of 1 x 1
    ("avg", (16, 64, 112, 112), 7), ("max", (16, 64, 112, 112), 7), ("avg", (4, 64, 224, 224), 56)]


def mapped(size, flags=0, advice=None):
    "A tensor over new memory of the system's."
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flags)
    if advice is not None: block.madvise(advice)
    return torch.frombuffer(block, dtype=torch.float32)


def kept(shape, strides, dtype):
    "An empty tensor, in the memory of an earlier one of the same size where that has gone."
    size = math.prod(shape) * dtype.itemsize
    if size < memory.LARGE_BYTES: return torch.empty_strided(shape, strides, dtype=dtype)
    blocks = FREE.setdefault(size, [])
    if blocks: block = blocks.pop()
    else:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        block.madvise(mmap.MADV_HUGEPAGE)
    array = np.frombuffer(block, np.uint8)
    weakref.finalize(array, blocks.append, block).atexit = False
    return torch.empty(0, dtype=dtype).set_(torch.frombuffer(array, dtype=dtype), 0, shape, strides)


def written(size, seconds):
    "GB/s at which a block of so many MiB is written once, by the way that it was had."
    size *= MIB
    again, shape = torch.empty(size // 4), (size // 4,)
    ways = {"torch.empty": lambda: torch.empty(size // 4),
            "mmap, MAP_POPULATE": lambda: mapped(size, mmap.MAP_POPULATE),
            "mmap, huge pages": lambda: mapped(size, 0, mmap.MADV_HUGEPAGE),
            "mmap, huge pages, MAP_POPULATE": lambda: populated(size),
            "kept": lambda: kept(shape, (1,), torch.float32),
            "the same memory again": lambda: again}
    taken = medians([lambda had=had: had().fill_(1) for had in ways.values()], seconds)
    return {name: size / t / 1e9 for name, t in zip(ways, taken)}


def populated(size):
    "Huge pages that the system brings all at once."
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(mmap.MADV_HUGEPAGE)
    with contextlib.suppress(OSError): block.madvise(23)  # MADV_POPULATE_WRITE, since Linux 5.14
    return torch.frombuffer(block, dtype=torch.float32)


def by_malloc(size, seconds):
    "The same of torch.empty in a process whose malloc keeps all that it has had."
    code = f"import fresh; print(fresh.written({size}, {seconds})['torch.empty'])"
    env = {**os.environ, **KEEP_ALL, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=env).stdout)


def trained(kind, shape, size, seconds):
    "Milliseconds of a step with torch's pool, ours, and ours in memory that is kept; the same of the pool alone."
    channels, name = shape[1], f"adaptive_{kind}_pool2d"
    convs = [torch.nn.Conv2d(channels, channels, 1) for _ in range(2)]
    x = torch.randn(shape)
    leaf, g = x.clone().requires_grad_(), torch.randn(*shape[:2], size, size)

    def step(pool):
        for conv in convs: conv.zero_grad()
        convs[1](pool(convs[0](x), size)).sum().backward()

    def alone(pool):
        leaf.grad = None
        pool(leaf, size).backward(g)

    def keeping(work, pool):
        usual, memory.new = memory.new, kept
        work(pool)
        memory.new = usual

    ours, theirs = (getattr(lib, name) for lib in (F, T))
    calls = [call for work in (step, alone) for call in (
        lambda work=work: work(theirs), lambda work=work: work(ours), lambda work=work: keeping(work, ours))]
    ways = "torch", "adapool", "kept"
    taken = [1e3*t for t in medians(calls, seconds)]
    return {"step": dict(zip(ways, taken[:3])), "pool": dict(zip(ways, taken[3:]))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    result = {"threads": args.threads, "written": [], "trained": []}
    for size in SIZES:
        row = written(size, args.seconds) | {"malloc that keeps all": by_malloc(size, args.seconds / 3)}
        print(f"{size} MiB: " + "  ".join(f"{name} {rate:.1f}" for name, rate in row.items()), flush=True)
        result["written"].append({"MiB": size, **row})
    for kind, shape, size in STEPS:
        row = trained(kind, shape, size, args.seconds)
        print(f"{kind} {shape} -> {size}:", flush=True)
        for what, ts in row.items(): print(f"  {what}: " + ", ".join(f"{name} {t:.1f} ms" for name, t in ts.items()))
        result["trained"].append({"kind": kind, "shape": shape, "size": size, **row})
    Path(__file__).with_name("fresh.json").write_text(json.dumps(result, indent=0) + "\n")


if __name__ == "__main__": main()
