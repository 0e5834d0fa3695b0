"""Nonsense, in great numbers: every public function is called with arguments that nobody should pass.

A call has to end in a right answer, or in an error of a type in `CLEAN` whose message names a parameter. It must not
crash, hang, take all memory or change what it was given.

    python tests/fuzz.py 3 12500        the calls of seed 3
    python tests/fuzz.py 3 12500 117    only call 117 of them, its error in full
"""

import collections
import contextlib
import decimal
import enum
import faulthandler
import fractions
import functools
import importlib
import inspect
import io
import itertools
import math
import mmap
import operator
import random
import re
import resource
import sys
import traceback
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import torch
import xarray

import adapool
from adapool.pooling import counted_loops, max_pool_loops

CLEAN = (TypeError, ValueError, RuntimeError, NotImplementedError, ZeroDivisionError)  # the last of a norm of 0
SECONDS = 60  # a call may take so long, some of it for kernels that are compiled for the first time
GIGABYTES = 3  # and so much memory

NO_FUNCTIONS = {  # modules of which nothing is for users
    "along": "is called by `pooling`, which checks",
    "gaps": "is called by `pooling`, and checks a part of what that is given",
    "checks": "asks what the others are given",
    "dask": "takes dask arrays, and looks at what it is told as `pooling` does",
    "array_api": "looks at what it is told as `pooling` does; what memory there is, its library knows",
    "kinds": "says whose an array is",
    "jax": "compiles every call anew; test_jax.py and its pages ask for errors",
    "medians": "is called by `pooling`, which checks",
    "kernels": "takes addresses of memory, from the modules above it, which check",
    "tensors": "is called by `functional`",
}
RECORDS = {  # they hold what they are given, and what makes them checks
    "ConvParams", "FixedPool", "BlockedPool", "Row", "Trace", "Report", "Verdict", "Film", "Answer", "Panel",
    "Picture", "Card", "Cards"}
LOOPS = {"pool_loops", "max_pool_loops", "counted_loops"}  # the specification: what is right is compared with them
INNER = {  # of modules with something for users, what other rooms call with what has been looked at
    "windows": {"some_windows", "of_one_divisor"},
    "pooling": {"planned", "listed", "room"},
}


def modules():
    "The modules of the package with something for users, by name."
    paths = Path(adapool.__file__).parent.glob("[!_]*")
    stems = sorted(p.stem for p in paths if p.suffix == ".py" or (p / "__init__.py").exists())
    return {stem: importlib.import_module(f"adapool.{stem}") for stem in stems if stem not in NO_FUNCTIONS}


def functions():
    "Everything that can be called, as {module.name: callable}."
    found = ((stem, name, getattr(module, name)) for stem, module in modules().items() for name in module.__all__)
    return {f"{stem}.{name}": f for stem, name, f in found
            if callable(f) and name not in RECORDS | LOOPS | INNER.get(stem, set())}


# -- What is passed. Every value is made anew by a function, so that it can be compared with itself afterwards. --

class Colour(enum.IntEnum): RED = 3


class Whole(int): pass


class Index:
    def __init__(self, value): self.value = value
    def __index__(self): return self.value
    def __repr__(self): return f"Index({self.value!r})"


class Broken:
    "Raises whatever is done to it."
    def __index__(self): raise RuntimeError("no index")
    def __len__(self): raise RuntimeError("no length")
    def __iter__(self): raise RuntimeError("no cells")
    def __repr__(self): return "Broken()"


class Tuple(tuple): pass


class Tensor(torch.Tensor): pass


class Array(np.ndarray): pass


Pair = collections.namedtuple("Pair", "h w")


def inside_itself():
    a = [2]
    a.append(a)
    return a


SCALARS = [lambda v=v: v for v in (
    True, False, None, 0, 1, 2, 3, 4, 5, 7, 11, -1, -3, 100, 2**31 - 1, 2**31, 2**32, 2**40, 10**12, 2**62, 2**63 - 1,
    2**63, 2**64, 10**30, 10**400, -2**31, -2**63, -2**64, 0.0, -0.0, 1.0, 2.5, math.nan, math.inf, -math.inf, 1e300,
    5e-324, 3j, "3", "", "same", "valid", "mean", "max", "\x00", "ä" * 1000, b"7", fractions.Fraction(7, 2),
    fractions.Fraction(3), decimal.Decimal(3), ..., NotImplemented, int, type, len, slice(1, 2), np.int64(3),
    np.uint8(200), np.float32(2), np.bool_(True), np.int8(-3), np.datetime64("2026-01-01"), Colour.RED, Whole(3), np,
    inspect.Parameter.empty)]
SCALARS += [
    lambda: Index(3), lambda: Index(2**80), lambda: Index(-1), lambda: Index("x"), lambda: Index(True), Broken,
    lambda: np.array(3), lambda: np.array([3]), lambda: np.array([2, 3]), lambda: np.array(3.0), lambda: np.array([]),
    lambda: torch.tensor(3), lambda: torch.tensor([2, 3]), lambda: torch.tensor(2.5), lambda: torch.tensor(True),
    lambda: torch.empty(0), lambda: torch.empty(2, device="meta")]
CONTAINERS = [lambda v=v: v for v in (
    (), (3,), (1,), (2, 3), (2, 3, 4), (1, 1, 1, 1, 1), (1,) * 100, ((2, 3), (4, 5)), ((2,),), (None, 3), (None,),
    (None, None), (3, "a"), (True, 2), (2.0, 3), (0, 3), (-1, 3), (10**12, 2), (2**31, 2**31), (2**63, 1),
    (3, math.nan), (2, None, 3), range(3), range(10**12), torch.Size([2, 3]), Pair(2, 3), Tuple((2, 3)),
    frozenset({2, 3}), "23", b"23", (np.int64(2), np.int32(3)), (..., 2), (Colour.RED, Whole(2)), ((), ()),
    ("same", "same"), (10**30, 10**30), (0, 0), (2**62, 2**62))]
CONTAINERS += [
    list, lambda: [3], lambda: [2, 3], lambda: [[2, 3]], lambda: [2, [3]], lambda: [None], lambda: [2.5, 3], dict,
    lambda: {2: 3}, lambda: {"a": 1}, lambda: {2, 3}, set, lambda: collections.deque([2, 3]), inside_itself,
    lambda: bytearray(b"23"), lambda: iter((2, 3)), lambda: [np.array([2, 3])], lambda: (Broken(), 2),
    lambda: [torch.tensor(2), torch.tensor(3)], lambda: functools.reduce(lambda a, _: [a], range(50), 3)]
NONSENSE = SCALARS + CONTAINERS


def numbers(shape, seed=0): return np.random.default_rng(seed).integers(-9, 9, shape)


SHAPES = [
    (), (0,), (1,), (7,), (2, 0), (0, 3), (3, 5), (2, 3, 7), (2, 0, 7), (1, 3, 6, 5), (0, 2, 4, 4), (2, 3, 4, 5, 3),
    (1,) * 6, (2,) * 7, (1,) * 30]
ARRAYS = [lambda s=s, t=t: numbers(s).astype(t) for s in SHAPES for t in ("f4", "f8", "i4")]
ARRAYS += [lambda t=t: abs(numbers((2, 3, 7))).astype(t) for t in (
    "f2", ">f4", ">i2", "i1", "u1", "u2", "u4", "u8", "i8", "?", "g", "c8", "c16", "U3", "S3", "O")]
ARRAYS += [
    lambda: numbers((4, 6, 8)).astype("f4")[::2, ::-1, ::3], lambda: numbers((4, 5)).T, lambda: range(9),
    lambda: np.broadcast_to(np.float32(3), (3, 5)), lambda: np.broadcast_to(np.float32(3), (10**6, 10**6, 0)),
    lambda: numbers((3, 5)).astype("f4").view(Array), lambda: np.asmatrix(numbers((3, 5))), lambda: np.zeros(2, "V3"),
    lambda: np.ma.masked_array(numbers((3, 5)), True), lambda: np.zeros(3, "i4,f4"), lambda: np.array([1, None]),
    lambda: np.rec.array(np.zeros(3, "i4,f4")), lambda: np.array(["2026-01-01"], "M8[D]"), lambda: [1, [2, 3]],
    lambda: np.array([math.nan, math.inf, -math.inf, -0.0], "f2"), lambda: [[1, 2, 3], [4, 5, 6]], lambda: "text",
    lambda: [[1.5, None]], lambda: 3, lambda: None, lambda: {1: 2}, lambda: memoryview(b"abcdef"),
    lambda: torch.ones(3, 5), lambda: torch.ones(3, 5, requires_grad=True), lambda: [True, False, True],
    lambda: torch.ones(3, 5, dtype=torch.bfloat16), lambda: np.frombuffer(b"\0" * 29, "u1")[1:].view("f4")]


HALF, FULL = (torch.float16, torch.bfloat16), (torch.float32, torch.float64)


def is_tensor(x): return isinstance(x, torch.Tensor)


def tensor(shape, dtype=torch.float32): return torch.tensor(numbers(shape)).to(dtype)


def frozen(x):
    with torch.inference_mode(): return x + 0


def quiet(make, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args)


TENSORS = [lambda s=s, t=t: tensor(s, t) for s in SHAPES for t in HALF + FULL]
TENSORS += [lambda t=t: tensor((2, 3, 7, 5)).abs().to(t) for t in (
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool, torch.complex64, torch.complex128,
    torch.float8_e4m3fn, torch.uint16, torch.complex32)]
TENSORS += [lambda s=s: tensor(s).requires_grad_() for s in ((3, 5), (2, 3, 7), (1, 3, 6, 5), (2, 3, 4, 5, 3))]
TENSORS += [
    lambda: tensor((2, 3, 7, 5)).to_sparse(), lambda: tensor((3, 5)).to_sparse_csr(),
    lambda: quiet(torch.quantize_per_tensor, tensor((2, 3, 7, 5)), 0.5, 3, torch.quint8),
    lambda: torch.empty(2, 3, 7, 5, device="meta"), lambda: torch.empty(2, 3, 10**6, 10**6, device="meta"),
    lambda: torch.nn.Parameter(tensor((3, 7, 5))), lambda: tensor((2, 3, 7, 5)).as_subclass(Tensor),
    lambda: torch.ones(()).expand(2, 3, 7, 5), lambda: torch.ones(2, 1, 7, 1).expand(2, 9, 7, 5),
    lambda: tensor((2, 9, 7, 5)).to(memory_format=torch.channels_last), lambda: tensor((2, 3, 7, 5)).transpose(0, 3),
    lambda: tensor((4, 6, 8, 9))[::2, :, 1::3, 2:], lambda: torch._neg_view(tensor((2, 3, 7))),
    lambda: tensor((2, 3, 7), torch.complex64).conj().imag, lambda: tensor((2, 3, 7, 5)).to_mkldnn(),
    lambda: frozen(tensor((2, 3, 7, 5))), lambda: torch.full((2, 3, 7), math.nan), lambda: torch.ones(1, 1, 90, 90),
    lambda: torch.full((2, 3, 7, 5), 65504.0, dtype=torch.float16), lambda: torch.ones(2, 3, 10**6, 0),
    lambda: quiet(lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)])), lambda: 3.0,
    lambda: torch.ones(()).expand(2, 2, 2**20, 2**20)[:, :, :7, :5], lambda: numbers((2, 3, 7, 5)),
    lambda: torch._efficientzerotensor((2, 3, 7, 5)), lambda: torch._efficientzerotensor((2, 30, 41)),
    lambda: [[1.0, 2.0]], lambda: "text", lambda: None]


class Odd(torch.nn.Module):
    def forward(self, x): raise KeyError("nobody knows")


def pools():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d((2, None)), torch.nn.Flatten())


MODELS = [
    torch.nn.ReLU, pools, lambda: torch.nn.AdaptiveMaxPool2d(2), torch.nn.Identity, torch.nn.Sequential, Odd,
    torch.nn.Module, lambda: torch.nn.Conv1d(3, 2, 3), lambda: torch.nn.Linear(4, 2),
    lambda: torch.nn.ModuleList([torch.nn.AdaptiveAvgPool2d(2)]), lambda: torch.nn.ConvTranspose2d(3, 2, 3, 2),
    lambda: torch.nn.AdaptiveAvgPool2d, lambda: "resnet50", lambda: 3, lambda: None, lambda: (lambda x: x)]


LABELLED = [
    lambda: xarray.DataArray(numbers((3, 7)).astype("f4"), [("lat", [1.0, 2, 4]), ("lon", range(7))]),
    lambda: xarray.Dataset({"a": ("lat", numbers(5)), "b": (("lon", "lat"), numbers((4, 5)) / 2)}, {"lat": range(5)}),
    lambda: xarray.DataArray(numbers((3, 2))), lambda: xarray.Dataset({"lat": ("lat", ["a", "b"])}), xarray.Dataset]


def of(*values): return [lambda v=v: v for v in values]


WHOLE = of(1, 2, 3, 4, 5, 7, 10, 30)
SIZES = WHOLE + of((2, 3), (4, 5), (3,), [3, 4], (2, 3, 4))
FLAG = of(True, False)
AXES = [lambda: None, lambda: matplotlib.figure.Figure().add_subplot()]
PROPER = dict(  # by the name of the parameter: what a sensible caller might pass
    input_size=SIZES + of(20), output_size=SIZES + of((None, 3), (5, None), {"lat": 3}, {"lat": None, "lon": 2}),
    kernel_size=SIZES,
    stride=WHOLE + of(1, 2, (2, 1)), dilation=of(1, 1, 2, 3, (1, 2)),
    padding=of(0, 1, 2, "same", "valid", (0, 1), ((0, 1), (2, 0))),
    output_padding=of(0, 1), ceil_mode=FLAG, input_shape=of((1, 3, 9, 9), [2, 3, 12], (1, 2, 5, 6, 7)),
    out_channels=WHOLE, up_to=of(1, 10, 40), x=ARRAYS, reduction=of("mean", "max", "min", "sum", "median", "mode"),
    obj=LABELLED, bounds=FLAG,
    axes=of(None, 0, -1, 1, (0, 1), (-1, 0), [1]), return_indices=FLAG, input=TENSORS, model=MODELS, verbose=of(False),
    answer=of(3, 2.5, ..., (2, 3), {2, 3}, "a", True), expected=of(3, 2.5, (2, 3), {2, 3}, "a", True),
    hint=of("", "look"), slips=of((), ((2, "no"),)), name=of("windows-3", "arithmetic-10", "nn-9"),
    cases=of((), ((1,), (2,))), ax=AXES, title=of(None, "t"),
    label=of("a"), at=of((0, 0), (1, 1)), seconds=of(0.1), alt=of("a"), starts=of([0, 2], (0, 1, 1), range(3)),
    stops=of([2, 3], (1, 1, 4), range(1, 4)), divisors=of(None, [2, 2], (1, 2, 3)), count_include_pad=FLAG,
    windows=of([(0, 2), (1, 3)], adapool.split_windows(7, 3),
               (adapool.fixed_windows(3, 2, 1), adapool.adaptive_windows(7, 9)),
               (adapool.adaptive_windows(5, 2), adapool.adaptive_windows(7, 2))),
    image=[lambda: numbers((5, 7)) % 9 / 9, lambda: numbers((5, 7, 3)).astype("u1")], sizes=of([9, 7, 5]),
    names=of(None), unread=of(None, [1, 2]), fields=of(None, [1, 2]), args=of(3), kwargs=of(None, {}), finite=FLAG,
    target=of(None, "onnx", "coreml", "tvm", "litert"),
    path=of("model.onnx"), input_names=of(None, ["x"]), output_names=of(None, ["y"]), transposed=FLAG, rows=SIZES,
    columns=SIZES, page=of(None, "learn/02_windows"), values=of([1, 2, 3, 4], (0.5, 2)),
    weights=of([1, -1], [2], 2.0, {-1: [1, 2, 3, 0, 1, 2, 0]}, {0: [0, 1]}, [[1.0], [2.0]]),
    edges=of("whole", "area"), skipna=FLAG, min_valid=of(None, 0.5, 1),
    output=[lambda: numbers((2, 2))], gradient=[lambda: numbers((5, 7))], numbers=FLAG,
    layers=of(1, 3), in_channels=WHOLE, divisor_override=of(None, 1, 5), adaptive=FLAG, ordinary=FLAG,
    output_sizes=of((1, 2), [1, 2, 3], ((1, 2), (2, 3)), (2, None), (3, 1)), flatten=FLAG,
    mode=of("max_avg", "avg_max", "mean"),
    norm_type=of(1, 2, 3.0, 1.5, math.inf), p=of(3.0, 1, 2.5) + [lambda: torch.tensor([2.0])], eps=of(1e-6),
    kind=of("avg", "max"),
    inputs=TENSORS + [lambda: [tensor((3, 5, 7)), tensor((3, 2, 9))], lambda: [tensor((3, 7)), tensor((3, 1))]],
    channels=WHOLE,
    indices=[lambda s=s: torch.zeros(s, dtype=torch.int64) for s in SHAPES] + TENSORS)


# -- Which calls are made. --

WEIGHTS = {"plot": 0.02, "explore": 0.02, "flashcards": 0.02, "networks": 0.15, "export": 0.05,  # by module; others 1
           "functional": 3, "pooling": 3}


@functools.lru_cache(maxsize=1)
def functions_by_name(): return functions()


def is_layer(name): return re.fullmatch(r"nn\.\w+Pool\dd", name)


def takes(name):
    "The parameters of a function; of a layer also the input that it is called with."
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    params = [p for p in inspect.signature(functions_by_name()[name]).parameters.values() if p.kind not in kinds]
    layer_input = [inspect.Parameter("input", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    return params + layer_input if is_layer(name) else params


def make_call(rng, names):
    "The name of a function, and what makes its arguments: most of them proper, some spoiled."
    name = rng.choices(names, [WEIGHTS.get(n.split(".")[0], 1) for n in names])[0]
    params, makers = takes(name), {}
    wrong = rng.choices([0, 1, 2, 99], [2, 6, 2, 1])[0]
    spoiled = set(rng.sample(range(len(params)), min(wrong, len(params))))
    for i, p in enumerate(params):
        if p.default is not p.empty and i not in spoiled and rng.random() < 0.5: continue
        makers[p.name] = rng.choice(NONSENSE if i in spoiled else PROPER.get(p.name, NONSENSE))
    if name.startswith("export.") and name != "export.decompositions": makers["args"] = rng.choice(NONSENSE)
    if rng.random() < 0.005: makers["nonsense"] = rng.choice(NONSENSE)
    if rng.random() < 0.005 and makers: makers.pop(rng.choice(list(makers)))
    return name, makers


def plain(x):
    "A tensor of any kind as a dense one of the plain class, that can be compared."
    if x.is_quantized: x = x.dequantize()
    if x.layout != torch.strided or x.is_mkldnn: x = x.to_dense()
    x = x.detach().as_subclass(torch.Tensor)
    return x.float() if x.dtype == torch.float8_e4m3fn else x


def same(a, b):
    "Are two arguments, made alike, still alike?"
    if type(a) is not type(b): return False
    if is_tensor(a):
        if a.is_nested: return True
        for what in ("shape", "dtype", "requires_grad", "layout"):
            if getattr(a, what) != getattr(b, what): return False
        if a.is_meta or a.dtype == torch.complex32 or a.numel() > 10**5: return True
        if a.layout == torch.strided and not a.is_mkldnn and a.stride() != b.stride(): return False
        a, b = plain(a), plain(b)
        return bool(((a == b) | (a != a)).all())
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype or a.strides != b.strides: return False
        if a.dtype.kind == "O" or a.size > 10**5: return True
        return bool(((a == b) | (a != a)).all()) if a.dtype.kind == "f" else a.tobytes() == b.tobytes()
    if isinstance(a, torch.nn.Module):
        return all((n, type(m), m.training) == (k, type(o), o.training)
                   for (n, m), (k, o) in zip(a.named_modules(), b.named_modules(), strict=True))
    return repr(a) == repr(b) if isinstance(a, (list, tuple, dict, set, collections.deque)) else True


# -- What is right: by formulas of our own, by counting, by the loops of `adapool.pooling`. A check returns a fault. --

def several(value):
    "Is it a sequence of values?"
    if isinstance(value, (np.ndarray, torch.Tensor)): return value.ndim > 0
    return isinstance(value, (tuple, list, range, collections.deque))


def per_axis(one):
    "A formula for one axis, applied to each; two numbers as padding are a pair where all else is one axis."
    def formula(**params):
        many = {k: v for k, v in params.items() if several(v)}
        pad = many.pop("padding", None)
        if pad is not None:
            bare = len(pad) == 2 and not any(map(several, pad)) and all(len(v) == 1 for v in many.values())
            if not bare: many["padding"] = pad
        if not many: return one(**params)
        axes = range(len(next(iter(many.values()))))
        return tuple(one(**{k: v[i] if k in many else v for k, v in params.items()}) for i in axes)
    return formula


def conv(input_size, kernel_size, stride=1, padding=0, dilation=1):
    "The places where a window fits, counted where they are few."
    word = padding if isinstance(padding, str) else None
    if word == "same": return math.ceil(fractions.Fraction(operator.index(input_size), operator.index(stride)))
    padding = 0 if word == "valid" else padding
    before, after = map(operator.index, padding if several(padding) else (padding, padding))
    n, k, s, d = map(operator.index, (input_size, kernel_size, stride, dilation))
    steps = n + before + after - d*(k - 1) - 1
    if max(n, k, s, before, after, d) > 10**4: return math.floor(fractions.Fraction(steps, s)) + 1
    return sum(1 for i in range(-before, n + after, s) if i + d*(k - 1) < n + after)


def shapes(input_shape, out_channels, kernel_size, stride=1, padding=0, dilation=1):
    spatial = dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    sizes = per_axis(conv)(input_size=tuple(input_shape)[2:], **spatial)
    return operator.index(input_shape[0]), operator.index(out_channels), *sizes


def rule(input_size, output_size):
    n, m = map(operator.index, (input_size, output_size))
    return n - (m - 1)*(n // m), n // m, 0


def same_as(formula):
    def check(got, args):
        want = formula(**args)
        return None if got == want else f"it should be {want}"
    return check


def windows(input_size, output_size):
    "The windows by exact fractions, or None where they are many."
    n, m = map(operator.index, (input_size, output_size))
    if m > 1000: return None
    return [(math.floor(fractions.Fraction(i*n, m)), math.ceil(fractions.Fraction((i + 1)*n, m))) for i in range(m)]


def check_list(got, args):
    bounds = got.starts.tolist(), got.stops.tolist()
    if not repr(got) or bounds != (list(args["starts"]), list(args["stops"])): return "other windows"


def check_windows(got, args):
    want = windows(**args)
    if want is not None and list(got) != want: return f"the windows are {want[:5]} ..."
    if len(got) != operator.index(args["output_size"]) or not repr(got): return "a wrong length"
    with contextlib.suppress(*CLEAN): got.starts, got.stops, got.sizes, got.overlaps  # noqa: B018
    return None if (got[0][0], got[-1][1]) == (0, operator.index(args["input_size"])) else "not from end to end"


def of_pool(pool, n, m):
    "The windows of an ordinary pool, clipped to the input."
    k, s, p = pool
    return [(max(0, i*s - p), min(n, i*s - p + k)) for i in range(m)]


def check_equivalent(got, args):
    want = windows(**args)
    n, m = map(operator.index, args.values())
    if got is not None: return None if want is None or of_pool(got, n, m) == want else "those are not the windows"
    for pool in itertools.product(range(1, n + 3), range(1, n + 2), (0, 1)) if want and m <= n < 100 else ():
        if of_pool(pool, n, m) == want: return f"there is one, {pool}"


def check_found(got, args):
    n, out = operator.index(args["input_size"]), operator.index(args["output_size"])
    return next((f"{params} gives another size" for params in got[:20] if conv(n, *params) != out), None)


def as_loops_take(x, output_size, axes):
    "The sizes and the axes of a call that went well."
    sizes = list(output_size) if several(output_size) else None
    if axes is None: axes = range(x.ndim - (len(sizes) if sizes else 1), x.ndim)
    axes = [operator.index(a) % x.ndim for a in (axes if several(axes) else [axes])]
    return [m if m is None else operator.index(m) for m in sizes or [output_size] * len(axes)], axes


def as_weights(weights, shape):
    "An array that broadcasts to `shape`, of weights by axis too."
    if not isinstance(weights, dict): return 1.0 if weights is None else weights
    vectors = {operator.index(a) % len(shape): np.asarray(v, float) for a, v in weights.items()}
    return math.prod(v.reshape([-1 if a == b else 1 for b in range(len(shape))]) for a, v in vectors.items())


def check_pool(got, args):
    x = np.asanyarray(args["x"])
    if math.prod(n or 1 for n in got.shape) > 10**5 or x.ndim > 20: return None  # an empty batch of a huge size, too
    sizes, axes = as_loops_take(x, args["output_size"], args.get("axes"))
    weights, told = as_weights(args.get("weights"), x.shape), [args.get("edges", "whole"), args.get("skipna", False)]
    if args.get("reduction") in ("median", "mode"): return None
    want = counted_loops(x, sizes, args.get("reduction", "mean"), axes, *told, weights, args.get("min_valid") or 0.0)
    close = dict(rtol=2e-3, atol=1e-2) if got.dtype == np.float16 else dict(rtol=1e-5, atol=1e-5)
    given = np.ma.filled(got.astype(float), math.nan) if isinstance(got, np.ma.MaskedArray) else got.astype(float)
    if got.shape == want.shape and np.allclose(given, want, equal_nan=True, **close): return None
    return f"the loops give {want.shape}, {want.ravel()[:9]}"


def check_max_pool(got, args):
    if not args.get("return_indices"): return check_pool(got, {**args, "reduction": "max"})
    x = np.asarray(args["x"])
    if x.ndim > 20: return None
    for a, b in zip(got, max_pool_loops(x, *as_loops_take(x, args["output_size"], args.get("axes"))), strict=True):
        if a.shape != b.shape or not np.array_equal(a.astype(float), b.astype(float), equal_nan=True):
            return f"the loops give {b.shape}, {b.ravel()[:9]}"


CHECKS = {
    "arithmetic.conv_output_size": same_as(per_axis(conv)), "arithmetic.conv_output_shape": same_as(shapes),
    "arithmetic.find_conv": check_found, "windows.fixed_rule": same_as(rule), "windows.Windows": check_list,
    "windows.adaptive_windows": check_windows, "windows.fixed_equivalent": check_equivalent,
    "pooling.adaptive_pool": check_pool, "pooling.adaptive_max_pool": check_max_pool}


# -- What torch does with the same call. --

def layer(cls):
    "A layer, made and called at once."
    def call(input, **params): return cls(**params)(input)
    return call


def of_torch(name):
    "What torch has by that name, or None."
    module, name = name.split(".")
    if is_layer(f"{module}.{name}"): return layer(getattr(torch.nn, name)) if hasattr(torch.nn, name) else None
    return getattr(torch.nn.functional, name, None) if module == "functional" else None


def good_input(name, x):
    "Is `x` something that the pool `name` takes?"
    if not is_tensor(x) or x.is_nested or x.layout != torch.strided: return False
    d = int(re.search("[123](?=d)", name)[0])
    return x.dtype in HALF + FULL and x.dim() - d in (1, 2) and 0 not in x.shape


def known(name, args):
    "Do we on purpose not do as torch does with such a call? Or is so much wrong that each names another thing first?"
    x, size = args.get("input"), args.get("output_size")
    sizes = size if type(size) in (tuple, list) else [size]
    good_sizes = all(type(v) in (int, type(None)) and (v is None or 0 < v < 2**20) for v in sizes)
    if type(args.get("return_indices", False)) is not bool: return True  # its truth is asked for at another time
    if "adaptive" not in name.lower() and is_tensor(x) and x.dtype in HALF: return True  # torch has no such avg_pool3d
    if not good_sizes and is_tensor(x) and x.is_meta: return True  # torch asks for no memory; we make the windows
    if "unpool" in name:
        if is_tensor(x) and x.is_nested: return True  # which has no shape to compare with
        index, told = args.get("indices"), [args.get(k, 1) for k in ("kernel_size", "stride", "padding")]
        fits = is_tensor(index) and index.dtype is torch.int64 and index.shape == x.shape if is_tensor(x) else False
        return not (fits and good_input(name, x) and all(type(v) is int and v > 0 for v in told))
    if "lp_pool" in name and type(args.get("norm_type")) not in (int, float): return True
    if not good_input(name, x):
        if not good_sizes or not is_tensor(x) or x.is_nested or x.layout != torch.strided: return True
        return all(v in (1, None) for v in sizes)  # a mean, or the input itself, to torch, which takes any rank
    if isinstance(size, (str, bytes, bytearray, dict, set, frozenset)): return True  # torch goes through their cells
    return any(hasattr(v, "__index__") and not isinstance(v, int) for v in sizes)  # we take all that are integers


def wider(theirs, makers):
    "What torch gives for half precision when it computes in double: its own sums may overflow."
    x = makers["input"]()
    if not is_tensor(x) or x.dtype not in HALF: return None
    y, error = outcome(theirs, {k: x.double() if k == "input" else make() for k, make in makers.items()})
    if error is not None: return None
    return [v.to(x.dtype) if v.is_floating_point() else v for v in y] if isinstance(y, tuple) else y.to(x.dtype)


def compared(y):
    "A result in a form that `differ` compares."
    if isinstance(y, (tuple, list)): return [compared(v) for v in y]
    if not is_tensor(y): return y
    return y.dtype if y.is_nested else (tuple(y.shape), y.dtype) if y.is_meta else plain(y)


def differ(a, b):
    if isinstance(a, list): return type(b) is not list or len(a) != len(b) or any(map(differ, a, b))
    if not is_tensor(a): return a != b
    if not is_tensor(b) or a.shape != b.shape or a.dtype != b.dtype: return True
    close = dict(rtol=1e-2, atol=1e-1) if a.dtype in HALF else dict(rtol=1e-5, atol=1e-5)
    return not torch.allclose(a, b, equal_nan=True, **close)


def unlike_torch(name, makers, args, result, error):
    "How the outcome of a call differs from that of torch's function, or None."
    theirs, cells = of_torch(name), args.get("kernel_size")
    many = cells if isinstance(cells, (tuple, list)) else [cells]
    if "max_pool1d" in name and any(type(k) is int and k >= 2**31 for k in many): return None  # torch goes through them
    want, refusal = outcome(theirs, {k: make() for k, make in makers.items()})
    if error is None and refusal is None:
        ours = compared(result)
        wrong = differ(ours, compared(want)) and differ(ours, wider(theirs, makers))
        return "torch gives another result" if wrong else None
    if type(error) is type(refusal) or known(name, args): return None
    if isinstance(refusal, MemoryError) and isinstance(error, CLEAN): return None  # torch makes a list of it first
    said = [f"{type(e).__name__}: {e!s:.200}" if e else "takes it" for e in (refusal, error)]
    return f"torch: {said[0]}; we: {said[1]}"


# -- What is wrong with a call. --

def outcome(f, args):
    "What `f` returns, or the exception that it raises."
    with contextlib.redirect_stdout(io.StringIO()):
        try: result = f(**args)
        except Exception as error: return None, error
    if isinstance(result, adapool.functional.enable): result.disable()
    return result, None


SAID_BY_PYTHON = (
    "missing 1 required", "missing 2 required", "unexpected keyword", "positional argument", "os.PathLike object",
    "Boolean value of Tensor", "truth value of an array", "truth value of an empty array")
SAID_BY_THEM = ("no index", "no length", "no cells", "nobody knows")  # by the object or the model that was passed


OF_POOLS = re.compile("[.](adaptive_concat|AdaptiveConcat|pyramid_|Pyramid)")  # which speak for them


def unclear(name, error):
    "What is wrong with an error, or None."
    if any(words in str(error) for words in SAID_BY_THEM + SAID_BY_PYTHON): return None
    if name.split(".")[0] in ("networks", "export") and isinstance(error, RuntimeError): return None  # the model's own
    if name.startswith("nn.MaxUnpool"): return None  # torch's own constructor
    if name in ("functional.gem_pool", "functional.soft_pool") and isinstance(error, CLEAN): return None  # of a mean
    if name == "functional.adaptive_mean" and "allocate memory" in str(error): return None  # torch's own
    if of_torch(name) and "adaptive" not in name.lower() and isinstance(error, (IndexError, OverflowError)):
        return None  # torch's own
    if not isinstance(error, CLEAN): return f"{type(error).__name__}: {error}"
    named = {p.name for p in takes(name)} | {*inspect.signature(functions_by_name()[name]).parameters}
    if of_torch(name) or OF_POOLS.search(name) or named & set(re.findall(r"\w+", str(error))): return None
    return f"no parameter is named: {type(error).__name__}: {error}"


def fault(name, makers):
    "What is wrong with the outcome of a call, or None."
    f, args = functions_by_name()[name], {k: make() for k, make in makers.items()}
    result, error = outcome(layer(f) if is_layer(name) else f, args)
    if isinstance(error, MemoryError) and name.startswith(("nn.AvgPool1d", "nn.MaxUnpool")):
        return None  # torch's makes a tuple of any range
    if isinstance(error, MemoryError): return f"out of memory: {error}"
    for k, make in makers.items():
        if name != "nn.convert" and not isinstance(args[k], collections.abc.Iterator) and not same(args[k], make()):
            return f"{k} was changed"
    if of_torch(name) and (wrong := unlike_torch(name, makers, args, result, error)): return wrong
    if error is not None: return unclear(name, error)
    wrong = name in CHECKS and CHECKS[name](result, args)
    return f"got {result!r:.300}: {wrong}" if wrong else None


# -- How the calls are made. --

def brief(v):
    if is_tensor(v):
        return f"{type(v).__name__}{'' if v.is_nested else tuple(v.shape)} {v.dtype} {v.layout} {v.device}"
    return f"{type(v).__name__}{v.shape} {v.dtype}" if isinstance(v, np.ndarray) else f"{v!r:.100}"


def play(seed, count, only=None, counter=None):
    "Make the calls of `seed`; what is wrong with some."
    rng, names, faults = random.Random(seed), sorted(functions_by_name()), []
    for i in range(count):
        name, makers = make_call(rng, names)
        if only not in (None, i): continue
        if counter: counter[:8] = i.to_bytes(8, "little")
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        try: wrong = fault(name, makers)
        except Exception: wrong = traceback.format_exc()
        given = ", ".join(f"{k}={brief(make())}" for k, make in makers.items()) if wrong else ""
        if wrong: faults.append(f"call {i}: {name}({given})\n    {wrong}")
    faulthandler.cancel_dump_traceback_later()
    return faults


def main(seed, count, only=None, counter=None):
    faulthandler.enable()
    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    functions_by_name()
    if Path("/proc/self/statm").exists():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (used + GIGABYTES * 2**30,) * 2)
    with contextlib.ExitStack() as stack:
        shared = counter and mmap.mmap(stack.enter_context(open(counter, "r+b")).fileno(), 8)
        faults = play(seed, count, only, shared)
    print("\n".join(faults))
    return len(faults) > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
