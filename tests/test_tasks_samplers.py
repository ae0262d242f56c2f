from collections import Counter

import networkx as nx
import numpy as np
import pytest
import sympy

from llm_pv.data.examples import Splits
from llm_pv.tasks import TASKS, SamplerName, Task, load_task, task
from llm_pv.tasks.patterns import longest_runs, near_misses

DRAWN = [known for known in TASKS.values() if known.alphabet != "table"]
SAMPLERS: tuple[SamplerName, ...] = ("paper", "hard")


def rows(splits: Splits) -> list[tuple[str, str]]:
    parts = (splits.train, splits.validation, splits.test)
    return [(str(x), y) for part in parts for x, y in zip(part.inputs, part.labels, strict=True)]


def by_class(splits: Splits) -> tuple[list[str], list[str]]:
    both = rows(splits)
    return [x for x, y in both if y == "0"], [x for x, y in both if y == "1"]


def some_length(known: Task) -> int:
    return {"graph": 96, "decimal": 31}.get(known.alphabet, 40)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("known", DRAWN, ids=lambda known: known.name)
def test_rows_are_balanced_different_and_labelled_by_the_target(
    known: Task, sampler: SamplerName
) -> None:
    splits = load_task(
        known.name, length=some_length(known), sampler=sampler, train_size=40, validation_size=60,
        test_size=200, seed=3,
    )  # fmt: skip
    assert splits.warnings == ()
    for part, size in ((splits.train, 40), (splits.validation, 60), (splits.test, 200)):
        assert Counter(part.labels) == {"0": size // 2, "1": size // 2}
    texts = [x for x, _ in rows(splits)]
    assert len(set(texts)) == 300
    assert [str(label) for label in known.target(texts)] == [y for _, y in rows(splits)]


@pytest.mark.parametrize(
    ("name", "width"), [("palindrome", 51), ("two_primes", 102), ("gcd_range", 102), ("fn_k", 51)]
)
def test_inputs_have_the_width_their_task_says(name: str, width: int) -> None:
    splits = load_task(name, length=51, train_size=10, validation_size=0, test_size=20)
    assert {len(x) for x, _ in rows(splits)} == {width}
    if task(name).alphabet == "decimal":
        assert not any(x.startswith("0") for x, _ in rows(splits))


def test_paper_negatives_are_palindromes_with_one_bit_flipped() -> None:
    for length in (25, 40):
        zeros, _ = by_class(load_task("fn_g", length=length, test_size=400))
        assert {sum(a != b for a, b in zip(x, x[::-1], strict=True)) for x in zeros} == {2}


def test_hard_palindromes_keep_the_ones_of_each_half_and_both_ends() -> None:
    zeros, ones = by_class(load_task("fn_g", length=50, sampler="hard", test_size=2_000))
    assert all(x[:25].count("1") == x[25:].count("1") and x[0] == x[-1] for x in zeros + ones)
    distances = Counter(sum(a != b for a, b in zip(x, x[::-1], strict=True)) // 2 for x in zeros)
    # One to L/8 = 6 swaps of two bits.
    assert set(distances) <= set(range(1, 13))
    assert distances[2] > len(zeros) / 3


def test_paper_brackets_lie_within_five_flips_of_a_balanced_word() -> None:
    splits = load_task("fn_h", length=20, train_size=20, validation_size=20)
    zeros, ones = by_class(splits)
    # At length 20 the data set holds every balanced word: 42 shapes of 5 pairs, 2 kinds each.
    assert len(set(ones)) == 42 * 2**5
    balanced = np.array([int(x, 2) for x in ones])
    for text in zeros[:200]:
        distances = np.bitwise_count(balanced ^ int(text, 2))
        assert 1 <= distances.min() <= 5


def test_hard_brackets_keep_the_counts_and_break_depth_for_half() -> None:
    zeros, ones = by_class(load_task("fn_h", length=60, sampler="hard", test_size=4_000))

    def tokens(text: str) -> list[str]:
        return [text[i : i + 2] for i in range(0, len(text), 2)]

    def lowest(text: str) -> int:
        return int(np.cumsum([1 if t[1] == "0" else -1 for t in tokens(text)]).min())

    for text in zeros + ones:
        counts = Counter(tokens(text))
        assert counts["00"] == counts["01"]
        assert counts["10"] == counts["11"]
        assert tokens(text)[0][1] == "0"
        assert tokens(text)[-1][1] == "1"
    broken = sum(lowest(text) < 0 for text in zeros) / len(zeros)
    assert 0.45 < broken < 0.55


@pytest.mark.parametrize("length", [20, 100])
@pytest.mark.parametrize("name", ["patternmatch1", "patternmatch2"])
def test_hard_patterns_share_near_misses_and_longest_runs(name: str, length: int) -> None:
    code = {"patternmatch1": 0b10101010, "patternmatch2": 0b00111111}[name]
    splits = load_task(name, length=length, sampler="hard", test_size=10_000)
    sides = [
        np.array([list(x.encode()) for x in side], dtype=np.uint8) for side in by_class(splits)
    ]
    for zeros_have, ones_have in (
        [near_misses(side, code) for side in sides],
        [longest_runs(side, ord("1")) for side in sides],
        [longest_runs(side, ord("0")) for side in sides],
    ):
        zeros, ones = np.bincount(zeros_have, minlength=101), np.bincount(ones_have, minlength=101)
        # They agree but for where a block was cut and, in small spaces, for repeated inputs.
        assert np.abs(zeros - ones).sum() < 0.15 * len(sides[0])


def test_longest_runs_and_near_misses_are_counted_as_they_look() -> None:
    side = np.array([list(b"0011101111"), list(b"1111111111")], dtype=np.uint8)
    assert longest_runs(side, ord("1")).tolist() == [4, 10]
    assert longest_runs(side, ord("0")).tolist() == [2, 0]
    near = np.array([list(b"00111101"), list(b"00111111"), list(b"11111111")], dtype=np.uint8)
    assert near_misses(near, 0b00111111).tolist() == [1, 0, 0]


@pytest.mark.parametrize(("name", "offset"), [("fn_k", 0), ("fn_v", 47)])
def test_paper_composites_end_as_primes_do(name: str, offset: int) -> None:
    zeros, _ = by_class(load_task(name, length=31, test_size=200))
    assert {(int(x) - offset) % 10 for x in zeros} == {1, 3, 7, 9}


def test_paper_composites_of_fn_i_end_in_any_digit() -> None:
    zeros, _ = by_class(load_task("fn_i", length=31, test_size=1_000))
    assert {x[-1] for x in zeros} == set("0123456789")


@pytest.mark.parametrize(("name", "offset"), [("fn_i", 0), ("fn_v", 47), ("prime_minus_5", 5)])
def test_hard_composites_have_no_factor_below_a_thousand(name: str, offset: int) -> None:
    zeros, _ = by_class(load_task(name, length=31, sampler="hard", test_size=200))
    small = list(sympy.primerange(1_000))
    assert not any((int(x) - offset) % p == 0 for x in zeros for p in small)


def test_pairs_of_numbers_come_in_all_four_kinds() -> None:
    zeros, ones = by_class(load_task("two_primes", length=31, test_size=200))
    kinds = Counter((sympy.isprime(int(x[:31])), sympy.isprime(int(x[31:]))) for x in zeros + ones)
    assert min(kinds.values()) > 50
    assert len(kinds) == 4


def graphs(side: list[str]) -> "list[nx.Graph[str]]":
    return [
        nx.Graph([(x[i + 1 : i + 3], x[i + 4 : i + 6]) for i in range(0, len(x), 6)]) for x in side
    ]


def triangles(graph: "nx.Graph[str]") -> int:
    return sum(len(set(graph[a]) & set(graph[b])) for a, b in graph.edges) // 3


def test_paper_graphs_are_triangles_or_one_tree_with_an_edge_more() -> None:
    zeros, ones = by_class(load_task("fn_aa", length=300, test_size=100))
    for g in graphs(zeros):
        assert (len(g), g.number_of_edges(), nx.is_connected(g)) == (50, 50, True)
    for g in graphs(ones):
        assert (len(g), g.number_of_edges()) == (50, 50)
        assert triangles(g) >= 16


@pytest.mark.parametrize("name", ["graph_has_cycle", "graph_connected"])
@pytest.mark.parametrize("length", [48, 100, 594])
def test_hard_graphs_share_vertices_and_degrees(name: str, length: int) -> None:
    zeros, ones = by_class(load_task(name, length=length, sampler="hard", test_size=2_000))
    sides = [graphs(zeros[:500]), graphs(ones[:500])]
    for g in sides[0] + sides[1]:
        assert g.number_of_edges() == length // 6
        assert triangles(g) == 0
        assert min(len(part) for part in nx.connected_components(g)) >= 3
    means = [np.mean([len(g) for g in side]) for side in sides]
    leaves = [np.mean([sum(d == 1 for _, d in g.degree()) for g in side]) for side in sides]
    assert abs(means[0] - means[1]) < 0.5
    assert abs(leaves[0] - leaves[1]) < 0.7
    if length > 48:
        assert len({len(g) for g in sides[0]}) > 2
