"""`python -m lab.framework_page`: docs/frameworks.md from schemas/*.schema.json; `--check` only says whether it is current."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from vramlint.memory.own_loops import OWN_LOOPS
from vramlint.memory.trainers import TRAINERS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "frameworks.md"
NONE = ("config", "rule", "run")
HEAD = """\
# Whose configs are read

Written by `python -m lab.framework_page` from `schemas/`. A dialect is found by the content of a file; `--dialect NAME` or a
comment `# vramlint: dialect=NAME` names it. Keys, values and rules are checked for all of them, in the framework's own words.
*Estimated*: the training loop underneath is one that is simulated; where it is not, the output says so and gives no number.
How to add one: [dialects.md](dialects.md).

| dialect | what | estimated | read off |
|---|---|---|---|
"""


def rows() -> Iterator[str]:
    """One line for each dialect, by name."""
    for path in sorted((ROOT / "schemas").glob("*.schema.json")):
        name = path.name.removesuffix(".schema.json")
        if name in NONE:
            continue
        schema = json.loads(path.read_text(encoding="utf-8"))
        about = schema.get("x-vramlint", {})
        estimated = "yes" if about.get("trainer", "transformers") in (*TRAINERS, *OWN_LOOPS) else "not yet"
        source = about.get("source") or "transformers 5.17, TRL 1.16, peft 0.21, bitsandbytes 0.50"
        yield f"| `{name}` | {' '.join(schema.get('description', '').split())} | {estimated} | {source} |"


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(rows()) + "\n"


def main() -> int:
    """Write the page, or say that it is not current."""
    parser = argparse.ArgumentParser(prog="lab.framework_page", description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
