"""Several proposers in one run: the free ones first, then models concurrently."""

import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import islice
from queue import SimpleQueue
from typing import Any

from llm_pv.data.examples import Classes, Examples
from llm_pv.errors import BudgetError, ModelError
from llm_pv.proposers.base import Context, Proposal, Proposer
from llm_pv.proposers.spending import Spending


class ProposerPool(Proposer):
    """Combines proposers, whose programs are candidates of one run under one certificate.

    The free ones propose first, one after another; then the attempts of the others alternate among
    them and are read as they end. If the run stops at a program of a free proposer, no other is
    called. A model that fails, for its key or its quota, is left out, with a warning; an error is
    raised only if none was answered. Every proposal, turn and tool call is recorded with the name
    of its proposer.

    Parameters
    ----------
    members
        The proposers by the names under which they are recorded.
    left_open
        The names of those that are left open at the end of a ``with`` block; `close` ends all.

    Examples
    --------
    >>> from llm_pv.proposers.length_first import LengthFirst
    >>> ProposerPool({"search": LengthFirst()}).plan_attempts(None)
    200
    """

    def __init__(self, members: Mapping[str, Proposer], left_open: Collection[str] = ()) -> None:
        self._free = {name: one for name, one in members.items() if one.free}
        self._paid = {name: one for name, one in members.items() if not one.free}
        self._members = self._free | self._paid
        self._left_open = left_open

    @property
    def name(self) -> str:
        """The names of the members after ``pool:``."""
        return f"pool:{' + '.join(self._members)}"

    @property
    def columns(self) -> dict[str, str]:
        """The method ``pool``, with all members as its model."""
        return super().columns | {"method": "pool", "model": " + ".join(self._members)}

    @property
    def free(self) -> bool:
        """Whether all members are free."""
        return not self._paid

    @property
    def interleaved(self) -> bool:
        """Whether attempts of a member are scheduled round robin."""
        return any(one.interleaved for one in self._members.values())

    @property
    def default_attempts(self) -> int:
        """The sum of the members' defaults."""
        return sum(one.default_attempts for one in self._members.values())

    @property
    def identity(self) -> str:
        """The names and identities of the members."""
        parts = (f"{name} is {one.identity}" for name, one in self._members.items())
        return f"pool of {' | '.join(parts)}"

    def training_rows(self, train: Examples) -> Examples:
        """Return all rows; each member gets its own from them."""
        return train

    def plan_attempts(self, requested: int | None) -> int:
        """Return the sum of what the members plan; a requested number is for each that costs."""
        return sum(self._planned(name, requested) for name in self._members)

    def propose_in(
        self, train: Examples, classes: Classes, *, seed: int, context: Context
    ) -> Iterator[Proposal]:
        """Yield the proposals of the free members, then those of the others as they arrive.

        Raise CredentialError, ModelError or BudgetError if members that cost something were called,
        and none gave a reply.
        """

        def stream(name: str, own: Context) -> Iterator[Proposal]:
            member = self._members[name]
            rows = member.training_rows(train)
            return member.propose_in(rows, classes, seed=seed, context=own)

        has_begun = bool(context.turns) or any(name in self._paid for name, _ in context.known)
        for name in () if has_begun else self._free:
            own = _context_of(name, context)
            most = max(0, self._planned(name, None) - own.start)
            for proposal in islice(stream(name, own), most) if most else ():
                if context.stopping.is_set():
                    return
                yield replace(proposal, proposer=name)
        if has_begun or not context.stopping.is_set():
            yield from self._concurrently(stream, context)

    def _concurrently(
        self, stream: Callable[[str, Context], Iterator[Proposal]], context: Context
    ) -> Iterator[Proposal]:
        """Yield the proposals of the members that are not free, in the order of their arrival."""
        admissions = context.admission.divide(list(self._paid))
        arrivals: SimpleQueue[_Arrival] = SimpleQueue()
        readers = [
            _Reader(name, replace(_context_of(name, context), admission=admission), arrivals)
            for name, admission in zip(self._paid, admissions, strict=True)
        ]
        answered = any(name in self._paid for name, _ in context.known)
        failures: list[ModelError | BudgetError] = []
        try:
            for reader in readers:
                threading.Thread(target=reader.run, args=(stream,), daemon=True).start()
            running = len(readers)
            while running:
                reader, item = arrivals.get()
                if isinstance(item, Proposal):
                    answered = True
                    yield replace(item, proposer=reader.name)
                    if context.stopping.is_set() and not self._paid[reader.name].stop(context):
                        reader.stop()
                    reader.proceed.set()  # it has been verified
                    continue
                running -= 1
                if isinstance(item, ModelError | BudgetError):
                    failures.append(item)
                elif item is not None:
                    raise item
        finally:
            for reader in readers:
                reader.stop()
        if failures and not answered:
            raise next((one for one in failures if one.ends_run), failures[0])
        for error in failures:
            context.warn(f"{error}; the run went on without it")

    def _planned(self, name: str, requested: int | None) -> int:
        is_asked = self.free or name in self._paid
        return self._members[name].plan_attempts(requested if is_asked else None)

    def open(self, turns: Iterable[Mapping[str, Any]]) -> None:
        """Prepare each member with its own turns."""
        every = list(turns)
        for name, member in self._members.items():
            member.open(_records_of(name, every))

    def stop(self, context: Context) -> bool:
        """Start no further proposal; those in progress, if any, are still read."""
        context.stopping.set()
        return bool(self._paid)

    def spending(
        self, proposals: Iterable[Proposal], turns: Iterable[Mapping[str, Any]]
    ) -> Spending:
        """Return the sum of the members' spending."""
        made, every = list(proposals), list(turns)
        parts = (
            member.spending([one for one in made if one.proposer == name], _records_of(name, every))
            for name, member in self._members.items()
        )
        return reduce(Spending.plus, parts, Spending())

    def portable(self) -> Proposer:
        """Return a pool of equivalent members that need no files of this machine."""
        return ProposerPool({name: one.portable() for name, one in self._members.items()})

    def close(self) -> None:
        """Close every member."""
        for member in self._members.values():
            member.close()

    def __exit__(self, *_: object) -> None:
        for name, member in self._members.items():
            if name not in self._left_open:
                member.close()


_Arrival = tuple["_Reader", Proposal | BaseException | None]


@dataclass(eq=False)
class _Reader:
    """Reads the proposals of one member in a thread, each after the last one was verified."""

    name: str
    context: Context
    arrivals: SimpleQueue[_Arrival]
    proceed: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False

    def run(self, stream: Callable[[str, Context], Iterator[Proposal]]) -> None:
        """Pass on each proposal, and at the end None or the error that ended it."""
        ending: BaseException | None = None
        try:
            with closing(_generator(stream(self.name, self.context))) as proposals:
                for proposal in proposals:
                    self.proceed.clear()
                    if self.stopped:  # after `clear`: `stop` sets both, in this order
                        return
                    self.arrivals.put((self, proposal))
                    self.proceed.wait()
                    if self.stopped:
                        return
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            ending = error
        finally:
            self.arrivals.put((self, ending))

    def stop(self) -> None:
        """Read no further proposal."""
        self.stopped = True
        self.proceed.set()
        self.context.admission.close()


def _generator(proposals: Iterator[Proposal]) -> Generator[Proposal, None, None]:
    yield from proposals


def _context_of(name: str, context: Context) -> Context:
    """Return the services of a run for one member, whose records carry its name."""

    def write_turns(records: Sequence[Mapping[str, Any]]) -> None:
        context.write_turns([{"proposer": name, **record} for record in records])

    def named(text: str) -> str:
        return text if text.startswith(name) else f"{name}: {text}"

    return replace(
        context,
        known=tuple(one for one in context.known if one[0] == name),
        turns=_records_of(name, context.turns),
        write_turns=write_turns,
        write_failure=lambda number, reason: context.write_failure(number, named(reason)),
        warn=lambda warning: context.warn(named(warning)),
    )


def _records_of(name: str, turns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [record for record in turns if record.get("proposer") == name]
