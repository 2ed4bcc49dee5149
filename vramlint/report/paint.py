"""Whether to colour, and what each thing on the screen is coloured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STYLES: dict[str, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "warning": {"fg": "yellow", "bold": True},
    "info": {"fg": "cyan", "bold": True},
    "path": {"bold": True},
    "gutter": {"fg": "blue"},
    "related": {"fg": "blue"},
    "help": {"fg": "green", "bold": True},
    "faint": {"dim": True},
    "good": {"fg": "green", "bold": True},
    "number": {"bold": True},
}


def wants_colour(choice: str, *, is_terminal: bool, environment: Mapping[str, str]) -> bool:
    """What `--color` comes to; for `auto`, NO_COLOR decides, then FORCE_COLOR, then whether it is a terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return is_terminal and environment.get("TERM") != "dumb"


class Paint:
    """Colours text by what it is, or leaves it as it is."""

    __slots__ = ("_on",)

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, role: str) -> str:
        """The text in the style of `role`."""
        if not self._on or not text:
            return text
        from click import style  # noqa: PLC0415  # plain output needs no click

        return style(text, **STYLES[role])
