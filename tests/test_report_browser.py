"""The page in a real browser: no errors, sortable, readable in the dark and on a phone."""

import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from llm_pv.cli.progress import learn_progress
from llm_pv.erm.attempts import Attempt
from llm_pv.erm.scoring import Score
from llm_pv.proposers.base import Proposal
from llm_pv.report.comparison import compare_methods
from llm_pv.report.live_page import LivePage
from llm_pv.report.page import build_page
from llm_pv.report.records import load_runs
from llm_pv.runs.cells import Cell
from llm_pv.runs.directory import RunDirectory
from llm_pv.sandbox import Sandbox
from report_runs import HOSTILE, learn_ages, many_methods, write_trial

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed"),
]

CONTRAST = """
() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bed = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || element.closest("script, title, .hidden, .skip")) continue;
    const svg = element.closest("svg");
    const style = getComputedStyle(element);
    const a = light(parse(svg ? style.fill : style.color));
    const b = light(bed(svg ? svg.parentElement : element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([ratio.toFixed(2), element.className, text]);
  }
  return poor;
}
"""
"""Every text whose colour stands out too little from what is behind it (WCAG AA: 4.5)."""


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> dict[str, str]:
    """Four pages by name: many methods, one program, hostile text everywhere, a table's program."""
    folder = tmp_path_factory.mktemp("pages")
    runs = {"many": many_methods(folder)}
    program = f"def f(x):\n    return {HOSTILE!r}  # {HOSTILE} {'long ' * 200}\n"
    for name, text, code in (("one", "rows.csv", "f = len\n"), ("hostile", HOSTILE, program)):
        runs[name] = [folder / name]
        with RunDirectory(folder / name, {"command": "learn", "proposer": text}) as run:
            failing = [{"error": f"{text} {number}", "program": code} for number in range(12)]
            write_trial(
                run,
                Cell(text * (1 if name == "one" else 30)),
                0.93,
                program=code,
                attempts=failing,
                row={"name": text, "low": 0.88, "high": 0.96},
                labels=(text, "b"),
                warnings=[text] if name == "hostile" else [],
            )
    runs["table"] = [learn_ages(folder / "table", sandbox)]
    runs["hostile and others"] = [*runs["hostile"], *runs["many"]]
    addresses = {}
    for name, paths in runs.items():
        path = folder / f"{name.replace(' ', '-')}.html"
        path.write_text(build_page(compare_methods(load_runs(paths))))
        addresses[name] = path.as_uri()
    return addresses


@pytest.fixture
def opened(browser: "Browser", request: pytest.FixtureRequest) -> "Iterator[Page]":
    """A window that fails its test for any message, error, dialog or request of the page."""
    options = getattr(request, "param", {})
    context = browser.new_context(**options)
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.on("request", lambda sent: heard.append(f"request: {sent.url}"))
    yield page
    context.close()
    loads = [line for line in heard if line.startswith("request: file:")]
    assert [line for line in heard if line not in loads] == []
    assert len(loads) == 1


PAGES = ["many", "one", "hostile", "hostile and others", "table"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_a_word_and_hostile_text_stays_text(
    opened: "Page", pages: dict[str, str], name: str
) -> None:
    opened.goto(pages[name])
    opened.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert opened.locator("img, iframe, object, embed, form").count() == 0
    assert opened.locator("script").count() == 1
    if name.startswith("hostile"):
        shown = opened.locator("body").inner_text()
        assert "<img src=x onerror=alert(1)>\\u202etxt\\x07" in shown


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 360, "height": 740}, "is_mobile": True}], indirect=True
)
@pytest.mark.parametrize("name", PAGES)
def test_a_phone_need_not_scroll_sideways(opened: "Page", pages: dict[str, str], name: str) -> None:
    opened.goto(pages[name])
    opened.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
    smallest = opened.evaluate(
        "Math.min(...[...document.querySelectorAll('.plot text, .bars th')]"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1)))"
    )
    assert smallest >= 11


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 800}, "is_mobile": True}], indirect=True
)
@pytest.mark.parametrize(("name", "table"), [("many", "#table-comparison"), ("one", "#attempts")])
def test_the_first_column_stays_while_a_phone_scrolls_a_table(
    opened: "Page", pages: dict[str, str], name: str, table: str
) -> None:
    opened.goto(pages[name])
    first, second = (
        opened.locator(f"{table} tbody tr:first-child > :nth-child({n})") for n in (1, 2)
    )
    before = [cell.evaluate("e => e.getBoundingClientRect().x") for cell in (first, second)]
    opened.evaluate(f"document.querySelector('{table} tbody').closest('.scroll').scrollLeft = 60")
    after = [cell.evaluate("e => e.getBoundingClientRect().x") for cell in (first, second)]
    assert after == [before[0], before[1] - 60]


def test_names_and_figures_stand_beside_their_bars(opened: "Page", pages: dict[str, str]) -> None:
    opened.goto(pages["many"])
    row = opened.locator(".bars tr:has(svg)").first
    name, bar, figure = (row.locator(f":scope > {part}") for part in ("th", "td >> svg", ".number"))
    boxes = [part.bounding_box() for part in (name, bar, figure)]
    assert name.inner_text() == "LLM-PV length-first"
    ends = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert ends[0][1] <= ends[1][0] < ends[1][1] <= ends[2][0]


@pytest.mark.parametrize(
    "opened", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True,
    ids=["light", "dark"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["many", "one", "table"])
def test_every_text_stands_out_by_day_and_by_night(
    opened: "Page", pages: dict[str, str], name: str
) -> None:
    opened.goto(pages[name])
    opened.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert opened.evaluate(CONTRAST) == []


def first_column(page: "Page", table: str) -> list[str]:
    return page.locator(f"{table} tbody th").all_inner_texts()


def test_a_table_sorts_by_click_and_says_how(opened: "Page", pages: dict[str, str]) -> None:
    opened.goto(pages["many"])
    header = opened.locator("#table-methods thead th", has_text="mean test accuracy")
    accuracies = "#table-methods tbody td:nth-child(2)"
    header.get_by_role("button").click()
    values = [float(text) for text in opened.locator(accuracies).all_inner_texts()]
    assert values == sorted(values)
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").click()
    values = [float(text) for text in opened.locator(accuracies).all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    assert opened.locator("#table-methods th[aria-sort]").count() == 1
    assert "descending" in opened.locator("#said").inner_text()


def test_a_table_sorts_by_keyboard(opened: "Page", pages: dict[str, str]) -> None:
    opened.goto(pages["many"])
    opened.locator("#table-methods thead button").first.focus()
    opened.keyboard.press("Enter")
    names = first_column(opened, "#table-methods")
    assert names[0].startswith("Fine-tune")
    opened.keyboard.press("Space")
    assert first_column(opened, "#table-methods") == names[::-1]


def test_lines_without_a_figure_stay_last_whichever_way(
    opened: "Page", pages: dict[str, str]
) -> None:
    opened.goto(pages["many"])
    button = opened.locator("#table-comparison thead th", has_text="svm").get_by_role("button")
    column = opened.evaluate(
        "[...document.querySelector('#table-comparison').tHead.rows[1].cells]"
        ".findIndex((cell) => cell.textContent.startsWith('svm'))"
    )
    for _ in range(2):
        button.click()
        cells = opened.locator(f"#table-comparison tbody tr > :nth-child({column + 1})")
        texts = cells.all_inner_texts()
        assert [bool(text) for text in texts] == sorted(map(bool, texts), reverse=True)


@pytest.mark.parametrize("opened", [{"color_scheme": "light"}], indirect=True)
def test_the_theme_can_be_chosen_by_keyboard_and_is_kept(
    opened: "Page", pages: dict[str, str]
) -> None:
    opened.goto(pages["one"])
    paper = "getComputedStyle(document.body).backgroundColor"
    by_day = opened.evaluate(paper)
    toggle = opened.locator("#theme")
    assert toggle.inner_text() == "Dark"
    toggle.press("Enter")
    assert opened.evaluate(paper) != by_day
    assert toggle.inner_text() == "Light"


@pytest.mark.parametrize("opened", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion_is_respected(opened: "Page", pages: dict[str, str]) -> None:
    opened.goto(pages["many"])
    assert opened.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_every_program_unfolds_for_print_and_by_its_button(
    opened: "Page", pages: dict[str, str]
) -> None:
    opened.goto(pages["many"])
    closed = opened.locator("#programs details:not([open])")
    assert closed.count() == 54  # 36 trials, in 18 cells of two
    opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert closed.count() == 0
    opened.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert closed.count() == 54  # 36 trials, in 18 cells of two
    opened.get_by_role("button", name="Open all").click()
    assert closed.count() == 0
    assert opened.locator("#programs pre.code").first.inner_text().startswith("def f(x):")


@pytest.mark.parametrize("name", PAGES)
def test_drawings_regions_tables_and_buttons_have_names_for_a_screen_reader(
    opened: "Page", pages: dict[str, str], name: str
) -> None:
    opened.goto(pages[name])
    nameless = opened.evaluate(
        """() => [...document.querySelectorAll(
            "[role=img], [role=region], nav, table, button, [tabindex='0']")]
          .filter((e) => !(e.getAttribute("aria-label") || e.caption?.textContent
            || (e.matches("button") && e.textContent)))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_everything_is_there_but_the_buttons(
    opened: "Page", pages: dict[str, str]
) -> None:
    opened.goto(pages["many"])
    assert opened.locator("button:visible").count() == 0
    assert "palindrome" in opened.locator("#table-comparison").inner_text()


def test_a_run_at_work_shows_its_attempts_and_is_stopped_by_its_button(browser: "Browser") -> None:
    stopped = threading.Event()
    context = browser.new_context()
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    with learn_progress() as progress, LivePage(progress.view, stopped.set) as live:
        score = Score(rows=4, errors=1, failed=0, balanced_accuracy=0.5)
        progress.attempt(Attempt(1, Proposal("", cost_usd=0.5), error=HOSTILE, validation=score))
        page.goto(live.url)
        page.get_by_role("cell", name="75.0").wait_for()
        assert page.locator("h1").inner_text() == "best validation 75.0%"
        assert page.get_by_role("columnheader", name="train %").count() == 1
        assert "<img src=x" in page.locator("#rows").inner_text()
        page.get_by_role("button", name="Stop the run").click()
        assert stopped.wait(5)
        assert page.locator("img").count() == 0
    assert heard == []
    page.get_by_text("The run has ended").wait_for(timeout=20_000)
    assert page.locator("button:visible").count() == 0
    context.close()
