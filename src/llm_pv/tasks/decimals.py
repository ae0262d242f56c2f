"""Decimal numbers by their Collatz steps, and pairs of numbers by their greatest common divisor.

From ``27`` it takes 111 Collatz steps to 1, an odd number: label 1. ``10501080`` encodes 1050
and 1080, whose divisor 30 lies in 20..51: label 1.
"""

from functools import cache
from math import gcd

import numpy as np

from llm_pv.tasks.numerals import digits, texts, written
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Words

_BLOCK = 2_048
_JUMP = 12
_LOW, _HIGH = 20, 51


def odd_collatz_steps(symbols: Symbols) -> Labels:
    """Label numbers by the parity of their Collatz steps to 1; 0 takes no step."""
    return np.array([collatz_steps(int(text)) & 1 for text in texts(symbols)], dtype=np.uint8)


def collatz_steps(number: int) -> int:
    """Count the steps to 1: halve an even number, triple an odd one and add 1.

    Examples
    --------
    >>> collatz_steps(27)
    111
    """
    steps = 0
    while number >> _JUMP:
        factor, summand, taken = _jumps()[number & ((1 << _JUMP) - 1)]
        number = (number >> _JUMP) * factor + summand
        steps += taken
    while number > 1:
        number = 3 * number + 1 if number & 1 else number >> 1
        steps += 1
    return steps


@cache
def _jumps() -> list[tuple[int, int, int]]:
    """Return the table of ``_JUMP`` halvings at once, with the triplings between them.

    Its last ``_JUMP`` bits b alone decide which steps are odd: ``a * 2**_JUMP + b`` becomes
    ``a * factor + summand`` after so many steps. None of them passes 1 on the way.
    """
    table = []
    for bits in range(1 << _JUMP):
        factor, summand, steps = 1, bits, 0
        for _ in range(_JUMP):
            if summand & 1:
                factor, summand, steps = 3 * factor, 3 * summand + 1, steps + 1
            summand, steps = summand >> 1, steps + 1
        table.append((factor, summand, steps))
    return table


def divisor_in_range(symbols: Symbols) -> Labels:
    """Label pairs of numbers by whether their greatest common divisor is in 20..51."""
    half = symbols.shape[1] // 2
    divisors = [gcd(int(text[:half]), int(text[half:])) for text in texts(symbols)]
    return np.array([_LOW <= divisor <= _HIGH for divisor in divisors], dtype=np.uint8)


def draw_uniform(words: Words, length: int) -> Candidates:
    """Draw numbers of this many digits, each as likely as another."""
    return Candidates(digits(words, _BLOCK, length))


def draw_multiples(words: Words, length: int) -> Candidates:
    """Draw pairs of multiples of a common number: of 20..51, and of 1..19 or 52..83.

    Both classes have the even numbers and multiples of 5 that result from their common factor;
    that factor is the target, so the pairs of class 0 get factors on both sides of the range.
    """
    factors = words.below(_HIGH - _LOW + 1, _BLOCK) + _LOW
    below = words.below(_LOW - 1, _BLOCK) + 1
    above = words.below(_HIGH - _LOW + 1, _BLOCK) + _HIGH + 1
    outside = np.where(words.bits(1, _BLOCK)[0] == 1, below, above)
    return Candidates.of_classes(
        _pairs(words, length, factors.tolist()), _pairs(words, length, outside.tolist())
    )


def _pairs(words: Words, length: int, factors: list[int]) -> Symbols:
    """Draw pairs of numbers of L digits that are multiples of a factor."""
    sides = []
    for _ in range(2):
        drawn = texts(digits(words, len(factors), length))
        lowest = 10 ** (length - 1)
        # Rounded up to a multiple; rounded down instead if that has too many digits.
        numbers = zip(drawn, factors, strict=True)
        values = [-(-int(text) // factor) * factor for text, factor in numbers]
        sides.append(
            [
                value if value < 10 * lowest else value - factor
                for value, factor in zip(values, factors, strict=True)
            ]
        )
    return np.hstack([written(side, length) for side in sides])


TASKS = (
    Task(
        id="fn_t",
        name="collatz_steps_parity",
        description="the number of Collatz steps from the number to 1 is odd",
        alphabet="decimal",
        examples=("16", "27"),
        target_function=odd_collatz_steps,
        samplers={"paper": Sampler(draw_uniform), "hard": Sampler(draw_uniform)},
        lengths=Lengths(smallest=2, largest=2_000),
        apart_from=30,
    ),
    Task(
        id="",
        name="gcd_range",
        description="the greatest common divisor of the two halves, L digits each, is in 20..51",
        alphabet="decimal",
        examples=("10501081", "10501080"),
        target_function=divisor_in_range,
        samplers={"paper": Sampler(draw_multiples), "hard": Sampler(draw_multiples)},
        lengths=Lengths(smallest=4, largest=2_000, reason="each half has L digits"),
        apart_from=30,
    ),
)
