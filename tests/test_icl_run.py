"""Runs of in-context learning: what is asked, what is kept, what is scored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from llm_pv.data.examples import Classes, Examples, Splits
from llm_pv.errors import ConfigurationError, CredentialError, ModelError, RunError
from llm_pv.models.base import Preview, Request, Turn, Usage
from llm_pv.models.label_queries import LabelQuery
from llm_pv.models.language_model import LanguageModel
from llm_pv.runs.cells import Cell
from llm_pv.stats import binomial_interval
from llm_pv.tracks.grid import DataSet, GridRequest
from llm_pv.tracks.icl.planning import (
    PlannedCell,
    example_order,
    plan_cells,
    rows_problem,
    task_problems,
)
from llm_pv.tracks.icl.run import run_icl
from llm_pv.tracks.icl.scores import AnsweredCell, score_cell
from llm_pv.tracks.icl.settings import Settings
from llm_pv.tracks.icl.texts import write_prompts
from rows import parity_splits

CLASSES = Classes(("0", "1"), (0, 1))


@dataclass
class Parrot(LanguageModel):
    """Answers with the last character of a prompt, or as it is told, and remembers prompts."""

    says: Any = None
    dies_after: int | None = None
    goes_away: bool = True
    context_tokens: int | None = None
    asked: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    name = "parrot:1"
    identity = "parrot"
    destination = None
    counts_exactly = True

    def check_query(self, query: LabelQuery) -> None:
        if query.mode == "likelihood":
            raise ConfigurationError("a parrot knows no probabilities")

    def count_prompts(self, prompts: Sequence[str], query: LabelQuery) -> list[int]:
        return [len(prompt) for prompt in prompts]

    def complete(self, request: Request) -> list[Turn]:
        (message,) = request.conversation
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise ModelError("the server went away", transient=self.goes_away)
        self.asked.append(message.text)
        self.seeds.append(request.seed)
        text = message.text[-1] if self.says is None else self.says
        return [Turn(text, usage=Usage(10, 2, cached_tokens=5), cost_usd=0.25, seconds=0.5)]

    def preview(self, request: Request) -> Preview:
        raise AssertionError("nothing is previewed")


def last_bit(count: int, start: int = 0) -> Examples:
    inputs = [f"{number:08b}" for number in range(start, start + count)]
    return Examples(inputs, [text[-1] for text in inputs])


def problem(function: str = "rows", train: int = 6, test: int = 10) -> DataSet:
    splits = Splits(last_bit(train), last_bit(20, 100), last_bit(test, 200), CLASSES)
    return DataSet(Cell(function), function, lambda: splits)


def run(
    model: Parrot,
    out: Path,
    *,
    problems: Sequence[DataSet] | None = None,
    settings: Settings | None = None,
) -> list[AnsweredCell]:
    settings = settings or Settings()
    planned = plan_cells(problems or [problem()], model, settings)
    return run_icl(planned, model, settings, out=out, configuration={"rows": "these"})


def test_a_perfect_parrot_scores_one_with_its_interval_and_what_it_used(tmp_path: Path) -> None:
    (result,) = run(Parrot(), tmp_path / "run")

    assert result.status == "done"
    assert result.score is not None
    assert result.score.accuracy == result.score.balanced_accuracy == 1.0
    assert result.score.low == pytest.approx(0.025 ** (1 / 10))
    assert result.score.high == 1.0
    assert result.score.majority_accuracy == 0.5
    assert (result.score.input_tokens, result.score.cached_tokens) == (100, 50)
    assert (result.score.cost_usd, result.score.seconds) == (2.5, 5.0)


def test_other_lengths_are_scored_apart_and_asked_about_once(tmp_path: Path) -> None:
    wrong = replace(last_bit(4, 60), labels=["0"] * 4)  # a copied last bit is right on two of them
    both = replace(problem(), others=lambda: {16: wrong, 4: last_bit(3, 30)})
    with pytest.raises(ModelError):
        run(Parrot(dies_after=12), tmp_path / "run", problems=[both])
    parrot = Parrot()
    (result,) = run(parrot, tmp_path / "run", problems=[both])

    assert len(parrot.asked) == 10 + 4 + 3 - 12
    assert result.score is not None
    assert (result.score.accuracy, result.score.seconds) == (1.0, 5.0), "of the test rows alone"
    assert (result.score.input_tokens, result.score.cost_usd) == (170, 4.25), "of everything"
    assert result.record()["other_lengths"]["16"]["accuracy"] == 0.5
    there = [json.loads(line) for line in (tmp_path / "run/transfer.jsonl").read_text().split("\n")
             if line]  # fmt: skip
    assert [(one["length_there"], one["rows"], one["errors"]) for one in there] == [
        (16, 4, 2), (4, 3, 0),
    ]  # fmt: skip


def test_an_answer_without_a_label_is_wrong_and_counted(tmp_path: Path) -> None:
    (result,) = run(Parrot(says="I don't know."), tmp_path / "run")

    assert result.score is not None
    assert (result.score.accuracy, result.score.unparsable_share) == (0.0, 1.0)
    assert result.reason == "10 of 10 answers held no label"


def test_every_prompt_begins_alike_and_ends_with_one_input(tmp_path: Path) -> None:
    model = Parrot()
    run(model, tmp_path / "run")

    heads = {prompt[: -len("11001000")] for prompt in model.asked}
    assert len(heads) == 1
    (head,) = heads
    assert [prompt.removeprefix(head) for prompt in model.asked] == list(last_bit(10, 200).inputs)
    assert head.count(" -> ") == 6 + 1  # the examples, and the line that explains them


def test_no_prompt_holds_a_test_label_or_a_validation_row(tmp_path: Path) -> None:
    splits = parity_splits(train=10, validation=30, test=20)
    # Labels that occur nowhere else, so that a leak would show.
    secret = replace(splits.test, labels=["leaked"] * len(splits.test))
    model = Parrot()
    whole = replace(splits, test=secret)
    planned = plan_cells([DataSet(Cell("rows"), "rows", lambda: whole)], model, Settings(orders=3))
    run_icl(planned, model, Settings(orders=3), out=tmp_path / "run", configuration={})

    assert len(model.asked) == 60
    text = "\n".join(model.asked)
    assert "leaked" not in text
    assert not any(str(row) in text for row in splits.validation.inputs)
    own = [prompt.rsplit("Input: ", 1)[1] for prompt in model.asked[:20]]
    assert own == list(splits.test.inputs)
    for prompt, item in zip(model.asked[:20], own, strict=True):
        others = [other for other in splits.test.inputs if other != item]
        assert not any(str(other) in prompt for other in others)


def test_a_killed_run_goes_on_without_asking_again(tmp_path: Path) -> None:
    dying = Parrot(dies_after=4)
    with pytest.raises(ModelError, match=r"went away \(rows, generate: 4 of 10 answers kept"):
        run(dying, tmp_path / "run")
    rows = (tmp_path / "run" / "summary.csv").read_text()
    assert "failed" in rows

    model = Parrot()
    (result,) = run(model, tmp_path / "run")

    assert len(model.asked) == 6
    assert not set(model.asked) & set(dying.asked)
    assert result.score is not None
    assert result.score.accuracy == 1.0
    again = Parrot()
    assert run(again, tmp_path / "run") == [result]
    assert again.asked == []
    assert "failed" not in (tmp_path / "run" / "summary.csv").read_text()


def test_a_refused_prompt_fails_its_cell_alone(tmp_path: Path) -> None:
    class Refusing(Parrot):
        def choose(self, prompts: Any, query: Any, *, seeds: Any) -> Any:
            for group in super().choose(prompts, query, seeds=seeds):
                if len(self.asked) == 4:
                    raise ModelError("HTTP 400: filtered")
                yield group

    problems = [problem("first"), problem("second")]
    failed, done = run(Refusing(), tmp_path / "run", problems=problems)

    assert (failed.status, failed.reason) == ("failed", "HTTP 400: filtered")
    assert done.score is not None
    assert done.score.accuracy == 1.0
    again = Parrot()
    assert [result.status for result in run(again, tmp_path / "run", problems=problems)] == [
        "done",
        "done",
    ]
    assert len(again.asked) == 10 - 3


def test_a_refused_key_ends_the_run(tmp_path: Path) -> None:
    class Locked(Parrot):
        def choose(self, prompts: Any, query: Any, *, seeds: Any) -> Any:
            self.asked += prompts[:1]
            raise CredentialError("the key is refused")

    model = Locked()
    with pytest.raises(CredentialError, match="refused"):
        run(model, tmp_path / "run", problems=[problem("first"), problem("second")])

    assert len(model.asked) == 1


def test_an_answer_is_on_disk_before_the_next_is_asked(tmp_path: Path) -> None:
    class Watching(Parrot):
        def choose(self, prompts: Any, query: Any, *, seeds: Any) -> Any:
            for number, group in enumerate(super().choose(prompts, query, seeds=seeds)):
                file = tmp_path / "run" / "replies.jsonl"
                lines = file.read_text().splitlines() if file.exists() else []
                assert len(lines) == number
                yield group

    run(Watching(), tmp_path / "run")


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    run(Parrot(), tmp_path / "run")
    with pytest.raises(RunError, match="holds another run"):
        run(Parrot(), tmp_path / "run", settings=Settings(seed=7))


def test_several_ways_and_problems_are_cells_of_their_own(tmp_path: Path) -> None:
    settings = Settings(modes=("generate", "constrained"))
    results = run(
        Parrot(), tmp_path / "run", problems=[problem("one"), problem("two")], settings=settings
    )

    assert [(r.cell.function, r.cell.method) for r in results] == [
        ("one", "generate"),
        ("one", "constrained"),
        ("two", "generate"),
        ("two", "constrained"),
    ]
    predictions = sorted(path.name for path in (tmp_path / "run" / "predictions").iterdir())
    assert len(predictions) == 4


def test_orders_differ_are_averaged_and_repeat_themselves(tmp_path: Path) -> None:
    class OrderSensitive(Parrot):
        """Right only where the first example is the one drawn first."""

        def choose(self, prompts: Any, query: Any, *, seeds: Any) -> Any:
            drawn_first = "\n\n00000000 -> 0\n" in prompts[0]
            self.says = None if drawn_first else "nothing"
            yield from super().choose(prompts, query, seeds=seeds)

    settings = Settings(orders=4)
    first, second = OrderSensitive(), OrderSensitive()
    (result,) = run(first, tmp_path / "a", settings=settings)
    run(second, tmp_path / "b", settings=settings)

    heads = [prompt[:-8] for prompt in first.asked[::10]]
    assert len(set(heads)) == 4
    assert sorted("".join(heads[0])) == sorted("".join(heads[3]))
    assert first.asked == second.asked
    assert first.seeds == second.seeds
    assert len(set(first.seeds)) == 40
    assert result.score is not None
    assert result.score.accuracies[0] == 1.0
    mean = sum(result.score.accuracies) / 4
    assert result.score.accuracy == pytest.approx(mean)
    assert result.score.low < mean < result.score.high


def test_prompts_beyond_the_context_are_refused_before_any_call(tmp_path: Path) -> None:
    model = Parrot(context_tokens=330)
    with pytest.raises(
        ConfigurationError, match=r"6 examples have up to 323 tokens .* holds 330: reduce --train"
    ):
        run(model, tmp_path / "run")
    model.context_tokens = 100
    with pytest.raises(ConfigurationError, match="not even one example fits"):
        run(model, tmp_path / "run")
    assert model.asked == []
    assert not (tmp_path / "run").exists()


def test_one_problem_beyond_the_context_is_skipped_and_the_others_are_done(tmp_path: Path) -> None:
    sizes = [len(str(plan_cells([problem(train=n)], Parrot(), Settings())[0])) for n in (6, 60)]
    assert sizes[0] < sizes[1]
    model = Parrot(context_tokens=600)
    results = run(model, tmp_path / "run", problems=[problem("long", 60), problem("short")])

    assert [(r.cell.function, r.status) for r in results] == [
        ("long", "skipped"),
        ("short", "done"),
    ]
    assert "reduce --train-size" in results[0].reason
    assert len(model.asked) == 10


def test_the_examples_said_to_fit_do_fit(tmp_path: Path) -> None:
    model = Parrot(context_tokens=600)
    with pytest.raises(ConfigurationError) as caught:
        run(model, tmp_path / "run", problems=[problem("long", 60)])
    fitting = int(str(caught.value).split("(about ")[1].split()[0])

    assert 1 < fitting < 60
    assert run(model, tmp_path / "run", problems=[problem("long", fitting)])[0].status == "done"


def test_a_way_that_the_model_lacks_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no probabilities"):
        run(Parrot(), tmp_path / "run", settings=Settings(modes=("generate", "likelihood")))


@pytest.mark.parametrize(
    "wrong",
    [{"modes": ()}, {"modes": ("guess",)}, {"orders": 0}, {"max_new_tokens": 0}, {"seed": -1}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**wrong)


def test_the_examples_of_a_task_are_the_first_rows_every_track_learns_from() -> None:
    request = GridRequest(functions=("fn_a",), lengths=(20,), trials=1, train_size=20, test_size=10)
    (one,) = task_problems(request, None)
    splits = one.load()

    from llm_pv.tasks.loading import load_task

    usual = load_task("fn_a", length=20, train_size=10, validation_size=10, test_size=10)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (20, 0, 10)
    assert set(splits.train.inputs) == {*usual.train.inputs, *usual.validation.inputs}
    assert splits.test == usual.test


def test_too_many_rows_of_ones_own_are_drawn_by_the_seed() -> None:
    splits = Splits(last_bit(100), last_bit(20, 100), last_bit(100, 120), CLASSES)
    drawn = [
        rows_problem(splits, "rows.csv", train_size=7, test_size=9, seed=seed).load()
        for seed in (1, 1, 2)
    ]

    assert [(len(d.train), len(d.test)) for d in drawn] == [(7, 9)] * 3
    assert drawn[0] == drawn[1]
    assert drawn[0].train != drawn[2].train
    assert set(drawn[0].train.inputs) <= set(splits.train.inputs)
    with pytest.raises(ConfigurationError, match="no test rows"):
        rows_problem(replace(splits, test=last_bit(0)), "rows", train_size=1, test_size=1, seed=0)


def test_an_order_holds_every_example_once() -> None:
    rows = last_bit(30)
    orders = [example_order(rows, order, 5) for order in range(5)]

    assert orders[0] is rows
    assert all(sorted(map(str, order.inputs)) == sorted(map(str, rows.inputs)) for order in orders)
    assert len({tuple(map(str, order.inputs)) for order in orders}) == 5


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    # Closed forms for none and all, and the textbook's 10 of 20.
    assert binomial_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert binomial_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))
    assert binomial_interval(10, 20) == pytest.approx((0.2720, 0.7280), abs=5e-5)


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    record = {
        "order": 0,
        "example": 0,
        "predicted": "0",
        "finish": "length",
        "input_tokens": 1,
        "output_tokens": 1,
        "cached_tokens": 0,
        "seconds": 1.0,
        "cost_usd": None,
    }
    other = record | {"example": 1, "cost_usd": 1.0, "finish": "stop", "predicted": None}
    score = score_cell([record, other], last_bit(2), Examples(["a", "b"], ["0", "0"]))

    assert score.cost_usd is None
    assert (score.accuracy, score.cut_share, score.unparsable_share) == (0.5, 0.5, 0.5)


def test_the_plan_writes_prompts_for_every_order() -> None:
    (work,) = plan_cells([problem()], Parrot(), Settings(orders=3))

    assert isinstance(work, PlannedCell)
    assert work.answers == 30
    assert json.dumps(work.prompts)


def test_labels_that_could_be_misread_are_written_as_json_strings() -> None:
    labels = ["a, b", "c\nd", "-> x", "plain"]
    rows = Examples(["r1", "r2", "r3", "r4"], labels)
    (prompt,) = write_prompts(rows, Classes.of(labels), ["r5"])

    lines = prompt.splitlines()
    assert 'r2 -> "c\\nd"' in lines
    assert 'r3 -> "-> x"' in lines
    assert "r4 -> plain" in lines
    assert '"a, b"' in lines[0]
    assert '"plain"' in lines[0]


def test_every_prompt_of_every_order_is_counted_against_the_context(tmp_path: Path) -> None:
    class Crowded(Parrot):
        """Counts the last prompt of the second order, which is not the longest, as too long."""

        def count_prompts(self, prompts: Sequence[str], query: LabelQuery) -> list[int]:
            return [900 if number == 19 else 10 for number, _ in enumerate(prompts)]

    settings = Settings(orders=2)
    with pytest.raises(ConfigurationError, match=r"up to 900 tokens.*holds 800"):
        run(Crowded(context_tokens=800), tmp_path / "run", settings=settings)
    run(Crowded(context_tokens=950), tmp_path / "run", settings=settings)


def test_answers_cut_off_are_told_apart_from_those_without_a_label(tmp_path: Path) -> None:
    class Cut(Parrot):
        def choose(self, prompts: Any, query: Any, *, seeds: Any) -> Any:
            for ((position, answer),) in super().choose(prompts, query, seeds=seeds):
                yield [(position, replace(answer, finish="length" if position < 3 else "stop"))]

    (result,) = run(Cut(says="perhaps"), tmp_path / "run")

    assert result.reason == (
        "10 of 10 answers held no label, 3 of them cut off at --max-new-tokens 1024"
    )
