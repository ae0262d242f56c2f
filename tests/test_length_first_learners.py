"""The exact learners of the built-in search, on rules known beforehand."""

import random

import numpy as np
import pytest

from llm_pv.data.examples import Examples, Input
from llm_pv.proposers.length_first.automata import automata, best_automata
from llm_pv.proposers.length_first.columns import combined_columns
from llm_pv.proposers.length_first.coordinates import telling_positions
from llm_pv.proposers.length_first.expressions import Evaluator, Expression
from llm_pv.proposers.length_first.graphs import edges_of, graph_expressions
from llm_pv.proposers.length_first.ladders import best_ladders
from llm_pv.proposers.length_first.linear_gf2 import best_position_parities
from llm_pv.proposers.length_first.modular import best_weighted_sums, columns_of
from llm_pv.proposers.length_first.problem import Problem
from llm_pv.proposers.length_first.scan import best_scanned
from llm_pv.proposers.length_first.scoring import Target
from llm_pv.proposers.length_first.sequences import Part
from llm_pv.proposers.length_first.weights import mistake_bits


def target(labels: list[bool]) -> Target:
    return Target.of(np.arange(len(labels)), np.array(labels))


def number(code: str, values: list[float], bits: float = 3.0) -> Expression:
    return Expression(code, bits, np.array(values, dtype=np.float64))


def scanned(values: list[float], labels: list[bool]) -> str:
    found = best_scanned(
        [number("n", values)], target(labels), 20, lambda: False, lambda tried: None
    )
    return min(found, key=lambda one: one.cost).condition.code


@pytest.mark.parametrize(
    ("holds", "code"),
    [
        (lambda n: n >= 20, "n >= 20"),
        (lambda n: n == 7, "n == 7"),
        (lambda n: n != 7, "n != 7"),
        (lambda n: 10 <= n < 20, "10 <= n < 20"),
        (lambda n: n % 5 == 2, "n % 5 == 2"),
        (lambda n: n % 2 == 0, "n % 2 == 0"),
        (lambda n: n % 7 in (1, 2, 4), "n % 7 in (1, 2, 4)"),
    ],
)
def test_a_scan_finds_the_constants_of(holds: object, code: str) -> None:
    values = [float(n) for n in range(40)]
    assert callable(holds)
    assert scanned(values, [bool(holds(int(n))) for n in values]) == code


def test_there_are_as_many_automata_as_are_known_to_be() -> None:
    # Accessible automata with 1, 2, 3, 4 states over two letters, initial state named first.
    assert [len(automata(states, 2)) for states in (1, 2, 3, 4)] == [1, 12, 216, 5248]


def test_an_automaton_is_found_where_counting_does_not_help() -> None:
    chance = random.Random(0)
    rows = ["".join(chance.choices("ab", k=chance.randint(3, 15))) for _ in range(120)]

    def after_last_b(row: str) -> str:
        return "yes" if (len(row) - 1 - row.rfind("b")) % 2 else "no"

    labels = [after_last_b(row) for row in rows]
    problem = Problem.of(Examples(list(rows), labels), ["no", "yes"], seed=0)
    text = Part("x", 0.0, [str(row) for row in problem.rows])
    best = best_automata(text, problem, 1e9)[0]
    assert best.mistakes == 0
    assert 'moves = {"a": ' in best.body[0]
    assert best_automata(Part("x", 0.0, ["abcdefghi", "xyz"]), problem, 1e9) == []


def test_an_automaton_that_two_of_several_letters_move_is_found() -> None:
    chance = random.Random(0)
    rows = ["".join(chance.choices("TRab", k=chance.randint(5, 25))) for _ in range(100)]
    # On or off: T toggles, R switches off, the rest does nothing.
    labels = [str(row[row.rfind("R") + 1 :].count("T") % 2) for row in rows]
    problem = Problem.of(Examples(list(rows), labels), ["0", "1"], seed=0)
    text = Part("x", 0.0, [str(row) for row in problem.rows])
    best = best_automata(text, problem, 1e9)[0]
    assert best.mistakes == 0
    assert best.body[0] == 'moves = {"R": (0, 0), "T": (1, 0)}'


def test_a_parity_of_four_of_a_hundred_positions_is_found_in_spite_of_wrong_labels() -> None:
    chance = random.Random(1)
    rows = ["".join(chance.choices("01", k=100)) for _ in range(300)]
    chosen = (8, 17, 72, 97)
    labels = [(sum(int(row[i]) for i in chosen) + (chance.random() < 0.03)) % 2 for row in rows]
    target = Target.of(np.arange(300), np.array(labels) == 1, noise=0.03)
    best = best_position_parities(Part("x", 0.0, list(rows)), target, 20, lambda _: None)
    cheapest = min(best, key=lambda one: one.cost)
    assert "for i in (8, 17, 72, 97)) % 2 == 1" in cheapest.condition.code


def test_weights_of_a_check_digit_are_solved_for() -> None:
    chance = random.Random(1)
    weights = (7, 3, 1, 9, 2, 5)
    rows = ["".join(chance.choices("0123456789", k=6)) for _ in range(3000)]
    valid = [sum(w * int(c) for w, c in zip(weights, row, strict=True)) % 11 == 4 for row in rows]
    chosen = [r for r, ok in zip(rows, valid, strict=True) if ok][:40]
    chosen += [r for r, ok in zip(rows, valid, strict=True) if not ok][:40]
    members = [index < 40 for index in range(80)]
    first, *_ = columns_of(Part("x", 0.0, chosen), 80)
    best = best_weighted_sums(first, target(members))[0]
    assert best.mistakes == 0
    # Divided by the last weight, 5: its inverse modulo 11 is 9.
    expected = tuple(w * 9 % 11 for w in weights)
    remainder = 4 * 9 % 11
    assert best.condition.code == (
        f"sum(w * int(a) for w, a in zip({expected}, x)) % 11 == {remainder}"
    )


def test_a_ladder_names_three_classes_by_two_cuts() -> None:
    ages = list(range(5, 65))
    labels = ["child" if age < 18 else "adult" if age < 50 else "old" for age in ages]
    rows: list[Input] = [{"age": age} for age in ages]
    problem = Problem.of(Examples(rows, labels), ["adult", "child", "old"], seed=0)
    values = [float(str(row["age"])) for row in problem.rows if isinstance(row, dict)]
    best = best_ladders([number('x["age"]', values)], problem)[0]
    assert best.mistakes == 0
    assert best.body == (
        'if x["age"] < 18:',
        '    return "child"',
        'if x["age"] < 50:',
        '    return "adult"',
        'return "old"',
    )


def test_columns_are_divided_by_squares_and_compared_three_at_a_time() -> None:
    weight, height = [80.0, 60.0, 100.0], [2.0, 1.5, 2.0]
    found = {
        one.code: one.values.tolist()
        for one in combined_columns([number("w", weight), number("h", height)])
    }
    assert found["w / (h * h)"] == [20.0, 60.0 / 2.25, 25.0]
    assert found["max(h, w)" if "max(h, w)" in found else "max(w, h)"] == weight
    assert found["abs(w - h)"] == [78.0, 58.5, 98.0]


def test_the_positions_that_tell_most_are_summed() -> None:
    chance = random.Random(2)
    rows = ["".join(chance.choices("01", k=30)) for _ in range(150)]
    labels = [(row[3] + row[11] + row[20]).count("1") >= 2 for row in rows]
    codes = [one.code for one in telling_positions(Part("x", 0.0, rows), target(labels))]
    assert 'sum(x[i] == "1" for i in (3, 11, 20))' in codes


@pytest.mark.parametrize(
    "text", ["u1v2u2v3u3v1u4v5", "1-2 2-3 3-1 4-5", "(1, 2), (2, 3), (3, 1), (4, 5)"]
)
def test_edges_are_read_from_several_notations(text: str) -> None:
    other = text.replace("4", "1")
    rows = [text, other, text, other]
    evaluator = Evaluator(4)
    edges = edges_of(Part("x", 0.0, rows), "edges", evaluator, 4)
    assert edges is not None
    assert list(edges.rows[0]) == [("1", "2"), ("2", "3"), ("3", "1"), ("4", "5")]
    found = {one.code: one.values.tolist()[0] for one in graph_expressions(edges, evaluator, 4)}
    assert found["len(component_sizes(edges))"] == 2
    assert found["max(component_sizes(edges))"] == 3
    assert found["triangles(edges)"] == 1
    assert found["is_bipartite(edges)"] is False
    assert found["has_directed_cycle(edges)"] is True
    assert found["longest_distance(edges)"] == 1


def test_a_list_of_numbers_is_no_list_of_edges() -> None:
    evaluator = Evaluator(2)
    assert edges_of(Part("x", 0.0, ["1,2,3,4", "5,6"]), "edges", evaluator, 2) is None


def test_expected_noise_makes_that_many_mistakes_cheaper() -> None:
    plain, noisy = mistake_bits(100, 2), mistake_bits(100, 2, 0.05)
    assert noisy[5] < plain[5]
    assert noisy[0] <= noisy[5] <= noisy[20]
