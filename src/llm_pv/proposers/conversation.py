"""One conversation with a model: a prompt, tool calls, a program, and perhaps refinements."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from llm_pv.errors import ModelError, ProgramError
from llm_pv.models.base import Asked, LanguageModel, Message, ToolAnswer, ToolCall, ToolOffer, Usage
from llm_pv.models.base import Turn as ModelTurn
from llm_pv.programs.replies import read_program
from llm_pv.proposers.base import Context, Mistake, Proposal
from llm_pv.proposers.prompt import no_program_message
from llm_pv.proposers.spending import Amount, Purse
from llm_pv.proposers.turns import (
    Recorded,
    call_record,
    failed_record,
    tool_record,
    turn_record,
)
from llm_pv.telemetry import span

_LAST_CALL = "[That was the last of {limit} calls. Give your answer now.]"
_TOO_LATE = "The time is over. Give your answer now, without the tool."
_TOO_FULL = "The context is nearly full. Give your answer now, without the tool."
_TOO_MANY = "No more calls are allowed. Give your answer now, without the tool."
_HOSTED_ROUNDS = 10
"""How often a vendor is taken to read the conversation again while its own tool is at work."""


@dataclass(frozen=True)
class Dialogue:
    """What all conversations of one cell share.

    Parameters
    ----------
    model
        Who is spoken to.
    prompt, digest
        What every conversation begins with, and its digest.
    tool
        The tool on offer, None for none.
    run_code
        Runs the code of one call with a seed, returning what the model is shown and the seconds.
    most_calls
        Tool calls in one conversation.
    refinements
        How often a model that made mistakes on training rows is asked again.
    refinement_message
        Says so to the model.
    purse
        What calls are paid from.
    context
        The run.
    recorded
        What is on disk of it.
    cancelled
        Set when everything is to end at once.
    most_seconds
        Seconds of the model and its tool in one conversation before it has to answer; what was
        begun by then is finished. None for no end.
    """

    model: LanguageModel
    prompt: str
    digest: str
    tool: ToolOffer | None
    run_code: Callable[[str, int], tuple[str, float]]
    most_calls: int
    refinements: int
    refinement_message: Callable[[Sequence[Mistake]], str]
    purse: Purse
    context: Context
    recorded: Recorded
    cancelled: threading.Event
    most_seconds: float | None = None

    def ask(
        self, conversation: int, number: int, messages: Sequence[Message], seed: int, samples: int
    ) -> ModelTurn:
        """Return the next turn of a conversation, from the disk if it is there.

        With more than one sample the further ones are the same turn of the conversations after
        this one, which find them on the disk.
        """
        known = self.recorded.turn(conversation, number)
        if known is not None:
            return known
        limit = output_limit(self.model, self.tool, messages)
        worst = worst_case(self.model, self.tool, messages, samples, limit)
        self.purse.reserve(worst)
        charge = Amount(0.0, 0)
        try:
            if self.cancelled.is_set():
                raise ModelError("the run is being stopped", passing=True)
            if self.purse.is_limited:
                self.context.write_turns([call_record(conversation, number, worst)])
            with span("llm_pv.turn", conversation=conversation, turn=number):
                turns = self.model.answer(
                    messages,
                    tool=self.tool,
                    samples=samples,
                    seed=seed,
                    within=self.purse.seconds_left(),
                    max_output_tokens=limit,
                )
            tries = turns[0].doubtful_tries
            charge = worst.times(tries).plus(Amount.of(_sum_usage(turns), _sum_costs(turns)))
            self.context.write_turns(
                [
                    turn_record(conversation + offset, number, self.digest, turn, worst)
                    for offset, turn in enumerate(turns)
                ]
            )
        except ModelError as error:
            charge = worst.times(error.doubtful_tries)
            self.context.write_turns(
                [failed_record(conversation, number, error, worst, error.doubtful_tries)]
            )
            raise
        finally:
            self.purse.settle(worst, charge)
        for offset, turn in enumerate(turns):
            self.recorded.add(conversation + offset, number, turn)
        return turns[0]

    def run_tool(
        self, conversation: int, number: int, place: int, call: ToolCall
    ) -> tuple[str, float]:
        """Return what a tool call gives and its seconds, from the disk if it is there."""
        known = self.recorded.tool(conversation, number, place)
        if known is not None:
            return known
        seconds = 0.0
        if call.code is None:
            text = call.problem
        else:
            with span("llm_pv.tool_call", conversation=conversation, turn=number):
                text, seconds = self.run_code(call.code, place)
        self.context.write_turns([tool_record(conversation, number, place, text, seconds)])
        return text, seconds


class Conversation:
    """One conversation, from the prompt to its last refinement.

    Parameters
    ----------
    number
        Its number in its cell, from 1.
    seed
        For engines that can repeat themselves.
    samples
        How many conversations its first call begins, this one the first of them.

    Attributes
    ----------
    turns
        How often the model has answered in it.
    """

    def __init__(self, dialogue: Dialogue, number: int, *, seed: int, samples: int = 1) -> None:
        self._dialogue = dialogue
        self._number = number
        self._seed = seed
        self._samples = samples
        self._messages: list[Message] = [Asked(dialogue.prompt)]
        self.turns = 0
        self._calls = 0
        self._told_to_end = ""

    def proposals(self) -> Iterator[Proposal]:
        """Yield the program it comes to, then one for each refinement.

        Raises
        ------
        ModelError
            If a call fails for good.
        BudgetError
            If the budget does not cover the next call.
        """
        refinements = self._dialogue.refinements
        for refinement in range(refinements + 1):
            proposal = self._reply(refinement)
            yield proposal
            if refinement == refinements:
                return
            complaint = self._complaint(proposal)
            if complaint is None:
                return
            self._messages.append(Asked(complaint))

    def _reply(self, refinement: int) -> Proposal:
        """Let the model use its tool until it says something without it."""
        turns: list[ModelTurn] = []
        seconds, failure = 0.0, ""
        self._calls, self._told_to_end = 0, ""
        while True:
            turn = self._ask()
            turns.append(turn)
            seconds += turn.seconds
            if not turn.calls:
                break
            warned = self._told_to_end
            # Every call is answered, the last ones too: a conversation that goes on needs that.
            seconds += self._answer_calls(turn, seconds)
            if warned:
                failure = f"still asked for the tool after {warned}"
                break
        return Proposal(
            text=turn.text,
            seconds=seconds,
            cost_usd=_sum_costs(turns),
            prompt_digest=self._dialogue.digest,
            origin=str(self._number) + (f".{refinement}" if refinement else ""),
            usage=_sum_usage(turns),
            tool_calls=min(self._calls, self._dialogue.most_calls)
            + sum(turn.hosted_calls for turn in turns),
            failure=failure or _failure(turn),
        )

    def _ask(self) -> ModelTurn:
        turn = self._dialogue.ask(
            self._number,
            self.turns + 1,
            self._messages,
            self._seed,
            self._samples if self.turns == 0 else 1,
        )
        self.turns += 1
        self._messages.append(turn)
        return turn

    def _answer_calls(self, turn: ModelTurn, spent: float) -> float:
        """Answer every call of a turn, and say when calls, seconds or context are used up."""
        seconds = 0.0
        room = self._room(turn)
        limit, most_seconds = self._dialogue.most_calls, self._dialogue.most_seconds
        for place, call in enumerate(turn.calls, start=1):
            self._calls += 1
            if self._calls > limit:
                self._told_to_end = f"{limit} calls"
                self._messages.append(ToolAnswer(call, _TOO_MANY))
                continue
            if most_seconds is not None and spent + seconds >= most_seconds:
                self._told_to_end = f"{most_seconds:g} seconds"
                self._messages.append(ToolAnswer(call, _TOO_LATE))
                continue
            if room is not None and room <= 0:
                self._told_to_end = "the context was nearly full"
                self._messages.append(ToolAnswer(call, _TOO_FULL))
                continue
            text, taken = self._dialogue.run_tool(self._number, self.turns, place, call)
            seconds += taken
            if room is not None:
                size = self._dialogue.model.count_tokens(text)
                if size > room:
                    self._told_to_end = "the context was nearly full"
                    text = f"{text[: len(text) * room // size]}...\n{_TOO_FULL}"
                room -= size
            if self._calls == limit:
                text += "\n" + _LAST_CALL.format(limit=limit)
            self._messages.append(ToolAnswer(call, text))
        return seconds

    def _room(self, turn: ModelTurn) -> int | None:
        """Return how many tokens the tool may answer a turn with, None if any number.

        A quarter of the context is left for the answer. What was counted by who was asked goes
        before the upper estimate.
        """
        model = self._dialogue.model
        if model.context_tokens is None:
            return None
        counted = turn.usage.input_tokens + turn.usage.output_tokens
        sent = counted or _tokens_sent(model, self._dialogue.tool, self._messages)
        return model.context_tokens - model.context_tokens // 4 - sent

    def _complaint(self, proposal: Proposal) -> str | None:
        """Say what is wrong with a program on the training rows, None if nothing is."""
        if proposal.failure:
            return no_program_message(proposal.failure)
        try:
            program = read_program(proposal.text)
        except ProgramError as error:
            return no_program_message(str(error))
        assert self._dialogue.context.mistakes is not None
        mistakes = self._dialogue.context.mistakes(program.source)
        return self._dialogue.refinement_message(mistakes) if mistakes else None


def output_limit(model: LanguageModel, tool: ToolOffer | None, messages: Sequence[Message]) -> int:
    """Return how many tokens the next turn of a conversation may have, to fit into the context.

    What is sent is an upper estimate, so a quarter of the context is always left for the answer.
    """
    window = model.context_tokens
    if window is None:
        return model.max_output_tokens
    left = max(window - _tokens_sent(model, tool, messages), window // 4, 1)
    return min(model.max_output_tokens, left)


def _tokens_sent(model: LanguageModel, tool: ToolOffer | None, messages: Sequence[Message]) -> int:
    sent = model.count_tokens(tool.description) + 200 if tool else 200
    for message in messages:
        said = model.count_tokens(message.text)
        if isinstance(message, ModelTurn):
            code = sum(model.count_tokens(call.code or "") for call in message.calls)
            said = max(said + code, message.usage.output_tokens)
        sent += said + 20
    return sent


def worst_case(
    model: LanguageModel,
    tool: ToolOffer | None,
    messages: Sequence[Message],
    samples: int,
    limit: int,
) -> Amount:
    """Return what one try of the next call of a conversation can come to at most."""
    sent = _tokens_sent(model, tool, messages)
    if tool is not None and tool.place == "hosted":
        sent *= _HOSTED_ROUNDS
    written = samples * limit
    prices = [
        model.price(Usage(sent, written)),
        model.price(Usage(sent, written, cache_write_tokens=sent)),
    ]
    known = [price for price in prices if price is not None]
    return Amount(max(known) if known else None, sent + written)


def _failure(turn: ModelTurn) -> str:
    """Say what a last turn suffered from."""
    if turn.finish == "length":
        return f"the reply was cut off after {turn.usage.output_tokens:,} tokens"
    if turn.finish == "refused":
        return "the model refused to answer"
    if turn.finish == "error":
        return "the reply broke off"
    return "" if turn.text.strip() else "the reply was empty"


def _sum_usage(turns: Sequence[ModelTurn]) -> Usage:
    return sum((turn.usage for turn in turns), Usage())


def _sum_costs(turns: Sequence[ModelTurn]) -> float | None:
    costs = [turn.cost_usd for turn in turns]
    return sum(cost for cost in costs if cost is not None) if None not in costs else None
