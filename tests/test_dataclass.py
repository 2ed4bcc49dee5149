"""Our `dataclass` behaves as the standard one."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from vramlint.dataclass import dataclass as ours
from vramlint.dataclass import replace

standard = dataclasses.dataclass


def define(decorator: Callable[..., Any], **options: bool) -> Any:
    @decorator(slots=True, **options)
    class Point:
        """A point."""

        x: int
        y: int = 2
        tags: list[str] = dataclasses.field(default_factory=list)

        def total(self) -> int:
            """Their sum."""
            return self.x + self.y

    return Point


def behaviour(cls: Any) -> dict[str, Any]:
    """What can be seen of a class, errors by their type."""

    def attempt(action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:  # noqa: BLE001  # which error is what is compared
            return type(error).__name__

    def assigned() -> int:
        point = cls(1)
        point.x = 7
        return int(point.x)

    def deleted() -> bool:
        point = cls(1)
        del point.x
        return hasattr(point, "x")

    def matched() -> tuple[int, int]:
        match cls(1, 5):
            case cls(x, y):
                return x, y

    point = cls(1, tags=["a"])
    return {
        "repr": repr(point).replace("our", "standard"),
        "values": (point.x, point.y, point.tags, point.total()),
        "own list": cls(1).tags is cls(1).tags,
        "equal": (cls(1) == cls(1), cls(1) == cls(2), cls(1) == (1, 2, []), cls(1) != cls(1)),
        "hash": attempt(lambda: hash(cls(1, 2, ())) == hash(cls(1, 2, ()))),
        "hash of a list": attempt(lambda: hash(point)),
        "missing": attempt(cls),
        "too many": attempt(lambda: cls(1, 2, [], 4)),
        "unknown": attempt(lambda: cls(1, z=3)),
        "twice": attempt(lambda: cls(1, x=3)),
        "assign": attempt(assigned),
        "delete": attempt(deleted),
        "replace": repr(dataclasses.replace(point, y=9)),
        "asdict": dataclasses.asdict(point),
        "fields": [(field.name, field.default is dataclasses.MISSING) for field in dataclasses.fields(point)],
        "copy": repr(copy.deepcopy(point)),
        "match": matched(),
        "no dict": hasattr(point, "__dict__"),
        "doc": cls.__doc__,
    }


@pytest.mark.parametrize("options", [{"frozen": True}, {}], ids=["frozen", "not frozen"])
def test_it_behaves_as_the_standard_one(options: dict[str, bool]) -> None:
    assert behaviour(define(ours, **options)) == behaviour(define(standard, **options))


@ours(frozen=True, slots=True)
class Pickled:
    """At the top level, where pickle finds it."""

    a: int
    b: tuple[int, ...] = ()


def test_it_pickles() -> None:
    assert pickle.loads(pickle.dumps(Pickled(1, (2,)))) == Pickled(1, (2,))  # noqa: S301  # our own bytes


def test_replace_gives_another() -> None:
    first = Pickled(1, (2,))
    assert replace(first, a=5) == dataclasses.replace(first, a=5) == Pickled(5, (2,))
    assert first == Pickled(1, (2,))
    with pytest.raises(TypeError):
        replace(first, c=1)


def test_a_mapping_in_a_frozen_one_does_not_keep_it_from_being_a_key() -> None:
    @ours(slots=True, frozen=True)
    class Model:
        name: str
        extra: Mapping[str, int]

    known = {Model("a", MappingProxyType({"x": 1})): "one"}
    assert known[Model("a", {"x": 1})] == "one"
    assert Model("a", {"x": 2}) not in known
