"""One conversation with a model: a prompt, tool calls, a program, and perhaps refinements."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from llm_pv.errors import BudgetError, CredentialError, ModelError, ProgramError
from llm_pv.models.base import (
    NO_USAGE,
    Message,
    Request,
    ToolAnswer,
    ToolCall,
    ToolOffer,
    UserMessage,
    total_cost,
)
from llm_pv.models.base import Turn as ModelTurn
from llm_pv.models.language_model import LanguageModel
from llm_pv.programs.program import Program
from llm_pv.programs.replies import read_several
from llm_pv.proposers.base import Context, Mistake, Proposal
from llm_pv.proposers.llm.costs import next_call, tokens_sent
from llm_pv.proposers.llm.earlier_programs import EarlierPrograms
from llm_pv.proposers.llm.endings import ending_of, holds_program
from llm_pv.proposers.llm.prompt.statement import prompt_digest
from llm_pv.proposers.llm.turns import (
    Recorded,
    call_record,
    failed_record,
    shown_record,
    tool_record,
    turn_record,
)
from llm_pv.proposers.llm_settings import LLMSettings
from llm_pv.proposers.spending import Amount, BudgetTracker, Reservation
from llm_pv.telemetry import span

_LAST_CALL = "[That was the last of {limit} calls. Give your answer now.]"
_TOO_LATE = "The time is over. Give your answer now, without the tool."
_TOO_FULL = "The context is nearly full. Give your answer now, without the tool."
_TOO_MANY = "No more calls are allowed. Give your answer now, without the tool."


@dataclass(frozen=True)
class Dialogue:
    """The settings and services common to all conversations of one cell."""

    model: LanguageModel
    prompt: str
    digest: str
    "The first message of every conversation, without what it is shown of others; its digest."
    tool: ToolOffer | None
    "The tool on offer, None for none."
    run_code: Callable[[str, int, Sequence[str]], tuple[str, float]]
    """Runs the code of one call with a seed, after the definitions of earlier calls; returns the
    output for the model and the seconds."""
    settings: LLMSettings
    "How it is prompted; its ``most_seconds`` end with the call that was started by then."
    refinement_message: Callable[..., str]
    no_program_message: Callable[[str], str]
    "Return the message to the model about its program's mistakes, or about a missing program."
    tracker: BudgetTracker
    context: Context
    recorded: Recorded
    "Its turns that are on disk already."
    cancelled: threading.Event
    "Set to end all conversations immediately."
    tolerated: int = 0
    "A program with at most this many wrong training rows is not sent back."
    earlier: EarlierPrograms | None = None
    "The earlier programs to show to later conversations; None for none."

    def opening(self, conversation: int) -> tuple[str, str]:
        """Return the first message of a conversation that is about to begin, and its digest.

        What it is shown of earlier ones is on disk before it is used.
        """
        if self.earlier is None:
            return self.prompt, self.digest
        known = self.recorded.shown.get(conversation)
        text = self.earlier.note() if known is None else known
        prompt = self.prompt + text
        digest = prompt_digest(prompt)
        if known is None:
            self.context.write_prompt(digest, prompt)
            self.context.write_turns([shown_record(conversation, self.digest, digest, text)])
            self.recorded.shown[conversation] = text
        return prompt, digest

    def ask(
        self,
        conversation: int,
        number: int,
        messages: Sequence[Message],
        seed: int,
        samples: int,
        *,
        digest: str,
        forbid_tool: bool = False,
    ) -> ModelTurn:
        """Return the next turn of a conversation, from disk if it was recorded.

        With more than one sample, the further ones are recorded as the same turn of the following
        conversations, which then read them from disk.
        """
        known = self.recorded.turns.get((conversation, number))
        if known is not None:
            return known
        call = next_call(self.model, self.tool, messages, samples)
        worst = call.worst(self.model)
        reservation = Reservation(self.tracker, worst)
        charge: Amount | None = None  # None settles at the worst case

        def record_call(again: bool) -> None:
            if self.tracker.is_limited or self.model.destination is not None:
                self.context.write_turns([call_record(conversation, number, worst, again)])

        async def before_retry() -> None:
            await reservation.again()
            await asyncio.to_thread(record_call, True)

        try:
            if self.cancelled.is_set():
                raise ModelError("the run is being stopped", transient=True)
            record_call(False)
            with span("llm_pv.turn", conversation=conversation, turn=number):
                request = Request(
                    messages,
                    self.tool and replace(self.tool, forbidden=forbid_tool),
                    samples,
                    seed,
                    call.limit,
                    self.tracker.seconds_left(),
                    before_retry,
                )
                turns = self.model.complete(request)
            cost = total_cost(turn.cost_usd for turn in turns)
            # An unknown price must not count as zero.
            paid = Amount.of(
                sum((turn.usage for turn in turns), NO_USAGE), worst.usd if cost is None else cost
            )
            charge = worst.times(turns[0].possibly_billed).plus(paid)
            exceeded = paid.exceeds(worst)
            last = messages[-1]
            asked = last.text if number > 1 and isinstance(last, UserMessage) else ""
            self.context.write_turns(
                [
                    turn_record(place, number, digest, turn, worst, exceeded=exceeded, asked=asked)
                    for place, turn in enumerate(turns, start=conversation)
                ]
            )
        except (ModelError, BudgetError) as error:
            tries = error.possibly_billed if isinstance(error, ModelError) else reservation.lost
            charge = worst.times(tries)
            self.context.write_turns([failed_record(conversation, number, error, worst, tries)])
            raise
        finally:
            reservation.settle(charge)
        if exceeded:
            self.context.warn(
                f"the server reports {paid.tokens:,} tokens for turn {number} of conversation "
                f"{conversation}, which was allowed {worst.tokens:,}; all of them count, so that "
                "this report alone can exceed the budget"
            )
        for notice in turns[0].notices:
            self.context.warn(notice)
        for offset, turn in enumerate(turns):
            self.recorded.turns[conversation + offset, number] = turn
        return turns[0]

    def run_tool(
        self, conversation: int, number: int, place: int, call: ToolCall, earlier: Sequence[str]
    ) -> tuple[str, float]:
        """Return the output of a tool call and its seconds, from disk if it was recorded."""
        known = self.recorded.tools.get((conversation, number, place))
        if known is not None:
            return known
        seconds = 0.0
        if call.code is None:
            text = call.problem
        else:
            with span("llm_pv.tool_call", conversation=conversation, turn=number):
                text, seconds = self.run_code(call.code, place, earlier)
        self.context.write_turns([tool_record(conversation, number, place, text, seconds)])
        return text, seconds


class Conversation:
    """One conversation, from the prompt to its last refinement.

    Parameters
    ----------
    samples
        The number of conversations that its first call starts, including this one.

    Attributes
    ----------
    turns
        The number of turns of the model so far.
    """

    def __init__(
        self, dialogue: Dialogue, number: int, opening: tuple[str, str], *, seed: int, samples: int
    ) -> None:
        self._dialogue = dialogue
        self._number = number
        self._seed = seed
        self._samples = samples
        prompt, self._digest = opening
        self._messages: list[Message] = [UserMessage(prompt)]
        self.turns = 0
        self._calls = 0
        self._ran: list[str] = []
        self._told_to_end = ""
        self._sent_back: set[str] = set()

    def proposals(self) -> Iterator[Proposal]:
        """Yield the resulting program, then one for each refinement.

        Raise ModelError if a call fails finally. Raise BudgetError if the budget does not cover the
        next call.
        """
        refinements = self._dialogue.settings.refinements
        for refinement in range(refinements + 1):
            proposal = self._reply(refinement)
            programs, reason = self._programs(proposal)
            yield from self._proposals(proposal, programs)
            earlier = self._dialogue.earlier
            if refinement == refinements and earlier is None:
                return
            mistakes = self._mistakes(programs)
            known = earlier.add(programs, mistakes) if earlier else [False] * len(programs)
            if refinement == refinements:
                return
            complaint = self._complaint(proposal, programs, mistakes, known, reason)
            if complaint is None:
                return
            self._messages.append(UserMessage(complaint))

    def _reply(self, refinement: int) -> Proposal:
        """Run the model and its tool until a turn without tool calls."""
        turns: list[ModelTurn] = []
        seconds, warned = 0.0, ""
        self._calls, self._told_to_end = 0, ""
        while not warned:
            try:
                turn = self._ask()
            except (ModelError, BudgetError) as error:
                is_stopped = self._dialogue.cancelled.is_set()
                if is_stopped or isinstance(error, CredentialError) or not holds_program(turns):
                    raise
                break  # the earlier turns are paid for and may hold a program
            turns.append(turn)
            seconds += turn.seconds
            if not turn.calls:
                break
            warned = self._told_to_end
            # Vendors reject a conversation that continues after an unanswered call.
            seconds += self._answer_calls(turn, seconds)
        ending = ending_of(turns, warned)
        return Proposal(
            text=ending.text,
            seconds=seconds,
            cost_usd=total_cost(turn.cost_usd for turn in turns),
            prompt_digest=self._digest,
            origin=str(self._number) + (f".{refinement}" if refinement else ""),
            usage=sum((turn.usage for turn in turns), NO_USAGE),
            tool_calls=min(self._calls, self._dialogue.settings.tool_calls)
            + sum(turn.hosted_calls for turn in turns),
            failure=ending.failure,
            redacted=ending.redacted,
        )

    def _ask(self) -> ModelTurn:
        turn = self._dialogue.ask(
            self._number,
            self.turns + 1,
            self._messages,
            self._seed,
            self._samples if self.turns == 0 else 1,
            digest=self._digest,
            forbid_tool=bool(self._told_to_end),
        )
        self.turns += 1
        self._messages.append(turn)
        return turn

    def _answer_calls(self, turn: ModelTurn, spent: float) -> float:
        """Answer every call of a turn; note when calls, seconds or context are used up."""
        seconds = 0.0
        room = self._room(turn)
        settings = self._dialogue.settings
        limit, most_seconds = settings.tool_calls, settings.most_seconds
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
            text, taken = self._dialogue.run_tool(
                self._number, self.turns, place, call, tuple(self._ran)
            )
            if call.code is not None:
                self._ran.append(call.code)
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
        """Return how many tokens the tool may answer a turn with, None for any number.

        A quarter of the context is left for the answer. Tokens counted by the server take
        precedence over the upper estimate.
        """
        model = self._dialogue.model
        if model.context_tokens is None:
            return None
        counted = turn.usage.input_tokens + turn.usage.output_tokens
        sent = counted or tokens_sent(model, self._dialogue.tool, self._messages)
        return model.context_tokens - model.context_tokens // 4 - sent

    def _programs(self, proposal: Proposal) -> tuple[list[Program], str]:
        """Return the programs in a reply, and the reason if there is none."""
        if proposal.failure or proposal.redacted:
            return [], proposal.failure
        dialogue = self._dialogue
        most = dialogue.settings.programs_per_reply
        is_single = most == dialogue.settings.refinements + 1 == 1
        if is_single and dialogue.earlier is None:
            return [], ""  # the verifier reads the reply itself
        try:
            return read_several(proposal.text, most), ""
        except ProgramError as error:
            return [], str(error)

    def _proposals(self, proposal: Proposal, programs: Sequence[Program]) -> Iterator[Proposal]:
        """Yield a reply, and each further program in it as a proposal without cost."""
        yield proposal
        for number, program in enumerate(programs[1:], start=2):
            yield Proposal(
                text=program.source,
                cost_usd=0.0,
                prompt_digest=proposal.prompt_digest,
                origin=f"{proposal.origin}/{number}",
            )

    def _mistakes(self, programs: Sequence[Program]) -> list[list[Mistake]]:
        find = self._dialogue.context.mistakes
        assert find is not None
        return [find(program.source) for program in programs]

    def _complaint(
        self,
        proposal: Proposal,
        programs: Sequence[Program],
        mistakes: Sequence[Sequence[Mistake]],
        known: Sequence[bool],
        reason: str,
    ) -> str | None:
        """Return a message on the best program's mistakes on training rows; None if it has none."""
        if proposal.redacted and not proposal.failure:
            return None  # without the key's fragments it is another program, which is not run
        if not programs:
            return self._dialogue.no_program_message(reason)
        best = min(range(len(programs)), key=lambda each: len(mistakes[each]))
        digest = programs[best].digest
        repeated = digest in self._sent_back
        self._sent_back.add(digest)
        if len(mistakes[best]) <= self._dialogue.tolerated:
            return None
        return self._dialogue.refinement_message(
            mistakes[best], repeated=repeated, alike=known[best]
        )
