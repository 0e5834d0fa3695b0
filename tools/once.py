"""What libraries do at each import or call, done once in a process that runs many tests or pages. No result changes."""

import copy
import functools
import gc
import sys
from contextlib import suppress


def leave_out_grammars():
    "Before jsonschema is loaded: for a check of addresses that no notebook has, it reads 38 grammars, in 2 seconds."
    sys.modules.setdefault("rfc3987_syntax", None)


def read_torchlib_once():
    "torch.onnx.export reads the 500 functions that it can translate to at each call, half of a small model's time."
    with suppress(ImportError, AttributeError):  # a torch that does it another way
        from torch.onnx._internal.exporter._registration import ONNXRegistry
        read = functools.cache(ONNXRegistry.from_torchlib)
        def from_torchlib(**options):
            registry = copy.copy(read(**options))
            registry.functions = {name: list(functions) for name, functions in registry.functions.items()}
            return registry
        ONNXRegistry.from_torchlib = staticmethod(from_torchlib)


def keep_what_is_loaded():
    "The search for garbage takes 0.3 s among all that torch makes when it is loaded, and finds nothing there."
    gc.collect()
    gc.freeze()
