"""What differs between versions of the libraries that train: facts that hold below or from a version, as data with sources."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from vramlint.catalog.config import DATA

FACTS = os.path.join(DATA, "library_facts.json")


def library_facts(stack: Mapping[str, str], model_type: str) -> frozenset[str]:
    """The names of the facts that hold for a model with the versions in `stack`; a library that is not in it is current."""
    if not stack:
        return frozenset()
    with open(FACTS, encoding="utf-8") as file:
        entries: list[dict[str, Any]] = json.load(file)
    return frozenset(
        entry["fact"] for entry in entries
        if entry["library"] in stack and _holds(entry, version_of(stack[entry["library"]]))
        and model_type in entry.get("models", (model_type,))
    )


def version_of(text: str) -> tuple[int, ...]:
    """`4.48.1.post1` as (4, 48, 1); what is no number ends it."""
    found = re.match(r"\s*v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _holds(entry: Mapping[str, Any], version: tuple[int, ...]) -> bool:
    return version != () and version_of(entry.get("from", "0")) <= version < version_of(entry.get("before", "999999"))
