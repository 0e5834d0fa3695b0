"""Ordinary pools beside torch's: forward, with the gradient, channels innermost, compiled, over reading and writing.

In one process, in turns; figures are ratios of medians, torch's time over ours, and in "copy" ours over that of
`x.sum()` and of writing the output. `make bench` writes benchmarks/ordinary.json, which the page use/08_benchmarks
shows; a part is measured anew with `--kind max --threads 1`.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as T
from pyramids import medians

import adapool.functional as F

CASES = {  # those in COMPILED are asked of torch.compile, too
    "max": {"ResNet": ((16, 64, 112, 112), (3, 2, 1)), "VGG": ((16, 64, 224, 224), (2, 2, 0)),
            "Inception": ((16, 288, 35, 35), (3, 2, 0)), "SPPF": ((16, 256, 20, 20), (5, 1, 2)),
            "small planes": ((16, 256, 28, 28), (2, 2, 0)), "sound": ((8, 128, 16000), (4, 4, 0)),
            "video": ((2, 64, 16, 56, 56), (2, 2, 0))},
    "avg": {"DenseNet": ((16, 256, 56, 56), (2, 2, 0)), "Inception": ((16, 192, 35, 35), (3, 1, 1)),
            "anti-aliased": ((16, 64, 112, 112), (3, 2, 1)), "small planes": ((16, 256, 28, 28), (2, 2, 0)),
            "last maps": ((32, 512, 14, 14), (7, 7, 0)), "series": ((32, 7, 336), (25, 1, 12)),
            "video": ((2, 64, 16, 56, 56), (2, 2, 0))}}
COMPILED = "ResNet", "VGG", "Inception", "SPPF", "DenseNet"
RESULTS = Path(__file__).with_suffix(".json")


def with_gradient(pool, x, told, g):
    "A call of `pool` and of its backward pass."
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    def call():
        leaf.grad = None
        pool(leaf, *told).backward(g)
    return call


def figures(kind, shape, told, compiled):
    "The figures of one case."
    d, x = len(shape) - 2, torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours, theirs = (getattr(library, f"{kind}_pool{d}d") for library in (F, T))
    y, found = theirs(x, *told), {}
    torch.testing.assert_close(ours(x, *told), y)
    mine, torchs, copy = medians([lambda: ours(x, *told), lambda: theirs(x, *told), lambda: (x.sum(), y.fill_(0))])
    found |= {"ms": mine * 1e3, "torch": torchs / mine, "copy": mine / copy}
    mine, torchs = medians([with_gradient(pool, x, told, y) for pool in (ours, theirs)])
    found["both"] = torchs / mine
    if d == 2:
        x, y = (v.contiguous(memory_format=torch.channels_last) for v in (x, y))
        mine, torchs = medians([lambda: ours(x, *told), lambda: theirs(x, *told)])
        found["channels_last"] = torchs / mine
        mine, torchs = medians([with_gradient(pool, x, told, y) for pool in (ours, theirs)])
        found["channels_last_both"] = torchs / mine
    if compiled:
        torch._dynamo.reset()
        x, fast = x.contiguous(), torch.compile(lambda x: theirs(x, *told))
        mine, torchs = medians([lambda: ours(x, *told), lambda: fast(x)])
        found["compiled"] = torchs / mine
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(CASES), action="append", help="both when left out")
    parser.add_argument("--threads", type=int, action="append", help="1 and 2 when left out")
    args = parser.parse_args()
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    for kind in args.kind or CASES:
        for threads in args.threads or (1, 2):
            torch.set_num_threads(threads)
            known = [row for row in known if (row["kind"], row["threads"]) != (kind, threads)]
            for name, (shape, told) in CASES[kind].items():
                row = figures(kind, shape, told, name in COMPILED and threads == 2)
                print(kind, threads, name, *(f"{k} {v:.2f}" for k, v in row.items()), flush=True)
                known.append({"kind": kind, "threads": threads, "name": name, "shape": shape, "told": told, **row})
            RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
