"""Pools of JAX arrays: torch's names, torch's numbers, any axes; `jit`, `vmap`, `grad` and `jvp`, each upon the other.

Its rooms: `cells`, windows reduced by operations of JAX; `linear`, derivatives by the transposed windows; `pools`, what
a user calls.
"""

from adapool.checks import needs

with needs("jax"): from adapool.jax.pools import adaptive_max_pool, adaptive_pool, pool

__all__ = ["adaptive_pool", "adaptive_max_pool", "pool"]
