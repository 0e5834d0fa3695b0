"""Pools of JAX arrays: torch's names, torch's numbers, any axes; `jit`, `vmap`, `grad` and `jvp`, each upon the other.

Its rooms: `cells`, windows reduced by operations of JAX; `linear`, derivatives by the transposed windows; `pools`, any
axes; `named`, torch's names.
"""

from adapool.checks import needs

with needs("jax"):
    from adapool.jax.named import (
        adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
        adaptive_max_pool3d)
    from adapool.jax.pools import adaptive_max_pool, adaptive_pool, pool

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
           "adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_pool", "adaptive_max_pool", "pool"]
