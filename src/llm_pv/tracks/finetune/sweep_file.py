"""What a sweep's file asks for: every combination of a grid, as command lines."""

import hashlib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_pv.errors import ConfigurationError

_KEYS = {"experiment_name", "results_root", "base_args", "grid"}
_OWN = {"results_path", "out", "format", "ray", "ray_cpus", "ray_gpus"}


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep."""

    name: str
    "The values of the grid it has, fit for a folder's name."
    arguments: tuple[str, ...]
    "The command line of the training command, without the results folder."


@dataclass(frozen=True)
class Sweep:
    """What a sweep's file asks for."""

    folder: Path
    "``results_root/experiment_name``."
    jobs: tuple[SweepJob, ...]
    "Every combination of the grid, in its order."


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's file.

    Raise ConfigurationError if it cannot be read, or asks for no sweep.

    Parameters
    ----------
    path
        YAML with ``experiment_name``, ``results_root``, ``base_args`` and ``grid``; names of
        arguments are those of the command's options, with ``_`` or ``-``.
    """
    record = _read_yaml(path)
    unknown = sorted(map(str, record.keys() - _KEYS))
    if unknown:
        raise ConfigurationError(
            f"{path}: {', '.join(unknown)} unknown; a sweep has {', '.join(sorted(_KEYS))}"
        )
    base = _mapping(path, record, "base_args")
    grid = _mapping(path, record, "grid")
    name = record.get("experiment_name")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
        raise ConfigurationError(
            f"{path}: experiment_name is {name!r}; give a name of letters, digits, '.', '_' and '-'"
        )
    for key, value in base.items():
        if isinstance(value, list | dict):
            raise ConfigurationError(f"{path}: base_args.{key} has several values; move it to grid")
    for key, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ConfigurationError(f"{path}: grid.{key} is no list of values")
        if any(isinstance(value, list | dict) for value in values):
            raise ConfigurationError(f"{path}: grid.{key} holds a list or a mapping as a value")
    root = Path(str(record.get("results_root", "results_new")))
    combinations = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    jobs = [SweepJob(_name(own), _arguments(base | own)) for own in combinations]
    return Sweep(root / name, tuple({job.name: job for job in jobs}.values()))


def _read_yaml(path: Path) -> Mapping[Any, Any]:
    import yaml

    try:
        record = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise ConfigurationError(f"{path} cannot be read as a sweep: {text}") from error
    if not isinstance(record, dict):
        raise ConfigurationError(
            f"{path} is no sweep: it needs {', '.join(sorted(_KEYS))} as a YAML mapping"
        )
    return record


def _mapping(path: Path, record: Mapping[Any, Any], key: str) -> dict[str, Any]:
    found = record.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigurationError(f"{path}: {key} is no mapping from names of options")
    reserved = sorted({name.replace("-", "_") for name in found} & _OWN)
    if reserved:
        raise ConfigurationError(
            f"{path}: {key}.{reserved[0]} is for the sweep to choose; leave it out"
        )
    return found


def _arguments(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return options as a command line: true is a flag, false and null are left out."""
    arguments: list[str] = []
    for name, value in options.items():
        if name == "data":
            arguments.insert(0, str(value))
        elif value is True:
            arguments.append(f"--{name.replace('_', '-')}")
        elif value is not None and value is not False:
            arguments.append(f"--{name.replace('_', '-')}={value}")
    return tuple(arguments)


def _name(own: Mapping[str, Any]) -> str:
    """Return a grid's values as a folder's name; a digest marks names with replaced characters."""
    text = ",".join(f"{key}={value}" for key, value in own.items()) or "job"
    name = re.sub(r"[^\w.,=+-]+", "_", text)[:150]
    if name != text:
        name += "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return name
