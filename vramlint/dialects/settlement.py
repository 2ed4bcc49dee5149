"""One trainer's run in the making: the values in force, what follows from them, and what cannot be known."""

from __future__ import annotations

from collections.abc import Mapping

from vramlint.dialects.gather import MARKED, Gathered
from vramlint.dialects.recognised import Origin
from vramlint.run import Value


class Settlement:
    """The values of one run while its dialect fills them in.

    `values` are in force, by canonical key and by the dialect's own marks (`_name`); `unknown` says why one is not
    known; `origins` where what is not written comes from; `open` canonical switches that stay undecided, with the fact
    that would settle each: the run is then estimated both ways. `model_config` describes the model, as a `config.json` would,
    where the document itself does; `asks_card` are the keys of precision that fall to fp16 on a card without bf16.
    """

    def __init__(self, gathered: Gathered, trainer: str, stack: Mapping[str, str], values: dict[str, Value]) -> None:
        self.said = gathered
        self.trainer = trainer
        self.stack = stack
        self.values = values
        self.unknown = {key: why for key, why in gathered.unknown.items() if not key.startswith(MARKED)}
        self.origins: dict[str, Origin] = {}
        self.notes: list[str] = []
        self.open: dict[str, str] = {}
        self.model_config: dict[str, object] = {}
        self.asks_card: set[str] = set(gathered.asks_card)

    def mark(self, name: str) -> Value:
        """A mark of the dialect, as said or its default; None if it has none."""
        return self.values.get(name)

    def infer(self, key: str, value: Value, why: str) -> None:
        """Set what follows from other keys, unless it is said."""
        if not self.said.is_said(key):
            self.values[key] = value
            self.origins[key] = Origin("inferred", why=why)

    def force(self, key: str, value: Value, why: str) -> None:
        """Set what the framework makes of a key, whatever is said."""
        if self.values.get(key) != value or key in self.unknown:
            self.values[key] = value
            self.unknown.pop(key, None)
            self.origins[key] = Origin("inferred", why=why)

    def doubt(self, key: str, why: str) -> None:
        """Mark a key as unknown."""
        self.unknown.setdefault(key, why)

    def doubt_unless_said(self, key: str, why: str) -> None:
        """Mark a key as unknown that nobody says; a default is no answer."""
        if not self.said.is_said(key) and key not in self.origins:
            self.doubt(key, why)

    def note(self, text: str) -> None:
        """Say an assumption once."""
        if text not in self.notes:
            self.notes.append(text)
