"""Records the memory of a real training run, for `vramlint compare`: a callback for Trainers, a context manager for the rest.

    trainer.add_callback(MemoryCallback("run.jsonl"))

    with watch("run.jsonl", model=model):
        train()

transformers is imported when `MemoryCallback` is asked for, torch when a recording begins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vramlint.monitor.recorder import Recorder

__all__ = ["MemoryCallback", "Recorder", "watch"]  # made in __getattr__

_made: dict[str, Any] = {}


def __getattr__(name: str) -> Any:
    """`MemoryCallback`, a `transformers.TrainerCallback`, made when it is first asked for."""
    if name != "MemoryCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _made:
        from transformers import TrainerCallback  # noqa: PLC0415  # only a training process has it

        _made[name] = type(name, (_Events, TrainerCallback), {"__doc__": _Events.__doc__, "__module__": __name__})
    return _made[name]


class _Events:
    """Records allocated and reserved memory at each phase of each step, and what nvidia-smi says of the process."""

    def __init__(self, path: str | os.PathLike[str] = "run.jsonl", *, every: int = 100) -> None:
        self.recorder = Recorder(path, every=every)
        self._hook: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Before the first step: opens the file."""
        self.recorder.begin(arguments=args, model=model)
        if model is not None and self._hook is None and self.recorder.is_on:
            self._hook = _hooked(model, self.recorder)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Before a step's first forward pass."""
        self.recorder.mark("between steps")

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        """After the backward pass of one of several accumulated batches."""
        self.recorder.mark("backward")

    def on_pre_optimizer_step(self, *_: Any, model: Any = None, optimizer: Any = None, **__: Any) -> None:
        """After the last backward pass and the clipping of gradients."""
        self.recorder.mark("backward")
        self.recorder.parts(model, optimizer)

    def on_optimizer_step(self, *_: Any, model: Any = None, optimizer: Any = None, **__: Any) -> None:
        """After the optimizer's step."""
        self.recorder.mark("optimizer step")
        if self.recorder.step == 0:  # its states are there from now on
            self.recorder.parts(model, optimizer)
        self.recorder.stepped()

    def on_evaluate(self, *_: Any, **__: Any) -> None:
        """After an evaluation."""
        self.recorder.mark("evaluation")

    def on_save(self, *_: Any, **__: Any) -> None:
        """After a checkpoint was saved."""
        self.recorder.mark("saving")

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """After the last step: closes the file."""
        self.recorder.mark("end")
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        self.recorder.end()


@contextmanager
def watch(path: str | os.PathLike[str] = "run.jsonl", *, model: Any = None, every: int = 100) -> Iterator[Recorder]:
    """Record what is trained inside: each step of any `torch.optim` optimizer ends one.

    With the `model`, forward and backward pass are told apart and its weights are measured. `mark(phase)` of what it gives
    ends a phase of your own. An exception is written down and goes on its way.
    """
    from torch.optim.optimizer import (  # noqa: PLC0415  # only a training process has it
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    recorder = Recorder(path, every=every)
    recorder.begin(model=model)
    last = "backward" if model is not None else "forward and backward"

    def before(optimizer: Any, *_: Any) -> None:
        recorder.mark(last)
        recorder.parts(model, optimizer)

    def after(optimizer: Any, *_: Any) -> None:
        recorder.mark("optimizer step")
        if recorder.step == 0:
            recorder.parts(model, optimizer)
        recorder.stepped()

    def before_forward(module: Any, _: Any) -> None:
        if module.training:
            recorder.mark("between steps")

    hooks = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    if model is not None:
        hooks.append(_hooked(model, recorder))
        # Gradients are set free after the optimizer's step: what was there before that is no part of the forward pass.
        hooks.append(model.register_forward_pre_hook(before_forward))
    try:
        yield recorder
    except BaseException as error:
        recorder.end(type(error).__name__)
        raise
    else:
        recorder.mark("end")
        recorder.end()
    finally:
        for hook in hooks:
            hook.remove()


def _hooked(model: Any, recorder: Recorder) -> Any:
    """The end of a training forward pass is a moment, and the shape of its batch is noted."""

    def forward_is_over(module: Any, _: Any, keywords: dict[str, Any], __: Any) -> None:
        if not module.training:
            return
        ids = keywords.get("input_ids")
        if ids is not None and getattr(ids, "ndim", 0) == 2:
            recorder.batch(*ids.shape)
        recorder.mark("forward")

    return model.register_forward_hook(forward_is_over, with_kwargs=True)
