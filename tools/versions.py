"""Do the quick tests pass with the lowest versions that are declared, with the newest of everything, and with the pins?

    python tools/versions.py                        all three, an hour; what is not on disk is fetched: gigabytes
    python tools/versions.py lowest -- -k windows   one of them, and what follows -- are arguments of pytest
    python tools/versions.py torch==2.14.0          the newest of everything, but this
    python tools/versions.py pins --python python3.13

Each is an environment in _build/versions, kept for the next time, with the package, its extras and what tests need.
The lowest are the floors in settings.ini; of what only developers need, the newest that goes with them. What pip and
pytest say is kept beside each. Fails where a test fails or an environment cannot be made.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build" / "versions"
KNOWN = "lowest", "newest", "pins"
SHOWN = "numpy", "torch", "numba", "matplotlib", "onnx", "onnxscript"


def floors():
    "The lowest version that is declared of each thing that the package or an extra needs, as constraints."
    config = ConfigParser(delimiters="=")
    config.read_string((ROOT / "settings.ini").read_text(encoding="utf-8"))
    needs = [need for key, words in config["DEFAULT"].items() if key.endswith("requirements") for need in words.split()]
    return sorted({need.replace(">=", "==") for need in needs if ">=" in need})


def options(name):
    "What pip is told for an environment."
    if name == "pins": return ["-c", "constraints.txt"]
    if name != "lowest": return ["--upgrade", "--upgrade-strategy", "eager", *([] if name == "newest" else [name])]
    (BUILD / "lowest.txt").write_text("\n".join(floors()) + "\n", encoding="utf-8")
    return ["-c", str(BUILD / "lowest.txt")]


def kept(words, log):
    "The exit status of a command and what it prints, which goes into a file too."
    run = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with log.open("a", encoding="utf-8") as file: file.write(run.stdout)
    return run.returncode, run.stdout


def made(folder, name, python, log):
    "The Python of an environment with everything installed; None where pip could not."
    inside = folder / "bin" / "python"
    pip = [inside, "-m", "pip", "install", "--disable-pip-version-check"]
    package = ["--group", "dev", "--config-settings", "editable_mode=compat", "-e", ".[all]"]
    steps = [[*pip, "pip>=25.1"], [*pip, *options(name), *package]]
    if not inside.exists(): steps.insert(0, [python, "-m", "venv", folder])
    return None if any(kept(step, log)[0] for step in steps) else inside


def versions(python):
    "What is installed, of Python and the packages in `SHOWN`."
    code = ("import json, platform, sys\nfrom importlib.metadata import version\n"
            "print(json.dumps([platform.python_version(), *map(version, sys.argv[1:])]))")
    return json.loads(subprocess.run([python, "-c", code, *SHOWN], check=True, capture_output=True, text=True).stdout)


def tried(name, python, chosen):
    "A row of the table: what is installed, and what pytest says of it; and was all well?"
    BUILD.mkdir(parents=True, exist_ok=True)
    label = name if python == sys.executable else f"{name}-{Path(python).name}"
    logs = [BUILD / f"{label}-{what}.txt" for what in ("pip", "tests")]
    for log in logs: log.unlink(missing_ok=True)
    print(f"{label}: pip installs, and says so in {logs[0].relative_to(ROOT)}", flush=True)
    inside = made(BUILD / label, name, python, logs[0])
    if not inside: return False, [label, *["-"] * (1 + len(SHOWN)), "could not be installed"]
    print(f"{label}: pytest runs, and says so in {logs[1].relative_to(ROOT)}", flush=True)
    start = time.monotonic()
    status, text = kept([inside, "-m", "pytest", "-q", *chosen], logs[1])
    for line in re.findall(r"^(?:FAILED|ERROR) .*", text, re.MULTILINE): print(f"{label}: {line}")
    counts = re.findall(r"^(?:=+ )?(\d+ (?:passed|failed|skipped|error).*?) in .*$", text, re.MULTILINE)
    seconds = time.monotonic() - start
    return status == 0, [label, *versions(inside), f"{counts[-1] if counts else 'no test ran'} ({seconds:.0f} s)"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(KNOWN)}; or a version, as torch==2.14.0; all three")
    parser.add_argument("--python", default=sys.executable, help="makes them and runs them")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    for name in args.names:
        if name not in KNOWN and "==" not in name: parser.error(f"{name} is none of {', '.join(KNOWN)}, and no version")
    if not shutil.which(args.python): parser.error(f"there is no {args.python}")
    found = [tried(name, args.python, words[cut + 1:]) for name in args.names or KNOWN]
    rows = [["", "python", *SHOWN, "tests"], *(row for _, row in found)]
    wide = [max(map(len, column)) for column in zip(*rows)]
    for row in rows: print("  ".join(word.ljust(width) for word, width in zip(row, wide)).rstrip())
    sys.exit(not all(well for well, _ in found))


if __name__ == "__main__": main()
