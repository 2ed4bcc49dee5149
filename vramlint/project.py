"""How far the project of a file goes."""

from __future__ import annotations

import os


def places(directory: str) -> list[str]:
    """The directory and those above it as far as its project goes, the last of them its root; takes an absolute path.

    Up to the repository's root; outside of a repository, up to the current directory if that is above; else `directory` alone.
    """
    here, found = os.getcwd(), [directory]
    while True:
        last = found[-1]
        if last == here or os.path.exists(os.path.join(last, ".git")):
            return found
        above = os.path.dirname(last)
        if above == last:
            return [directory]
        found.append(above)
