"""Rules for measuring the built-in search: those it has to find, and those it had not seen.

The unseen rules were written down after the primitives were frozen, failures and all; primitives
must not be added for their sake.
"""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm_pv.data.examples import Input

Draw = Callable[[random.Random], Input]


@dataclass(frozen=True)
class Rule:
    """A rule with the inputs it is learned on."""

    name: str
    draw: Draw
    label: Callable[[Any], object]


def text(alphabet: str, shortest: int, longest: int | None = None) -> Draw:
    """Return a sampler of strings."""

    def draw(chance: random.Random) -> str:
        return "".join(chance.choices(alphabet, k=chance.randint(shortest, longest or shortest)))

    return draw


def numbers(low: int, high: int, least: int, most: int, separator: str = " ") -> Draw:
    """Return a sampler of integers written into a string."""

    def draw(chance: random.Random) -> str:
        amount = chance.randint(least, most)
        return separator.join(str(chance.randint(low, high)) for _ in range(amount))

    return draw


def sentence(chance: random.Random) -> str:
    """Return some made-up words."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    lengths = [chance.randint(1, 8) for _ in range(chance.randint(3, 9))]
    return " ".join("".join(chance.choices(letters, k=length)) for length in lengths)


def date(chance: random.Random) -> str:
    """Return a date of the last two centuries."""
    return f"{chance.randint(1830, 2030)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"


def nested(chance: random.Random) -> str:
    """Return a balanced string of parentheses."""
    result, depth, left = "", 0, chance.randint(5, 14)
    while left or depth:
        if left and (depth == 0 or chance.random() < 0.5):
            result, depth, left = result + "(", depth + 1, left - 1
        else:
            result, depth = result + ")", depth - 1
    return result


def part_number(chance: random.Random) -> str:
    """Return a code such as KX-2041-B."""
    prefix = chance.choice(["KX", "LM", "QZ", "AB"])
    return f"{prefix}-{chance.randint(1000, 9999)}-{chance.choice('ABCD')}"


def near_palindrome(length: int) -> Draw:
    """Return a sampler of palindromes and of strings two changes away from one."""

    def draw(chance: random.Random) -> str:
        half = chance.choices("01", k=length // 2)
        whole = half + half[::-1]
        if chance.random() < 0.5:
            for place in chance.sample(range(length), 2):
                whole[place] = "1" if whole[place] == "0" else "0"
        return "".join(whole)

    return draw


def person(chance: random.Random) -> Input:
    """Return a row of a made-up table."""
    return {
        "age": chance.randint(18, 90),
        "income": None if chance.random() < 0.05 else round(chance.uniform(10, 120), 1),
        "rent": round(chance.uniform(3, 40), 1),
        "weight": round(chance.uniform(45, 120), 1),
        "height": round(chance.uniform(1.5, 2.0), 2),
        "city": chance.choice(["Rome", "Oslo", "Lima", "Kyiv"]),
        "temperature": round(chance.uniform(36, 41), 1),
        "member": chance.random() < 0.5,
    }


def target_rules(length: int) -> list[Rule]:
    """Return the rules that the search has to find, for strings of this length."""
    bits, digits = text("01", length), text("123456789", length)
    chosen = random.Random(length).sample(range(length), 3)
    pattern = "1011000110"[: 8 if length > 20 else 5]

    def planted(chance: random.Random) -> str:
        whole = "".join(chance.choices("01", k=length))
        place = chance.randrange(length - len(pattern))
        return whole[:place] + pattern + whole[place + len(pattern) :]

    def either(chance: random.Random) -> Input:
        return planted(chance) if chance.random() < 0.5 else bits(chance)

    return [
        Rule("parity", bits, lambda x: x.count("1") % 2),
        Rule("first-half parity", bits, lambda x: x[: length // 2].count("1") % 2),
        Rule("palindrome", near_palindrome(length), lambda x: x == x[::-1]),
        Rule("substring", either, lambda x: pattern in x),
        Rule("3-parity", bits, lambda x: sum(x[i] == "1" for i in chosen) % 2),
        Rule("number divisible by 7", digits, lambda x: int(x) % 7 == 0),
        Rule("count divisible by 3", bits, lambda x: x.count("1") % 3 == 0),
        Rule("length mod 4", text("01", 1, length), lambda x: len(x) % 4 == 1),
        Rule("comparison of counts", digits, lambda x: x.count("3") > x.count("7")),
        Rule("threshold of a count", bits, lambda x: x.count("01") >= length // 4),
        Rule("count mod 3, three classes", bits, lambda x: x.count("1") % 3),
        Rule("conjunction", person, lambda x: x["age"] >= 40 and x["city"] != "Oslo"),
        Rule("no rule", bits, lambda x: random.Random(x).randrange(2)),
    ]


def luhn(x: str) -> bool:
    """Tell whether a credit card number's check digit is right."""
    doubled = [int(c) * (2 if i % 2 else 1) for i, c in enumerate(reversed(x))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def triage(x: dict[str, float]) -> str:
    """Return how urgent a patient is."""
    if x["temperature"] >= 39.5:
        return "high"
    return "middle" if x["age"] >= 65 else "low"


def fizz(x: str) -> str:
    """Return what the children's game says to a number."""
    n = int(x)
    return "fizzbuzz" if n % 15 == 0 else "fizz" if n % 3 == 0 else "buzz" if n % 5 == 0 else "none"


def integers(x: str) -> list[int]:
    """Return the integers written into a string."""
    return list(map(int, x.replace(",", " ").split()))


def inversions(x: str) -> int:
    """Return how many pairs of integers are in the wrong order."""
    n = integers(x)
    return sum(a > b for i, a in enumerate(n) for b in n[i + 1 :])


UNSEEN = [
    Rule(
        "a digit, a capital, 8 characters",
        text("abcdEFGH123!", 5, 12),
        lambda x: len(x) >= 8 and any(c.isdigit() for c in x) and any(c.isupper() for c in x),
    ),
    Rule("summer date", date, lambda x: 6 <= int(x[5:7]) <= 8),
    Rule(
        "leap year",
        date,
        lambda x: int(x[:4]) % 4 == 0 and (int(x[:4]) % 100 != 0 or int(x[:4]) % 400 == 0),
    ),
    Rule(
        "largest at least twice the smallest",
        numbers(10, 60, 3, 6),
        lambda x: max(integers(x)) >= 2 * min(integers(x)),
    ),
    Rule(
        "first two outweigh the rest",
        numbers(0, 50, 5, 5, ","),
        lambda x: sum(integers(x)[:2]) > sum(integers(x)[2:]),
    ),
    Rule("even number of inversions", numbers(0, 99, 6, 6), lambda x: inversions(x) % 2),
    Rule(
        "some integer twice",
        numbers(1, 30, 6, 8),
        lambda x: len(set(integers(x))) < len(integers(x)),
    ),
    Rule(
        "first and last word equally long",
        sentence,
        lambda x: len(x.split()[0]) == len(x.split()[-1]),
    ),
    Rule(
        "two words begin with a vowel",
        sentence,
        lambda x: sum(w[0] in "aeiou" for w in x.split()) >= 2,
    ),
    Rule("digit sum divisible by 9", text("0123456789", 12), lambda x: sum(map(int, x)) % 9 == 0),
    Rule("Luhn check digit", text("0123456789", 10), luhn),
    Rule(
        "a digit twice in a row",
        text("0123456789", 7),
        lambda x: any(a == b for a, b in itertools.pairwise(x)),
    ),
    Rule(
        "more even digits than odd",
        text("0123456789", 21),
        lambda x: sum(c in "02468" for c in x) > 10,
    ),
    Rule(
        "thirds agree on the majority",
        text("01", 27),
        lambda x: (x[:9].count("1") > 4) == (x[-9:].count("1") > 4),
    ),
    Rule("seven ones in a row", text("01", 80), lambda x: "1111111" in x),
    Rule(
        "even number of 101",
        text("01", 60),
        lambda x: sum(x.startswith("101", i) for i in range(60)) % 2,
    ),
    Rule(
        "ends equal and even count",
        text("01", 30),
        lambda x: x[0] == x[-1] and x.count("1") % 2 == 0,
    ),
    Rule("first byte exceeds last byte", text("01", 40), lambda x: int(x[:8], 2) > int(x[-8:], 2)),
    Rule(
        "more vowels than consonants",
        text("aeioubcdfg", 15),
        lambda x: sum(c in "aeiou" for c in x) > 7,
    ),
    Rule(
        "first a before first b",
        text("abcdef", 14),
        lambda x: "a" in x and "b" in x and x.index("a") < x.index("b"),
    ),
    Rule(
        "nested four deep",
        nested,
        lambda x: (
            "((((" in x
            or max(sum(1 if c == "(" else -1 for c in x[:i]) for i in range(len(x))) >= 4
        ),
    ),
    Rule(
        "income at least three rents",
        person,
        lambda x: x["income"] is not None and x["income"] >= 3 * x["rent"],
    ),
    Rule("body-mass index at least 25", person, lambda x: x["weight"] / x["height"] ** 2 >= 25),
    Rule(
        "a city, or old and a member",
        person,
        lambda x: x["city"] == "Rome" or (x["age"] >= 60 and x["member"]),
    ),
    Rule("triage, three classes", person, triage),
    Rule("fizz buzz, four classes", numbers(1, 999, 1, 1), fizz),
    Rule("most frequent letter, three classes", text("abc", 16), lambda x: max("abc", key=x.count)),
    Rule(
        "part number: prefix and even",
        part_number,
        lambda x: x[:2] in ("KX", "QZ") and int(x[3:7]) % 2 == 0,
    ),
    Rule("common divisor", numbers(2, 60, 2, 2), lambda x: math.gcd(*integers(x)) > 1),
    Rule(
        "second integer is the largest",
        numbers(0, 99, 4, 4),
        lambda x: integers(x)[1] == max(integers(x)),
    ),
]
