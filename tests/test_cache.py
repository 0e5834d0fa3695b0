"The folder in which machine code is kept: whatever becomes of it, the next call is right."

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import adapool
from adapool.kernels import cache_folder, machine
from adapool.kernels import compile as compiling
from adapool.kernels.geometry import Geometry
from adapool.kernels.gradients import scatter

POOL = """import numpy as np, adapool
print(adapool.adaptive_pool(np.arange(2.0**14).reshape(64, 16, 16), 4, axes=0).sum())"""


def run(code, **environment):
    env = {**os.environ, **environment}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


KEY = scatter, "f4", "f4", "f4", "sum", "i4"
OTHER = scatter, "f8", "f8", "f8", "sum", "i4"


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    "An empty folder, and the list of what is compiled; the machine code itself is made once and handed out again."
    code = {types: compiling._object(scatter, *types) for types in (KEY[1:], OTHER[1:])}
    done = []

    def compile_kernel(kernel, means, x, y, compute, index):
        done.append((kernel, x, y, compute, means["REDUCTION"], index))
        return code[done[-1][1:]]

    monkeypatch.setattr(machine, "compile_kernel", compile_kernel)
    monkeypatch.setenv("ADAPOOL_CACHE_DIR", str(tmp_path / "kept"))
    compiling._made_by.cache_clear()
    yield done
    compiling._made_by.cache_clear()


def works(key):
    "Does the kernel that is now read or compiled add where it is told to?"
    dtype = {"f4": np.float32, "f8": np.float64}[key[1]]
    x, y, index = np.arange(1, 5, dtype=dtype), np.full(6, 7, dtype), np.array([1, 0, 2, 2])
    numbers, room = np.zeros(len(Geometry._fields), np.int64), np.zeros(64)
    for name, n in dict(n_w=3, m_w=2, channels=1).items(): numbers[Geometry._fields.index(name)] = n
    at = [a.ctypes.data for a in (room, room, x, y, index, numbers, room, room, room, room)]
    compiling._link(compiling._object(*key))(*at, 0, 2)
    np.testing.assert_array_equal(y, np.array([2, 1, 0, 0, 0, 7], dtype), strict=True)
    return True


def files(): return sorted(cache_folder().iterdir())


def test_compiled_once_and_then_read(compilations):
    assert works(KEY) and works(KEY) and compilations == [KEY]
    assert works(OTHER) and works(OTHER) and works(KEY) and compilations == [KEY, OTHER]
    assert [p.suffix for p in files()] == [".o", ".o"]


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: data[:1], lambda data: data[:32], lambda data: data[:33], lambda data: data[:-1],
    lambda data: data[:len(data) // 2], lambda data: data + b"\0", lambda data: bytes(len(data)),
    lambda data: np.random.default_rng(0).bytes(len(data)), lambda data: data[:32] + b"\xff" + data[33:],
    lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], lambda data: data[::-1]],
    ids=["empty", "one byte", "digest only", "one of code", "a byte short", "half", "a byte more", "zeros", "noise",
         "first byte", "one bit", "backwards"])
def test_a_damaged_file_is_made_anew(compilations, damage):
    assert works(KEY)
    (kept,) = files()
    good = kept.read_bytes()
    kept.write_bytes(damage(good))
    assert works(KEY) and compilations == [KEY, KEY]
    assert kept.read_bytes() == good and works(KEY) and len(compilations) == 2 and files() == [kept]


def test_the_file_of_another_kernel_under_this_name(compilations):
    assert works(KEY) and works(OTHER)
    names = ["-".join(("scatter", *key[1:])) for key in (KEY, OTHER)]
    kept, other = (next(p for p in files() if p.name.startswith(name)) for name in names)
    kept.write_bytes(other.read_bytes())
    assert works(KEY) and compilations == [KEY, OTHER, KEY]


@pytest.mark.parametrize("what", ["get_host_cpu_name", "get_host_cpu_features", "version"])
def test_another_processor_and_another_version_have_files_of_their_own(compilations, what, monkeypatch):
    import importlib.metadata

    import llvmlite.binding as llvm
    assert works(KEY)
    mine = files()
    with monkeypatch.context() as patch:
        if what == "version": patch.setattr(importlib.metadata, "version", lambda name: "0.0")
        elif what == "get_host_cpu_name": patch.setattr(llvm, what, lambda: "another")
        else: patch.setattr(llvm, what, lambda: llvm.FeatureMap({"another": True}))
        compiling._made_by.cache_clear()
        for p in mine: p.write_bytes(b"not for the likes of us")
        assert works(KEY) and works(KEY) and compilations == [KEY, KEY] and len(files()) == 2
        assert all(p.read_bytes() == b"not for the likes of us" for p in mine)


EDITS = """
import json, sys
from pathlib import Path
from adapool.kernels import compile as compiling
from adapool.kernels import channels, counted, gradients, indices, offsets, planes, rows, runs, strided
kernels = [planes.planes, strided.strided, rows.long_rows, rows.interleaved, rows.reduce_parts, channels.channels_last,
           gradients.scatter, gradients.expand_rows, indices.long_rows_indices, indices.channels_last_indices,
           offsets.strided_offsets, offsets.put_back_rows, offsets.put_back_channels, offsets.put_back_cells,
           runs.runs, counted.weighed, counted.counted, counted.weighed_channels, counted.counted_channels]
asked = []
compiling._read = lambda path: asked.append(path.name) or b"code"
def names():
    compiling._made_of.cache_clear()
    asked.clear()
    for kernel in kernels: compiling._object(kernel, "f4", "f4", "f4", "sum", "i4")
    return [*asked]
here, changed = Path(compiling.__file__).parent, {}
for room in sys.argv[1:]:
    before, source = names(), (here / f"{room}.py").read_text()
    (here / f"{room}.py").write_text(source + "# edited\\n")
    changed[room] = [kernel.__name__ for kernel, a, b in zip(kernels, before, names(), strict=True) if a != b]
    (here / f"{room}.py").write_text(source)
    assert names() == before and len(set(before)) == len(kernels)
print(json.dumps(changed))"""


def test_an_edited_room_makes_anew_what_is_made_of_it_and_nothing_else(tmp_path):
    "A kernel is made of its words and what writes them, of its own room, and of those whose functions it calls."
    shutil.copytree(Path(adapool.__file__).parent, tmp_path / "adapool")
    rows, gradients = ["long_rows", "interleaved", "reduce_parts"], ["scatter", "expand_rows"]
    indices = ["long_rows_indices", "channels_last_indices"]
    offsets = ["strided_offsets", "put_back_rows", "put_back_channels", "put_back_cells"]
    counted = ["weighed", "counted", "weighed_channels", "counted_channels"]
    every = ["planes", "strided", *rows, "channels_last", *gradients, *indices, *offsets, "runs", *counted]
    want = {room: every for room in ("vectors", "llvm", "geometry", "machine")}
    want |= {room: [] for room in ("threads", "plan", "arrays", "__init__")}
    want |= {"rows": ["strided", *rows], "strided": ["strided"], "channels": ["channels_last"]}
    want |= {"gradients": [*gradients, "put_back_cells"], "offsets": offsets, "runs": ["runs"], "counted": counted}
    code = f"import sys; sys.argv[1:] = {[*want]}; sys.path.insert(0, {str(tmp_path)!r})\n{EDITS}"
    assert json.loads(run(code, PYTHONPATH=str(tmp_path), ADAPOOL_CACHE_DIR=str(tmp_path / "kept"))) == want


@pytest.mark.parametrize("place", ["/proc/adapool", "/dev/null/adapool", "a file", "a folder in its place"])
def test_where_nothing_can_be_written(compilations, place, monkeypatch, tmp_path):
    if place.startswith("/"): monkeypatch.setenv("ADAPOOL_CACHE_DIR", place)
    elif place == "a file": (tmp_path / "kept").write_bytes(b"mine")
    else:
        works(KEY)
        (kept,) = files()
        kept.unlink()
        kept.mkdir()
        compilations.clear()
    assert works(KEY) and works(KEY) and compilations == [KEY, KEY]
    if place == "a file": assert (tmp_path / "kept").read_bytes() == b"mine"
    elif not place.startswith("/"): assert files() == [kept] and kept.is_dir()


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_behind(tmp_path):
    full = "import resource as r; f = r.RLIMIT_FSIZE; most = r.getrlimit(f)[1]; r.setrlimit(f, (1000, most))\n"
    empty = "\nr.setrlimit(f, (most, most))"  # `make coverage` writes at the end of the process
    assert run(full + POOL + empty, ADAPOOL_CACHE_DIR=str(tmp_path)) == run(POOL)
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home(compilations, monkeypatch):
    import pwd

    def nobody(uid): raise KeyError(uid)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for name in ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME", "ADAPOOL_CACHE_DIR"): monkeypatch.delenv(name, raising=False)
    assert cache_folder() is None
    assert works(KEY) and works(KEY) and compilations == [KEY, KEY]


def test_the_folder_is_the_users(monkeypatch):
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME", "ADAPOOL_CACHE_DIR"): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/.cache/adapool")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder() == Path("/cache/adapool")
    monkeypatch.setenv("ADAPOOL_CACHE_DIR", "/here")
    assert cache_folder() == Path("/here")


def test_the_second_process_needs_no_compiler():
    code = POOL + "\nimport sys; print('numba' in sys.modules, 'torch' in sys.modules)"
    assert run(POOL) == run(POOL)
    assert run(code).split()[1:] == ["False", "False"]


@pytest.mark.slow
def test_a_process_that_finds_a_damaged_file(tmp_path):
    want = str(adapool.adaptive_pool(np.arange(2.0**14).reshape(64, 16, 16), 4, axes=0).sum())
    assert run(POOL, ADAPOOL_CACHE_DIR=str(tmp_path)) == want
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1])
    assert run(POOL, ADAPOOL_CACHE_DIR=str(tmp_path)) == want
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.slow
def test_processes_that_compile_the_same_kernel_at_once(tmp_path):
    together = """
import sys, time
from adapool.kernels import machine
compile_kernel = machine.compile_kernel
def at_once(*args):
    print("compiling", file=sys.stderr, flush=True)
    sys.stdin.readline()
    return compile_kernel(*args)
machine.compile_kernel = at_once
"""
    env = {**os.environ, "ADAPOOL_CACHE_DIR": str(tmp_path)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    crew = [subprocess.Popen([sys.executable, "-c", together + POOL], text=True, env=env, **pipes) for _ in range(2)]
    try:
        for p in crew: assert "compiling" in p.stderr.readline()
        for p in crew: print(file=p.stdin, flush=True)  # both have found an empty folder
        with ThreadPoolExecutor(2) as talk: said = list(talk.map(lambda p: p.communicate(timeout=120), crew))
    finally:
        for p in crew: p.kill()
    assert [p.returncode for p in crew] == [0, 0], said
    assert [out for out, _ in said] == [run(POOL) + "\n"] * 2
    assert len(list(tmp_path.iterdir())) == 1
    assert run(POOL + "\nimport sys; print('numba' in sys.modules)", ADAPOOL_CACHE_DIR=str(tmp_path)).endswith("False")
