"""Build what a release consists of twice, compare, and try the wheel where nothing else is.

Run it as ``make release-check``, which sets up the pinned tools; it takes the last commit, not the
working tree. Two builds in folders of different names, under different umasks and hours, must give
the same bytes; ``twine check`` must find nothing; the wheel must install without extras into an
empty environment and learn a program there, far from these sources. Then the two files are put
into ``dist/``, and their digests printed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"torch", "transformers", "pydantic-ai-slim", "pyarrow", "sympy", "matplotlib", "xgboost"}
"""Packages that only an extra may bring."""


class ReleaseError(Exception):
    """Something that a release must not have."""


def main() -> int:
    """Check the last commit and return the exit status."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        try:
            files = build_twice(work)
            call("twine", "check", "--strict", *map(str, files))
            try_wheel(next(file for file in files if file.suffix == ".whl"), work)
        except (ReleaseError, subprocess.CalledProcessError) as error:
            print(f"no release: {error}")
            return 1
        (ROOT / "dist").mkdir(exist_ok=True)
        for file in files:
            shutil.copy(file, ROOT / "dist")
            print(f"{digest(file)}  dist/{file.name}")
    return 0


def build_twice(work: Path) -> list[Path]:
    """Build in two places and return the files of the first.

    Raises
    ------
    ReleaseError
        If the two differ.
    """
    epoch = output("git", "log", "-1", "--format=%ct")
    built = []
    for place, mask, zone in (("one", 0o022, "UTC"), ("another one", 0o077, "Asia/Kathmandu")):
        source = work / place / "source"
        source.mkdir(parents=True)
        archive = work / f"{place}.tar"
        call("git", "archive", "--output", str(archive), "HEAD")
        with tarfile.open(archive) as packed:
            packed.extractall(source, filter="data")
        dist = work / place / "dist"
        before = os.umask(mask)
        try:
            subprocess.run(
                [sys.executable, "-m", "build", "--no-isolation", "--outdir", dist],
                cwd=source, env=os.environ | {"SOURCE_DATE_EPOCH": epoch, "TZ": zone}, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            os.umask(before)
        built.append(sorted(dist.iterdir()))
    one, other = ({file.name: digest(file) for file in files} for files in built)
    if one != other:
        raise ReleaseError(f"two builds of one commit differ: {one} and {other}")
    return built[0]


def try_wheel(wheel: Path, work: Path) -> None:
    """Install a wheel into an empty environment, and learn a program with it.

    Raises
    ------
    ReleaseError
        If an extra's package comes with it, or nothing is learned.
    """
    empty = work / "empty"
    venv.create(empty, with_pip=True)
    call(str(empty / "bin" / "pip"), "install", "--quiet", str(wheel))
    listed = output(str(empty / "bin" / "pip"), "list", "--format=freeze")
    brought = EXTRAS & {line.partition("==")[0] for line in listed.splitlines()}
    if brought:
        raise ReleaseError(f"the wheel brings {', '.join(brought)}, which are for extras")
    rows = work / "rows.txt"
    rows.write_text("".join(f"{n:07b} -> {n.bit_count() % 2}\n" for n in range(128)))
    shown = subprocess.run(
        [empty / "bin" / "llm-pv", "learn", rows, "--out", work / "run"], cwd=work, check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(work)}, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if not list((work / "run" / "programs").glob("*.py")):
        raise ReleaseError(f"the wheel learns no program: {shown}")
    print(shown)


def call(*words: str) -> None:
    """Run a command from the repository root; a tool of this environment comes first."""
    subprocess.run(words, cwd=ROOT, env=_environment(), check=True)


def output(*words: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        words, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    tools = Path(sys.executable).parent
    return os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
