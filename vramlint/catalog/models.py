"""A model's name → its architecture: a file beside the config, then the catalogue, the lock file, the Hugging Face cache."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from vramlint.catalog.architecture import Architecture, FoundModel, MissingModel
from vramlint.catalog.config import DATA, architecture_from_config
from vramlint.catalog.locked import LockError, locked_config
from vramlint.dataclass import replace
from vramlint.spelling import is_slip

CATALOG = os.path.join(DATA, "models.jsonl")
NOT_OF_THE_CONFIG = ("id", "aliases", "quantized", "same_count", "parameters", "source", "unconfirmed", "overrides", "auto")

MIRROR = "unsloth/"
"""Whose copies of a model are named only after the model itself."""
VARIANT = re.compile(r"(.+?)(?:-unsloth)?-(bnb-4bit|GPTQ|AWQ|FP8|GGUF|MLX)(?:-(?:Int[48]|\dbits?|dynamic))?", re.IGNORECASE)
"""Names of quantised copies: the model's, then the method."""
LOCAL = frozenset({"models", "model", "checkpoints", "checkpoint", "ckpt", "ckpts", "weights", "pretrained", "outputs", "output"})
"""First parts of a name of two that are folders of people's own, and no organisations."""

FilePath = str | os.PathLike[str]
"""pathlib itself costs start-up."""


def find_model(
    name: str, *, base_directory: FilePath | None, model_config: FilePath | None = None, isolated: bool = False,
) -> FoundModel | MissingModel:
    """The architecture of the model `name`, and where it was found, or why it is not known.

    `base_directory` is where relative model paths begin; `isolated` leaves the lock file and the Hugging Face cache out.
    """
    if model_config is not None:
        return _from_file(name or str(model_config), model_config, "--model-config")
    local = _local_config(name, base_directory)
    if local is not None:
        return _from_file(name, local, f"{os.path.basename(local)} in {os.path.dirname(local) or '.'}")
    found: FoundModel | MissingModel | None = _in_catalog(name)
    if found is None and not isolated:
        found = _locked(name, base_directory)
    if found is None and not isolated:
        cached = _cached_config(name)
        found = _from_file(name, cached, "the Hugging Face cache") if cached else None
    if found is None:
        found = _quantised_variant(name)
    if found is None and _looks_local(name):
        last = name.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
        found = _in_catalog_by_last_part(last)
        if found is not None:
            return replace(found, assumed=f"{name!r} is a local path; taken for {found.name} by its last part")
    return found or MissingModel(name, "it is not in the catalogue and no config.json was found for it", _near(name))


def described_model(name: str, config: Mapping[str, object], source: str) -> FoundModel | MissingModel:
    """The model that a training config describes itself, in the words of a `config.json`."""
    try:
        return FoundModel(name, architecture_from_config(config), source)
    except (ValueError, TypeError) as error:
        return MissingModel(name, f"{source} does not describe a model: {error}")


def all_models() -> Iterator[dict[str, Any]]:
    """Every catalogue entry as written."""
    with open(CATALOG, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def architecture_of_entry(entry: dict[str, Any], name: str) -> Architecture:
    """The architecture of a catalogue entry under one of its names."""
    fields = {key: value for key, value in entry.items() if key not in NOT_OF_THE_CONFIG}
    fields.update(entry.get("overrides", {}).get(name, {}))
    return replace(architecture_from_config(fields), parameters=entry.get("parameters"))


def _locked(name: str, base_directory: FilePath | None) -> FoundModel | MissingModel | None:
    try:
        locked = locked_config(name, os.fspath(base_directory or ""))
    except LockError as error:
        return MissingModel(name, str(error))
    return None if locked is None else _of_config(name, *locked)


def _in_catalog(name: str) -> FoundModel | None:
    line = _line_with(f'"{name.lower()}"')
    if line is None:
        return None
    entry = json.loads(line)
    quantized = next((kind for alias, kind in entry["quantized"].items() if alias.lower() == name.lower()), None)
    names = [entry["id"], *entry["aliases"], *entry.get("same_count", ()), *entry["quantized"]]
    if not any(known.lower() == name.lower() for known in names):
        return None
    weak = name.lower() in (known.lower() for known in entry.get("same_count", ()))
    return FoundModel(
        name, architecture_of_entry(entry, name), "the catalogue", quantized,
        f"{name} has the family and the exact parameter count of {entry['id']}" if weak else None,
    )


def _quantised_variant(name: str) -> FoundModel | None:
    """A model whose name says that it is another one, stored quantised: `TheBloke/Mistral-7B-v0.1-AWQ`."""
    match = VARIANT.fullmatch(name.rstrip("/").rpartition("/")[2])
    base = _in_catalog_by_last_part(match[1]) if match else None
    if match is None or base is None or base.quantized is not None:
        return None
    why = f"{name} is taken for {base.name}, stored in {match[2]}, by its name"
    return replace(base, name=name, quantized=match[2].lower(), assumed=why)


def _in_catalog_by_last_part(last: str) -> FoundModel | None:
    line = _line_with(f'/{last.lower()}"')
    if line is None or not last:
        return None
    entry = json.loads(line)
    names = [entry["id"], *entry["aliases"], *entry["quantized"]]
    full = next((known for known in names if known.lower().endswith(f"/{last.lower()}")), None)
    return _in_catalog(full) if full else None


def _line_with(part: str) -> str | None:
    """The catalogue's line that holds `part` (lower case): a search in the text is quicker than reading 700 entries."""
    with open(CATALOG, encoding="utf-8") as file:
        text = file.read()
    lowered = text.lower()
    if len(lowered) != len(text):
        return next((line for line in text.splitlines() if part in line.lower()), None)
    offset = lowered.find(part)
    if offset < 0:
        return None
    return text[text.rfind("\n", 0, offset) + 1 : text.find("\n", offset)]


def _near(name: str) -> tuple[str, ...]:
    import difflib  # noqa: PLC0415  # only where something is wrong

    last = _last(name)
    entries = list(all_models())
    names = [entry["id"] for entry in entries] + [alias for entry in entries for alias in entry["aliases"]]
    names = [known for known in names if is_slip(last, _last(known))]
    names.sort(key=lambda known: known.startswith(MIRROR))
    by_lower = {known.lower(): known for known in reversed(names)}
    by_last = {_last(known): known for known in reversed(names)}
    near = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, 1, 0.8)]
    near += [by_last[match] for match in difflib.get_close_matches(last, by_last, 1, 0.8)]
    return tuple(dict.fromkeys(near))


def _last(name: str) -> str:
    """A model's name without its owner, in lower case."""
    return name.lower().rpartition("/")[2]


def _looks_local(name: str) -> bool:
    folder = name.partition("/")[0].lower()
    return name.startswith((".", "/", "~", "\\")) or name.count("/") != 1 or folder in LOCAL


def _local_config(name: str, base_directory: FilePath | None) -> str | None:
    if not name or "\0" in name or len(name) > 1000:
        return None
    path = os.path.normpath(os.path.join(base_directory or "", os.path.expanduser(name)))
    for candidate in (os.path.join(path, "config.json"), path):
        if os.path.basename(candidate) == "config.json" and os.path.isfile(candidate):
            return candidate
    return None


def _cached_config(name: str) -> str | None:
    if name.count("/") != 1 or ".." in name:
        return None
    home = os.environ.get("HF_HOME") or os.path.join(os.path.expanduser("~"), ".cache", "huggingface")
    hub = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    repository = os.path.join(hub, f"models--{name.replace('/', '--')}")
    snapshots = os.path.join(repository, "snapshots")
    try:
        with open(os.path.join(repository, "refs", "main"), encoding="utf-8") as file:
            revisions = [file.read().strip()]
    except (OSError, UnicodeDecodeError):
        revisions = []
    try:
        revisions += sorted(os.listdir(snapshots))
    except OSError:
        return None
    configs = [os.path.join(snapshots, revision, "config.json") for revision in revisions if "\0" not in revision]
    return next((config for config in configs if os.path.isfile(config)), None)


def _from_file(name: str, path: FilePath, source: str) -> FoundModel | MissingModel:
    try:
        if os.path.getsize(path) > 1 << 20:
            return MissingModel(name, f"{path} is over 1 MiB, which no config.json is")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except OSError as error:
        return MissingModel(name, f"{path} cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError):
        return MissingModel(name, f"{path} is not valid JSON")
    if not isinstance(config, dict):
        return MissingModel(name, f"{path} is no JSON object")
    return _of_config(name, config, source, str(path))


def _of_config(name: str, config: Mapping[str, Any], source: str, path: str | None = None) -> FoundModel | MissingModel:
    try:
        architecture = architecture_from_config(config)
    except (ValueError, TypeError) as error:
        return MissingModel(name, f"{path or source} does not describe a model: {error}")
    method = config.get("quantization_config")
    quantized = None
    if isinstance(method, dict):
        quantized = "bnb-4bit" if method.get("load_in_4bit") or method.get("_load_in_4bit") else str(
            method.get("quant_method", "quantised"),
        )
    return FoundModel(name, architecture, source, quantized)


