"""`python -m benchmarks`: the cold lint beside its neighbours, and the parts of it in one process."""

from __future__ import annotations

import argparse
import os

from benchmarks import cold, warm


def main() -> int:
    """Both tables; with `--check`, 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="cold runs of each tool (default 15)")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}" + (" (busy: read the ratios, not the times)" if load > 1 else ""))
    met = [cold.report(arguments.rounds), warm.report()]
    return 0 if all(met) or not arguments.check else 1


if __name__ == "__main__":
    raise SystemExit(main())
