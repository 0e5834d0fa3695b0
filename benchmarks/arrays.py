"""Arrays beside other libraries: gaps, weights and area in memory, as `benchmarks/arrays_memory.py` has them.

    python benchmarks/arrays.py
"""

import argparse

import arrays_memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=2)
    arrays_memory.main(**vars(parser.parse_args()))


if __name__ == "__main__": main()
