"Integers of 8 bits in LiteRT, ONNX Runtime, OpenVINO and ExecuTorch: near float, integers from end to end in LiteRT."

import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from int8 import POOLS, missing, row


@pytest.mark.parametrize("pools", POOLS)
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime", "openvino", "executorch"])
def test_answers_stay_and_integers_stay(runtime, pools):
    if absent := missing(runtime): pytest.skip(f"{', '.join(absent)} not installed")
    found = row(runtime, pools, ours=True)
    before, after = found["accuracy"]
    assert after > before - 0.02 and found["float_error"] < 1e-5 and found["error"] < 0.02
    if runtime == "litert": assert "DEQUANTIZE" not in found["operators"][1]
