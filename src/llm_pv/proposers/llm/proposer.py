"""Programs proposed by a language model: the method of the paper, with any model.

Source: LLM Priors for ERM over Programs, arXiv 2510.14331. The model is shown the training rows
and asked for a program, several times independently. It may run Python on the training rows, in a
sandbox of its own; nothing else is within reach of that tool.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import ConfigurationError, ToolRefusedError
from llm_pv.models.base import Preview, Request, ToolOffer, Usage, UserMessage
from llm_pv.models.language_model import LanguageModel
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.llm.conversation import Dialogue
from llm_pv.proposers.llm.costs import Call, next_call
from llm_pv.proposers.llm.earlier_programs import MOST_TOKENS, EarlierPrograms
from llm_pv.proposers.llm.local_tool import LocalTool
from llm_pv.proposers.llm.prompt.facts import facts
from llm_pv.proposers.llm.prompt.messages import no_program_message, refinement_message
from llm_pv.proposers.llm.prompt.notation import alphabet_of
from llm_pv.proposers.llm.prompt.row_choice import (
    INFORMATIVE_ROWS,
    MOST_PROMPT_TOKENS,
    fit_to_tokens,
    informative_rows,
    subsample,
)
from llm_pv.proposers.llm.prompt.statement import problem_statement, prompt_digest
from llm_pv.proposers.llm.scheduler import Scheduler, attempt_seed
from llm_pv.proposers.llm.turns import TURN, Recorded, amounts, spent
from llm_pv.proposers.llm_settings import DEFAULT_ATTEMPTS, LLMSettings
from llm_pv.proposers.spending import UNLIMITED, Budget, BudgetTracker, Spending

DEFAULT_SETTINGS = LLMSettings()
"""Prompts as the paper does."""
LEARN_SETTINGS = LLMSettings(
    refinements=1,
    prompt_rows="auto",
    answer_format="python",
    programs_per_reply=5,
    facts=True,
    tool_functions=("check", "survey"),
)
"""How `llm_pv.learn` and ``llm-pv learn`` prompt unless options say otherwise."""

_AROUND_PROMPT, _ABOUT_TOOL = 200, 1_000  # tokens of a request besides the prompt, generously


class LLM(Proposer):
    """A proposer that calls a language model; use it as a context manager, or call `close`.

    Raise ConfigurationError if the settings do not fit the model, or a budget in US dollars meets
    an unknown price.

    Attempts of all cells share one budget. They run concurrently, as many as the run admits, and
    are yielded in their order.

    Parameters
    ----------
    model
        The language model.
    attempts
        Independent attempts in each cell.
    settings
        How it is prompted.
    budget
        The budget, or the tracker of one that several proposers share.

    Attributes
    ----------
    tracker
        The spending so far.
    """

    free = False
    interleaved = True
    "A reply costs money, or waits for a server."

    def __init__(
        self,
        model: LanguageModel,
        *,
        attempts: int = DEFAULT_ATTEMPTS,
        settings: LLMSettings = DEFAULT_SETTINGS,
        budget: Budget | BudgetTracker = UNLIMITED,
    ) -> None:
        if attempts < 1:
            raise ConfigurationError(f"is {attempts}; at least 1 is needed", "attempts")
        self.model = model
        self.attempts = attempts
        self.settings = settings
        self.tool_place = settings.tool_place(model)
        self.tracker = budget if isinstance(budget, BudgetTracker) else BudgetTracker(budget)
        self._tool = LocalTool(settings)
        self._cancelled = threading.Event()
        if settings.samples_per_call > model.most_samples:
            raise ConfigurationError(
                f"{model.name} returns at most {model.most_samples} answer a call; leave out "
                f"--samples-per-call {settings.samples_per_call}"
            )
        if self.tracker.budget.usd is not None and model.price(Usage(1_000, 1_000)) is None:
            raise ConfigurationError(
                f"the price of {model.name} is not known, so --budget-usd cannot be kept: give "
                "--price-in and --price-out, or --budget-tokens"
            )

    @property
    def name(self) -> str:
        """The name a run records."""
        return f"llm:{self.model.name}"

    @property
    def columns(self) -> dict[str, str]:
        """The method ``llm`` and the model."""
        return {"track": "llm-pv", "method": "llm", "model": self.model.name}

    @property
    def identity(self) -> str:
        """The model with its options, and the settings."""
        return f"{self.model.identity}; {self.settings.identity(self.tool_place)}"

    @property
    def about(self) -> str:
        """The description of the rows that the prompt holds."""
        return self.settings.about

    @property
    def default_attempts(self) -> int:
        """The most programs of its attempts and their refinements."""
        settings = self.settings
        return self.attempts * (1 + settings.refinements) * settings.programs_per_reply

    def plan_attempts(self, requested: int | None) -> int:
        """Return the most programs of the attempts and their refinements.

        Raise ConfigurationError if another number of attempts is requested than the proposer was
        made with.
        """
        if requested not in {None, self.attempts}:
            raise ConfigurationError(
                f"is {requested}, the proposer's is {self.attempts}; give it there", "attempts"
            )
        return self.default_attempts

    def open(self, turns: Iterable[Mapping[str, Any]]) -> None:
        """Count the spending of an earlier part of the run, from its records of turns."""
        for amount in amounts(turns):
            self.tracker.spend(amount)

    def stop(self, context: Context) -> bool:
        """Start no further attempt; those already started are paid for and still read."""
        context.stopping.set()
        return True

    def spending(
        self,
        proposals: Iterable[Proposal],  # noqa: ARG002 - a call may lead to no proposal
        turns: Iterable[Mapping[str, Any]],
    ) -> Spending:
        """Return the spending of all recorded calls."""
        return spent(turns)

    def prompt(
        self, train: Examples, classes: Classes, *, seed: int
    ) -> tuple[str, Examples, list[str]]:
        """Return the prompt for training rows, the rows in it, and warnings.

        Raise ConfigurationError if not even one row fits the model's context, or a prompt file is
        unusable.
        """
        shown, warnings = self._chosen(train, seed)
        alphabet = alphabet_of(train.inputs)
        facts = self._facts(train, classes)

        def write(rows: Examples) -> str:
            return self._statement(rows, classes, alphabet, len(train), facts)

        room = MOST_PROMPT_TOKENS if self.settings.prompt_rows == "auto" else None
        window = self.model.context_tokens
        if window is not None:
            around = _AROUND_PROMPT + (_ABOUT_TOOL if self.tool_place == "local" else 0)
            answer = min(self.model.max_output_tokens, window // 2)
            if answer < self.model.max_output_tokens:
                warnings.append(
                    f"the model's context of {window:,} tokens leaves an answer less than the "
                    f"{self.model.max_output_tokens:,} tokens of --max-output-tokens"
                )
            fitting = max(window - answer - around, window // 4)
            room = fitting if room is None else min(room, fitting)
        if room is not None:
            shown, warning = fit_to_tokens(shown, write, self.model.count_tokens, room, seed=seed)
            warnings += [warning] if warning else []
        return write(shown), shown, warnings

    def _chosen(self, train: Examples, seed: int) -> tuple[Examples, list[str]]:
        """Return the rows that fit, and a warning if some are left out."""
        most = self.settings.prompt_rows
        if most == "auto":
            if self.tool_place != "local":
                return train, []
            return informative_rows(train, INFORMATIVE_ROWS, seed), []  # the tool holds the others
        if most is None or len(train) <= most:
            return train, []
        shown = subsample(train, most, seed)
        return shown, [
            f"the prompt shows {len(shown)} of {len(train)} training rows; "
            "--prompt-rows sets how many"
        ]

    def _facts(self, train: Examples, classes: Classes) -> str:
        settings = self.settings
        if not settings.facts:
            return ""
        calls = settings.tool_calls if self.tool_place == "local" else 0
        return facts(train, classes, tool_calls=calls, noise=settings.noise, about=settings.about)

    def _statement(
        self, rows: Examples, classes: Classes, alphabet: str, held: int, facts: str
    ) -> str:
        """Return the prompt that shows these rows, a subset of those that the tool holds."""
        return problem_statement(
            rows,
            classes,
            alphabet=alphabet,
            variant=self.settings.prompt_variant,
            tool=self.tool_place,
            tool_rows=held,
            tool_functions=self.settings.tool_functions,
            answer_format=self.settings.answer_format,
            programs=self.settings.programs_per_reply,
            facts=facts,
        )

    def preview(self, train: Examples, classes: Classes, *, seed: int) -> tuple[Preview, Call]:
        """Return the first request for training rows, and its call."""
        prompt, _, _ = self.prompt(train, classes, seed=seed)
        messages, samples = [UserMessage(prompt)], self.settings.samples_per_call
        offer = self._offer()
        call = next_call(self.model, offer, messages, samples)
        request = Request(messages, offer, samples, attempt_seed(seed, 1), call.limit)
        return self.model.preview(request), call

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield proposals in the order of their attempts, which run concurrently.

        Raise CredentialError if the key is rejected. Raise ModelError or BudgetError if no attempt
        of the cell was answered.
        """
        scheduler = self._scheduler(train, classes, seed=seed, context=context)

        def proposals() -> Iterator[Proposal]:
            try:
                yield from scheduler.proposals()
            except ToolRefusedError as error:
                if self.settings.tool is not None:
                    raise  # it was asked for
                context.warn(f"{error}; it is asked without the tool")
                self.tool_place = "none"
                yield from self._scheduler(train, classes, seed=seed, context=context).proposals()

        return proposals()

    def _scheduler(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Scheduler:
        """Return the attempts of one cell."""
        prompt, _, warnings = self.prompt(train, classes, seed=seed)
        recorded = {each.get("prompt_digest") for each in context.turns if each.get("kind") == TURN}
        if recorded and prompt_digest(prompt) not in recorded and self.settings.tool is None:
            # An earlier part of the run may have continued without the tool.
            place, self.tool_place = self.tool_place, "none"
            other, _, others = self.prompt(train, classes, seed=seed)
            if prompt_digest(other) in recorded:
                prompt, warnings = other, others
            else:
                self.tool_place = place
        for warning in warnings:
            context.warn(warning)
        digest = prompt_digest(prompt)
        context.write_prompt(digest, prompt)
        settings = self.settings
        form: dict[str, Any] = {
            "answer_format": settings.answer_format,
            "programs": settings.programs_per_reply,
        }
        dialogue = Dialogue(
            model=self.model,
            prompt=prompt,
            digest=digest,
            tool=self._offer(),
            run_code=self._tool.on(train, classes, seed=seed),
            settings=settings if context.mistakes else replace(settings, refinements=0),
            refinement_message=partial(
                refinement_message,
                train=train,
                alphabet=alphabet_of(train.inputs),
                labels=[text for text in classes.texts if text in set(train.labels)],
                noise=settings.noise,
                **form,
            ),
            no_program_message=partial(no_program_message, **form),
            tolerated=int(settings.noise * len(train)),
            tracker=self.tracker,
            context=context,
            recorded=Recorded(context.turns, digest),
            cancelled=self._cancelled,
            earlier=self._earlier(context, len(train)),
        )
        wanted = self.attempts
        if context.attempts is not None:
            wanted = min(wanted, context.attempts)
        return Scheduler(dialogue, wanted, seed)

    def _earlier(self, context: Context, rows: int) -> EarlierPrograms | None:
        if not self.settings.explore or context.mistakes is None:
            return None
        return EarlierPrograms(rows, self.model.count_tokens, self.most_shown)

    @property
    def most_shown(self) -> int:
        """The most tokens that an attempt is shown of earlier ones."""
        if not self.settings.explore:
            return 0
        window = self.model.context_tokens
        return MOST_TOKENS if window is None else min(MOST_TOKENS, window // 8)

    def close(self) -> None:
        """End all conversations, and close the model and the tool."""
        self._cancelled.set()
        self.tracker.close()
        self._tool.close()
        self.model.close()

    def _offer(self) -> ToolOffer | None:
        if self.tool_place == "none":
            return None
        if self.tool_place == "hosted":
            return ToolOffer("hosted")
        return ToolOffer("local", self._tool.description)
