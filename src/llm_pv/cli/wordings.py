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
    "Wordings as JSON, or a file of it: an object of names and texts, or a list of texts."

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


def _read_wordings(given: str) -> dict[str, str]:
    """Return the texts of JSON, or of a JSON file, by name; those of a list are numbered."""
    is_json = given.lstrip().startswith(("[", "{"))
    try:
        found: Any = json.loads(given if is_json else Path(given).read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"--prompt-variants-json: no JSON at line {error.lineno}, column {error.colno}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"--prompt-variants-json {given}: {reason}; give JSON, or a file of it"
        ) from error
    if isinstance(found, list):
        items = {str(number): item for number, item in enumerate(found, start=1)}
        found = {
            str(item.get("name", number)) if isinstance(item, dict) else number: item
            for number, item in items.items()
        }
    texts: dict[str, Any] = {}
    for name, item in found.items() if isinstance(found, dict) else ():
        texts[name] = item.get("prompt", item.get("template")) if isinstance(item, dict) else item
    if not texts or not all(isinstance(text, str) for text in texts.values()):
        raise ConfigurationError(
            "--prompt-variants-json holds no wordings: give an object of names and texts, "
            'or a list of texts or of {"name": ..., "prompt": ...}'
        )
    return texts
