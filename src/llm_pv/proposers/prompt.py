"""The problem statement a model is sent: training rows, and the contract for its answer."""

import hashlib

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.data.store import row_text

_INPUTS = {
    "binary": "Each input is a string of the characters 0 and 1.",
    "decimal": "Each input is a string of decimal digits.",
    "graph": "Each input is a string that lists the edges of a graph: u3v17 joins 3 and 17.",
    "table": (
        "Each input is a row of a table, written name:value, one entry after another. The "
        "function gets it as a dict from name to value, numbers as float."
    ),
}
"""What is said of the inputs, by the alphabet they are written in."""


def subsample(train: Examples, rows: int, seed: int) -> Examples:
    """Return some training rows, in their order."""
    import numpy as np

    chosen = np.random.default_rng(seed).choice(len(train), rows, replace=False)
    return train.take(np.sort(chosen))


def fit_to_tokens(shown, write, count, room, *, seed):
    while count(write(shown)) > room:
        shown = subsample(shown, len(shown) // 2, seed)
    return shown, ""


def refinement_message(mistakes) -> str:
    return "Mistakes on the examples:\n" + "\n".join(
        f"{m.input} -> {m.expected}, your program said {m.got}" for m in mistakes[:10]
    )


def no_program_message(reason: str) -> str:
    return f"Your reply held no program: {reason}"


def problem_statement(
    train: Examples, classes: Classes, *, alphabet: str = "", variant=1, tool="none"
) -> str:
    r"""Write the prompt for training rows; nothing of any other row goes in.

    Parameters
    ----------
    train
        The training rows, each shown on one line ``input -> label``.
    classes
        The labels a program may answer with.
    alphabet
        ``"binary"``, ``"decimal"``, ``"graph"`` or ``"table"``, where the inputs' kind is known.

    Examples
    --------
    >>> rows = Examples(["0110", "0111"], ["0", "1"])
    >>> text = problem_statement(rows, Classes.of(["0", "1"]), alphabet="binary")
    >>> "0110 -> 0\n0111 -> 1\n" in text
    True
    """
    labels = ", ".join(classes.texts)
    rows = "".join(
        f"{_line(item)} -> {label}\n"
        for item, label in zip(train.inputs, train.labels, strict=True)
    )
    kind = _INPUTS.get(alphabet, "")
    return (
        "A hidden rule gives every input a label. Find the rule from the examples below and write "
        "it as a Python function.\n\n"
        f"{kind + ' ' if kind else ''}Each label is one of: {labels}.\n"
        f"{len(train)} examples, one a line, input -> label:\n\n"
        f"{rows}\n"
        "The function is judged on inputs that are not among the examples: look for the shortest "
        "rule that explains all of them, and do not list examples in it.\n\n"
        "Answer with one JSON object and nothing else:\n"
        '{"code": "def f(x):\\n    ..."}\n'
        "Its code is a Python module that defines f(x). f gets one input and returns its label. "
        "It may import from the standard library, numpy, sympy and networkx; it may not read "
        "files, use the network, print, or use chance.\n"
    )


def prompt_digest(prompt: str) -> str:
    """Return the SHA-256 that names a prompt in a run."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _line(item: Input) -> str:
    return item if isinstance(item, str) else row_text(item)
