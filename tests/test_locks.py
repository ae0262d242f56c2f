"""The locks hold every requirement at a version it allows, each file by its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\$", re.MULTILINE)


def requirements(lock: str) -> list[Requirement]:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = whole["dependency-groups"]
    if lock == "requirements-release.lock":
        return [Requirement(text) for text in groups["release"]]
    extras = whole["project"]["optional-dependencies"].values()
    texts = [*whole["project"]["dependencies"], *groups["test"], *groups["lint"], *groups["docs"]]
    texts += [text for extra in extras for text in extra if not text.startswith("llm-pv")]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-release.lock"])
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
    entries = re.split(r"\n(?=\S)", text.split("\n", 2)[2].rstrip())
    for entry in entries:
        assert PIN.match(entry), entry[:80]
        hashes = [line.strip().rstrip(" \\") for line in entry.splitlines()[1:]]
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    assert not re.search(r"://|(?m:^-)|(?:^|\s)/", text)
