"100 000 calls with nonsense (`fuzz.py`), each seed in a process of its own: a crash or a hang fails a test."

import subprocess
import sys
from pathlib import Path

import fuzz
import pytest
from quick import slow

CALLS = [(0, 2000), *(slow((seed, 12_500)) for seed in range(8))]  # seed, and how many
RUN = "import sys, fuzz; sys.exit(fuzz.main(int(sys.argv[1]), int(sys.argv[2]), counter=sys.argv[3]))"


@pytest.mark.parametrize("seed, calls", CALLS)
def test_nonsense_ends_in_a_clear_error_or_a_right_answer(seed, calls, tmp_path):
    counter = tmp_path / "counter"
    counter.write_bytes(bytes(8))
    run = subprocess.run([sys.executable, "-c", RUN, str(seed), str(calls), str(counter)],
                         cwd=Path(__file__).parent, capture_output=True, text=True)
    last = int.from_bytes(counter.read_bytes(), "little")
    if run.returncode: pytest.fail(
        f"exit status {run.returncode}, at call {last} (python tests/fuzz.py {seed} {calls} {last}):\n"
        f"{run.stdout[:5000]}\n{run.stderr[-3000:]}", pytrace=False)
    assert last == calls - 1


def test_every_public_function_is_called():
    "The walk through `__all__` finds them, and each module without functions for users is known to have none."
    found = {name.split(".")[0] for name in fuzz.functions()}
    assert {"arithmetic", "windows", "pooling", "functional", "nn", "networks", "exercises", "export", "plot"} <= found
    assert not found & set(fuzz.NO_FUNCTIONS)
    import adapool
    for stem, names in fuzz.INNER.items():
        assert names <= set(fuzz.modules()[stem].__all__), stem
        assert not names & set(adapool.__all__), stem
    for name in set(adapool.__all__) - fuzz.RECORDS:
        assert any(f.split(".")[1] == name for f in fuzz.functions()), name
    for name in fuzz.functions():
        unknown = {p.name for p in fuzz.takes(name)} - {*fuzz.PROPER, "draw", "opset", "progress", "dynamic_shapes"}
        assert not unknown, f"{name}: put something proper for {unknown} into fuzz.PROPER"
