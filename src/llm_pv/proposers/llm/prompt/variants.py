"""The problem statement in four wordings, and templates of the user's own.

A template is text with placeholders in braces, such as ``{examples}``. A word in double braces
stands for itself in single ones; all other braces stay as they are.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from llm_pv.data.file_bytes import file_text
from llm_pv.errors import ConfigurationError

PLACEHOLDERS = ("examples", "labels", "inputs", "count", "contract", "tool", "facts")
PUBLISHED = ("data_examples", "sequence_type", "sequence_dimension")
"""Placeholders of the paper's prompt: the same examples, the kind of the inputs, their length."""

_PLACEHOLDER = re.compile(r"\{\{(?P<kept>[A-Za-z_]+)\}\}|\{(?P<name>[A-Za-z_]+)\}")
_BLANK_LINES = re.compile(r"\n{3,}")

_TERSE = """\
A hidden rule gives every input a label. Find the rule from the examples below and write it as a
Python function.

{inputs} Each label is one of: {labels}.
{facts}{count} examples, one a line, input -> label:

{examples}

The function is judged on inputs that are not among the examples: look for the shortest rule that
explains all of them, and do not list examples in it.

{tool}

{contract}
"""

_EXPERIMENTS = """\
You are given observations of an unknown function. Find out by experiment what it computes.

{inputs} Its value, the label, is one of: {labels}.
{facts}{count} observations, one a line, input -> label:

{examples}

Proceed step by step.
1. Describe the inputs: lengths, symbols, fields, what varies and what never does.
2. Consider several hypotheses of different kinds: counts and remainders, single positions and
   fields, order and nesting, substrings, arithmetic on the value as a whole, comparisons.
3. For each one, work out what it says on observations of every label, and count where it fails.
4. Drop what fails, combine or refine what nearly holds, and go back to 3 until one hypothesis
   explains every observation.
5. Check that it says something about inputs you have not seen: a list of the observations is no
   explanation.

{tool}

{contract}
"""

_SHORTEST = """\
Compress the table below. Each line pairs an input with its label; somebody who holds the inputs
is to be told the labels in as few bits as possible, by a Python function that computes them.

{inputs} Labels: {labels}.
{facts}{count} lines, input -> label:

{examples}

A message costs what its program is long, and more for each line the program gets wrong. Constants,
special cases and stored lines all count, so a rule with one idea in it beats a patchwork, and the
shortest program that gets every line right will also be right on lines that are not shown; it is
those that it is judged on. Think of the simplest computations first and add to them only what the
lines force upon you.

{tool}

{contract}
"""

_RIVALS = """\
Several rules explain the examples below, and all but one of them are wrong: they agree on what is
shown and differ on new inputs, which decide. Find the one that holds.

{inputs} Each label is one of: {labels}.
{facts}{count} examples, one a line, input -> label:

{examples}

Distrust your first idea. Consider at least four rival rules that differ in kind, among them the
cheapest shortcut that would fit by accident: a length, a first or last symbol, a frequent
substring, one field alone. For every two of them, find what sort of input would tell them apart,
look for examples of that sort, and strike out the rule they speak against. Try hardest to refute
the rule you like best. Keep the one that no example contradicts and that needs the fewest
assumptions; a rule that lists examples needs the most.

{tool}

{contract}
"""

VARIANTS: dict[int, str] = {1: _TERSE, 2: _EXPERIMENTS, 3: _SHORTEST, 4: _RIVALS}
"""The built-in wordings: terse; step by step; shortest description; rivals put to the test."""


def parse_variant(text: str) -> int | Path:
    """Read the name of a wording as users give it: a number, or the path of a template.

    Raise ConfigurationError if there is no such wording, the file cannot be read, or its
    placeholders are wrong.

    Examples
    --------
    >>> parse_variant("3")
    3
    """
    if text.isascii() and text.isdigit():
        number = int(text)
        _check_number(number)
        return number
    _read_template(Path(text))
    return Path(text)


def render(variant: int | Path, values: Mapping[str, str]) -> str:
    """Fill in a wording.

    Raise ConfigurationError if there is no such wording, the file cannot be read, or its
    placeholders are wrong.

    Parameters
    ----------
    values
        A text for each of `PLACEHOLDERS`.
    """
    if isinstance(variant, Path):
        return _fill(_read_template(variant), values)
    _check_number(variant)
    before, after = VARIANTS[variant].split("{examples}")
    # Where there is nothing to say of a tool no gap is left.
    shorter = [_BLANK_LINES.sub("\n\n", _fill(part, values)) for part in (before, after)]
    return values["examples"].join(shorter)


def _check_number(variant: int) -> None:
    if variant not in VARIANTS:
        raise ConfigurationError(
            f"there is no prompt variant {variant}: give 1 to {len(VARIANTS)}, or a file"
        )


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Put the values in, all at once: a placeholder inside of a value is part of the value."""

    def value(found: re.Match[str]) -> str:
        return f"{{{found['kept']}}}" if found["kept"] else values[found["name"]]

    return _PLACEHOLDER.sub(value, template)


def _read_template(path: Path) -> str:
    try:
        template = file_text(path, encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the prompt template {path}: {error.strerror or error}; give 1 to "
            f"{len(VARIANTS)}, or a file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the prompt template {path} is not UTF-8 text") from error
    named = {found["name"] for found in _PLACEHOLDER.finditer(template)} - {None}
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if unknown := sorted(named - {*PLACEHOLDERS, *PUBLISHED}):
        raise ConfigurationError(
            f"the prompt template {path} holds {{{unknown[0]}}}, which is no placeholder: there "
            f"are {known}; write {{{{{unknown[0]}}}}} to keep it"
        )
    if not named & {"examples", "data_examples"}:
        raise ConfigurationError(
            f"the prompt template {path} has no {{examples}}: put it where the training rows are "
            f"to be (there are {known})"
        )
    return template
