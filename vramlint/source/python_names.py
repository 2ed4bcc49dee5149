"""What the names of a module are: imported, bound once, changed later; nothing is executed or imported."""

from __future__ import annotations

import ast
from collections import Counter

from vramlint.dataclass import dataclass, field

READERS = frozenset({"get", "keys", "values", "items", "copy", "index", "count"})
"""Methods that leave a dict or list as it is; any other may change it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """`name = value`, in the class body `owner` or in none; `block` tells statements that run one after the other."""

    name: str
    target: ast.expr
    value: ast.expr
    owner: str
    block: int


@dataclass(slots=True)
class Names:
    """All bindings and uses of a module, regardless of scope: a name bound twice anywhere is never relied on."""

    bindings: list[Binding] = field(default_factory=list)
    stores: list[Binding] = field(default_factory=list)
    targets: list[ast.Attribute] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    bound: Counter[str] = field(default_factory=Counter)
    stored: Counter[str] = field(default_factory=Counter)
    used: Counter[str] = field(default_factory=Counter)
    changed: set[str] = field(default_factory=set)
    last_star: int = 0

    def once(self, binding: Binding) -> bool:
        """Whether what is bound here is what every use sees."""
        if binding.owner:
            return self.bound[binding.owner] == 1 and self.stored[f"{binding.owner}.{binding.name}"] == 1
        name, line = binding.name, binding.target.lineno
        return self.bound[name] == 1 and name not in self.imported and self.last_star < line

    def qualified(self, dotted: str) -> str | None:
        """`a.b` with its import written out (`nn.Linear` → `torch.nn.Linear`), or None if `a` is no import."""
        root, point, rest = dotted.partition(".")
        known = self.imports.get(root)
        return known + point + rest if known is not None else None

    def call_name(self, dotted: str) -> str:
        """What a call goes by, without its module: a class or function by its last part, a method by the last two."""
        root, _, rest = dotted.partition(".")
        known = self.imports.get(root)
        if known is not None:
            own = rest if root in self.modules else ".".join(filter(None, (known.rpartition(".")[2], rest)))
            dotted = own or dotted
        parts = dotted.split(".")
        return parts[-1] if parts[-1][:1].isupper() else ".".join(parts[-2:])


def names_of(module: ast.Module) -> Names:
    """The names of a module, in one walk that does not recurse."""
    names = Names()
    pending: list[tuple[ast.AST, str, int]] = [(module, "", 0)]
    while pending:
        node, owner, block = pending.pop()
        _note(names, node, owner, block)
        inner = node.name if isinstance(node, ast.ClassDef) else owner
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = ""
        for number, (_, value) in enumerate(ast.iter_fields(node)):
            if isinstance(value, ast.AST):
                pending.append((value, inner, block))
            elif isinstance(value, list):
                here = id(node) * 8 + number if value and isinstance(value[0], ast.stmt) else block
                pending += [(child, inner, here) for child in value if isinstance(child, ast.AST)]
    names.calls.sort(key=_place_of_call)
    names.bindings.sort(key=lambda binding: (binding.target.lineno, binding.target.col_offset))
    plain = {id(store.target) for store in names.stores}
    for target in names.targets:
        if id(target) not in plain and (name := dotted(target)):
            # Set by a tuple, a loop, `+=` or `del`: to what, nobody knows.
            names.stored[name] += 1
            names.stores.append(Binding(name, target, target, "", -1))
    for name in [name for name in names.imports if names.bound[name]]:
        del names.imports[name]
    return names


def _place_of_call(call: ast.Call) -> tuple[int, int, int, int]:
    """Order of the text; of calls that begin together (`f(1)(2)`) the outer one first."""
    return call.lineno, call.col_offset, -(call.end_lineno or 0), -(call.end_col_offset or 0)


def dotted(expression: ast.expr) -> str:
    """`a.b.c` of a chain of names, else the empty string."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return ""
    return ".".join([expression.id, *reversed(parts)])


def _note(names: Names, node: ast.AST, owner: str, block: int) -> None:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load):
            names.used[node.id] += 1
        elif owner:
            names.stored[f"{owner}.{node.id}"] += 1
        else:
            names.bound[node.id] += 1
    elif isinstance(node, ast.Attribute):
        name = dotted(node)
        if isinstance(node.ctx, ast.Load):
            names.used[name] += 1
        else:
            names.stored[name] += 1
            names.targets.append(node)
    elif isinstance(node, ast.Subscript):
        if not isinstance(node.ctx, ast.Load):
            names.changed.add(dotted(node.value).partition(".")[0])
    elif isinstance(node, ast.Call):
        names.calls.append(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr not in READERS:
            names.changed.add(dotted(node.func.value))
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        _note_assignment(names, node, owner, block)
    elif isinstance(node, ast.AugAssign):
        target = dotted(node.target)
        names.bound[target] += 1
        names.stored.update((target, f"{owner}.{target}"))
    elif isinstance(node, ast.Import | ast.ImportFrom):
        _note_import(names, node)
    elif isinstance(node, ast.Global | ast.Nonlocal):
        names.bound.update(node.names)
    elif isinstance(node, ast.arg):
        names.bound[node.arg] += 1
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or (
        isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name
    ):
        names.bound[str(node.name)] += 1
    elif isinstance(node, ast.MatchMapping) and node.rest:
        names.bound[node.rest] += 1


def _note_assignment(names: Names, node: ast.Assign | ast.AnnAssign, owner: str, block: int) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    if node.value is None:
        return
    if len(targets) == 1 and isinstance(targets[0], ast.Name):
        names.bindings.append(Binding(targets[0].id, targets[0], node.value, owner, block))
    elif len(targets) == 1 and isinstance(targets[0], ast.Attribute) and (name := dotted(targets[0])):
        names.stores.append(Binding(name, targets[0], node.value, "", block))


def _note_import(names: Names, node: ast.Import | ast.ImportFrom) -> None:
    for alias in node.names:
        if alias.name == "*":
            names.last_star = max(names.last_star, node.lineno)
            continue
        name = alias.asname or alias.name.partition(".")[0]
        names.imported.add(name)
        if isinstance(node, ast.Import):
            names.modules.add(name)
            names.imports.setdefault(name, alias.name if alias.asname else name)
        else:
            module = "." * node.level + (node.module or "")
            names.imports.setdefault(name, f"{module}.{alias.name}" if module.strip(".") else module + alias.name)


def is_available(text: str, code: str) -> bool:
    """Whether `code` is a dotted name whose root is bound at the top level of the module `text`."""
    parts = code.split(".")
    if not all(part.isidentifier() for part in parts):
        return False
    pending: list[ast.stmt] = list(ast.parse(text.removeprefix("\ufeff")).body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if any((alias.asname or alias.name.partition(".")[0]) == parts[0] for alias in statement.names):
                return True
        elif isinstance(statement, ast.Try | ast.If | ast.With):
            pending += [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
    return False
