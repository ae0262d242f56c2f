"""Several values of one option: a run for each combination of them, and one report on all."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from llm_pv.cli.main import INTERRUPTED, USAGE_ERROR, complain
from llm_pv.errors import LLMPVError

_NUMBER, _NAME = r"\d+", r"[A-Za-z]\w*"
_TRAINING = {"--train-size": ("train", _NUMBER), "--sampler": ("", "paper|hard")}
_SIZES = _TRAINING | {"--val-size": ("val", _NUMBER), "--validation-size": ("val", _NUMBER)}
VARYING: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "synthesize": _SIZES
    | {
        "--prompt-variant": ("wording", r"[^-].*"),
        "--tool": ("tool-", "local|hosted|none|any"),
    },
    "icl": _TRAINING,
    "baselines": _SIZES,
    "agent": _SIZES,
    "finetune": _TRAINING
    | {
        "--train-set-size": ("train", _NUMBER),
        "--function": ("", _NAME),
        "--target-func": ("", _NAME),
        "--length": ("L", _NUMBER),
        "--sequence-length": ("L", _NUMBER),
        "--trial": ("t", _NUMBER),
        "--seed": ("seed", _NUMBER),
    },
}
"""For each command the options that take several values: how a value is named in a folder's name,
and what a value looks like, so that a file of rows after the option is not taken for one."""

_NO_PROGRAM = dict.fromkeys(
    ("--prompt-variant", "--tool"),
    "it belongs to prompts that ask for a program: see synthesize and learn",
)
_NOTHING_SELECTED = dict.fromkeys(
    ("--val-size", "--validation-size"),
    "validation rows select a program, and nothing is selected here; --train-size alone counts",
)
MEANINGLESS: Mapping[str, Mapping[str, str]] = {
    "icl": _NO_PROGRAM | _NOTHING_SELECTED,
    "baselines": _NO_PROGRAM
    | {
        "--test-lengths": "a baseline has a feature for each position of its training inputs, "
        "and none for the positions of longer ones"
    },
    "finetune": _NO_PROGRAM | _NOTHING_SELECTED,
}
"""For each command the options of the other tracks that mean nothing in it, and why."""

_OUT = ("--out", "--results-path")


def refused(arguments: Sequence[str]) -> str:
    """Return why a command line has an option that means nothing in its command, or nothing.

    Examples
    --------
    >>> refused(["icl", "--model", "hf:x", "--tool", "none"])[:30]
    '--tool means nothing for icl: '
    """
    reasons = MEANINGLESS.get(arguments[0] if arguments else "", {})
    for option in map(_option, arguments):
        if option in reasons:
            return f"{option} means nothing for {arguments[0]}: {reasons[option]}"
    return ""


def combinations(arguments: Sequence[str]) -> tuple[Path, dict[str, list[str]]] | None:
    """Return the folder of all runs, and the command line of each by the name of its folder.

    None if no option has several values.

    Examples
    --------
    >>> folder, lines = combinations(
    ...     ["baselines", "--train-size", "20", "50", "--trials", "3", "--out", "runs/sizes"])
    >>> lines["train50"]
    ['baselines', '--trials', '3', '--train-size', '50', '--out', 'runs/sizes/train50']
    """
    varying = VARYING.get(arguments[0] if arguments else "", {})
    rest: list[str] = []
    values: dict[str, list[str]] = {}
    out = ""
    left = list(arguments)
    while left:
        word = left.pop(0)
        option, (_, equals, first) = _option(word), word.partition("=")
        if option in _OUT and (equals or left):
            out = first if equals else left.pop(0)
        elif option in varying:
            _, pattern = varying[option]
            found = [first] if equals else []
            while left and re.fullmatch(pattern, left[0]):
                found.append(left.pop(0))
            values.setdefault(option, []).extend(found)
            if not found:
                rest.append(word)  # the command itself says what is missing
        else:
            rest.append(word)
    if all(len(set(found)) < 2 for found in values.values()):
        return None
    from llm_pv.cli.output import free_folder

    folder = Path(out) if out else free_folder(arguments[0])
    several = {option: dict.fromkeys(found) for option, found in values.items() if found}
    lines = {}
    for chosen in product(*several.values()):
        pairs = list(zip(several, chosen, strict=True))
        name = "-".join(
            f"{varying[option][0]}{Path(value).stem}"
            for option, value in pairs
            if len(several[option]) > 1
        )
        options = [word for pair in pairs for word in pair]
        lines[name] = [*rest, *options, "--out", str(folder / name)]
    return folder, lines


def run_all(
    folder: Path, lines: Mapping[str, Sequence[str]], run: Callable[[Sequence[str]], int]
) -> int:
    """Run every combination, write the report on all and return the exit status.

    A request that is invalid ends it, and so does an interruption; the same command resumes it.
    """
    status = 0
    for number, (name, words) in enumerate(lines.items(), start=1):
        complain(f"{number} of {len(lines)}: {name}")
        ended = run(words)
        status = max(status, ended)
        if ended == INTERRUPTED:
            complain(f"the same command with --out {folder} resumes all of them")
        if ended in (INTERRUPTED, USAGE_ERROR):
            return ended
    if any((folder / name / "run.json").is_file() for name in lines):
        from llm_pv.report.spending import NOTHING_SPENT, total_spending
        from llm_pv.report.write import write_report
        from llm_pv.runs.reading import find_runs

        try:
            runs = find_runs([folder])
            complain(f"report on all: {write_report(runs, folder / 'report')[0]}")
            if (spent := total_spending(runs)) != NOTHING_SPENT:
                complain(f"spent on all: {spent}")
        except LLMPVError as error:
            complain(f"no report: {error}")
    return status


def _option(word: str) -> str:
    return word.partition("=")[0].lower().replace("_", "-")
