"""Adaptive pools off the beaten track: torch's time over adapool's, for shapes that are drawn at random.

One to three pooled axes, each log-uniform from one cell up, batches of 1 to 64, 1 to 512 channels, a thousand to twenty
million cells, outputs of one up to twice the input, three types, a third of them channels_last; on two threads. Both
libraries take turns in one process, and a figure is a ratio of medians. `make bench-sweep SEED=7 COUNT=100` draws as
many shapes, others for each seed.
"""

import argparse
import math
import statistics
import time
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as T

import adapool.functional as F

CELLS = 10**3, 2 * 10**7
LARGEST = {1: 10**6, 2: 3000, 3: 300}  # cells of an axis
TYPES = "float32", "float64", "bfloat16"
FAST_S = 200e-6  # calls of torch that are done by then count as quick


class Case(NamedTuple):
    "A call: what is pooled, and to which sizes."
    kind: str
    shape: tuple
    sizes: tuple
    dtype: str
    last: bool  # channels_last

    def __str__(self):
        dtype = self.dtype.replace("float", "f")
        return f"{self.kind} {self.shape} -> {self.sizes} {dtype}{' channels_last' * self.last}".replace(", ", ",")


def drawn(rng):
    "A case."
    def up_to(most): return min(most, int(math.exp(rng.uniform(0, math.log(most + 1)))))
    while True:
        d = int(rng.integers(1, 4))
        shape = up_to(64), up_to(512), *(up_to(LARGEST[d]) for _ in range(d))
        sizes = tuple(up_to(2*n) for n in shape[2:])
        if CELLS[0] <= math.prod(shape) <= CELLS[1] >= math.prod(shape[:2] + sizes): break
    kind, dtype = str(rng.choice(["avg", "max"])), str(rng.choice(TYPES))
    return Case(kind, shape, sizes, dtype, bool(d > 1 and rng.random() < 1/3))


def cases(seed, count):
    "So many of them, all different for each seed."
    rng = np.random.default_rng(seed)
    return [drawn(rng) for _ in range(count)]


def made(case):
    "The input of a case."
    numbers, cells = torch.randn(99_991, generator=torch.Generator().manual_seed(0)), math.prod(case.shape)
    x = numbers.to(getattr(torch, case.dtype)).repeat(-(-cells // len(numbers)))[:cells].reshape(case.shape)
    if not case.last: return x
    return x.to(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)


def medians(calls, seconds, least=3):
    "The median time of each call, all taken in turns, twice in a row where they are quick: the first one warms up."
    times = [[] for _ in calls]
    for call in calls: call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < least:
        for call, taken in zip(calls, times):
            if not taken or taken[-1] < FAST_S: call()
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def pools(case):
    "The function of both libraries, adapool's first."
    return [partial(getattr(lib, f"adaptive_{case.kind}_pool{len(case.sizes)}d"), output_size=case.sizes)
            for lib in (F, T)]


def both_ways(pool, x, g):
    x.grad = None
    pool(x).backward(g)


def measured(case, seconds):
    "torch's time over adapool's, forward and with the gradient, and torch's times."
    x, both = made(case), pools(case)
    ours, theirs = medians([partial(f, x) for f in both], seconds)
    leaf, g = x.requires_grad_(), torch.randn_like(both[1](x).detach())
    calls = [partial(both_ways, f, leaf, g) for f in both]
    ours_both, theirs_both = medians(calls, seconds)
    return theirs/ours, theirs_both/ours_both, theirs, theirs_both


GROUPS = {
    "all": lambda case, s: True,
    "last axis of 1 to 4 cells": lambda case, s: case.shape[-1] <= 4,
    "channels_last": lambda case, s: case.last,
    "contiguous": lambda case, s: not case.last,
    **{dtype: lambda case, s, dtype=dtype: case.dtype == dtype for dtype in TYPES},
    **{f"{d} axes": lambda case, s, d=d: len(case.sizes) == d for d in (1, 2, 3)},
    "below 200 µs": lambda case, s: s < FAST_S,
    "fewer than 8 planes": lambda case, s: math.prod(case.shape[:2]) < 8,
}


def table(rows):
    "Geometric mean, share below 0.9 and least of each group, forward and with the gradient."
    print(f"\n{'':26}" + "".join(f"{kind:>14} {way:21}" for kind in ("avg", "max") for way in ("forward", "gradient")))
    print(f"{'':26}" + "   number   mean  <0.9  least     " * 4)
    for name, belongs in GROUPS.items():
        told = f"{name:26}"
        for kind in ("avg", "max"):
            for way in (0, 1):
                ratios = [r[way] for case, r in rows if case.kind == kind and belongs(case, r[2 + way])]
                if not ratios: told += " "*36; continue
                mean = math.exp(statistics.fmean(map(math.log, ratios)))
                low = sum(r < 0.9 for r in ratios) / len(ratios)
                told += f"{len(ratios):9} {mean:6.2f} {low:5.1%} {min(ratios):6.2f}     "
        print(told)


def worst(rows, count=20):
    "Prints the cases with the least ratios."
    found = sorted((r[way], r[2 + way], way, case) for case, r in rows for way in (0, 1))
    print(f"\nthe worst {count}")
    for ratio, taken, way, case in found[:count]:
        print(f"{ratio:6.2f} {taken*1e6:11,.0f} µs  {('forward', 'gradient')[way]:9} {case}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.02, help="to measure a call for, each way")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [(case, measured(case, args.seconds)) for case in cases(args.seed, args.count)]
    table(rows)
    worst(rows)
    below = sum(r[way] < 0.9 for _, r in rows for way in (0, 1))
    print(f"\nseed {args.seed}: {len(rows)} shapes, {below} of {2*len(rows)} ratios below 0.9 "
          f"({below / 2 / len(rows):.1%}), least {min(min(r[:2]) for _, r in rows):.2f}")


if __name__ == "__main__": main()
