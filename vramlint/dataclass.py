"""The standard `dataclass(frozen, slots)` without generated code: a tenth of the time to define, which is start-up.

The standard one compiles the methods of each class from text and inspects each annotation; the rooms have some 70
classes, and every run pays for them. Type checkers see the standard one; `fields`, `replace`, `asdict` and `match` work
as ever.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]

MAPPINGS = (dict, MappingProxyType)
MISSING: Any = object()
"""No default."""


class _Made:
    """What `field` stands for: a default that is made anew for each instance."""

    __slots__ = ("factory",)

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory


if TYPE_CHECKING:
    import dataclasses
    from dataclasses import dataclass, field, replace
else:

    def dataclass(*, slots: bool, frozen: bool = False) -> Any:
        """As `dataclasses.dataclass`; `slots` must be true. A frozen one is hashable and refuses assignment."""
        if not slots:
            raise TypeError("these classes have slots: write dataclass(slots=True)")
        return lambda cls: _with_slots(cls, FROZEN if frozen else CHANGEABLE)

    def field(*, default_factory: Callable[[], Any]) -> Any:
        """As `dataclasses.field`."""
        return _Made(default_factory)

    def replace(instance: Any, **changes: Any) -> Any:
        """Another instance with some fields changed, as `dataclasses.replace`."""
        return instance.__class__(**{name: getattr(instance, name) for name in instance.__match_args__} | changes)


def _with_slots(cls: type, methods: dict[str, Any]) -> type:
    """The class again, with slots for its annotated fields."""
    names = tuple(cls.__annotations__)
    own = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    written = {name: own.pop(name) for name in names if name in own}
    made = type(cls)(cls.__name__, cls.__bases__, {
        **own, **methods, "__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__,
        "__dataclass_fields__": _Fields(written),
    })
    setattr(made, "__init__", _initialiser(made, names, written))  # noqa: B010  # a type checker takes no assignment
    return made


class _Fields:
    """The standard `Field`s of a class, made when `fields`, `replace` or `asdict` asks for them."""

    __slots__ = ("_written",)

    def __init__(self, written: dict[str, Any]) -> None:
        self._written = written

    def __get__(self, instance: object, owner: type) -> dict[str, dataclasses.Field[Any]]:
        import dataclasses  # noqa: PLC0415  # it imports inspect, and with it a tenth of a run; few ask

        written = {
            name: dataclasses.field(default_factory=value.factory) if isinstance(value, _Made) else value
            for name, value in self._written.items()
        }
        content = {**written, "__annotations__": owner.__annotations__, "__module__": owner.__module__}
        shadow = type(owner.__name__, (), {**content, "__doc__": ""})
        standard: Any = dataclasses.dataclass(init=False, repr=False, eq=False)(shadow)
        found: dict[str, dataclasses.Field[Any]] = standard.__dataclass_fields__
        setattr(owner, "__dataclass_fields__", found)  # noqa: B010  # this object's own place: it is asked once
        return found


def _initialiser(cls: type, names: tuple[str, ...], written: dict[str, Any]) -> Callable[..., None]:
    """What sets the fields from arguments and defaults; through the slots, which a frozen class does not guard."""
    missing = MISSING
    fields = [(name, getattr(cls, name).__set__, *_default(written.get(name, missing))) for name in names]
    setters = [setter for _, setter, _, _ in fields]

    def initialise(self: object, *values: Any, **named: Any) -> None:
        for setter, value in zip(setters, values, strict=False):
            setter(self, value)
        for name, setter, default, factory in fields[len(values) :]:
            if name in named:
                setter(self, named.pop(name))
            elif default is not missing:
                setter(self, default)
            elif factory is not missing:
                setter(self, factory())
            else:
                raise TypeError(f"{cls.__name__} needs {name!r}")
        if named or len(values) > len(names):
            taken = ", ".join(names)
            raise TypeError(f"{cls.__name__} takes {taken}, each once; given {len(values)} values and {list(named)}")

    return initialise


def _default(written: Any) -> tuple[Any, Any]:
    """The default and the factory that what stands after the `=` of a field comes to."""
    if isinstance(written, _Made):
        return MISSING, written.factory
    if type(written).__name__ == "Field" and type(written).__module__ == "dataclasses":
        standard = sys.modules["dataclasses"].MISSING
        return tuple(MISSING if one is standard else one for one in (written.default, written.default_factory))
    return written, MISSING


def _held(self: Any) -> tuple[Any, ...]:
    return tuple([getattr(self, name) for name in self.__match_args__])


def _represented(self: Any) -> str:
    return f"{self.__class__.__qualname__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__match_args__)})"


def _equal(self: Any, other: object) -> bool:
    return _held(self) == _held(other) if other.__class__ is self.__class__ else NotImplemented


def _hashed(self: Any) -> int:
    held = _held(self)
    try:
        return hash(held)
    except TypeError:  # a mapping is in it, which equality alone looks at
        return hash(tuple([value for value in held if value.__class__ not in MAPPINGS]))


def _reduced(self: Any) -> tuple[type, tuple[Any, ...]]:
    return self.__class__, _held(self)


def _refused(self: object, name: str, *_: object) -> None:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415

    raise FrozenInstanceError(f"{self.__class__.__name__} is frozen: {name!r} cannot be set or deleted")


CHANGEABLE: dict[str, Any] = {"__repr__": _represented, "__eq__": _equal, "__reduce__": _reduced, "__hash__": None}
FROZEN: dict[str, Any] = {**CHANGEABLE, "__hash__": _hashed, "__setattr__": _refused, "__delattr__": _refused}
