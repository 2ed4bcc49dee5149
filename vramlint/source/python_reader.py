"""Python text → tree: names bound once and the calls that are made; nothing is executed or imported.

The root is a map of style `module`. Its entries are, in this order:

- names assigned in the module or in functions, under the name: a literal, a `dict` or list, an alias of a call or of
  another name; opaque where the name is bound more than once or to something that is no literal;
- attributes assigned, under their dotted name (`model.config.use_cache`);
- classes, under their name: a map of style `class` with the names assigned in the body;
- calls in the order of the text, under `Name()`: for a class or function its last part without the module (however it
  was imported), for a method the last two parts (`AutoModelForCausalLM.from_pretrained()`); further ones are `Name()#2`
  and so on. A map of style `call`: positional arguments under "0", "1" …, keywords by name, and what a known `**dict`
  brings; `target` is the qualified name, `why` says that there may be further keys (`**` of something unknown, `*`).

An argument that is itself a call is an alias of that call's entry. `name.key = value` behind `name = Config(…)` counts
as the keyword `key` of that call. A use of a constant carries its value, with the literal as `referent`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter

from vramlint.dataclass import replace
from vramlint.source.limits import Meter
from vramlint.source.positions import Span
from vramlint.source.python_fold import fold
from vramlint.source.python_names import Binding, Names, dotted, names_of
from vramlint.source.python_offsets import Offsets
from vramlint.source.tree import Document, Duplicate, Entry, Node, SourceError

ONE_LITERAL = re.compile(r"[rRuU]?(?:\"(?:[^\"\\\r\n]|\\[^\r\n])*\"|'(?:[^'\\\r\n]|\\[^\r\n])*')")
UNREADABLE = "whose value cannot be read off this file"
EXPRESSION = "the value is an expression"
THROUGH_STARS = "it comes through **"
MOST_NAMES = 20
"""So many names in a row (`b = a`, `c = b` …) are followed to a call."""


class PythonReader:
    """Reads one module."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._offsets = Offsets(text)
        self._meter = Meter(path)
        self._names = Names()
        self._by_name: dict[str, Binding] = {}
        self._values: dict[str, Node] = {}
        self._keys: dict[int, str] = {}
        self._calls: dict[int, Node] = {}
        self._later: dict[int, list[Binding]] = {}
        self._open: set[object] = set()
        self.duplicates: list[Duplicate] = []

    def read(self) -> tuple[Document, ...]:
        """The document. Raises `SourceError` (syntax, too-deep, too-large)."""
        self._names = names = names_of(self._parsed())
        for binding in names.bindings:
            self._by_name.setdefault(f"{binding.owner}.{binding.name}" if binding.owner else binding.name, binding)
        self._name_calls()
        self._attach_stores()
        entries = [self._bound(binding) for name, binding in self._by_name.items() if not binding.owner]
        entries += [self._bound(store) for store in names.stores if not store.name.startswith("self.")]
        entries += self._classes()
        calls = [Entry(self._keys[id(call)], self._span(call.func), self._call(call, 1))
                 for call in names.calls if id(call) in self._keys]
        span = Span(1 if self._text.startswith("\ufeff") else 0, len(self._text), self._path)
        root = Node("map", span, style="module", entries=(*entries, *calls))
        return (Document(root, 0, {entry.key: entry.value for entry in calls}),)

    def _parsed(self) -> ast.Module:
        if "\0" in self._text:
            nul = self._text.index("\0")
            raise SourceError("syntax", "not valid Python: a NUL byte", self._path, Span(nul, nul + 1, self._path))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self._text.removeprefix("\ufeff"))
        except SyntaxError as error:
            offset = self._offsets.column(error.lineno or 1, max((error.offset or 1) - 1, 0))
            message = str(error.msg).partition(" (")[0]
            kind = "too-deep" if "nested" in message or "too deep" in message else "syntax"
            end = min(offset + 1, len(self._text))
            raise SourceError(kind, f"not valid Python: {message}", self._path, Span(offset, end, self._path)) from None
        except (RecursionError, MemoryError):
            raise SourceError("too-deep", "nested too deep to be read", self._path, None) from None
        except ValueError as error:
            raise SourceError("syntax", f"not valid Python: {error}", self._path, None) from None

    def _span(self, node: ast.expr | ast.keyword) -> Span:
        return Span(
            self._offsets.byte(node.lineno, node.col_offset),
            self._offsets.byte(node.end_lineno or node.lineno, node.end_col_offset or 0), self._path,
        )

    def _name_calls(self) -> None:
        count: Counter[str] = Counter()
        for call in self._names.calls:
            name = dotted(call.func)
            if name:
                name = self._names.call_name(name)
                count[name] += 1
                self._keys[id(call)] = f"{name}()" if count[name] == 1 else f"{name}()#{count[name]}"

    def _attach_stores(self) -> None:
        """`name.key = value` goes to the call that `name` stands for, be it through other names."""
        for store in self._names.stores:
            binding = owner = self._by_name.get(store.name.rpartition(".")[0])
            for _ in range(MOST_NAMES):
                if binding is None or not isinstance(binding.value, ast.Name):
                    break
                binding = self._by_name.get(binding.value.id)
            if binding and owner and isinstance(binding.value, ast.Call) and self._names.once(owner):
                sure = owner is binding and store.block == owner.block
                self._later.setdefault(id(binding.value), []).append(store if sure else replace(store, block=-1))

    def _bound(self, binding: Binding) -> Entry:
        name = f"{binding.owner}.{binding.name}" if binding.owner else binding.name
        return Entry(binding.name, self._span(binding.target), self._known(name, binding))

    def _classes(self) -> list[Entry]:
        classes: dict[str, list[Entry]] = {}
        for binding in self._by_name.values():
            if binding.owner:
                classes.setdefault(binding.owner, []).append(self._bound(binding))
        return [
            Entry(name, entries[0].key_span, Node(
                "map", Span(entries[0].key_span.start, entries[-1].value.span.end, self._path), style="class",
                entries=tuple(entries),
            ), locked="a class") for name, entries in classes.items() if name not in self._by_name
        ]

    def _known(self, name: str, binding: Binding) -> Node:
        """What is bound to a name (or a dotted attribute), read once."""
        if name in self._values:
            return self._values[name]
        span = self._span(binding.value)
        reliable = self._names.stored[name] == 1 if binding.name.count(".") else self._names.once(binding)
        if name in self._open or not reliable:
            return Node("opaque", span, why=f"{name} is bound more than once", locked=EXPRESSION)
        self._open.add(name)
        node = self._value(binding.value, 1)
        self._open.discard(name)
        if node.kind in ("map", "seq") and name in self._names.changed:
            node = Node("opaque", span, why=f"{name} is changed later", locked=EXPRESSION)
        self._values[name] = node
        return node

    def _call(self, call: ast.Call, depth: int) -> Node:
        if id(call) not in self._calls:
            if id(call) in self._open:
                return Node("opaque", self._span(call), why="it refers to itself", locked=EXPRESSION)
            self._open.add(id(call))
            self._calls[id(call)] = self._arguments(call, depth)
            self._open.discard(id(call))
        return self._calls[id(call)]

    def _arguments(self, call: ast.Call, depth: int) -> Node:
        entries: list[Entry] = []
        why = None
        self._meter.node(self._span(call).start, depth)
        for position, argument in enumerate(call.args):
            if isinstance(argument, ast.Starred):
                why = "it also takes *arguments"
                break
            value = self._value(argument, depth + 1)
            entries.append(Entry(str(position), value.span, value, locked="the argument goes by its position"))
        for keyword in call.keywords:
            value = self._value(keyword.value, depth + 1)
            if keyword.arg is None:
                inherited = self._inherited(keyword.value, value)
                entries += inherited or ()
                why = why if inherited is not None else "it also takes **" + self._written(keyword.value)
            else:
                start = self._span(keyword).start
                span = Span(start, start + len(keyword.arg), self._path)
                first = next((entry for entry in entries if entry.key == keyword.arg), None)
                if first is not None:
                    self.duplicates.append(Duplicate(keyword.arg, first.key_span, span))
                entries.append(Entry(keyword.arg, span, value))
        for store in self._later.get(id(call), ()):
            entries = [entry for entry in entries if entry.key != store.name.rpartition(".")[2]]
            entries.append(self._stored(store, call))
        name = dotted(call.func)
        return Node(
            "map", self._span(call), style="call", entries=tuple(entries), why=why,
            target=self._names.qualified(name) or name,
        )

    def _stored(self, store: Binding, call: ast.Call) -> Entry:
        """The keyword that a later `name.key = value` sets, if it surely runs."""
        target = self._span(store.target)
        value = self._known(store.name, store)
        if store.block < 0 or target.start < self._span(call).start:
            value = Node("opaque", value.span, why=f"{store.name} may be set to another value", locked=EXPRESSION)
        key = store.name.rpartition(".")[2]
        span = Span(target.end - len(key), target.end, self._path)
        return Entry(key, span, value, locked="a statement of its own sets it")

    def _inherited(self, expression: ast.expr, value: Node) -> list[Entry] | None:
        """The entries that `**expression` brings, or None if they are not known."""
        source = value.referent if value.kind == "alias" and value.referent else value
        if source.kind != "map" or source.why or (source.style == "call" and source.target != "dict"):
            return None
        uses = self._names.used[dotted(expression)] if isinstance(expression, ast.Name) else 1
        shared = f"it comes through **{value.target}, which is used in {uses} places" if uses > 1 else None
        return [
            replace(entry, locked=THROUGH_STARS, value=replace(entry.value, locked=shared) if shared else entry.value)
            for entry in source.entries
        ]

    def _written(self, expression: ast.expr) -> str:
        span = self._span(expression)
        return " ".join(self._text[span.start : min(span.end, span.start + 60)].split())

    def _value(self, expression: ast.expr, depth: int) -> Node:
        span = self._span(expression)
        self._meter.node(span.start, depth)
        if isinstance(expression, ast.Constant):
            return self._constant(expression, span)
        if isinstance(expression, ast.Name):
            return self._name(expression.id, span)
        if isinstance(expression, ast.Attribute):
            return self._attribute(expression, span)
        if isinstance(expression, ast.List | ast.Tuple | ast.Set):
            return self._sequence(expression, span, depth)
        if isinstance(expression, ast.Dict):
            return self._dict(expression, span, depth)
        if isinstance(expression, ast.Call) and (key := self._keys.get(id(expression))):
            made = self._call(expression, depth)
            if made.target == "dict" and not expression.args:
                return made
            number = fold(expression, self._number)
            if number is None and made.kind == "map":
                return Node("alias", span, target=key, referent=made, locked="the value is a call")
        return self._computed(expression, span)

    def _computed(self, expression: ast.expr, span: Span) -> Node:
        rests_on: list[Node] = []

        def number(name: ast.expr) -> object:
            node = self._number(name)
            rests_on.extend(node.rests_on if isinstance(node, Node) else ())
            return node

        folded = fold(expression, number)
        if folded is None:
            what = "an f-string" if isinstance(expression, ast.JoinedStr) else "an expression"
            return Node("opaque", span, why=f"{what}: {self._written(expression)}", locked=EXPRESSION)
        if isinstance(expression, ast.UnaryOp) and isinstance(expression.operand, ast.Constant):
            return Node("scalar", span, folded, "plain")
        return Node("scalar", span, folded, "folded", locked=EXPRESSION, rests_on=tuple(rests_on))

    def _number(self, expression: ast.expr) -> Node | None:
        """What a name inside an expression stands for, if it is a scalar."""
        node = self._name(expression.id, self._span(expression)) if isinstance(expression, ast.Name) else None
        if isinstance(expression, ast.Attribute):
            node = self._attribute(expression, self._span(expression))
        return node if node is not None and node.kind == "scalar" and node.style != "attribute" else None

    def _constant(self, expression: ast.Constant, span: Span) -> Node:
        value = expression.value
        if not isinstance(value, str | int | float | bool) and value is not None:
            return Node("opaque", span, why="a literal that no config takes", locked=EXPRESSION)
        style, locked = "plain", None
        if isinstance(value, str):
            written = self._text[span.start : span.end]
            style = "single" if written.endswith("'") else "double"
            if written[-3:] in ('"""', "'''") and len(written) > 5:
                style, locked = "long", "the string is not written as one plain literal"
            elif not ONE_LITERAL.fullmatch(written):
                locked = "the string is not written as one plain literal"
        return Node("scalar", span, value, style, locked=locked)

    def _name(self, name: str, span: Span) -> Node:
        imported = self._names.qualified(name)
        if imported is not None:
            return Node("scalar", span, imported, "attribute")
        binding = self._by_name.get(name)
        if binding is None:
            return Node("opaque", span, why=f"the name {name}, {UNREADABLE}", locked=EXPRESSION)
        return self._use(name, self._known(name, binding), span)

    def _attribute(self, expression: ast.Attribute, span: Span) -> Node:
        name = dotted(expression)
        root = name.partition(".")[0]
        imported = self._names.qualified(name)
        if imported is not None:
            written = self._names.imports[root]
            # A class goes without its module, as it does in a call: TaskType.CAUSAL_LM.
            return Node("scalar", span, imported if root in self._names.modules else imported[
                len(written) - len(written.rpartition(".")[2]) :], "attribute")
        binding = self._by_name.get(name)
        if binding is not None and binding.owner:
            return self._use(name, self._known(name, binding), span)
        if name and not self._names.bound[root] and root not in ("self", "cls"):
            return Node("scalar", span, name, "attribute")
        return Node("opaque", span, why=f"{self._written(expression)}, {UNREADABLE}", locked=EXPRESSION)

    def _use(self, name: str, known: Node, span: Span) -> Node:
        """A use of a name that stands for `known`."""
        if known.kind == "opaque":
            return Node("opaque", span, why=f"{name}: {known.why}"[:160], locked=EXPRESSION)
        uses = self._names.used[name]
        locked = f"{name} is used in {uses} places" if uses > 1 else None
        if known.kind != "scalar":
            target, referent = (known.target, known.referent) if known.kind == "alias" else (name, known)
            locked = locked or f"the value is the name {name}"
            return Node("alias", span, target=target, referent=referent, locked=locked)
        literal = known.referent or known
        if known.style == "folded":
            return replace(known, span=span, locked=EXPRESSION)
        return Node(
            "scalar", span, known.value, "attribute" if known.style == "attribute" else "name",
            locked=locked or known.locked, referent=literal, rests_on=(literal,),
        )

    def _sequence(self, expression: ast.List | ast.Tuple | ast.Set, span: Span, depth: int) -> Node:
        if any(isinstance(item, ast.Starred) for item in expression.elts):
            return Node("opaque", span, why=f"a list with *: {self._written(expression)}", locked=EXPRESSION)
        items = tuple(self._value(item, depth + 1) for item in expression.elts)
        listed = isinstance(expression, ast.List) or self._text[span.start : span.start + 1] == "("
        return Node("seq", span, style="flow", items=items, locked=None if listed else "the value is no list")

    def _dict(self, expression: ast.Dict, span: Span, depth: int) -> Node:
        entries: list[Entry] = []
        why = None
        own: dict[str, Span] = {}
        for key, value in zip(expression.keys, expression.values, strict=True):
            node = self._value(value, depth + 1)
            if key is None:
                inherited = self._inherited(value, node)
                entries += inherited or ()
                why = why if inherited is not None else "it also takes **" + self._written(value)
            elif isinstance(key, ast.Constant) and isinstance(key.value, str):
                key_span = self._span(key)
                if key.value in own:
                    self.duplicates.append(Duplicate(key.value, own[key.value], key_span))
                own.setdefault(key.value, key_span)
                plain = ONE_LITERAL.fullmatch(self._text, key_span.start, key_span.end)
                locked = None if plain else "the key is no plain literal"
                entries.append(Entry(key.value, key_span, node, locked=locked))
            else:
                why = "it has keys that are no plain strings"
        return Node("map", span, style="flow", entries=tuple(entries), why=why)
