"""What a dialect makes of a document: the run, and where each of its values was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from vramlint.dataclass import dataclass, field
from vramlint.findings import Fix
from vramlint.run import Run
from vramlint.source import Path, SourceFile, Span

OURS = "nothing in the file says otherwise"
"""Why a value is in force that neither the file nor the framework has: it is what most runs do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a canonical key's value comes from.

    `written`: at `path` in the document (`key` and `value` spans). `default`: the framework's default, `why` names the
    class or file that has it. `inferred`: derived from other keys, `why` says how. `set`: by `--set`.
    """

    kind: Literal["written", "default", "inferred", "set"]
    key_span: Span | None = None
    value_span: Span | None = None
    path: Path | None = None
    why: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it is a default of vramlint's own, which a framework that is not known need not share."""
        return self.kind == "default" and self.why == OURS


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """One place where a document does not say what its framework takes; `kind` picks the rule that reports it.

    kinds: unknown-key, type, enum, minimum, required, number-as-text, renamed-key, foreign-key, two-dialects,
    unresolved-reference, companion-disagrees.
    """

    kind: str
    message: str
    span: Span | None
    path: Path
    suggestion: str | None = None
    help: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognised:
    """A training config: which dialect, the run under each trainer that it may mean, and where its values stand.

    `runs` holds one candidate per trainer that stays possible (usually one). `origins` is by canonical key;
    `document_span` is where a finding about the whole document points. `companions` are the other files that were read for
    it; `is_companion`: it is itself such a file, and no run. `model_config` is the model as a
    `config.json` would have it, where the document says its sizes.
    """

    dialect: str
    runs: tuple[Run, ...]
    origins: Mapping[str, Origin]
    problems: tuple[SchemaProblem, ...] = ()
    document: int = 0
    document_span: Span | None = None
    trainer_open: str | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)
    companions: tuple[SourceFile, ...] = ()
    is_companion: bool = False
    model_config: Mapping[str, object] | None = None
    asks_card: frozenset[str] = frozenset()
    """Keys of precision that are bf16 where the card has it, and fp16 where it has not."""
