"""Sizes as people write them ⇄ bytes; only the screen and the command line know GiB."""

from __future__ import annotations

import re

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes of `500MiB`, `1.5 GiB`, `2GB`; ValueError says what was expected."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS:
        raise ValueError(f"{text!r} is no size: write it as 500MiB or 1.5GiB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def in_gib(size: int) -> str:
    """`13.3 GiB`; small sizes in MiB so that nothing is shown as 0.0."""
    return f"{size / 2**30:.1f} GiB" if size >= 100 << 20 else f"{size / 2**20:.0f} MiB"
