"""Published figures, shown beside measured ones and never mixed with them.

``published_accuracy.csv`` holds test accuracies in percent as published by the authors of "LLM
Priors for ERM over Programs" (arXiv 2510.14331) and in their repository, on the paper's sampler.
``ROWS`` says of how many rows they are. None of them was measured here.
"""

import csv
from functools import cache
from importlib.resources import files

SOURCE = "arXiv 2510.14331 and its repository; not measured here"

ROWS = (
    "All have 200 labelled rows. LLM-PV: 100 training and 100 validation rows, 10,000 test rows; "
    "the published runner kept the attempt with the best test accuracy, so figures below 100% are "
    "the best of k on test rows, which those measured here never are. SGD and Fine-tune: 200 "
    "training rows, 10,000 test rows; of pretrained models the two top layers and the head were "
    "trained, on symbols separated by spaces. ICL: 200 examples in the prompt, 100 test prompts, "
    "so that a figure's 95% limits are up to 10 points either way. XGBoost and TabPFN: fitted on "
    "the 100 training rows alone, settings by 5-fold cross-validation, 10,000 test rows. "
    "MLAgentBench: the agent saw training and validation rows, and a trial that failed counted as "
    "an accuracy of 0, hence means of 31 to 33% on balanced tasks."
)
"""The rows of the published figures, by kind of column, as the paper and its code have them."""

LLM_PV_METHODS = (
    "LLM-PV-GPT-5",
    "LLM-PV-Gemini-3.1-Pro",
    "LLM-PV-Qwen3-30B-A3B-Thinking",
    "LLM-PV-DeepSeek-Coder-33B",
    "LLM-PV-OLMo-3-32B",
    "LLM-PV-GPT-5-no-tools",
)
"""The published LLM-PV figures, the first named among equals."""

WALL_CLOCK = (
    "seconds a sample on IsPrime, learning and testing: SGD from scratch (Qwen3-1.7B) 0.671 and "
    "0.016, the same fine-tuned 0.345 and 0.017, LLM-PV with GPT-5 2.091 and 0.224, in-context "
    "learning with GPT-5 0.001 and 53.961, with Qwen3-30B 0.001 and 0.139."
)

WORDINGS = (
    "with each of four wordings GPT-5 reaches 100% on Pattern 2, 10-parity, IsPrime and CA parity; "
    "on IsPrime+47 it reaches 81.8, 77.9, 86.7 and 83.0%."
)

OTHER_METHODS = (
    "XGBoost",
    "SGD-1B",
    "Fine-tune",
    "ICL-30B",
    "TabPFN",
    "ICL-GPT-5",
    "MLAgentBench-GPT-5",
)
"""The published methods that LLM-PV is compared with."""


def published_scaling(
    function: str, length: int | str, sampler: str
) -> dict[str, list[tuple[int, float]]]:
    """Return published curves of accuracy by labelled rows, as shares; often there are none.

    They are of the authors' article "Revisiting ERM in the LLM Era", at the published length.

    Examples
    --------
    >>> published_scaling("fn_k", 100, "paper")["LLM-PV, test rows"][0]
    (10, 0.505)
    """
    if (length, sampler) != (100, "paper"):
        return {}
    rows = _curves("published_data_scaling.csv")
    return _by_series(rows, function, "labelled_rows", _SCALING)


def published_lengths(
    function: str, length: int | str, sampler: str
) -> dict[str, list[tuple[int, float]]]:
    """Return published curves of accuracy by length, learned at this one; often there are none.

    Examples
    --------
    >>> published_lengths("fn_g", 10, "paper")["SGD from scratch"][0]
    (10, 0.982)
    """
    if sampler != "paper":
        return {}
    rows = [row for row in _curves("published_length_generalization.csv")
            if row["trained_at_length"] == str(length)]  # fmt: skip
    return _by_series(rows, function, "tested_at_length", _LENGTHS)


_SCALING = {
    "llm_pv_test": "LLM-PV, test rows",
    "sgd_test": "SGD from scratch, test rows",
    "sgd_train": "SGD from scratch, training rows",
    "pac_bound": "bound of the target's length",
}
_LENGTHS = {"llm_pv": "LLM-PV", "sgd": "SGD from scratch", "fine_tune": "fine-tuned"}


def _by_series(
    rows: "list[dict[str, str]]", function: str, x: str, names: dict[str, str]
) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["function"] == function:
            point = (int(row[x]), round(float(row["accuracy_percent"]) / 100, 4))
            curves.setdefault(names[row["series"]], []).append(point)
    return curves


@cache
def _curves(name: str) -> "list[dict[str, str]]":
    text = files("llm_pv.tracks").joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def _figures() -> dict[tuple[str, int], dict[str, float]]:
    text = files("llm_pv.tracks").joinpath("published_accuracy.csv").read_text("utf-8")
    figures = {}
    for row in csv.DictReader(text.splitlines()):
        key = (row.pop("task"), int(row.pop("length")))
        del row["function"], row["name"]
        figures[key] = {method: round(float(percent) / 100, 4) for method, percent in row.items()}
    return figures


def published(function: str, length: int, sampler: str) -> dict[str, float]:
    """Return the published test accuracies of a cell by method, as shares; often there are none.

    Parameters
    ----------
    sampler
        Published figures are on the paper's sampler alone.

    Examples
    --------
    >>> published("fn_h", 100, "paper")["XGBoost"], published("fn_h", 100, "hard")
    (0.497, {})
    """
    return dict(_figures().get((function, length), {})) if sampler == "paper" else {}
