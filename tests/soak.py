"""How many of so many calls on threads of our own come back before all of their ranges are done? None should.

    python tests/soak.py 100000               NumPy alone, on eight threads
    python tests/soak.py 100000 forked        the same in forked children, a hundred calls each
    python tests/soak.py 100000 functional    tensors, without an entrance to torch's threads
    python tests/soak.py 100000 callers       four threads that call at once
    python tests/soak.py 100000 NAME --planes 512 --side 14    smaller arrays: more calls in the same time

What is no result yet is NaN: each array that has been looked at is filled with it, and its memory goes to the next.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor

THREADS, SIZE = 8, 7
os.environ["OMP_NUM_THREADS"] = str(THREADS)

import numpy as np  # noqa: E402

from adapool import adaptive_pool  # noqa: E402
from adapool.kernels import jobs  # noqa: E402


def example(planes, side):
    "Whole numbers below 251, and their means over blocks, which are exact."
    x, k = np.arange(planes * side**2, dtype=np.float32).reshape(planes, side, side) % 251, side // SIZE
    return x, x.reshape(planes, SIZE, k, SIZE, k).mean((2, 4))


def plain(calls, x, want):
    wrong = 0
    for _ in range(calls):
        y = adaptive_pool(x, (SIZE, SIZE))
        wrong += not np.array_equal(y, want)
        y.fill(np.nan)
    return wrong


def forked(calls, x, want):
    plain(1, x, want)  # which brings helpers of the parent's to life
    return sum(in_child(min(100, calls - first), x, want) for first in range(0, calls, 100))


def in_child(calls, x, want):
    child = os.fork()
    if not child: os._exit(plain(calls, x, want))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def callers(calls, x, want):
    with ThreadPoolExecutor(4) as crew: return sum(crew.map(lambda _: plain(calls // 4, x, want), range(4)))


def functional(calls, x, want):
    import torch

    import adapool.functional as F
    torch.set_num_threads(THREADS)
    jobs.openmp = lambda imported: None
    x, want, wrong = torch.from_numpy(x), torch.from_numpy(want), 0
    for _ in range(calls):
        y = F.adaptive_avg_pool2d(x, SIZE)
        wrong += not torch.equal(y, want)
        y.fill_(torch.nan)
    return wrong


def main():
    ways = {way.__name__: way for way in (plain, forked, functional, callers)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("calls", type=int)
    parser.add_argument("way", choices=ways, nargs="?", default="plain")
    parser.add_argument("--planes", type=int, default=2048)
    parser.add_argument("--side", type=int, default=56)
    given = parser.parse_args()
    jobs.WAKE = jobs.WAKE_OURS = 1  # threads, however little there is to do
    shared, share = [], jobs.parallel_for
    jobs.parallel_for = lambda *args: shared.append(1) or share(*args)
    wrong = ways[given.way](given.calls, *example(given.planes, given.side))
    print(f"{wrong} of {given.calls} wrong; {len(shared)} shared by this process; torch: {'torch' in sys.modules}")
    sys.exit(wrong > 0)


if __name__ == "__main__": main()
