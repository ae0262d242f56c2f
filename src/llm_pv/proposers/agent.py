"""An autonomous agent as a baseline: one long conversation with a Python tool.

It explores the training rows for a number of steps and submits a program or a model that learns
from them. Its steps and its time are those of the published comparison, whose runner was
MLAgentBench (arXiv 2310.03302): 30 steps, 1,800 seconds. The prompt and the tool are ours.
"""

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError, ProgramError
from llm_pv.models.language_model import LanguageModel
from llm_pv.programs.program import NO_ENTRY_POINT
from llm_pv.programs.replies import NOTHING_DEFINED, read_program
from llm_pv.programs.syntax import DATA_NAME
from llm_pv.proposers.base import Context, Proposal
from llm_pv.proposers.llm import LLM, LLMSettings, labelled_rows
from llm_pv.proposers.llm.prompt.notation import Notation
from llm_pv.proposers.spending import UNLIMITED, Budget
from llm_pv.sandbox import ToolLimits
from llm_pv.sandbox.execution import DEFAULT_TOOL_LIMITS

STEPS = 30
SECONDS = 1_800.0
PROMPT_ROWS = 10

MAX_ROWS_CHARACTERS = 900_000
"""The most characters of compressed training rows in a model; the sandbox accepts a million."""

_PROMPT = """\
You are an autonomous agent with a Python tool. A hidden rule gives every input a label. Study the
training rows with your tool and hand in code that labels new inputs: it is judged on inputs that
are not among the training rows.

{inputs} Each label is one of: {labels}.
{shown} of the {held} training rows, one a line, input -> label:

{examples}

You have at most {steps} steps and {seconds:,.0f} seconds. A step is one call of run_python, whose
code finds all {held} training rows as `rows`, a list of (input, label) pairs. Plan, look at the
rows, try rules and models, and hold some rows back to check yourself with: nobody else will.

When you are done, or the steps are used up, hand in. Answer with one JSON object and nothing else:
{{"code": "..."}}
Its code is a Python module that defines either f(x), which gets one input and returns its label;
or fit(inputs, labels), which learns from all the training rows and returns a function that gets a
list of inputs and returns the list of their labels. fit runs again wherever labels are asked for,
so it has to take a second at most and learn the same each time; it is called with random numbers
seeded. Each input has to be labelled by itself, whatever the others are. The code may import from
the standard library, numpy, sympy and networkx (there is no scikit-learn); it may not read files,
use the network or print.
"""

_DEFINES_FIT = r"^[ \t]*(?:(?:def|class)[ \t]+fit\b|fit[ \t]*=)"

_ENDING = """

import base64 as _base64, json as _json, random as _random, zlib as _zlib

{data_name} = "{rows}"
_training_inputs, _training_labels = _json.loads(_zlib.decompress(_base64.b64decode({data_name})))
_random.seed(0)
try:
    import numpy as _numpy

    _numpy.random.seed(0)
except ImportError:
    pass
_predict = fit(_training_inputs, _training_labels)
_predict = getattr(_predict, "predict", _predict)


def f(x):
    return list(_predict([x]))[0]
"""
"""Code that makes a submitted model a program: it learns when it is loaded, in the sandbox,
and nothing it has learned leaves the sandbox."""


class Agent(LLM):
    """A proposer with one proposal: the program or model that an agent submits after exploration.

    Raise ConfigurationError if a setting cannot work, or the model cannot call tools.

    Parameters
    ----------
    model
        The agent's language model; it must be able to call tools.
    seconds
        Time for the model and its tool in one trial. After it the tool no longer runs and the
        model has one turn to submit; calls started in time are completed.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        steps: int = STEPS,
        seconds: float = SECONDS,
        prompt_rows: int = PROMPT_ROWS,
        tool_limits: ToolLimits = DEFAULT_TOOL_LIMITS,
        allow_unconfined: bool = False,
        backend: Literal["auto", "linux", "wasm"] = "auto",
        budget: Budget = UNLIMITED,
    ) -> None:
        if steps < 1:
            raise ConfigurationError(f"is {steps}; give 1 or more", "steps")
        if not 0 < seconds < float("inf"):
            raise ConfigurationError(f"is {seconds}; give a positive number", "seconds")
        if "local" not in model.tool_places:
            raise ConfigurationError(
                f"{model.name} cannot call tools, which an agent needs: name another model"
            )
        settings = LLMSettings(
            tool="local",
            prompt_rows=prompt_rows,
            tool_calls=steps,
            tool_limits=tool_limits,
            most_seconds=seconds,
            allow_unconfined=allow_unconfined,
            backend=backend,
        )
        super().__init__(model, attempts=1, settings=settings, budget=budget)

    @property
    def name(self) -> str:
        """The name a run records."""
        return f"agent:{self.model.name}"

    @property
    def columns(self) -> dict[str, str]:
        """The agent's own track, since it is a baseline, and the model."""
        return {"track": "agent", "method": "agent", "model": self.model.name}

    @property
    def identity(self) -> str:
        """The model with its options, and what the agent may do."""
        return f"agent: {super().identity}; seconds={self.settings.most_seconds:g}"

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield what the agent submits, a model converted to a program.

        Raise ConfigurationError if there are more training rows than a program can carry; the model
        is not called then.
        """
        size = len(_written(train, classes))
        if size > MAX_ROWS_CHARACTERS:
            raise ConfigurationError(
                f"the training rows are {size:,} characters, compressed, and a model that an agent "
                f"hands in carries at most {MAX_ROWS_CHARACTERS:,}: give fewer --train-size"
            )
        for proposal in super().propose_in(train, classes, seed=seed, context=context):
            found = proposal
            if not proposal.failure:
                try:
                    found = replace(proposal, text=submitted_source(proposal.text, train, classes))
                except ProgramError as error:
                    found = replace(proposal, failure=str(error))
            yield found

    def _statement(
        self,
        rows: Examples,
        classes: Classes,
        alphabet: str,
        held: int,
        facts: str,  # noqa: ARG002 - an agent finds the facts by itself
    ) -> str:
        notation = Notation.of(rows, alphabet)
        seen = set(rows.labels)
        return _PROMPT.format(
            inputs=notation.about_inputs(),
            labels=notation.about_labels([text for text in classes.texts if text in seen], classes),
            shown=len(rows),
            held=held,
            examples="\n".join(map(notation.line, rows.inputs, rows.labels)),
            steps=self.settings.tool_calls,
            seconds=self.settings.most_seconds,
        )


def submitted_source(reply: str, train: Examples, classes: Classes) -> str:
    r"""Return an agent's final reply; a model in it is replaced by the source of a program.

    Raise ProgramError with a one-line reason, if it is neither a program nor a model.

    A model is code that defines ``fit`` and no ``f``. Its program contains the training rows and
    learns from them when it is loaded.

    Examples
    --------
    >>> rows = Examples(["0", "1"], ["a", "b"])
    >>> code = "def fit(inputs, labels):\n    return lambda new: [labels[0] for _ in new]"
    >>> source = submitted_source(f"```python\n{code}\n```", rows, Classes.of(["a", "b"]))
    >>> names = {}
    >>> exec(source, names)
    >>> names["f"]("1")
    'a'
    """
    try:
        read_program(reply, any_name=False)
    except ProgramError as error:
        no_program = error
    else:
        return reply
    ending = _ENDING.format(data_name=DATA_NAME, rows=_written(train, classes))
    try:
        return read_program(reply, mention=_DEFINES_FIT, ending=ending, any_name=False).source
    except ProgramError as no_model:
        if not str(no_model).endswith(NOTHING_DEFINED):
            raise
    if str(no_program).endswith((NOTHING_DEFINED, NO_ENTRY_POINT)):
        raise ProgramError("the reply holds no program: it defines neither f nor fit")
    raise no_program


def _written(train: Examples, classes: Classes) -> str:
    """Return training inputs and labels as base64 of compressed JSON."""
    rows = labelled_rows(train, classes)
    text = json.dumps([[item for item, _ in rows], [label for _, label in rows]])
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
