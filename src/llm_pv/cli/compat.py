"""Flags and environment variables of the published commands that are spelt otherwise here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llm_pv.cli.main import complain
from llm_pv.errors import ConfigurationError


@dataclass(frozen=True)
class Flag:
    """The translation of a published flag."""

    becomes: tuple[str, ...] = ()
    "The words in its place; ``VALUE`` is replaced by its value."
    takes: bool | Literal["maybe"] = False
    """Whether it has a value; ``"maybe"`` takes the next word unless that is an option."""
    notice: str = ""
    "One line for the user if it has no effect here."


RUNNER: Mapping[str, Flag] = {
    "--allow-tools": Flag(("--enable-code-interpreter",)),
    "--no-tools": Flag(("--tool-choice", "none")),
    "--hf-trust-remote-code": Flag(notice="code of a model's repository is never run"),
    "--no-hf-trust-remote-code": Flag(),
}
"""Flags of ``program_synthesis/runner.py``."""

AGENT: Mapping[str, Flag] = {
    **RUNNER,
    "--attempts": Flag(takes=True, notice="a trial of the agent is one conversation"),
    "--tool-choice": Flag(takes=True, notice="the agent works with its tool"),
    "--no-tools": Flag(notice="the agent works with its tool"),
    "--allow-tools": Flag(),
    "--enable-code-interpreter": Flag(),
}
"""Flags of ``program_synthesis/agent_baseline_runner.py``."""

ICL: Mapping[str, Flag] = {
    "--openai-max-concurrency": Flag(("--concurrency", "VALUE"), takes=True),
    "--batch-test-inference": Flag(),
    "--no-batch-test-inference": Flag(("--batch-size", "1")),
    "--stream-jsonl": Flag(
        notice="answers are in the run directory as they come; --out-jsonl is written at the end"
    ),
    "--no-stream-jsonl": Flag(),
    "--append-summary-csv": Flag(
        notice="--out-csv holds the rows of this run; llm-pv report takes several runs"
    ),
    "--no-append-summary-csv": Flag(),
}
"""Flags of ``in_context_learning/vllm_incontext.py``."""

FINETUNE: Mapping[str, Flag] = {
    "--bos-token": Flag(
        takes="maybe",
        notice="a token of its own begins every input of a model from scratch, whatever its number",
    ),
}
"""Flags of ``finetuning/main.py``."""

VARIABLES: Mapping[str, str] = {
    "OPENAI_MODEL": "--model",
    "GEMINI_MODEL": "--model",
    **{
        option.removeprefix("--").replace("-", "_").upper(): option
        for option in (
            "--provider", "--functions", "--lengths", "--attempts", "--num-trials",
            "--max-output-tokens", "--reasoning-effort", "--thinking-level", "--verbosity",
            "--temperature", "--top-p", "--enable-code-interpreter", "--tool-choice",
            "--hf-device-map", "--hf-torch-dtype", "--hf-attn-implementation", "--train-size",
            "--val-size", "--test-size", "--seed", "--dataset-dir", "--concurrency", "--timeout",
            "--out-jsonl", "--out-csv", "--log-level", "--dry-run",
        )
    },
}  # fmt: skip
"""Environment variables of ``program_synthesis/runner.py``, by the option each one sets."""

_SEVERAL = ("--functions", "--lengths")
_SWITCHES = ("--enable-code-interpreter", "--dry-run")
_SHORTER = {"--trials": "--num-trials", "--validation-size": "--val-size"}
"""Other names of options that a variable sets."""


def translated(words: Sequence[str], flags: Mapping[str, Flag]) -> list[str]:
    """Return a command line in the options of this package; write a notice for what has no effect.

    Examples
    --------
    >>> translated(["--openai-max-concurrency=9", "--model", "m"], ICL)
    ['--concurrency', '9', '--model', 'm']
    """
    result, left = [], list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        flag = flags.get(_option(word))
        if flag is None:
            result.append(word)
            continue
        if flag.takes and not equals and left and (flag.takes is True or left[0][:1] != "-"):
            value = left.pop(0)
        result += [value if part == "VALUE" else part for part in flag.becomes]
        if flag.notice:
            complain(f"{name} has no effect: {flag.notice}")
    return result


def with_variables(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return a command line with what the environment sets and the command line does not.

    Examples
    --------
    >>> with_variables(["--attempts", "2"], {"ATTEMPTS": "3"})
    ['--attempts', '2']
    """
    given = {_SHORTER.get(option, option) for option in map(_option, words)}
    result, taken = list(words), []
    for variable, option in VARIABLES.items():
        value = environment.get(variable, "").strip()
        if not value or option in given:
            continue
        given.add(option)
        taken.append(f"{variable}={value}")
        if option in _SWITCHES:
            result += [option] * (value.lower() in {"1", "true", "yes", "on"})
        elif option in _SEVERAL:
            result += [option, *value.replace(",", " ").split()]
        else:
            result += [option, value]
    if taken:
        complain(f"from the environment: {', '.join(taken)}")
    return result


def training_commands(words: Sequence[str]) -> list[list[str]]:
    """Return the command line of each model to be trained, with the published defaults.

    Of a pretrained model the two top layers and the head are trained, on symbols separated by
    spaces. Several models are repetitions (``--trial``) in folders below ``--results-path``.

    Examples
    --------
    >>> training_commands(["--model=qwen3_finetune", "--num-models", "1"])
    [['--model=qwen3_finetune', '--num-layers-to-finetune', '2', '--symbols', 'spaced']]
    """
    from llm_pv.tracks.finetune.architectures import HUB_PREFIX, PRETRAINED

    rest, models = _taken(words, "--num-models")
    if not (models or "1").isdigit() or models == "0":
        raise ConfigurationError(f"--num-models is {models}; give 1 or more")
    model = _taken(rest, "--model")[1] or ""
    if model in PRETRAINED or model.startswith(HUB_PREFIX):
        for option, value, other in (
            ("--num-layers-to-finetune", "2", "--lora-rank"),
            ("--symbols", "spaced", "--symbols"),
        ):
            if not {option, other} & set(map(_option, rest)):
                rest += [option, value]
    if models in {None, "1"}:
        return [rest]
    rest, folder = _taken(rest, "--results-path")
    if folder is None:
        raise ConfigurationError(f"--num-models {models}: give --results-path FOLDER for them")
    return [
        [*rest, "--results-path", f"{folder}/{number}", "--trial", str(number)]
        for number in range(int(models or 1))
    ]


def _option(word: str) -> str:
    name = word.partition("=")[0]
    return name.lower().replace("_", "-") if name.startswith("--") else ""


def _taken(words: Sequence[str], option: str) -> tuple[list[str], str | None]:
    """Return the words without an option, and its value; None if it is not given."""
    for place, word in enumerate(words):
        if _option(word) == option:
            value, equals = word.partition("=")[2], "=" in word
            end = place + 1 if equals else place + 2
            return [*words[:place], *words[end:]], value if equals else "".join(
                words[place + 1 : end]
            )
    return list(words), None
