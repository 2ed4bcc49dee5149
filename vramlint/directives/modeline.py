"""`# vramlint: target=rtx3070 dialect=axolotl`: what a file says of itself; it counts before a configuration."""

from __future__ import annotations

import re

from vramlint.catalog import Target, UnknownTarget, find_target
from vramlint.dataclass import dataclass
from vramlint.dialects.comments import said_in_comments
from vramlint.dialects.schemas import dialect_names, run_keys
from vramlint.source import Document, SourceFile, Span

OWN_KEYS = ("target", "dialect")
MORE = re.compile(r"(?:,[^\s,;=]+(?![^\s,;]))*")


@dataclass(frozen=True, slots=True)
class ModelineFault:
    """Something said in a comment that cannot be followed."""

    message: str
    span: Span
    help: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Modeline:
    """What the comments of one document say beside the run's own keys."""

    targets: tuple[Target, ...] = ()
    dialect: str | None = None
    faults: tuple[ModelineFault, ...] = ()


def modeline_of(file: SourceFile, document: Document, reserve: int) -> Modeline:
    """The targets and the dialect that a document names for itself. `reserve` bytes are left free on each card."""
    targets: list[Target] = []
    faults: list[ModelineFault] = []
    dialect = None
    for said in said_in_comments(file, document):
        if said.key == "target":
            more = MORE.match(file.text, said.value_span.end)
            names = (said.text + (more[0] if more else "")).strip("[]").split(",")
            found = [find_target(name.strip(" \"'"), reserve=reserve) for name in names if name.strip()]
            targets += [target for target in found if isinstance(target, Target)]
            faults += [_unknown_target(wrong, said.value_span) for wrong in found if isinstance(wrong, UnknownTarget)]
        elif said.key == "dialect":
            dialect = said.text
            if dialect not in dialect_names():
                help_text = (*_near(dialect, dialect_names()), f"there are {', '.join(dialect_names())}")
                faults.append(ModelineFault(f"there is no dialect {dialect!r}", said.value_span, help_text))
        elif said.key not in run_keys():
            help_text = _near(said.key, (*OWN_KEYS, *run_keys()))
            faults.append(ModelineFault(f"there is no key {said.key!r} to say in a comment", said.key_span, help_text))
    return Modeline(tuple(targets), dialect, tuple(faults))


def _unknown_target(wrong: UnknownTarget, span: Span) -> ModelineFault:
    near = (f"did you mean {', '.join(wrong.suggestions)}?",) if wrong.suggestions else ()
    return ModelineFault(wrong.why, span, near)


def _near(word: str, known: tuple[str, ...]) -> tuple[str, ...]:
    from vramlint.shape import near  # noqa: PLC0415  # only where something is wrong

    return near(word, known)
