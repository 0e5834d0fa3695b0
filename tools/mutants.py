"""Do the tests see small wrong changes? Fails where too few are seen, and lists those that are not.

    python tools/mutants.py                      12 changes of every module, one at a time: hours
    python tools/mutants.py windows --each 30    30 changes of one
    python tools/mutants.py windows#17 nn#4      these two again
    python tools/mutants.py plot --list          what would be changed; runs nothing
    python tools/mutants.py windows --quick      by the tests of `make test` alone; else by those of `make test-all`

A change is made in a copy of the tree, in a cell that is exported and in the module alike: the cells below it check
what the notebook defines, the tests what the module does. Then come the tests that concern the module, quick ones
first, up to the first that fails. What runs too long, or brings the process down, has been seen too.

Left out, as far as that can be told, is what no test should pin: text, what an error says, types, `__repr__`, how large
a picture is, and numbers that only weigh time against memory.
"""

import argparse
import ast
import importlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from copy import copy
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from cells import exported
from check import ROOT, git
from notebooks import NBS

ENOUGH = {True: 90, False: 97}  # per cent: of the quick tests alone, and of the slow ones too
MEMORY = 12 * 2**30  # bytes that a process may have: some changes ask for more than there is

# The tests that concern a module, and where its notebook comes among them: quick ones first.
TESTS = {
    "checks": "sizes bad_input notebook package",
    "kinds": "notebook array_api",
    "arithmetic": "properties bad_input sizes exercises notebook explore examples",
    "windows": "properties bad_input exercises notebook examples",
    "along": "notebook gaps properties examples",
    "gaps": "gaps notebook bad_input examples",
    "medians": "notebook gaps xarray",
    "pooling": "gaps properties bad_input exercises notebook memory exact kernels examples",
    **{f"jax.{room}": "jax notebook examples" for room in ("cells", "linear", "pools", "named")},
    "array_api": "array_api notebook examples",
    "pyramids": "notebook pyramids examples",
    "xarray": "xarray notebook",
    **{f"dask.{room}": "notebook dask" for room in ("cuts", "lines", "sums", "parts", "graph", "pyramid")},
    "functional.adaptive": "bad_input torch_samples enable notebook functional_route conformance",
    "functional.ordinary": "ordinary published bad_input torch_samples enable notebook functional_route conformance",
    "functional.powers": "powers bad_input notebook",
    "functional.unpool": "unpool bad_input notebook",
    "functional.each": "each notebook",
    "functional.means": "means notebook",
    "tensors.private": "notebook functional_route enable conformance",
    "tensors.memory": "flat notebook ordinary functional_route properties compile conformance kernels bits stress",
    "tensors.plain": "notebook ordinary bad_input functional_route conformance exact uncompiled",
    "tensors.operators": "notebook functional_route compile torch_samples conformance",
    "tensors.ordinary": "ordinary notebook",
    "tensors.unpool": "unpool notebook",
    "tensors.route": "ordinary functional_route bad_input torch_samples enable notebook compile conformance bits",
    "tensors.switch": "notebook enable stress",
    "tensors.pyramids": "pyramids notebook",
    "functional.pyramids": "pyramids notebook",
    "functional.concat": "pyramids notebook",
    "nn": "bad_input notebook ordinary published",
    **{f"kernels.{room}": "uncompiled offsets long sweep kernels link notebook properties conformance exact bits memory"
       for room in ("reduce", "rows", "strided", "planes", "channels", "indices", "gradients", "offsets", "geometry")},
    **dict.fromkeys(("kernels.counted", "kernels.counts"), "gaps notebook"),
    "kernels.back": "offsets ordinary",
    "kernels.runs": "uncompiled pyramids notebook",
    "kernels.quick": "quick notebook",
    "kernels.vectors": "uncompiled sweep kernels cache link notebook properties conformance exact",
    "kernels.llvm": "sweep kernels cache link notebook properties conformance exact",
    "kernels.machine": "link cache notebook sweep kernels properties",
    "kernels.compile": "cache link notebook kernels stress",
    "kernels.tables": "sweep notebook memory",
    "kernels.threads": "share kernels notebook bits long memory stress",
    **dict.fromkeys(
        ("kernels.axes", "kernels.plan", "kernels.jobs"),
        "uncompiled flat long sweep notebook memory kernels link properties bits conformance exact stress"),
    "kernels.arrays": "kernels memory long notebook properties exact bad_input stress",
    "export.forms": "notebook export export_grid",
    "export.masks": "notebook program",
    "export.pools": "notebook export export_grid export_models export_tools",
    "export.calls": "notebook export_calls export",
    "export.capture": "notebook export_calls export export_models",
    "export.verify": "notebook export_calls export",
    "export.write": "notebook export_calls export",
    "export.inline": "notebook program export export_calls export_models export_tools",
    "export.programs": "notebook program",
    "export.opsets": "notebook export",
    "export.copies": "notebook export export_calls export_models export_tools",
    "export.verdicts": "notebook export",
    "networks.models": "notebook bad_input networks",
    "networks.fields": "notebook networks exercises",
    "networks.layers": "notebook networks explore exercises",
    "networks.calls": "notebook networks",
    "networks.follow": "notebook networks",
    "networks.table": "notebook networks",
    "networks.trace": "notebook networks bad_input exercises",
    "exercises": "exercises notebook",
    **{f"answers.{room}": "exercises notebook"
       for room in ("sizes", "windows", "arrays", "tensors", "kernels", "files", "networks", "subjects")},
    "plot.canvas": "plot notebook sizes bad_input explore",
    "plot.adaptive": "notebook bad_input explore flashcards",
    "plot.arithmetic": "plot notebook sizes bad_input explore flashcards",
    "plot.boards": "plot notebook sizes bad_input",
    "plot.film": "plot notebook bad_input",
    "plot.images": "notebook sizes bad_input explore",
    "plot.networks": "notebook bad_input networks",
    "plot.pools": "notebook bad_input",
    **{f"explore.{room}": "explore notebook"
       for room in ("answer", "panel", "layer", "adaptive", "photograph", "film", "sizes", "field")},
    **{f"flashcards.{room}": "flashcards notebook" for room in ("card", "sizes", "windows", "tensors", "deck")},
}
SLOW_TO_LOAD = "torch", "numba", "matplotlib.pyplot", "hypothesis", "nbclient"

# Names of numbers that weigh time against memory, and of what says how large or how fine a picture is.
WEIGHED = {"_SLAB", "_SMALL", "_MANY", "_MOST", "_MOST_VALUES", "LOOKAHEAD", "prefetch", "maxsize"}
LOOKS = {"figsize", "dpi", "fontsize", "linewidth", "pad", "zorder", "_CELL", "_axes", "ax.set", "fig.set_size_inches"}

SHIFTED = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
           ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
TURNED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.Mod: ast.FloorDiv,
          ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
          ast.LShift: ast.RShift, ast.RShift: ast.LShift}


def changed(node, **parts):
    "A copy of `node` with other parts."
    new = copy(node)
    for name, value in parts.items(): setattr(new, name, value)
    return new


def inverted(test):
    "`not test`, in its shortest form."
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand): return operand
        case ast.Compare(ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn() | ast.Is() | ast.IsNot() as op]):
            return changed(test, ops=[SHIFTED[type(op)]()])
    return ast.UnaryOp(ast.Not(), test)


def is_text(node):
    "Does it plainly give text?"
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def small_changes(node):
    "`(old, new)` for each small wrong change of this node: it or a child of it, and what stands there instead."
    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops): yield node, changed(node, ops=[*ops[:i], SHIFTED[type(op)](), *ops[i + 1:]])
        case ast.BinOp(op=ast.FloorDiv(), left=left):  # rounded up
            yield node, ast.UnaryOp(ast.USub(), changed(node, left=ast.UnaryOp(ast.USub(), left)))
        case ast.BinOp(op=op, left=left, right=right):
            if type(op) not in TURNED or is_text(left) or is_text(right): return
            yield node, changed(node, op=TURNED[type(op)]())
        case ast.AugAssign(op=op, value=value):
            if type(op) in TURNED and not is_text(value): yield node, changed(node, op=TURNED[type(op)]())
            yield node, ast.Pass()
        case ast.BoolOp(op=op): yield node, changed(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.Not(), operand=operand): yield node, operand
        case ast.Constant(value=bool(value)): yield node, ast.Constant(not value)
        case ast.Constant(value=int(value)): yield from ((node, ast.Constant(value + by)) for by in (1, -1))
        case ast.Return(value=ast.expr() as value):
            if ast.unparse(value) != "None": yield node, ast.Return(ast.Constant(None))
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test): yield test, inverted(test)
        case ast.comprehension(ifs=ifs): yield from ((test, inverted(test)) for test in ifs)
        case ast.arguments(defaults=defaults, kw_defaults=more):
            for value in (*defaults, *more):
                if isinstance(value, ast.Constant) and value.value is None: yield value, ast.Constant(0)
        case ast.Raise() | ast.Expr(value=ast.Call()): yield node, ast.Pass()


def pinned_by_nothing(node, parent):
    "Is this part of the code one that no test should pin?"
    names = WEIGHED | LOOKS
    types = getattr(parent, "annotation", None), getattr(parent, "returns", None)
    if node in types or isinstance(parent, ast.Raise): return True
    match node:
        case ast.FunctionDef(name=name): return name in {"__repr__", *WEIGHED}
        case ast.keyword(arg=name): return name in names
        case ast.Assign() if isinstance(parent, ast.Module):
            return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))
        case ast.Call(func=func) | ast.Expr(value=ast.Call(func=func)): return ast.unparse(func) in names
    return isinstance(node, ast.Assert)


def walk(node, parent=None, around=None):
    """`(node, around)` for all that may be changed.

    A part of a formatted string has no place of its own in the source; `around` is the whole string."""
    if pinned_by_nothing(node, parent): return
    around = around or (node if isinstance(node, ast.JoinedStr) else None)
    yield node, around
    for child in ast.iter_child_nodes(node): yield from walk(child, node, around)


class Put(ast.NodeTransformer):
    "Puts a node in the place of another."
    def __init__(self, old, new): self.old, self.new = old, new
    def visit(self, node): return self.new if node is self.old else self.generic_visit(node)


def wrong_cells(cell):
    "`(line, changed cell, old, new)` for each small change of the source of a cell."
    source = cell.encode()
    starts = [0, *(m.end() for m in re.finditer(b"\n", source))]
    for node, around in list(walk(ast.parse(cell))):
        for old, new in small_changes(node):
            part, said = around or old, (ast.unparse(old), ast.unparse(new))
            if around:
                text = ast.unparse(Put(old, new).visit(around))
                Put(new, old).visit(around)
            else: text = f"({said[1]})" if isinstance(old, ast.expr) else said[1]
            begin, end = starts[part.lineno - 1] + part.col_offset, starts[part.end_lineno - 1] + part.end_col_offset
            yield part.lineno, (source[:begin] + text.encode() + source[end:]).decode(), *said


class Mutant(NamedTuple):
    "A small wrong change."
    module: str
    number: int  # among all changes of the module
    line: int    # in the module
    cell: str    # source of an exported cell
    wrong: str   # the same, changed
    old: str
    new: str

    def __str__(self):
        return f"{self.module}#{self.number}  {source_of(self.module)}:{self.line}  {self.old} → {self.new}"


def notebook(module):
    *rooms, last = module.split(".")
    return next(NBS.joinpath("inside", *rooms).glob(f"[0-9][0-9]_{last}.ipynb"))


def source_of(module): return Path("adapool", *module.split(".")).with_suffix(".py")


def mutants(module):
    "All small changes of a module, in its order."
    text = (ROOT / source_of(module)).read_text(encoding="utf-8")
    found = []
    for cell in nbformat.read(notebook(module), as_version=4).cells:
        if not re.match(r"#\| exporti?$", cell.source, re.MULTILINE): continue
        before = text[:text.index(f" #{cell.id}\n")].count("\n")  # the line `#| export` is this mark in the module
        seen = {cell.source}
        for line, wrong, old, new in wrong_cells(cell.source):
            if wrong in seen: continue
            seen.add(wrong)
            said = (" ".join(text.split())[:90] for text in (old, new))
            found.append(Mutant(module, len(found), before + line, cell.source, wrong, *said))
    return found


def put(tree, mutant, wrong):
    "Put `wrong` into the notebook and the module of a copy, or what was there before."
    path = source_of(mutant.module)
    text, right = (ROOT / path).read_text(encoding="utf-8"), exported(mutant.cell, mutant.module)
    assert right in text
    (tree / path).write_text(text.replace(right, exported(wrong, mutant.module)), encoding="utf-8")
    nb = nbformat.read(notebook(mutant.module), as_version=4)
    next(cell for cell in nb.cells if cell.source == mutant.cell).source = wrong
    nbformat.write(nb, tree / notebook(mutant.module).relative_to(ROOT))


def tests(module):
    "What pytest is asked for a module."
    page = f"tests/test_notebooks.py::test_notebook[{notebook(module).relative_to(NBS).with_suffix('').as_posix()}]"
    return [page if name == "notebook" else f"tests/test_{name}.py" for name in TESTS[module].split()]


def ask(tree, module, said, quick):
    "Run the tests of a module in a copy, in a process that has loaded what is slow to load; never returns."
    os.setsid()
    for stream in (1, 2): os.dup2(said.fileno(), stream)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    os.chdir(tree)
    # What is compiled is told from what is changed by its second and its size: keep none.
    os.environ |= dict(PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE="1")
    if module.startswith("kernels"): os.environ["ADAPOOL_CACHE_DIR"] = str(tree / "compiled")
    ours = str(ROOT / "tools")  # what is loaded from there names the notebooks that are not changed
    for name, loaded in [*sys.modules.items()]:
        place = Path(getattr(loaded, "__file__", None) or ".").parent
        if name != "__main__" and str(place) == ours: del sys.modules[name]
    sys.path[:] = [str(tree), *(str(tree / "tools") if place == ours else place for place in sys.path)]
    sys.dont_write_bytecode = True
    wanted = [] if quick else ["-m", "not heavy"]
    os._exit(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-n", "0", "--tb=no", *wanted, *tests(module)]))


def seen(tree, module, limit, quick):
    "What saw a change, in a few words; None where the tests passed."
    with tempfile.TemporaryFile("w+") as said:
        run = multiprocessing.get_context("fork").Process(target=ask, args=(tree, module, said, quick))
        run.start()
        run.join(limit)
        if run.is_alive():
            os.killpg(run.pid, signal.SIGKILL)
            return f"ran for {limit} s"
        said.seek(0)
        text = said.read()
    if run.exitcode == 0: return None
    if run.exitcode > pytest.ExitCode.INTERRUPTED: sys.exit(f"pytest could not run:\n{text}")
    fault = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return fault[1] if fault else f"ended with {run.exitcode}"


def chosen(names, each, seed):
    "The changes that `names` name: of a module a sample, or one by its number."
    def at(mutant): return mutant.number
    for name in names or TESTS:
        module, _, number = name.partition("#")
        every = mutants(module)
        if number: yield every[int(number)]
        else: yield from sorted(random.Random(f"{seed} {module}").sample(every, min(each, len(every))), key=at)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="module[#number]", help=f"of {', '.join(TESTS)}")
    parser.add_argument("--each", type=int, default=12, help="changes of a module")
    parser.add_argument("--seed", type=int, default=0, help="chooses them")
    parser.add_argument("--limit", type=int, default=900, help="seconds, more than the tests take without a change")
    parser.add_argument("--sure", action="store_true", help="that the tests pass as they are: do not try it first")
    parser.add_argument("--quick", action="store_true", help="by the tests of `make test` alone")
    parser.add_argument("--list", action="store_true", help="say what would be changed")
    args = parser.parse_args()
    unknown = {name.partition("#")[0] for name in args.names} - TESTS.keys()
    if unknown: parser.error(f"no tests are named for: {', '.join(sorted(unknown))}")
    changes = list(chosen(args.names, args.each, args.seed))
    if args.list: sys.exit(print(*changes, sep="\n"))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as tests/conftest.py has it, before torch is loaded
    for name in SLOW_TO_LOAD: importlib.import_module(name)
    survivors = []
    with tempfile.TemporaryDirectory() as tmp:
        tree = Path(tmp) / "adapool"
        for name in git("ls-files", "--cached", "--others", "--exclude-standard"):
            if not (ROOT / name).is_file(): continue
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
        for module in dict.fromkeys(m.module for m in changes):
            fault = not args.sure and seen(tree, module, args.limit, args.quick)
            if fault: sys.exit(f"{module}: tests fail without any change: {fault}")
            for mutant in (m for m in changes if m.module == module):
                start = time.monotonic()
                put(tree, mutant, mutant.wrong)
                how = seen(tree, module, args.limit, args.quick)
                put(tree, mutant, mutant.cell)
                if how is None: survivors.append(mutant)
                seconds = round(time.monotonic() - start)
                print("seen    " if how else "SURVIVES", mutant, f" ({how or 'all pass'}, {seconds} s)", flush=True)
    share = 100 * (1 - len(survivors) / len(changes))
    for mutant in survivors: print(mutant)
    print(f"{len(changes) - len(survivors)} of {len(changes)} changes seen: {share:.0f} %")
    sys.exit(share < ENOUGH[args.quick])


if __name__ == "__main__": main()
