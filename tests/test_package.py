"What is promised of the package as a whole: what it imports, and what it offers."

import ast
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import adapool

PACKAGE = Path(adapool.__file__).parent
ORDER = ["exercises", "arithmetic", "windows", "vectors", "kernels", "pooling", "functional", "nn", "export",
         "networks", "answers", "plot", "explore", "flashcards"]


def python(code, **where):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, **where)
    return run.stdout.strip()


def source(module):
    path = PACKAGE / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(module):
    "The names that a module imports, at any depth of its code."
    found, path = set(), source(module)
    package = ["adapool", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import): found |= {a.name for a in node.names}
        if isinstance(node, ast.ImportFrom):
            above = package[:len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            inner = origin.startswith("adapool") and (PACKAGE / "/".join(origin.split(".")[1:])).is_dir()
            found |= {f"{origin}.{a.name}" for a in node.names} if inner else {origin}
            assert "*" not in {a.name for a in node.names}, f"{module} imports a star"
    return found


def test_import_brings_neither_torch_nor_matplotlib():
    code = "import sys, adapool; print([m for m in ('torch', 'matplotlib', 'numba', 'llvmlite') if m in sys.modules])"
    assert python(code) == "[]"


@pytest.mark.parametrize("name", adapool._AT_FIRST_USE)
def test_parts_come_at_first_use(name):
    assert python(f"import adapool; print(adapool.{name}.__name__)") == f"adapool.{name}"


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_downwards(module):
    ours = {name for name in imports(module) if name.startswith("adapool")}
    lower = [f"adapool.{name}" for name in ORDER[:ORDER.index(module)]]
    for name in ours: assert any(name == room or name.startswith(f"{room}.") for room in lower), name
    assert ours or module in ("exercises", "arithmetic", "vectors")
    if ORDER.index(module) < ORDER.index("functional"): assert "torch" not in imports(module)
    roots = {name.split(".")[0] for name in imports(module)}
    if module in ("exercises", "arithmetic"): assert roots <= sys.stdlib_module_names


def test_a_clone_in_the_working_folder_does_not_hide_the_package(tmp_path):
    (tmp_path / "adapool").symlink_to(PACKAGE.parent)
    installed = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert python("import adapool; print(adapool.adaptive_pool([1, 3], 1))", cwd=tmp_path, env=installed) == "[2.]"


def test_every_module_is_known():
    rooms = {".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
    assert {room.removesuffix(".__init__") for room in rooms} == {*ORDER, "__init__", "_modidx"}


def test_public_functions_say_their_types():
    unsaid = []
    for module in ORDER:
        if module in ("export", "kernels", "vectors"): continue  # models and addresses
        part = importlib.import_module(f"adapool.{module}")
        for name in part.__all__:
            if not inspect.isfunction(f := getattr(part, name)): continue
            given = inspect.signature(f)
            kinds = [*(p.annotation for p in given.parameters.values()), given.return_annotation]
            if inspect.Signature.empty in kinds: unsaid.append(f"{module}.{name}")
    assert unsaid == []
    assert (PACKAGE / "py.typed").exists()


def test_public_names_have_docstrings():
    for name in adapool.__all__: assert getattr(adapool, name).__doc__, name
    for module in ORDER:
        part = importlib.import_module(f"adapool.{module}")
        for name in part.__all__:
            thing = getattr(part, name)
            if callable(thing): assert thing.__doc__, f"{module}.{name}"
