"""Trials as the page shows them: the program, its scores, its attempts and conversations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llm_pv.programs.shown import shorten
from llm_pv.report.comparison import Comparison, MethodCell
from llm_pv.report.figures import setting_label
from llm_pv.report.journals import AttemptRecord
from llm_pv.report.records import TrialRecord
from llm_pv.report.text import count, interval, percent, price
from llm_pv.runs.conversations import (
    TITLES,
    Message,
    Place,
    RecordedConversation,
    place_of_origin,
)

LONGEST_MESSAGE = 4_000
"""The most characters of one message in a page."""


@dataclass(frozen=True)
class MessageEntry:
    """One message: its heading and as much of it as is shown."""

    heading: str
    text: str


@dataclass(frozen=True)
class ConversationEntry:
    """One conversation, or a prompt that several began with: a summary line and its messages."""

    title: str
    messages: tuple[MessageEntry, ...]


@dataclass(frozen=True)
class Conversations:
    """The conversations of a trial that a page shows."""

    entries: tuple[ConversationEntry, ...] = ()
    note: str = ""
    "A note on omitted content, empty if there is none."


def conversation_characters(conversations: Mapping[Place, RecordedConversation]) -> int:
    """Return how many characters `conversation_entries` shows without a limit."""
    prompts = {one.digest: one.prompt for one in conversations.values()}
    return sum(min(len(text), LONGEST_MESSAGE) for text in prompts.values()) + sum(
        _size(one) for one in conversations.values()
    )


def conversation_entries(
    conversations: Mapping[Place, RecordedConversation],
    attempts: Sequence[AttemptRecord],
    picked: int | None,
    most: int,
    run: str,
) -> Conversations:
    """Return the conversations of a trial, the selected attempt's first if not all fit."""
    made: dict[Place, list[int]] = {}
    for attempt in attempts:
        place = place_of_origin(attempt.proposer, attempt.origin)
        if place is not None and place in conversations:
            made.setdefault(place, []).append(attempt.number)
    by_need = sorted(conversations, key=lambda place: (picked not in made.get(place, ()), place))
    chosen, prompts = set(), dict[str, str]()
    for place in by_need:
        one = conversations[place]
        new = {one.digest: one.prompt} if one.prompt and one.digest not in prompts else {}
        size = _size(one) + sum(min(len(text), LONGEST_MESSAGE) for text in new.values())
        if size <= most:
            most -= size
            chosen.add(place)
            prompts |= new
    if not chosen:
        return Conversations(note=_left_out(len(conversations), 0, run))
    entries = [
        ConversationEntry("The prompt", (_entry(Message("prompt", text), run),))
        for text in prompts.values()
    ]
    entries += [
        ConversationEntry(
            _title(one, made.get(place, [])), tuple(_entry(each, run) for each in one.messages)
        )
        for place, one in sorted(conversations.items())
        if place in chosen
    ]
    return Conversations(tuple(entries), _left_out(len(conversations), len(chosen), run))


def _size(one: RecordedConversation) -> int:
    return sum(min(len(message.text), LONGEST_MESSAGE) + 100 for message in one.messages)


def _entry(message: Message, run: str) -> MessageEntry:
    took = "" if message.seconds is None else f", {message.seconds:.1f} s"
    length = len(message.text)
    cut = (
        f"; the first {LONGEST_MESSAGE:,} of {length:,} characters"
        if length > LONGEST_MESSAGE
        else ""
    )
    whole = f" (llm-pv show {run} ATTEMPT prints all)" if cut else ""
    return MessageEntry(TITLES[message.role] + took + cut + whole, message.text[:LONGEST_MESSAGE])


def _title(one: RecordedConversation, attempts: Sequence[int]) -> str:
    which = f"Attempt{'s' * (len(attempts) > 1)} {', '.join(map(str, attempts))}"
    facts = [
        f"conversation {one.number}" + (f" with {one.proposer}" if one.proposer else ""),
        count(one.turns, "turn"),
        count(one.tool_calls, "tool call"),
        f"{one.input_tokens + one.output_tokens:,} tokens",
        price(one.cost_usd),
    ]
    return f"{which if attempts else 'No attempt'}: {', '.join(facts)}"


def _left_out(number: int, shown: int, run: str) -> str:
    if number == shown:
        return ""
    return (
        f"{shown} of {count(number, 'conversation')} shown, to keep the page small; "
        f"llm-pv show {run} ATTEMPT prints each."
    )


@dataclass(frozen=True)
class Detail:
    """How much of each trial a page shows, so that it stays small."""

    attempts: int
    characters: int
    conversations: int
    "Characters shown of all conversations with models together."
    trials: bool = True
    "Whether each trial has a line; otherwise only the means over trials have."
    figures: bool = True


DETAILS = (
    Detail(200, 20_000, 1_000_000),
    Detail(200, 20_000, 300_000),
    Detail(25, 20_000, 300_000),
    Detail(8, 8_000, 0),
    Detail(3, 3_000, 0),
    Detail(0, 1_500, 0),
    Detail(0, 400, 0),
    Detail(0, 0, 0, trials=False),
    Detail(0, 0, 0, trials=False, figures=False),
)
"""From all details to the fewest; a page uses the first that fits."""

_SUMMARY = 160
_DECISIONS = ("return ", "if ", "for ", "while ", "try:", "with ", "match ")

_TRIAL_BYTES, _ATTEMPT_BYTES, _COLOURED = 1_500, 400, 6
"""Bytes of a trial, an attempt and a character of coloured code, measured on real pages."""


_NO_PROGRAM = dict.fromkeys(
    ("icl", "finetune", "baselines"), "this method makes no program and has no certificate"
)


@dataclass(frozen=True)
class TrialEntry:
    """One trial: a summary line, and the details that unfold below it."""

    number: int
    status: str
    summary: str
    code: str
    cut: str
    verdict: str
    certificate: str
    warnings: tuple[str, ...]
    reason: str
    search: str
    attempts: tuple[AttemptRecord, ...]
    picked: int | None
    "The shown attempts, and the number of the selected one."
    hidden: int
    conversations: Conversations


@dataclass(frozen=True)
class MethodEntry:
    """One method in one setting, with every trial."""

    method: str
    summary: str
    "The mean over trials, or why there is none."
    trials: tuple[TrialEntry, ...]
    "Empty where the trials hold no more than the summary."


@dataclass(frozen=True)
class SettingEntry:
    """One setting with every method."""

    title: str
    methods: tuple[MethodEntry, ...]


def setting_entries(comparison: Comparison, detail: Detail) -> list[SettingEntry]:
    """Return every setting with every method and trial, in order."""
    several_runs = len(comparison.runs) > 1
    entries = []
    for setting in comparison.settings:
        methods = []
        for method in comparison.methods:
            cell = comparison.cells.get((setting, method))
            if cell is None:
                continue
            runs = ", ".join(dict.fromkeys(trial.run for trial in cell.trials))
            label = f"{method}; run {runs}" if several_runs and runs not in method else method
            shown = detail.trials and any(
                t.accuracy is not None or t.selection or t.attempts or t.conversations
                for t in cell.trials
            )
            trials = tuple(trial_entry(t, detail) for t in cell.trials) if shown else ()
            methods.append(MethodEntry(label, _cell_summary(cell, shown), trials))
        sampler = f", {setting.sampler} sampler" if setting.sampler else ""
        entries.append(SettingEntry(setting_label(setting) + sampler, tuple(methods)))
    return entries


def _cell_summary(cell: MethodCell, shown: bool) -> str:
    """Return the mean over trials with its limits, and how many trials have none and why."""
    parts = []
    if cell.test is not None:
        found = f"{percent(cell.test.mean)}% test {interval(cell.test)}".strip()
        parts.append(f"{found}, {count(cell.test.trials, 'trial')}")
    parts += [f"{count(number, 'trial')} {status}" for status, number in cell.open.items()]
    reasons = dict.fromkeys(trial.reason for trial in cell.trials if trial.reason)
    return "; ".join(parts) + (f": {'; '.join(reasons)}" if reasons and not shown else "")


def estimated_size(trials: Sequence[TrialRecord], detail: Detail) -> int:
    """Return the approximate bytes of the programs and attempts of trials in a page."""
    size = 0
    if not detail.trials:
        return size
    for trial in trials:
        program = trial.selection.program if trial.selection else ""
        size += _TRIAL_BYTES + _COLOURED * min(len(program), detail.characters)
        size += _ATTEMPT_BYTES * min(len(trial.attempts), detail.attempts)
    said = sum(conversation_characters(trial.conversations) for trial in trials)
    return size + min(said, detail.conversations)


def of_one_trial(detail: Detail, trials: Sequence[TrialRecord]) -> Detail:
    """Return the detail of each trial, if some are to share the characters of conversations."""
    talking = sum(bool(trial.conversations) for trial in trials)
    return replace(detail, conversations=detail.conversations // max(1, talking))


def trial_entry(trial: TrialRecord, detail: Detail) -> TrialEntry:
    """Return a trial with its program and attempts cut to a level of detail."""
    selection = trial.selection
    program = selection.program if selection else ""
    cut = ""
    if len(program) > detail.characters:
        cut = (
            f"The first {detail.characters:,} of {len(program):,} characters; the whole program "
            "is in the run's folder programs."
        )
    picked = selection.attempt if selection else None
    shown = shown_attempts(trial.attempts, picked, detail.attempts)
    return TrialEntry(
        number=trial.cell.trial + 1,
        status=trial.status,
        summary=_summary(trial),
        code=program[: detail.characters],
        cut=cut,
        verdict=selection.verdict if selection else _NO_PROGRAM.get(trial.track, ""),
        certificate=selection.certificate if selection else "",
        warnings=selection.warnings if selection else (),
        reason=trial.reason if not selection or trial.reason != selection.verdict else "",
        search=trial.attempts[0].note.partition("; searched ")[2] if trial.attempts else "",
        attempts=shown,
        picked=picked,
        hidden=len(trial.attempts) - len(shown),
        conversations=conversation_entries(
            trial.conversations, trial.attempts, picked, detail.conversations, trial.run
        )
        if trial.conversations
        else Conversations(),
    )


def shown_attempts(
    attempts: Sequence[AttemptRecord], picked: int | None, most: int
) -> tuple[AttemptRecord, ...]:
    """Return at most this many attempts, in order.

    The selected one comes before the first of each kind of failure, these before the best by
    validation.
    """
    kinds: set[str] = set()
    ranks = []
    for attempt in attempts:
        kind = attempt.reason[:60]
        is_new = bool(kind) and kind not in kinds
        kinds.add(kind)
        ranks.append(
            (
                attempt.number != picked,
                not is_new,
                -(attempt.validation_accuracy or 0.0),
                attempt.number,
            )
        )
    ranked = sorted(zip(ranks, attempts, strict=True), key=lambda pair: pair[0])[:most]
    return tuple(sorted((attempt for _, attempt in ranked), key=lambda attempt: attempt.number))


def program_summary(program: str) -> str:
    r"""Return a program in one line: its body if that is short, else from its first decision on.

    Examples
    --------
    >>> program_summary("def f(x):\n    y = len(x)\n    return y % 2\n")
    'y = len(x); return y % 2'
    """
    lines = [line.strip() for line in shorten(program, 4_000).splitlines()]
    lines = [line for line in lines if line and line != "def f(x):" and not line.startswith('"""')]
    body = "; ".join(lines).replace(":; ", ": ")
    if len(body) <= _SUMMARY:
        return body
    starts = [number for number, line in enumerate(lines) if line.startswith(_DECISIONS)]
    first = starts[0] if starts else 0
    return shorten("; ".join(lines[first:]).replace(":; ", ": "), _SUMMARY)


def _summary(trial: TrialRecord) -> str:
    parts = []
    if trial.accuracy is not None:
        limits = ""
        if trial.low is not None and trial.high is not None:
            limits = f" [{percent(trial.low)}, {percent(trial.high)}]"
        parts.append(f"{percent(trial.accuracy)}% test{limits}")
    if trial.validation_accuracy is not None:
        parts.append(f"{percent(trial.validation_accuracy)}% validation")
    if (
        trial.track == "baselines"
        and trial.selection
        and trial.selection.train_accuracy is not None
    ):
        parts.append(f"{percent(trial.selection.train_accuracy)}% train")
    if trial.selection is not None and trial.selection.error_bound is not None:
        parts.append(f"certified error at most {percent(trial.selection.error_bound)}%")
    if trial.attempts:
        parts.append(count(len(trial.attempts), "attempt"))
    return ", ".join(parts)
