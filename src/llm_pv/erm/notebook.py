"""Show a result in a notebook: the program, its candidates, its certificate and its accuracy."""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from llm_pv.erm.result import LearnedProgram, candidate_rows
from llm_pv.programs.shown import highlight_python, visible

if TYPE_CHECKING:
    from llm_pv.erm.scoring import Score

_MOST_CANDIDATES = 12
_SUMMARY_CHARACTERS = 90


def result_html(learned: LearnedProgram) -> str:
    """Return a result as HTML without scripts; every text of the run is escaped."""
    parts = [f"<p><strong>{_sentence(learned.verdict)}</strong></p>"]
    if learned.program is not None:
        source = highlight_python(learned.program.source.rstrip("\n"), inline=True)
        parts += [f"<pre>{source}</pre>", _accuracy(learned)]
    if learned.certificate is not None:
        parts.append(f"<p><strong>Certificate:</strong> {escape(learned.certificate.text())}</p>")
    parts += [f"<p>Note: {_sentence(warning)}</p>" for warning in learned.warnings]
    parts.append(_candidates(learned))
    return f'<div class="llm-pv">{"".join(parts)}</div>'


def _accuracy(learned: LearnedProgram) -> str:
    selected, baseline = learned.selection.selected, learned.baseline
    assert selected is not None
    rows = []
    splits: tuple[tuple[str, Score | None, float | None], ...] = (
        ("train", selected.train, None),
        ("validation", selected.validation, baseline.validation_accuracy),
        ("test", learned.test, baseline.test_accuracy),
    )
    for name, score, majority in splits:
        if score is None or not score.rows:
            continue
        right = f"{score.accuracy:.1%}"
        if name == "test" and learned.interval:
            low, high = learned.interval
            right += f" [{low:.1%}, {high:.1%}]"
        rows.append((name, f"{score.rows:,}", right, _percent(majority)))
    return _table(("rows", "number", "right", "majority baseline"), rows)


def _candidates(learned: LearnedProgram) -> str:
    candidates = candidate_rows(learned.selection)
    rows = []
    for candidate in candidates[:_MOST_CANDIDATES]:
        source = candidate["program"]
        summary = candidate["remark"] or (source.rstrip().rpartition("\n")[2] if source else "")
        rows.append(
            (
                candidate["pick"],
                str(candidate["attempt"]),
                _percent(candidate["validation_accuracy"]),
                _percent(candidate["train_accuracy"]),
                "" if candidate["bits"] is None else f"{candidate['bits']:.0f}",
                visible(summary, _SUMMARY_CHARACTERS),
            )
        )
    table = _table(("", "attempt", "validation", "train", "bits", "program"), rows)
    count = f"{len(candidates):,} candidate{'' if len(candidates) == 1 else 's'}"
    hidden = len(candidates) - len(rows)
    more = f", {hidden:,} of them not shown" if hidden else ""
    return f"<details open><summary>{count}{more}</summary>{table}</details>"


def _table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _sentence(text: str) -> str:
    shown = visible(text, 2_000)
    return escape(f"{shown[:1].upper()}{shown[1:]}{'' if shown.endswith('.') else '.'}")
