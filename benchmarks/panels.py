"""How long the kernel takes from a slider that moves to a picture: medians and the slowest, in milliseconds.

    python benchmarks/panels.py
"""

import statistics
import time

from adapool import explore

WIDE = dict(input_size=24, stride=1)
WALKS = {
    "layer, as it opens": (explore.layer_panel, {}, {"stride": range(1, 9), "kernel_size": range(1, 11)}),
    "layer, 24 cells": (explore.layer_panel, WIDE, {"padding": range(7), "kernel_size": range(1, 12)}),
    "transposed": (explore.layer_panel, {"transposed": True}, {"input_size": range(2, 17), "kernel_size": range(1, 6)}),
    "adaptive, as it opens": (explore.adaptive_panel, {}, {"input_size": range(1, 17), "output_size": range(1, 11)}),
    "adaptive, 24 cells": (explore.adaptive_panel, {"input_size": 24}, {"output_size": range(1, 25)}),
    "photograph": (explore.photograph_panel, {}, {"rows": range(1, 17), "columns": range(1, 17)}),
}


def milliseconds(panel, name, value):
    "The time of one step of a slider."
    start = time.perf_counter()
    panel.controls[name].value = value
    return 1000 * (time.perf_counter() - start)


def main():
    print(f"{'':<24}{'median':>8}{'slowest':>9}  steps")
    for words, (make, start, walks) in WALKS.items():
        make(**start)  # fonts and photograph are read once
        times = []
        for name, values in walks.items():
            panel = make(**start)
            steps = [value for value in values if value != panel.controls[name].value]
            times += [milliseconds(panel, name, value) for value in steps]
        print(f"{words:<24}{statistics.median(times):>8.0f}{max(times):>9.0f}  {len(times)}")


if __name__ == "__main__": main()
