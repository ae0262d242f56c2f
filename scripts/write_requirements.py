"""Write ``requirements.txt`` and ``environment.yaml`` from ``pyproject.toml``, their one source.

Run it as ``python scripts/write_requirements.py``; a test fails while the files are out of date.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
_NOTE = "# Written by scripts/write_requirements.py from pyproject.toml; change it there.\n"


def requirements() -> list[str]:
    """Return every requirement of the package and its extras, sorted, without the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    everything = {*project["dependencies"], *(item for extra in extras for item in extra)}
    return sorted(item for item in everything if not item.startswith(f"{project['name']}["))


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = requirements()
    environment = [
        "name: llm_pv",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        f'  - "python{project["requires-python"]}"',
        "  - pip",
        "  - pip:",
        *(f'      - "{line}"' for line in lines),
        "      - --editable .",
    ]
    return {
        "requirements.txt": _NOTE + "\n".join(lines) + "\n",
        "environment.yaml": _NOTE + "\n".join(environment) + "\n",
    }


if __name__ == "__main__":
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")
