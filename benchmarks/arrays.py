"""Arrays beside other libraries: gaps, weights, area in memory (`arrays_memory.py`), labelled (`arrays_labelled.py`),
larger than memory (`arrays_dask.py`).

    python benchmarks/arrays.py
"""

import argparse

import arrays_dask
import arrays_labelled
import arrays_memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gigabytes", type=float, default=8.0, help="of the store on disk")
    for part in (arrays_memory, arrays_labelled, arrays_dask): part.main(**vars(parser.parse_args()))


if __name__ == "__main__": main()
