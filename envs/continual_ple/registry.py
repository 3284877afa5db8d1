"""Classes by name: those of this package, those registered in this process, and those that installed packages offer."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Protocol, TypeVar

from continual_ple.messages import shown

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", re.ASCII)
"""Form of a name; with each word's first letter as a capital, two names stay two."""
MAX_NAME = 40  # characters


class Named(Protocol):
    """A class with a name."""

    name: ClassVar[str]


T = TypeVar("T", bound=Named)


class Registry(Mapping[str, type[T]]):
    """Classes of one kind, each under its attribute ``name``.

    An installed package offers a class as an entry point whose name is that of the class. It is imported when that name
    is first looked up, and nothing else ever is: a name may come from a stranger's file.
    """

    def __init__(self, field: str, group: str, check: Callable[[object], None], added: Callable[[str], None]) -> None:
        """Make an empty registry.

        Args:
            field: What a name is called in messages, such as ``game``.
            group: Group of the entry points.
            check: Raises ValueError, in one line, for anything that is no class of this kind.
            added: Called with the name of each new class.
        """
        self.field, self.group = field, group
        self._check, self._added = check, added
        self._classes: dict[str, type[T]] = {}

    def register(self, kind: type[T]) -> type[T]:
        """Add a class, and return it.

        Raises:
            ValueError: if it cannot be one of this kind, or another class has its name.
        """
        self._check(kind)
        if not _is_name(kind.name):
            raise ValueError(
                f"name={shown(kind.name)}: must be words of a to z and digits, joined by underscores, "
                f"with at most {MAX_NAME} characters"
            )
        if self._classes.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"{self.field}={kind.name!r}: another class has this name")
        self._added(kind.name)
        return kind

    def make_known(self, kind: type[T]) -> None:
        """Add a class unless its name is known, in another process to which an object that uses it was sent."""
        if kind.name not in self:
            self.register(kind)

    def loaded(self) -> tuple[type[T], ...]:
        """Return the classes that are registered, without loading any that is installed."""
        return tuple(self._classes.values())

    def well_named(self) -> list[str]:
        """Return the names without those of installed classes that cannot be registered, without loading any."""
        return [name for name in self if _is_name(name)]

    def __getitem__(self, name: str) -> type[T]:
        """Return a class, loading it if it is an installed one.

        Raises:
            KeyError: if there is none of this name.
            ValueError: if it is installed and cannot be used.
        """
        if name not in self._classes:
            self._load(_installed(self.group, tuple(sys.path))[name])
        return self._classes[name]

    def describe(self) -> str:
        """Return in words what a name must be."""
        offered = f"one that an installed package offers as an entry point of the group {self.group}"
        return f"one of {', '.join(self)}, or {offered}"

    def find(self, name: object) -> type[T]:
        """Return a class, as ``registry[name]`` does.

        Raises:
            ValueError: if there is none of this name, or it is installed and cannot be used; the message names the
                entry point, or the group that one would be of.
        """
        if name not in self:
            raise ValueError(f"{self.field}={shown(name)}: must be {self.describe()}")
        return self[str(name)]

    def _load(self, entry: EntryPoint) -> None:
        try:
            kind = entry.load()
            self._check(kind)
            if kind.name != entry.name:
                raise ValueError(f"the class has the name {shown(kind.name)}")
            self.register(kind)
        except (Exception, SystemExit) as error:  # whatever another package's code raises
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(f"{self.field}={entry.name!r}: {described(entry)} cannot be used: {reason}") from error

    def __contains__(self, name: object) -> bool:
        """Return whether there is a class of this name, without loading it."""
        return isinstance(name, str) and (name in self._classes or name in _installed(self.group, tuple(sys.path)))

    def __iter__(self) -> Iterator[str]:
        """Yield all names, without loading anything."""
        return iter(dict.fromkeys((*self._classes, *_installed(self.group, tuple(sys.path)))))

    def __len__(self) -> int:
        return len(list(iter(self)))


def described(entry: EntryPoint) -> str:
    """Return in words what an entry point is and which package it is of, so that it can be found and fixed."""
    package = f" of the package {entry.dist.name}" if entry.dist is not None and entry.dist.name else ""
    return f"the entry point {entry.name} = {entry.value} in {entry.group}{package}"


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME and NAME.fullmatch(name) is not None


@lru_cache(maxsize=8)
def _installed(group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of two with one name, that of the package found first on the path."""
    return {entry.name: entry for entry in reversed(tuple(entry_points(group=group)))}
