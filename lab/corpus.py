"""Every file of a corpus of real configs, linted: is it recognised, and as what; what is found; is it estimated, or why not.

    python -m lab.corpus CORPUS                  prints the summary and the reasons
    python -m lab.corpus CORPUS --write          also writes lab/data/corpus.csv (a line a file) and docs/corpus.md
    python -m lab.corpus CORPUS --findings CODE  prints the findings of one code, with their places
    python -m lab.corpus CORPUS --of NAME …      looks anew only at the corpus's files of these frameworks

CORPUS has an INDEX.csv with the columns `file`, `dialect` (the framework that the file is of) and `kind`.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from multiprocessing import Pool
from pathlib import Path

from vramlint.catalog import FoundModel, UnknownTarget, find_target
from vramlint.dataclass import dataclass
from vramlint.examine import Facts, Subject, simulate, subject_of
from vramlint.linter import Options, check_data, load_rules
from vramlint.memory import NoEstimate
from vramlint.run import Value
from vramlint.source import SourceError, format_of, read

ROOT = Path(__file__).parents[1]
SNAPSHOT = ROOT / "lab" / "data" / "corpus.csv"
PAGE = ROOT / "docs" / "corpus.md"
TARGET = "a100-80gb"
NONE = ""
OURS = {
    "trl-yaml": "huggingface", "axolotl": "axolotl", "llamafactory": "llamafactory", "ms-swift": "ms-swift",
    "torchtune": "torchtune", "litgpt": "litgpt", "open-instruct": "open-instruct", "torchtitan": "torchtitan",
    "oumi": "oumi", "prime-rl": "prime-rl", "nemo-automodel": "nemo-automodel", "verl": "verl",
    "llm-foundry": "llm-foundry", "gpt-neox": "gpt-neox", "kohya": "kohya", "kohya-gui": "kohya",
    "deepspeed": "deepspeed", "accelerate": "accelerate", "hf-fsdp": "accelerate",
}
"""What the corpus calls a framework whose configs are read here, and what the schema is called."""
REVIEWED = {
    "gpt-neox/EleutherAI__gpt-neox/configs/cpu_mock_config.yml": "fragment",  # one key, laid over other files
    "gpt-neox/EleutherAI__gpt-neox/configs/llama2/7B.yml": "fragment",  # sizes alone, laid over other files, as llama/7B.yml
    "gpt-neox/EleutherAI__gpt-neox/configs/llama2/codellama_7B.yml": "fragment",
    "gpt-neox/EleutherAI__gpt-neox/configs/llama2/codellama_34B.yml": "fragment",
    "gpt-neox/EleutherAI__gpt-neox/configs/mistral/7B.yml": "fragment",
    "gpt-neox/EleutherAI__gpt-neox/post-training/configs/benchmarking/llama-13b-dpo.yml": "training",
    "gpt-neox/EleutherAI__gpt-neox/post-training/configs/benchmarking/mistral-dpo.yml": "training",
    "kohya/bmaltais__kohya_ss/examples/stable_cascade/test.toml": "other",  # an empty file
    "llm-foundry/mosaicml__llm-foundry/mcli/mcli-1b.yaml": "job",  # its parameters are {}
    "llm-foundry/mosaicml__llm-foundry/scripts/train/yamls/pretrain/gpt-neo-125m_eval.yaml": "training",  # trains too
    "nemo-automodel/NVIDIA-NeMo__Automodel/examples/speculative/dspark/glm_5.2_dspark_precompute.yaml": "dataset",
    "prime-rl/PrimeIntellect-ai__prime-rl/configs/ci/slim_sft.toml": "fragment",  # only [slurm]
    # The train command: it saves the tokenised data where there is none yet, and trains otherwise.
    "llamafactory/hiyouga__LLaMA-Factory@0e88c575/examples/train_lora/llama3_preprocess.yaml": "training",
    "llamafactory/hiyouga__LLaMA-Factory@ca75f1ed/examples/train_lora/llama3_preprocess.yaml": "training",
    "llamafactory/hiyouga__LLaMA-Factory/examples/train_lora/qwen3_preprocess.yaml": "training",
}
"""Files whose kind the corpus's index has by their name alone, and what they are when read."""
TEMPLATE = "_TEMPLATE.json"
"""So end JSON files of DeepSpeedExamples with words to be replaced in them, which are no JSON yet."""
TRAINING = ("training", "training-wrapped", "training-speculative")
COMPANIONS = ("deepspeed", "accelerate", "hf-fsdp")
"""Dialects of files that a training config names; the corpus has their kind as `distributed`."""
NO_LANGUAGE_MODEL = ("kohya", "diffusion-pipe", *COMPANIONS)
"""Dialects that train no language model themselves: recognised and validated, never estimated."""
GENERAL = (
    (re.compile(r"'[^']*'|\"[^\"]*\""), "…"), (re.compile(r"(unknown model …): .*"), r"\1"),
    (re.compile(r"(the DeepSpeed file) \S+"), r"\1 …"), (re.compile(r"\b\d+(\.\d+)?\b"), "N"),
    (re.compile(r"target modules .* match nothing in"), "target modules … match nothing in"),
    (re.compile(r"(it is \S+), which is said elsewhere"), "it is said elsewhere"),
    (re.compile(r"^\S+ is stored quantised"), "the checkpoint is stored quantised"),
    (re.compile(r"takes (.*), not .*"), r"takes \1, not …"),
)
"""What makes one reason of many that differ in names and sizes."""
STATED: dict[str, Value] = {"max_length": 2048, "per_device_train_batch_size": 1}
"""What is said for a file that leaves it open (`--set`), to see whether it would be estimated then."""
OPEN = re.compile(r"(\w+) is not known")


@dataclass(frozen=True, slots=True)
class Line:
    """One file. `dialect` and `kind` are the corpus's words, `found` is ours; `findings` has codes of the schema with counts.

    `estimated` is yes, no, or `stated`: once the keys in `stated`, which the file leaves open, have a value. `reason` is why
    there is no number even then.
    """

    file: str
    dialect: str
    kind: str
    found: str
    model: str = ""
    findings: str = ""
    estimated: str = ""
    stated: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """A line with what is too much for it: each schema finding as code and text, and a traceback if there was one."""

    line: Line
    texts: tuple[tuple[str, str], ...] = ()
    failure: str = ""


def general(reason: str) -> str:
    """A reason without the names and sizes of its file."""
    for pattern, instead in GENERAL:
        reason = pattern.sub(instead, reason)
    return reason


def look(corpus: Path, row: dict[str, str]) -> Looked:
    """One file through the whole walk; an exception is a fact about it and is kept."""
    try:
        return _looked(corpus, row)
    except Exception as error:  # noqa: BLE001  # any traceback is what is looked for
        return Looked(Line(row["file"], row["dialect"], row["kind"], NONE), failure=f"{type(error).__name__}: {error}")


def _looked(corpus: Path, row: dict[str, str]) -> Looked:
    path = corpus / row["file"]
    data = path.read_bytes()
    target = find_target(TARGET)
    if isinstance(target, UnknownTarget):
        raise ValueError(target.why)  # noqa: TRY004  # a slip in this file
    facts = Facts(isolated=True)
    checked = check_data(str(path), data, Options(targets=(target,), plans=False, facts=facts), load_rules(), named=False)
    try:
        file = read(str(path), data, format_of(path.name) or "yaml")
    except SourceError as error:
        return Looked(Line(row["file"], row["dialect"], row["kind"], NONE, reason=f"not read: {general(error.message)}"))
    subjects = [s for s in (subject_of(file, document, facts) for document in file.documents) if s is not None]
    texts = tuple((f.code, f"{_place(f.span.start if f.span else None, file.text)}: {f.message}") for f in checked.findings
                  if f.code.startswith("VRM1") and f.code not in SAID_APART)
    counts = Counter(code for code, _ in texts)
    shown = " ".join(f"{code}:{count}" for code, count in sorted(counts.items()))
    found = " ".join(sorted({s.recognised.dialect for s in subjects}))
    estimated, stated, reason = _estimated(subjects, [record["error"] for record in checked.records])
    return Looked(Line(row["file"], row["dialect"], row["kind"], found, _kind(subjects), shown, estimated, stated, reason), texts)


SAID_APART = ("VRM109", "VRM110", "VRM111")
"""No schema's findings: an unknown model, no estimate, an open trainer."""


def _place(offset: int | None, text: str) -> str:
    return "-" if offset is None else str(text.count("\n", 0, offset) + 1)


def _kind(subjects: Sequence[Subject]) -> str:
    """What kind of model the first document trains."""
    for subject in subjects:
        model = subject.model
        if isinstance(model, FoundModel):
            return model.architecture.kind
        is_image = any("image model" in why for run in subject.runs for why in run.unknown.values())
        return "image" if is_image else "not known" if model else "none named"
    return ""


def _estimated(subjects: Sequence[Subject], errors: Sequence[object]) -> tuple[str, str, str]:
    """Whether every document of the file is estimated, the keys that had to be stated, and the first reason why not."""
    stated: dict[str, Value] = {}
    for subject, error in zip(subjects, errors, strict=True):
        why = error
        while why is not None:
            missing = OPEN.match(str(why))
            if missing is None or missing[1] not in STATED or missing[1] in stated:
                return "no", " ".join(sorted(stated)), general(str(why))
            stated[missing[1]] = STATED[missing[1]]
            why = _why_not(subject, stated)
    if not subjects:
        return "", "", ""
    return ("stated" if stated else "yes"), " ".join(sorted(stated)), ""


def _why_not(subject: Subject, stated: dict[str, Value]) -> str | None:
    """Why there is still no number when some keys are stated."""
    again = subject_of(subject.file, subject.document, Facts(isolated=True, overrides=stated)) or subject
    results = [simulate(run, again.model, None, replay=False) for run in again.runs]
    return next((result.why for result in results if isinstance(result, NoEstimate)), None)


def rows_of(corpus: Path) -> list[dict[str, str]]:
    """The lines of the corpus's index, their kinds as reviewed."""
    with (corpus / "INDEX.csv").open(encoding="utf-8") as index:
        return [row | {"kind": _kind_of(row)} for row in csv.DictReader(index)]


def _kind_of(row: dict[str, str]) -> str:
    return "other" if row["file"].endswith(TEMPLATE) else REVIEWED.get(row["file"], row["kind"])


def looks(corpus: Path, rows: Sequence[dict[str, str]], *, processes: int = 2) -> list[Looked]:
    """Each file of `rows`, by several processes where there are many."""
    if len(rows) < 2 * processes:
        return [look(corpus, row) for row in rows]
    with Pool(processes) as pool:
        return pool.starmap(look, [(corpus, row) for row in rows], chunksize=16)


def snapshot() -> list[Line]:
    """The lines of the reviewed snapshot."""
    with SNAPSHOT.open(encoding="utf-8") as file:
        return [Line(**row) for row in csv.DictReader(file)]


def write_snapshot(lines: Iterable[Line]) -> None:
    """Replace lab/data/corpus.csv."""
    with SNAPSHOT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = Line.__match_args__
        writer.writerow(names)
        writer.writerows([getattr(line, name) for name in names] for line in lines)


def main() -> int:
    """Look at every file; print, and write the snapshot if asked."""
    from lab.corpus_page import page, summary  # the page reads lines of this module

    parser = argparse.ArgumentParser(prog="lab.corpus", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--write", action="store_true", help="write the snapshot and docs/corpus.md")
    parser.add_argument("--findings", metavar="CODE", help="print the findings of one code")
    parser.add_argument("--of", metavar="NAME", nargs="*", help="look only at files of these frameworks")
    arguments = parser.parse_args()
    rows = rows_of(arguments.corpus)
    looked = looks(arguments.corpus, [row for row in rows if arguments.of is None or row["dialect"] in arguments.of])
    for one in looked:
        if one.failure:
            print(f"{one.line.file}: {one.failure}", file=sys.stderr)
        for code, text in one.texts if arguments.findings else ():
            if code == arguments.findings:
                print(f"{one.line.file}:{text}")
    known = {} if arguments.of is None else {line.file: line for line in snapshot()}
    known |= {one.line.file: one.line for one in looked}
    lines = [known[row["file"]] for row in rows]
    if not arguments.findings:
        print(summary(lines))
    if arguments.write:
        write_snapshot(lines)
        PAGE.write_text(page(lines), encoding="utf-8")
    return int(any(one.failure for one in looked))


if __name__ == "__main__":
    raise SystemExit(main())
