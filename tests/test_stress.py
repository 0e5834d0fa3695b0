"What a long life in a large program brings: threads, forks, interrupts, a hundred thousand shapes."

import gc
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from conformance import LAYOUTS
from quick import some

import adapool
import adapool.functional as F
from adapool.kernels import arrays, jobs, threads
from adapool.kernels import compile as compiling
from adapool.tensors import memory
from adapool.tensors.switch import CODE, OURS, _enabled, _enabling


def run(code, seconds=300, **environment):
    env = {**os.environ, **environment}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=seconds)
    assert out.returncode == 0, out.stderr
    return out.stdout.strip()


def forked(work, seconds=60):
    "The exit status of a forked child that does `work`: 0 where it is right, 14 where it hangs."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads run: that is the test
        child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(seconds)
        try: os._exit(0 if work() else 1)
        except BaseException: traceback.print_exc()
        finally: os._exit(2)
    return os.waitpid(child, 0)[1]


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


# Threads

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Call:
    "A pool, forward and back, and what torch says of it."
    def __init__(self, rng, kind, d, dtype, layout):
        g = torch.Generator().manual_seed(rng.randrange(2**32))
        most = {1: 2000, 2: 45, 3: 13}[d]
        shape = 2, rng.choice((3, 9, 16)), *(rng.randint(1, most) for _ in range(d))
        grows = rng.random() < 0.3
        self.size = tuple(rng.randint(1, 2 * n if grows else max(2, n // 3)) for n in shape[2:])
        # torch and we add up the gradient of a maximum in the type that it has
        self.near = {"rtol": 0.05, "atol": 0.05} if kind == "max" and dtype.itemsize == 2 else {}
        self.x, self.name = LAYOUTS[layout](torch.randn(shape, generator=g).to(dtype)), f"adaptive_{kind}_pool{d}d"
        self.indices = {"return_indices": True} if kind == "max" else {}
        leaf = self.x.detach().double().requires_grad_()
        y = getattr(T, self.name)(leaf, self.size, **self.indices)
        y, self.places = y if self.indices else (y, None)
        self.g = torch.randn(y.shape, generator=g).to(dtype)
        (grad,) = torch.autograd.grad(y, leaf, self.g.double())
        self.y, self.grad = y.detach().to(dtype), grad.to(dtype)

    def check(self, way):
        pool = getattr(F, self.name)
        if way == 0: torch.testing.assert_close(pool(self.x, self.size), self.y)
        elif way == 1 and self.indices:
            y, places = pool(self.x, self.size, **self.indices)
            torch.testing.assert_close(y, self.y, rtol=0, atol=0)
            assert torch.equal(places, self.places)
        else:
            leaf = self.x.detach().requires_grad_()
            y = pool(leaf, self.size)
            torch.testing.assert_close(y, self.y)
            torch.testing.assert_close(torch.autograd.grad(y, leaf, self.g)[0], self.grad, **self.near)


@pytest.mark.parametrize("count", some([200, 2000], 1))
def test_eight_threads_of_many_mixed_calls(count, monkeypatch, two_threads):
    rng = random.Random(0)
    grid = itertools.product(("avg", "max"), (1, 2, 3), DTYPES, LAYOUTS)
    calls = [Call(rng, *cell) for cell in grid for _ in range(2)]
    counted, job = [], jobs.Job.__call__
    monkeypatch.setattr(jobs.Job, "__call__", lambda *args: counted.append(1) or job(*args))
    monkeypatch.setattr(compiling, "_loaded", {})  # so that all of them want the same kernels at once, too
    memory.KNOWN.clear()
    for kept in (jobs.job, jobs.scatter_job): kept.cache_clear()
    start, done = threading.Barrier(8), []

    def work(seed):
        rng = random.Random(seed)
        start.wait(60)
        for _ in range(count): rng.choice(calls).check(rng.randrange(3))
        done.append(seed)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # the more often threads take turns, the more orders are seen
    try:
        with ThreadPoolExecutor(8) as crew:
            for result in [crew.submit(work, seed) for seed in range(8)]: result.result()
    finally: sys.setswitchinterval(interval)
    assert sorted(done) == list(range(8))
    assert len(counted) > 4 * count  # the rest are so small that torch's operators do them
    assert not threads._teams.calls


def test_switched_on_and_off_by_many_threads():
    x = torch.randn(2, 9, 30, 31, generator=torch.Generator().manual_seed(0))
    names = [f"adaptive_{kind}_pool2d" for kind in ("avg", "max")]
    theirs = {name: getattr(T, name) for name in names}
    want = {name: theirs[name](x, 7) for name in names}
    start = threading.Barrier(8)

    def ours(): return all(f.__code__ is code for f, _, code in CODE) and torch.nn.modules.pooling.F is OURS

    def work(seed):
        rng = random.Random(seed)
        start.wait(60)
        for _ in range(300):
            way, name = rng.randrange(4), rng.choice(names)
            if way == 0:
                with F.enable():
                    assert ours()
                    torch.testing.assert_close(getattr(T, name)(x, 7), want[name])
                    assert ours()
            elif way == 1:
                switch = F.enable()
                assert ours()
                switch.disable()
                switch.disable()
            elif way == 2:
                with pytest.raises(ZeroDivisionError), F.enable(), F.enable(): assert ours() and 1 / 0
            else: torch.testing.assert_close(getattr(T, name)(x, 7), want[name])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as crew:
            for result in [crew.submit(work, seed) for seed in range(8)]: result.result()
    finally: sys.setswitchinterval(interval)
    assert not _enabled and all(f.__code__ is code for f, code, _ in CODE) and torch.nn.modules.pooling.F is T


# Forks

@pytest.mark.slow
def test_forked_while_other_threads_are_in_kernels(two_threads):
    x = torch.randn(16, 64, 40, 40, generator=torch.Generator().manual_seed(0))
    g = torch.randn(16, 64, 7, 7, generator=torch.Generator().manual_seed(1))
    array = x[:4].numpy()

    def forward():
        pools = [getattr(F, f"adaptive_{kind}_pool2d") for kind in ("avg", "max")]
        arrays = torch.from_numpy(adapool.adaptive_pool(array, 7))
        return [arrays, *(pool(x, 7) for pool in pools), *pools[1](x, 7, return_indices=True)]

    def backward():
        leaf, pools = x.detach().requires_grad_(), (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)
        return [torch.autograd.grad(pool(leaf, 7), leaf, g)[0] for pool in pools]

    def right(work, want):  # compared by NumPy: torch's own operators, and its engine, may hang in a forked child
        return all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(work(), want, strict=True))

    ways, done = [(work, work()) for work in (forward, backward)], threading.Event()

    def busy(_):
        while not done.is_set(): assert all(right(*way) for way in ways)
        return True

    with ThreadPoolExecutor(8) as crew:
        calls = crew.map(busy, range(8))
        try:
            for _ in range(10): assert forked(lambda: right(*ways[0])) == 0
            assert forked(lambda: forked(lambda: right(*ways[0])) == 0) == 0
        finally: done.set()
        assert all(calls)


@pytest.mark.slow
def test_forked_while_another_thread_compiles(tmp_path):
    code = """
import os, signal, threading, time, numpy as np, adapool
from adapool.kernels import machine
compile_kernel, begun = machine.compile_kernel, threading.Event()
def slowly(*args):
    begun.set()
    time.sleep(0.2)
    return compile_kernel(*args)
machine.compile_kernel = slowly
x = np.ones((64, 40, 40), "f4")
other = threading.Thread(target=adapool.adaptive_pool, args=(x, 7))
other.start()
begun.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(0 if (adapool.adaptive_pool(x.astype("f8"), 7) == 1).all() else 1)
status = os.waitpid(child, 0)[1]
other.join()
print(status, adapool.adaptive_pool(x, 7).mean(), len(os.listdir(os.environ["ADAPOOL_CACHE_DIR"])))"""
    assert run("import warnings; warnings.simplefilter('ignore')" + code, ADAPOOL_CACHE_DIR=str(tmp_path)) == "0 1.0 2"


def test_forked_while_another_thread_switches():
    x, held, let = torch.ones(1, 1, 3, 3), threading.Event(), threading.Event()
    theirs, half = next((codes for f, *codes in CODE if f is T.adaptive_avg_pool2d))

    def hold():
        with _enabling:
            T.adaptive_avg_pool2d.__code__ = half  # of the switch
            held.set()
            let.wait(60)
            T.adaptive_avg_pool2d.__code__ = theirs

    def child():
        before = T.adaptive_avg_pool2d.__code__ is theirs
        with F.enable(): during = T.adaptive_avg_pool2d.__code__ is half and T.adaptive_avg_pool2d(x, 1) == 1
        return before and during and T.adaptive_avg_pool2d.__code__ is theirs

    other = threading.Thread(target=hold)
    other.start()
    held.wait(60)
    threading.Timer(0.2, let.set).start()
    assert forked(child, 20) == 0
    other.join()
    with F.enable(): assert T.adaptive_avg_pool2d.__code__ is half


class Pooled(torch.utils.data.Dataset):
    "Pictures of which each is one number, pooled in every way."
    def __len__(self): return 6

    def __getitem__(self, i):
        x = torch.full((16, 64, 40, 40), float(i), requires_grad=True)
        y = F.adaptive_avg_pool2d(x, 7)
        (g,) = torch.autograd.grad(y, x, torch.full(y.shape, float(i)))
        best, places = F.adaptive_max_pool2d(x.detach(), 8, return_indices=True)
        assert places[0, 0, 0].tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
        array = adapool.adaptive_pool(x.detach().numpy(), 7)
        return torch.stack([y.detach().mean(), best.mean(), g.sum() / y.numel(), torch.tensor(array.mean())])


@pytest.mark.parametrize("start", some(["fork", "spawn"], 1))
def test_workers_of_a_data_loader(start, two_threads):
    want = [Pooled()[i] for i in range(6)]  # the parent has used its threads before it forks
    loader = torch.utils.data.DataLoader(Pooled(), num_workers=2, multiprocessing_context=start, timeout=120)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = [batch[0] for batch in loader]
    for i, (a, b) in enumerate(zip(found, want, strict=True)):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a, torch.full((4,), float(i)))


# Interrupts

@pytest.mark.slow
@pytest.mark.parametrize("times", [12, 160])
def test_an_interrupt_leaves_the_next_call_right(times):
    code = f"times = {times}" + """
import signal, numpy as np, torch, adapool, adapool.functional as F
from adapool.kernels import threads
torch.set_num_threads(2)
x = torch.randn(16, 64, 60, 60, generator=torch.Generator().manual_seed(0))
g = torch.randn(16, 64, 7, 7, generator=torch.Generator().manual_seed(1))
def mean(): return F.adaptive_avg_pool2d(x, 7)
def gradient(name):
    leaf = x.detach().requires_grad_()
    return torch.autograd.grad(getattr(F, name)(leaf, 7), leaf, g)[0]
def array(): return torch.from_numpy(adapool.adaptive_pool(x.numpy(), 50))
ways = [mean, array] + [lambda n=n: gradient(f"adaptive_{n}_pool2d") for n in ("avg", "max")]
want = [way() for way in ways]
signal.signal(signal.SIGALRM, signal.default_int_handler)
for broken in range(times):
    way = ways[broken % 4]
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + broken * 16e-3 / times)
        while True: way()
    except KeyboardInterrupt: pass
    if broken % 8 < 4: assert torch.equal(way(), want[broken % 4]), broken
print(all(map(torch.equal, [way() for way in ways], want)), len(threads._teams.calls))"""
    assert run(code) == "True 0"
    ours = "from adapool.kernels import jobs, threads; jobs.openmp = lambda imported: None; jobs.WAKE_OURS = 1\n"
    assert run(ours + code) == "True 0"


def test_control_c_in_the_middle_of_a_long_call():
    code = """
import signal, torch, adapool.functional as F
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job has not
small = torch.arange(400_000.0).reshape(1, 1, 400, 1000)
x = small.expand(1, 12_000, 400, 1000)  # five thousand million cells
want = F.adaptive_avg_pool2d(small, 7)
F.adaptive_avg_pool2d(x[:, :100], 7)
print("ready", flush=True)
try:
    for _ in range(100): F.adaptive_avg_pool2d(x, 7)
except KeyboardInterrupt: print(torch.equal(F.adaptive_avg_pool2d(x[:, :100], 7), want.expand(1, 100, 7, 7)))"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as p:
        try:
            assert p.stdout.readline() == "ready\n"
            time.sleep(0.3)
            p.send_signal(signal.SIGINT)
            assert p.communicate(timeout=120)[0] == "True\n" and p.returncode == 0
        finally: p.kill()


@pytest.mark.slow
def test_control_c_in_the_compiler(tmp_path):
    "And while Numba is imported: it comes when the kernel is made, which is kept, and nothing is broken afterwards."
    code = """
import os, signal, sys, time, numpy as np, adapool
from adapool.kernels import compile as compiling
undisturbed, x = compiling._undisturbed, np.arange(2.0**14).reshape(64, 16, 16)
def slowly(work):
    def more():
        signal.setitimer(signal.ITIMER_REAL, seconds)
        code = work()
        time.sleep(1)
        return code
    return undisturbed(more)
compiling._undisturbed = slowly
signal.signal(signal.SIGALRM, signal.default_int_handler)
assert "numba" not in sys.modules
for seconds, dtype in ((0.01, "f4"), (0.1, "f8"), (0.5, "i4")):
    try: adapool.adaptive_pool(x.astype(dtype), 4, "sum", axes=0)
    except KeyboardInterrupt: print("interrupted", end=" ")
compiling._undisturbed = None  # for what has been kept nothing is compiled
for dtype in ("f4", "f8", "i4"):
    y = adapool.adaptive_pool(x.astype(dtype), 4, "sum", axes=0)
    print((y == x.reshape(4, 16, 16, 16).sum(1)).all(), end=" ")
print(len(os.listdir(os.environ["ADAPOOL_CACHE_DIR"])), compiling._failed)"""
    assert run(code, ADAPOOL_CACHE_DIR=str(tmp_path)).split() == ["interrupted"] * 3 + ["True"] * 3 + ["3", "[]"]


def test_an_interrupted_call_leaves_its_team(monkeypatch, two_threads):
    "Also where the interrupt comes in between, when the call has just been let in."
    class Calls(dict):
        def __contains__(self, call): raise KeyboardInterrupt
    x = torch.ones(16, 64, 40, 40)
    monkeypatch.setattr(threads, "_teams", threads._Teams())
    with monkeypatch.context() as patch:
        patch.setattr(threads._teams, "calls", calls := Calls())
        with pytest.raises(KeyboardInterrupt): F.adaptive_avg_pool2d(x, 7)
    assert not calls and not threads._teams.calls
    assert (F.adaptive_avg_pool2d(x, 7) == 1).all()


@pytest.mark.parametrize("level", ["array", "tensor", "places"])
def test_helpers_of_an_interrupted_call_keep_what_they_read_and_write(level, monkeypatch, two_threads):
    "The first thread is interrupted while it waits for a helper, which is still in the kernel."
    monkeypatch.setattr(jobs, "openmp", lambda imported: None)
    monkeypatch.setattr(jobs, "WAKE_OURS", 1)
    monkeypatch.setattr(arrays, "threads_to_use", lambda: 2)
    main, in_kernel, go_on, kept, pieces = threading.get_ident(), threading.Event(), threading.Event(), {}, []
    call, inner = jobs.Job.__call__, jobs.Job.run

    def note(self, x, y, index, threads, *alive):
        address = lambda a: a.data_ptr() if isinstance(a, torch.Tensor) else a.ctypes.data
        kept.update({address(a): weakref.ref(a) for a in alive if a is not None})
        assert set(kept) == {x, y, index} - {0}
        return call(self, x, y, index, threads, *alive)

    def run(self, *args):
        pieces.append(args)
        if threading.get_ident() == main:
            in_kernel.wait(20)
            return inner(self, *args)
        in_kernel.set()
        while len(pieces) < 4: time.sleep(0.01)  # the first thread does the rest, and waits
        time.sleep(0.1)
        signal.pthread_kill(main, signal.SIGINT)
        go_on.wait(20)
        return inner(self, *args)

    monkeypatch.setattr(jobs.Job, "__call__", note)
    monkeypatch.setattr(jobs.Job, "run", run)
    x = np.ones((32, 4, 100, 100), np.float32)
    ones = lambda: torch.ones(x.shape)
    pool = {"array": lambda: adapool.adaptive_pool(x.copy(), 7), "tensor": lambda: F.adaptive_avg_pool2d(ones(), 7),
            "places": lambda: F.adaptive_max_pool2d(ones(), 7, return_indices=True)}[level]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt): pool()
        gc.collect()
        assert len(kept) == 2 + (level == "places") and all(ref() is not None for ref in kept.values())
    finally:
        signal.signal(signal.SIGINT, before)
        go_on.set()
    for _ in range(500):
        if all(ref() is None for ref in kept.values()): break
        gc.collect()
        time.sleep(0.01)
    assert all(ref() is None for ref in kept.values())


def test_after_an_interrupt_no_new_piece_is_begun():
    done, in_kernel = [], threading.Event()

    def work(first, last):
        done.append(first)
        if threading.current_thread() is threading.main_thread():
            in_kernel.wait(20)
            raise KeyboardInterrupt
        in_kernel.set()
        time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt): threads.parallel_for(work, 1000, 1, 2)
    assert len(done) <= 3


# Memory

@pytest.mark.slow
def test_a_hundred_thousand_calls_of_varying_shapes_take_no_more_memory():
    """The bound: 32 bytes a call, less than the smallest thing that Python could leave behind each time.

    What is kept for a shape (plans, jobs, prepared calls) is limited to 1024 of each, so 20 000 calls fill it.
    """
    code = """
import random, numpy as np, psutil, torch, adapool, adapool.functional as F
torch.set_num_threads(1)
rng, me = random.Random(0), psutil.Process()
kinds = [(name, d, torch.float32 if d == 3 else dtype) for name in ("avg", "max") for d in (1, 2, 3)
         for dtype in (torch.float32, torch.bfloat16)]
def call():
    name, d, dtype = rng.choice(kinds)
    most = {1: 900, 2: 40, 3: 12}[d]
    shape = rng.randint(1, 9), *(rng.randint(1, most) for _ in range(d))
    size = tuple(rng.randint(1, 9) for _ in range(d))
    way = rng.randrange(4)
    if way == 3: return adapool.adaptive_pool(np.ones(shape, "f4"), size, rng.choice(("mean", "max")))
    x = torch.ones(shape, dtype=dtype, requires_grad=way == 2)
    y = getattr(F, f"adaptive_{name}_pool{d}d")(x, size)
    if way == 2: y.backward(y.detach())
    if way == 1 and name == "max": getattr(F, f"adaptive_max_pool{d}d")(x, size, return_indices=True)
for _ in range(20_000): call()
before = me.memory_info().rss
for _ in range(80_000): call()
print(me.memory_info().rss - before)"""
    grown = int(run(code, 600))
    assert grown < 80_000 * 32, f"{grown} bytes more"
