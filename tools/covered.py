"""Which lines of the package do the notebooks and the tests run? Fails below 95 %, and lists the lines that none runs.

    python tools/covered.py               everything, some minutes
    python tools/covered.py -k windows    what these arguments of pytest choose; fails for no percentage

Everything runs twice: once as it is, with a cache of kernels that is empty, so that what compiles them runs too, and
once under NUMBA_DISABLE_JIT=1, where plain Python and torch do the work. Python's lines are counted; what a kernel does
as machine code is not, so kernels count where the notebooks run them as plain Python.

A cell that is exported and its place in the module are the same code: when a notebook runs, such a cell is compiled
under the name and with the line numbers of the module.
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

SETTINGS = f"""
[run]
source_dirs = {ROOT / "adapool"}
omit = {ROOT / "adapool" / "_modidx.py"}
data_file = {BUILD / "data"}
parallel = true
patch = subprocess
sigterm = true
disable_warnings = no-data-collected, module-not-measured, module-not-imported, no-sysmon, couldnt-parse

[report]
show_missing = true
exclude_also =
    raise AssertionError
"""

STARTUP = '''
import ast, re
from pathlib import Path

MARK = re.compile(r"# %% \\.\\./nbs/.*\\.ipynb #\\w+$")


def plain(lines):
    "Lines of a cell as nbdev exports them."
    text = "\\n".join(line for line in lines if not re.match(r"\\s*#\\s*\\|", line)).strip()
    return re.sub(r"from adapool import", "from . import", text.replace("from adapool.", "from ."))


def places():
    "Where each exported cell stands: {source: (file, line before it)}."
    found = {}
    for path in Path(PACKAGE).glob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        marks = [i for i, line in enumerate(lines) if MARK.match(line)]
        for mark, stop in zip(marks, [*marks[1:], len(lines)]): found[plain(lines[mark + 1:stop])] = str(path), mark + 1
    return found


class Shift(ast.NodeTransformer):
    by = 0
    def visit(self, tree): return ast.increment_lineno(tree, self.by)


def follow(shell, found=places(), shift=Shift()):
    "Compile exported cells in the name of their module."
    cache = shell.compile.cache
    def named(code, number=0, raw_code=None):
        lines = (raw_code or code).splitlines()
        path, line = found.get(plain(lines), (None, 0))
        shift.by = line - sum(bool(re.match(r"\\s*#\\s*\\|", text)) for text in lines) if path else 0
        return path or cache(code, number, raw_code=raw_code)
    shell.compile.cache = named
    shell.ast_transformers.append(shift)


follow(get_ipython())
'''.replace("PACKAGE", repr(str(ROOT / "adapool")))


def run(args, **environment):
    "Run pytest under coverage; failures are shown and do not stop the count."
    env = {**os.environ, **environment, "COVERAGE_RCFILE": str(BUILD / "settings")}
    command = ["-m", "coverage", "run", "--rcfile", str(BUILD / "settings"), "-m", "pytest", "-q", *args]
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env).returncode


def main(chosen):
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    (BUILD / "settings").write_text(SETTINGS, encoding="utf-8")
    with tempfile.TemporaryDirectory() as tmp:
        startup = Path(tmp) / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "follow.py").write_text(STARTUP, encoding="utf-8")
        env = dict(IPYTHONDIR=str(Path(tmp) / "ipython"), ADAPOOL_CACHE_DIR=str(Path(tmp) / "kernels"))
        run(["--ignore=tests/test_fuzz.py", *chosen], **env)
        run(["--ignore=tests/test_fuzz.py", "--ignore=tests/test_kernels.py", *chosen], **env, NUMBA_DISABLE_JIT="1")
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "combine", "--quiet", "--rcfile", str(BUILD / "settings")], cwd=ROOT, check=True)
    least = [] if chosen else ["--fail-under", str(ENOUGH)]
    return subprocess.run([*coverage, "report", "--rcfile", str(BUILD / "settings"), *least], cwd=ROOT).returncode


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
