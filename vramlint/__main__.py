"""The process: `vramlint` and `python -m vramlint`. It is short, so it neither collects while it starts nor as it ends."""

from __future__ import annotations

import gc

GARBAGE_WORTH_COLLECTING = 50_000
"""Objects made since the last collection; a lint of one file stays below it, one of a thousand files does not."""


def main() -> int:
    """The command line; its exit code."""
    gc.set_threshold(GARBAGE_WORTH_COLLECTING)
    from vramlint.cli import main as command_line  # noqa: PLC0415  # click is loaded under that threshold too

    try:
        return command_line()
    finally:
        gc.freeze()  # the last collection, at exit, would visit every object alive: 15 ms of a run of 90


if __name__ == "__main__":
    raise SystemExit(main())
