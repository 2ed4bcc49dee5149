"""`python -m lab.rule_pages`: docs/rules.md and docs/rules/*.md from the rules; `--check` only says what is not current."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vramlint.linter import load_rules
from vramlint.rules import Rule

DOCS = Path(__file__).resolve().parents[1] / "docs"
GROUPS = {
    "VRM0": "Files, configurations and comments",
    "VRM1": "Keys, types and spelling",
    "VRM2": "Does it fit",
    "VRM3": "What the card lacks",
    "VRM4": "Memory that is wasted",
    "VRM5": "Combinations that fail",
    "VRM6": "Settings that change nothing",
}
LANGUAGES = {"python": "python", "toml": "toml", "json": "json", "configuration": "toml", "latin-1": "text"}
NEEDS = {"target": "a card", "estimate": "an estimate", "model": "a known model"}


def main() -> int:
    """Write the pages, or with `--check` give 1 if one of them is not current."""
    parser = argparse.ArgumentParser(prog="python -m lab.rule_pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is not current")
    is_checking = parser.parse_args().check
    wanted, there = pages(load_rules().rules), written()
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    for name in stale:
        print(f"docs/{name}: {'not current' if is_checking else 'written' if name in wanted else 'taken out'}")
        if not is_checking:
            _put(DOCS / name, wanted.get(name))
    return int(bool(stale) and is_checking)


def written() -> dict[str, str]:
    """The pages as they stand, by their path below docs/."""
    paths = [*sorted((DOCS / "rules").glob("*.md")), *DOCS.glob("rules.md")]
    return {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _put(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def pages(rules: list[Rule]) -> dict[str, str]:
    """Every page by its path below docs/."""
    return {"rules.md": _index(rules), **{f"rules/{page_name(rule)}": "\n".join(_page(rule)) for rule in rules}}


def page_name(rule: Rule) -> str:
    """The file of a rule's page."""
    return f"{rule.code}-{rule.name}.md"


def _index(rules: list[Rule]) -> str:
    lines = [
        "# Rules", "",
        f"{len(rules)} rules. A code or a name works wherever a rule is named: `--select`, `--ignore`, a configuration,",
        "a comment `# vramlint: ignore[VRM402] reason`, `vramlint explain`. Those marked *off* are asked only where they are",
        "selected. How to write rules of your own: [own-rules.md](own-rules.md).", "",
        "<!-- written by `python -m lab.rule_pages` from rules/*.yaml -->", "",
    ]
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", "| code | name | severity | what it finds | fix |", "|---|---|---|---|---|"]
        lines += [_row(rule) for rule in rules if rule.code.startswith(group)]
        lines.append("")
    return "\n".join(lines)


def _row(rule: Rule) -> str:
    severity = rule.severity if rule.default else f"{rule.severity}, *off*"
    safeties = list(dict.fromkeys(fix["safety"] for fix in rule.data.get("fixes", ())))
    shown = ", ".join(safety for safety in safeties if safety != "display")
    return f"| [{rule.code}](rules/{page_name(rule)}) | {rule.name} | {severity} | {_cell(rule.what)} | {shown} |"


def _page(rule: Rule) -> Iterator[str]:
    content = rule.data
    yield f"# {rule.code} {rule.name}"
    yield ""
    when = ", off in CI" if rule.is_quiet_in_ci else "" if rule.default else ", off unless selected"
    yield f"**{rule.severity}**{when} · {content['what']}"
    yield ""
    yield content["why"]
    yield ""
    if "seen" in content:
        yield from ["What the library says, as `python -m lab.rule_facts` saw it:", ""]
        yield from _block(content["seen"], "text")
    yield "## When not to"
    yield ""
    yield content["when_not_to"]
    yield ""
    yield f"To take it back on one line, with the reason: `# vramlint: ignore[{rule.code}] …`."
    yield ""
    if "when" in content:
        needs = " and ".join(NEEDS[need] for need in content.get("needs", ()))
        yield f"## Fires when{f' there is {needs}, and' if needs else ''}"
        yield ""
        yield from _block(content["when"], "python")
    if content.get("fixes"):
        yield "## Fixes"
        yield ""
        for fix in content["fixes"]:
            yield f"- {fix['title']} ({fix['safety']}){_changes(fix)}"
        yield ""
    yield "## Examples"
    yield ""
    for example in content["examples"]:
        on = f" on `{example['target']}`" if example.get("target", "typical") != "typical" else ""
        on = " on a card of about the size that it needs" if example.get("target") == "typical" else on
        yield f"{'It fires' if example['fires'] else 'It is silent'}{on}:"
        yield ""
        yield from _block(example["config"].rstrip("\n"), LANGUAGES.get(example.get("format", ""), "yaml"))
    if content.get("references"):
        yield "## Sources"
        yield ""
        for reference in content["references"]:
            yield f"- {f'<{reference}>' if reference.startswith('https://') else reference}"
        yield ""


def _block(text: str, language: str) -> list[str]:
    return [f"```{language}", text, "```", ""]


def _changes(fix: dict[str, Any]) -> str:
    made = [f"`{key}: {_word(value)}`" for key, value in fix.get("set", {}).items()]
    made += [f"without `{key}`" for key in fix.get("delete", ())]
    return f": {', '.join(made)}" if made else ""


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    raise SystemExit(main())
