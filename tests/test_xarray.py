"`adapool.xarray`: against dense matrices, against xarray's own coarsen, and what becomes of labels."

import warnings
from datetime import timedelta
from fractions import Fraction
from itertools import product
from math import ceil, floor

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray
from quick import slow

import adapool
from adapool.xarray import adaptive_pool


def matrix(n, m, edges, weights):
    "What each window takes of each cell, by fractions: (m, n)."
    rows = np.zeros((m, n))
    for i in range(m):
        first, last = Fraction(i*n, m), Fraction((i + 1)*n, m)
        for j in range(floor(first), ceil(last)):
            rows[i, j] = min(last, j + 1) - max(first, j) if edges == "area" else 1
    return rows * weights


def dense(x, sizes, edges, skipna, weights):
    "The mean over the windows of a DataArray by matrices, along one dimension after another; (numbers, what counts)."
    valid = x.notnull().astype(float) if skipna else xarray.ones_like(x)
    total, counts = (x.fillna(0) if skipna else x).copy(), valid
    for dim, m in sizes.items():
        taken = xarray.DataArray(matrix(x.sizes[dim], m, edges, weights.get(dim, 1)), dims=("_", dim))
        total, counts = (xarray.dot(taken, v, dim=dim).rename(_=dim) for v in (total, counts))
    return total.transpose(*x.dims), counts.transpose(*x.dims)


@pytest.mark.parametrize("seed", [*range(12), *(slow(seed) for seed in range(12, 100))])
def test_random_arrays_are_those_of_dense_matrices(seed):
    rng = np.random.default_rng(seed)
    dims = [str(d) for d in rng.permutation(["time", "lat", "lon", "level"])[:rng.integers(1, 5)]]
    shape = [int(n) for n in rng.integers(1, 12, len(dims))]
    x = xarray.DataArray(rng.normal(size=shape), [(d, np.sort(rng.normal(size=n))) for d, n in zip(dims, shape)])
    skipna, edges = bool(rng.integers(2)), str(rng.choice(["whole", "area"]))
    if skipna: x = x.where(rng.random(shape) < 0.8)
    sizes = {d: int(rng.integers(1, 15)) for d in dims if rng.integers(2)} or {dims[0]: 3}
    weights = {d: rng.random(x.sizes[d]) + 0.1 for d in sizes if rng.integers(2)}
    given = weights or None
    if weights and rng.integers(2):  # the same as one array, its dimensions in another order
        given = xarray.DataArray(1.0)
        for d in reversed(weights): given = given * xarray.DataArray(weights[d], [(d, x[d].values)])
    elif weights: given = {d: x[d].copy(data=w) if rng.integers(2) else w for d, w in weights.items()}
    total, counts = dense(x, sizes, edges, skipna, weights)
    for reduction, want in (("mean", total / counts), ("sum", total)):
        y = adaptive_pool(x, sizes, reduction, edges=edges, skipna=skipna, weights=given)
        assert y.dims == x.dims
        np.testing.assert_allclose(y.values, want.values, rtol=1e-9, atol=1e-12, strict=True)
    for d, m in sizes.items():
        n = x.sizes[d]
        places = [Fraction((2*i + 1)*n, 2*m) - Fraction(1, 2) if edges == "area" else
                  Fraction(i*n//m + -(-(i + 1)*n//m) - 1, 2) for i in range(m)]
        c = x[d].values
        inside = np.interp([float(p) for p in places], np.arange(n), c)
        beyond = [n > 1 and not 0 <= p <= n - 1 for p in places]
        np.testing.assert_allclose(y[d].values[~np.array(beyond)], inside[~np.array(beyond)], rtol=1e-12)
        for p, at in zip(places, y[d].values):
            if n > 1 and p < 0: np.testing.assert_allclose(at, c[0] + float(p) * (c[1] - c[0]))
            if n > 1 and p > n - 1: np.testing.assert_allclose(at, c[-1] + float(p - n + 1) * (c[-1] - c[-2]))


def planet(chunks=None):
    "Two weeks on a coarse grid: numbers, marks, words, and labels of every kind."
    rng = np.random.default_rng(1)
    lat, lon = np.linspace(70, -70, 8), np.arange(0.0, 360, 30)
    found = xarray.Dataset(
        {"t": (("time", "lat", "lon"), rng.normal(size=(14, 8, 12)).astype("f4"), {"units": "K"}),
         "rain": (("lat", "time"), rng.random((8, 14))),
         "land": (("lat", "lon"), rng.random((8, 12)) < 0.3, {"long_name": "land"}),
         "kind": (("lat", "lon"), rng.integers(0, 5, (8, 12)).astype("i2")),
         "place": ("station", ["a", "b"]), "level": ((), 3.5)},
        {"time": ("time", np.arange("2000-02-20", "2000-03-05", dtype="M8[D]").astype("M8[ns]"), {"axis": "T"}),
         "lat": ("lat", lat, {"units": "degrees_north"}), "lon": ("lon", lon, {"units": "degrees_east"}),
         "day": ("time", np.arange(14)), "area": (("lat", "lon"), np.cos(np.deg2rad(lat))[:, None] + 0 * lon),
         "station": ["x", "y"], "run": 7}, {"title": "planet"})
    return found.chunk(chunks) if chunks else found


def same(a, b):
    "Are two objects the same to rounding, with names, types, attributes and coordinates?"
    xarray.testing.assert_allclose(a, b)
    assert (set(a.coords), a.attrs, dict(a.sizes)) == (set(b.coords), b.attrs, dict(b.sizes))
    if isinstance(a, xarray.DataArray): assert (a.name, a.dims) == (b.name, b.dims)
    names = list(a.variables) if isinstance(a, xarray.Dataset) else list(a.coords)
    for name in names: assert (a[name].attrs, a[name].dims) == (b[name].attrs, b[name].dims), name
    assert {n: a[n].dtype.kind for n in names} == {n: b[n].dtype.kind for n in names}


@pytest.mark.parametrize("reduction", ["mean", "max", "min", "sum"])
def test_where_sizes_divide_it_is_coarsen(reduction):
    whole = planet().drop_vars("land")
    for factors in ({"lat": 2}, {"lon": 3, "time": 7}, {"time": 2, "lat": 4, "lon": 6}):
        sizes = {d: whole.sizes[d] // k for d, k in factors.items()}
        if reduction == "sum" and "lat" in sizes: continue  # a variable of integers: xarray's sum of int16 is int64 too
        for obj in (whole, whole.t, whole.rain if "lat" in sizes and "lon" not in sizes else whole.t):
            here = {d: m for d, m in sizes.items() if d in obj.dims}
            want = getattr(obj.coarsen({d: factors[d] for d in here}), reduction)(keep_attrs=True)
            same(adaptive_pool(obj, here, reduction), want)


def test_variables_without_the_dimensions_are_as_they_were_and_the_input_too():
    given, kept = planet(), planet()
    y = adaptive_pool(given, {"lon": 5, "lat": None})
    xarray.testing.assert_identical(given, kept)
    for name in ("rain", "place", "level", "time", "day", "station", "run"):
        assert (name == "rain") or y[name].identical(kept[name].drop_vars(set(kept[name].coords) - set(y[name].coords)))
    np.testing.assert_array_equal(y.rain.values, kept.rain.values)
    assert list(y.data_vars) == list(kept.data_vars) and y.attrs == kept.attrs
    assert y.lat.identical(kept.lat) or y.lat.equals(kept.lat)
    assert y.t.dtype == np.float32 and y.land.dtype == np.float64 and y.land.attrs == {"long_name": "land"}


def test_datetimes_are_exact():
    rng = np.random.default_rng(2)
    for unit, n, m in product(("ns", "s"), (1, 2, 7, 11), (1, 3, 5, 11, 13)):
        t = np.sort(rng.integers(10**17, 10**18, n)) // {"ns": 1, "s": 10**9}[unit]
        x = xarray.DataArray(np.zeros(n), {"time": t.astype(f"M8[{unit}]")}, ("time",))
        for edges in ("whole", "area"):
            y = adaptive_pool(x, {"time": m}, edges=edges).time
            assert y.dtype == x.time.dtype
            for i, at in enumerate(y.values.astype(np.int64).tolist()):
                p = Fraction((2*i + 1)*n, 2*m) - Fraction(1, 2) if edges == "area" else (
                    Fraction(i*n//m + -(-(i + 1)*n//m) - 1, 2))
                j = min(max(floor(p), 0), max(n - 2, 0))
                step = int(t[j + 1]) - int(t[j]) if n > 1 else 0
                exact = int(t[j]) + (p - j) * step
                assert at == floor(exact)


class Moment:
    "What cftime's datetimes can do, in a calendar of its own: days and fractions of them."
    calendar = "even"
    def __init__(self, at): self.at = at
    def __sub__(self, other): return self.at - other.at
    def __add__(self, way): return Moment(self.at + way)


@pytest.mark.parametrize("n, m, want", [(4, 3, [12, 36, 60]), (1, 2, [0, 0]), (3, 1, [24])])
def test_times_in_objects_go_by_their_own_arithmetic(n, m, want):
    when = np.array([Moment(timedelta(days=d)) for d in range(n)], object)
    y = adaptive_pool(xarray.DataArray(np.zeros(n), {"when": ("time", when)}, ("time",)), {"time": m})
    assert [v.at for v in y.when.values] == [timedelta(hours=h) for h in want]


def test_times_of_other_calendars():
    pytest.importorskip("cftime")
    t = xarray.date_range("2000-02-27", periods=4, calendar="noleap", use_cftime=True)
    y = adaptive_pool(xarray.DataArray(np.arange(4.0), {"time": t}, ("time",)), {"time": 3})
    assert [str(v) for v in y.time.values] == ["2000-02-27 12:00:00", "2000-02-28 12:00:00", "2000-03-01 12:00:00"]


def test_what_has_no_numbers_is_dropped_and_named():
    x = planet().assign_coords(name=("time", list("abcdefghijklmn")), leap=("time", [True] * 14))
    x["when"], x["turn"] = ("time", x.time.values), ("time", np.ones(14) * 1j)
    with pytest.warns(UserWarning, match="'name', 'leap', 'when', 'turn'") as told:
        y = adaptive_pool(x, {"time": 3})
    assert told[0].filename == __file__
    assert not {"name", "leap", "when", "turn"} & set(y.variables) and "time" in y.coords
    with warnings.catch_warnings():  # a dimension that keeps its size keeps its words
        warnings.simplefilter("error")
        kept = adaptive_pool(x.drop_vars(["when", "turn"]), {"time": 14, "lat": 3})
    assert kept.name.equals(x.name) and kept.leap.equals(x.leap)


@pytest.mark.parametrize("zone, unit", [("UTC", "ns"), ("Europe/Berlin", "s")])
def test_times_with_a_zone_are_those_of_none(zone, unit):
    "Over the night in which clocks are changed."
    times = pd.date_range("2000-03-25", periods=14, tz=zone).as_unit(unit)
    plain = xarray.Dataset({"t": ("time", np.arange(14.0))}, {"time": times.tz_convert(None)})
    zoned = plain.assign_coords(time=times, other=("time", times + pd.Timedelta("1h"), {"a": 1}))
    for m in (1, 4, 7, 14, 20):
        y, want = (adaptive_pool(x, {"time": m}) for x in (zoned, plain))
        assert y.indexes["time"].equals(want.indexes["time"].tz_localize("UTC").tz_convert(zone))
        other = pd.DatetimeIndex(y.other.variable.to_index())
        assert y.other.attrs == {"a": 1} and str(other.tz) == zone
        assert (other - pd.Timedelta("1h") == y.indexes["time"]).all()


@pytest.mark.parametrize("told, end", [
    ({"units": "degrees_north"}, 90), ({"standard_name": "latitude"}, 90), ({"units": "degree_N"}, 90), ({}, 90.5)])
@pytest.mark.parametrize("edges", ["whole", "area"])
def test_no_latitude_lies_past_a_pole(told, end, edges):
    lat = ("lat", np.arange(90.0, -91, -1), told)
    y = adaptive_pool(xarray.Dataset({"t": ("lat", np.ones(181))}, {"lat": lat}), {"lat": 4}, edges=edges, bounds=True)
    assert y.lat_bounds.values[0, 0] == end and y.lat_bounds.values[-1, -1] == -end


def test_a_multiindex_is_kept_or_dropped_whole():
    stacked = planet()[["t"]].stack(cell=("lat", "lon"))
    y = adaptive_pool(stacked, {"time": 2})
    assert y.indexes["cell"].equals(stacked.indexes["cell"])
    with pytest.warns(UserWarning, match="'cell', 'lat', 'lon'"): y = adaptive_pool(stacked, {"cell": 5})
    assert set(y.coords) == {"time", "day", "area", "run"} & set(stacked.coords)


def with_bounds():
    "A grid of cells of several widths, with their bounds as a file gives them."
    edges = np.array([0.0, 1, 3, 4, 8, 10, 11, 17])
    lat = xarray.DataArray((edges[1:] + edges[:-1]) / 2, dims="lat", attrs={"bounds": "lat_bnds"})
    return edges, xarray.Dataset({"x": ("lat", np.arange(7.0)),
                                  "lat_bnds": (("lat", "nv"), np.stack([edges[:-1], edges[1:]], 1), {"kept": 1})},
                                 {"lat": lat})


@pytest.mark.parametrize("edges", ["whole", "area"])
@pytest.mark.parametrize("as_coordinate", [False, True])
def test_bounds_that_are_given_become_those_of_the_windows(edges, as_coordinate):
    borders, given = with_bounds()
    if as_coordinate: given = given.set_coords("lat_bnds")
    for m in (1, 2, 3, 7, 9):
        y = adaptive_pool(given, {"lat": m}, edges=edges)
        at = [Fraction(i*7, m) for i in range(m + 1)]
        low, high = (at[:-1], at[1:]) if edges == "area" else ([floor(a) for a in at[:-1]], [ceil(a) for a in at[1:]])
        want = [np.interp([float(a) for a in side], np.arange(8), borders) for side in (low, high)]
        np.testing.assert_allclose(y.lat_bnds.values, np.stack(want, 1), rtol=1e-14)
        assert y.lat_bnds.attrs == {"kept": 1} and ("lat_bnds" in y.coords) == as_coordinate
        if edges == "area": np.testing.assert_array_equal(y.lat_bnds.values[1:, 0], y.lat_bnds.values[:-1, 1])
        assert y.identical(adaptive_pool(given, {"lat": m}, edges=edges, bounds=True))


def test_bounds_on_request_are_halfway_between_the_cells():
    y = adaptive_pool(planet(), {"lat": 3, "time": 14, "lon": 12}, bounds=True)
    assert y.lat_bounds.values.tolist() == [[80, 20], [40, -40], [-20, -80]]
    assert y.lat.attrs == {"units": "degrees_north", "bounds": "lat_bounds"} and "lat_bounds" in y.coords
    assert y.time_bounds.values[0].tolist() == np.array(["2000-02-19T12", "2000-02-20T12"], "M8[ns]").tolist()
    assert y.lon_bounds.values[:2].tolist() == [[-15, 15], [15, 45]]
    with pytest.raises(ValueError, match="one cell"): adaptive_pool(planet().isel(lat=[0]), {"lat": 1}, bounds=True)
    with pytest.raises(ValueError, match="one of that name"):
        adaptive_pool(planet().assign(lat_bounds=3), {"lat": 2}, bounds=True)


def test_bounds_of_four_corners_are_dropped_not_averaged():
    x = planet()[["t"]].assign_coords(corners=(("lat", "v"), np.zeros((8, 4))))
    x.lat.attrs["bounds"] = "corners"
    with pytest.warns(UserWarning, match="'corners'"): assert "corners" not in adaptive_pool(x, {"lat": 3})


def test_encodings_are_kept_where_they_are_still_true(tmp_path):
    x = planet()[["t", "kind"]]
    x.t.encoding = {"dtype": "int16", "scale_factor": 0.001, "add_offset": 1.0, "_FillValue": -32768}
    x.time.encoding = {"units": "days since 1900-01-01", "calendar": "standard", "dtype": "int64"}
    single = xarray.DataArray(np.arange(4.0), dims="x")
    single.encoding = {"dtype": "float32", "_FillValue": -9.0, "chunks": (4,), "zlib": True}
    for reduction in ("mean", "sum"):  # what is no whole number in the file can stay as it is
        kept = adaptive_pool(single, {"x": 3}, reduction).encoding
        assert kept == {"dtype": "float32", "_FillValue": -9.0, "zlib": True}
    x.t.encoding["chunks"] = (4, 4, 4)
    x.to_zarr(tmp_path / "given", zarr_format=2)
    x = xarray.open_zarr(tmp_path / "given", chunks=None).load()
    for reduction in ("mean", "sum", "max"):
        y = adaptive_pool(x, {"time": 3, "lat": 5}, reduction)
        assert y.time.encoding["units"] == "days since 1900-01-01" and y.t.encoding["compressors"]
        assert ("scale_factor" in y.t.encoding) == (reduction != "sum")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of xarray: half a day is counted in hours
            y.to_zarr(tmp_path / reduction, zarr_format=2)
        back = xarray.open_zarr(tmp_path / reduction, chunks=None).load()
        xarray.testing.assert_equal(back.time, y.time)
        np.testing.assert_allclose(back.kind.values, y.kind.values)
        np.testing.assert_allclose(back.t.values, y.t.values, atol=0 if reduction == "sum" else 0.0006, rtol=1e-6)


def test_a_file_names_no_coordinate_that_was_dropped(tmp_path):
    labels = {"word": ("x", list("abcdef")), "height": 2.0, "far": ("z", [1.0])}
    x = xarray.Dataset({"t": ("x", np.arange(6.0))}, labels)
    x.to_netcdf(tmp_path / "given.nc")
    with xarray.open_dataset(tmp_path / "given.nc") as given, pytest.warns(UserWarning, match="word"):
        adaptive_pool(given, {"x": 4}).to_netcdf(tmp_path / "pooled.nc")
    with xarray.open_dataset(tmp_path / "pooled.nc", decode_coords=False) as pooled:
        named = [v.attrs.get("coordinates", "") for v in (*pooled.variables.values(), pooled)]
        assert set(pooled.variables) == {"t", "height", "far"} and "word" not in " ".join(named)
    with xarray.open_dataset(tmp_path / "pooled.nc") as pooled: assert {*pooled.coords} == {"height", "far"}


def test_chunks_of_unknown_size_are_refused_in_words():
    x = dask.array.ones((4, 6), chunks=3)
    unknown = xarray.DataArray(x[x[:, 0] > 0], dims=("a", "b"))
    with pytest.raises(ValueError, match="chunks of known size along a pooled dimension, got unknown ones along 'a'"):
        adaptive_pool(unknown, {"a": 2})


def test_weights_that_have_other_dimensions():
    x = planet()
    w = np.cos(np.deg2rad(x.lat))
    every = adaptive_pool(x.t, {"lat": 1, "lon": 1}, weights=w).squeeze()
    np.testing.assert_allclose(every, x.t.weighted(w).mean(("lat", "lon")), rtol=1e-5, atol=1e-6)
    moving = xarray.DataArray(np.random.default_rng(3).random((8, 14)), dims=("lat", "time"))
    y = adaptive_pool(x.t, {"lat": 1}, weights=moving).squeeze()
    np.testing.assert_allclose(y, x.t.weighted(moving).mean("lat"), rtol=1e-5, atol=1e-6)
    whole = adaptive_pool(x, {"lat": 2, "lon": 3}, weights={"lon": np.arange(1.0, 13)})
    np.testing.assert_array_equal(whole.rain.values, adaptive_pool(x.rain, {"lat": 2}).values)  # it has no longitude
    with pytest.raises(ValueError, match="'rain' lacks"): adaptive_pool(x, {"lat": 2}, weights=x.area)


def never(*_, **__): raise AssertionError("computed before it was asked for")


@pytest.mark.parametrize("how", [
    {}, {"edges": "area"}, {"skipna": True, "min_valid": 0.5}, {"reduction": "max"},
    {"reduction": "sum", "edges": "area"},
    {"weights": {"lat": np.arange(1.0, 9)}, "skipna": True}, {"weights": planet().area, "edges": "area"}])
def test_chunks_stay_chunks_and_nothing_is_computed(how):
    given = planet()[["t", "land", "level"]]
    given["t"] = given.t.where(given.t < 1)
    chunked, sizes = given.chunk({"time": 5, "lat": 3, "lon": 5}), {"lat": 3, "lon": 7}
    with dask.config.set(scheduler=never): lazy = adaptive_pool(chunked, sizes, **how)
    for name in ("t", "land", "area"): assert lazy[name].chunks is not None, name
    want, y = adaptive_pool(given, sizes, **how), lazy.compute()
    xarray.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-6)
    assert {n: v.dtype for n, v in y.variables.items()} == {n: v.dtype for n, v in want.variables.items()}


def test_a_median_of_chunks_is_refused():
    with pytest.raises(ValueError, match="for a dask array"): adaptive_pool(planet({"lat": 3}).t, {"lat": 2}, "median")


def test_median_and_mode_by_name():
    kind = planet().kind
    y, middle = adaptive_pool(kind, {"lat": 3, "lon": 5}, "mode"), adaptive_pool(kind, {"lat": 3, "lon": 5}, "median")
    assert y.dtype == np.int16 and middle.dtype == np.float64
    for i, (a, b) in enumerate(adapool.adaptive_windows(8, 3)):
        for j, (c, d) in enumerate(adapool.adaptive_windows(12, 5)):
            assert y[i, j] == np.bincount(kind.values[a:b, c:d].ravel()).argmax()
            assert middle[i, j] == np.median(kind.values[a:b, c:d])


@pytest.mark.parametrize("wrong, error, words", [
    (dict(output_size={"latitude": 3}), ValueError, r"names the dimension 'latitude', .* mean 'lat'\?"),
    (dict(output_size={"lan": 3}), ValueError, r"'lon' or 'lat'|'lat' or 'lon'"),
    (dict(output_size={"xyz": 3}), ValueError, r"'xyz', which obj lacks: it has \('time', 'lat', 'lon'\)$"),
    (dict(output_size={}), ValueError, "one dimension at least"),
    (dict(output_size=3), TypeError, "must be a mapping"),
    (dict(output_size={"lat": 0}), ValueError, "output_size must be >= 1, got 0 for dimension 'lat'"),
    (dict(output_size={"lat": 2.5}), TypeError, "output_size must be an integer"),
    (dict(output_size={"lat": 3}, reduction="avg"), ValueError, "reduction must be one of"),
    (dict(output_size={"lat": 3}, edges="areas"), ValueError, "edges must be"),
    (dict(output_size={"lat": 3}, skipna=None), TypeError, "skipna must be"),
    (dict(output_size={"lat": 3}, min_valid=0.5), ValueError, "min_valid must come with skipna"),
    (dict(output_size={"lat": 3}, bounds=True), ValueError, "to_dataset"),
    (dict(output_size={"lat": 3}, bounds=1), TypeError, "bounds must be"),
    (dict(output_size={"lat": 3}, weights=[1] * 8), TypeError, "weights must be a DataArray or a mapping"),
    (dict(output_size={"lat": 3}, weights={"lat": [1] * 7}), ValueError, "8 cells along 'lat'"),
    (dict(output_size={"lat": 3}, weights={"lon": [1] * 12}), ValueError, "for pooled dimensions"),
    (dict(output_size={"lat": 3}, weights={"late": [1] * 8}), ValueError, "mean 'lat'"),
    (dict(output_size={"lat": 3}, weights={"lat": np.ones((2, 8))}), ValueError, "must be a vector"),
    (dict(output_size={"lat": 3}, weights={"lat": [1] * 7 + [-1]}), ValueError, "weights must be finite and >= 0"),
    (dict(output_size={"lat": 3}, weights={"lat": [1] * 7 + [np.nan]}), ValueError, "weights must be finite and >= 0"),
    (dict(output_size={"lat": 3}, weights=xarray.DataArray(np.ones(8), {"lat": range(8)}, ("lat",))), ValueError,
     "reindex_like"),
    (dict(output_size={"lat": 3}, reduction="mode", weights={"lat": [1] * 8}), ValueError, "weights must be None"),
])
def test_wrong_calls(wrong, error, words):
    with pytest.raises(error, match=words): adaptive_pool(planet().t, **wrong)


def test_other_objects_are_told_what_to_do():
    table = pd.DataFrame({"a": [1.0, 2]})
    for obj, words in ((table, "to_xarray"), (table.a, "to_xarray"), (planet().t.variable, "DataArray"),
                       (np.ones(3), "adapool.adaptive_pool"), (xarray.DataTree(planet()), "map_over_datasets"),
                       (planet().groupby("time"), "map"), (planet().t.resample(time="MS"), "map")):
        with pytest.raises(TypeError, match=f"obj must be a DataArray or a Dataset.*{words}"):
            adaptive_pool(obj, {"lat": 1})
    with pytest.raises(TypeError, match="obj must hold booleans"): adaptive_pool(planet().place, {"station": 1})
    with pytest.raises(ValueError, match="cells along a pooled dimension"):
        adaptive_pool(planet().t.isel(lat=[]), {"lat": 1})
    for obj in (table, table.a, table.index):
        for f in (adapool.adaptive_pool, adapool.adaptive_max_pool):
            with pytest.raises(TypeError, match=r"x must be an array, .*to_numpy\(\)"): f(obj, 1)
    with pytest.raises(TypeError, match=r"x must be an array, .*adapool.xarray"): adapool.adaptive_pool(planet(), 1)
    wanted = planet().t.coarsen(lat=4, lon=4).mean()
    np.testing.assert_allclose(adapool.adaptive_pool(planet().t, (2, 3)), wanted, rtol=1e-5, atol=1e-6)
