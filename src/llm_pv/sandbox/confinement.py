"""Which layers of confinement this machine gives, and what to do about those it does not."""

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
    """What stands between a candidate and the machine.

    Parameters
    ----------
    backend
        ``"linux"``, ``"wasm"`` or ``"unconfined"``.
    active
        The layers in force.
    missing
        The layers that are not, each with why and what would bring it.

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
        """Whether this is the least that code nobody trusts is run with."""
        if self.backend == "wasm":
            return True
        enough = all(layer in self.active for layer in _NEEDED)
        return self.backend == "linux" and enough and any(layer in self.active for layer in _FILES)

    def summary(self) -> str:
        """Return one line on the state of things."""
        state = "sufficient" if self.sufficient else "NOT sufficient"
        layers = ", ".join(self.active) or "no layer"
        return f"{self.backend}: {state} ({layers})"

    def warning(self) -> str:
        """Return a sentence for the user where this is not what the machine is expected to give.

        Empty for a sufficient Linux sandbox, and for WebAssembly where that was asked for.

        Examples
        --------
        >>> Confinement("unconfined", (), {"confinement": "it was asked to have none"}).warning()
        'programs run unconfined (no layer active; missing confinement: it was asked to have none)'
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
    """Return why a layer is missing and what would bring it."""
    needs = _REMEDIES.get(layer, _NAMESPACES if layer.endswith("namespace") else "")
    return f"{why}; {needs}" if needs else why
