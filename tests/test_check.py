"`make check` fails for each of the faults that it is there for, and says which file is at fault."

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def git(folder, *args):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True).stdout


def check(tree):
    run = subprocess.run([sys.executable, "tools/check.py"], cwd=tree, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    "The working tree as it is now, as a repository of its own with one commit."
    tree = tmp_path_factory.mktemp("check") / "adapool"
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if not name or not (ROOT / name).is_file(): continue
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "as it is")
    return tree


@pytest.fixture
def tree(repository):
    yield repository
    git(repository, "reset", "-q", "--hard")
    git(repository, "clean", "-fdq")


def edit_notebook(path, change):
    nb = json.loads(path.read_text(encoding="utf-8"))
    change(nb)
    path.write_text(json.dumps(nb, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def test_all_is_well(tree):
    assert check(tree) == (0, "check passed: notebooks clean, package and README.md in step with them\n")


def hand_edited_module(tree):
    with (tree / "adapool/windows.py").open("a") as f: f.write("# edited by hand\n")
    return "adapool/windows.py"


def deleted_module(tree):
    (tree / "adapool/nn.py").unlink()
    return "adapool/nn.py"


def orphan_module(tree):
    (tree / "nbs/04_nn.ipynb").unlink()
    return "adapool/nn.py"


def execution_count(tree):
    edit_notebook(tree / "nbs/01_windows.ipynb", lambda nb: nb["cells"][1].update(execution_count=3))
    return "nbs/01_windows.ipynb"


def stray_metadata(tree):
    edit_notebook(tree / "nbs/01_windows.ipynb", lambda nb: nb["cells"][0]["metadata"].update(collapsed=True))
    return "nbs/01_windows.ipynb"


def unexported_cell(tree):
    edit_notebook(tree / "nbs/04_nn.ipynb", lambda nb: nb["cells"][3]["source"].append("\nimport math"))
    return "adapool/nn.py"


def stale_readme(tree):
    edit_notebook(tree / "nbs/index.ipynb", lambda nb: nb["cells"][0]["source"].append("\n\nNew."))
    return "README.md"


def uncommitted_module(tree):
    cells = [dict(cell_type="code", id=f"new{i}", metadata={}, outputs=[], execution_count=None, source=[source])
             for i, source in enumerate(["#| default_exp fresh", "#| export\nX = 1"])]
    new = dict(json.loads((tree / "nbs/04_nn.ipynb").read_text(encoding="utf-8")), cells=cells)
    (tree / "nbs/20_fresh.ipynb").write_text(json.dumps(new), encoding="utf-8")
    for command in ("nbdev_clean", "nbdev_export"):
        subprocess.run([str(Path(sys.executable).parent / command)], cwd=tree, check=True, capture_output=True)
    git(tree, "add", "adapool/_modidx.py")
    return "adapool/fresh.py"


@pytest.mark.parametrize("fault", [hand_edited_module, deleted_module, orphan_module, execution_count, stray_metadata,
                                   unexported_cell, stale_readme, uncommitted_module], ids=lambda f: f.__name__)
def test_a_fault_is_found_and_named(tree, fault):
    named = fault(tree)
    code, said = check(tree)
    assert code == 1
    assert f"{named}: " in said
    assert "Traceback" not in said
