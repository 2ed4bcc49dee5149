"""The first of several micro steps, from the tape of a later one: what that adds to gradients that are there, this one leaves."""

from __future__ import annotations

from vramlint.memory.tape import Block, Tape


def first_micro_step(later: Tape) -> Tape:
    """A tape with the forward and the backward of the first micro step, for `replay`; nothing else of it holds.

    Its gradients are blocks of their own: both micro steps are played one after the other.
    """
    made = Tape()
    made.phases, made.spans = later.phases, later.spans
    begins = {name: index for index, name in reversed(later.phases)}
    begin, end = begins.get("forward", 0), begins.get("optimizer step", len(later.played))
    added = set(later.added)
    born: dict[int, int] = {}  # where each block that is there was allocated
    for index in range(begin, end):
        key = id(later.played[index])
        if key not in born:
            born[key] = index
        elif index not in added:
            del born[key]
    made.played = later.played[:]
    nothing = Block(0, "gradients", "", (), "")
    for index in added:
        made.played[index] = nothing
    for index in born.values():
        made.played[index] = _twin(later.played[index])
    return made


def _twin(block: Block) -> Block:
    return Block(block.size, block.part, block.what, block.shape, block.dtype, block.count, stands_in=block.stands_in)
