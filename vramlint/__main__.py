"""The process behind `vramlint` and `python -m vramlint`: it ends quickly, and prints on any terminal."""

from __future__ import annotations

import gc
import io
import sys

GARBAGE_WORTH_COLLECTING = 50_000
"""Objects made since the last collection; a lint of one file stays below it, one of a thousand files does not."""


def main() -> int:
    """The command line; its exit code."""
    gc.set_threshold(GARBAGE_WORTH_COLLECTING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # cp1252 gets \u2192 for →, not a traceback
    from vramlint.cli import main as command_line  # noqa: PLC0415  # click is loaded under that threshold too

    try:
        return command_line()
    finally:
        gc.freeze()  # the last collection, at exit, would visit every object alive: 15 ms of a run of 90


if __name__ == "__main__":
    raise SystemExit(main())
