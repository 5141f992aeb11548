"""From a name to a driver: shipped ones, anybody's class, a Stable-Baselines3 zip, each also blindfolded."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.exploration import DRIVERS
from agents.panel import PANEL, Blind
from agents.policy import Policy

BLIND = "blind:"
SHIPPED = {**DRIVERS, **PANEL}
"""Drivers that are loaded by name alone."""

_ALGORITHMS = (  # a key that only this algorithm's settings have, from the most telling on
    ("target_policy_noise", "TD3"),
    ("target_entropy", "SAC"),
    ("clip_range", "PPO"),
    ("gae_lambda", "A2C"),
)


class PolicyError(ValueError):
    """A policy that can't be loaded; says what was given, what is accepted and what to do."""


def load_policy(spec: str) -> Policy:
    """The driver that `spec` names.

    Accepted: the name of a shipped one, `module:Class`, `module:Class(key=value, ...)` with literal
    values, the path of a Stable-Baselines3 `.zip`; any of them after `blind:`. Modules are looked for in
    the current folder too. A zip runs code from inside it: load only what you trust.

    Raises:
        PolicyError: none of these, no such class, not a policy, or a package is missing.
    """
    if spec.startswith(BLIND):
        return Blind(load_policy(spec.removeprefix(BLIND)))
    if spec in SHIPPED:
        return SHIPPED[spec]()
    if spec.endswith(".zip"):
        return _Sb3(Path(spec))
    if ":" in spec:
        return _from_class(spec)
    raise PolicyError(
        f"policy {spec!r} is unknown; accepted: module:Class, module:Class(key=value), a"
        f" Stable-Baselines3 .zip, or one of {', '.join(sorted(SHIPPED))}"
    )


def load_watched_policy(spec: str) -> Policy:
    """The driver that `spec` names, where the camera's picture is all that there is to look at.

    Raises:
        PolicyError: as `load_policy`, and for one that looks at something else.
    """
    policy = load_policy(spec)
    wanted = getattr(policy, "obs", "camera")
    if wanted != "camera":
        raise PolicyError(
            f"policy {spec!r} looks at obs={wanted!r}; here there is the camera's picture alone:"
            " closed-loop and agreement drive it with what it wants"
        )
    return policy


def fingerprint(spec: str) -> str:
    """Changes when the policy's own file does, or a file or folder that its arguments name; empty for shipped
    ones, which change with the code."""
    inner = spec.removeprefix(BLIND)
    places: list[Path | None] = []
    if inner.endswith(".zip"):
        places = [Path(inner)]
    elif ":" in inner:
        module, _, call = inner.partition(":")
        places = [_module_file(module), *_named_in(spec, call)]
    files = [file for place in places if place for file in sorted([place, *place.rglob("*")])]
    read = [file.read_bytes() for file in files if file.is_file()]
    if not read:
        return ""
    hasher = hashlib.blake2b(digest_size=16)
    for content in read:
        hasher.update(len(content).to_bytes(8, "little") + content)
    return hasher.hexdigest()


def _named_in(spec: str, call: str) -> list[Path]:
    """Files and folders that the arguments of `Class(key=value)` name."""
    try:
        _, arguments = _parsed(spec, call)
    except PolicyError:  # said where it is loaded
        return []
    texts = [value for value in arguments.values() if isinstance(value, str) and value]
    return [Path(text) for text in texts if Path(text).exists()]


def _from_class(spec: str) -> Policy:
    name, _, call = spec.partition(":")
    class_name, arguments = _parsed(spec, call)
    _see_current_folder()
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise PolicyError(
            f"policy {spec!r}: {error}; give a module that Python finds from this folder"
        ) from error
    kind = getattr(module, class_name, None)
    if not callable(kind):
        known = sorted(k for k, v in vars(module).items() if isinstance(v, type))
        raise PolicyError(
            f"policy {spec!r}: {name} has no class {class_name!r}; it has {', '.join(known) or 'none'}"
        )
    policy = kind(**arguments)
    for verb in ("reset", "act"):
        if not callable(getattr(policy, verb, None)):
            raise PolicyError(
                f"policy {spec!r} has no method {verb}(); a policy has reset(seed) and"
                " act(observation, info), see agents/policy.py"
            )
    checked: Policy = policy
    return checked


def _parsed(spec: str, call: str) -> tuple[str, dict[str, Any]]:
    """`Class` or `Class(key=value)` as a name and arguments."""
    try:
        tree = ast.parse(call, mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            values = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords if k.arg}
            if len(values) == len(tree.keywords):
                return tree.func.id, values
    except (SyntaxError, ValueError):
        pass
    raise PolicyError(
        f"policy {spec!r}: {call!r} can't be read; accepted: Class or Class(key=value, ...) with plain"
        " numbers, texts, lists, True, False or None"
    )


def _module_file(name: str) -> Path | None:
    _see_current_folder()
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(found.origin) if found and found.origin else None


def _see_current_folder() -> None:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))


class _Sb3:
    """A trained Stable-Baselines3 model as a policy; it acts without exploring."""

    def __init__(self, path: Path) -> None:
        algorithm = _algorithm(path)
        try:
            import stable_baselines3
        except ModuleNotFoundError as error:
            raise PolicyError(
                f"{path} needs the package stable-baselines3: pip install 'dreamlane[rl]'"
            ) from error
        self.model = getattr(stable_baselines3, algorithm).load(path, device="cpu")
        self.obs = _wanted_observation(path, self.model.observation_space)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Sb3:
        """Itself: there is no memory to keep, and the window keeps one for every moment."""
        return self

    def reset(self, seed: int | None = None) -> None:
        """Nothing to forget: these policies have no memory."""

    def act(self, observation: Any, info: Mapping[str, Any]) -> NDArray[np.float32]:
        """The policy's most likely action."""
        action, _ = self.model.predict(observation, deterministic=True)
        return np.asarray(action, np.float32)


def _algorithm(path: Path) -> str:
    """Which algorithm wrote the zip, by the names of its settings; nothing is unpickled for it."""
    try:
        with zipfile.ZipFile(path) as archive:
            settings = json.loads(archive.read("data"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise PolicyError(
            f"{path} is no Stable-Baselines3 model ({error}); save one with model.save()"
        ) from error
    for key, algorithm in _ALGORITHMS:
        if key in settings:
            return algorithm
    raise PolicyError(f"{path} is of an unknown algorithm; accepted: A2C, PPO, SAC, TD3")


def _wanted_observation(path: Path, space: Any) -> str:
    from gymnasium import spaces

    if isinstance(space, spaces.Dict):
        return "dict"
    if isinstance(space, spaces.Box) and len(space.shape) == 3:
        return "camera" if space.dtype == np.uint8 else "latent"
    raise PolicyError(
        f"{path} was trained on {space}; accepted: the camera, Dict and latent observations of"
        " docs/environments.md"
    )
