"""What each kernel is worth: the time of the cases that it serves without it, over their time with it, on one thread.

Without a kernel its cases go to `planes` where that can do them, else to plain operations, as where there is no kernel
at all. `make bench` writes benchmarks/worth.json, which the page inside/05_kernels shows.
"""

import json
import math
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from cases import AVERAGE, MAXIMUM

import adapool.functional as F
from adapool import kernels
from adapool.kernels import channels, gradients, indices, jobs, plan, planes, quick, rows, strided
from adapool.tensors.memory import KNOWN

KERNELS = (planes.planes, strided.strided, rows.long_rows, rows.interleaved, channels.channels_last,
           indices.channels_last_indices, indices.long_rows_indices, gradients.expand_rows, gradients.scatter)
MORE = [((4, 64, 112, 112), 56), ((8, 64, 56, 56), 28), ((1, 3, 1024, 1024), 256)]  # halved, and by four
LARGEST = 2**22             # cells of an input: plain operations take seconds on larger ones
ROUNDS, SECONDS = 5, 0.003  # of each case, of each turn


@contextmanager
def known(kept):
    "What is known of shapes, `kept` from one turn to the next."
    KNOWN.clear()
    KNOWN.update(kept)
    try: yield
    finally: kept.update(KNOWN)


@contextmanager
def without(kernel):
    "Plans are made as if there were no such kernel; gives the names of those that they choose."
    seen, choose, scatter_job = set(), plan._kernel, jobs.scatter_job
    def other(kind, divide, axes, C, cell, apart):
        found = choose(kind, divide, axes, C, cell, apart)
        seen.add(found.__name__ if found else None)
        if found is not kernel: return found
        short = axes[2].longest * C <= rows.LINE
        return planes.planes if kernel is not planes.planes and short else None
    def none_or_scatter(*args):
        seen.add("scatter")
        return None if kernel is gradients.scatter else scatter_job(*args)
    plan._kernel, kernels.scatter_job, before = other, none_or_scatter, quick.WITHOUT
    quick.WITHOUT = math.inf  # its plans are those of `plan` with all kernels
    try: yield seen
    finally: plan._kernel, kernels.scatter_job, quick.WITHOUT = choose, scatter_job, before


def calls():
    "Every pool of `make bench` that is not very large: as it is, with the channels innermost, and with its gradient."
    for kind, cases in (("avg", AVERAGE + MORE), ("max", MAXIMUM + MORE)):
        for shape, size, *rest in cases:
            more = rest[0] if rest else {}
            if math.prod(shape) > LARGEST: continue
            pool = getattr(F, f"adaptive_{kind}_pool{more.get('d') or len(shape) - 2}d")
            x = torch.randn(shape).to(getattr(torch, more.get("dtype", "float32")))
            yield lambda pool=pool, x=x, size=size: pool(x, size)
            formats = [torch.contiguous_format, torch.channels_last][:1 + (len(shape) == 4 and shape[1] > 1)]
            for x in [x.contiguous(memory_format=form) for form in formats]:
                yield lambda pool=pool, x=x, size=size: pool(x, size)
                leaf = x.detach().requires_grad_()
                g = torch.randn_like(pool(x, size))
                yield lambda pool=pool, x=leaf, size=size, g=g: torch.autograd.grad(pool(x, size), x, g)


def turn(call, kept):
    "The median time of a call."
    times, end = [], time.perf_counter() + SECONDS
    with known(kept):
        while time.perf_counter() < end or len(times) < 2:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    torch.set_num_threads(1)
    ratios, served, count = {kernel.__name__: [] for kernel in KERNELS}, {}, 0
    for call in calls():
        count += 1
        with without(None) as seen, known(kept := {}): call()
        for kernel in KERNELS:
            if kernel.__name__ not in seen: continue
            served[kernel.__name__] = served.get(kernel.__name__, 0) + 1
            with without(kernel), known(other := {}): call()
            turns = [(turn(call, other), turn(call, kept)) for _ in range(ROUNDS)]
            ratios[kernel.__name__].append(statistics.median(a / b for a, b in turns))
    found = {name: {"cases": served[name], "worth": math.exp(statistics.mean(map(math.log, some)))}
             for name, some in ratios.items() if some}
    path = Path(__file__).parent / "worth.json"
    path.write_text(json.dumps({"cases": count, "kernels": found}, indent=1) + "\n", encoding="utf-8")
    for name, row in found.items():
        print(f"{name:22} {row['cases']:4} of {count} cases, without it {row['worth']:.2f} × the time")


if __name__ == "__main__": main()
