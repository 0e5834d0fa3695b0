"""Arrays beside other libraries: gaps, weights, area in memory (`arrays_memory.py`), labelled (`arrays_labelled.py`).

    python benchmarks/arrays.py
"""

import argparse

import arrays_labelled
import arrays_memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=2)
    for part in (arrays_memory, arrays_labelled): part.main(**vars(parser.parse_args()))


if __name__ == "__main__": main()
