"""What is said on the two streams, and the error of a command line that asks for what there is not."""

from __future__ import annotations

import sys


class UsageError(Exception):
    """The command line cannot be followed; the message says what was wrong with it."""


class FileError(Exception):
    """A file cannot be written; the message names it and says why."""


def say(text: str, *, to_errors: bool = False) -> None:
    """Write `text` as it stands onto standard output or standard error."""
    stream = sys.stderr if to_errors else sys.stdout
    stream.write(text)
    stream.flush()
