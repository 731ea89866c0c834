"""What expressions evaluate to.

None, bool, int, float, str and list stand for themselves; a `Set` is a dict that may know where its names stand, a
`Path` a path, `Closure` and `Builtin` are functions. What stands in a list or a set may be a `Thunk`: `force` gives
its value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from typing_extensions import override

from nerv.nix.source import Source

Place: TypeAlias = tuple[Source, int]
"""A file and the offset in it."""
Code: TypeAlias = Callable[[Any], object]


class EvaluationError(Exception):
    """What Nix would fail with. `place` is the innermost place that is known."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


class NotModelled(EvaluationError):
    """What cannot be evaluated here (network, builds, foreign flakes); nothing is said about whether it is right."""


class Absent(EvaluationError):
    """A name that a set surely does not have, though it is known in part."""


class Thunk:
    """A value that is computed when it is asked for, once."""

    __slots__ = ("_code", "_environment", "_value")

    def __init__(self, code: Code, environment: Any) -> None:
        self._code: Code | None = code
        self._environment = environment
        self._value: object = None

    def force(self) -> object:
        """The value. Raises EvaluationError."""
        code = self._code
        if code is None:
            return self._value
        environment = self._environment
        self._code = _again
        try:
            value = code(environment)
            if type(value) is Thunk:
                value = value.force()
        except BaseException:
            self._code = code
            raise
        self._value = value
        self._code = self._environment = None
        return value


def _again(_environment: Any) -> object:
    raise EvaluationError("infinite recursion: a value needs itself")


def force(value: object) -> object:
    """The value itself."""
    return value.force() if type(value) is Thunk else value


def later(compute: Callable[[], object]) -> Thunk:
    """A value that `compute` will give."""
    return Thunk(_call, compute)


def _call(compute: Callable[[], object]) -> object:
    return compute()


class Set(dict[str, object]):
    """An attribute set. `places` may say where names stand in a file."""

    __slots__ = ("places",)

    def __init__(self, values: Mapping[str, object] | None = None, places: Mapping[str, Place] | None = None) -> None:
        super().__init__(values or ())
        self.places: Mapping[str, Place] = places or {}


class Partial(Set):
    """A set that is known in part, such as nixpkgs' `lib`: what it lacks may exist all the same."""

    __slots__ = ()

    def missing(self, name: str) -> object:
        """What stands for a name that is not in it. Raises NotModelled where nothing can, Absent where none may be."""
        raise NotModelled(f"`{name}` is not known offline")


@dataclass(frozen=True)
class Path:
    """A path; those of the repository begin with the store path of its copy."""

    text: str

    @override
    def __str__(self) -> str:
        return self.text


class Closure:
    """A function written in Nix. `parameters`: names it asks for, and whether they have a default."""

    __slots__ = ("call", "open", "parameters", "place")

    def __init__(
        self,
        call: Callable[[object], object],
        parameters: Mapping[str, bool] | None,
        place: Place | None,
        is_open: bool,
    ) -> None:
        self.call = call
        self.parameters = parameters
        self.place = place
        self.open = is_open


class Builtin:
    """A function written in Python: called with arguments that may be thunks, when all are there."""

    __slots__ = ("arguments", "arity", "function", "name")

    def __init__(
        self, name: str, arity: int, function: Callable[..., object], arguments: tuple[object, ...] = ()
    ) -> None:
        self.name = name
        self.arity = arity
        self.function = function
        self.arguments = arguments

    def call(self, argument: object) -> object:
        """The result, or the function of the arguments that are missing."""
        arguments = (*self.arguments, argument)
        if len(arguments) < self.arity:
            return Builtin(self.name, self.arity, self.function, arguments)
        return self.function(*arguments)


def apply(function: object, *arguments: object) -> object:
    """`function a b c`; the result is forced."""
    result = function
    for argument in arguments:
        result = force(result)
        while isinstance(result, Set) and "__functor" in result:
            result = force(apply(result["__functor"], result))
        if not isinstance(result, (Closure, Builtin)):
            raise EvaluationError(f"{kind(result)} is called as if it were a function")
        result = result.call(argument)
    return force(result)


def is_function(value: object) -> bool:
    """Whether it is a function (a set with __functor is not, as in Nix)."""
    return isinstance(value, (Closure, Builtin))


def is_package(value: object) -> bool:
    """Whether it is a derivation."""
    return isinstance(value, Set) and force(value.get("type")) == "derivation"


def kind(value: object) -> str:
    """The type of a value in words."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return "null"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    (list, "a list"),
    (Set, "a set"),
    (Path, "a path"),
    ((Closure, Builtin), "a function"),
)
