"""Opens the files that a config names: relative to itself first, then to the folders above it up to its project's root.

Frameworks resolve such names against the directory that they are started in, which is mostly the project's root. A config comes
from anyone, so nothing outside its project is opened for it.
"""

from __future__ import annotations

import os
import stat

from vramlint.dialects import Companions, Opener
from vramlint.project import places
from vramlint.source import SourceError, SourceFile, format_of, read

MOST_BYTES = 1 << 20


def companions_of(path: str, launched_with: tuple[SourceFile, ...] = ()) -> Companions:
    """How to open what the file at `path` names, and what it is launched with; `-` stands in the current directory."""
    return Companions(_opener(), () if any(_same(path, file.path) for file in launched_with) else launched_with)


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _opener() -> Opener:
    known: dict[tuple[str, str], SourceFile | str] = {}

    def opened(text: str, path: str) -> SourceFile | str:
        directory = os.path.dirname(os.path.abspath(path)) if path not in ("", "-") else os.getcwd()
        key = (text, directory)
        if key not in known:
            known[key] = _open(text, directory, absolute=os.path.isabs(path))
        return known[key]

    return opened


def _open(text: str, directory: str, *, absolute: bool) -> SourceFile | str:
    if "\0" in text or len(text) > 1000:
        return "it is no name of a file"
    above = places(directory)
    root = os.path.realpath(above[-1])
    outside = False
    for place in above:
        path = os.path.normpath(os.path.join(place, os.path.expanduser(text)))
        real = os.path.realpath(path)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            outside = True
        elif os.path.exists(path):
            return opened_file(path if absolute else os.path.relpath(path))
    if outside:
        return f"it is outside the project ({above[-1]}), so it is not read; --companion names it all the same"
    return f"there is no such file here or above, up to {above[-1]}; --companion names it"


def opened_file(path: str) -> SourceFile | str:
    """The file as read, or why it cannot be."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return "it is no regular file"
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    try:
        return read(path, data, format_of(path))
    except SourceError as error:
        return f"it cannot be read: {error.message}"
