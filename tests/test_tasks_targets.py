import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_pv.errors import DataError, MissingExtraError
from llm_pv.tasks import TASKS, Task, task
from llm_pv.tasks.numerals import prime_test
from llm_pv.tasks.parity import coordinates
from llm_pv.tasks.polynomial import monomials

_SPEC = importlib.util.spec_from_file_location(
    "tasks_oracles", Path(__file__).with_name("tasks_oracles.py")
)
assert _SPEC is not None
assert _SPEC.loader is not None
oracles = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(oracles)

BINARY = [
    name for name, known in TASKS.items() if known.alphabet == "binary" and name in oracles.ORACLES
]
DECIMAL = [name for name, known in TASKS.items() if known.alphabet == "decimal"]
GRAPH = [name for name, known in TASKS.items() if known.alphabet == "graph"]

binary_text = st.text("01", min_size=1, max_size=40)
edge = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda e: f"u{e[0]:02d}v{e[1]:02d}")


@pytest.mark.parametrize("name", BINARY)
@given(texts=st.lists(binary_text, min_size=1, max_size=8))
def test_binary_targets_agree_with_a_plain_reading(name: str, texts: list[str]) -> None:
    assert task(name).target(texts).tolist() == [oracles.ORACLES[name](text) for text in texts]


@given(
    halves=st.lists(st.tuples(st.text("01", max_size=9), st.text("01", max_size=9)), min_size=1),
    pattern=st.sampled_from(["10101010", "00111111"]),
)
def test_patterns_are_found_wherever_they_stand(
    halves: list[tuple[str, str]], pattern: str
) -> None:
    name = "patternmatch1" if pattern == "10101010" else "patternmatch2"
    texts = [before + pattern + after for before, after in halves]
    assert task(name).target(texts).all()


@given(data=st.data())
def test_brackets_grown_by_the_grammar_are_balanced(data: st.DataObject) -> None:
    word = data.draw(
        st.recursive(
            st.just(""),
            lambda inner: st.tuples(st.sampled_from(["00{}01{}", "10{}11{}"]), inner, inner).map(
                lambda parts: parts[0].format(parts[1], parts[2])
            ),
            max_leaves=12,
        )
    )
    if word:
        assert task("dyck2").target([word]).tolist() == [1]


@given(half=st.text("01", max_size=20), middle=st.sampled_from(["", "0", "1"]))
def test_a_string_and_its_reverse_make_a_palindrome(half: str, middle: str) -> None:
    text = half + middle + half[::-1]
    if text:
        assert task("palindrome").target([text]).tolist() == [1]


@pytest.mark.parametrize("name", DECIMAL)
@given(numbers=st.lists(st.integers(1, 10**24), min_size=1, max_size=4))
def test_decimal_targets_agree_with_a_plain_reading(name: str, numbers: list[int]) -> None:
    texts = [f"{number:04d}" for number in numbers]
    assert task(name).target(texts).tolist() == [oracles.ORACLES[name](text) for text in texts]


@pytest.mark.parametrize("name", ["prime_decimal", "prime_plus_47", "prime_minus_5"])
def test_small_numbers_are_told_apart_exactly(name: str) -> None:
    texts = [f"{number:04d}" for number in range(3_000)]
    assert task(name).target(texts).tolist() == [oracles.ORACLES[name](text) for text in texts]


def test_carmichael_numbers_are_no_primes() -> None:
    assert not task("prime_decimal").target(["0561", "1105", "1729", "2465", "6601"]).any()


@pytest.mark.parametrize("start", [1, 4_000, 2**12 - 2, 2**24 - 3, 10**30])
def test_collatz_steps_are_counted_one_by_one(start: int) -> None:
    texts = [str(number) for number in range(start, start + 300)]
    expected = [oracles.collatz(text) for text in texts]
    assert task("fn_t").target(texts).tolist() == expected


@pytest.mark.parametrize("name", GRAPH)
@given(graphs=st.lists(st.lists(edge, min_size=1, max_size=14).map("".join), min_size=1))
def test_graph_targets_agree_with_networkx(name: str, graphs: list[str]) -> None:
    assert task(name).target(graphs).tolist() == [oracles.ORACLES[name](g) for g in graphs]


def test_an_edge_between_zeros_is_none() -> None:
    assert task("graph_connected").target(["u01v02u00v00", "u00v00u00v00"]).tolist() == [1, 0]
    # Six edges of which two are independent cycles; with the padding counted it would be seven.
    two_cycles = "u01v02u02v03u03v01u04v05u05v06u06v04" + "u00v00" * 8
    assert task("graph_has_cycle").target([two_cycles]).tolist() == [1]


@pytest.mark.parametrize("text", ["u1v2", "u01v0", "01u02v", "uu1v02", "u01v02u"])
def test_what_is_no_edge_list_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"six characters|two digits"):
        task("fn_aa").target([text])


@pytest.mark.parametrize(("name", "text"), [("fn_a", "0102"), ("fn_k", "12a4"), ("fn_g", "0é1")])
def test_characters_outside_the_alphabet_are_refused(name: str, text: str) -> None:
    with pytest.raises(DataError, match="is no input of"):
        task(name).target(["0" * len(text), text])


def test_the_random_parities_use_the_published_coordinates() -> None:
    assert coordinates(10).tolist() == oracles.COORDINATES[10]
    assert coordinates(100)[:3].tolist() == [42, 96, 62]


@given(texts=st.lists(st.text("01", min_size=10, max_size=10), min_size=1))
def test_random_parities_agree_with_a_plain_reading(texts: list[str]) -> None:
    first = oracles.COORDINATES[10]
    for name, count in (("parity_rand_3", 3), ("parity_rand_10", 10)):
        expected = [sum(int(x[i]) for i in first[:count]) % 2 for x in texts]
        assert task(name).target(texts).tolist() == expected


@pytest.mark.parametrize("length", [5, 20, 50, 77, 100, 400])
def test_polynomials_have_three_monomials_on_few_coordinates(length: int) -> None:
    products = monomials(length)
    relevant = {i for product in products for i in product}
    assert len(set(products)) == 3
    assert all(1 <= len(set(product)) <= 3 for product in products)
    assert len(relevant) <= min(10, max(5, length // 10))
    assert relevant <= set(range(length))


@given(rows=st.lists(st.text("01", min_size=30, max_size=30), min_size=1))
def test_polynomials_are_sums_of_products(rows: list[str]) -> None:
    expected = [sum(all(x[i] == "1" for i in p) for p in monomials(30)) % 2 for x in rows]
    assert task("poly_f2_deg3").target(rows).tolist() == expected


def test_polynomials_are_fixed_for_good() -> None:
    text = json.dumps([monomials(length) for length in (20, 25, 30, 50, 100)])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "bd770e21a97ae5d7"


@pytest.mark.parametrize("known", TASKS.values(), ids=lambda known: known.name)
def test_every_example_has_its_label(known: Task) -> None:
    chosen = task(known.name)
    if chosen.target_function is not None:
        assert chosen.target(list(chosen.examples)).tolist() == [0, 1]


def test_inputs_of_several_lengths_keep_their_order() -> None:
    texts = ["1", "0011", "111", "0", "0111"]
    assert task("fn_a").target(np.array(texts)).tolist() == [1, 0, 1, 0, 1]


@pytest.fixture
def _fresh_prime_test() -> object:
    prime_test.cache_clear()
    yield None
    prime_test.cache_clear()


@pytest.mark.usefixtures("_fresh_prime_test")
def test_sympy_stands_in_where_gmpy2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gmpy2", None)
    assert task("fn_k").target(["1007", "1009"]).tolist() == [0, 1]


@pytest.mark.usefixtures("_fresh_prime_test")
def test_without_either_library_the_message_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "gmpy2", None)
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(MissingExtraError, match=r"llm-pv\[tasks\]"):
        task("fn_k").target(["1009"])


@pytest.mark.parametrize("name", ["adult_income", "breast_cancer"])
def test_a_table_has_no_target_function(name: str) -> None:
    with pytest.raises(DataError, match="come with its rows"):
        task(name).target(["x0:1"])
