"""Where the shipped data is: the compiled JSON of a wheel, or the `schemas/` and `rules/` of a checkout."""

from __future__ import annotations

import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))
COMPILED = os.path.join(PACKAGE, "_data")
CHECKOUT = os.path.dirname(PACKAGE)


def compiled(name: str) -> str | None:
    """The path of `_data/<name>` in a built package, else None: the sources beside it are read."""
    path = os.path.join(COMPILED, name)
    return path if not is_checkout() and os.path.exists(path) else None


def is_checkout() -> bool:
    """Whether the package stands in its repository, `rules/` and `schemas/` beside it."""
    return os.path.isdir(os.path.join(CHECKOUT, "rules")) and os.path.isdir(os.path.join(CHECKOUT, "schemas"))


def source_directory(name: str) -> str:
    """The directory `rules` or `schemas` of the checkout."""
    return os.path.join(CHECKOUT, name)
