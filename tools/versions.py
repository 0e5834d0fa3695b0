"""Do the quick tests pass with the lowest versions that are declared, with the newest of everything, and with the pins?

    python tools/versions.py                        all three, an hour; what is not on disk is fetched: gigabytes
    python tools/versions.py lowest -- -k windows   one of them, and what these arguments of pytest choose
    python tools/versions.py pins --python python3.13

Each is an environment in _build/versions, kept for the next time, with the package, its extras and what tests need.
The lowest are the floors in settings.ini; of what only developers need, the newest that goes with them. What pytest
says is kept beside each.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build" / "versions"
SHOWN = "numpy", "torch", "numba", "matplotlib", "onnxscript"


def floors():
    "The lowest version that is declared of each thing that the package or an extra needs, as constraints."
    config = ConfigParser(delimiters="=")
    config.read_string((ROOT / "settings.ini").read_text(encoding="utf-8"))
    needs = [need for key, words in config["DEFAULT"].items() if key.endswith("requirements") for need in words.split()]
    return sorted({need.replace(">=", "==") for need in needs if ">=" in need})


def options(name):
    "What pip is told for an environment."
    if name == "newest": return ["--upgrade", "--upgrade-strategy", "eager"]
    if name == "pins": return ["-c", "constraints.txt"]
    (BUILD / "lowest.txt").write_text("\n".join(floors()) + "\n", encoding="utf-8")
    return ["-c", str(BUILD / "lowest.txt")]


def made(name, python):
    "The Python of an environment with everything installed."
    BUILD.mkdir(parents=True, exist_ok=True)
    inside = BUILD / name / "bin" / "python"
    if not inside.exists(): subprocess.run([python, "-m", "venv", BUILD / name], check=True)
    pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "pip>=25.1"], check=True, cwd=ROOT)
    package = ["--group", "dev", "--config-settings", "editable_mode=compat", "-e", ".[all]"]
    subprocess.run([*pip, *options(name), *package], check=True, cwd=ROOT)
    return inside


def versions(python):
    "What is installed, of Python and the packages in `SHOWN`."
    code = ("import json, platform, sys\nfrom importlib.metadata import version\n"
            "print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))")
    return json.loads(subprocess.run([python, "-c", code, *SHOWN], check=True, capture_output=True, text=True).stdout)


def tried(name, python, chosen):
    "A row of the table: what is installed, and what pytest says of it."
    inside, start = made(name, python), time.monotonic()
    run = subprocess.run([inside, "-m", "pytest", "-q", *chosen], cwd=ROOT, capture_output=True, text=True)
    (BUILD / f"{name}-tests.txt").write_text(run.stdout + run.stderr, encoding="utf-8")
    said = re.findall(r"^.*\d (?:passed|failed|error).*$", run.stdout, re.MULTILINE)
    counts = re.sub(r" in .*|=+ ?", "", said[-1]) if said else "no tests ran"
    return run.returncode, [name, *versions(inside), f"{counts} ({time.monotonic() - start:.0f} s)"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="word", help="lowest, newest or pins; after --, words for pytest")
    parser.add_argument("--python", default=sys.executable, help="makes environments that are not there yet")
    args = parser.parse_args()
    every = ["lowest", "newest", "pins"]
    names, chosen = ([word for word in args.names if (word in every) == known] for known in (True, False))
    found = [tried(name, args.python, chosen) for name in names or every]
    for row in [["", "python", *SHOWN, "tests"], *(row for _, row in found)]:
        print("  ".join(f"{word:10}" for word in row))
    sys.exit(any(code for code, _ in found))


if __name__ == "__main__": main()
