"""A rule as data: read from `rules/*.yaml` or from the one JSON of a wheel; its expressions are compiled when first needed."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Mapping
from typing import Any

from vramlint import data
from vramlint.findings import Severity
from vramlint.rules.expression import UNKNOWN, Expression, Names, RuleError, close_to
from vramlint.rules.guard import guarded, lets_through
from vramlint.rules.names import Type, types_of

SIZES = "rules.json"
STYLES = {"": frozenset({"number", "bool", "text", "list", "null"}), "gib": {"bytes"}, "pct": {"number"}, "count": {"number"}}
"""The formats of a message's fields, and the kinds of value that each can show."""
KINDS_OF = {bool: "bool", int: "number", float: "number", str: "text", list: "list", tuple: "list", type(None): "null"}


class Rule:
    """One rule. `problem` is the kind of problem found elsewhere that it reports, `when` the condition of the others."""

    __slots__ = ("_compiled", "_types", "code", "data", "default", "is_quiet_in_ci", "name", "problem", "severity", "what")

    def __init__(self, content: Mapping[str, Any], types: Mapping[str, Type]) -> None:
        self.data = content
        self.code: str = content["code"]
        self.name: str = content["name"]
        self.severity: Severity = content["severity"]
        self.what: str = content.get("what", "")
        self.problem: str | None = content.get("problem")
        self.default: bool = content.get("default", True)
        self.is_quiet_in_ci: bool = content.get("quiet_in_ci", False)
        self._types = types
        self._compiled: dict[str, Expression] = {}

    @property
    def explanation(self) -> str:
        """Why it matters and when not to mind it, in two paragraphs."""
        return f"{self.data.get('why', '')}\n\nWhen not to: {self.data.get('when_not_to', '')}"

    def expression(self, source: str) -> Expression:
        """A compiled expression of this rule."""
        if source not in self._compiled:
            self._compiled[source] = Expression(source, self._types)
        return self._compiled[source]

    def fires(self, names: Names) -> bool:
        """Whether the condition is true (not: whether it is not false)."""
        return lets_through(self.data.get("guard", ()), names) and self.expression(self.data["when"])(names) is True

    def text(self, template: str, names: Names) -> str:
        """A message with its `{expression:format}` fields filled in."""
        out = []
        for literal, field, style, _ in string.Formatter().parse(template):
            out.append(literal)
            if field is not None:
                out.append(shown(self.expression(field)(names), style or ""))
        return "".join(out)

    def check(self) -> None:
        """Compile everything and hold it against the types. Raises `RuleError`."""
        if "when" in self.data and self.expression(self.data["when"]).type.kind != "bool":
            raise RuleError("a rule's condition must be true or false", self.data["when"])
        at = self.data.get("at", "culprit")
        if at != "culprit":
            self._key(at)
        titles = [fix.get("title", "") for fix in self.data.get("fixes", ())]
        for template in (self.data.get("message", ""), self.data.get("label") or "", *self.data.get("help", ()), *titles):
            self._check_text(template)
        for fix in self.data.get("fixes", ()):
            for key, value in fix.get("set", {}).items():
                self._check_value(key, value)
            for key in fix.get("delete", ()):
                self._key(key)

    def _key(self, key: str) -> Type:
        """The type of a canonical key."""
        found = self._types.get(f"run.{key}")
        if found is None:
            raise RuleError(f"there is no canonical key {key!r}{close_to('run.' + key, self._types)}", key)
        return found

    def _check_text(self, template: str) -> None:
        try:
            fields = [(field, style) for _, field, style, _ in string.Formatter().parse(template) if field is not None]
        except ValueError as error:
            raise RuleError(f"the braces do not match ({error})", template) from None
        for field, style in fields:
            kind = self.expression(field).type.kind
            if (style or "") not in STYLES:
                raise RuleError(f"there is no format {style!r}: gib, pct, count", template)
            if kind not in STYLES[style or ""]:
                raise RuleError(f"{style} does not show {kind}", template)

    def _check_value(self, key: str, value: Any) -> None:
        """A value that a fix sets must be one that its key can hold."""
        wanted = self._key(key)
        if isinstance(value, str) and value.startswith("= "):
            given = self.expression(value[2:]).type.kind
        else:
            given = KINDS_OF[type(value)]
            if isinstance(value, str) and wanted.words and value not in wanted.words:
                raise RuleError(f"{key} is never {value!r}{close_to(value, wanted.words)}", value)
        if given not in (wanted.kind, "null") and not (wanted.kind == "list" and given == "text"):
            raise RuleError(f"{key} takes {wanted.kind}, not {given}", str(value))


class RuleSet:
    """All rules, by code and by the problem that they report."""

    __slots__ = ("by_problem", "rules")

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self.by_problem = {rule.problem: rule for rule in rules if rule.problem}

    def named(self, text: str) -> list[Rule]:
        """The rules that a code, a code's beginning, a name or ALL stands for."""
        return [r for r in self.rules if text in (r.name, "ALL") or (text[:1].isupper() and r.code.startswith(text))]


def shown(value: Any, style: str) -> str:
    """A value in a message: `gib` for bytes, `pct`, `count`."""
    if value is UNKNOWN or value is None:
        return "unknown"
    if style == "gib":
        return f"{value / 2**30:.1f}"
    if style == "pct":
        return f"{value:.0%}"
    if style == "count":
        return f"{value:,}"
    return str(value)


def load(run_schema: Mapping[str, Any]) -> RuleSet:
    """The rules that ship with vramlint."""
    types = types_of(run_schema)
    path = data.compiled(SIZES)
    if path is not None:
        with open(path, encoding="utf-8") as file:
            contents = json.load(file)
    else:
        contents = compiled_rules()
    return RuleSet([Rule(content, types) for content in contents])


def compiled_rules() -> list[dict[str, Any]]:
    """All of `rules/*.yaml` in the order of their codes: what a wheel ships as one JSON."""
    import yaml  # noqa: PLC0415  # only a checkout reads YAML rules

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    directory = data.source_directory("rules")
    found = []
    for name in sorted(os.listdir(directory)):
        if name.endswith(".yaml"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                found.append(guarded(yaml.load(file, Loader=loader)))  # noqa: S506  # a safe loader
    return found
