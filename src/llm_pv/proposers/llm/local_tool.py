"""The Python tool of a model: one for all cells, opened when it is first needed."""

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_pv.data.examples import Classes, Examples, Input
from llm_pv.proposers.llm_settings import LLMSettings
from llm_pv.sandbox import LabelledRows, PythonTool

if TYPE_CHECKING:  # that file imports the built-in search
    from llm_pv.proposers.llm.survey import Survey

RunCode = Callable[[str, int, Sequence[str]], tuple[str, float]]
"""Runs code with a seed after the definitions of earlier calls; returns its output and seconds."""


class LocalTool:
    """Runs a model's code, confined, on the training rows of any cell."""

    def __init__(self, settings: LLMSettings) -> None:
        self._settings = settings
        self._tool: PythonTool | None = None
        self._lock = threading.Lock()

    @property
    def description(self) -> str:
        """The description for a model."""
        return self._opened().description

    def on(self, train: Examples, classes: Classes, *, seed: int) -> RunCode:
        """Return a function that runs code on training rows; ``seed`` is that of their survey."""
        rows = LabelledRows(labelled_rows(train, classes))
        survey = self._survey(train, classes, seed)

        def run(code: str, call: int, earlier: Sequence[str]) -> tuple[str, float]:
            is_asked_for = any("survey" in source for source in (code, *earlier))
            text = survey.text() if survey is not None and is_asked_for else ""
            result = self._opened().run(code, rows, seed=call, earlier=earlier, survey=text)
            return result.output, result.seconds

        return run

    def _survey(self, train: Examples, classes: Classes, seed: int) -> "Survey | None":
        if "survey" not in self._settings.tool_functions:
            return None
        from llm_pv.proposers.llm.survey import Survey

        return Survey(train, classes, seed=seed)

    def close(self) -> None:
        """End its processes."""
        with self._lock:
            if self._tool is not None:
                self._tool.close()

    def _opened(self) -> PythonTool:
        settings = self._settings
        with self._lock:
            if self._tool is None:
                self._tool = PythonTool(
                    limits=settings.tool_limits,
                    functions=settings.tool_functions,
                    allow_unconfined=settings.allow_unconfined,
                    backend=settings.backend,
                )
            return self._tool


def labelled_rows(train: Examples, classes: Classes) -> list[tuple[Input, object]]:
    """Return training rows with labels as the values that a program returns."""
    plain = {
        text: value if isinstance(value, str | int | float | bool) else text
        for text, value in zip(classes.texts, classes.values, strict=True)
    }
    return [(row, plain[label]) for row, label in zip(train.inputs, train.labels, strict=True)]
