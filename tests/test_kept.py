"The memory of large tensors is kept for the next one: never while anybody holds it, never too much, and at any time."

import gc
import itertools
import mmap
import os
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import adapool.functional as F
from adapool.tensors import memory

SHAPE = 4, 32, 128, 80  # 5 MiB: three huge pages
pytestmark = pytest.mark.skipif(not memory._KEEPS, reason="no MADV_FREE here")


def new(shape=SHAPE): return memory.new(shape, memory.dense(shape), torch.float32)


@pytest.fixture(autouse=True)
def nothing_free():
    gc.collect()
    memory.FREE.clear()
    yield
    memory.FREE.clear()


HOLDERS = {
    "view": lambda y: y[1:, 2], "detached": lambda y: y.detach(), "alias": lambda y: y.view(-1).view_as(y),
    "numpy": lambda y: y.numpy(), "part of an array": lambda y: y.numpy()[3, 1],
    "buffer": lambda y: memoryview(y.numpy()),
    "dlpack": lambda y: torch.utils.dlpack.to_dlpack(y), "numpy by dlpack": np.from_dlpack,
    "storage": lambda y: y.untyped_storage(), "parameter": torch.nn.Parameter, "set": lambda y: torch.empty(0).set_(y),
    "data": lambda y: y.data, "saved": lambda y: (y * torch.ones(1, requires_grad=True)).sum(),
    "python's buffer": lambda y: torch.frombuffer(y.numpy(), dtype=torch.uint8),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_memory_is_free_when_the_last_who_holds_it_lets_go(holder):
    y = new()
    begin, held = y.data_ptr(), HOLDERS[holder](y)
    del y
    gc.collect()
    assert not memory.FREE
    other = new()
    assert other.data_ptr() != begin
    del held
    gc.collect()
    assert len(memory.FREE) == 1
    assert new().data_ptr() == begin


def test_what_is_made_of_it_is_a_tensor_like_any_other():
    shape, strides = (2, 3, 500, 900), memory.dense((2, 3, 500, 900), (0, 2, 3, 1))
    for dtype in memory.CODES:
        y = memory.new(shape, strides, dtype)
        assert (y.shape, y.stride(), y.dtype) == (shape, strides, dtype)
        assert (y._base, y.is_leaf, y.storage_offset()) == (None, True, 0)
        assert y.untyped_storage().nbytes() == y.nbytes and y.data_ptr() % 4096 == 0
        assert y.fill_(3).eq(3).all()
    with torch.inference_mode(): assert new().is_inference()
    with torch.device("meta"): assert new().device.type == "cpu"
    y = new().fill_(1)
    begin = y.data_ptr()
    y.share_memory_()
    assert y.is_shared() and y.data_ptr() != begin and y.eq(1).all()
    assert new().fill_(2).data_ptr() == begin and y.eq(1).all()


def test_gradients_that_are_kept_stay_as_they_are():
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), requires_grad=True)
    kept, wanted = [], []
    for size, name in itertools.product((3, 7, 50, 128), ("adaptive_avg_pool2d", "adaptive_max_pool2d")):
        for lib, grads in ((F, kept), (T, wanted)):
            grads += torch.autograd.grad(getattr(lib, name)(x, size).square().sum(), x)
    assert len({g.data_ptr() for g in kept}) == len(kept)
    torch.testing.assert_close(kept, wanted)


def test_a_step_has_the_memory_of_the_step_before():
    x, begins = torch.randn(SHAPE, requires_grad=True), set()
    for _ in range(4):
        x.grad = None
        F.adaptive_avg_pool2d(x, 7).sum().backward()
        begins.add(x.grad.data_ptr())
    assert len(begins) == 1


def test_no_more_is_kept_than_is_allowed(monkeypatch):
    monkeypatch.setattr(memory, "MOST_FREE", 3 * 2**23)
    y = [new() for _ in range(9)]
    while y: y.pop()
    assert [len(block) for block in memory.FREE] == [3 * 2**21] * 4
    new((2, 2**20))  # 8 MiB: the oldest go
    assert [len(block) for block in memory.FREE] == [3 * 2**21] * 2 + [2**23]
    new((7, 2**20))
    assert len(memory.FREE) == 3


def test_without_memory_torch_says_so(monkeypatch):
    begin = new().data_ptr()
    def none(*args, **kwargs): raise OSError(12, "Cannot allocate memory")
    monkeypatch.setattr(memory.mmap, "mmap", none)
    again = new().data_ptr()
    assert again == begin and len(memory.FREE) == 1
    assert new((3, 2**20)).shape == (3, 2**20) and not memory.FREE
    with pytest.raises(RuntimeError): new((2**50,))


def test_threads_never_share_a_block():
    wrong, together = [], threading.Barrier(4)
    def work(number):
        together.wait()
        for i in range(60):
            y = new((2, 600_000 + 2**19 * (i % 3))).fill_(number)
            z = new().fill_(-number)
            if not (y[:, ::997].eq(number).all() and z.view(-1)[::997].eq(-number).all()): wrong.append(number)
    crew = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in crew: thread.start()
    for thread in crew: thread.join()
    assert not wrong and all(len(block) <= 2**24 for block in memory.FREE)


def test_a_fork_has_memory_of_its_own():
    new().fill_(1)
    y = new().fill_(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # where torch's threads are no more: few cells
        z = new().view(-1)
        y.view(-1)[:5], z[:5] = 2, 3
        os._exit(0 if y.view(-1)[:9].tolist() == [2]*5 + [1]*4 and z[:5].eq(3).all() else 1)
    assert os.waitpid(child, 0)[1] == 0 and y.eq(1).all()


def test_it_may_be_held_to_the_very_end():
    code = f"""import torch, adapool.functional as F
x = torch.ones({SHAPE}, requires_grad=True)
F.adaptive_avg_pool2d(x, 7).sum().backward()
torch.kept = x, x.grad"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.returncode, out.stderr) == (0, "")


def test_advice_that_the_system_does_not_take_is_no_error(monkeypatch):
    class Stubborn(mmap.mmap):
        def madvise(self, *args): raise OSError(22, "Invalid argument")
    monkeypatch.setattr(memory.mmap, "mmap", Stubborn)
    begin = new().data_ptr()
    again = new().data_ptr()
    assert again == begin and len(memory.FREE) == 1
