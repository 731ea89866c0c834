"""What bindings mean together: `a.b = 1; a.c = 2;` is one set `a`, and a name that is bound twice is an error."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

from nerv.nix.expressions import AttributeSet, Binding, Expression, Inherit, Template


@dataclass(frozen=True)
class Inherited:
    """A name of an `inherit`."""

    inherit: Inherit
    number: int
    """Which of its names."""


@dataclass(frozen=True)
class Bound:
    """The value of a binding."""

    binding: Binding
    number: int
    """Which of its names stands here: the last, but for names that lead through a set."""
    value: Expression


@dataclass
class Group:
    """Bindings of one set by name."""

    recursive: bool = False
    members: dict[str, Inherited | Bound | Group] = field(default_factory=dict)
    dynamic: list[tuple[Template, Binding, int, Group | Expression]] = field(default_factory=list)
    """Names that are known only when the set is evaluated, with what they are bound to."""
    first: tuple[Binding | Inherit, int] | None = None
    """The name that made the group, where it is part of another."""


@dataclass(frozen=True)
class Twice:
    """A name that is bound twice: where it stands first and again, as a binding and the number of its name."""

    path: str
    first: tuple[Binding | Inherit, int] | None
    again: tuple[Binding | Inherit, int]


def group(bindings: Sequence[Binding | Inherit], *, recursive: bool = False) -> tuple[Group, list[Twice]]:
    """The bindings by name, and the names that are bound twice."""
    made = Group(recursive)
    return made, list(_fill(made, bindings, ""))


def _fill(into: Group, bindings: Sequence[Binding | Inherit], path: str) -> Iterator[Twice]:
    for binding in bindings:
        if isinstance(binding, Inherit):
            for number, name in enumerate(binding.names):
                if name in into.members:
                    yield Twice(path + name, _place(into.members[name]), (binding, number))
                else:
                    into.members[name] = Inherited(binding, number)
        else:
            yield from _bind(into, binding, 0, path)


def _bind(into: Group, binding: Binding, number: int, path: str) -> Iterator[Twice]:
    """Bind what is left of the binding's names from `number` on."""
    name, last = binding.names[number], number == len(binding.names) - 1
    if isinstance(name, Template):
        inner: Group | Expression = binding.value
        if not last:
            inner = Group(first=(binding, number))
            yield from _bind(inner, binding, number + 1, path + "${...}.")
        into.dynamic.append((name, binding, number, inner))
        return
    held = into.members.get(name)
    if not last:
        if held is None:
            held = into.members[name] = Group(first=(binding, number))
        elif isinstance(held, Bound) and isinstance(held.value, AttributeSet):
            held = into.members[name] = yield from _opened(held, f"{path}{name}.")
        if isinstance(held, Group):
            yield from _bind(held, binding, number + 1, f"{path}{name}.")
        else:
            yield Twice(path + name, _place(held), (binding, number))
    elif held is None:
        into.members[name] = Bound(binding, number, binding.value)
    elif isinstance(binding.value, AttributeSet) and isinstance(held, (Group, Bound)):
        if isinstance(held, Bound) and isinstance(held.value, AttributeSet):
            held = into.members[name] = yield from _opened(held, f"{path}{name}.")
        if isinstance(held, Group):
            yield from _fill(held, binding.value.bindings, f"{path}{name}.")
        else:
            yield Twice(path + name, _place(held), (binding, number))
    else:
        yield Twice(path + name, _place(held), (binding, number))


def _opened(held: Bound, path: str) -> Generator[Twice, None, Group]:
    """A set that was written as a value, as a group that takes more names."""
    assert isinstance(held.value, AttributeSet)
    made = Group(held.value.recursive, first=(held.binding, held.number))
    yield from _fill(made, held.value.bindings, path)
    return made


def _place(member: Inherited | Bound | Group) -> tuple[Binding | Inherit, int] | None:
    if isinstance(member, Inherited):
        return member.inherit, member.number
    if isinstance(member, Bound):
        return member.binding, member.number
    return member.first
