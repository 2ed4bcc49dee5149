"""docs/frameworks.md is what the schemas say, and says of each dialect whether it is estimated."""

from __future__ import annotations

from lab.framework_page import PAGE, page
from vramlint.dialects.schemas import dialect_names


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m lab.framework_page"


def test_every_dialect_has_a_line() -> None:
    lines = page().splitlines()
    for name in dialect_names():
        assert sum(line.startswith(f"| `{name}` |") for line in lines) == 1
    assert any(line.startswith("| `axolotl` |") and "| yes |" in line for line in lines)
    assert any(line.startswith("| `kohya` |") and "| not yet |" in line for line in lines)
