"""Which lines of the package do the notebooks and the tests run? Fails below 95 %, and lists the lines that none runs.

    python tools/covered.py               everything that counts, some minutes
    python tools/covered.py -k windows    what these arguments of pytest choose; fails for no percentage

Notebooks and tests run once as they are, with a cache of kernels that is empty, so that what compiles them runs too.
What does the work where there is no compiler runs a second time, under NUMBA_DISABLE_JIT=1. A test that fails is
shown, and is a failure here too. Tests that take minutes over lines that others run as well are left out: they are for
`make test`.

What counts as run:

- lines of Python, also in processes that a test starts or forks;
- an exported cell of a notebook, which is the same code as its place in the module: it is compiled under the name and
  with the line numbers of the module;
- a line that torch.compile reads in place of Python;
- a line of a kernel where it runs as plain Python, never what it does as machine code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build" / "coverage"
ENOUGH = 95
NOTHING_CHOSEN = 5  # pytest's exit status where its arguments choose no test

LEFT_OUT = ["--ignore=tests/test_check.py", "--ignore=tests/test_fuzz.py"]
WITHOUT_JIT = ["tests/test_properties.py", "tests/test_torch_samples.py"]

SETTINGS = f"""
[run]
source_dirs = {ROOT / "adapool"}
omit = {ROOT / "adapool" / "_modidx.py"}
data_file = {BUILD / "data"}
parallel = true
patch = _exit, fork, subprocess
sigterm = true
disable_warnings = no-data-collected, module-not-measured, module-not-imported, no-sysmon, couldnt-parse

[report]
show_missing = true
"""

COMPILER = '''
"A plugin for pytest: marks the lines that torch.compile reads."

def pytest_collection_finish():
    from torch._guards import TracingContext
    begin, seen = TracingContext.set_current_loc, set()
    def mark(path, line, name):
        if path.startswith(PACKAGE) and (path, line) not in seen:
            seen.add((path, line))
            exec(compile("\\n" * (line - 1) + "pass", path, "exec"))
        begin(path, line, name)
    TracingContext.set_current_loc = staticmethod(mark)
'''

CELLS = '''
import ast, re
from pathlib import Path

from cells import exported

MARK = re.compile(r"# %% (\\.\\./)+nbs/.*\\.ipynb #\\w+$")


def places():
    "Where each exported cell stands: {source: (file, line before it)}."
    found = {}
    for path in Path(PACKAGE).rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        marks = [i for i, line in enumerate(lines) if MARK.match(line)]
        for mark, stop in zip(marks, [*marks[1:], len(lines)]):
            found[known("\\n".join(lines[mark + 1:stop]))] = str(path), mark + 1
    return found


def known(source):
    "A cell as it is exported, whatever its room calls the others."
    return re.sub(r"from [.\\w]*?(\\w*) import", r"from \\1 import", exported(source))


class Shift(ast.NodeTransformer):
    by = 0
    def visit(self, tree): return ast.increment_lineno(tree, self.by)


def follow(shell):
    "Compile exported cells in the name of their module."
    found, shift, cache = places(), Shift(), shell.compile.cache
    def named(code, number=0, raw_code=None):
        lines = (raw_code or code).splitlines()
        path, line = found.get(known(raw_code or code), (None, 0))
        shift.by = line - sum(bool(re.match(r"\\s*#\\s*\\|", text)) for text in lines) if path else 0
        return path or cache(code, number, raw_code=raw_code)
    shell.compile.cache = named
    shell.ast_transformers.append(shift)
'''


def prepare(profile):
    "Write the settings, and what follows the compiler and the cells, which no name of a notebook can hide."
    shutil.rmtree(BUILD, ignore_errors=True)
    startup = profile / "profile_default" / "startup"
    for folder in (BUILD, startup): folder.mkdir(parents=True)
    (BUILD / "settings").write_text(SETTINGS, encoding="utf-8")
    for name, text in (("follow_compiler", COMPILER), ("follow_cells", CELLS)):
        (BUILD / f"{name}.py").write_text(text.replace("PACKAGE", repr(str(ROOT / "adapool"))), encoding="utf-8")
    (startup / "follow.py").write_text("__import__('follow_cells').follow(get_ipython())\n", encoding="utf-8")


def run(args, **environment):
    "Run pytest under coverage. Does all pass? What fails is shown and does not stop the count."
    path = os.pathsep.join(filter(None, [str(BUILD), str(ROOT / "tools"), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, **environment, "COVERAGE_RCFILE": str(BUILD / "settings"), "PYTHONPATH": path}
    command = [sys.executable, "-m", "coverage", "run", "--rcfile", str(BUILD / "settings"), "-m", "pytest", "-q"]
    done = subprocess.run([*command, "-p", "follow_compiler", *args], cwd=ROOT, env=env)
    return done.returncode in (0, NOTHING_CHOSEN)


def main(chosen):
    with tempfile.TemporaryDirectory() as tmp:
        prepare(Path(tmp) / "ipython")
        env = dict(IPYTHONDIR=str(Path(tmp) / "ipython"), ADAPOOL_CACHE_DIR=str(Path(tmp) / "kernels"))
        runs = [run([*LEFT_OUT, *chosen], **env), run([*WITHOUT_JIT, *chosen], **env, NUMBA_DISABLE_JIT="1")]
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet", "--rcfile", str(BUILD / "settings")], cwd=ROOT, check=True)
    least = [] if chosen else ["--fail-under", str(ENOUGH)]
    code = subprocess.run([*coverage, "report", "--rcfile", str(BUILD / "settings"), *least], cwd=ROOT).returncode
    if not all(runs): print("Tests have failed, see above.")
    return code or not all(runs)


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
