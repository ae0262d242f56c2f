"""What a run asks of the machines of a cluster."""

import math
import platform
from dataclasses import dataclass, field

from llm_pv import __version__
from llm_pv.errors import ConfigurationError
from llm_pv.sandbox import Limits
from llm_pv.sandbox.worker_pool import Backend


@dataclass(frozen=True)
class Requirements:
    """What one task takes of a machine while it runs.

    Examples
    --------
    >>> Requirements(cpus=2).fitting({"CPU": 9.0})
    4
    """

    cpus: float = 1.0
    gpus: float = 0.0
    "Cores and GPUs; a fraction lets several tasks share one."

    def __post_init__(self) -> None:
        for name, value, least in (
            ("cpus", self.cpus, "a positive number"),
            ("gpus", self.gpus, "0 or more"),
        ):
            if not 0 <= value < math.inf or (not value and name == "cpus"):
                raise ConfigurationError(f"is {value}; give {least}", name)
            if abs(value - round(value, 4)) > 1e-9:
                raise ConfigurationError(f"is {value}; give a multiple of 0.0001", name)
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigurationError(
                f"is {self.gpus}; give a whole number above 1, or a fraction below", "gpus"
            )

    def fitting(self, resources: dict[str, float]) -> int:
        """Return how many such tasks a machine with these resources runs at once."""
        fit = resources.get("CPU", 0.0) / self.cpus
        if self.gpus:
            fit = min(fit, resources.get("GPU", 0.0) / self.gpus)
        return int(fit + 1e-9)

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}"


@dataclass(frozen=True)
class Confining:
    """How candidates are confined on every machine."""

    limits: Limits = field(default_factory=Limits)
    allow_unconfined: bool = False
    backend: Backend = "auto"


@dataclass(frozen=True)
class Versions:
    """What must be the same on every machine, or one run would hold the work of two programs."""

    llm_pv: str
    python: str
    ray: str
    "Their versions; of Python the first two numbers."

    @classmethod
    def here(cls) -> "Versions":
        """Return the versions of this process, which has imported Ray."""
        import ray

        return cls(__version__, ".".join(platform.python_version_tuple()[:2]), ray.__version__)

    def difference(self, there: "Versions") -> str:
        """Say in what another machine differs, ``""`` if in nothing.

        Examples
        --------
        >>> Versions("1.0", "3.11", "2.60.0").difference(Versions("1.1", "3.11", "2.60.0"))
        'llm_pv is 1.1 there and 1.0 here'
        """
        return ", ".join(
            f"{name} is {getattr(there, name)} there and {getattr(self, name)} here"
            for name in ("llm_pv", "python", "ray")
            if getattr(there, name) != getattr(self, name)
        )
