"""What a notebook shows of a result and of a classifier."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from llm_pv import LearnedProgram, ProgramClassifier, Sandbox, Search, learn
from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.proposers.base import Proposal, Proposer

HOSTILE = "<script>alert(1)</script>\u202e"
RULE = f"def f(x):\n    note = {HOSTILE!r}\n    return x['age'] >= 40\n"


class Two(Proposer):
    """Proposes a constant and the rule."""

    name = "two"

    def propose(self, train, classes, *, seed, start=0):  # type: ignore[no-untyped-def]
        yield from [Proposal("f = lambda x: 1"), Proposal(RULE), Proposal(HOSTILE)][start:]


class Cells(HTMLParser):
    """The texts of a page, the cells of its tables by row, and the tags it uses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def examples(ages: range) -> Examples:
    return Examples([{"age": age} for age in ages], [str(int(age >= 40)) for age in ages])


@pytest.fixture(scope="module")
def learned(sandbox: Sandbox) -> LearnedProgram:
    splits = Splits(
        examples(range(30, 50)),
        examples(range(31, 51)),
        examples(range(36, 46)),
        Classes(("0", "1"), (0, 1)),
        warnings=(f"a warning about {HOSTILE}",),
    )
    return learn(splits, search=Search(Two(), early_stop=False, attempts=3), sandbox=sandbox)


def test_a_result_shows_rule_candidates_certificate_and_accuracy(learned: LearnedProgram) -> None:
    page = Cells(learned._repr_html_())
    assert learned.certificate is not None
    assert learned.certificate.text() in page.text
    assert "return x['age'] >= 40" in page.text
    # 10 test rows, all right; the exact lower limit is 0.025 ** (1 / 10) = 69.2%.
    assert ["test", "10", "100.0% [69.2%, 100.0%]", "60.0%"] in page.rows
    marked = [row for row in page.rows if row[0] == ">>>>"]
    assert [row[1:4] for row in marked] == [["2", "100.0%", "100.0%"]]
    # The constant is right on the 11 validation and the 10 training rows from 40 on.
    constant = next(row for row in page.rows if row[1:2] == ["1"])
    assert constant[2:4] == ["55.0%", "50.0%"]


def test_nothing_of_a_program_or_a_warning_becomes_markup(learned: LearnedProgram) -> None:
    html = learned._repr_html_()
    page = Cells(html)
    assert "script" not in page.tags
    assert "\u202e" not in html
    assert "a warning about <script>" in page.text.lower()


def test_a_classifier_shows_its_result_below_the_diagram_when_it_is_fitted() -> None:
    model = ProgramClassifier(proposer=Two(), random_state=0)
    assert "llm-pv" not in model._repr_html_()
    frame = pd.DataFrame({"age": [*range(30, 50)] * 2})
    model.fit(frame, frame["age"] >= 40)
    html = model._repr_mimebundle_()["text/html"]
    assert "Certificate" in html
    assert "ProgramClassifier" in html
