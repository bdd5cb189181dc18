"""What a pickle says, read without doing any of it.

A pickle is a program for a small stack machine: it names functions, and calls them. Here that
program is read opcode by opcode, and where it would import a name, a `Name` is put on the stack;
where it would call one, a `Made` that remembers what would have been called with what. Nothing is
imported, called or looked up, so there is nothing that a hostile file could reach. Whoever wants a
tensor or a space builds it from these parts (`tensors`, `arrays`, `spaces`).

On top of that every name must be expected: a file that names `os.system` is refused with that name,
so that its owner learns what it holds.

Source: `pickletools`, the standard library's own description of every opcode.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import PolicyLoadError

__all__ = ["Made", "Name", "Persistent", "read"]

MAX_BYTES = 64 << 20
MAX_OPCODES = 2_000_000

Expected = Callable[[str], bool]
"""Whether a dotted name may occur."""

_KEYS = (str, bytes, int, float, bool, type(None))
"""What a dict's key may be. A tuple is none: hashing one nested deep enough ends the process."""


@dataclass(frozen=True)
class Name:
    """A function or class that the pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)
class Made:
    """What the pickle would have made.

    Attributes:
        by: what it would have called.
        args: with what; () where an object is made empty.
        state: what it would have been given afterwards, or None.
        items: keys and values it would have been filled with.
    """

    by: Name
    args: tuple[Any, ...]
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False, repr=False)
class Persistent:
    """What the pickle refers to outside of itself."""

    key: Any


class _Mark:
    """Where a run of values on the stack begins."""


_MARK = _Mark()


def read(data: bytes, source: str, expected: Expected) -> Any:
    """Read a pickle.

    Args:
        data: the whole pickle, and nothing after it.
        source: how messages call it.
        expected: says of a dotted name whether it may occur.

    Returns:
        Python's own numbers, texts, bytes, lists, tuples and dicts; `Name`, `Made` and `Persistent`
        for everything else.

    Raises:
        PolicyLoadError: it is no pickle, is cut short or too large, or names something that is not
            expected.
    """
    if len(data) > MAX_BYTES:
        raise PolicyLoadError(f"{source} is larger than {MAX_BYTES} bytes, the most that is read")
    machine = _Machine(source, expected)
    try:
        for opcode, argument, position in _opcodes(data):
            machine.step(opcode, argument)
            if opcode == "STOP" and position + 1 != len(data):
                raise ValueError("something follows its end")
        return machine.result
    # A Warning too: where those are errors, pickletools raises one for an odd escape in a text.
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, Warning) as exc:
        raise PolicyLoadError(f"{source} is no pickle that can be read: {exc}") from exc


def _opcodes(data: bytes) -> Iterator[tuple[str, Any, int]]:
    found = pickletools.genops(data)
    for count, (opcode, argument, position) in enumerate(found):
        if count >= MAX_OPCODES:
            raise ValueError(f"more than {MAX_OPCODES} opcodes")
        yield opcode.name, argument, position or 0


class _Machine:
    """The stack, and what was remembered for later."""

    def __init__(self, source: str, expected: Expected) -> None:
        self.result: Any = None
        self._source = source
        self._expected = expected
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _CONSTANTS:
            self._stack.append(argument)
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise ValueError(f"opcode {opcode} is not read")

    def pop(self) -> Any:
        found = self._stack.pop()
        if found is _MARK:
            raise ValueError("a value is missing")
        return found

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def top(self) -> Any:
        found = self._stack[-1]
        if found is _MARK:
            raise ValueError("a value is missing")
        return found

    def run(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        for start in range(len(self._stack) - 1, -1, -1):
            if self._stack[start] is _MARK:
                values = self._stack[start + 1 :]
                del self._stack[start:]
                return values
        raise ValueError("a mark is missing")

    def remember(self, key: int | None) -> None:
        self._memo[len(self._memo) if key is None else key] = self.top()

    def recall(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def name(self, module: Any, name: Any) -> Name:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        found = Name(module, name)
        if not re.fullmatch(r"[\w.]+", str(found)) or not self._expected(str(found)):
            raise PolicyLoadError(
                f"{self._source} names {str(found)[:120]!r}, which is nothing that a policy's file "
                "of this kind is made of; unpickling it could run code, so it is refused"
            )
        return found

    def make(self, by: Any, args: Any) -> None:
        if not isinstance(by, Name) or not isinstance(args, tuple):
            raise ValueError("a call of something that is no name")
        self._stack.append(Made(by, args))

    def build(self) -> None:
        state, made = self.pop(), self.top()
        if not isinstance(made, Made) or made.state is not None:
            raise ValueError("a state for something that takes none")
        made.state = state

    def fill(self, values: list[Any]) -> None:
        target = self.top()
        pairs = [(_key(k), v) for k, v in zip(values[::2], values[1::2], strict=True)]
        if isinstance(target, Made):
            target.items.extend(pairs)
        elif isinstance(target, dict):
            target.update(pairs)
        else:
            raise ValueError("keys for something that takes none")

    def dict(self) -> None:
        values = self.run()
        self.push({})
        self.fill(values)

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if not isinstance(target, list):
            raise ValueError("elements for something that takes none")
        target.extend(values)

    def stop(self) -> None:
        self.result = self.pop()
        if self._stack:
            raise ValueError("values are left over")


def _key(value: Any) -> Any:
    if not isinstance(value, _KEYS):
        raise ValueError(f"a {type(value).__name__} as key")
    return value


def _tuple(size: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, argument: Any) -> None:
        values = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(values)))

    return step


def _swapped(machine: _Machine) -> tuple[Any, Any]:
    second = machine.pop()
    return machine.pop(), second


def _instance(machine: _Machine, argument: Any) -> None:
    module, _, name = argument.partition(" ")
    arguments = tuple(machine.run())
    machine.make(machine.name(module, name), arguments)


def _object(machine: _Machine, argument: Any) -> None:
    by, *args = machine.run()
    machine.make(by, tuple(args))


def _new_with_keywords(machine: _Machine, argument: Any) -> None:
    keywords = machine.pop()
    if keywords:
        raise ValueError("an object made with keywords")
    machine.make(*_swapped(machine))


_CONSTANTS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 FLOAT "
    "BINFLOAT".split()
)
"""Opcodes that put their own argument on the stack."""

_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda m, a: None,
    "FRAME": lambda m, a: None,
    "STOP": lambda m, a: m.stop(),
    "MARK": lambda m, a: m.push(_MARK),
    "POP": lambda m, a: m.pop(),
    "POP_MARK": lambda m, a: m.run(),
    "DUP": lambda m, a: m.push(m.top()),
    "NONE": lambda m, a: m.push(None),
    "NEWTRUE": lambda m, a: m.push(True),
    "NEWFALSE": lambda m, a: m.push(False),
    "EMPTY_LIST": lambda m, a: m.push([]),
    "EMPTY_TUPLE": lambda m, a: m.push(()),
    "EMPTY_DICT": lambda m, a: m.push({}),
    "LIST": lambda m, a: m.push(m.run()),
    "TUPLE": lambda m, a: m.push(tuple(m.run())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "DICT": lambda m, a: m.dict(),
    "SETITEM": lambda m, a: m.fill(list(_swapped(m))),
    "SETITEMS": lambda m, a: m.fill(m.run()),
    "APPEND": lambda m, a: m.extend([m.pop()]),
    "APPENDS": lambda m, a: m.extend(m.run()),
    "GET": lambda m, a: m.recall(int(a)),
    "BINGET": lambda m, a: m.recall(a),
    "LONG_BINGET": lambda m, a: m.recall(a),
    "PUT": lambda m, a: m.remember(int(a)),
    "BINPUT": lambda m, a: m.remember(a),
    "LONG_BINPUT": lambda m, a: m.remember(a),
    "MEMOIZE": lambda m, a: m.remember(None),
    "GLOBAL": lambda m, a: m.push(m.name(*a.split(" ", 1))),
    "STACK_GLOBAL": lambda m, a: m.push(m.name(*_swapped(m))),
    "REDUCE": lambda m, a: m.make(*_swapped(m)),
    "NEWOBJ": lambda m, a: m.make(*_swapped(m)),
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _instance,
    "OBJ": _object,
    "BUILD": lambda m, a: m.build(),
    "PERSID": lambda m, a: m.push(Persistent(a)),
    "BINPERSID": lambda m, a: m.push(Persistent(m.pop())),
}
"""Opcode -> what it does to the stack. EXT1, EXT2, EXT4 name what another program registered, and
NEXT_BUFFER what came beside the pickle: neither is read."""
