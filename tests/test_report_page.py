"""The page and the figure files: foreign text stays text, nothing is loaded, bytes repeat."""

import base64
import re
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from llm_pv.errors import MissingExtraError, RunError
from llm_pv.programs.shown import highlight_python
from llm_pv.report import page as pages
from llm_pv.report.charts import Panel, Point, Series
from llm_pv.report.comparison import compare_methods
from llm_pv.report.page import LARGEST_PAGE, build_page, command_line
from llm_pv.report.records import load_runs
from llm_pv.report.summary import trial_summary
from llm_pv.report.write import write_report, write_run_page
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from report_runs import (
    HOSTILE,
    PARITY,
    attempt_record,
    grid_configuration,
    many_methods,
    selected_record,
    write_trial,
)

SVG = "{http://www.w3.org/2000/svg}"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of some."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)


def page_of(*runs: Path) -> str:
    return build_page(compare_methods(load_runs(runs)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Runs, and the files of a report about them."""
    folder = tmp_path_factory.mktemp("many")
    runs = many_methods(folder)
    return runs, write_report(runs, folder / "out")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A run whose every foreign text tries to be markup."""
    path = tmp_path / "<b>run"
    program = f"def f(x):\n    return {HOSTILE!r}  # {HOSTILE}\n"
    with RunDirectory(path, {"command": "learn", "proposer": HOSTILE}) as run:
        write_trial(
            run,
            Cell(HOSTILE),
            0.9,
            program=program,
            method=HOSTILE,
            attempts=[{"error": HOSTILE, "program": program}, {"program": program}],
            row={"name": HOSTILE, "seed": HOSTILE},
            labels=(HOSTILE, "b"),
            warnings=[HOSTILE],
        )
    return path


def assert_harmless(text: str) -> None:
    elements = Elements(text)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 1
    assert tags.count("style") == 1
    assert "img" not in tags
    for _, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "\u202e" not in text
    assert "\x07" not in text


@pytest.mark.parametrize("copies", [1, 2], ids=["one run", "several runs"])
def test_hostile_text_stays_text(hostile: Path, tmp_path: Path, copies: int) -> None:
    others = many_methods(tmp_path)[: copies - 1]
    text = page_of(hostile, *others)
    assert_harmless(text)
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in text
    assert "\\u202e" in text
    assert "{{7*7}}" in text.replace("{{7*7}} =1+1", "{{7*7}}")
    assert ">49<" not in text


def test_the_policy_names_the_pages_own_style_and_script_alone(hostile: Path) -> None:
    elements = Elements(page_of(hostile))
    policy = next(a["content"] for _, a in elements.found if "http-equiv" in a)
    for kind in ("style", "script"):
        (text,) = elements.texts[kind]
        digest = base64.b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    elements = Elements(page_of(*many_methods(tmp_path)))
    for tag, attributes in elements.found:
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(name, "#").startswith(("#", "data:,")), (tag, attributes)


def test_the_same_runs_give_the_same_files(
    written: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    runs, first = written
    second = write_report(runs, tmp_path)
    assert [path.name for path in first] == [path.name for path in second]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_every_figure_and_table_is_a_file(written: tuple[list[Path], list[Path]]) -> None:
    files = written[1]
    names = {str(path.relative_to(files[0].parent)) for path in files}
    for figure in ("accuracy", "lengths", "training-size", "effort"):
        assert {f"figures/{figure}.svg", f"figures/{figure}.pdf"} <= names
    for table in ("comparison", "measurements", "methods", "paper-against-hard", "lengths",
                  "trials"):  # fmt: skip
        assert {f"tables/{table}.csv", f"tables/{table}.tex"} <= names
    assert files[0].name == "index.html"


def test_figure_files_hold_hostile_text_as_text_and_refer_to_nothing(
    hostile: Path, tmp_path: Path
) -> None:
    with RunDirectory(tmp_path / "grid", grid_configuration(["fn_a"], [20], 1)) as run:
        there = {("paper", 40): 0.5}
        name = "$x^2$ <b> _"
        write_trial(run, Cell("fn_a", 20, "paper"), 0.5, row={"name": name}, transfer=there)
    written = write_report([hostile, tmp_path / "grid"], tmp_path / "out")
    drawings = [path for path in written if path.suffix == ".svg"]
    assert drawings
    everything = ""
    for path in drawings:
        root = ET.fromstring(path.read_text())
        everything += "".join(root.itertext())
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert not tags & {"script", "image", "foreignObject", "a"}
        for element in root.iter():
            for attribute, value in element.attrib.items():
                assert not attribute.startswith("on")
                if attribute.endswith("href"):
                    assert value.startswith("#")
    assert "</script><img src=x onerror=alert(1)>" in everything
    assert "$x^2$ <b>" in everything
    assert all(path.read_bytes().startswith(b"%PDF") for path in written if path.suffix == ".pdf")


def test_a_page_of_very_many_trials_stays_small_and_shows_every_one(tmp_path: Path) -> None:
    lines = "".join(f"    y = {n} * len(x)\n" for n in range(300))
    program = f"def f(x):\n{lines}    return 1\n"
    failures = [{"error": f"row {n}: no label", "program": program} for n in range(8)]
    path = tmp_path / "run"
    cells = [Cell(f"fn_{name}", 20, "paper", trial) for name in "abcd" for trial in range(50)]
    with RunDirectory(path, {"command": "synthesize"}) as run:
        for cell in cells:
            log = run.cell_log(cell)
            for number, fields in enumerate(failures, start=1):
                log.append_attempt(attempt_record(number, **fields))
            log.append_attempt(selected_record(program, 0.5, [], ("0", "1"), ()))
    text = page_of(path)
    assert len(text.encode()) <= LARGEST_PAGE
    assert len(re.findall(r'<span class="trial">Trial', text)) == len(cells)
    assert text.count(f"of {len(program):,} characters") == len(cells)


def test_no_page_is_larger_than_the_most_whatever_a_run_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "icl"}) as run:
        for number in range(60):
            cell = Cell(f"fn_{number % 20}", 20, "paper", number)
            write_trial(run, cell, 0.5, track="icl", method="icl")
    monkeypatch.setattr(pages, "LARGEST_PAGE", 63_000)
    text = page_of(path)
    assert len(text.encode()) <= 63_000
    assert "it shows no trials" in text
    assert len(re.findall(r'class="alone"', text)) == 20


def test_two_points_are_a_sentence_and_three_a_chart() -> None:
    points = (Point(1, 0.5, note="one: 50.0%"), Point(2, 0.75, note="two: 75.0%"))
    assert Panel("", "rows", (Series("a", points, 0),)).words == "one: 50.0%; two: 75.0%"
    assert Panel("", "rows", (Series("a", (*points, Point(3, 1.0)), 0),)).words == ""
    bound = Series("bound", (Point(1, 0.0), Point(2, 0.25)), 1, reference=True)  # not measured
    said = Panel("", "rows", (Series("a", points, 0), bound)).words
    assert said == "one: 50.0%; two: 75.0%; bound: 0 at 1; bound: 0.25 at 2"


def test_ticks_are_far_enough_apart_to_be_read() -> None:
    def ticks(*values: float, logarithmic: bool = False) -> tuple[float, ...]:
        points = tuple(Point(value, 1.0) for value in values)
        return Panel("", "attempts", (Series("a", points, 0),), logarithmic).ticks

    assert ticks(1, 3, 4, 5, 25, 27) == (1, 4, 27)  # 2 of 26 is 7.7% of the axis
    assert ticks(1, 2, 4, 50, 100, logarithmic=True) == (1, 2, 4, 50, 100)
    assert ticks(5) == (5,)


def test_what_does_not_fit_is_cut_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = many_methods(tmp_path)
    whole = page_of(*runs)
    monkeypatch.setattr(pages, "LARGEST_PAGE", len(whole.encode()) - 1)
    smaller = page_of(*runs)
    assert len(smaller) < len(whole)
    assert "To keep the page small" in smaller
    assert "To keep the page small" not in whole


def test_a_program_too_long_to_show_says_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "learn"}) as run:
        program = "f = lambda x: '" + "a" * 30_000 + "'\n"
        write_trial(run, Cell("rows"), 0.9, program=program)
    text = page_of(path)
    assert "The first 20,000 of 30,017 characters" in text


def test_predictions_are_not_in_the_page(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "learn"}) as run:
        write_trial(run, Cell("rows"), 0.9, rows=10_000, labels=("quetzal", "heron"))
    assert page_of(path).count("heron") == 0


def test_a_run_in_progress_is_shown_as_such(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, grid_configuration(["fn_a", "fn_c"], [20], 2)) as run:
        write_trial(run, Cell("fn_a", 20, "paper"), 0.5)
        text = page_of(path)  # while it is held by its own process
    assert "in progress: 3 of 4 trials have not ended" in re.sub(r"\s+", " ", text)
    assert "1 of 4 trials ended, 3 not yet" in text


def test_a_trial_that_found_nothing_or_failed_has_a_page_too(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "learn"}) as run:
        row = {"status": "failed", "reason": "the disk is full"}
        write_trial(run, Cell("rows"), None, track="other", row=row)
    assert "the disk is full" in page_of(path)


@pytest.mark.parametrize(
    ("verdict", "headline"),
    [("no short rule was found that explains the rows; a fallback is offered", "No short rule was"),
     ("an approximate rule was found: right on 98.0%", "An approximate rule was found for"),
     ("a program better than any constant answer: F1 0.9", "A program for rows.csv better than"),
     ("a program better, but its bound does not rule out chance", "but chance is not ruled out")],
)  # fmt: skip
def test_the_headline_says_no_more_and_no_less_than_the_verdict(
    tmp_path: Path, verdict: str, headline: str
) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "learn"}) as run:
        write_trial(run, Cell("rows"), 0.93, row={"name": "rows.csv"})
    (trial,) = load_runs([path])[0].trials
    assert trial.selection is not None
    of_verdict = replace(trial, selection=replace(trial.selection, verdict=verdict))
    assert headline in trial_summary(of_verdict).headline


def test_the_first_screen_of_one_program_says_how_sure_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with RunDirectory(path, {"command": "learn"}) as run:
        write_trial(run, Cell("rows"), 0.93, row={"name": "rows.csv", "low": 0.88, "high": 0.96})
    text = re.sub(r"\s+", " ", page_of(path))
    assert "A rule was found for rows.csv" in text
    assert "Right on 93.0% of 200 test rows" in text
    assert "Always answering &#39;0&#39; is right on 50.0%" in text
    assert "95%: 88.0 to 96.0" in text
    assert "at most 5.2%" in text  # (1 - 0.05 / 10) to the 100th root: 0.0516


@pytest.mark.parametrize(("there", "said"), [(0.5, True), (1.0, True), (None, False)])
def test_the_first_screen_tells_of_shortcuts_only_where_they_were_looked_for(
    tmp_path: Path, there: float | None, said: bool
) -> None:
    with RunDirectory(tmp_path / "run", grid_configuration(["fn_g"], [20], 2)) as run:
        for trial in (0, 1):
            transfer = {} if there is None else {("hard", 20): there}
            write_trial(run, Cell("fn_g", 20, "paper", trial), 1.0, transfer=transfer)
    text = page_of(tmp_path / "run")
    assert ("Rest on a shortcut" in text) == said
    assert ("1 setting rests on a shortcut" in text) == (there == 0.5)


def test_programs_for_noise_are_announced_as_such(tmp_path: Path) -> None:
    headlines = {
        "nothing found that beats a baseline: ...": "Nothing found for rows that beats a baseline",
        "a program better than any constant answer": "A program for rows better than any constant",
        "... but its bound does not rule out chance": "A program for rows, but chance is not ruled",
    }
    for number, (verdict, headline) in enumerate(headlines.items()):
        path = tmp_path / str(number)
        record = selected_record(PARITY, 0.5, [], ("0", "1"), ())
        record["result"]["verdict"] = verdict
        with RunDirectory(path, {"command": "learn"}) as run:
            run.cell_log(Cell("rows")).append_attempt(record)
            row = {"track": "llm-pv", "method": "length-first", "status": "done"}
            run.finish(Cell("rows"), row | {"trial": 0})
        assert headline in page_of(path)
    record["result"] |= {"program": None, "certificate": None, "certificate_text": None}
    with RunDirectory(tmp_path / "none", {"command": "learn"}) as run:
        run.cell_log(Cell("rows")).append_attempt(record)
        run.finish(Cell("rows"), row | {"status": "nothing found", "reason": "no program runs"})
    text = page_of(tmp_path / "none")
    assert "No program was found for rows" in text
    assert "no program runs" in text


def test_a_run_without_a_trial_is_refused_by_a_report(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run", {"command": "learn"}):
        pass
    with pytest.raises(RunError, match="holds no trial yet"):
        write_report([tmp_path / "run"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_gets_its_page_into_its_own_directory(tmp_path: Path) -> None:
    path = many_methods(tmp_path)[0]
    assert write_run_page(path) == path / "report.html"
    assert "Every trial and its program" in (path / "report.html").read_text()
    with RunDirectory(path, grid_configuration(["fn_a", "fn_g", "fn_l"], [100, 20], 2)):
        pass  # it is still a run that can be resumed


def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = many_methods(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib .*llm-pv\[report\]"):
        write_report(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_commands_are_shown_as_they_were_typed() -> None:
    assert command_line(["/x/bin/llm-pv", "report", "a b"]) == "llm-pv report 'a b'"
    assert command_line(["/x/runner.py", "--trials", "2"]) == "runner.py --trials 2"
    assert command_line([]) == ""


def test_program_text_survives_colouring(tmp_path: Path) -> None:
    elements = Elements(f"<pre>{highlight_python(PARITY)}</pre>")
    assert "".join(part for parts in elements.texts.values() for part in parts).strip() != ""
    bare = re.sub(r"<[^>]+>", "", highlight_python(PARITY)).replace("&#39;", "'")
    assert bare == PARITY
