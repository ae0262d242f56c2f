"""Several wordings of the prompt in one command, as the published runner of wordings takes them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from llm_pv.errors import ConfigurationError
from llm_pv.runs.cells import Cell
from llm_pv.runs.files import write_atomically

_MODEL = Group("Model", sort_key=2)


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class SeedWordings:
    """Wordings of the prompt, tried one after another on the same data sets."""

    prompt_variant: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("1",)
    "Wordings: 1 to 4, or files."
    prompt_variants_json: str | None = None
    "Wordings as JSON, or a file of it: an object of names and texts, or a list."

    def named(self, folder: Path) -> dict[str, str]:
        """Return each wording by name, as `parse_variant` reads it; texts become files.

        Raise ConfigurationError if the file does not hold wordings.
        """
        if self.prompt_variants_json is None:
            return {Path(variant).stem: variant for variant in self.prompt_variant}
        files = {}
        for name, text in _read_wordings(self.prompt_variants_json).items():
            path = folder / f"{Cell(name).slug}.txt"
            write_atomically(path, text)
            files[Cell(name).slug] = str(path)
        return files


DEFAULT_WORDINGS = SeedWordings()


_FRAME = """\
**Problem Statement:**
{statement}
**Data Examples:**
```
{{data_examples}}
```

You must output ONLY a single JSON object: {{"code": "<python function>"}}.
"""
"""What the published command puts around a wording, which has no place for the examples there."""


def _read_wordings(given: str) -> dict[str, str]:
    """Return the texts of JSON, or of a JSON file, by name; those of a list are numbered."""
    try:
        inline = given.lstrip()[:1] in {"[", "{"}
        found: Any = json.loads(given if inline else Path(given).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"--prompt-variants-json is no valid JSON at line {error.lineno}, column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"--prompt-variants-json {given}: {reason}; give JSON, or a file of it"
        ) from error
    if isinstance(found, list):
        found = {_first(item, "id", "name") or place: item for place, item in enumerate(found, 1)}
    items = found.items() if isinstance(found, dict) else ()
    texts = {
        str(name): _first(item, "problem_statement", "instructions", "prompt", "template")
        if isinstance(item, dict)
        else item
        for name, item in items
    }
    if not texts or not all(isinstance(text, str) for text in texts.values()):
        raise ConfigurationError(
            "--prompt-variants-json holds no wordings: give an object of names and texts, "
            'or a list of texts or of {"id": ..., "problem_statement": ...}'
        )
    return {name: _whole(text) for name, text in texts.items()}


def _first(item: Any, *keys: str) -> Any:
    """Return the first of these entries that is there; None if it is no object, or has none."""
    return next((item[key] for key in keys if isinstance(item, dict) and item.get(key)), None)


def _whole(text: str) -> str:
    """Return a wording as a template; one without the examples is a problem statement alone."""
    if "{examples}" in text or "{data_examples}" in text:
        return text
    return _FRAME.format(statement=text.strip())
