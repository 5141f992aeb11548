"""Fields that know what they accept, and the reading of a mapping into dataclasses made of them.

Kept apart from what a scenario says (`schema`): nothing here knows of roads or cars.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar


class ScenarioError(ValueError):
    """A scenario that cannot be used: `source`, `field`, `given` and `accepted` say why."""

    def __init__(self, source: str, field: str, given: object, accepted: str) -> None:
        super().__init__(f"{source}: field '{field}': got {given!r}; accepted: {accepted}")
        self.source, self.field, self.given, self.accepted = source, field, given, accepted


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds; `whole` numbers come out as int."""

    low: float
    high: float
    whole: bool = False
    optional: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}" + (" or null" * self.optional)

    def read(self, given: Any) -> Any:
        if given is None and self.optional:
            return None
        good = isinstance(given, int | float) and not isinstance(given, bool)
        if not good or not math.isfinite(given) or not self.low <= given <= self.high:
            raise ValueError
        if self.whole:
            if given != int(given):
                raise ValueError
            return int(given)
        return float(given)


@dataclass(frozen=True, slots=True)
class Range:
    """Two numbers in order, within bounds."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"two numbers [least, most] from {self.low:g} to {self.high:g}"

    def read(self, given: Any) -> tuple[float, float]:
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError
        least, most = (Number(self.low, self.high).read(value) for value in given)
        if least > most:
            raise ValueError
        return least, most


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    options: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, given: Any) -> str:
        if not isinstance(given, str) or given not in self.options:
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Text:
    """Words for people; runs of white space become one space."""

    def __str__(self) -> str:
        return "text that is not empty"

    def read(self, given: Any) -> str:
        if not isinstance(given, str) or not given.strip():
            raise ValueError
        return " ".join(given.split())


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text taken as it is, spaces included: paths and digests."""

    def __str__(self) -> str:
        return "text or null"

    def read(self, given: Any) -> str | None:
        if given is not None and (not isinstance(given, str) or not given.strip()):
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words."""

    def __str__(self) -> str:
        return "a list of words"

    def read(self, given: Any) -> tuple[str, ...]:
        if not isinstance(given, list | tuple) or not all(isinstance(w, str) for w in given):
            raise ValueError
        return tuple(given)


@dataclass(frozen=True, slots=True)
class Part:
    """A nested dataclass, or null where `optional`."""

    kind: type
    optional: bool = False

    def __str__(self) -> str:
        names = ", ".join(f.name for f in dataclasses.fields(self.kind))
        return f"a mapping with {names}" + (" or null" * self.optional)


def accepts(what: Any, **default: Any) -> Any:
    """A dataclass field that accepts what `what` reads."""
    return field(metadata={"accepts": what}, **default)


def check(part: Any) -> None:
    """Validate one dataclass in place (it is frozen: normalised values go in the back door)."""
    source = f"{type(part).__name__}"
    for spec in dataclasses.fields(part):
        reader, given = spec.metadata["accepts"], getattr(part, spec.name)
        if isinstance(reader, Part):
            if not (isinstance(given, reader.kind) or (given is None and reader.optional)):
                raise ScenarioError(source, spec.name, given, str(reader))
            continue
        try:
            object.__setattr__(part, spec.name, reader.read(given))
        except ValueError:
            raise ScenarioError(source, spec.name, given, str(reader)) from None


T = TypeVar("T")


def from_mapping(kind: type[T], data: object, source: str, path: str = "") -> T:
    """Build `kind` from parsed YAML. Raises ScenarioError for a wrong, unknown or missing field."""
    specs = {spec.name: spec for spec in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if not isinstance(data, Mapping):
        raise ScenarioError(source, path or "(whole file)", data, str(Part(kind)))
    for name in data:
        if name not in specs:
            raise ScenarioError(source, f"{path}{name}", data[name], "fields " + ", ".join(specs))
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        reader = spec.metadata["accepts"]
        if name not in data:
            if spec.default is dataclasses.MISSING:
                raise ScenarioError(source, f"{path}{name}", "nothing", f"{reader} (required)")
        elif isinstance(reader, Part) and not (data[name] is None and reader.optional):
            values[name] = from_mapping(reader.kind, data[name], source, f"{path}{name}.")
        else:
            values[name] = data[name]
    try:
        return kind(**values)
    except ScenarioError as error:
        field_path = f"{path}{error.field}"
        raise ScenarioError(source, field_path, error.given, error.accepted) from None
