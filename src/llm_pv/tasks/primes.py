"""Primes among decimal numbers: of the number itself, of its neighbour at a distance, of halves.

``1009`` is prime and has label 1; ``1007`` is 19 times 53 and has label 0.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from llm_pv.tasks.numerals import digits, prime_test, remainders, small_primes, texts, written
from llm_pv.tasks.task import Candidates, Labels, Lengths, Sampler, Symbols, Task
from llm_pv.tasks.words import Words

_LAST = np.frombuffer(b"1379", dtype=np.uint8)
_SIEVED = 200
_FIRST_FACTORS = 8
_HARD_FACTOR = 1_000
_MOST_DIGITS = 1 << 23
_PRIME_LENGTHS = Lengths(smallest=4, largest=2_000, reason="numbers of four digits or more")


def is_prime(symbols: Symbols, offset: int = 0) -> Labels:
    """Label numbers by whether the number plus an offset is prime."""
    read, test = prime_test()
    values = [read(text) + offset for text in texts(symbols)]
    return np.array([value > 1 and test(value) for value in values], dtype=np.uint8)


def halves_agree(symbols: Symbols) -> Labels:
    """Label pairs of numbers, written one after the other, by whether both or neither is prime."""
    half = symbols.shape[1] // 2
    first, second = is_prime(symbols[:, :half].copy()), is_prime(symbols[:, half:].copy())
    return first ^ second ^ np.uint8(1)


def maybe_primes(words: Words, length: int, rows: int, factors_from: int = _SIEVED) -> Symbols:
    """Draw numbers without a small factor: all primes, each as likely as another, and some more.

    Parameters
    ----------
    rows
        How many numbers are drawn before those with small factors are left out.
    factors_from
        No number keeps a prime factor below this, unless it is that prime itself.
    """
    drawn = digits(words, rows, length)
    drawn[:, -1] = _LAST[words.below(4, rows)]
    factors = small_primes(min(factors_from, 10 ** (length // 2)))
    # The smallest factors go first, as they leave few rows to the many others.
    for part in np.split(factors, [_FIRST_FACTORS]):
        drawn = drawn[(remainders(drawn, part) != 0).all(axis=1)]
    return np.ascontiguousarray(drawn)


def products(words: Words, length: int, rows: int) -> list[int]:
    """Draw products, of ``length`` digits, of factors of half as many digits each."""
    first = digits(words, rows, length // 2)
    second = digits(words, rows, length - length // 2)
    pairs = zip(texts(first), texts(second), strict=True)
    smallest = 10 ** (length - 1)
    return [value for value in (int(a) * int(b) for a, b in pairs) if value >= smallest]


def rough_composites(words: Words, length: int, rows: int) -> Symbols:
    """Draw composites without a factor below 1,000, similar to primes in first and last digits.

    They are what is left of random numbers when those with small factors and the primes are
    taken out, so that no digit is distributed differently from a prime's.
    """
    drawn = maybe_primes(words, length, rows, _HARD_FACTOR)
    composites: Symbols = drawn[is_prime(drawn) == 0]
    return composites


def _block(length: int) -> int:
    """Return how many numbers to draw for about 250 primes, or as many as memory allows.

    One number in L log(10) is prime, and one in 0.92 L of those that end in 1, 3, 7 or 9.
    """
    return min(230 * length, _MOST_DIGITS // length)


def draw_paper(
    words: Words, length: int, offset: int = 0, last_digits: bytes = b"1379"
) -> Candidates:
    """Draw primes, and products of two random factors, each moved by an offset.

    Parameters
    ----------
    offset
        The number added to every prime and every product.
    last_digits
        The allowed last digits of a product.
    """
    ones = _moved(maybe_primes(words, length, _block(length)), offset, length)
    composites = products(words, length, 1_500)
    kept = [value for value in composites if str(value)[-1].encode() in last_digits]
    zeros = _moved(written(kept, length), offset, length)
    return Candidates.of_classes(ones, zeros[: max(256, len(ones) // 4)])


def draw_hard(words: Words, length: int, offset: int = 0) -> Candidates:
    """Draw primes, and composites without a factor below 1,000, each moved by an offset.

    First and last digits are distributed alike in both classes, and no division by a number below
    1,000 tells them apart.
    """
    ones = maybe_primes(words, length, _block(length))
    zeros = rough_composites(words, length, 4_096)
    return Candidates.of_classes(_moved(ones, offset, length), _moved(zeros, offset, length))


def _moved(symbols: Symbols, offset: int, length: int) -> Symbols:
    """Add an offset to every number and drop those whose length changes."""
    if not offset:
        return symbols
    low, high = 10 ** (length - 1), 10**length
    moved = [int(text) + offset for text in texts(symbols)]
    return written([value for value in moved if low <= value < high], length)


def draw_two(words: Words, length: int, others: Callable[[Words, int], Symbols]) -> Candidates:
    """Draw pairs of numbers: both prime or both composite, and one of each."""
    drawn = maybe_primes(words, length, 2 * _block(length))
    primes = drawn[is_prime(drawn) == 1]
    composites = others(words, length)
    size = min(len(primes), len(composites)) // 4
    p, c = (
        primes[: 4 * size].reshape(4, size, length),
        composites[: 4 * size].reshape(4, size, length),
    )
    ones = np.concatenate([np.hstack([p[0], p[1]]), np.hstack([c[0], c[1]])])
    zeros = np.concatenate([np.hstack([p[2], c[2]]), np.hstack([c[3], p[3]])])
    # Interleaved, so that every prefix holds both kinds of either class.
    order = np.arange(2 * size).reshape(2, size).T.ravel()
    return Candidates.of_classes(ones[order], zeros[order])


def _paper_composites(words: Words, length: int) -> Symbols:
    kept = [value for value in products(words, length, 3_000) if value % 2 and value % 5]
    return written(kept, length)


def _task(
    task_id: str,
    name: str,
    examples: tuple[str, str],
    *,
    offset: int = 0,
    last_digits: bytes = b"1379",
) -> Task:
    moved = f" minus {offset}" if offset else ""
    return Task(
        id=task_id,
        name=name,
        description=f"the number{moved} is prime",
        alphabet="decimal",
        examples=examples,
        target_function=partial(is_prime, offset=-offset),
        samplers={
            "paper": Sampler(partial(draw_paper, offset=offset, last_digits=last_digits)),
            "hard": Sampler(partial(draw_hard, offset=offset), smallest=8),
        },
        lengths=_PRIME_LENGTHS,
        growth=(2,),
        apart_from=30,
    )


TASKS = (
    _task("fn_i", "prime_decimal", ("1007", "1009"), last_digits=b"0123456789"),
    _task("fn_k", "prime_decimal_tf_check", ("1007", "1009")),
    _task("fn_v", "prime_plus_47", ("1054", "1056"), offset=47),
    _task("", "prime_minus_5", ("1012", "1014"), offset=5),
    Task(
        id="",
        name="two_primes",
        description="the two halves, L digits each, are both prime or both not",
        alphabet="decimal",
        examples=("10091007", "10091013"),
        target_function=halves_agree,
        samplers={
            "paper": Sampler(partial(draw_two, others=_paper_composites)),
            "hard": Sampler(
                partial(draw_two, others=partial(rough_composites, rows=8_192)), smallest=8
            ),
        },
        lengths=_PRIME_LENGTHS,
        growth=(2,),
        apart_from=30,
    ),
)
