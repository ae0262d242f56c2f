"""The description length of a program: the bits that encode its normalised syntax tree.

The tree is encoded node by node in Python's grammar, by a prefix code, so that it can be decoded
without knowing the program:

- a node costs the bits to choose it within its category: a statement or an expression 5, a binary
  operator or a comparison 4, a pattern 3, a unary operator 2, ``and`` or ``or`` 1, and nothing
  where the grammar leaves no choice;
- a whole number n >= 0 (the length of a list, an integer literal) costs the Elias delta code of
  n + 1: 1 bit for 0, 4 for 1 and 2, about log2(n) + 2 log2(log2(n)) for large n [1]_;
- an optional field costs 1 bit for whether it is present;
- a name costs 2 bits for its kind, then: a local its number; a name of the `VOCABULARY` 8 bits;
  any other, the first time, its length and 8 bits a byte, and later its number among these;
- a constant costs 3 bits for its kind, then: None, True, False and ``...`` 2 bits; an integer its
  number; a string or bytes its length and 8 bits a byte; a float or complex number the length of
  its shortest text and 4 bits a character.

So formatting, comments, docstrings and names of locals cost nothing, a longer literal costs more,
and a table of answers costs about as many bits as it stores. A construct costs the same in every
program, however common it is: this is a measure, not a model of the programs that people write.

References
----------
.. [1] P. Elias, "Universal codeword sets and representations of the integers", IEEE Transactions
   on Information Theory 21(2), 1975.
"""

import ast

from llm_pv.programs.canonical import Construct, Length, Literal, Presence, Word, symbols

_CATEGORY_BITS = {
    "stmt": 5,
    "expr": 5,
    "operator": 4,
    "cmpop": 4,
    "pattern": 3,
    "unaryop": 2,
    "boolop": 1,
}

_FREQUENT_NAMES = """
    f self x
    abs all any ascii bin bool bytes chr classmethod complex dict divmod
    enumerate filter float format frozenset getattr hasattr hash hex id int isinstance issubclass
    iter len list map max min next object oct ord pow print property range repr reversed
    round set setattr slice sorted staticmethod str sum super tuple type zip
    Exception ArithmeticError AssertionError AttributeError IndexError KeyError LookupError
    NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError ValueError
    ZeroDivisionError
    __init__ __call__ __name__ __getitem__ __len__ __iter__ __next__ __contains__ __eq__ __lt__
    __hash__ __repr__
    capitalize casefold center count encode decode endswith find index isalnum isalpha
    isascii isdecimal isdigit islower isnumeric isspace istitle isupper
    join ljust lower lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust
    rpartition rsplit rstrip split splitlines startswith strip swapcase title translate upper zfill
    add append clear copy difference discard extend fromkeys get insert intersection isdisjoint
    issubset issuperset items keys pop popitem remove reverse setdefault sort
    symmetric_difference union update values key default start end sep
    bit_count bit_length from_bytes to_bytes is_integer
    math re itertools functools collections operator string bisect heapq random statistics
    fractions decimal hashlib json datetime numpy np sympy networkx nx array
    ceil floor sqrt isqrt gcd lcm log log2 log10 exp sin cos tan pi factorial comb prod isclose
    compile match search fullmatch findall finditer sub group groups
    accumulate chain combinations cycle groupby islice pairwise permutations product repeat
    takewhile reduce lru_cache cache partial Counter defaultdict deque namedtuple most_common
    popleft appendleft xor and_ or_ itemgetter attrgetter heappush heappop bisect_left bisect_right
    Fraction Decimal sha256 hexdigest digest loads dumps mean median mode isprime
"""

VOCABULARY = frozenset(_FREQUENT_NAMES.split())
"""256 names at most, a byte each: built-ins, methods of built-in types, common modules."""


def number_bits(number: int) -> int:
    """Return the length of the Elias delta code of ``number + 1``, in bits.

    Examples
    --------
    >>> [number_bits(number) for number in (0, 1, 2, 3, 7, 1000)]
    [1, 4, 4, 5, 8, 16]
    """
    digits = (number + 1).bit_length()
    return digits - 1 + 2 * (digits.bit_length() - 1) + 1


def description_length(tree: ast.AST) -> int:
    """Return the number of bits that encode a tree, by the code described in this module.

    Parameters
    ----------
    tree
        A normalised syntax tree, see `normalise_tree`.

    Returns
    -------
    int
        The description length in bits.

    Examples
    --------
    >>> [description_length(ast.parse(f"f = {number}")) for number in (0, 1, 1000)]
    [37, 40, 52]
    """
    total = 0
    spelled: dict[str, int] = {}
    for symbol in symbols(tree):
        match symbol:
            case Construct(category=category):
                total += _CATEGORY_BITS.get(category, 0)
            case Length(number=number):
                total += number_bits(number)
            case Presence():
                total += 1
            case Word(name=name):
                total += 2 + _name_bits(name, spelled)
            case Literal(value=value):
                total += 3 + _constant_bits(value)
    return total


def _name_bits(name: str, spelled: dict[str, int]) -> int:
    if name.startswith("%"):
        return number_bits(int(name[1:]))
    if name in VOCABULARY:
        return 8
    if name in spelled:
        return number_bits(spelled[name])
    spelled[name] = len(spelled)
    return _text_bits(name.encode())


def _constant_bits(value: object) -> int:
    match value:
        case int() if not isinstance(value, bool):
            return number_bits(value)
        case str():
            return _text_bits(value.encode("utf-8", "surrogatepass"))
        case bytes():
            return _text_bits(value)
        case float() | complex():
            text = repr(value)
            return number_bits(len(text)) + 4 * len(text)
    return 2  # None, True, False and the ellipsis


def _text_bits(text: bytes) -> int:
    return number_bits(len(text)) + 8 * len(text)
