"""What a breakdown says beyond the number: what would turn the verdict, and the measured run that is nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vramlint.report.display import printable
from vramlint.report.paint import Paint
from vramlint.sizes import in_gib

VERDICTS = {
    "fits": ("fits", "good"), "tight": ("tight", "warning"), "does-not-fit": ("does not fit", "error"),
}
MOST_DIFFERENCES = 6


def turning_lines(turning: Sequence[Mapping[str, Any]], verdict: str | None, paint: Paint) -> list[str]:
    """The facts that would turn the verdict if they were stated; without a number, what stating one would give."""
    if not turning:
        said = "nothing that is left unstated would turn the verdict: every other answer was estimated"
        return ["", f"  {paint(said, 'faint')}"] if verdict else []
    lines = ["", "  not stated, and would turn the verdict:" if verdict else "  not stated; if it were"]
    for fact in turning:
        is_sentence = " " in fact["other"] and fact["key"] != "stack"
        answer = fact["other"] if is_sentence else f"{fact['key']} = {fact['other']}"
        taken = f" ({'taken' if verdict else 'now'}: {printable(fact['taken'])})"
        needs = f"needs {in_gib(fact['device']['typical'])}"
        word, role = VERDICTS.get(fact["verdict"] or "", ("", ""))
        lines.append(f"    {paint(printable(answer), 'number')}{taken}: {needs}" + (f", {paint(word, role)}" if word else ""))
    return lines


def receipt_lines(receipt: Mapping[str, Any] | None, paint: Paint) -> list[str]:
    """The nearest measured run: what was measured and what is estimated of it, how it differs, where it comes from."""
    if receipt is None:
        return []
    lines = ["", f"  receipt, the nearest measured run: {printable(receipt['model'])}, {printable(receipt['trainer'])}"]
    for figure in ("allocated", "required"):
        measured, error = receipt["measured"][figure], receipt["error"][figure]
        if measured is not None:
            estimated = in_gib(receipt["estimated"][figure])
            off = paint(f"{100 * error:+.1f} %", "number")
            lines.append(f"    {figure:<10} {in_gib(measured):>10} measured, {estimated} estimated: {off}")
    differs = receipt["differs"]
    if differs:
        shown = [f"{printable(each['key'])} {_value(each['there'])} (here {_value(each['here'])})" for each in differs]
        more = f", and {len(shown) - MOST_DIFFERENCES} more" if len(shown) > MOST_DIFFERENCES else ""
        lines += [f"    it differs in {shown[0]}"] if len(shown) == 1 else [
            "    it differs in", *(f"      {one}" for one in shown[:MOST_DIFFERENCES]),
        ]
        lines[-1] += more
    else:
        lines.append("    the same run in all that is compared")
    tuned = "tuned on" if receipt["tuned_on"] else "never tuned on"
    return [*lines, "    " + paint(f"on {receipt['device']}, {receipt['versions']}; {tuned}", "faint")]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else printable(str(value))
