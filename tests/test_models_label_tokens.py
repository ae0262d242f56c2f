"""Labels as tokens: what may follow, what decides, and what prompts share."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_pv.errors import ConfigurationError
from llm_pv.models.label_queries import LabelTokens, shared_length

words = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple),
    min_size=1,
    max_size=8,
    unique=True,
)


def ended(labels: list[tuple[int, ...]]) -> LabelTokens:
    """Labels that end with a token of their own, so that none begins with another."""
    return LabelTokens.of([(*label, 9) for label in labels])


def test_labels_of_one_token_are_decided_where_they_differ() -> None:
    labels = LabelTokens.of([(5, 1, 7), (5, 2, 7)])

    assert labels.deciding() == [(5, 1), (5, 2)]
    assert labels.paths() == [(5,)]


def test_a_label_that_another_begins_with_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="labels 1 and 2"):
        LabelTokens.of([(1,), (1, 0)])


def test_each_token_that_ends_an_answer_ends_a_label() -> None:
    labels = LabelTokens.of([(1, 7), (1, 0, 7)], ends=(7, 8))

    assert set(labels.following((1,))) == {7, 8, 0}
    assert labels.following((1, 0)) == (7, 8)
    assert [labels.label_of(one) for one in ([1, 8, 5], [1, 0, 7], [1, 5], [1], [])] == [
        0,
        1,
        None,
        None,
        None,
    ]


@given(words)
def test_following_what_is_allowed_always_writes_a_label(labels: list[tuple[int, ...]]) -> None:
    tokens = ended(labels)
    for choice in (min, max):
        written: tuple[int, ...] = ()
        while following := tokens.following(written):
            written = (*written, choice(following))
        assert written in tokens.tokens


@given(words)
def test_deciding_tokens_are_of_one_label_alone_and_no_shorter_ones_are(
    labels: list[tuple[int, ...]],
) -> None:
    tokens = ended(labels)
    for label, deciding in zip(tokens.tokens, tokens.deciding(), strict=True):
        begun = [other for other in tokens.tokens if other[: len(deciding)] == deciding]
        assert begun == [label]
        shorter = [other for other in tokens.tokens if other[: len(deciding) - 1] == deciding[:-1]]
        assert len(shorter) > 1 or len(deciding) == 1


@given(words)
def test_every_deciding_token_shows_on_some_path(labels: list[tuple[int, ...]]) -> None:
    tokens = ended(labels)
    paths = tokens.paths()

    for deciding in tokens.deciding():
        assert any(path[: len(deciding) - 1] == deciding[:-1] for path in paths)
    assert len(set(paths)) == len(paths)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=6))
def test_prompts_share_exactly_what_all_begin_with(prompts: list[list[int]]) -> None:
    length = shared_length(prompts)

    assert all(prompt[:length] == prompts[0][:length] for prompt in prompts)
    assert all(len(prompt) > length for prompt in prompts)
    longer = length + 1
    assume(all(len(prompt) > longer for prompt in prompts))
    assert any(prompt[:longer] != prompts[0][:longer] for prompt in prompts)
