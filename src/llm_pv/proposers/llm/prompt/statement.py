"""The problem statement a model is sent: training rows, and the contract for its answer."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

from llm_pv.data.examples import Classes, Examples
from llm_pv.models.base import ToolPlace
from llm_pv.proposers.llm.prompt.notation import Notation
from llm_pv.proposers.llm.prompt.variants import render
from llm_pv.proposers.llm_settings import AnswerFormat
from llm_pv.sandbox import ToolFunction

Variant: TypeAlias = int | Path
"""The number of a built-in wording, or the file of a template."""

MODULE = (
    "{it} is a Python module that defines f(x). f gets one input and returns its label. "
    "It may import from the standard library, numpy, sympy and networkx; it may not read "
    "files, use the network, print, or use chance."
)
"""The definition of a program, with a place for its name."""

_CONTRACTS: dict[AnswerFormat, str] = {
    "json": (
        "Answer with one JSON object and nothing else:\n"
        '{"code": "def f(x):\\n    ..."}\n' + MODULE.format(it="Its code")
    ),
    "python": (
        "Think as you like, in writing if that helps. End your answer with the program, in one "
        "fenced block:\n```python\ndef f(x):\n    ...\n```\n" + MODULE.format(it="It")
    ),
}

_SEVERAL = (
    " Where you are in doubt, give up to {programs} programs that differ, such as other "
    "thresholds, each of them whole and in a block of its own, the likeliest last: each one is "
    "judged."
)


def contract(answer_format: AnswerFormat, programs: int = 1) -> str:
    """Return what an answer has to be; it holds such an answer itself.

    Parameters
    ----------
    programs
        How many a reply may hold; more than one only in Python.
    """
    more = _SEVERAL.format(programs=programs) if programs > 1 and answer_format == "python" else ""
    return _CONTRACTS[answer_format] + more


_TOOLS: dict[ToolPlace, str] = {
    "none": "You cannot run code here: check the rule against the examples before you answer.",
    "local": (
        "With the tool run_python you can run Python on {rows}: your code finds them as `rows`, a "
        "list of (input, label) pairs. Test every rule on all of them there before you answer."
    ),
    "hosted": (
        "You can run Python with the code tool you were given. It does not hold the examples: "
        "paste the lines above into your code, and test every rule on all of them before you "
        "answer."
    ),
}

_FUNCTIONS: dict[ToolFunction, str] = {
    "survey": (
        " `survey()` prints what a search saw in them, such as conditions that tell much of the "
        "label: clues, not the rule."
    ),
    "check": " `check(f)` prints the accuracy of a function f on all of them, and its mistakes.",
}


def problem_statement(
    train: Examples,
    classes: Classes,
    *,
    alphabet: str = "",
    variant: Variant = 1,
    tool: ToolPlace = "none",
    tool_rows: int | None = None,
    tool_functions: Collection[ToolFunction] = (),
    answer_format: AnswerFormat = "json",
    programs: int = 1,
    facts: str = "",
) -> str:
    r"""Return the prompt for training rows; other rows have no influence.

    Strings that would be misread on a line of their own (line breaks, arrows, blanks at the ends)
    are written as JSON, all of them alike, and the prompt says so; table rows are JSON objects.
    Labels are listed as far as these rows show them.

    Raise ConfigurationError if there is no such wording, or its file cannot be used.

    Parameters
    ----------
    alphabet
        ``"binary"``, ``"decimal"``, ``"graph"`` or ``"table"``, where the inputs' kind is known.
    variant
        The wording: 1 terse, 2 step by step, 3 the shortest description, 4 rivals put to the test;
        or the file of a template (see `llm_pv.proposers.llm.prompt.variants`).
    tool
        What runs Python for the model: ``"none"``; ``"local"``, the tool ``run_python``; or
        ``"hosted"``, the vendor's.
    tool_rows
        How many training rows the local tool holds; None for those shown.
    facts
        Lines about all training rows; see `llm_pv.proposers.llm.prompt.facts`.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> text = problem_statement(rows, Classes.of(["0", "1"]), alphabet="binary")
    >>> "0110 -> 0\n0111 -> 1\n" in text
    True
    """
    notation = Notation.of(train, alphabet)
    seen = set(train.labels)
    labels = [text for text in classes.texts if text in seen]
    lines = map(notation.line, train.inputs, train.labels)
    examples = "\n".join(lines)
    longest = max((len(item) for item in train.inputs if isinstance(item, str)), default=0)
    values = {
        "examples": examples,
        "data_examples": examples,
        "sequence_type": alphabet or "text",
        "sequence_dimension": str(longest or len(train.inputs[0])),
        "labels": notation.about_labels(labels, classes),
        "inputs": notation.about_inputs(),
        "count": f"{len(train):,}",
        "contract": contract(answer_format, programs),
        "facts": f"\n{facts}\n\n" if facts else "",
        "tool": _about_tool(tool, len(train), tool_rows, tool_functions),
    }
    return render(variant, values)


def prompt_digest(prompt: str) -> str:
    """Return the SHA-256 that names a prompt in a run."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _about_tool(
    tool: ToolPlace, shown: int, held: int | None, functions: Collection[ToolFunction]
) -> str:
    rows = "these examples"
    if held is not None and held > shown:
        rows = f"all {held:,} training examples, of which those above are a sample"
    sentences = _TOOLS[tool].format(rows=rows)
    if tool == "local":
        sentences += "".join(_FUNCTIONS[name] for name in _FUNCTIONS if name in functions)
    return sentences
