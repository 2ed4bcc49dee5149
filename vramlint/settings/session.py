"""What is in force for a file: the command line, over its nearest configuration, over what vramlint does by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vramlint.catalog import Target, UnknownTarget, find_target
from vramlint.dataclass import dataclass, replace
from vramlint.dialects import set_value
from vramlint.dialects.schemas import dialect_names
from vramlint.examine import Facts
from vramlint.findings import Finding, Severity
from vramlint.linter import Options, finding_about, load_rules
from vramlint.references import opened_file
from vramlint.rules import Rule, RuleSet, finding_for
from vramlint.run import Value
from vramlint.screen import UsageError
from vramlint.settings.configuration import NONE, Configuration, nearest, read_configuration
from vramlint.settings.stack import NONE as NO_STACK
from vramlint.settings.stack import Stack, fault_of, merged, stack_near
from vramlint.sizes import parse_size
from vramlint.source import SourceFile, Span


@dataclass(frozen=True, slots=True)
class Settings:
    """What to check a file for, with which rules, from which severity on to fail, and which severities are others here."""

    lint: Options
    rules: RuleSet
    fail_on: Severity
    severities: Mapping[str, Severity]

    def graded(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings, each of the severity that it has here."""
        if not self.severities:
            return list(findings)
        return [replace(finding, severity=self.severities.get(finding.code, finding.severity)) for finding in findings]


class Session:
    """One run of the command: its options, the configurations met on the way, and what is wrong with those.

    Raises `UsageError` for a command line that cannot be followed.
    """

    def __init__(self, options: Mapping[str, Any], *, plans: bool = True, explains: bool = False) -> None:
        self.findings: list[Finding] = []
        self.files: dict[str, SourceFile] = {}
        self.all_rules: list[Rule] = []
        self._given = options
        self._plans, self._explains = plans, explains
        self._base = load_rules()
        self._overrides = _overrides(options["settings"])
        self._companions = tuple(_companion(path) for path in options.get("companions", ()))
        self._stack = _stack_of(options.get("stack", ()))
        self._stacks: dict[str, Stack] = {}
        self._near: dict[str, Configuration] = {}
        self._made: dict[str | None, Settings] = {}
        self.all_rules += self._base.rules
        self._check_given()
        named = options.get("config")
        if named is not None and not os.path.isfile(named):
            raise UsageError(f"--config {named}: there is no such file")
        self._named = read_configuration(named) if named is not None and not options["isolated"] else None

    def configuration_of(self, path: str) -> Configuration:
        """The configuration in force for a file; `-` is in the current directory."""
        if self._given["isolated"]:
            return NONE
        if self._named is not None:
            return self._named
        return nearest(os.path.dirname(os.path.abspath(path)) if path != "-" else os.getcwd(), self._near)

    def settings_for(self, path: str) -> Settings:
        """What is in force for a file."""
        configuration = self.configuration_of(path)
        settings = self._made.get(configuration.path)
        if settings is None:
            settings = self._made[configuration.path] = self._settled(configuration)
        settings = self._with_stack(settings, path)
        spared = self._spared(path, configuration, settings.rules)
        if not spared:
            return settings
        codes = frozenset(settings.lint.codes or ()) - spared
        return replace(settings, lint=replace(settings.lint, codes=codes))

    def _with_stack(self, settings: Settings, path: str) -> Settings:
        """The settings for the versions that the files of the project say, under those that a person stated."""
        facts, found = settings.lint.facts, NO_STACK
        if not self._given["isolated"] and self._given.get("finds_stack", True):
            found = stack_near(os.path.dirname(os.path.abspath(path)) if path != "-" else os.getcwd(), self._stacks)
        if not found.said and not found.installed and not facts.stack:
            return settings
        stack = merged(found, facts.stack, facts.stack_source)
        facts = replace(facts, stack=stack.versions, stack_source=stack.said, installed=stack.installed)
        return replace(settings, lint=replace(settings.lint, facts=facts))

    def _check_given(self) -> None:
        model_config, dialect = self._given["model_config"], self._given["dialect"]
        if model_config is not None and not os.path.isfile(model_config):
            raise UsageError(f"--model-config {model_config}: there is no such file")
        if self._given.get("hub"):
            _check_hub(isolated=self._given["isolated"])
        if dialect is not None and dialect not in dialect_names():
            raise UsageError(f"there is no dialect {dialect!r}: there are {', '.join(dialect_names())}")

    def _settled(self, configuration: Configuration) -> Settings:
        """The settings that a configuration comes to under this command line; what is wrong with it is noted."""
        given, values = self._given, configuration.values
        report = _Report(self, configuration)
        rules = self._with_own_rules(configuration, report)
        reserve = self._reserve(configuration, report)
        targets = tuple(_target(text, reserve) for text in given["targets"])
        if not targets:
            targets = tuple(_targets_of(configuration, reserve, report))
        dialect = values.get("dialect")
        if dialect is not None and dialect not in dialect_names():
            near = _near(dialect, dialect_names()) or (f"there are {', '.join(dialect_names())}",)
            report(f"there is no dialect {dialect!r}", configuration.place("dialect"), *near)
            dialect = None
        said = ["--stack"] if self._stack else []
        stack = {**_stack_in(configuration, report), **self._stack}
        if configuration.values.get("stack") and len(stack) > len(self._stack):
            said.append(configuration.path or "")
        facts = Facts(
            overrides={**_set_of(configuration, report), **self._overrides}, dialect=given["dialect"],
            isolated=given["isolated"], model_config=given["model_config"], stack=stack, stack_source=", ".join(said),
            companions=self._companions, hub=bool(given.get("hub")),
        )
        lint = Options(
            targets=targets, facts=facts, plans=self._plans, explains=self._explains, insists=bool(given["targets"]),
            reserve=reserve, dialect=dialect, codes=self._codes(configuration, rules, report),
        )
        fail_on = given.get("fail_on") or values.get("fail-on", "error")
        return Settings(lint, rules, fail_on, _severities_of(configuration, rules, report))

    def _with_own_rules(self, configuration: Configuration, report: _Report) -> RuleSet:
        patterns, given = configuration.words("rules"), self._given.get("rules", ())
        if not patterns and not given:
            return self._base
        from vramlint.settings.own_rules import load_own, paths_of  # noqa: PLC0415  # only where there are some

        paths: list[str] = []
        for index, pattern in enumerate(patterns):
            found = paths_of(pattern, configuration.directory)
            if not found:
                report(f"no file is called {pattern}", configuration.place("rules", index))
            paths += found
        for pattern in given:
            paths += paths_of(pattern, os.getcwd())
        own = load_own(paths, self._base)
        self.files.update({file.path: file for file in own.files})
        self.findings += [finding_about(error, error.path, self._base) for error in own.errors]
        report.is_incomplete = bool(own.faults or own.errors)
        for path, fault in own.faults:
            report(fault.message, fault.span, *fault.help, path=path)
        self.all_rules += own.rules
        return RuleSet([*self._base.rules, *own.rules])

    def _reserve(self, configuration: Configuration, report: _Report) -> int:
        """Bytes to leave free on each card."""
        given = self._given["reserve"]
        try:
            if given is not None:
                return parse_size(given)
        except ValueError as error:
            raise UsageError(str(error)) from None
        said = configuration.values.get("reserve", 0)
        try:
            return said if isinstance(said, int) and said >= 0 else parse_size(str(said))
        except ValueError as error:
            report(str(error), configuration.place("reserve"))
            return 0

    def _codes(self, configuration: Configuration, rules: RuleSet, report: _Report) -> frozenset[str]:
        """The codes of the rules to report: those selected, or on by default, less those ignored."""
        selected, ignored = (_split(self._given.get(option, ())) for option in ("select", "ignore"))
        for text in (*selected, *ignored):
            if not rules.named(text) and not report.is_incomplete:
                near = "; ".join(_near(text, _words(rules)))
                raise UsageError(f"there is no rule {text!r} ({near or '--list-rules shows all'})")
        for key in ("select", "ignore"):
            for index, text in enumerate(configuration.words(key)):
                if not rules.named(text) and not report.is_incomplete:
                    report(f"there is no rule {text!r}", configuration.place(key, index), *_near(text, _words(rules)))
        for pattern, codes in configuration.values.get("per-file-ignores", {}).items():
            for index, text in enumerate(codes):
                if not rules.named(text):
                    place = configuration.place("per-file-ignores", pattern, index)
                    report(f"there is no rule {text!r}", place, *_near(text, _words(rules)))
        wanted = {r.code for text in selected or configuration.words("select") for r in rules.named(text)}
        if not wanted:
            in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
            wanted = {rule.code for rule in rules.rules if rule.default and not (in_ci and rule.is_quiet_in_ci)}
        unwanted = (*ignored, *configuration.words("ignore"))
        return frozenset(wanted - {rule.code for text in unwanted for rule in rules.named(text)})

    def _spared(self, path: str, configuration: Configuration, rules: RuleSet) -> frozenset[str]:
        """The codes that `per-file-ignores` takes out for a file."""
        ignores = configuration.values.get("per-file-ignores")
        if not ignores or path == "-":
            return frozenset()
        from fnmatch import fnmatchcase  # noqa: PLC0415

        relative = os.path.relpath(os.path.abspath(path), configuration.directory).replace(os.sep, "/")
        name = os.path.basename(path)
        matching = [
            codes for pattern, codes in ignores.items()
            if fnmatchcase(relative, pattern.removeprefix("./")) or ("/" not in pattern and fnmatchcase(name, pattern))
        ]
        return frozenset(rule.code for codes in matching for text in codes for rule in rules.named(text))


def _check_hub(*, isolated: bool) -> None:
    from vramlint.hub import is_there  # noqa: PLC0415  # only where the flag is given

    if isolated:
        raise UsageError("--hub writes vramlint.lock, which --isolated leaves out: give one of the two")
    if not is_there():
        raise UsageError("--hub needs huggingface_hub: pip install 'vramlint[hub]'")


class _Report:
    """Notes what is wrong with one configuration; made, it has noted what its reading found.

    `is_incomplete` says that rules of its own could not be read, so that an unknown code may well be theirs.
    """

    __slots__ = ("_configuration", "_session", "is_incomplete")

    def __init__(self, session: Session, configuration: Configuration) -> None:
        self._session = session
        self._configuration = configuration
        self.is_incomplete = False
        base = RuleSet(session.all_rules)
        if configuration.file is not None:
            session.files[configuration.file.path] = configuration.file
        if configuration.error is not None:
            session.findings.append(finding_about(configuration.error, configuration.path or "", base))
        for fault in configuration.faults:
            self(fault.message, fault.span, *fault.help)

    def __call__(self, message: str, span: Span | None, *help_text: str, path: str | None = None) -> None:
        """Note one fault."""
        self._session.findings.append(finding_for(
            RuleSet(self._session.all_rules), "configuration", path=path or self._configuration.path or "", message=message,
            span=span, help=help_text,
        ))


def _target(text: str, reserve: int) -> Target:
    target = find_target(text, reserve=reserve)
    if isinstance(target, UnknownTarget):
        near = f"; did you mean {', '.join(target.suggestions)}?" if target.suggestions else ""
        raise UsageError(f"{target.why}{near} (--list-targets shows all; a size works too: 24GiB@8.6)")
    return target


def _targets_of(configuration: Configuration, reserve: int, report: _Report) -> Iterator[Target]:
    for index, text in enumerate(configuration.words("target")):
        target = find_target(text, reserve=reserve)
        if isinstance(target, UnknownTarget):
            near = (f"did you mean {', '.join(target.suggestions)}?",) if target.suggestions else ()
            report(target.why, configuration.place("target", index), *near)
        else:
            yield target


def _overrides(settings: tuple[str, ...]) -> dict[str, Value]:
    """What `--set KEY=VALUE` says."""
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting}: write it as KEY=VALUE")
        try:
            overrides[key] = set_value(key, value)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return overrides


def _companion(path: str) -> SourceFile:
    """A file that `--companion` names."""
    found = opened_file(path)
    if isinstance(found, str):
        raise UsageError(f"--companion {path}: {found}")
    return found


def _stack_of(said: Iterable[str]) -> dict[str, str]:
    """What `--stack transformers=4.48,trl=0.13` says."""
    found = {}
    for part in (part for text in said for part in text.split(",")):
        library, equals, version = (word.strip() for word in part.partition("="))
        if not equals:
            raise UsageError(f"--stack {part}: write it as LIBRARY=VERSION, as in transformers=4.48")
        if fault := fault_of(library, version.lstrip("=")):
            raise UsageError(f"--stack {part}: {fault}")
        found[library] = version.lstrip("=")
    return found


def _stack_in(configuration: Configuration, report: _Report) -> dict[str, str]:
    """What the table `stack` says."""
    found = {}
    for library, version in configuration.values.get("stack", {}).items():
        if fault := fault_of(library, version):
            report(fault, configuration.place("stack", library))
        else:
            found[library] = version
    return found


def _set_of(configuration: Configuration, report: _Report) -> dict[str, Value]:
    """What the table `set` says."""
    found = {}
    for key, value in configuration.values.get("set", {}).items():
        text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
        try:
            found[key] = set_value(key, text)
        except ValueError as error:
            report(str(error), configuration.place("set", key))
    return found


def _severities_of(configuration: Configuration, rules: RuleSet, report: _Report) -> dict[str, Severity]:
    """What the table `severity` says, by code."""
    found: dict[str, Severity] = {}
    for text, severity in configuration.values.get("severity", {}).items():
        meant = rules.named(text)
        if not meant and not report.is_incomplete:
            report(f"there is no rule {text!r}", configuration.key_place("severity", text), *_near(text, _words(rules)))
        found.update({rule.code: severity for rule in meant})
    return found


def _split(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of options that may be given several times, or once with commas."""
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def _words(rules: RuleSet) -> list[str]:
    return [word for rule in rules.rules for word in (rule.code, rule.name)]


def _near(word: str, known: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    from vramlint.shape import near  # noqa: PLC0415  # only where something is wrong

    return near(word, known)
