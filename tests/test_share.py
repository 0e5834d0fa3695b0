"Work shared among threads of our own: who may still be at it when the call is over?"

import gc
import random
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from adapool.kernels import threads
from adapool.kernels.threads import parallel_for


@pytest.fixture(autouse=True)
def crew(monkeypatch):
    "Helpers of this test alone."
    monkeypatch.setattr(threads, "_calls", SimpleQueue())
    monkeypatch.setattr(threads, "_helpers", [])


@pytest.fixture
def busy():
    "A helper at work for another caller, until it is set free."
    free, taken = threading.Event(), threading.Event()
    here = threading.local()

    def work(first, last):
        if getattr(here, "caller", False): assert taken.wait(20)
        else:
            taken.set()
            assert free.wait(20)

    def call():
        here.caller = True
        parallel_for(work, 2, 1, 2)

    other = threading.Thread(target=call)
    other.start()
    assert taken.wait(20)
    yield free
    free.set()
    other.join(60)
    assert not other.is_alive()


def meanwhile(*steps):
    "Do the steps in another thread, a tenth of a second before each."
    def work():
        for step in steps:
            time.sleep(0.1)
            step()
    threading.Thread(target=work).start()


def test_a_helper_that_begins_late_is_not_taken_for_one_that_has_done(busy):
    "Three ranges, two helpers: one is busy elsewhere until the caller waits for the other, which is in its range."
    caller, in_range, go_on, done = threading.get_ident(), threading.Event(), threading.Event(), []

    def work(first, last):
        if threading.get_ident() == caller: assert in_range.wait(20)
        else:
            in_range.set()
            if not done: meanwhile(busy.set, go_on.set)
            assert go_on.wait(20)
        done.append(first)

    parallel_for(work, 3, 1, 3)
    assert sorted(done) == [0, 1, 2]


def test_nobody_waits_for_a_helper_that_is_busy_elsewhere(busy):
    done = []
    for many in (2, 3, 8): parallel_for(lambda first, last: done.append((first, last)), 10, 4, many)
    assert sorted(done) == [(0, 4)] * 3 + [(4, 8)] * 3 + [(8, 10)] * 3
    assert not busy.is_set()


def test_calls_that_are_over_hold_nothing_for_a_helper_that_is_busy_elsewhere(busy):
    held = []

    def call():
        memory = set()
        held.append(weakref.ref(memory))
        parallel_for(lambda first, last: memory.add(first), 9, 1, 2)

    for _ in range(20): call()
    assert not any(ref() for ref in held)


class Watched:
    "Ranges, each to be done once; and whether any of them is being done."
    def __init__(self, rng, total, may_fail):
        self.done, self.at_work, self.step, self.total = [], set(), rng.randint(1, 5), total
        self.faulty = {rng.randrange(total) // self.step * self.step} if may_fail else set()
        self.slow = {first: rng.random() * 1e-3 for first in range(0, total, self.step) if rng.random() < 0.2}

    def __call__(self, first, last):
        self.at_work.add(first)
        try:
            time.sleep(self.slow.get(first, 0))
            if first in self.faulty: raise ValueError(first)
            self.done.extend(range(first, last))
        finally: self.at_work.remove(first)

    def share(self, many):
        try: parallel_for(self, self.total, self.step, many)
        except ValueError as fault: assert set(fault.args) <= self.faulty
        else: assert sorted(self.done) == list(range(self.total))
        assert not self.at_work and len(set(self.done)) == len(self.done)
        return self.faulty.isdisjoint(self.done)


def test_many_callers_with_faults():
    start = threading.Barrier(6)

    def calls(seed):
        rng = random.Random(seed)
        start.wait(20)
        return all(Watched(rng, rng.randint(1, 40), rng.random() < 0.2).share(rng.randint(2, 8)) for _ in range(150))

    with ThreadPoolExecutor(6) as many: assert all(many.map(calls, range(6), timeout=60))


def test_work_that_shares_work():
    done = []

    def work(first, last):
        parallel_for(lambda a, b: parallel_for(lambda c, d: done.append((first, a, c)), 3, 1, 3), 3, 1, 3)

    with ThreadPoolExecutor(3) as many: list(many.map(lambda _: parallel_for(work, 6, 1, 3), range(3), timeout=60))
    assert sorted(done) == sorted((i, j, k) for i in range(6) for j in range(3) for k in range(3) for _ in range(3))


def test_a_fault_of_a_helper_ends_the_call_and_not_the_helper():
    caller = threading.get_ident()

    def work(first, last):
        done.append(first)
        if threading.get_ident() != caller: raise ValueError("of a helper")
        time.sleep(0.05)

    for _ in range(3):
        done = []
        with pytest.raises(ValueError, match="of a helper"): parallel_for(work, 1000, 1, 2)
        assert len(done) < 5
    assert len(threads._helpers) == 1


# Interrupts

def interrupted_at(step, functions, interrupt, call):
    "The function in which `interrupt` came, before instruction number `step` of `functions` in `call`, or None."
    code, seen = [f.__code__ for f in functions], []

    def trace(frame, event, _):
        if frame.f_code not in code: return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen.append(frame.f_code.co_name)
            if len(seen) == step: interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try: call()
    except KeyboardInterrupt: pass
    finally: sys.settrace(before)
    return seen[step - 1] if step <= len(seen) else None


def control_c(): raise KeyboardInterrupt


SHARING = [parallel_for, threads._Call.__init__, threads._Call.take, threads._Call.end]


def test_the_handler_of_a_signal_may_call_at_every_instruction():
    "It runs in the midst of another call, which cannot go on before it returns."
    done, entered = [], []

    def call():
        parallel_for(lambda first, last: done.append(first), 5, 1, 3)
        mine = object()
        entered.append(teams.enter(mine, 1))
        teams.calls.pop(mine, None)

    def every():
        for step in range(1, 10_000):
            done.clear()
            if interrupted_at(step, [*SHARING, teams.enter], call, call) is None: return
            assert sorted(done) == sorted([*range(5)] * 2)

    teams = threads._Teams()
    other = threading.Thread(target=every, daemon=True)
    other.start()
    other.join(60)
    assert not other.is_alive() and not teams.calls and len(entered) > 200


def test_an_interrupt_at_every_instruction():
    "The call ends, and with it all work; what the last wait was for may go on, and is held until it ends."
    caller, places = threading.get_ident(), []

    def call():
        memory = Memory()
        held.append(weakref.ref(memory))

        def work(first, last, memory=memory):
            mine = threading.get_ident()
            if mine == caller: time.sleep(0.0005)
            at_work.add(mine)
            time.sleep(0.001)
            at_work.remove(mine)
            memory.done.append(first)

        parallel_for(work, 4, 1, 2)

    for step in range(1, 10_000):
        held, at_work = [], set()
        place = interrupted_at(step, SHARING, control_c, call)
        if place is None: break
        places.append(place)
        at_work.discard(caller)
        if place in ("take", "__init__"): assert not at_work
        if at_work: assert held[0]() is not None
        for _ in range(2000):
            if held[0]() is None: break
            time.sleep(0.001)
        assert held[0]() is None and not at_work
    assert len(places) > 100 and set(places) == {"parallel_for", "__init__", "take", "end"}
    parallel_for(lambda first, last: places.append((first, last)), 3, 2, 3)
    assert sorted(places[-2:]) == [(0, 2), (2, 3)]


class Memory:
    "What is worked on."
    def __init__(self): self.done = []


@pytest.mark.parametrize("way", ["plain", "forked", "functional", "callers"])
def test_a_short_soak(way):
    "`soak.py` by hand for longer."
    words = ["150", way] if way == "plain" else ["400", way, "--planes", "512", "--side", "14"]
    soak = [sys.executable, Path(__file__).with_name("soak.py"), *words]
    out = subprocess.run(soak, capture_output=True, text=True, timeout=200)
    assert out.returncode == 0 and out.stdout.startswith("0 of "), out.stdout + out.stderr


def test_a_fault_leaves_nothing_behind():
    memory = Memory()
    seen = weakref.ref(memory)

    def work(first, last, memory=memory): raise ValueError

    with pytest.raises(ValueError): parallel_for(work, 10, 1, 4)
    del memory, work
    gc.collect()
    assert seen() is None
