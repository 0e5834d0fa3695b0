"""The way of a call through the rooms: the Python calls inside adapool, as a tree; `make calls`.

    python tools/calls.py          a tensor with its gradient, and an array, each called the first time and once more
    python tools/calls.py warm     only the second time, when all is planned; ARCHITECTURE.md shows this

On one thread, so that the tree is the same everywhere. A line is a function, its room and what it returns, by the first
line of its docstring; `→` is a kernel, which runs as machine code. How long a list of windows is, and whether two are
equal, is asked all the time and not shown.
"""

import ast
import os
import sys
from functools import cache
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch

import adapool
from adapool.functional import adaptive_avg_pool2d

PACKAGE = Path(adapool.__file__).parent
INSIDE = f"{PACKAGE}{os.sep}"
COLUMNS = 120
UNSEEN = {"__len__", "__hash__", "__eq__", "output_size"}
CLOSED = {"compiled"}  # what goes on inside is the compiler's


@cache
def docstrings(path):
    "The first line of the docstring of each function in a file, by the line where it begins."
    functions = [f for f in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(f, ast.FunctionDef)]
    starts = [min([f.lineno, *(d.lineno for d in f.decorator_list)]) for f in functions]
    return {at: (ast.get_docstring(f) or "").partition("\n")[0] for at, f in zip(starts, functions)}


def room(path): return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


class Calls:
    "While it is in force, the calls inside the package as lines `(depth, name, docstring)`."
    def __init__(self): self.lines, self.depth, self.closed, self.kernels = [], 0, None, {}

    def __enter__(self):
        self.lines = []
        sys.setprofile(self.see)
        return self

    def __exit__(self, *_): sys.setprofile(None)

    def add(self, code, arrow=""):
        path = Path(code.co_filename)
        name = code.co_qualname.replace(".<locals>", "")
        self.lines.append((self.depth, f"{arrow}{room(path)}.{name}", docstrings(path).get(code.co_firstlineno, "")))

    def see(self, frame, event, _):
        "What `sys.setprofile` tells of."
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(INSIDE): return
        if code.co_name[0] == "<": return  # a comprehension, a class body
        given = frame.f_locals
        if event == "return":
            if code.co_qualname in ("Job.run", "Job.by_team"): self.add(self.kernels[id(given["self"])], "→ ")
            self.depth -= 1
            if self.closed == self.depth: self.closed = None
            return
        if code.co_qualname == "Job.__init__": self.kernels[id(given["self"])] = given["plan"].kernel.__code__
        if code.co_qualname == "Quick.__init__":  # whose kernel is known to who makes it
            maker = frame.f_back
            self.kernels[id(given["self"])] = maker.f_globals["_BY_NUMBER"][maker.f_locals["number"]][0].__code__
        seen = self.closed is None and code.co_name not in UNSEEN
        if seen: self.add(code)
        if self.closed is None and (not seen or code.co_name in CLOSED): self.closed = self.depth
        self.depth += 1


def folded(lines):
    "The lines, with calls that follow their likes counted instead of shown."
    trees = []
    for line in lines:
        if line[0] == lines[0][0]: trees.append([line])
        else: trees[-1].append(line)
    out, last, times = [], None, 0
    for tree in [*trees, None]:
        if tree and tree == last:
            times += 1
            continue
        if last:
            depth, name, said = last[0]
            out += [(depth, name + f" ×{times}" * (times > 1), said), *(folded(last[1:]) if last[1:] else [])]
        last, times = tree, 1
    return out


def shown(lines):
    "Lines as an indented tree, docstrings in a column."
    names = ["  " * depth + name for depth, name, _ in lines]
    width = max(map(len, names))
    said = [shorten(words, max(24, COLUMNS - 2 - width), placeholder=" …") for *_, words in lines]
    return "\n".join(f"{name:{width}}  {words}".rstrip() for name, words in zip(names, said))


def recorded(*calls):
    "What each of the functions calls, as text, the first time and the second time."
    threads, seen, found = torch.get_num_threads(), Calls(), []
    torch.set_num_threads(1)
    try:
        for call in calls * 2:
            with seen: call()
            found.append(shown(folded(seen.lines)))
    finally: torch.set_num_threads(threads)
    return found[:len(calls)], found[len(calls):]


def steps(n):
    "`{title: function}` for a tensor of planes of n × n cells, forward and backward, and for an array."
    x, results, array = torch.zeros(2, 64, n, n, requires_grad=True), [], np.zeros((128, 64, n), np.float32)
    return {
        "adaptive_avg_pool2d(x, 7)": lambda: results.append(adaptive_avg_pool2d(x, 7)),
        "its gradient: y.sum().backward()": lambda: results.pop().sum().backward(),
        "adaptive_pool(array, 7)": lambda: adapool.adaptive_pool(array, 7),
    }


def trees():
    "`{title: tree}` of each of the `steps`: the first time for its sizes, and once more."
    for step in steps(63).values(): step()  # of other sizes: to compile takes a minute while every call is watched
    watched = steps(56)
    first, warm = recorded(*watched.values())
    return dict(zip(watched, first)), dict(zip(watched, warm))


def warm():
    "The trees of calls whose shapes are known, as ARCHITECTURE.md shows them."
    return "\n\n".join(f"{title}\n{tree}" for title, tree in trees()[1].items())


def main():
    if sys.argv[1:] == ["warm"]: return print(warm())
    for when, found in zip(("The first time", "Once more"), trees()):
        for title, tree in found.items(): print(f"{when}: {title}\n{tree}\n")


if __name__ == "__main__": main()
