"""The prompt: first what all queries of a cell share, then the one input to label."""

import json
from collections.abc import Sequence

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.store import row_text
from llm_pv.models.label_queries import LabelForm

_INPUTS = {
    "binary": " Each input is a string of the characters 0 and 1.",
    "decimal": " Each input is a string of decimal digits.",
    "graph": " Each input is a string that lists the edges of a graph: u3v17 joins 3 and 17.",
    "table": " Each input is a row of a table, written name:value, one entry after another.",
}
"""What is said of the inputs, by the alphabet they are written in."""

_CONTRACTS: dict[LabelForm, str] = {
    "json": 'Answer with one JSON object and nothing else: {"label": "<one of the labels>"}',
    "plain": "Answer with the label and nothing else.",
}


def write_prompts(
    examples: Examples,
    classes: Classes,
    inputs: Sequence[Input],
    *,
    form: LabelForm = "json",
    alphabet: str = "",
) -> list[str]:
    r"""Write a prompt for each input; all of them begin with the same examples.

    Parameters
    ----------
    examples
        The training rows shown, each on one line ``input -> label``.
    form
        How the label is to be written.
    alphabet
        ``"binary"``, ``"decimal"``, ``"graph"`` or ``"table"``, where the inputs' kind is known.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> first, second = write_prompts(rows, Classes.of(["0", "1"]), ["0000", "0001"])
    >>> first[:-4] == second[:-4], first[-12:]
    (True, '\nInput: 0000')
    """
    rows = "".join(
        f"{_line(item)} -> {_in_row(label)}\n"
        for item, label in zip(examples.inputs, examples.labels, strict=True)
    )
    shared = (
        f"A hidden rule gives every input a label.{_INPUTS.get(alphabet, '')} "
        f"Each label is one of: {_list(classes.texts)}.\n"
        f"{len(examples)} examples, one a line, input -> label:\n\n"
        f"{rows}\n"
        f"Give the label of one more input. {_CONTRACTS[form]}\n"
    )
    return [f"{shared}Input: {_line(item)}" for item in inputs]


def _list(labels: Sequence[str]) -> str:
    """Return labels as a list with unambiguous separators."""
    written = [_in_row(label) for label in labels]
    if any("," in label for label in labels):
        written = [json.dumps(label, ensure_ascii=False) for label in labels]
    return ", ".join(written)


def _in_row(label: str) -> str:
    """Return a label as the end of an example's line; as a JSON string if that is ambiguous."""
    plain = label == label.strip() and label and "->" not in label and '"' not in label
    plain = plain and len(label.splitlines()) == 1
    return label if plain else json.dumps(label, ensure_ascii=False)


def _line(item: Input) -> str:
    text = item if isinstance(item, str) else row_text(item)
    # Line breaks would end the example, so such a text is written as a JSON string.
    return json.dumps(text, ensure_ascii=False) if len(text.splitlines()) > 1 else text
