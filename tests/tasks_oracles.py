"""Plain-Python readings of the benchmark's target functions, written apart from the package."""

import hashlib
import math
from collections.abc import Callable

import networkx as nx
import sympy

# The first ten of torch.randperm(L) after torch.manual_seed(42), as torch 2 gives them.
COORDINATES = {10: [2, 6, 1, 8, 4, 5, 0, 9, 3, 7]}


def dyck2(text: str) -> int:
    tokens = [text[i : i + 2] for i in range(0, len(text), 2)]
    word = "".join({"00": "(", "01": ")", "10": "[", "11": "]"}.get(t, "?") for t in tokens)
    while "()" in word or "[]" in word:
        word = word.replace("()", "").replace("[]", "")
    return int(word == "")


def automata(text: str) -> int:
    cells = [0, *map(int, text), 0]
    table = [0, 1, 1, 1, 1, 0, 0, 0]
    after = [
        table[4 * cells[i - 1] + 2 * cells[i] + cells[i + 1]] for i in range(1, len(cells) - 1)
    ]
    return sum(after) % 2


def sha(text: str) -> int:
    return bin(int(hashlib.sha256(text.encode()).hexdigest(), 16)).count("1") % 2


def collatz(text: str) -> int:
    number, steps = int(text), 0
    while number > 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps % 2


def halves(text: str) -> tuple[int, int]:
    return int(text[: len(text) // 2]), int(text[len(text) // 2 :])


def graph(text: str) -> "nx.MultiGraph[str]":
    edges = [(text[i + 1 : i + 3], text[i + 4 : i + 6]) for i in range(0, len(text), 6)]
    return nx.MultiGraph([edge for edge in edges if edge != ("00", "00")])


def many_cycles(text: str) -> int:
    g = graph(text)
    edges = g.number_of_edges()
    cycles = edges - g.number_of_nodes() + nx.number_connected_components(g)
    return int(cycles > max(1, edges // 6))


def connected(text: str) -> int:
    g = graph(text)
    return int(g.number_of_nodes() > 0 and nx.number_connected_components(g) == 1)


def prime(number: int) -> int:
    return int(number > 1 and bool(sympy.isprime(number)))


ORACLES: dict[str, Callable[[str], int]] = {
    "parity_all": lambda x: x.count("1") % 2,
    "parity_first_half": lambda x: x[: len(x) // 2].count("1") % 2,
    "patternmatch1": lambda x: int("10101010" in x),
    "patternmatch2": lambda x: int("00111111" in x),
    "palindrome": lambda x: int(x == x[::-1]),
    "dyck2": dyck2,
    "automata_parity": automata,
    "sha256_parity": sha,
    "prime_decimal": lambda x: prime(int(x)),
    "prime_decimal_tf_check": lambda x: prime(int(x)),
    "prime_plus_47": lambda x: prime(int(x) - 47),
    "prime_minus_5": lambda x: prime(int(x) - 5),
    "two_primes": lambda x: int(prime(halves(x)[0]) == prime(halves(x)[1])),
    "gcd_range": lambda x: int(20 <= math.gcd(*halves(x)) <= 51),
    "collatz_steps_parity": collatz,
    "graph_has_cycle": many_cycles,
    "graph_connected": connected,
}
