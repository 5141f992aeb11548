"""From YAML and `key=value` overrides to frozen dataclasses, at the edge of the program.

Hydra composes a file of `simulator/conf`; the dataclass is the schema and holds the defaults, so the
files state only what differs. Everything behind this module sees plain typed values.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

CONF_DIR = Path(__file__).resolve().parent / "conf"

T = TypeVar("T")


class ConfigError(ValueError):
    """An override or a config file doesn't fit; the message lists what is accepted."""


def compose(group: type[T], name: str, overrides: Sequence[str] = ()) -> T:
    """Return an instance of the dataclass `group`, from `conf/<name>.yaml` and the overrides.

    `overrides` follow Hydra's syntax: `steps=100`, `model.width=192`, `size=base` for a choice in the
    file's defaults list. Raises `ConfigError` for an unknown file, key or choice, or a value that
    doesn't fit the field; the dataclass's own checks raise what they raise.
    """
    if not dataclasses.is_dataclass(group):
        raise TypeError(f"group must be a dataclass, got {group!r}")
    if not (CONF_DIR / f"{name}.yaml").is_file():
        raise ConfigError(f"no config {name!r}. Present: {', '.join(config_names())}.")
    accepted = dict(_fields(group))
    choices = _choices(name)

    # Imported here: --help and library use shouldn't pay half a second for Hydra.
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(config_dir=str(CONF_DIR), version_base="1.3"):
            composed = hydra_compose(name, overrides=[_forced(o, accepted) for o in overrides])
        schema = OmegaConf.structured(group)
        _make_writable(schema)
        _open_optional(schema, composed)
        merged = OmegaConf.to_object(OmegaConf.merge(schema, composed))
    except (HydraException, OmegaConfBaseException) as error:
        reason = str(error).strip().splitlines()[0]
        listing = "\n".join(f"  {key}: {kind}" for key, kind in (accepted | choices).items())
        raise ConfigError(f"{reason}\nAccepted for {name!r}:\n{listing}") from error
    return typing.cast(T, _with_tuples(merged))


def config_names() -> list[str]:
    """Return what can be composed, sorted: paths below `conf` without the suffix."""
    return sorted(
        p.relative_to(CONF_DIR).with_suffix("").as_posix() for p in CONF_DIR.rglob("*.yaml")
    )


def _make_writable(node: Any) -> None:
    """Lift the read-only mark that OmegaConf gives to frozen dataclasses, nested ones included."""
    from omegaconf import DictConfig, OmegaConf

    OmegaConf.set_readonly(node, False)
    for child in (node._get_node(key) for key in node):
        if isinstance(child, DictConfig) and not child._is_none():
            _make_writable(child)


def _open_optional(schema: Any, given: Any) -> None:
    """Put defaults where the schema holds None for a dataclass of which a value is given."""
    from omegaconf import DictConfig

    for key in given:
        node, value = schema._get_node(key) if key in schema else None, given._get_node(key)
        if not (isinstance(node, DictConfig) and isinstance(value, DictConfig)) or value._is_none():
            continue
        if node._is_none():
            schema[key] = node._metadata.ref_type()
            node = schema._get_node(key)
            _make_writable(node)
        _open_optional(node, value)


def _forced(override: str, accepted: dict[str, str]) -> str:
    """Let an override set a field that the YAML leaves to the dataclass's default."""
    key, equals, _ = override.partition("=")
    return f"++{override}" if equals and key in accepted else override


def _fields(group: type[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield `(dotted.key, "type = default")` of every leaf field."""
    hints = typing.get_type_hints(group)
    for field in dataclasses.fields(group):
        kind, key = hints[field.name], prefix + field.name
        inner = [k for k in (kind, *typing.get_args(kind)) if dataclasses.is_dataclass(k)]
        if inner:  # itself, or one that may be None
            yield from _fields(typing.cast(type[Any], inner[0]), f"{key}.")
            continue
        name = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
        yield key, name + _default(field)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return " (required)"
    return f" = {str(value) if isinstance(value, Path) else repr(value)}"


def _choices(name: str) -> dict[str, str]:
    """Return the groups that the file's defaults list chooses from, and their options."""
    import yaml

    content = yaml.safe_load((CONF_DIR / f"{name}.yaml").read_text(encoding="utf-8")) or {}
    groups = [
        key for entry in content.get("defaults", ()) if isinstance(entry, dict) for key in entry
    ]
    options = {group: sorted(p.stem for p in (CONF_DIR / group).glob("*.yaml")) for group in groups}
    return {group: f"one of {', '.join(found)}" for group, found in options.items()}


def _with_tuples(value: Any) -> Any:
    """Turn the lists that OmegaConf makes of tuple fields back into tuples."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        old = getattr(value, field.name)
        if isinstance(old, list):
            changes[field.name] = tuple(old)
        elif dataclasses.is_dataclass(old):
            changes[field.name] = _with_tuples(old)
    return dataclasses.replace(value, **changes) if changes else value
