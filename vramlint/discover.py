"""Which files to look at: those named, and those of a named directory that could be training configs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

from vramlint.dataclass import dataclass

SUFFIXES = (".yaml", ".yml", ".toml", ".json", ".jsonc", ".py")
PASSED_OVER = frozenset({
    "node_modules", "__pycache__", "site-packages", "venv", "build", "dist", "wandb", "outputs", "checkpoints",
})

OWN = "vramlint.toml"
"""Our own configuration, which may name the keys of a run."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to look at; `named` if the user named it rather than a directory above it."""

    path: str
    named: bool


def discover(paths: Sequence[str]) -> Iterator[Found]:
    """Each file once, in the order given; directories in sorted order, hidden ones and build folders left out."""
    seen: set[str] = set()
    for path in paths:
        for found in _walk(path) if os.path.isdir(path) else [Found(path, named=True)]:
            key = os.path.realpath(found.path) if found.path != "-" else "-"
            if key not in seen:
                seen.add(key)
                yield found


def _walk(directory: str) -> Iterator[Found]:
    for root, folders, names in os.walk(directory):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in PASSED_OVER)
        for name in sorted(names):
            path = os.path.join(root, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and name != OWN and _is_regular(path):
                yield Found(path, named=False)


def _is_regular(path: str) -> bool:
    """A FIFO or a device would block the read."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
