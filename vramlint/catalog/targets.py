"""A card's name, a cloud instance's name or a size → `Target`: what PyTorch sees of that card."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from vramlint.catalog.config import DATA
from vramlint.catalog.target import Target, UnknownTarget
from vramlint.dataclass import replace

GPUS = os.path.join(DATA, "gpus.jsonl")
INSTANCES = os.path.join(DATA, "instances.jsonl")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(gib|gb|mib|mb|g)(?:@(\d+)\.(\d))?", re.IGNORECASE)
SEVERAL = re.compile(r"([1-9]\d{0,3})\s*[x×*]\s*(?=\S)(.+)", re.IGNORECASE)
"""Cards of a kind that train together: `8xA100-80GB`."""
UNITS = {"gib": 1 << 30, "g": 1 << 30, "gb": 10**9, "mib": 1 << 20, "mb": 10**6}
ASSUMED_CAPABILITY = (8, 0)
DRIVER_SHARE = {True: 0.985, False: 0.975}
"""What is left of the nominal size on Linux with HBM (True) and with GDDR memory: 1 to 3 % less on 19 cards whose
`nvidia-smi` and `torch` figures were printed side by side (see `total_source` of the entries)."""
OF_REPORTED = 0.985
NOISE = re.compile(r"\b(nvidia|geforce|tesla|amd|intel|radeon|instinct|gpu|graphics)\b|[\s_-]+", re.IGNORECASE)


def find_target(text: str, *, reserve: int = 0) -> Target | UnknownTarget:
    """The card that `text` names: an id or a spelling of it, an instance, or a size such as `24GiB@8.6`; `8xa100` is eight.

    `reserve` bytes of each are kept for others.
    """
    several = SEVERAL.fullmatch(text.strip())
    if several is None:
        return _find_one(text, reserve)
    found = _find_one(several[2], reserve)
    if isinstance(found, UnknownTarget):
        near = tuple(f"{several[1]}x{name}" for name in found.suggestions)
        return UnknownTarget(text, f"unknown target {text!r}", near)
    count = int(several[1])
    return replace(found, id=f"{count}x{found.id}", name=f"{count}×{found.name}", gpu_count=count * found.gpu_count)


def _find_one(text: str, reserve: int) -> Target | UnknownTarget:
    size = SIZE.fullmatch(text.strip())
    if size:
        return _of_size(text.strip(), size, reserve)
    exact = _entry_with_id(text.strip())
    if exact is not None:
        return _of_entry(exact, reserve, 1)
    wanted = _folded(text)
    names: dict[str, dict[str, Any]] = {}
    for entry in all_targets():
        for name in (entry["id"], entry["name"], *entry["aliases"]):
            names.setdefault(_folded(name), entry)
    if wanted in names:
        return _of_entry(names[wanted], reserve, 1)
    instances = {name.lower(): entry for entry in all_instances() for name in (entry["id"], *entry.get("aliases", ()))}
    instance = instances.get(text.strip().lower())
    if instance is not None:
        card = names.get(_folded(instance["gpu"]))
        if card is not None:
            return _of_entry(card, reserve, int(instance.get("gpu_count", 1)))
    import difflib  # noqa: PLC0415  # only where something is wrong

    near = difflib.get_close_matches(wanted, [n for n in names if n], 3, 0.6)
    near += difflib.get_close_matches(text.lower(), instances, 2, 0.8)
    suggestions = [names[match]["id"] if match in names else str(instances[match]["id"]) for match in near]
    return UnknownTarget(text, f"unknown target {text!r}", tuple(dict.fromkeys(suggestions))[:3])


def all_targets() -> Iterator[dict[str, Any]]:
    """Every card of the catalogue as written."""
    return _lines(GPUS)


def all_instances() -> Iterator[dict[str, Any]]:
    """Every cloud instance and notebook service as written."""
    return _lines(INSTANCES)


def target_of_entry(entry: dict[str, Any], reserve: int = 0) -> Target:
    """One card of a catalogue entry."""
    return _of_entry(entry, reserve, 1)


def _entry_with_id(name: str) -> dict[str, Any] | None:
    """The card with exactly this id, without reading the others."""
    start = f'{{"id":{json.dumps(name.lower())},'
    with open(GPUS, encoding="utf-8") as file:
        for line in file:
            if line.startswith(start):
                entry: dict[str, Any] = json.loads(line)
                return entry
    return None


def _lines(path: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _folded(text: str) -> str:
    folded = NOISE.sub("", text.lower())
    return re.sub(r"(\d+)(?:gib|gb|g)$", r"\1gb", folded)


def _of_size(text: str, match: re.Match[str], reserve: int) -> Target:
    total = int(float(match[1]) * UNITS[match[2].lower()])
    given = match[3] is not None
    capability = (int(match[3]), int(match[4])) if given else ASSUMED_CAPABILITY
    return Target(
        id=text, name=text, vendor="nvidia", total=total, reserve=reserve, compute_capability=capability,
        total_source="as given",
        kernels_assumed=None if given else "only a size is given: the kernels of compute capability 8.0 are assumed",
    )


def _of_entry(entry: dict[str, Any], reserve: int, count: int) -> Target:
    total, source = _total(entry)
    capability = entry.get("compute_capability")
    assumed = None
    if entry["vendor"] != "nvidia":
        assumed = f"{entry['name']} is no CUDA card: memory only, kernels as on compute capability 8.0"
    elif capability is None:
        assumed = f"the compute capability of {entry['name']} is not known: 8.0 is assumed"
    major, _, minor = (capability or "8.0").partition(".")
    return Target(
        id=entry["id"], name=entry["name"], vendor=entry["vendor"], total=total, reserve=reserve,
        compute_capability=ASSUMED_CAPABILITY if assumed else (int(major), int(minor)), total_source=source,
        architecture=entry.get("architecture"), memory_bandwidth_gbps=entry.get("bandwidth_gbps"), gpu_count=count,
        kernels_assumed=assumed,
    )


def _total(entry: dict[str, Any]) -> tuple[int, str]:
    """What PyTorch sees of the card, in bytes, and from what that is known."""
    if entry.get("torch_total_mib"):
        return int(entry["torch_total_mib"] * (1 << 20)), str(entry.get("total_source") or "printed by torch")
    nominal = int(entry["nominal"])
    hbm = entry.get("segment") == "datacenter" and nominal >= 32 << 30
    derived = int(nominal * DRIVER_SHARE[hbm])
    if entry.get("reported_mib"):
        reported = int(entry["reported_mib"] * (1 << 20) * OF_REPORTED)
        return min(reported, derived) if not hbm else reported, "from nvidia-smi's figure, less what the driver keeps"
    return derived, "from the nominal size, less what the driver keeps"
