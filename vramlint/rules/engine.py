"""Conditions over what is known of a run → findings, with the fixes that the rules offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vramlint.catalog import Architecture, MissingModel, Target
from vramlint.dataclass import dataclass
from vramlint.findings import Finding, Fix, Safety
from vramlint.memory import Estimate, NoEstimate, Parts
from vramlint.rules.expression import UNKNOWN
from vramlint.rules.names import PARTS
from vramlint.rules.rule import Rule, RuleSet, shown
from vramlint.run import Change, Run
from vramlint.source import Span

Locate = Callable[[str], Span | None]
SAFETY = {"safe": Safety.SAFE, "unsafe": Safety.UNSAFE, "display": Safety.DISPLAY}
CULPRITS = {
    "weights": "model_name_or_path", "optimizer": "optim", "adapters": "lora_r", "gradients": "per_device_train_batch_size",
    "activations": "per_device_train_batch_size", "logits": "per_device_train_batch_size",
    "workspace": "per_device_train_batch_size",
}
"""Which key costs the memory where one part is the largest: a finding about the fit points there."""

WORTH_A_WORD = 50 << 20
"""A part of less than so many bytes shows as 0.0 GiB."""
MOST_PARTS = 4


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """All that a condition can ask about.

    `written` are the canonical keys that the document or the user states; `open_keys` those that the runs which the document
    may mean disagree about: to a rule, they are unknown.
    """

    run: Run
    path: str
    document: int = 0
    dialect: str = ""
    estimate: Estimate | None = None
    no_estimate: NoEstimate | None = None
    target: Target | None = None
    model: Architecture | None = None
    missing_model: MissingModel | None = None
    verdict: str | None = None
    allowed: Mapping[str, bool] | None = None
    trainer_open: str | None = None
    document_span: Span | None = None
    written: frozenset[str] = frozenset()
    open_keys: frozenset[str] = frozenset()


def check(rules: RuleSet, facts: RuleFacts, locate: Locate) -> list[Finding]:
    """The findings of every rule whose condition is true. `locate` gives the place of a canonical key, if it is written."""
    names = _Names(facts)
    found = [
        _finding(rule, facts, names, locate)
        for rule in rules.rules if "when" in rule.data and _needed(rule, facts) and rule.fires(names)
    ]
    if facts.missing_model is not None:
        near = facts.missing_model.suggestions
        hints = [f"did you mean {near[0]}?"] if near else []
        found.append(finding_for(
            rules, "unknown-model", path=facts.path, message=f"{facts.missing_model.name}: {facts.missing_model.why}",
            span=locate("model_name_or_path") or facts.document_span, help=hints, document=facts.document,
        ))
    if facts.no_estimate is not None:
        key = next(iter(facts.no_estimate.keys), "")
        found.append(finding_for(
            rules, "no-estimate", path=facts.path, message=facts.no_estimate.why,
            span=locate(key) or facts.document_span, document=facts.document,
        ))
    if facts.trainer_open is not None:
        found.append(finding_for(
            rules, "trainer-open", path=facts.path, message=facts.trainer_open, span=facts.document_span,
            document=facts.document,
        ))
    return found


def finding_for(
    rules: RuleSet, kind: str, *, path: str, message: str, span: Span | None = None, help: Sequence[str] = (),  # noqa: A002
    fixes: tuple[Fix, ...] = (), document: int = 0,
) -> Finding:
    """The finding for a problem that another room found; its rule has code, name, severity and standing advice."""
    rule = rules.by_problem[kind]
    advice = (*help, *rule.data.get("help", ()))
    return Finding(rule.code, rule.name, rule.severity, message, path, span, help=advice, fixes=fixes, document=document)


def _needed(rule: Rule, facts: RuleFacts) -> bool:
    there = {"target": facts.target, "estimate": facts.estimate, "model": facts.model}
    return all(there[need] is not None for need in rule.data.get("needs", ()))


def _finding(rule: Rule, facts: RuleFacts, names: _Names, locate: Locate) -> Finding:
    key = rule.data.get("at", "")
    if key == "culprit" and facts.estimate is not None:
        parts = facts.estimate.peak.parts
        key = CULPRITS[max(CULPRITS, key=lambda part: int(getattr(parts, part)))]
    label = rule.data.get("label")
    return Finding(
        rule.code, rule.name, rule.severity, rule.text(rule.data["message"], names), facts.path,
        locate(key) or facts.document_span, key or None, rule.text(label, names) if label else None,
        tuple(rule.text(line, names) for line in rule.data.get("help", ())),
        fixes=tuple(_fix(rule, fix, names) for fix in rule.data.get("fixes", ())), document=facts.document,
    )


def _fix(rule: Rule, content: Mapping[str, Any], names: _Names) -> Fix:
    changes = []
    for key, value in content.get("set", {}).items():
        computed = rule.expression(value[2:])(names) if isinstance(value, str) and value.startswith("= ") else value
        changes.append(Change(key, computed if computed is not UNKNOWN else None))
    changes += [Change(key, delete=True) for key in content.get("delete", ())]
    return Fix(rule.text(content["title"], names), SAFETY[content["safety"]], tuple(changes))


class _Names:
    """Values by name; `UNKNOWN` for what is not known or not there."""

    __slots__ = ("_facts",)

    def __init__(self, facts: RuleFacts) -> None:
        self._facts = facts

    def __call__(self, name: str) -> Any:
        facts = self._facts
        head, _, rest = name.partition(".")
        if head == "run":
            return UNKNOWN if rest in facts.run.unknown or rest in facts.open_keys else getattr(facts.run, rest)
        if head == "written":
            return rest in facts.written
        if head == "allows":
            return (facts.allowed or {}).get(rest, UNKNOWN)
        if name == "target.capability":
            return UNKNOWN if facts.target is None else float("{}.{}".format(*facts.target.compute_capability))
        if name == "estimate.peak.largest":
            return UNKNOWN if facts.estimate is None else _largest(facts.estimate.peak.parts)
        value: Any = facts
        for part in name.split("."):
            value = getattr(value, part)
            if value is None:
                return UNKNOWN
        return value


def _largest(parts: Parts) -> str:
    """The parts of a peak that are worth a word, in GiB, largest first."""
    sizes = sorted(((getattr(parts, name), name) for name in PARTS), reverse=True)
    told = [f"{name} {shown(size, 'gib')}" for size, name in sizes if size >= WORTH_A_WORD]
    return ", ".join(told[:MOST_PARTS] or [f"{sizes[0][1]} {shown(sizes[0][0], 'gib')}"])
