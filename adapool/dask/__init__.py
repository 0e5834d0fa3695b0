"""Pools of dask arrays, chunk by chunk, with the same bits for every chunking; images in several sizes on disk.

Its rooms, from the ground up: `cuts`, which windows a chunk touches and owns; `lines`, the loops that go through a
chunk; `sums`, without a rounding; `parts`, what a chunk knows of a result; `graph`; `pyramid`.
"""

from adapool.dask.graph import adaptive_max_pool, adaptive_pool, pool
from adapool.dask.pyramid import write_pyramid

__all__ = ["adaptive_pool", "adaptive_max_pool", "pool", "write_pyramid"]
