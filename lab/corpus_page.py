"""What the lines of `lab.corpus` come to: the goals, a row a dialect, the reasons why there is no number, by count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lab.corpus import COMPANIONS, NO_LANGUAGE_MODEL, OURS, TRAINING, Line

HEAD = """\
# Real configs, read

Written by `python -m lab.corpus CORPUS --write` from {count} config files of public repositories, as their authors wrote them; a
line a file is in `lab/data/corpus.csv`, and a test holds a sample of the files to it. Every file goes through the whole walk.
What the schemas find in them that is a true mistake: [found-in-the-wild.md](found-in-the-wild.md).

"""
DRAFTS = "training-speculative"
GIVEN = ("yes", "stated")
LANGUAGE = ("causal-lm", "not known", "none named")
"""Kinds of models that count as a language model: what is not known is held to be one."""


def is_ours(line: Line) -> bool:
    """Whether it is a training config of a framework that is read here, or a file that such a config names."""
    return line.dialect in OURS and (line.kind in TRAINING or (line.dialect in COMPANIONS and line.kind == "distributed"))


def is_right(line: Line) -> bool:
    """Whether a training config is taken for what it is."""
    return is_ours(line) and line.found == OURS[line.dialect]


def is_false(line: Line) -> bool:
    """Whether a file is taken for what it is not."""
    return bool(line.found) and not is_right(line)


def is_language_model(line: Line) -> bool:
    """Whether a recognised training config trains a causal language model, as far as is known; a draft model is none."""
    return is_right(line) and line.found not in NO_LANGUAGE_MODEL and line.model in LANGUAGE and line.kind != DRAFTS


def goals(lines: Sequence[Line]) -> dict[str, tuple[int, int]]:
    """Counts beside what they are of."""
    ours = [line for line in lines if is_ours(line)]
    language = [line for line in lines if is_language_model(line)]
    return {
        "training configs, and files that they name, recognised as what they are": (sum(map(is_right, ours)), len(ours)),
        "other files taken for a training config": (sum(map(is_false, lines)), len(lines) - len(ours)),
        "recognised configs of language models estimated as they are": (
            sum(line.estimated == "yes" for line in language), len(language),
        ),
        "the same once the length or batch that a file leaves open is stated": (
            sum(line.estimated in GIVEN for line in language), len(language),
        ),
    }


def summary(lines: Sequence[Line]) -> str:
    """The goals and the tables, in Markdown."""
    said = [f"- {what}: {count} of {whole} ({_share(count, whole)})" for what, (count, whole) in goals(lines).items()]
    return "\n".join([*said, "", *_dialects(lines), "", *_open(lines), "", *_reasons(lines), "", *_findings(lines)])


def page(lines: Sequence[Line]) -> str:
    """docs/corpus.md."""
    return HEAD.format(count=len(lines)) + summary(lines) + "\n"


def _share(count: int, whole: int) -> str:
    return f"{100 * count / whole:.1f} %" if whole else "-"


def _dialects(lines: Sequence[Line]) -> Iterable[str]:
    yield "| corpus's name | read as | configs | recognised | of language models | estimated | once stated | others recognised |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in sorted({line.dialect for line in lines}):
        own = [line for line in lines if line.dialect == name]
        language = [line for line in own if is_language_model(line)]
        estimated = sum(line.estimated == "yes" for line in language)
        given = sum(line.estimated in GIVEN for line in language)
        cells = (
            OURS.get(name, "-"), sum(line.kind in TRAINING or is_ours(line) for line in own), sum(map(is_right, own)),
            len(language),
            f"{estimated} ({_share(estimated, len(language))})" if language else "-",
            f"{given} ({_share(given, len(language))})" if language else "-", sum(map(is_false, own)),
        )
        yield f"| {name} | {' | '.join(map(str, cells))} |"


def _open(lines: Sequence[Line]) -> Iterable[str]:
    yield "| what a file leaves open | files | dialects |"
    yield "|---|---|---|"
    for stated, count in _by_count(line.stated for line in lines if is_language_model(line) and line.stated):
        of = _by_count(line.found for line in lines if is_language_model(line) and line.stated == stated)
        yield f"| {stated} | {count} | {', '.join(f'{name} {n}' for name, n in of)} |"


def _reasons(lines: Sequence[Line]) -> Iterable[str]:
    yield "| why not estimated (configs of language models) | files | dialects |"
    yield "|---|---|---|"
    missing = [line for line in lines if is_language_model(line) and line.estimated not in GIVEN]
    for reason, count in _by_count(line.reason for line in missing):
        of = _by_count(line.found for line in missing if line.reason == reason)
        yield f"| {reason.replace('|', '/')} | {count} | {', '.join(f'{name} {n}' for name, n in of)} |"


def _findings(lines: Sequence[Line]) -> Iterable[str]:
    yield "| finding of a schema | count | files | dialects |"
    yield "|---|---|---|---|"
    counts: Counter[str] = Counter()
    files: Counter[str] = Counter()
    where: dict[str, Counter[str]] = {}
    for line in lines:
        for part in line.findings.split():
            code, _, number = part.partition(":")
            counts[code] += int(number)
            files[code] += 1
            where.setdefault(code, Counter())[line.found] += int(number)
    for code, count in sorted(counts.items()):
        of = ", ".join(f"{name} {n}" for name, n in sorted(where[code].items(), key=lambda pair: (-pair[1], pair[0])))
        yield f"| {code} | {count} | {files[code]} | {of} |"


def _by_count(words: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
