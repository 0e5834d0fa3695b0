"The folder in which machine code is kept: whatever becomes of it, the next call is right."

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import adapool
from adapool import kernels, vectors

POOL = """import numpy as np, adapool
print(adapool.adaptive_pool(np.arange(2.0**14).reshape(64, 16, 16), 4, axes=0).sum())"""


def run(code, **environment):
    env = {**os.environ, **environment}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


KEY = "scatter", "f4", "f4", "f4", "sum", "i4"
OTHER = "scatter", "f8", "f8", "f8", "sum", "i4"


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    "An empty folder, and the list of what is compiled; the machine code itself is made once and handed out again."
    code = {types: kernels._object("scatter", *types) for types in (KEY[1:], OTHER[1:])}
    done = []

    def compile_kernel(functions, constants, kernel, x, y, compute, reduction, place):
        done.append((kernel, x, y, compute, reduction, place))
        return code[done[-1][1:]]

    monkeypatch.setattr(vectors, "compile_kernel", compile_kernel)
    monkeypatch.setenv("ADAPOOL_CACHE_DIR", str(tmp_path / "kept"))
    kernels._made_for.cache_clear()
    yield done
    kernels._made_for.cache_clear()


def works(key):
    "Does the kernel that is now read or compiled add where it is told to?"
    dtype = {"f4": np.float32, "f8": np.float64}[key[1]]
    x, y, index = np.arange(1, 5, dtype=dtype), np.full(6, 7, dtype), np.array([1, 0, 2, 2])
    numbers, room = np.array([3, 2, 1]), np.zeros(64)
    at = [a.ctypes.data for a in (room, room, x, y, index, numbers, room, room, room)]
    kernels._link(kernels._object(*key))(*at, 0, 2)
    np.testing.assert_array_equal(y, np.array([2, 1, 0, 0, 0, 7], dtype), strict=True)
    return True


def files(): return sorted(kernels.cache_folder().iterdir())


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
    kept, other = (next(p for p in files() if p.name.startswith("-".join(key))) for key in (KEY, OTHER))
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
        kernels._made_for.cache_clear()
        for p in mine: p.write_bytes(b"not for the likes of us")
        assert works(KEY) and works(KEY) and compilations == [KEY, KEY] and len(files()) == 2
        assert all(p.read_bytes() == b"not for the likes of us" for p in mine)


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
    assert kernels.cache_folder() is None
    assert works(KEY) and works(KEY) and compilations == [KEY, KEY]


def test_the_folder_is_the_users(monkeypatch):
    for name in ("LOCALAPPDATA", "XDG_CACHE_HOME", "ADAPOOL_CACHE_DIR"): monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/somewhere")
    assert kernels.cache_folder() == Path("/somewhere/.cache/adapool")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert kernels.cache_folder() == Path("/cache/adapool")
    monkeypatch.setenv("ADAPOOL_CACHE_DIR", "/here")
    assert kernels.cache_folder() == Path("/here")


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
import sys, time, adapool.vectors
compile_kernel = adapool.vectors.compile_kernel
def at_once(*args):
    print("compiling", file=sys.stderr, flush=True)
    sys.stdin.readline()
    return compile_kernel(*args)
adapool.vectors.compile_kernel = at_once
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
