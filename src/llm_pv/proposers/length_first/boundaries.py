"""Constants that the training rows leave open: the same program with a cut a little elsewhere.

Between the largest value below a cut and the smallest above it, rows that were not seen may fall.
The search writes the simplest cut; here the best programs get others that do as well on the
training rows, at most or at least the same number and its round neighbours, for validation to
choose among.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.programs import Candidate, source_of
from llm_pv.proposers.length_first.rivals import answers_of

MOST_RULES = 6
MOST_TRIED = 60
MOST_KEPT = 30
COMPARISON = re.compile(r" (>=|<=|>|<) (-?\d+(?:\.\d+)?)(?![\w.\"'])")
OTHER_SIGN = {">=": ">", ">": ">=", "<": "<=", "<=": "<"}


def with_other_cuts(rules: Sequence[Candidate], problem: Problem) -> list[Candidate]:
    """Return variants of the first rules that answer the training rows no worse.

    Parameters
    ----------
    rules
        Programs, best first.
    problem
        The rows; variants run on the training rows alone.
    """
    known = {text: code for code, text in enumerate(problem.classes)}
    found: list[Candidate] = []
    tried = 0
    for rule in rules[:MOST_RULES]:
        for body in _variants(rule.body):
            tried += 1
            if tried > MOST_TRIED or len(found) == MOST_KEPT:
                return found
            variant = replace(rule, body=body, cost=float(np.nextafter(rule.cost, np.inf)))
            texts = answers_of(source_of(variant), problem.rows)
            answers = np.array(
                [-1 if text is None else known.get(text, -1) for text in texts], dtype=np.int64
            )
            wrong = int(np.sum(answers[: problem.size] != problem.codes))
            if wrong <= rule.mistakes:
                found.append(replace(variant, answers=answers, mistakes=wrong))
    return found


def _variants(body: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the lines with one comparison changed."""
    for place, line in enumerate(body):
        for match in COMPARISON.finditer(line):
            sign, number = match.groups()
            for text in other_cuts(number):
                for other in (OTHER_SIGN[sign], sign):
                    if (other, text) != (sign, number):
                        changed = f"{line[: match.start()]} {other} {text}{line[match.end() :]}"
                        yield (*body[:place], changed, *body[place + 1 :])


def other_cuts(number: str) -> list[str]:
    """Return a constant and its neighbours with as many significant digits.

    Examples
    --------
    >>> other_cuts("21000"), other_cuts("0.3"), other_cuts("7")
    (['21000', '20000', '22000'], ['0.3', '0.2', '0.4'], ['7', '6', '8'])
    """
    if "." in number:
        decimals = len(number.split(".")[1])
        step = 10.0**-decimals
        return [number, *(f"{float(number) + sign * step:.{decimals}f}" for sign in (-1, 1))]
    digits = number.lstrip("-")
    whole_step = 10 ** (len(digits) - len(digits.rstrip("0"))) if digits.strip("0") else 1
    return [number, str(int(number) - whole_step), str(int(number) + whole_step)]
