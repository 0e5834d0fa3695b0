"`adapool.jax`: torch's numbers and gradients for random shapes and types; every transform of JAX upon the others."

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from quick import some

import adapool
import adapool.jax as pools

RNG = np.random.default_rng(18)
MOST = {1: 300, 2: 40, 3: 14}


def random_case(i):
    "Dimensions, shape, output size, type: shrinking and growing, long windows, one cell; NaN in some."
    d = 1 + i % 3
    spatial = tuple(int(n) for n in RNG.integers(1, MOST[d], d))
    sizes = tuple(int(m) for m in RNG.integers(1, 16, d))
    lead = tuple(int(n) for n in RNG.integers(1, 4, 2 - i % 2))
    return d, lead + spatial, sizes, ("float32", "float16", "bfloat16")[i // 3 % 3]


CASES = [random_case(i) for i in range(60)]


def both(shape, dtype, seed, nan=False):
    "The same numbers as arrays of JAX and of torch; few different ones, so that maxima tie."
    x = np.random.default_rng(seed).integers(-5, 6, shape).astype("float32")
    if nan: x.ravel()[:: max(x.size // 3, 1)] = np.nan
    return jnp.asarray(x, dtype), torch.tensor(x).to(getattr(torch, dtype))


def close(ours, theirs):
    half = theirs.dtype in (torch.float16, torch.bfloat16)
    np.testing.assert_allclose(np.asarray(ours, "float32"), theirs.detach().float().numpy(), strict=True,
                               rtol=1e-2 if half else 1e-5, atol=1e-2 if half else 1e-5)
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")


@pytest.mark.parametrize("seed", some(range(60), 20))
def test_the_numbers_and_gradients_of_torch(seed):
    d, shape, sizes, dtype = CASES[seed]
    x, t = both(shape, dtype, seed, nan=seed % 4 == 0)
    for kind in ("avg", "max"):
        ours = getattr(pools, f"adaptive_{kind}_pool{d}d")
        theirs = getattr(torch.nn.functional, f"adaptive_{kind}_pool{d}d")
        given = t.clone().requires_grad_()
        y = theirs(given, sizes)
        close(ours(x, sizes), y)
        g = np.random.default_rng(seed).integers(-3, 4, y.shape)
        y.backward(torch.tensor(g).to(y.dtype))
        close(jax.vjp(lambda x, ours=ours: ours(x, sizes), x)[1](jnp.asarray(g, x.dtype))[0], given.grad)
    maxima, index = ours(x, sizes, return_indices=True)
    values, places = theirs(t, sizes, return_indices=True)
    close(maxima, values)
    np.testing.assert_array_equal(index, places)


@pytest.mark.parametrize("x64", [False, True])
def test_any_axes_and_types_as_arrays_of_numpy(x64):
    with jax.enable_x64(x64):
        for i, dtype in enumerate(["bool", "int8", "uint16", "int32", "float32", "float16", "float64"]):
            x = np.random.default_rng(i).integers(0, 2 if dtype == "bool" else 9, (5, 70, 4, 6)).astype(dtype)
            for reduction in ("mean", "sum", "max", "min"):
                want = adapool.adaptive_pool(x, (3, 7, None), reduction, axes=(1, 0, 3))
                got = pools.adaptive_pool(x, (3, 7, None), reduction, axes=(1, 0, 3))
                np.testing.assert_allclose(got, want.astype(got.dtype), rtol=2e-3 if dtype == "float16" else 1e-6)
                if x64: assert got.dtype == want.dtype
            want = adapool.adaptive_max_pool(x, (3, 7), return_indices=True, axes=(1, 0))
            got = pools.adaptive_max_pool(x, (3, 7), return_indices=True, axes=(1, 0))
            for a, b in zip(got, want): np.testing.assert_array_equal(a, b)
        w = adapool.fixed_windows(70, 4, 3, 1)
        np.testing.assert_allclose(pools.pool(x, w, axes=1), adapool.pool(x, w, axes=1), rtol=1e-6)


def test_an_array_of_jax_comes_here_by_itself():
    x = jnp.arange(12.0).reshape(3, 4)
    for got in (adapool.adaptive_pool(x, (2, 3)), jax.jit(lambda x: adapool.adaptive_pool(x, (2, 3)))(x)):
        assert isinstance(got, jax.Array)
        np.testing.assert_allclose(got, [[2.5, 3.5, 4.5], [6.5, 7.5, 8.5]])
    assert isinstance(adapool.pool(x, adapool.split_windows(4, 2)), jax.Array)
    assert isinstance(adapool.adaptive_max_pool(x, 2, return_indices=True)[1], jax.Array)
    with pytest.raises(TypeError, match="skipna must be left out for arrays of JAX"):
        adapool.adaptive_pool(x, 2, skipna=True)


def test_a_nan_or_an_infinity_stays_in_the_windows_that_read_it():
    for bad in (np.nan, np.inf, -np.inf):
        x = jnp.ones((2, 40, 300)).at[1, 17, 130].set(bad)
        for size in ((7, 5), (3, 2), (40, 13)):
            y = pools.adaptive_pool(x, size)
            read = [[a <= c < b for a, b in adapool.adaptive_windows(n, m)] for n, m, c in
                    zip(x.shape[1:], size, (17, 130))]
            np.testing.assert_array_equal(~np.isfinite(y[1]), np.outer(*read))
            assert np.isfinite(y[0]).all()
    g = jax.vjp(lambda x: pools.adaptive_pool(x, 3), jnp.ones(10))[1](jnp.array([np.nan, 1, 1]))[0]
    assert np.isnan(g).tolist() == [True] * 4 + [False] * 6


@pytest.mark.parametrize("reduction", ["mean", "max", "min", "sum"])
def test_transforms_upon_each_other(reduction):
    x = jnp.asarray(RNG.normal(size=(2, 3, 5, 7)), "float32")
    def f(x): return pools.adaptive_pool(x, (3, 9), reduction)
    y = f(x)
    for axis in (0, 1): np.testing.assert_allclose(jax.vmap(f, axis, axis)(x), y)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.vmap(f)))(x), y)
    np.testing.assert_allclose(jax.jacfwd(f)(x[0, 0]), jax.jacrev(f)(x[0, 0]), rtol=1e-6)
    def loss(x): return (f(x)**3).sum()
    np.testing.assert_allclose(jax.vmap(jax.grad(loss))(x), jax.grad(loss)(x), rtol=1e-5, atol=1e-5)
    hessians = [outer(inner(loss))(x[0, 0]) for outer in (jax.jacfwd, jax.jacrev) for inner in (jax.jacfwd, jax.jacrev)]
    for h in hessians[1:]: np.testing.assert_allclose(h, hessians[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(jax.vmap(f, 0)(jnp.broadcast_to(x, (2, *x.shape)))[1], y)


def test_each_shape_is_traced_once():
    traced = []
    @jax.jit
    def f(x):
        traced.append(x.shape)
        return pools.adaptive_avg_pool2d(x, (3, 2))
    for _ in range(3): f(jnp.ones((1, 5, 7)))
    assert len(traced) == 1
    from adapool.jax.pools import _pooled
    before = _pooled._cache_size()
    for size in (4, (4, 4), [4, 4]): pools.adaptive_avg_pool2d(jnp.ones((1, 11, 13)), size)
    assert _pooled._cache_size() == before + 1


def test_an_empty_batch_and_a_long_axis():
    assert pools.adaptive_avg_pool2d(jnp.ones((0, 3, 5, 5)), 2).shape == (0, 3, 2, 2)
    x = np.random.default_rng(0).normal(size=100_003).astype("float32")
    np.testing.assert_allclose(pools.adaptive_pool(x, 7), adapool.adaptive_pool(x, 7), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(pools.adaptive_pool(x, 7, "max"), adapool.adaptive_pool(x, 7, "max"))
