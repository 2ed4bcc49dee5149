"""Parts of a layer under checkpoints of their own, and keys and values that a model hands out."""

from __future__ import annotations

from collections.abc import Callable

from vramlint.memory.autograd import Graph, Operation, Tensor

Part = Callable[[Graph, Tensor], Tensor]
"""Plays a part of a layer on a graph, from what goes into it, which it takes over."""


def checkpointed(graph: Graph, hidden: Tensor, part: Part) -> Tensor:
    """What `part` makes of `hidden`, which is all that is kept of it; the part is played again for its backward.

    torch 2.11, utils/checkpoint.py without reentry: what is played again ends with the last tensor saved. `hidden` stays the
    caller's.
    """
    if not graph.recording:
        return part(graph, graph.hold(hidden))
    graph.recording = False
    made = part(graph, graph.hold(hidden))
    graph.recording = True

    def again(outer: Graph, operation: Operation, received: Tensor, gradients: dict[int, Tensor]) -> None:
        inner = Graph(outer.tape, outer.uses)
        inner.gradients = outer.gradients
        given = Tensor(None, hidden.shape, hidden.dtype, hidden.needs_grad)
        pattern = Graph(type(outer.tape)())
        last = part(pattern, Tensor(None, hidden.shape, hidden.dtype, hidden.needs_grad))
        found = {id(last): received}
        done = inner.ahead(pattern, found)
        inner.unpacks = True
        inner.drop(part(inner, given))
        found = inner.backward_from(inner.after(pattern, done, found))
        outer.drop(*operation.saved)
        if id(given) in found:
            outer.accumulate(gradients, hidden, found[id(given)])

    needs = hidden.needs_grad
    graph.record(made, (hidden,), saved=(hidden,), derivative=again)
    if not needs:  # adapters are trained: the checkpoint's output needs a gradient all the same
        made.needs_grad = True
        graph.operations.append(Operation(made, (), (graph.hold(hidden),), False, 0, (), derivative=again))
    return made


def cached(graph: Graph, tensor: Tensor) -> Tensor:
    """Keys or values as the cache has them, a copy that the model hands out; takes over `tensor`."""
    made = graph.tensor(tensor.shape, tensor.dtype, "keys or values in the cache")
    graph.record(made, (tensor,), passes=True, saves_nothing=True)
    graph.drop(tensor)
    if graph.recording:
        graph.cached.append(graph.hold(made))
    return made
