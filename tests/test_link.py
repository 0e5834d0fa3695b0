"""Machine code is linked, or not made: on any processor, wherever memory lies, whatever the compiler says.

LLVM ends the process where it cannot link a file. So a file refers to nothing outside: its table of names shows it.
"""

import functools
import math
import os
import platform
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from quick import some

from adapool.kernels import can_compile, channels, compiled, gradients, indices, jobs, offsets, rows, runs
from adapool.kernels import compile as compiling
from adapool.kernels.arrays import types_of
from adapool.kernels.geometry import Geometry, packed
from adapool.kernels.planes import planes
from adapool.kernels.strided import strided
from adapool.kernels.vectors import load, meaning, store, vload, vstore
from adapool.windows import adaptive_windows, fixed_windows

machine = pytest.importorskip("adapool.kernels.machine")
pytestmark = pytest.mark.skipif(not can_compile(), reason="tested is what a compiler makes of the kernels")
TARGETS = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "arm64-apple-darwin", "x86_64-pc-windows-msvc"


def run(code, *args, **environment):
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, **environment})
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout.strip()


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    "A process in which no kernel was asked for, and an empty folder."
    monkeypatch.setattr(compiling, "_loaded", {})
    monkeypatch.setattr(compiling, "_failed", [])
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path)


KEY = gradients.scatter, "f4", "f4", "f4", "sum", "i4"


# Wherever memory lies

FRAGMENTS = """
import mmap, sys
import numpy as np, adapool
from adapool.kernels.compile import _link, _object
from adapool.kernels.planes import planes
maps = [mmap.mmap(-1, 16 * 4096) for _ in range(8)]
everything_else_lies_far_away = np.empty(2**32, np.uint8)
for m in maps[::2]: m.close()
keys = [(planes, "f4", "f4", "f4", "sum", "i4"), (planes, "f4", "f4", "f4", "max", "i4")]
linked = [_link(_object(*key)) for _ in range(35) for key in keys]
x = np.arange(2.0**14, dtype=np.float32).reshape(1, 64, 16, 16)
want = x.reshape(1, 64, 4, 4, 4, 4).mean((3, 5))
np.testing.assert_allclose(adapool.adaptive_pool(x, (4, 4)), want, strict=True)
print(len(linked))
"""


@pytest.mark.parametrize("times", some([2, 10], 1))
def test_memory_in_fragments(times):
    for kind in ("sum", "max"): compiling._object(planes, "f4", "f4", "f4", kind, "i4")
    with ThreadPoolExecutor(2) as crew: assert list(crew.map(run, [FRAGMENTS] * times)) == ["70"] * times


# On any processor

CODES = "b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"
AXES = ([(14, 7), (13, 6)], [(9, 3), (80, 40)], [(700, 1)], [(4, 2), (64, 32)], [(2, 1), (400, 2)], [(2, 4), (2, 64)],
        [(700_001, 3)])


KERNELS = {f.__name__: f for f in (
    planes, strided, rows.long_rows, rows.interleaved, rows.reduce_parts, channels.channels_last, gradients.expand_rows,
    gradients.scatter, gradients.put_cells, gradients.last_cells, indices.long_rows_indices,
    indices.channels_last_indices,
    offsets.strided_offsets, offsets.put_back_rows, offsets.put_back_channels, offsets.put_back_cells, runs.runs)}


@functools.cache
def keys():
    "Whatever jobs ask for, for arrays and for tensors, and the gradient of the maximum: names and types."
    kinds = "mean", "sum", "max", "min", "indices"
    asked = {(kind, types_of(np.dtype(code), kind)) for code in CODES for kind in kinds}
    asked |= {(kind, (code, code, compute)) for code, compute in jobs.COMPUTE.items()
              for kind in ("mean", "max", "indices", "offsets", "avg_backward")}
    found = {(name, code, code, compute, "sum", "i4") for code, compute in jobs.COMPUTE.items()
             for name in ("scatter", "put_cells", "last_cells")}
    found |= {("runs", code, code, compute, "indices", "i8" if compute == "f8" else "i4")
              for code, compute in jobs.COMPUTE.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "compiled", lambda kernel, *types: found.add((kernel.__name__, *types)) or True)
        for kind, types in asked:
            for axes, inner in (*((axes, 1) for axes in AXES), (AXES[0], 16), (AXES[2], 3)):
                steps = [inner * math.prod(n for n, _ in axes[i:]) for i in range(len(axes) + 1)]
                pooled = tuple((adaptive_windows(m, n) if kind == "avg_backward" else adaptive_windows(n, m), s)
                               for (n, m), s in zip(axes, steps[1:]))
                made = jobs.new_job(kind, types, ((2, 8 * steps[0]), (8, steps[0])), pooled, inner)
                assert made or (kind == "offsets" and math.prod(w.sizes.max() for w, _ in pooled) > 255)
        for code in jobs.COMPUTE:
            for windows, inner in ((fixed_windows(40, 3, 2), 1), (fixed_windows(40, 3), 1), (fixed_windows(9, 3), 8)):
                assert jobs.back_job.__wrapped__(code, 2, (windows,), inner)
    return sorted(found)


def test_every_kernel_is_among_them():
    assert {name for name, *_ in keys()} == {*KERNELS} and len(keys()) > 250


def outside(key, monkeypatch):
    "What the object files of a kernel for four processors refer to; Numba writes its LLVM code once."
    import llvmlite.binding as llvm
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    texts, written = {}, machine._kernel_text

    def once(*parts):
        named = parts[-1]["f2"]
        if named not in texts: texts[named] = written(*parts)
        return texts[named]

    monkeypatch.setattr(machine, "_kernel_text", once)
    found = {}
    for target in TARGETS:
        monkeypatch.setattr(machine, "_this_machine", lambda target=target: machine._machine(target))
        kernel, x, y, compute, kind, index = key
        means = meaning(kind, compiling.BYTES[x])
        code = machine.compile_kernel(KERNELS[kernel], means, x, y, compute, index)
        found[target] = machine._undefined(code)
        assert code[:4] == (b"\xcf\xfa\xed\xfe" if "apple" in target else b"\x7fELF")
        assert {b"kernel", b"team"} <= {name.lstrip(b"_") for name in code.split(b"\0")}
    return {target: names for target, names in found.items() if names}


@pytest.mark.parametrize("key", some([(key,) for key in (
    ("scatter", "f2", "f2", "f4", "sum", "i4"), ("scatter", "f8", "f8", "f8", "sum", "i4"),
    ("expand_rows", "f2", "f2", "f4", "sum", "i4"),
    ("long_rows_indices", "f2", "f2", "f4", "indices", "i4"))], 1), ids="-".join)
def test_nothing_outside_is_referred_to(key, monkeypatch):
    assert outside(key, monkeypatch) == {}


@pytest.mark.heavy
@pytest.mark.parametrize("name", KERNELS)
def test_nothing_outside_is_referred_to_by_any_kernel(name, monkeypatch):
    for key in [key for key in keys() if key[0] == name]:
        with monkeypatch.context() as patch: assert outside(key, patch) == {}, key


@pytest.mark.parametrize("target", TARGETS[:3])
def test_what_is_outside_is_found(target):
    import llvmlite.binding as llvm
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly("""
@an_object = external global i32
@own = global i32 3
declare void @elsewhere()
define void @here() { ret void }
define i32 @kernel() { call void @here() call void @elsewhere() %a = load i32, ptr @an_object %b = load i32, ptr @own
  %c = add i32 %a, %b ret i32 %c }""")
    code = machine._machine(target).emit_object(module)
    found = [name.removeprefix("_") for name in machine._undefined(code)]
    assert set(found) >= {"elsewhere", "an_object"} and not {"here", "own", "kernel"} & set(found)
    with pytest.raises(ValueError, match="ELF"): machine._undefined(b"\x64\x86" + bytes(80))


# The numbers that a kernel is given

def test_a_field_of_the_geometry_is_the_same_by_name_in_python_and_in_machine_code():
    "A kernel that names every field writes each into a place of its own; behind them it finds the tables."
    fields = Geometry._fields
    lines = ["def told(x, y, index, g, w, buf, ibuf, tab, first, last):", "    for i in range(3): index[i] = w[i]"]
    lines += [f"    index[{3 + i}] = g.{name}" for i, name in enumerate(reversed(fields))]
    exec("\n".join(lines), scope := {"__name__": __name__})
    geometry = Geometry(*np.random.default_rng(0).permutation(10**6)[:len(fields)].tolist())
    numbers, tables = packed(geometry, [np.array([7, 5]), np.array([3])])
    found, room, (at, _) = np.zeros(3 + len(fields), np.int64), np.zeros(8), numbers.buffer_info()
    made = machine.compile_kernel(scope["told"], meaning("sum", 4), "f4", "f4", "f4", "i4")
    compiling._link(made)(*[room.ctypes.data] * 4, found.ctypes.data, at, at + 8*tables, 0, 0, 0, 0, 0)
    assert found[:3].tolist() == [7, 5, 3]
    assert dict(zip(reversed(fields), found[3:].tolist())) == geometry._asdict()


# float16 on a processor that cannot convert it

def without_f16c(patch):
    import llvmlite.binding as llvm
    patch.setattr(llvm, "get_host_cpu_name", lambda: "x86-64")
    patch.setattr(llvm, "get_host_cpu_features", lambda: llvm.FeatureMap())


def eight(x, y, index, g, w, buf, ibuf, tab, first, last):
    for i in range(first, last): vstore(y, 8*i, vload(x, 8*i))


def single(x, y, index, g, w, buf, ibuf, tab, first, last):
    for i in range(8*first, 8*last): store(y, i, load(x, i))


def converted(function, x, y, monkeypatch, code="f4", host=False):
    "`x` in the type of `y`, computed in the type `code`, on this processor or on one without F16C."
    names = {2: "f2", 4: "f4", 8: "f8"}
    with monkeypatch.context() as patch:
        if not host: without_f16c(patch)
        types = names[x.itemsize], names[y.itemsize], code, "i4"
        made = machine.compile_kernel(function, meaning("sum", x.itemsize), *types)
    room = np.zeros(8)
    assert len(x) == len(y) and not len(x) % 8
    compiling._link(made)(*[room.ctypes.data] * 2, x.ctypes.data, y.ctypes.data, *[0] * 6, 0, len(x) // 8)
    return y


x86 = pytest.mark.skipif("x86" not in platform.machine() and "AMD64" not in platform.machine(), reason="of x86 only")
HALVES = np.arange(2**16, dtype=np.uint16).view(np.float16)


@x86
@pytest.mark.parametrize("function", [eight, single])
def test_float16_without_the_instruction(function, monkeypatch):
    wide = converted(function, HALVES, np.empty(2**16, np.float32), monkeypatch)
    numbers = ~np.isnan(HALVES)
    np.testing.assert_array_equal(wide[numbers].view(np.uint32), HALVES[numbers].astype(np.float32).view(np.uint32))
    bits = HALVES[~numbers].view(np.uint16).astype(np.uint32)
    want = (bits >> 15 << 31) | 0x7fc00000 | (bits & 0x3ff) << 13  # sign, quiet, and the fraction where it was
    np.testing.assert_array_equal(wide[~numbers].view(np.uint32), want)


@x86
@pytest.mark.parametrize("function", [eight, single])
def test_float32_to_float16_without_the_instruction(function, monkeypatch):
    borders = np.sort(HALVES[:0x7c01].astype(np.float64))
    between = np.concatenate([(borders[:-2] + borders[1:-1]) / 2, [65520.0, 65536.0, 1e9, 2.0**-25, 2.0**-26, 1e-40]])
    x = np.concatenate([borders, between]).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(0))])
    x = np.concatenate([x, -x, np.random.default_rng(0).integers(0, 2**32, 2**17, dtype=np.uint32).view(np.float32)])
    x = x[:len(x) // 8 * 8]
    found = converted(function, x, np.empty(len(x), np.float16), monkeypatch).view(np.uint16)
    numbers = ~np.isnan(x)
    with np.errstate(over="ignore", under="ignore"): want = x[numbers].astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(found[numbers], want)
    bits = x[~numbers].view(np.uint32)
    np.testing.assert_array_equal(found[~numbers], (bits >> 31 << 15) | 0x7e00 | (bits >> 13 & 0x3ff))


@pytest.mark.parametrize("host", [True, pytest.param(False, marks=x86)])
@pytest.mark.parametrize("function", [eight, single])
def test_float64_to_float16_is_rounded_once(function, host, monkeypatch):
    "Few processors have an instruction for it; by way of float32 a number beside the middle would be rounded twice."
    borders = np.sort(HALVES[:0x7c01].astype(np.float64))
    x = np.concatenate([borders, (borders[:-2] + borders[1:-1]) / 2, [65520.0, 1e9, 1e300, 2.0**-25, 1e-40, 1e-310]])
    x = np.concatenate([x, np.nextafter(x, np.inf), np.nextafter(x, 0), x * (1 + 2.0**-30), x * (1 - 2.0**-30)])
    x = np.concatenate([x, -x, [np.nan, np.inf, -np.inf]])
    x = x[len(x) % 8:]
    found = converted(function, x, np.empty(len(x), np.float16), monkeypatch, "f8", host)
    with np.errstate(over="ignore", under="ignore"): np.testing.assert_array_equal(found, x.astype(np.float16))


POOL = """
import os
import numpy as np, adapool
from adapool.kernels.compile import _loaded
if not os.environ.get("NUMBA_CPU_NAME"):
    import llvmlite.binding as llvm
    llvm.get_host_cpu_name, llvm.get_host_cpu_features = lambda: "x86-64", lambda: llvm.FeatureMap()
x = (np.random.default_rng(0).integers(-2000, 2001, (9, 1500)) * 2.0**-24).astype(np.float16)  # sums are exact
x[0, 0], x[1, 0] = np.nan, np.inf
sums = x.astype(np.float32).reshape(9, 5, 300).sum(2)
np.testing.assert_array_equal(adapool.adaptive_pool(x, 5), (sums / np.float32(300)).astype(np.float16), strict=True)
print(*_loaded.values())
"""


@pytest.mark.slow
@x86
@pytest.mark.parametrize("told", some([{}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}], 1),
                         ids=["host", "told"])
def test_a_pool_of_float16_without_the_instruction(told, tmp_path):
    assert run(POOL, ADAPOOL_CACHE_DIR=str(tmp_path), **told).startswith("<CFunctionType")


@pytest.mark.slow
def test_debug_information(tmp_path):
    code = f"from adapool.kernels import compiled, gradients; print(compiled(gradients.scatter, *{KEY[1:]}))"
    assert run(code, NUMBA_DEBUGINFO="1", ADAPOOL_CACHE_DIR=str(tmp_path)).startswith("<CFunctionType")


def test_a_processor_whose_features_nobody_knows(fresh, monkeypatch):
    import llvmlite.binding as llvm

    def unknown(): raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(llvm, "get_host_cpu_features", unknown)
    compiling._made_by.cache_clear()
    try: assert compiled(*KEY)
    finally: compiling._made_by.cache_clear()


# Whatever the compiler says

@pytest.mark.parametrize("error", [
    RuntimeError("LLVM IR parsing error\nexpected type"), ImportError("Numba needs NumPy 2.4 or less"), MemoryError(),
    NotImplementedError("on this processor it would call memset"), AttributeError("no such thing"),
    OSError(2, "no library")],
    ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("step", ["_object", "_link"])
def test_a_compiler_that_fails_is_mentioned_once(step, error, fresh, monkeypatch):
    def fails(*args): raise error

    monkeypatch.setattr(compiling, step, fails)
    if step == "_link": monkeypatch.setattr(compiling, "_object", lambda *key: b"")
    with pytest.warns(RuntimeWarning) as said, ThreadPoolExecutor(8) as crew:
        keys = [(gradients.scatter, code, code, "f4", "sum", "i4") for code in ("f4", "f2", "bf")] * 8
        assert list(crew.map(lambda key: compiled(*key), keys)) == [None] * 24
    (only,) = said
    assert type(error).__name__ in str(only.message) and "expected type" not in str(only.message)
    assert str(error).split("\n")[0] in str(only.message) and "more slowly" in str(only.message)


def test_an_interrupt_is_no_failure(fresh, monkeypatch):
    def stopped(*args): raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compiling, "_object", stopped)
        with pytest.raises(KeyboardInterrupt): compiled(*KEY)
    assert compiled(*KEY)


def test_where_there_is_no_compiler_nobody_is_told(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with warnings.catch_warnings(action="error"): assert compiled(*KEY) is None


def test_every_route_goes_on_without_its_kernel():
    code = """
import warnings
import numpy as np, torch, adapool, adapool.functional as F, torch.nn.functional as T
from adapool.kernels import compile as compiling
def fails(*args): raise RuntimeError("LLVM says no")
compiling._object = fails
x = torch.randn(8, 9, 40, 50, generator=torch.Generator().manual_seed(0))
for laid in (x, x.contiguous(memory_format=torch.channels_last)):
    for name in ('adaptive_avg_pool2d', 'adaptive_max_pool2d'):
        mine, theirs = getattr(F, name), getattr(T, name)
        a, b = laid.clone().requires_grad_(), laid.clone().requires_grad_()
        y, z = mine(a, (7, 9)), theirs(b, (7, 9))
        torch.testing.assert_close(y, z)
        y.square().sum().backward(), z.square().sum().backward()
        torch.testing.assert_close(a.grad, b.grad)
    places = [lib.adaptive_max_pool2d(laid, (7, 9), True)[1] for lib in (F, T)]
    assert torch.equal(*places)
    compiled = torch.compile(lambda t: F.adaptive_avg_pool2d(t, (7, 9)), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(laid), T.adaptive_avg_pool2d(laid, (7, 9)))
for kind in ("mean", "sum", "max", "min"): adapool.adaptive_pool(x.numpy(), (7, 9), kind)
assert len(compiling._failed) > 4 and set(compiling._loaded.values()) == {None}
"""
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("LLVM says no") == 1
