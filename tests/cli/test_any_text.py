"""Whatever a configuration, a rule file or a comment holds: findings, never a traceback; and comments never change a number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vramlint.catalog import Target, find_target
from vramlint.fast_arguments import DEFAULTS
from vramlint.linter import Checked, Options, check_data, load_rules
from vramlint.rewriting.ignoring import add_ignores
from vramlint.settings import Session
from vramlint.settings.own_rules import load_own
from vramlint.source import read
from vramlint.source.change import found_data

RULES = load_rules()
MANY = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = st.sampled_from([
    "target", "reserve", "select", "ignore", "fail-on", "output-format", "dialect", "rules", "[set]\nmax_length", "targt",
    "[stack]\ntrl", '[per-file-ignores]\n"*"', "[set]\nlora_target_modules", "set.bf16", "[[target]]\nx", "[tool.vramlint]\nx",
])
VALUES = st.sampled_from([
    '"rtx3070"', '"1GiB"', '["VRM4"]', '["x", 1]', "-1", "1.5", "true", '"${a.b}"', "{x = 1}", "[]", "1979-05-27", '""',
    '["[*", "**/../x"]', "inf", '"\\u0000"', "99999999999999999999",
])
RULE_KEYS = st.sampled_from([
    "code", "name", "severity", "when", "at", "message", "label", "help", "what", "why", "when_not_to", "needs", "fixes",
    "default",
])
RULE_VALUES = st.sampled_from([
    "ACME001", "some-name", "error", "run.bf16", "run.max_length > 1", "max_length", "'{run.max_length}'", "'{0}'", "'{'",
    "'{run.bf16!r:>{width}}'", "[target]", "[{title: t, safety: unsafe, set: {max_length: '= 1 / 0'}}]", "x", "null", "[1]",
    "true", "&a [*a]", "'${x}'", "!!python/object:os.system x", "1" * 600, "'" + "(" * 300 + "'",
])


LINES = {
    "yaml": [
        "#!/x", "model_name_or_path: Qwen/Qwen2.5-0.5B", "run_name: |", "  # vramlint: ignore", "trainer: transformers",
        "attn_implementation: eager", "fp16: true", "bf16: true", "output_dir: out",
    ],
    "toml": [
        'model_name_or_path = "Qwen/Qwen2.5-0.5B"', 'run_name = """', "# vramlint: ignore", '"""',
        'trainer = "transformers"', 'attn_implementation = "eager"', "fp16 = true", "bf16 = true", 'output_dir = "out"',
    ],
    "py": [
        "from transformers import TrainingArguments", "TrainingArguments(", '    run_name="""', "# vramlint: ignore",
        '""",', "    fp16=True,", "    bf16=True,", ")",
    ],
}
"""The same findings in three formats, with a text in each that looks like a comment."""


def is_padded(line: str) -> bool:
    """Whether spaces or a comment may follow on the line without becoming part of a value."""
    return line[0].isalpha() and line[-1] not in '(|"'


@given(st.lists(st.tuples(KEYS, VALUES), max_size=5))
@MANY
def test_any_configuration(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    path = tmp_path / "vramlint.toml"
    path.write_text("".join(f"{key} = {value}\n" for key, value in lines), encoding="utf-8")
    session = Session({**DEFAULTS, "config": str(path)})
    lint = session.settings_for(str(tmp_path / "train.yaml")).lint
    assert all(target.usable <= target.total for target in lint.targets)


@given(st.dictionaries(RULE_KEYS, RULE_VALUES))
@MANY
def test_any_rule(tmp_path: Path, content: dict[str, str]) -> None:
    path = tmp_path / "rule.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in content.items()) or "{}", encoding="utf-8")
    own = load_own([str(path)], RULES)
    assert bool(own.rules) != bool(own.faults or own.errors)


@given(st.text(alphabet="ignore-fl[]VRM405, #:/\n x='\"", max_size=40))
@MANY
def test_any_comment(text: str) -> None:
    data = f"model_name_or_path: Qwen/Qwen2.5-0.5B\noptim: sgd # vramlint: {text}\noutput_dir: out\n".encode()
    check_data("train.yaml", data, Options(), RULES)


@pytest.mark.parametrize("suffix", ["yaml", "toml", "py"])
@given(data=st.data())
@MANY
def test_add_ignore_keeps_the_data_of_any_layout(suffix: str, data: st.DataObject) -> None:
    spaces = data.draw(st.sampled_from(["", " ", "  # note", "   "]))
    end = data.draw(st.sampled_from(["\n", "\r\n", ""]))
    bom = data.draw(st.sampled_from(["", "\ufeff"]))
    text = bom + "".join(f"{line}{spaces * is_padded(line)}{end or chr(10)}" for line in LINES[suffix])
    before = (text if end else text[:-1]).encode()
    target = find_target("rtx3090")
    assert isinstance(target, Target)

    def check(content: bytes) -> Checked:
        return check_data(f"train.{suffix}", content, Options((target,), plans=False), RULES)

    checked = check(before)
    assert checked.findings
    ignored = add_ignores(checked, before, "known", check)
    after = read(f"train.{suffix}", ignored.data)
    assert checked.file is not None
    assert found_data(after) == found_data(checked.file)
    assert ignored.done
    assert ignored.checked.records == checked.records
