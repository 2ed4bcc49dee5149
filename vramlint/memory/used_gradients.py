"""Gradients that an optimizer uses up during the backward pass: LOMO's hooks, and those of layerwise optimizers."""

from __future__ import annotations

from vramlint.memory.optimizer_states import is_projected
from vramlint.memory.parameters import Weight
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Tape
from vramlint.memory.updates import UPDATES, Parameter, Variables


class UsedGradients:
    """Takes each gradient of a weight when it is there, plays its update, and lets it go.

    A layerwise optimizer steps in a hook once the gradient is accumulated (transformers 5.17, trainer_optimizer.py); LOMO in
    that of the next one (lomo-optim 0.1, lomo.py, fuse_update), so that two are there. The gradient of a tied head waits for the
    embedding's.
    """

    __slots__ = ("_model_type", "_optimizer", "_pending", "_tape", "_tied", "_weights")

    def __init__(self, plan: Plan, tape: Tape) -> None:
        self._tape = tape
        self._optimizer = plan.optimizer
        self._model_type = plan.architecture.model_type
        self._tied = plan.architecture.tie_word_embeddings
        # Weights with as many elements as another are updated alike.
        self._weights = {(weight.elements, weight.dtype): weight for weight in plan.weights if weight.trained}
        self._pending: tuple[Block, Weight] | None = None

    def take(self, name: str, gradient: Block, size: int) -> bool:
        """Whether the gradient of `size` bytes is used up here."""
        if name == "head" and self._tied:
            return False
        weight = next((one for one in self._weights.values() if gradient_size(one) == size), None)
        if weight is None:
            return False
        self._use(gradient, weight)
        return True

    def finish(self) -> None:
        """Use up what is left: the embedding's gradient, which is the last."""
        left = sorted((block for block in self._tape.alive().values() if block.part == "gradients"), key=lambda one: one.size)
        if self._pending is not None:
            left = [block for block in left if block is not self._pending[0]]
        for block in left[:-1]:
            self._tape.free(block)
        for block in left[-1:]:
            if not self.take("", block, block.size):
                self._tape.free(block)
        if self._pending is not None:
            self._update(*self._pending)
            self._pending = None

    def _use(self, gradient: Block, weight: Weight) -> None:
        if self._optimizer.layerwise:
            self._update(gradient, weight)
            return
        if self._pending is not None:
            self._update(*self._pending)
        self._pending = (gradient, weight)

    def _update(self, gradient: Block, weight: Weight) -> None:
        update = UPDATES.get(self._optimizer.update)
        if update is None:  # torch's and bitsandbytes' own, one parameter at a time
            if self._optimizer.group:
                temporary = int(self._optimizer.group * weight.size)
                self._tape.free(self._tape.allocate(temporary, "optimizer", "the optimizer's temporaries"))
            self._tape.free(gradient)
            return
        variables = Variables(self._tape, gradient)
        low = is_projected(self._optimizer, weight, self._model_type)
        update(variables, Parameter(weight, self._optimizer, low))
        variables.clear()


def gradient_size(weight: Weight) -> int:
    """Bytes of one of them as the allocator rounds them."""
    return -(-weight.size // 512) * 512
