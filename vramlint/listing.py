"""The catalogue and the rules as text: `--list-targets`, `--list-models`, `--list-rules`, `explain`."""

from __future__ import annotations

from vramlint.catalog import all_instances, all_models, all_targets, target_of_entry
from vramlint.fast_arguments import DEFAULTS
from vramlint.rules import Rule
from vramlint.settings import Session
from vramlint.sizes import in_gib


def targets_text() -> str:
    """One line per card, then per cloud instance."""
    lines = []
    for entry in all_targets():
        target = target_of_entry(entry)
        capability = entry.get("compute_capability") or "-"
        lines.append(f"{target.id:<26} {in_gib(target.total):>10}  {capability:<5} {target.name}")
    lines += [f"{entry['id']:<26} {entry.get('gpu_count', 1):>8} ×  {entry['gpu']}" for entry in all_instances()]
    return "\n".join(lines) + "\n"


def models_text() -> str:
    """One line per architecture with its names."""
    lines = []
    for entry in all_models():
        parameters, aliases = entry.get("parameters"), entry["aliases"]
        names = f"  ({', '.join(aliases[:4])}{'…' if len(aliases) > 4 else ''})" if aliases else ""
        lines.append(f"{entry['id']}  {entry['model_type']}  {f'{parameters:,}' if parameters else '-'}{names}\n")
    return "".join(lines)


def rules_text() -> str:
    """One line per rule."""
    return "".join(f"{rule.code}  {rule.severity:<7}  {rule.name:<38}  {rule.what}\n" for rule in _rules())


def _rules() -> list[Rule]:
    """Ours, and those that the configuration of the current directory names."""
    session = Session(DEFAULTS)
    return session.settings_for("-").rules.rules


def explanation(text: str) -> str | None:
    """What a rule is about, why, when not to mind it, and where that is from; None if there is no such rule."""
    found = [rule for rule in _rules() if text in (rule.code, rule.name)]
    if not found:
        return None
    content = found[0].data
    parts = [f"{content['code']} [{content['name']}], {content['severity']}", content["what"], content["why"]]
    if "seen" in content:
        parts.append(f"The library says: {content['seen']}")
    if content.get("when"):
        parts.append(f"Fires when: {content['when']}")
    parts += [f"Fix: {fix['title']} ({fix['safety']})" for fix in content.get("fixes", ())]
    parts.append(f"When not to: {content['when_not_to']}")
    parts += [
        f"{'It fires' if example['fires'] else 'It is silent'}:\n\n{_indented(example['config'])}"
        for example in content.get("examples", ())
    ]
    parts += [f"See: {reference}" for reference in content.get("references", ())]
    return "\n\n".join(parts) + "\n"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()).rstrip("\n")
