"""What libraries do at each import or call, done once in a process that runs many tests or pages. No result changes."""

import functools
import gc
import sys
from contextlib import suppress


def leave_out_grammars():
    "Before jsonschema is loaded: for a check of addresses that no notebook has, it reads 38 grammars, in 2 seconds."
    sys.modules.setdefault("rfc3987_syntax", None)


def read_torchlib_once():
    "torch.onnx.export parses the 500 functions that it can translate to at each call, half of a small model's time."
    with suppress(ImportError, AttributeError):  # a torch that does it another way
        from torch.onnx._internal._lazy_import import onnxscript_apis
        onnxscript_apis.get_torchlib_ops = functools.cache(onnxscript_apis.get_torchlib_ops)


def keep_what_is_loaded():
    "The search for garbage takes 0.3 s among all that torch makes when it is loaded, and finds nothing there."
    gc.collect()
    gc.freeze()
