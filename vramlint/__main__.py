"""The process behind `vramlint` and `python -m vramlint`: it ends quickly, prints on any terminal, gives the exit code."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence

from vramlint.fast_arguments import fast_arguments
from vramlint.screen import FileError, UsageError, say

GARBAGE_WORTH_COLLECTING = 50_000
"""Objects made since the last collection; a lint of one file stays below it, one of a thousand files does not."""
USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    gc.set_threshold(GARBAGE_WORTH_COLLECTING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # cp1252 gets \\u2192 for →, not a traceback
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except (UsageError, FileError) as error:
        say(f"Error: {error}\n", to_errors=True)
        return USAGE_ERROR
    except BrokenPipeError:
        # The reader has gone; Python would complain once more while flushing on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        gc.freeze()  # the last collection, at exit, would visit every object alive: 15 ms of a run of 90


def _run(arguments: Sequence[str]) -> int:
    options = fast_arguments(arguments)
    if options is not None:
        from vramlint.command import run_check  # noqa: PLC0415  # --help needs no rooms

        return run_check(options)
    from vramlint.cli import main as command_line  # noqa: PLC0415  # click is loaded under that threshold too

    return command_line(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
