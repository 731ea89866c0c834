"""Expressions -> code: nested Python functions that take an environment and give a value, names resolved beforehand.

Compiling once and running closures is several times as fast as walking expressions, and names that are bound nowhere
are found in all of a file, as Nix finds them when it reads it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nerv.errors import Problem
from nerv.nix import coercion, groups, operators
from nerv.nix.expressions import (
    Apply,
    Assert,
    AttributeSet,
    Binary,
    Binding,
    Expression,
    Function,
    HasAttribute,
    If,
    Let,
    Select,
    Template,
    Unary,
    Variable,
    With,
)
from nerv.nix.expressions import Path as PathLiteral
from nerv.nix.names import WITH, Environment, Scope, dynamic, fixed, missing, of_partial
from nerv.nix.source import Source
from nerv.nix.values import (
    Absent,
    Builtin,
    Closure,
    Code,
    EvaluationError,
    Partial,
    Path,
    Place,
    Set,
    Thunk,
    apply,
    force,
    kind,
)


class Compiler:
    """Compiles the expressions of one file."""

    def __init__(self, source: Source, folder: str) -> None:
        self.source = source
        self.folder = folder
        """Absolute path of the folder that the file stands in."""
        self.problems: list[Problem] = []

    def place(self, node: object) -> Place | None:
        """Where a part stands."""
        offset = self.source.offsets.get(id(node))
        return None if offset is None else (self.source, offset)

    def compile(self, expression: Expression, scope: Scope) -> Code:
        """Code that gives the value itself."""
        if expression is None or isinstance(expression, (bool, int, float, str)):
            return lambda _env: expression
        return _COMPILERS[type(expression)](self, expression, scope)

    def lazy(self, expression: Expression, scope: Scope) -> Code:
        """Code that gives the value or a thunk of it; nothing is computed that may never be needed."""
        if expression is None or isinstance(expression, (bool, int, float, str, Function)):
            return self.compile(expression, scope)
        if isinstance(expression, Variable):
            return self._variable(expression, scope, forced=False)
        code = self.compile(expression, scope)
        return lambda env: Thunk(code, env)

    def early(self, expression: Expression, scope: Scope) -> Code:
        """As `lazy`, for a value beside others of its own environment: those may not be there yet."""
        if isinstance(expression, Variable):
            code = self.compile(expression, scope)
            return lambda env: Thunk(code, env)
        return self.lazy(expression, scope)

    def items(self, expression: tuple[Expression, ...], scope: Scope) -> Code:
        """A list."""
        codes = [self.lazy(item, scope) for item in expression]
        return lambda env: [code(env) for code in codes]

    def template(self, expression: Template, scope: Scope) -> Code:
        """A string with interpolation."""
        place = self.place(expression)
        parts = [part if isinstance(part, str) else self.compile(part, scope) for part in expression.parts]

        def run(env: Environment) -> object:
            try:
                return "".join(x if isinstance(x, str) else coercion.interpolated(x(env)) for x in parts)
            except EvaluationError as error:
                error.place = error.place or place
                raise

        return run

    def path(self, expression: PathLiteral, _scope: Scope) -> Code:
        """A path literal, from the folder of the file."""
        place, text = self.place(expression), expression.text
        if text.startswith(("<", "~")):

            def refused(_env: Environment) -> object:
                raise EvaluationError(f"`{text}` depends on the machine: a flake cannot use it", place)

            return refused
        made = Path(posixpath.normpath(posixpath.join(self.folder, text)))
        return lambda _env: made

    def variable(self, expression: Variable, scope: Scope) -> Code:
        """A name."""
        return self._variable(expression, scope, forced=True)

    def _variable(self, expression: Variable, scope: Scope, *, forced: bool) -> Code:
        name, place = expression.name, self.place(expression)
        depth, looked, withs = 0, cast("Scope | None", scope), []
        while looked is not None:
            if looked.names is None:
                withs.append(depth)
            elif name in looked.names:
                return fixed(name, depth, forced=forced)
            looked, depth = looked.up, depth + 1
        if not withs:
            line, column = self.source.place(expression)
            self.problems.append(Problem(self.source.file, line, column, f"`{name}` is not defined"))
        found = dynamic(name, withs, place)
        return found if forced else lambda env: Thunk(found, env)

    def select(self, expression: Select, scope: Scope) -> Code:
        """`a.b or c`"""
        subject = self.compile(expression.subject, scope)
        names = self._names(expression.names, scope)
        place = self.place(expression)
        default = self.compile(expression.default[0], scope) if expression.default else None

        def run(env: Environment) -> object:
            value = subject(env)
            for name in names:
                text = name(env)
                if isinstance(value, Set) and text in value:
                    try:
                        value = force(value[text])
                    except EvaluationError as error:
                        error.place = error.place or place
                        raise
                elif isinstance(value, Partial):
                    try:
                        value = of_partial(value, text, place)
                    except Absent:
                        if default:
                            return default(env)
                        raise
                elif default:
                    return default(env)
                else:
                    raise missing(value, text, place)
            return value

        return run

    def has(self, expression: HasAttribute, scope: Scope) -> Code:
        """`a ? b.c`"""
        subject, names = self.compile(expression.subject, scope), self._names(expression.names, scope)

        def run(env: Environment) -> object:
            value = subject(env)
            for name in names:
                text = name(env)
                value = force(value)
                if isinstance(value, Partial) and text not in value:
                    try:
                        value = of_partial(value, text, None)
                    except Absent:
                        return False
                elif isinstance(value, Set) and text in value:
                    value = value[text]
                else:
                    return False
            return True

        return run

    def _names(self, names: Sequence[str | Template], scope: Scope) -> list[Callable[[Environment], str]]:
        return [self._name(name, scope) for name in names]

    def _name(self, name: str | Template, scope: Scope) -> Callable[[Environment], str]:
        if isinstance(name, str):
            text = name
            return lambda _env: text
        return cast("Callable[[Environment], str]", self.compile(name, scope))

    def apply(self, expression: Apply, scope: Scope) -> Code:
        """`f x`"""
        function, argument = self.compile(expression.function, scope), self.lazy(expression.argument, scope)
        place = self.place(expression.function) or self.place(expression)

        def run(env: Environment) -> object:
            try:
                called = function(env)
                if not isinstance(called, (Closure, Builtin)):
                    return apply(called, argument(env))
                value = called.call(argument(env))
                return value.force() if type(value) is Thunk else value
            except EvaluationError as error:
                error.place = error.place or place
                raise

        return run

    def function(self, expression: Function, scope: Scope) -> Code:
        """A function."""
        place, name = self.place(expression), expression.name
        if expression.parameters is None:
            assert name is not None
            body = self.compile(expression.body, Scope(frozenset((name,)), scope))
            bound = name

            def plain(env: Environment) -> object:
                return Closure(lambda argument: body(Environment({bound: argument}, env)), None, place, False)

            return plain
        return self._of_set(expression, scope, place)

    def _of_set(self, expression: Function, scope: Scope, place: Place | None) -> Code:
        """A function that takes its argument apart."""
        parameters, whole, is_open = expression.parameters or (), expression.name, expression.open
        inner = Scope(frozenset((*(p.name for p in parameters), *([whole] if whole else []))), scope)
        defaults = {p.name: self.early(p.default[0], inner) if p.default else None for p in parameters}
        described = {p.name: p.default is not None for p in parameters}
        body = self.compile(expression.body, inner)

        def make(env: Environment) -> object:
            def call(argument: object) -> object:
                given = force(argument)
                if not isinstance(given, Set):
                    raise EvaluationError(f"a function wants a set, but is given {kind(given)}", None)
                if not is_open and not given.keys() <= defaults.keys():
                    extra = next(iter(given.keys() - defaults.keys()))
                    raise EvaluationError(f"a function is given `{extra}`, which it does not take", None)
                names: dict[str, object] = {} if whole is None else {whole: given}
                local = Environment(names, env)
                for name, default in defaults.items():
                    if name in given:
                        names[name] = given[name]
                    elif default is not None:
                        names[name] = default(local)
                    else:
                        raise EvaluationError(f"a function is called without `{name}`", None)
                return body(local)

            return Closure(call, described, place, is_open)

        return make

    def attributes(self, expression: AttributeSet, scope: Scope) -> Code:
        """A set."""
        grouped, _ = groups.group(expression.bindings, recursive=expression.recursive)
        return self._group(grouped, scope)

    def _group(self, group: groups.Group, scope: Scope) -> Code:
        inner = Scope(frozenset(group.members), scope) if group.recursive else scope
        members = {name: self._member(name, member, inner, scope) for name, member in group.members.items()}
        places = {name: place for name, member in group.members.items() if (place := self._place_of(member))}
        computed = [self._dynamic(name, binding, n, value, inner) for name, binding, n, value in group.dynamic]

        def run(env: Environment) -> object:
            made = Set(None, places)
            local = Environment(made, env) if group.recursive else env
            for name, code in members.items():
                made[name] = code(local)
            for add in computed:
                add(local, made)
            return made

        return run

    def _dynamic(
        self, name: Template, binding: Binding, number: int, value: groups.Group | Expression, scope: Scope
    ) -> Callable[[Environment, Set], None]:
        """Adds one binding with a computed name; one that is null is left out."""
        alone = name.parts[0] if len(name.parts) == 1 else name
        code = self.compile(alone, scope)
        inner = self._delayed(value, scope) if isinstance(value, groups.Group) else self.lazy(value, scope)
        place = (self.source, self.source.names[id(binding)][number])

        def add(env: Environment, into: Set) -> None:
            found = code(env)
            if found is None:
                return
            if not isinstance(found, str):
                raise EvaluationError(f"the name of an attribute is {kind(found)}, not a string", place)
            if found in into:
                raise EvaluationError(f"`{found}` is set twice", place)
            into[found] = inner(env)
            into.places = {**into.places, found: place}

        return add

    def _delayed(self, group: groups.Group, scope: Scope) -> Code:
        code = self._group(group, scope)
        return lambda env: Thunk(code, env)

    def _member(
        self, name: str, member: groups.Inherited | groups.Bound | groups.Group, scope: Scope, outer: Scope
    ) -> Code:
        """Code of a member, run in the environment of `scope` (`outer` is the one around a recursive set)."""
        if isinstance(member, groups.Group):
            return self._delayed(member, scope)
        if isinstance(member, groups.Bound):
            return self.early(member.value, scope) if scope is not outer else self.lazy(member.value, scope)
        source = member.inherit.source
        variable = Variable(name)
        self.source.offsets[id(variable)] = self.source.names[id(member.inherit)][member.number]
        self.source.made.append(variable)
        if source:
            return self.lazy(self._selection(source[0], variable), scope)
        code = self._variable(variable, outer, forced=False)
        if scope is outer:
            return code
        return lambda env: code(env.up)

    def _selection(self, source: Expression, variable: Variable) -> Expression:
        made = Select(source, (variable.name,))
        self.source.offsets[id(made)] = self.source.offsets[id(variable)]
        self.source.made.append(made)
        return made

    def _place_of(self, member: groups.Inherited | groups.Bound | groups.Group) -> Place | None:
        if isinstance(member, groups.Group):
            binding, number = member.first or (None, 0)
        elif isinstance(member, groups.Inherited):
            binding, number = member.inherit, member.number
        else:
            binding, number = member.binding, member.number
        return (self.source, self.source.names[id(binding)][number]) if binding else None

    def let(self, expression: Let, scope: Scope) -> Code:
        """`let ... in ...`"""
        grouped, _ = groups.group(expression.bindings, recursive=True)
        inner = Scope(frozenset(grouped.members), scope)
        members = {name: self._member(name, member, inner, scope) for name, member in grouped.members.items()}
        body = self.compile(expression.body, inner)

        def run(env: Environment) -> object:
            names: dict[str, object] = {}
            local = Environment(names, env)
            for name, code in members.items():
                names[name] = code(local)
            return body(local)

        return run

    def with_scope(self, expression: With, scope: Scope) -> Code:
        """`with a; b`"""
        code = self.lazy(expression.scope, scope)
        body = self.compile(expression.body, Scope(None, scope))
        return lambda env: body(Environment({WITH: code(env)}, env))

    def condition(self, expression: If, scope: Scope) -> Code:
        """`if a then b else c`"""
        condition = self._truth(expression, expression.condition, scope, "the condition of `if`")
        yes, no = self.compile(expression.yes, scope), self.compile(expression.no, scope)
        return lambda env: yes(env) if condition(env) else no(env)

    def assertion(self, expression: Assert, scope: Scope) -> Code:
        """`assert a; b`"""
        condition = self._truth(expression, expression.condition, scope, "what is asserted")
        body, place = self.compile(expression.body, scope), self.place(expression)

        def run(env: Environment) -> object:
            if not condition(env):
                raise EvaluationError("an assertion does not hold", place)
            return body(env)

        return run

    def _truth(
        self, whole: Expression, expression: Expression, scope: Scope, what: str
    ) -> Callable[[Environment], bool]:
        code, place = self.compile(expression, scope), self.place(expression) or self.place(whole)

        def run(env: Environment) -> bool:
            value = code(env)
            if value is True or value is False:
                return value
            raise EvaluationError(f"{what} is {kind(value)}, not a boolean", place)

        return run

    def unary(self, expression: Unary, scope: Scope) -> Code:
        """`!a` and `-a`"""
        if expression.operator == "!":
            condition = self._truth(expression, expression.operand, scope, "the operand of `!`")
            return lambda env: not condition(env)
        code, place = self.compile(expression.operand, scope), self.place(expression)
        return lambda env: operators.arithmetic("-", 0, code(env), place)

    def binary(self, expression: Binary, scope: Scope) -> Code:
        """`a + b`"""
        sign, place = expression.operator, self.place(expression)
        if sign in ("&&", "||", "->"):
            return self._logic(sign, expression, scope)
        left, right = self.compile(expression.left, scope), self.compile(expression.right, scope)
        function = operators.OPERATORS.get(sign)
        if function is None:
            return lambda env: operators.arithmetic(sign, left(env), right(env), place)

        def run(env: Environment) -> object:
            try:
                return function(left(env), right(env))
            except EvaluationError as error:
                error.place = error.place or place
                raise

        return run

    def _logic(self, sign: str, expression: Binary, scope: Scope) -> Code:
        left = self._truth(expression, expression.left, scope, f"the left of `{sign}`")
        right = self._truth(expression, expression.right, scope, f"the right of `{sign}`")
        if sign == "&&":
            return lambda env: left(env) and right(env)
        if sign == "||":
            return lambda env: left(env) or right(env)
        return lambda env: not left(env) or right(env)


_COMPILERS: Mapping[type, Callable[[Compiler, Any, Scope], Code]] = {
    tuple: Compiler.items,
    Template: Compiler.template,
    PathLiteral: Compiler.path,
    Variable: Compiler.variable,
    Select: Compiler.select,
    HasAttribute: Compiler.has,
    Apply: Compiler.apply,
    Function: Compiler.function,
    AttributeSet: Compiler.attributes,
    Let: Compiler.let,
    With: Compiler.with_scope,
    If: Compiler.condition,
    Assert: Compiler.assertion,
    Unary: Compiler.unary,
    Binary: Compiler.binary,
}
