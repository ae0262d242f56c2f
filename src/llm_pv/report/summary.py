"""The first screen of a page: the result, its confidence limits and the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from llm_pv.programs.shown import visible
from llm_pv.report.comparison import Comparison, Estimate, Setting, method_name
from llm_pv.report.records import RunRecord, TrialRecord
from llm_pv.report.svg import draw_strip
from llm_pv.report.text import count, percent
from llm_pv.report.transfer import SOLVED, shortcuts


@dataclass(frozen=True)
class Fact:
    """One figure with its label."""

    label: str
    value: str
    detail: str = ""
    alarm: bool = False


@dataclass(frozen=True)
class Summary:
    """The content of the first screen."""

    eyebrow: str
    headline: str
    lead: str
    "The source, the result, and one further sentence."
    facts: tuple[Fact, ...]
    notices: tuple[str, ...] = ()
    strip: str = ""
    "A drawing of the accuracy and its limits; empty for none."


def trial_summary(trial: TrialRecord) -> Summary:
    """Return the first screen of a page about one trial."""
    selection = trial.selection
    name = visible(trial.name or trial.cell.function, 60)
    sizes = [
        f"{size:,} {split}"
        for split, size in (
            ("train", trial.train_size),
            ("validation", trial.validation_size),
            ("test", trial.test_size),
        )
        if size is not None
    ]
    eyebrow = ", ".join(text for text in (trial.method, " / ".join(sizes)) if text)
    if selection is None and trial.accuracy is None:
        return Summary(eyebrow, f"{name}: {trial.status}", trial.reason, ())
    facts = []
    found = None
    if trial.accuracy is not None:
        found = Estimate(trial.accuracy, None, 1, trial.low, trial.high)
        limits = "" if trial.low is None else f"95%: {percent(trial.low)} to {percent(trial.high)}"
        facts.append(Fact("Right on test rows", f"{percent(trial.accuracy)}%", limits))
    if trial.baseline_accuracy is not None:
        detail = f"always {selection.baseline_label!r}" if selection else "on the same test rows"
        value = f"{percent(trial.baseline_accuracy)}%"
        beaten = trial.accuracy is None or trial.accuracy > trial.baseline_accuracy
        facts.append(Fact("Majority baseline", value, detail, alarm=not beaten))
    if selection is not None and selection.error_bound is not None:
        facts.append(
            Fact(
                "Certified error at most",
                f"{percent(selection.error_bound)}%",
                f"with {1 - (selection.delta or 0):.0%} confidence, for rows like these",
            )
        )
    if trial.validation_accuracy is not None:
        value = f"{percent(trial.validation_accuracy)}%"
        detail = "what the program was selected by" if trial.track == "llm-pv" else ""
        facts.append(Fact("Right on validation", value, detail))
    strip = draw_strip(
        found,
        validation=trial.validation_accuracy,
        baseline=trial.baseline_accuracy,
        floor=1 - selection.error_bound
        if selection and selection.error_bound is not None
        else None,
    )
    lead = _lead(trial)
    return Summary(
        eyebrow, _headline(trial, name), lead, tuple(facts), strip=strip if facts else ""
    )


def _lead(trial: TrialRecord) -> str:
    """Return a sentence on the program's test accuracy and the majority baseline's."""
    selection = trial.selection
    if trial.accuracy is None or not trial.test_size:
        rows = "rows it was selected by" if trial.track == "llm-pv" else "other rows"
        return f"There are no test rows: what is known comes from the {rows}."
    text = (
        f"Right on {percent(trial.accuracy)}% of {count(trial.test_size, 'test row')}, which were "
        f"looked at once{_found_by(trial)}"
    )
    if trial.baseline_accuracy is None:
        return f"{text}."
    share = percent(trial.baseline_accuracy)
    answer = repr(selection.baseline_label) if selection else "the majority class"
    return f"{text}. Always answering {answer} is right on {share}%."


def _found_by(trial: TrialRecord) -> str:
    """Return who proposed the selected program, if several proposers did."""
    chosen = trial.selection.attempt if trial.selection else None
    found = [one.proposer for one in trial.attempts if one.number == chosen and one.proposer]
    return f"; proposed by {found[0]}" if found else ""


def _headline(trial: TrialRecord, name: str) -> str:
    selection = trial.selection
    if trial.track != "llm-pv" or selection is None:
        return f"{method_name(trial)} on {name}"
    if not selection.program:
        return f"No program was found for {name}"
    if selection.verdict.startswith("a rule was found"):
        return f"A rule was found for {name}"
    if selection.verdict.startswith("an approximate rule was found"):
        return f"An approximate rule was found for {name}"
    if selection.verdict.startswith("nothing found"):
        return f"Nothing found for {name} that beats a baseline"
    if selection.verdict.startswith("no short rule"):
        return f"No short rule was found for {name}, and a fallback is offered"
    if "does not rule out chance" in selection.verdict:
        return f"A program for {name}, but chance is not ruled out"
    return f"A program for {name} better than any constant answer"


def grid_summary(comparison: Comparison, runs: Sequence[RunRecord]) -> Summary:
    """Return the first screen of a page about many trials."""
    trials = comparison.trials()
    eyebrow = ", ".join(
        (
            count(len(runs), "run"),
            count(len(comparison.settings), "setting"),
            count(len(trials), "trial"),
        )
    )
    means = [cell.test.mean for cell in comparison.cells.values() if cell.test is not None]
    statuses: dict[str, int] = {}
    for trial in trials:
        statuses[trial.status] = statuses.get(trial.status, 0) + 1
    facts = []
    if len(comparison.measured) == 1 and means:
        facts.append(Fact("Mean test accuracy", f"{percent(mean(means))}%", "over settings"))
    if comparison.baselines:
        known = mean(comparison.baselines.values())
        facts.append(Fact("Majority baseline", f"{percent(known)}%", "on the same test rows"))
    rests = shortcuts(comparison)
    if any(
        there.sampler == "hard" and trial.cell.sampler == "paper"
        for trial in trials
        for there in trial.transfer
    ):
        tasks = ", ".join(dict.fromkeys(setting.title for setting, _ in rests))
        facts.append(
            Fact("Rest on a shortcut", str(len(rests)), tasks or "none found", alarm=bool(rests))
        )
    others = {status: number for status, number in statuses.items() if status != "done"}
    detail = ", ".join(f"{number} {status}" for status, number in others.items()) or "all done"
    done = f"{statuses.get('done', 0)} of {len(trials)}"
    facts.append(Fact("Trials done", done, detail, alarm=bool(others)))
    notices = [
        f"The run {run.label} is in progress: {run.unfinished} of {len(run.trials)} trials have "
        "not ended. Its figures are partial."
        for run in runs
        if run.unfinished
    ]
    headline, lead = _lead_of_many(comparison, means, len(rests))
    return Summary(eyebrow, headline, lead, tuple(facts), tuple(notices))


def _lead_of_many(comparison: Comparison, means: Sequence[float], rests: int) -> tuple[str, str]:
    """Return the headline about many trials and the sentence below it."""
    setting = "A setting is a task at a length, with a sampler and a number of labelled rows."
    if not means:
        return "Nothing measured yet", "No trial has a test accuracy."
    if len(comparison.measured) == 1:
        solved = sum(value >= SOLVED for value in means)
        reserve = (
            f" {count(rests, 'setting rests', 'settings rest')} on a shortcut." if rests else ""
        )
        return (
            f"{comparison.measured[0]}: {solved} of {len(means)} settings solved",
            f"Solved means a mean test accuracy of {SOLVED:.0%} or more.{reserve} {setting}",
        )
    methods = count(len(comparison.measured), "method")
    headline = f"{methods} on {count(len(comparison.settings), 'setting')}"
    shared = comparison.shared
    if not shared:
        return headline, f"There is no setting that all methods share. {setting}"
    over = {
        method: mean(comparison.tested(s, method) or 0.0 for s in shared)
        for method in comparison.measured
    }
    top = max(over.values())
    leaders = [method for method, value in over.items() if value == top]
    verb = "have" if len(leaders) > 1 else "has"
    missing = _missing(comparison, shared, leaders)
    return headline, (
        f"Over {count(len(shared), 'setting')} that all of them share, {' and '.join(leaders)} "
        f"{verb} the highest mean test accuracy: {percent(top)}%.{missing} {setting}"
    )


def _missing(comparison: Comparison, settings: Sequence[Setting], methods: Sequence[str]) -> str:
    """Return how many trials are missing in the means of some methods."""
    cells = [comparison.cells[setting, method] for setting in settings for method in methods]
    number = sum(sum(cell.open.values()) for cell in cells)
    return f" That leaves out {count(number, 'trial')} without a figure." if number else ""
