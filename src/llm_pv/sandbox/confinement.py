"""Which layers of confinement this machine offers, and how to get those that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_FILES = ("Landlock", "mount namespace")
_NEEDED = ("seccomp", "no_new_privs", "rlimits")

_NAMESPACES = (
    "needs unprivileged user namespaces: on Ubuntu "
    "'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0' or an AppArmor profile, "
    "on older Debian 'sudo sysctl kernel.unprivileged_userns_clone=1', "
    "in Docker a seccomp profile that allows unshare and mount"
)
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "seccomp": "needs Linux with CONFIG_SECCOMP_FILTER on x86-64 or aarch64",
        "Landlock": (
            "needs Linux 5.13 or later with Landlock among its security modules (lsm=landlock,... "
            "on the kernel's command line), and in a container a runtime that allows its calls"
        ),
        "not root": "needs the capabilities SETUID and SETGID, or run as an ordinary user",
    }
)


@dataclass(frozen=True)
class Confinement:
    """The layers of protection between a candidate and the machine.

    Parameters
    ----------
    backend
        ``"linux"``, ``"wasm"`` or ``"unconfined"``.
    active
        The layers in force.
    missing
        The layers not in force, each with the reason and the remedy.

    Examples
    --------
    >>> Confinement("linux", ("seccomp", "no_new_privs", "rlimits", "Landlock")).sufficient
    True
    >>> Confinement("linux", ("no_new_privs", "rlimits", "Landlock")).sufficient
    False
    """

    backend: str
    active: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def sufficient(self) -> bool:
        """Whether this meets the minimum for running untrusted code."""
        if self.backend == "wasm":
            return True
        enough = all(layer in self.active for layer in _NEEDED)
        return self.backend == "linux" and enough and any(layer in self.active for layer in _FILES)

    def summary(self) -> str:
        """Return one line: the backend, whether it suffices, and the active layers."""
        state = "sufficient" if self.sufficient else "NOT sufficient"
        layers = ", ".join(self.active) or "no layer"
        return f"{self.backend}: {state} ({layers})"

    def warning(self) -> str:
        """Return a warning if the confinement is weaker than expected, else an empty string.

        Empty for a sufficient Linux sandbox, and for WebAssembly if that was requested.

        Examples
        --------
        >>> Confinement("unconfined", (), {"confinement": "disabled on request"}).warning()
        'programs run unconfined (no layer active; missing confinement: disabled on request)'
        """
        if self.backend == "wasm" and self.missing:
            how = "confined by WebAssembly instead of the Linux sandbox"
        elif self.backend in {"linux", "unconfined"} and not self.sufficient:
            how = "unconfined" if not self.active else "NOT sufficiently confined"
        else:
            return ""
        active = f"active: {', '.join(self.active)}" if self.active else "no layer active"
        missing = "; ".join(f"missing {layer}: {why}" for layer, why in self.missing.items())
        return f"programs run {how} ({active}; {missing})"

    def record(self) -> dict[str, Any]:
        """Return this as plain JSON values, for ``run.json`` and the doctor."""
        return {
            "backend": self.backend,
            "sufficient": self.sufficient,
            "layers": list(self.active),
            "missing": dict(self.missing),
        }


def remedy(layer: str, why: str) -> str:
    """Return why a layer is missing and what would provide it."""
    needs = _REMEDIES.get(layer, _NAMESPACES if layer.endswith("namespace") else "")
    return f"{why}; {needs}" if needs else why
