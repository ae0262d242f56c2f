"""Run attempts concurrently: start them when admitted, yield results in order."""

import queue
import threading
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from llm_pv.errors import BudgetError, CredentialError, ModelError, ToolRefusedError
from llm_pv.proposers.base import Proposal
from llm_pv.proposers.llm.conversation import Conversation, Dialogue
from llm_pv.proposers.round_robin import StoppedError

_READING_SECONDS = 0.05  # how often an attempt checks whether its reader has stopped


def attempt_seed(seed: int, number: int) -> int:
    """Return the seed of one attempt, for engines that accept one."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31


class Scheduler:
    """The attempts of one cell, started when admitted and read in order."""

    def __init__(self, dialogue: Dialogue, attempts: int, seed: int) -> None:
        self._dialogue = dialogue
        self._attempts = attempts
        self._samples = dialogue.settings.samples_per_call
        self._seed = seed
        self._context = dialogue.context
        self._begun: queue.Queue[StartedAttempt | None] = queue.Queue()
        self._halted = threading.Event()

    def proposals(self) -> Iterator[Proposal]:
        """Yield the proposals of the attempts.

        Raise CredentialError if the key is rejected. Raise ModelError or BudgetError if no attempt
        gave a reply.
        """
        threading.Thread(target=self._begin_attempts, daemon=True).start()
        known = self._context.origins
        answered = bool(known)
        obstacle: ModelError | BudgetError | None = None
        refusal: ModelError | None = None
        try:
            while (attempt := self._begun.get()) is not None:
                try:
                    for proposal in attempt.proposals():
                        answered = True
                        if proposal.origin not in known:
                            yield proposal
                    attempt.read.set()
                except CredentialError:
                    raise
                except (ModelError, BudgetError) as error:
                    attempt.read.set()
                    self._note_failure(attempt, error)
                    obstacle = obstacle or error
                    if isinstance(error, BudgetError):
                        self._halted.set()  # the next attempt would also exceed the budget
                    elif not (error.transient or attempt.was_answered):
                        # All attempts start with the same request, so all would be rejected.
                        self._halted.set()
                        refusal = error
        finally:
            self._halted.set()
            self._context.admission.close()
        first = refusal or obstacle
        if first is not None and not answered:
            raise first

    def _note_failure(self, attempt: "StartedAttempt", error: ModelError | BudgetError) -> None:
        """Record why an attempt failed, unless it may be repeated without the tool."""
        if not isinstance(error, ToolRefusedError):
            self._context.write_failure(attempt.number, str(error))

    def _begin_attempts(self) -> None:
        """Start attempts in order, each when admitted, until no more are needed."""
        admission = self._context.admission
        begun: list[StartedAttempt] = []
        number = 0
        try:
            for number in range(1, self._attempts + 1, self._samples):
                if not self._wanted(number):
                    continue
                # A round is one call, for any number of attempts that it starts.
                admission.acquire((number - 1) // self._samples + 1)
                if not self._wanted(number):
                    admission.release()
                    continue
                last = min(number + self._samples - 1, self._attempts)
                group = [StartedAttempt(each, tuple(begun)) for each in range(number, last + 1)]
                begun += group
                for attempt in group:
                    self._begun.put(attempt)
                threading.Thread(target=self._run, args=(group,), daemon=True).start()
        except StoppedError:
            self._begun.put(StartedAttempt.failing(number, StoppedError()))
        finally:
            admission.close()
            self._begun.put(None)

    def _wanted(self, number: int) -> bool:
        """Return whether to start an attempt: after an early stop only if it was paid for."""
        if self._halted.is_set():
            return False
        paid = (number, 1) in self._dialogue.recorded.turns
        return paid or not self._context.stopping.is_set()

    def _wait_for_reader(self, group: "list[StartedAttempt]") -> None:
        """Keep the slot of a call until its reply is verified, which may make others unnecessary.

        Return immediately if no program ends the run early, or if an earlier attempt is still
        running: replies are read in order, so this one would keep its slot without being verified.
        """
        if self._context.early_stop and all(each.ended.is_set() for each in group[0].earlier):
            while not (group[-1].read.wait(_READING_SECONDS) or self._halted.is_set()):
                pass

    def _run(self, group: "list[StartedAttempt]") -> None:
        """Run the conversations that one call starts."""
        try:
            for offset, attempt in enumerate(group):
                attempt.run(
                    partial(
                        self._conversation, group[0].number, attempt.number, len(group) - offset
                    )
                )
            self._wait_for_reader(group)
        finally:
            self._context.admission.release()

    def _conversation(self, first: int, number: int, samples: int) -> Conversation:
        """Return a conversation whose first call starts several, all with the same opening."""
        opening = self._dialogue.opening(first)
        seed = attempt_seed(self._seed, number)
        return Conversation(self._dialogue, number, opening, seed=seed, samples=samples)


class StartedAttempt:
    """One running attempt: a queue of proposals from its thread to the reader's."""

    def __init__(self, number: int, earlier: "tuple[StartedAttempt, ...]" = ()) -> None:
        self.number = number
        self.earlier = earlier
        self.was_answered = False
        self.ended = threading.Event()
        self.read = threading.Event()
        self._queue: queue.Queue[Proposal | BaseException | None] = queue.Queue()

    @classmethod
    def failing(cls, number: int, error: BaseException) -> "StartedAttempt":
        """Return an attempt whose reader gets an error."""
        attempt = cls(number)
        attempt._queue.put(error)
        return attempt

    def run(self, begin: Callable[[], Conversation]) -> None:
        """Run the conversation in the calling thread."""
        conversation: Conversation | None = None
        try:
            conversation = begin()
            for proposal in conversation.proposals():
                self._queue.put(proposal)
            self._queue.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            self.was_answered = conversation is not None and conversation.turns > 0
            self._queue.put(error)
        finally:
            self.ended.set()

    def proposals(self) -> Iterator[Proposal]:
        """Yield the proposals of the conversation as they arrive."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
