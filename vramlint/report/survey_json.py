"""`vramlint targets` as JSON, versioned; all sizes in bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from vramlint.report.report import Record

VERSION = 1


def render(records: Sequence[Record], *, colour: bool = False) -> str:  # noqa: ARG001  # the same for every format
    """One object; `files` in the order given."""
    return json.dumps({"version": VERSION, "files": list(records)}, indent=2, ensure_ascii=False) + "\n"
