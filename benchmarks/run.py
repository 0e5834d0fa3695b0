"""How fast adapool's tensor functions are beside torch's own, in eager mode on the CPU, and how fast the import is.

Both run in one process, in turns; a figure is the ratio of the medians, torch over adapool: above 1, adapool is
faster. `make bench` runs everything; `BENCH_ARGS="--kind max --threads 1"` a part.
"""

import argparse
import platform
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as T
from cases import AVERAGE, MAXIMUM

import adapool.functional as F


def medians(calls, seconds):
    "The median time of each call, all taken in turns for about `seconds`."
    times = [[] for _ in calls]
    for call in calls: call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 3:
        for call, taken in zip(calls, times):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def forward(pool, x, size):
    with torch.no_grad(): return pool(x, size)


def both_ways(pool, x, size):
    x.grad = None
    pool(x, size).sum().backward()


def compare(kind, shape, size, way, seconds):
    "Milliseconds of torch and of adapool for one case."
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(way is both_ways)
    name = f"adaptive_{kind}_pool{len(shape) - 2}d"
    theirs, ours = medians([lambda: way(getattr(T, name), x, size), lambda: way(getattr(F, name), x, size)], seconds)
    return theirs * 1e3, ours * 1e3


def import_seconds(code, times=7):
    "The median time of a fresh interpreter that runs `code`."
    command = [sys.executable, "-c", code]
    return medians([lambda: subprocess.run(command, check=True)], times * 0.2)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["avg", "max"], action="append", help="both when left out")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 when left out")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long each case is measured")
    args = parser.parse_args()
    versions = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}"
    print(f"{versions}, {time.strftime('%Y-%m-%d')}")
    print(f"import adapool: {import_seconds('import adapool') - import_seconds('pass'):.2f} s more than a bare Python")
    for threads in args.threads or [1, 2]:
        torch.set_num_threads(threads)
        for kind in args.kind or ["avg", "max"]:
            print(f"\n{kind}, threads: {threads}. torch ms, adapool ms, ratio; forward | forward and backward")
            ratios = []
            for shape, size in AVERAGE if kind == "avg" else MAXIMUM:
                pairs = [compare(kind, shape, size, way, args.seconds) for way in (forward, both_ways)]
                ratios.append([theirs / ours for theirs, ours in pairs])
                columns = " | ".join(f"{t:9.3f} {o:9.3f} {t / o:6.2f}" for t, o in pairs)
                print(f"{shape!s:24} -> {size!s:10} {columns}", flush=True)
            means = [statistics.geometric_mean(column) for column in zip(*ratios)]
            print(f"{'geometric mean of the ratios':38} {'':19} {means[0]:6.2f} | {'':19} {means[1]:6.2f}")


if __name__ == "__main__": main()
