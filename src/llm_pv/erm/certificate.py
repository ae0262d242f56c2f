"""The error bound that comes with a selected program, and what it does not say."""

import math
from dataclasses import asdict, dataclass

from llm_pv.errors import ConfigurationError


def error_share(delta: float, planned: int, position: int) -> float:
    """Return the part of ``delta`` that belongs to one program.

    Half of ``delta`` is divided equally among the first ``planned`` programs; program
    ``planned + j`` gets ``delta / (2 j (j + 1))``, which sums to the other half. The shares are
    fixed before the first verification, so they hold whenever the run stops.

    Parameters
    ----------
    delta
        The probability with which the certificate may fail, in (0, 1).
    planned
        The planned number of attempts K.
    position
        The program's number in the order of verification, from 1, identical digests counted once.

    Returns
    -------
    float
        The program's share of ``delta``.

    Examples
    --------
    >>> error_share(0.05, planned=5, position=1)
    0.005
    >>> round(error_share(0.05, planned=5, position=7), 6)
    0.004167
    """
    if not 0 < delta < 1:
        raise ConfigurationError(f"delta is {delta}; it is a probability: give one between 0 and 1")
    if planned < 1 or position < 1:
        raise ConfigurationError(
            f"{planned} planned attempts, position {position}: both start at 1"
        )
    if position <= planned:
        return delta / (2 * planned)
    beyond = position - planned
    return delta / (2 * beyond * (beyond + 1))


def binomial_upper_limit(errors: int, rows: int, share: float) -> float:
    """Return the exact upper confidence limit of an error rate.

    The largest rate under which seeing so few errors still has probability ``share``
    (Clopper and Pearson, Biometrika 26, 1934): a program whose true rate is r passes below r with
    probability at most ``share``.

    Parameters
    ----------
    errors
        Mistakes counted, 0 to ``rows``.
    rows
        Rows looked at; with none the limit is 1.
    share
        The probability with which the limit may be too low.

    Examples
    --------
    >>> round(binomial_upper_limit(0, 100, 0.05), 4)
    0.0295
    """
    if errors >= rows:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(errors + 1, rows - errors, 1 - share))


@dataclass(frozen=True)
class Certificate:
    """An upper bound on the selected program's error rate on new inputs.

    Parameters
    ----------
    errors, rows
        Mistakes of the selected program on the validation rows, and their number.
    planned
        The planned number of attempts K, fixed before the first verification.
    verified
        Distinct programs verified when the run ended.
    position
        The selected program's number among them, from 1.
    delta
        The probability with which the bound may fail over repetitions of the whole run.
    repeated
        Rows that were left out because their input occurs in another row.

    Examples
    --------
    >>> certificate = Certificate(errors=0, rows=100, planned=5, verified=2, position=2)
    >>> round(certificate.error_bound, 3)
    0.052
    """

    errors: int
    rows: int
    planned: int
    verified: int
    position: int
    delta: float = 0.05
    repeated: int = 0

    @property
    def share(self) -> float:
        """The part of ``delta`` the selected program's own bound may fail with."""
        return error_share(self.delta, self.planned, self.position)

    @property
    def error_bound(self) -> float:
        """The error rate on new inputs is at most this, with probability ``1 - delta``."""
        return binomial_upper_limit(self.errors, self.rows, self.share)

    @property
    def gap_term(self) -> float:
        """The term ``2 sqrt(log(4 k / delta) / (2 m))`` of the paper's bound, k programs, m rows.

        Only this term: the bound adds the error rate of the best program the proposer would have
        found, which nobody knows. Source: LLM Priors for ERM over Programs, arXiv 2510.14331.
        """
        if not self.rows:
            return math.inf
        programs = max(self.planned, self.verified)
        return 2 * math.sqrt(math.log(4 * programs / self.delta) / (2 * self.rows))

    def text(self) -> str:
        """State the bound and its assumptions in words, several sentences."""
        mistakes = f"{self.errors} mistake{'' if self.errors == 1 else 's'}"
        sentences = [
            f"With {1 - self.delta:.0%} confidence this program is wrong on at most "
            f"{self.error_bound:.1%} of new inputs ({mistakes} on {self.rows} validation rows; "
            f"program {self.position} of {self.verified} verified, {self.planned} planned).",
            "This holds for new inputs drawn like the validation rows, and for this run alone: "
            "running again on the same validation rows and keeping the best voids it, and so do "
            "rows of one group on both sides of the split.",
            "It says nothing about inputs of another kind: a shortcut that fits the data passes "
            "too.",
            "The gap term of the paper's bound, 2*sqrt(log(4k/delta)/(2m)), is "
            f"{self.gap_term:.3f} here.",
        ]
        if self.repeated:
            sentences.insert(
                1,
                f"Each different input counts once, however common it is ({self.repeated:,} rows "
                "repeated one and were left out).",
            )
        return " ".join(sentences)

    def record(self) -> dict[str, float | int]:
        """Return the certificate as plain values for a file."""
        return asdict(self) | {"error_bound": self.error_bound, "gap_term": self.gap_term}
