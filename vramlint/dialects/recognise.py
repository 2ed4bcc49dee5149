"""Which dialect a document is in, and what run it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dialects.huggingface import Layout, layout_of, trainers_of
from vramlint.dialects.normalise import Normaliser
from vramlint.dialects.recognised import Recognised, SchemaProblem
from vramlint.dialects.schema import schema
from vramlint.dialects.validation import Checker
from vramlint.run import Value
from vramlint.source import Document, Effective, SourceFile, Span, effective

DIALECTS = ("huggingface",)


def recognise(
    file: SourceFile, document: Document, *, overrides: Mapping[str, Value] | None = None,
    dialect: str | None = None, stack: Mapping[str, str] | None = None,
) -> Recognised | None:
    """The document as a training config, or None if no dialect knows it.

    `overrides` are canonical keys set from outside, before defaults and trainer inference; `stack` is library → version.
    """
    if dialect is not None and dialect not in DIALECTS:
        return None
    rules = schema("huggingface")
    values = effective(file, document)
    layout = layout_of(file, values, rules)
    if layout is None:
        return None
    overrides = overrides or {}
    normaliser = Normaliser(rules, values, layout, overrides)
    stated = overrides.get("trainer") or normaliser.values.get("trainer")
    trainers, how, settle = trainers_of(layout, stated)
    runs = tuple(normaliser.run_for(trainer, how) for trainer in trainers)
    if stack:
        from dataclasses import replace  # noqa: PLC0415 (only where a stack is given)

        runs = tuple(replace(run, stack=stack) for run in runs)
    problems = _problems(layout, values, rules, document)
    if any("model_name_or_path" in run.unknown and "model_name_or_path" not in normaliser.origins for run in runs):
        problems.append(SchemaProblem("required", "no model is named: state model_name_or_path", None, ()))
    return Recognised(
        "huggingface", runs, normaliser.origins, tuple(problems), document.index, _document_span(file, layout, document),
        settle,
    )


def _problems(
    layout: Layout, values: Effective, rules: Mapping[str, Any], document: Document,
) -> list[SchemaProblem]:
    checker = Checker(rules, values)
    found = []
    for place in layout.places:
        if place.name in rules["properties"]:
            problem = checker.value(place.name, place.entry, place.path, document.index)
        elif values.file.format == "python" and place.class_name is None:
            problem = None
        else:
            problem = checker.unknown_key(place.entry, place.path, document.index)
        if problem is not None:
            found.append(problem)
    return found


def _document_span(file: SourceFile, layout: Layout, document: Document) -> Span | None:
    if layout.homes and file.format == "python":
        home = next(iter(layout.homes.values()))
        entry = next(e for e in document.root.entries if e.key == home[0])
        return entry.key_span
    return layout.places[0].entry.key_span if layout.places else None
