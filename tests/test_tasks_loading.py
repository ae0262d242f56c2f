import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_pv.data.examples import Splits
from llm_pv.errors import ConfigurationError, DataError, RunError
from llm_pv.tasks import TASKS, SamplerName, load_task, task
from llm_pv.tasks.words import Words

# The ids and names of the published README; they never change.
PUBLISHED = {
    "fn_a": "parity_all",
    "fn_b": "parity_first_half",
    "fn_c": "patternmatch1",
    "fn_d": "patternmatch2",
    "fn_e": "parity_rand_3",
    "fn_f": "parity_rand_10",
    "fn_g": "palindrome",
    "fn_h": "dyck2",
    "fn_i": "prime_decimal",
    "fn_j": "automata_parity",
    "fn_k": "prime_decimal_tf_check",
    "fn_l": "sha256_parity",
    "fn_m": "adult_income",
    "fn_n": "mushroom",
    "fn_o": "cdc_diabetes",
    "fn_p": "htru2",
    "fn_q": "chess",
    "fn_t": "collatz_steps_parity",
    "fn_v": "prime_plus_47",
    "fn_aa": "graph_has_cycle",
}
BY_NAME = {
    "poly_f2_deg3",
    "prime_minus_5",
    "two_primes",
    "gcd_range",
    "graph_connected",
    "breast_cancer",
}


def texts(splits: Splits) -> list[str]:
    return [str(x) for part in (splits.train, splits.validation, splits.test) for x in part.inputs]


def test_every_published_id_and_name_is_there() -> None:
    assert {known.id: known.name for known in TASKS.values() if known.id} == PUBLISHED
    assert {known.name for known in TASKS.values() if not known.id} >= BY_NAME
    assert all(task(short) is task(name) for short, name in PUBLISHED.items())


def test_standard_lengths_are_the_published_ones() -> None:
    assert task("fn_h").lengths.default == (100, 80, 60, 40, 20)
    assert task("fn_aa").lengths.default == (300, 100)
    assert task("fn_q").lengths.default == (35,)
    assert task("fn_a").lengths.default == (100, 50, 30, 25, 20)


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean palindrome"):
        load_task("palindrom")
    with pytest.raises(ConfigurationError, match="lists them all"):
        load_task("!")


@pytest.mark.parametrize(
    ("name", "length", "message"),
    [
        ("fn_h", 30, "multiples of 4 from 20"),
        ("fn_h", 16, "multiples of 4 from 20"),
        ("fn_aa", 30, "from 36 to 594"),
        ("fn_aa", 600, "from 36 to 594"),
        ("fn_f", 9, "10 coordinates"),
        ("fn_c", 8, "8 bits"),
        ("fn_m", 15, "14 alone"),
    ],
)
def test_a_length_a_task_does_not_allow_is_refused(name: str, length: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_task(name, length=length)


def test_a_sampler_may_start_later_than_its_task() -> None:
    with pytest.raises(ConfigurationError, match="starts at length 48"):
        load_task("fn_aa", length=36, sampler="hard")
    with pytest.raises(ConfigurationError, match="choose 'paper' or 'hard'"):
        load_task("fn_a", sampler="easy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train_size": 3}, "train size 3"),
        ({"validation_size": -2}, "validation size -2"),
        ({"test_size": 10_002}, "at most 10,000"),
        ({"train_size": 0, "validation_size": 0, "test_size": 0}, "every split is empty"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"trial": -1}, "trial -1 is negative"),
    ],
)
def test_sizes_and_seeds_that_cannot_be_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_task("fn_a", **sizes)  # type: ignore[arg-type]


def test_table_options_are_for_tables() -> None:
    with pytest.raises(ConfigurationError, match="is no table"):
        load_task("fn_a", raw_tables=True)


@functools.cache
def six_hundred_rows(name: str) -> Splits:
    return load_task(name, length=20, train_size=100, validation_size=100, test_size=400)


@settings(max_examples=8, deadline=None)
@given(
    name=st.sampled_from(["fn_a", "fn_g", "fn_h"]),
    train=st.integers(0, 40),
    validation=st.integers(0, 40),
    test=st.integers(1, 60),
)
def test_smaller_sizes_are_prefixes_of_larger_ones(
    name: str, train: int, validation: int, test: int
) -> None:
    large = six_hundred_rows(name)
    small = load_task(
        name, length=20, train_size=2 * train, validation_size=2 * validation, test_size=2 * test
    )
    labelled = [*large.train.inputs, *large.validation.inputs]
    assert [*small.train.inputs, *small.validation.inputs] == labelled[: 2 * (train + validation)]
    assert list(small.test.inputs) == list(large.test.inputs[: 2 * test])


def test_two_hundred_training_rows_are_the_default_rows_together() -> None:
    halves = load_task("fn_k", length=40, test_size=20)
    whole = load_task("fn_k", length=40, train_size=200, validation_size=0, test_size=100)
    assert [*halves.train.inputs, *halves.validation.inputs] == list(whole.train.inputs)
    assert list(halves.test.inputs) == list(whole.test.inputs[:20])


def test_seeds_trials_samplers_and_tasks_share_no_rows() -> None:
    draws = [
        load_task("fn_a", seed=1),
        load_task("fn_a", seed=2),
        load_task("fn_a", seed=1, trial=1),
        load_task("fn_a", seed=2, trial=1),
        load_task("fn_b", seed=1),
        load_task("fn_a", seed=1, sampler="hard"),
    ]
    assert len({text for draw in draws for text in texts(draw)}) == 6 * 10_200


@pytest.mark.parametrize("length", [100, 50])
@pytest.mark.parametrize("name", ["fn_a", "fn_c", "fn_d", "fn_g", "fn_h", "fn_aa"])
def test_no_input_occurs_twice_at_full_size(name: str, length: int) -> None:
    length = 60 if (name, length) == ("fn_h", 50) else length
    splits = load_task(name, length=length)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (100, 100, 10_000)
    assert len(set(texts(splits))) == 10_200


@pytest.mark.parametrize(
    ("name", "members", "test_rows"), [("fn_g", "1,024", 1_848), ("fn_h", "1,344", 2_488)]
)
@pytest.mark.parametrize("seed", [42, 7])
def test_small_spaces_shrink_the_test_split_and_say_so(
    name: str, members: str, test_rows: int, seed: int
) -> None:
    splits = load_task(name, length=20, seed=seed)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (100, 100, test_rows)
    assert len(set(texts(splits))) == 200 + test_rows
    (warning,) = splits.warnings
    assert f"only {members} different inputs of class 1" in warning
    assert f"test {test_rows:,}" in warning


def test_strict_sizes_refuse_to_shrink() -> None:
    with pytest.raises(ConfigurationError, match=r"1,024 .* strict sizes forbid"):
        load_task("fn_g", length=20, strict_sizes=True)
    assert load_task("fn_g", length=20, test_size=1_800, strict_sizes=True).warnings == ()


def test_training_rows_shrink_before_the_test_split_is_empty() -> None:
    # 16 palindromes of 8 bits: half of them for training and validation, half for the test.
    splits = load_task("fn_g", length=8)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 8, 16)
    assert len(set(texts(splits))) == 32


def test_a_space_too_small_for_the_shape_asked_for_is_an_error() -> None:
    # Four palindromes of four bits: two for training and validation, of which it gets none.
    with pytest.raises(DataError, match=r"only 4 different inputs .* too few"):
        load_task("fn_g", length=4, train_size=2, validation_size=1_000)


def test_odd_lengths_work() -> None:
    for name in ("fn_a", "fn_c", "fn_g", "fn_k", "two_primes"):
        splits = load_task(name, length=33, train_size=10, validation_size=10, test_size=20)
        assert len(set(texts(splits))) == 40


def test_other_lengths_are_told_for_tasks_that_mean_the_same_at_each() -> None:
    assert task("fn_g").other_lengths(50) == (100, 200)
    assert task("fn_h").other_lengths(20) == (40, 80)
    assert task("fn_k").other_lengths(100) == (200,)
    assert task("fn_aa").other_lengths(100) == (200, 400)
    assert task("fn_aa").other_lengths(300) == (594,)
    assert task("fn_aa").other_lengths(594) == ()
    for name in ("fn_e", "fn_f", "poly_f2_deg3", "fn_m"):
        assert task(name).other_lengths(100) == ()


def test_stored_data_sets_come_back_the_same(tmp_path: Path) -> None:
    first = load_task("fn_h", length=20, dataset_dir=tmp_path)
    again = load_task("fn_h", length=20, dataset_dir=tmp_path)
    assert again == first
    assert load_task("fn_h", length=20) == first
    (directory,) = (tmp_path / "dyck2" / "L20").iterdir()
    assert directory.name.startswith("seed")
    line = (directory / "train.txt").read_text().splitlines()[0]
    assert line == f"{first.train.inputs[0]} -> {first.train.labels[0]}"
    load_task("fn_h", length=20, dataset_dir=tmp_path, seed=1)
    load_task("fn_h", length=20, dataset_dir=tmp_path, sampler="hard", test_size=100)
    assert len(list((tmp_path / "dyck2" / "L20").iterdir())) == 3


def test_a_directory_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RunError, match="choose another dataset directory"):
        load_task("fn_a", test_size=20, dataset_dir=blocked)


def test_the_package_imports_without_its_heavy_parts() -> None:
    code = (
        "import sys, llm_pv.tasks; "
        "print(sorted({'gmpy2', 'sympy', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    source = Path(__file__).parent.parent / "src"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(source)},
    )
    assert done.stdout.strip() == "[]"


@given(bound=st.integers(1, 2**32 - 1), seed=st.integers(0, 10**6))
def test_bounded_draws_are_the_scaled_words(bound: int, seed: int) -> None:
    raw = [int(word) for word in Words(str(seed)).raw(5)]
    expected = [(word * bound) >> 64 for word in raw]
    drawn = Words(str(seed)).below(bound, 5).tolist()
    # The lowest 32 bits of the product are rounded away before the carry.
    assert all(value in (exact, exact - 1) for value, exact in zip(drawn, expected, strict=True))
    assert all(0 <= value < bound for value in drawn)


def test_draws_of_every_kind_are_uniform() -> None:
    words = Words("uniform")
    counts = np.bincount(words.below(6, 60_000), minlength=6)
    assert np.abs(counts - 10_000).max() < 500
    assert abs(words.bits(300, 200).mean() - 0.5) < 0.01
    pairs = words.distinct(40_000, 4, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert np.abs(np.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16)[1:4] - 3_333).max() < 300
    allowed = np.tile(np.array([True, False, True, True]), (30_000, 1))
    picked = np.bincount(words.choose(allowed), minlength=4)
    assert picked[1] == 0
    assert np.abs(picked[[0, 2, 3]] - 10_000).max() < 500
    assert sorted(words.permutation(50).tolist()) == list(range(50))


@pytest.mark.parametrize(
    ("name", "sampler"),
    [
        (each.name, sampler)
        for each in TASKS.values()
        if not each.alphabet.startswith("table")
        for sampler in each.samplers
    ],
)
def test_every_sampler_draws_at_the_smallest_length_it_declares(
    name: str, sampler: SamplerName
) -> None:
    lengths = [length for length in range(2, 60) if _takes(name, length, sampler)]
    splits = load_task(
        name, length=lengths[0], sampler=sampler, train_size=2, validation_size=2, test_size=2
    )
    assert sorted(splits.train.labels) == ["0", "1"]


def _takes(name: str, length: int, sampler: SamplerName) -> bool:
    try:
        task(name).check_length(length, sampler)
    except ConfigurationError:
        return False
    return True
