"""Where the shipped data is: the compiled JSON of a built package, or the `schemas/` and `rules/` of a checkout."""

from __future__ import annotations

import os

PACKAGE = os.path.dirname(os.path.abspath(__file__))
COMPILED = os.path.join(PACKAGE, "_data")
CHECKOUT = os.path.dirname(PACKAGE)


def compiled(name: str) -> str | None:
    """The path of `_data/<name>` in a built package, else None: a checkout has no `_data`, and its sources are read.

    One look at the disk: what stands beside an installed package is never asked, since `rules` and `schemas` are names
    that another project may have put into site-packages too.
    """
    return None if is_checkout() else os.path.join(COMPILED, name)


def is_checkout() -> bool:
    """Whether the package stands in its repository, its data beside it, rather than being built."""
    return not os.path.isdir(COMPILED)


def source_directory(name: str) -> str:
    """The directory `rules` or `schemas` of the checkout."""
    return os.path.join(CHECKOUT, name)
