"""Writes what PyTorch's allocator says at the moments of a training step to a JSON-lines file; imports torch when it begins."""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from typing import IO, Any

FORMAT = 1
"""The version of the file's form; `vramlint.comparing.recording` reads it and docs/monitor.md describes it."""
FIRST_STEPS = 3
"""Of these every moment is written: the second step is the one that estimates play."""
ASKED_SMI = (1, 2)
"""Steps after which nvidia-smi is asked; it takes some tenths of a second."""
LIBRARIES = ("torch", "transformers", "peft", "trl", "bitsandbytes", "liger-kernel", "accelerate")


class Recorder:
    """One recording. `mark` ends a phase: what is allocated now, and the most since the mark before.

    After the first steps a line is written every `every` steps, and whenever a peak is higher than all before. PyTorch's own
    peak statistics are reset at each mark; `peak_allocated` and `peak_reserved` keep the highest of all, in bytes. On a
    machine without CUDA the file says so and nothing is recorded. A file that cannot be written is warned of, once: the
    training goes on.
    """

    def __init__(self, path: str | os.PathLike[str], *, every: int = 100) -> None:
        rank = os.environ.get("LOCAL_RANK", "0")
        self.path = os.fspath(path) if rank in ("0", "-1", "") else f"{os.fspath(path)}.rank{rank}"
        self.peak_allocated = 0
        self.peak_reserved = 0
        self.step = 0
        self._every = max(1, every)
        self._seconds = 0.0
        self._file: IO[str] | None = None
        self._torch: Any = None
        self._device = 0
        self._uuid: str | None = None
        self._batch: list[int] | None = None
        self._longest: list[int] = [0, 0]

    @property
    def is_on(self) -> bool:
        """Whether there is a card to look at and a file to write to."""
        return self._file is not None and self._torch is not None

    def begin(self, *, arguments: Any = None, model: Any = None) -> None:
        """Open the file and say what machine and what run this is. Does nothing when it has begun already."""
        if self._file is not None:
            return
        import torch  # noqa: PLC0415  # only a training process has it

        try:
            self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115  # open as long as the training
        except OSError as error:
            warnings.warn(f"vramlint records nothing: {self.path}: {error}", stacklevel=3)
            return
        header: dict[str, Any] = {
            "vramlint_run": FORMAT, "device": None, "versions": _versions(), "arguments": _settings(arguments, model),
            "arguments_class": type(arguments).__name__ if arguments is not None else None, "process": os.getpid(),
        }
        if torch.cuda.is_available():
            self._torch, self._device = torch, torch.cuda.current_device()
            properties = torch.cuda.get_device_properties(self._device)
            self._uuid = str(getattr(properties, "uuid", "")) or None
            header |= {
                "device": properties.name, "total": properties.total_memory,
                "capability": f"{properties.major}.{properties.minor}",
            }
            torch.cuda.reset_peak_memory_stats(self._device)
        self._write(header)
        atexit.register(self._at_exit)
        if model is not None:
            self.parts(model, None)

    def batch(self, rows: int, tokens: int) -> None:
        """Note the shape of the batch that the model was given."""
        self._batch = [rows, tokens]
        if rows * tokens > self._longest[0] * self._longest[1]:
            self._longest = [rows, tokens]

    def mark(self, phase: str) -> None:
        """The phase that ends now."""
        if not self.is_on:
            return
        started = time.perf_counter()
        stats = self._torch.cuda.memory_stats_as_nested_dict(self._device)
        allocated, reserved = stats["allocated_bytes"]["all"], stats["reserved_bytes"]["all"]
        is_new = allocated["peak"] > self.peak_allocated or reserved["peak"] > self.peak_reserved
        self.peak_allocated = max(self.peak_allocated, allocated["peak"])
        self.peak_reserved = max(self.peak_reserved, reserved["peak"])
        if is_new or self.step < FIRST_STEPS or self.step % self._every == 0:
            line = {
                "step": self.step, "phase": phase, "allocated": allocated["current"], "reserved": reserved["current"],
                "peak_allocated": allocated["peak"], "peak_reserved": reserved["peak"],
            }
            self._write(line | ({"batch": self._batch} if self._batch and phase == "forward" else {}))
        self._torch.cuda.reset_peak_memory_stats(self._device)
        self._seconds += time.perf_counter() - started

    def parts(self, model: Any, optimizer: Any) -> None:
        """What weights, adapters, gradients and the optimizer's states take now. Only of the first steps: they stay."""
        if not self.is_on or self.step >= FIRST_STEPS:
            return
        started = time.perf_counter()
        line: dict[str, Any] = {"step": self.step, "parts": parts_of(model, optimizer)}
        if model is not None:
            line["trainable"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
        self._write(line)
        self._seconds += time.perf_counter() - started

    def stepped(self) -> None:
        """A step of the optimizer is over."""
        self.step += 1
        if self.is_on and self.step in ASKED_SMI:
            self._ask_smi()

    def end(self, error: str | None = None) -> None:
        """The last line: the peaks of all, and what ended the training if it was an error."""
        if self._file is None:
            return
        line: dict[str, Any] = {"end": True, "error": error, "steps": self.step}
        if self._torch is not None:
            stats = self._torch.cuda.memory_stats_as_nested_dict(self._device)
            self.peak_allocated = max(self.peak_allocated, stats["allocated_bytes"]["all"]["peak"])
            self.peak_reserved = max(self.peak_reserved, stats["reserved_bytes"]["all"]["peak"])
            line |= {
                "peak_allocated": self.peak_allocated, "peak_reserved": self.peak_reserved,
                "retries": stats.get("num_alloc_retries", 0), "out_of_memory": stats.get("num_ooms", 0),
                "longest_batch": self._longest if self._longest[0] else None, "recording_seconds": round(self._seconds, 4),
            }
        self._write(line)
        atexit.unregister(self._at_exit)
        if self._file is not None:
            self._file.close()
        self._file = None

    def _at_exit(self) -> None:
        kind = getattr(sys, "last_type", None)
        self.end(kind.__name__ if kind is not None else "the process ended before the training did")

    def _ask_smi(self) -> None:
        started = time.perf_counter()
        found = nvidia_smi(self._uuid)
        if found is not None:
            reserved = self._torch.cuda.memory_reserved(self._device)
            self._write({"step": self.step, "nvidia_smi": found, "reserved": reserved})
        self._seconds += time.perf_counter() - started

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            warnings.warn(f"vramlint stops recording: {self.path}: {error}", stacklevel=4)
            self._file = None


def parts_of(model: Any, optimizer: Any) -> dict[str, int]:
    """Bytes on the card by what they are for; tensors that share memory are counted once."""
    seen: set[int] = set()
    found = dict.fromkeys(("weights", "adapters", "gradients", "optimizer"), 0)
    if model is not None:
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            part = "adapters" if "lora_" in name else "weights"
            found[part] += _size_of((tensor, *_tensors_in(getattr(tensor, "quant_state", None))), seen)
        parameters = list(model.parameters())
    else:
        parameters = [p for group in getattr(optimizer, "param_groups", ()) for p in group["params"]]
    found["gradients"] = _size_of((p.grad for p in parameters if p.grad is not None), seen)
    for state in getattr(optimizer, "state", {}).values():
        found["optimizer"] += _size_of(_tensors_in(state), seen)
    return found


def _tensors_in(value: Any, depth: int = 4) -> Iterable[Any]:
    """The tensors that an object holds: of bitsandbytes' quantisation state, of an optimizer's state."""
    if depth == 0 or value is None or isinstance(value, (int, float, str)):
        return
    if hasattr(value, "untyped_storage"):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors_in(each, depth - 1)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors_in(each, depth - 1)
    elif hasattr(value, "__dict__"):
        for each in vars(value).values():
            yield from _tensors_in(each, depth - 1)


def _size_of(tensors: Iterable[Any], seen: set[int]) -> int:
    """Paged tensors are left out: they are not the allocator's."""
    size = 0
    for tensor in tensors:
        if not tensor.is_cuda or getattr(tensor, "is_paged", False):
            continue
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            size += storage.nbytes()
    return size


def nvidia_smi(uuid: str | None) -> dict[str, int | None] | None:
    """What nvidia-smi says this process and the card hold, in bytes; None where there is no nvidia-smi or it does not answer."""
    import subprocess  # noqa: PLC0415  # asked for twice a training

    def lines(*query: str) -> list[list[str]]:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["nvidia-smi", *query, "--format=csv,noheader,nounits"],  # noqa: S607  # where the driver put it
            capture_output=True, text=True, timeout=5, check=True,
        )
        return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]

    try:
        cards = lines("--query-gpu=uuid,memory.used")
        processes = lines("--query-compute-apps=gpu_uuid,pid,used_memory")
    except (OSError, subprocess.SubprocessError):
        return None
    own = [card for card in cards if len(card) == 2 and (uuid is None or uuid in card[0])]
    used = [
        int(line[2]) for line in processes
        if len(line) == 3 and (uuid is None or uuid in line[0]) and line[1] == str(os.getpid()) and line[2].isdecimal()
    ]
    device = int(own[0][1]) if len(own) == 1 and own[0][1].isdecimal() else None
    return {"process": used[0] << 20 if used else None, "device": device << 20 if device is not None else None}


def _versions() -> dict[str, str]:
    """Of those libraries that the process has loaded."""
    found = {}
    for name in LIBRARIES:
        version = getattr(sys.modules.get(name.replace("-", "_")), "__version__", None)
        if isinstance(version, str):
            found[name] = version.partition("+")[0]
    return found


SETTINGS = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "bf16", "fp16", "optim",
    "use_liger_kernel", "max_grad_norm", "max_length", "packing", "padding_free", "activation_offloading",
    "torch_empty_cache_steps", "label_smoothing_factor", "num_generations", "max_completion_length",
)
"""What of the trainer's arguments decides memory, in the names that vramlint has for it."""


ADAPTER_SETTINGS = {"r": "lora_r", "lora_dropout": "lora_dropout", "use_dora": "use_dora", "use_rslora": "use_rslora"}
"""Of peft's LoraConfig, likewise."""


def _settings(arguments: Any, model: Any) -> dict[str, Any]:
    given = {name: getattr(arguments, name, None) for name in SETTINGS}
    adapters = getattr(model, "peft_config", None)
    if isinstance(adapters, Mapping) and adapters:
        adapter = next(iter(adapters.values()))
        given |= {ours: getattr(adapter, theirs, None) for theirs, ours in ADAPTER_SETTINGS.items()}
    found = {}
    for name, value in given.items():
        plain = getattr(value, "value", value)  # of an enumeration
        if isinstance(plain, (str, int, float, bool)):
            found[name] = plain
    return found
