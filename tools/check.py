"""Fail where notebooks are not clean, or the package and README.md are not what the notebooks say.

Everything is made anew in a copy of the tree and compared; the tree itself is only read.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def git(command, *args):
    "The entries that a git command lists."
    out = subprocess.run(["git", command, "-z", *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [entry for entry in out.split("\0") if entry]


def generated(root):
    "The files under `root` that notebooks give, the notebooks among them, as `{path: bytes}`."
    patterns = ("nbs/**/*.ipynb", "nbs/images/index_*.png", "adapool/**/*.py", "README.md")
    return {str(p.relative_to(root)): p.read_bytes() for pattern in patterns for p in root.glob(pattern)}


def remake(copy):
    "Delete all that is exported in `copy`, then clean, export and write README.md again."
    for path in copy.glob("adapool/**/*.py"):
        if path.name != "__init__.py": path.unlink()
    for command in (["nbdev_clean"], ["nbdev_export"], ["python", "tools/readme.py"]):
        run = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=copy, capture_output=True, text=True)
        if run.returncode or "Failed to clean" in run.stderr:
            sys.exit(f"{' '.join(command)} failed:\n{run.stdout}{run.stderr}")


def reason(path, ours, anew):
    "Why `path` is not as it should be."
    if path not in anew: return "no notebook exports it (delete it, or bring its notebook back)"
    if path not in ours: return "a notebook gives it and it is not there"
    if path.endswith(".ipynb"): return "the notebook is not clean (execution counts or metadata)"
    if path.startswith("adapool/"): return "not what the notebooks export (edit the cell, never the module)"
    return "not what nbs/index.ipynb says"


def main():
    if not (ROOT / ".git").exists(): sys.exit("this is not a git checkout: there is nothing to compare with")
    files = [name for name in git("ls-files", "--cached", "--others", "--exclude-standard") if (ROOT / name).is_file()]
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / "adapool"
        for name in files:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
        ours = generated(copy)
        remake(copy)
        anew = generated(copy)
    faults = {p: reason(p, ours, anew) for p in sorted(ours.keys() | anew.keys()) if ours.get(p) != anew.get(p)}
    committed = set(git("ls-tree", "-r", "--name-only", "HEAD"))
    new = [name for name in sorted(set(files) - committed) if name.startswith(("nbs/", "adapool/"))]
    for path in new: faults.setdefault(path, "new and not committed: no other clone has it")
    for path, why in faults.items(): print(f"{path}: {why}")
    if faults: sys.exit("check failed: `make notebooks` runs, cleans and exports; then commit what is new")
    print("check passed: notebooks clean, package and README.md in step with them")


if __name__ == "__main__": main()
