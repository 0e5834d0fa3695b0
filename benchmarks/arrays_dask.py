"""Arrays larger than memory beside `x.sum()`, dask's coarsen and xarray's: CPU seconds, time, memory and tasks.

    python benchmarks/arrays_dask.py --gigabytes 8

A store of float32 is written to a temporary folder and removed at the end. Results go to a store, too. Memory is
what a second run holds above what the first left held, in chunks: a fresh process needs more.
"""

import argparse
import resource
import tempfile
import threading
import time

import dask
import dask.array as da
import numpy as np
import psutil
import xarray
import zarr

import adapool

CHUNK, WORKERS = 1000, 2  # cells along each axis of a chunk; threads of dask


def scan(folder, gigabytes):
    "A store of that size: chunks of normal numbers, as many as fill it in a square."
    side = max(2, round((gigabytes * 1e9 / 4 / CHUNK**2) ** 0.5)) * CHUNK
    store = zarr.create_array(f"{folder}/scan", shape=(side, side), chunks=(CHUNK, CHUNK), dtype="f4")
    for i in range(0, side, CHUNK):
        for j in range(0, side, CHUNK):
            store[i:i + CHUNK, j:j + CHUNK] = np.random.default_rng((i, j)).standard_normal((CHUNK, CHUNK), np.float32)
    return da.from_zarr(store)


def pools(x):
    "What is measured, by name: ours do not divide, but for one."
    n, labelled = x.shape[0], xarray.DataArray(x, dims=("y", "x"))
    return {
        "x.sum()": lambda: x.sum(keepdims=True),
        "adaptive_pool, 10 cells": lambda: adapool.adaptive_pool(x, (n // 10 - 1,) * 2),
        "adaptive_pool, 10 cells, divides": lambda: adapool.adaptive_pool(x, (n // 10,) * 2),
        "adaptive_pool, 3 cells": lambda: adapool.adaptive_pool(x, (n // 3,) * 2),
        "adaptive_pool, 2 cells": lambda: adapool.adaptive_pool(x, (n // 2,) * 2),
        "adaptive_pool, max, 10 cells": lambda: adapool.adaptive_pool(x, (n // 10 - 1,) * 2, "max"),
        "da.coarsen, 10 cells": lambda: da.coarsen(np.mean, x, {0: 10, 1: 10}),
        "xarray coarsen(pad), 11 cells": lambda: labelled.coarsen(y=11, x=11, boundary="pad").mean().data,
    }


def measured(y, folder):
    "CPU seconds, seconds, and chunks of memory that it takes to put `y` into a store."
    y = y.rechunk({a: "auto" for a in range(y.ndim)}) if len({*y.chunks[0][:-1]}) > 1 else y
    target = zarr.create_array(f"{folder}/result", shape=y.shape, chunks=y.chunksize, dtype=y.dtype, overwrite=True)
    process, end = psutil.Process(), threading.Event()
    start, held = process.memory_info().rss, []
    def watch():
        while not end.wait(0.002): held.append(process.memory_info().rss)
    thread = threading.Thread(target=watch)
    thread.start()
    def cpu(): return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    before, since = cpu(), time.perf_counter()
    da.store(y, target, lock=True, scheduler="threads", num_workers=WORKERS)
    took, used = time.perf_counter() - since, cpu() - before
    end.set()
    thread.join()
    return used, took, (max(held, default=start) - start) / (4 * CHUNK**2)


def tasks(y):
    (y,) = dask.optimize(y)
    return len(dict(y.__dask_graph__()))


def main(gigabytes=2.0, **_):
    with tempfile.TemporaryDirectory() as folder:
        x = scan(folder, gigabytes)
        print(f"{x.nbytes / 1e9:.1f} GB in {x.npartitions} chunks, {WORKERS} threads")
        print(f"{'':34}{'CPU s':>8}{'of sum':>8}{'s':>8}{'memory':>8}{'tasks':>8}")
        base = None
        for name, made in pools(x).items():
            measured(made(), folder)
            used, took, memory = min(measured(made(), folder) for _ in range(2))
            base = base or used
            print(f"{name:34}{used:8.2f}{used / base:8.2f}{took:8.2f}{memory:8.1f}{tasks(made()) / x.npartitions:8.2f}",
                  flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    main(**vars(parser.parse_args()))
