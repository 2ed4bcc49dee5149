"""`vramlint estimate` on a screen: what the run needs, where it goes at the peak, and what the number rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vramlint.report.display import printable
from vramlint.report.explained import VERDICTS, receipt_lines, turning_lines
from vramlint.report.paint import Paint
from vramlint.report.report import Record
from vramlint.sizes import in_gib

MOST_TENSORS = 5
DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
"""As people say them."""
FIGURES = (
    ("device", "on the device", "what must fit"),
    ("context", "  CUDA context", "outside the allocator"),
    ("required", "  required", "least allocator capacity that the run gets through in"),
    ("allocated", "  allocated", "peak of live tensors"),
)


def render(records: Sequence[Record], *, colour: bool = False) -> str:
    """One block per document."""
    paint = Paint(colour)
    return "".join("\n".join(_block(record, paint)) + "\n\n" for record in records).removesuffix("\n")


def _block(record: Record, paint: Paint) -> list[str]:
    lines = [_title(record, paint)]
    estimate = record["estimate"]
    if estimate is None:
        lines.append(f"  {paint('no estimate', 'error')}: {printable(record['error'] or 'not a training config')}")
    else:
        lines += ["", *_figures(record, paint), "", *_parts(estimate, paint)]
        lines += _tensors(estimate["peak"].get("tensors", ()))
    lines += _candidates(record.get("candidates", ()))
    lines += _notes("assumed", record["assumptions"], paint)
    lines += _notes("unknown", record["unknown"], paint)
    if "turning" in record:
        lines += turning_lines(record["turning"], record["verdict"], paint)
    return lines + receipt_lines(record.get("receipt"), paint)


def _title(record: Record, paint: Paint) -> str:
    """`train.yaml: Qwen/Qwen2.5-0.5B, trl-sft (huggingface)`, with the document's number where it is not the first."""
    path = printable(record["path"]) + (f" (document {record['document'] + 1})" if record["document"] else "")
    model = record["model"]["name"] if record["model"] else None
    facts = [printable(str(fact)) for fact in (model, record["trainer"]) if fact]
    dialect = f" ({record['dialect']})" if record["dialect"] else ""
    return paint(path, "path") + (f": {', '.join(facts)}{dialect}" if facts else "")


def _figures(record: Record, paint: Paint) -> list[str]:
    estimate = record["estimate"]
    lines = [
        f"  {label:<18} {paint(in_gib(estimate[name]['typical']).rjust(10), 'number')}  {_range(estimate[name]):<24}"
        f" {paint(meaning, 'faint')}"
        for name, label, meaning in FIGURES
    ]
    target = record["target"]
    if target is not None:
        word, role = VERDICTS[record["verdict"]]
        usable = f"{in_gib(target['usable'])} usable"
        lines.append(f"  {paint(word, role)}: {printable(target['name'])} has {usable}")
    return lines


def _range(band: Mapping[str, int]) -> str:
    low, high = in_gib(band["low"]), in_gib(band["high"])
    return "" if low == high else f"{low} to {high}"


def _parts(estimate: Mapping[str, Any], paint: Paint) -> list[str]:
    """What is alive at the peak by purpose, largest first; together they are `allocated`."""
    peak = estimate["peak"]
    total = sum(peak["parts"].values()) or 1
    lines = [f"  at the peak, {printable(peak['phase'])}:"]
    lines += [
        f"    {name:<12} {in_gib(size):>10}  {size / total:>4.0%}"
        for name, size in sorted(peak["parts"].items(), key=lambda part: -part[1]) if size
    ]
    following = peak.get("next")
    if following:
        then = f"without it the peak would be {in_gib(following['allocated'])}, {printable(following['phase'])}"
        lines.append(f"    {paint(then, 'faint')}")
    return lines


def _tensors(tensors: Iterable[Mapping[str, Any]]) -> list[str]:
    largest = sorted(tensors, key=lambda tensor: -tensor["size"])[:MOST_TENSORS]
    if not largest:
        return []
    return ["", "  largest tensors then:", *(_tensor(tensor) for tensor in largest)]


def _tensor(tensor: Mapping[str, Any]) -> str:
    """`2.3 GiB  logits 8×512×151936 fp32`; of several alike, how many and what they take together."""
    shape = "×".join(map(str, tensor["shape"]))
    count = f"{tensor['count']} of" if tensor["count"] > 1 else ""
    words = (printable(tensor["what"]), count, shape, DTYPES.get(tensor["dtype"], tensor["dtype"]))
    return f"    {in_gib(tensor['size']):>10}  {' '.join(word for word in words if word)}"


def _candidates(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each trainer would need that the document may mean."""
    if not candidates:
        return []
    lines = ["", "  the trainer is open:"]
    for candidate in candidates:
        device = candidate["device"]
        lines.append(f"    {candidate['trainer']:<14} {in_gib(device['typical']) if device else 'no estimate'}")
    return lines


def _notes(heading: str, notes: Sequence[Mapping[str, str]], paint: Paint) -> list[str]:
    if not notes:
        return []
    lines = ["", f"  {heading}:"]
    for note in notes:
        name, value = note.get("key", ""), note.get("value", "")
        said = " = ".join(printable(part) for part in (name, value) if part)
        lines.append(f"    {paint(said, 'number')}{': ' if said else ''}{printable(note['why'])}")
    return lines
