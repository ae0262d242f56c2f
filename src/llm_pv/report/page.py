"""Render a self-contained HTML page for one or more runs.

The page loads nothing, and the template engine escapes every text of a run; a strict
Content-Security-Policy allows the page's own style and script by their digests and nothing else.
The only dates are those of the runs, so the same runs give the same bytes.
"""

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePath
from typing import Any

from llm_pv import __version__
from llm_pv.programs.shown import highlight_python, visible, visible_code
from llm_pv.report.charts import COLOURS, Figure, shape_of
from llm_pv.report.comparison import Comparison
from llm_pv.report.effort_tables import attempts_table, effort_table
from llm_pv.report.explained import Explanation, read_explanation
from llm_pv.report.figures import attempts_of, figures
from llm_pv.report.records import RunRecord, TrialRecord
from llm_pv.report.spending import spending_table
from llm_pv.report.summary import grid_summary, trial_summary
from llm_pv.report.svg import SHAPES, draw_bar, draw_panel, draw_shape
from llm_pv.report.tables import ReportTable, comparison_table, methods_table
from llm_pv.report.text import count, percent
from llm_pv.report.transfer_tables import lengths_table, shortcuts_table
from llm_pv.report.trial_entries import (
    DETAILS,
    Detail,
    estimated_size,
    of_one_trial,
    program_summary,
    setting_entries,
    trial_entry,
)

LARGEST_PAGE = 3_000_000
"""The most bytes of a page; programs and attempts are cut to fit."""

_OPEN_TRIALS = 3
"""The most trials that are unfolded when the page opens."""


def build_page(comparison: Comparison) -> str:
    """Return the page about some runs, in full or cut to `LARGEST_PAGE`."""
    context = _context(comparison)
    trials = comparison.trials()
    page = ""
    for detail in DETAILS:
        is_last = detail is DETAILS[-1]
        if not is_last and estimated_size(trials, detail) > LARGEST_PAGE:
            continue  # too large by the estimate: skip the slow colouring of programs
        page = _render(context | _details(comparison, detail))
        if len(page.encode()) <= LARGEST_PAGE:
            break
    return page


def _context(comparison: Comparison) -> dict[str, Any]:
    """Return the content of a page that does not depend on the level of detail."""
    runs, trials = comparison.runs, comparison.trials()
    alone = trials[0] if len(trials) == 1 and len(runs) == 1 else None
    explained = read_explanation(alone.selection.explanation) if alone and alone.selection else None
    found = [] if alone else figures(comparison)
    groups: dict[str, list[Figure]] = {}
    for figure in found:
        groups.setdefault(figure.name.rstrip("-0123456789"), []).append(figure)
    tables = {
        "comparison": comparison_table(comparison).without_constants(),
        "methods": methods_table(comparison).without_constants(),
        "lengths": lengths_table(comparison).without_constants(),
        "shortcuts": shortcuts_table(comparison).without_constants(),
        "attempts-needed": attempts_table(comparison).without_constants(),
        "effort": effort_table(comparison).without_constants(),
        "spending": spending_table(runs),
    }
    summary = trial_summary(alone) if alone else grid_summary(comparison, runs)
    return {
        "title": summary.headline,
        "summary": summary,
        "figure_groups": list(groups.items()),
        "explained": explained,
        "attempts_figure": attempts_of(alone) if alone else None,
        "tables": tables,
        "runs": [_run(run) for run in runs],
        "missing": [] if alone else _missing(groups, tables),
        "sections": _sections_of_one(alone, explained) if alone else _sections(groups, tables),
        "version": __version__,
    }


def _details(comparison: Comparison, detail: Detail) -> dict[str, Any]:
    trials = comparison.trials()
    alone = len(trials) == 1 and len(comparison.runs) == 1
    note = ""
    if detail.attempts < DETAILS[0].attempts:
        note = (
            f"To keep the page small it shows at most {count(detail.attempts, 'attempt')} of a "
            f"trial and {detail.characters:,} characters of a program."
        )
    if not detail.trials:
        note = "To keep the page small it shows no trials; summary.csv of each run holds them."
    if not detail.figures:
        note += " Figures are left out; llm-pv report writes them as files."
    each = of_one_trial(detail, trials)
    return {
        "alone": trial_entry(trials[0], each) if alone else None,
        "cells": [] if alone else setting_entries(comparison, each),
        "with_figures": detail.figures,
        "open_trials": len(trials) <= _OPEN_TRIALS,
        "detail_note": note,
    }


def _render(context: dict[str, Any]) -> str:
    environment = _environment()
    style, script = _asset("style.css"), _asset("script.js")
    from markupsafe import Markup  # a part of jinja2

    return str(
        environment.get_template("page.html").render(
            context,
            # The page's own drawing and its two files, which contain no text of a run.
            strip=Markup(context["summary"].strip),  # noqa: S704
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            style_hash=_digest(style),
            script_hash=_digest(script),
        )
    )


def load_libraries() -> None:
    """Import what a page is made with, and compile its templates."""
    from llm_pv.stats import binomial_interval

    binomial_interval(1, 1)
    for name in ("parts.html", "page.html"):
        _environment().get_template(name)
    highlight_python("")


@cache
def _environment() -> Any:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"colours": len(COLOURS), "shapes": SHAPES, "shape_of": shape_of}
    environment.filters |= {
        "visible": visible,
        "code": visible_code,
        "percent": percent,
        "program_summary": program_summary,
        "sentence": lambda text: text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."),
        # All are written by serialisers that escape their input.
        "draw": lambda panel: Markup(draw_panel(panel)),  # noqa: S704
        "draw_shape": lambda shape, classes: Markup(draw_shape(shape, classes)),  # noqa: S704
        "draw_bar": lambda bar, baseline: Markup(draw_bar(bar, baseline)),  # noqa: S704
        "highlight": lambda source: Markup(_highlighted(source)),  # noqa: S704
    }
    return environment


_highlighted = lru_cache(maxsize=4096)(highlight_python)


@cache
def _asset(name: str) -> str:
    return files("llm_pv.report").joinpath("templates", name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode()).digest()).decode()


def _run(run: RunRecord) -> dict[str, Any]:
    header = run.header
    ended = len(run.trials) - run.unfinished
    return {
        "label": run.label,
        "command": command_line(header.get("command", [])),
        "created": str(header.get("created", "")),
        "state": f"{ended} of {count(len(run.trials), 'trial')} ended"
        + (f", {run.unfinished} not yet" if run.unfinished else ""),
        "state_open": bool(run.unfinished),
        "seeds": ", ".join(dict.fromkeys(trial.seed for trial in run.trials)),
        "versions": ", ".join(f"{name} {v}" for name, v in header.get("versions", {}).items()),
        "platform": str(header.get("platform", "")),
        "confinement": confinement_text(header.get("confinement", ())),
        "about": str(header["configuration"].get("about", "")),
        "configuration": json.dumps(header["configuration"], indent=2),
    }


def confinement_text(records: Sequence[object]) -> str:
    """Return which layers confined the programs of a run, on each machine it ran on.

    Examples
    --------
    >>> confinement_text([{"backend": "wasm", "sufficient": True, "layers": ["WebAssembly"],
    ...     "missing": {"the Linux sandbox": "Landlock is missing"}}])
    'wasm: WebAssembly (the Linux sandbox: Landlock is missing)'
    """
    texts = []
    for record in records:
        if not isinstance(record, Mapping):
            continue
        layers = ", ".join(map(str, record.get("layers", ()))) or "no layer"
        state = "" if record.get("sufficient", True) else "NOT sufficient, "
        absent = record.get("missing")
        absent = absent if isinstance(absent, dict) else {}
        missing = "; ".join(f"{layer}: {why}" for layer, why in absent.items())
        texts.append(
            f"{record.get('backend', '')}: {state}{layers}" + (f" ({missing})" if missing else "")
        )
    return "; then ".join(texts)


def command_line(words: Sequence[object]) -> str:
    """Return the command of a run as it would be typed, without the path of the executable.

    Examples
    --------
    >>> command_line(["/opt/x/llm_pv/__main__.py", "learn", "my rows.csv"])
    "llm-pv learn 'my rows.csv'"
    """
    if not words:
        return ""
    program = PurePath(str(words[0])).name
    shown = "llm-pv" if program in ("__main__.py", "llm-pv", "llm-pv.exe") else program
    return shlex.join([shown, *map(str, words[1:])])


def _sections(
    groups: dict[str, list[Figure]], tables: dict[str, ReportTable]
) -> list[tuple[str, str]]:
    names = {
        "accuracy": "Accuracy",
        "lengths": "Lengths",
        "training-size": "Training rows",
        "validation-size": "Validation rows",
        "attempts-needed": "Attempts",
        "dynamics": "Training",
        "effort": "Effort",
    }
    sections = [("result", "Result"), ("comparison", "Comparison")]
    sections += [(name, names[name]) for name in groups]
    if tables["shortcuts"].rows:
        sections.append(("shortcuts", "Shortcuts"))
    return [*sections, ("programs", "Programs"), ("runs", "Runs")]


def _sections_of_one(trial: TrialRecord, found: Explanation | None) -> list[tuple[str, str]]:
    middle = []
    if found:
        parts = {
            "rule": found.lines or found.conditions,
            "mistakes": found.confusion or found.mistakes,
            "columns": found.shapes,
        }
        middle += [(name, name.capitalize()) for name, part in parts.items() if part]
    middle += [("attempts", "Attempts")] if trial.attempts else []
    middle += [("conversations", "Conversations")] if trial.conversations else []
    return [("result", "Result"), *middle, ("runs", "Run")]


def _missing(groups: dict[str, list[Figure]], tables: dict[str, ReportTable]) -> list[str]:
    """Return which figures are empty, and which runs would provide them."""
    lines = []
    if "lengths" not in groups:
        lines.append(
            "Accuracy at other lengths: llm-pv synthesize scores selected programs there, unless "
            "--no-transfer is given; other methods need several --lengths."
        )
    if "training-size" not in groups:
        lines.append(
            "Accuracy against the number of training rows: every method has one number of rows in "
            "each task; several values of --train-size would show it."
        )
    if not tables["shortcuts"].rows:
        lines.append("Shortcuts: no program of these runs was scored on hard data.")
    if not tables["comparison"].has_published:
        lines.append(
            "Published figures: there are some for the paper's sampler with 200 labelled rows, at "
            "length 100 (graphs at 300), and these runs have no such setting."
        )
    return lines
