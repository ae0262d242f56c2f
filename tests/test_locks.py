"""The locks hold every requirement at a version it allows, each file by its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)(?: ; [^\\]+)? \\$", re.MULTILINE)
OF_THE_MACHINE = {"torch"}
"""Installed by its version, beside the lock: which build is right depends on the machine."""


LOCKS = ["requirements.lock", "requirements-demo.lock", "requirements-release.lock"]


def requirements(lock: str) -> list[Requirement]:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups, project = whole["dependency-groups"], whole["project"]
    extras = project["optional-dependencies"]
    if lock == "requirements-release.lock":
        texts = groups["release"]
    elif lock == "requirements-demo.lock":
        texts = [*project["dependencies"], *groups["build"], *extras["programs"]]
    else:
        texts = [text for texts in extras.values() for text in texts if "llm-pv" not in text]
        texts += project["dependencies"]
        texts += [text for group in ("build", "test", "lint", "docs") for text in groups[group]]
    wanted = [Requirement(text) for text in texts]
    return [required for required in wanted if required.name not in OF_THE_MACHINE]


def entries(lock: str) -> list[str]:
    """Return a lock's packages, each with its hashes."""
    text = (ROOT / lock).read_text("utf-8")
    return re.split(r"\n(?=\S)", text.split("\n", 2)[2].rstrip())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_is_required_and_nothing_of_where_it_was_made(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    pinned: dict[str, list[Version]] = {}
    for name, version in PIN.findall(text):
        pinned.setdefault(canonicalize_name(name), []).append(Version(version))
    for required in requirements(lock):
        versions = pinned.get(canonicalize_name(required.name), [])
        assert versions, f"{required.name} is not in {lock}; run make lock"
        for version in versions:
            assert version in required.specifier, f"{required} in {lock}; run make lock"
    for entry in entries(lock):
        assert PIN.match(entry), entry[:80]
        hashes = [line.strip().rstrip(" \\") for line in entry.splitlines()[1:]]
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    assert not re.search(r"://|(?m:^-)|(?:^|\s)/", text)


def test_the_demo_runs_what_the_tests_run() -> None:
    assert set(entries("requirements-demo.lock")) <= set(entries("requirements.lock"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_brings_no_package_of_cuda(lock: str) -> None:
    names = {name for name, _ in PIN.findall((ROOT / lock).read_text("utf-8"))}
    assert not {name for name in names if re.match(r"nvidia|cuda|triton|torch$", name)}


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("python", ["3.11.0", "3.12.1", "3.13.0"])
def test_each_python_is_given_one_version_of_a_package(lock: str, python: str) -> None:
    machine = {
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    given = [Requirement(entry.partition(" \\")[0]) for entry in entries(lock)]
    names = [one.name for one in given if one.marker is None or one.marker.evaluate(machine)]
    assert len(names) == len(set(names))
    assert {canonicalize_name(required.name) for required in requirements(lock)} <= set(names)
    extras = {one.name: one.extras for one in given}
    for required in requirements(lock):
        locked = extras[canonicalize_name(required.name)]
        assert required.extras <= locked, f"{required} in {lock}; run make lock"
