"""Pyramids: several output sizes from one reading, beside the finest size alone and beside a call for each.

In one process, in turns; figures are ratios of medians. "finest" is the time of the pyramid over that of its largest
size alone, "each" and "torch" are the time of a call for each size, ours and torch's, over that of the pyramid; with
"gradient" the backward pass is in all of them. Of average and maximum together, "finest" is over the average alone.
`make bench` writes benchmarks/pyramids.json, which the page use/08_benchmarks shows; a part is
measured anew with `--kind max --threads 1`.
"""

import argparse
import json
import random
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as T

import adapool.functional as F

CASES = {  # PSPNet's head, spatial pyramid pooling in a detector and a classifier, sizes that do not divide, one axis
    "PSPNet": ((8, 2048, 60, 60), (1, 2, 3, 6)), "SPP, small maps": ((32, 256, 13, 13), (1, 2, 4)),
    "SPP": ((4, 512, 64, 64), (1, 2, 3, 6)), "sizes that do not divide": ((8, 256, 61, 67), (1, 2, 3, 6)),
    "early maps": ((4, 64, 200, 300), (1, 2, 4, 8)), "sound": ((16, 256, 2000), (1, 4, 16)),
}
BOTH = {  # average and maximum of whole planes, as fastai's and timm's heads have them
    "fastai's head": ((64, 2048, 7, 7), (1,)), "both, 28²": ((64, 512, 28, 28), (1,)),
    "both, 112²": ((16, 64, 112, 112), (1,)), "both, to 2": ((16, 64, 112, 112), (2,)),
}
SECONDS, LEAST = 0.25, 3  # of a case, and turns of it
RESULTS = Path(__file__).with_suffix(".json")


def medians(calls):
    "The median time of each call, taken in turns, in another order each time: one finds what another left in a cache."
    times, rng = [[] for _ in calls], random.Random(0)
    for call in calls: call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < LEAST:
        for i in rng.sample(range(len(calls)), len(calls)):
            start = time.perf_counter()
            calls[i]()
            times[i].append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def candidates(kind, shape, sizes, gradient):
    "Calls of the pyramid, of its finest size alone, of each size by us and by torch."
    d, x = len(shape) - 2, torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(gradient)
    name = f"adaptive_{kind}_pool{d}d"
    pyramid, ours, theirs = getattr(F, f"pyramid_{kind}_pool{d}d"), getattr(F, name), getattr(T, name)
    given = [torch.ones_like(ours(x, m).detach()) for m in sizes]
    def both(pool, given):
        if not gradient: return pool
        def call():
            torch.autograd.backward(pool(), given)
            x.grad = None
        return call
    return [both(lambda: pyramid(x, sizes), given), both(lambda: [ours(x, sizes[-1])], given[-1:]),
            both(lambda: [ours(x, m) for m in sizes], given), both(lambda: [theirs(x, m) for m in sizes], given)]


def both_candidates(shape, size):
    "Calls of average and maximum together, of the average alone, of both by us and by torch."
    x, kinds = torch.randn(shape, generator=torch.Generator().manual_seed(0)), ("max", "avg")
    def apart(lib): return torch.cat([getattr(lib, f"adaptive_{kind}_pool2d")(x, size) for kind in kinds], 1)
    return [lambda: F.adaptive_concat_pool2d(x, size), lambda: F.adaptive_avg_pool2d(x, size), lambda: apart(F),
            lambda: apart(T)]


def measure(kind, threads):
    "The figures of all cases."
    torch.set_num_threads(threads)
    found = []
    for name, (shape, sizes) in (BOTH if kind == "both" else CASES).items():
        for gradient in (False,) if kind == "both" else (False, True):
            calls = both_candidates(shape, *sizes) if kind == "both" else candidates(kind, shape, sizes, gradient)
            mine, finest, each, torchs = medians(calls)
            found.append(dict(kind=kind, threads=threads, name=name, shape=shape, sizes=sizes, gradient=gradient,
                              ms=mine * 1e3, finest=mine / finest, each=each / mine, torch=torchs / mine))
            print(kind, threads, name, *(f"{k} {found[-1][k]:.2f}" for k in ("ms", "finest", "each", "torch")),
                  "gradient" * gradient, flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=["avg", "max", "both"], action="append", help="all when left out")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 when left out")
    args = parser.parse_args()
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    for kind in args.kind or ("avg", "max", "both"):
        for threads in args.threads or (1, 2):
            known = [row for row in known if (row["kind"], row["threads"]) != (kind, threads)] + measure(kind, threads)
            RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
