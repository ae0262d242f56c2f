"""The published figures as they are packaged."""

from pathlib import Path

import llm_pv.tracks.published as module
from llm_pv.tracks.published import LLM_PV_METHODS, OTHER_METHODS, ROWS, published


def test_figures_are_found_by_function_and_length_on_the_paper_s_sampler() -> None:
    figures = published("fn_v", 100, "paper")
    assert figures["LLM-PV-GPT-5"] == 0.806
    assert figures["TabPFN"] == 0.654
    assert published("fn_aa", 300, "paper")["LLM-PV-Gemini-3.1-Pro"] == 0.961
    assert published("fn_v", 50, "paper") == {}
    assert published("fn_v", 100, "hard") == {}
    assert published("breast_cancer", 30, "paper") == {}


def test_every_column_is_an_llm_pv_method_or_another_and_every_figure_a_share() -> None:
    text = (Path(module.__file__).parent / "published_accuracy.csv").read_text()
    header, *lines = text.splitlines()
    assert header.split(",")[4:] == [*OTHER_METHODS[:5], *LLM_PV_METHODS, *OTHER_METHODS[5:]]
    assert len(lines) == 13
    for line in lines:
        function, _, _, length, *_ = line.split(",")
        figures = published(function, int(length), "paper")
        assert len(figures) == 13
        assert all(0 <= share <= 1 for share in figures.values())


def test_every_kind_of_published_column_has_its_rows_said() -> None:
    kinds = {"LLM-PV", "XGBoost", "TabPFN", "SGD", "Fine-tune", "ICL", "MLAgentBench"}
    for method in (*LLM_PV_METHODS, *OTHER_METHODS):
        assert sum(method.startswith(kind) for kind in kinds) == 1, method
    for kind in kinds:
        assert kind in ROWS
