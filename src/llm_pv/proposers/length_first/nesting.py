"""What lies how deep in bracketed text: its characters, its numbers, the pairs within a pair."""

from collections.abc import Iterator, Sequence

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.derived import Source
from llm_pv.proposers.length_first.expressions import Definition, Evaluator, imports
from llm_pv.proposers.length_first.sequences import Category, Part

OPENING, CLOSING = "([{", ")]}"

BETWEEN_DEPTHS = Definition(
    '''def between_depths(text, low, high=1000):
    """Return the text with blanks for what is less than low or more than high brackets deep."""
    kept, depth = [], 0
    for c in text:
        depth += c in "([{"
        kept.append(c if low <= depth <= high else " ")
        depth -= c in ")]}"
    return "".join(kept)''',
    "helper",
)
PAIRS_WITHIN = Definition(
    '''def pairs_within(text):
    """Return, for each pair of brackets, how many pairs lie directly inside it."""
    counts, open_pairs = [], []
    for c in text:
        if c in "([{":
            if open_pairs:
                counts[open_pairs[-1]] += 1
            open_pairs.append(len(counts))
            counts.append(0)
        elif c in ")]}" and open_pairs:
            open_pairs.pop()
    return counts''',
    "helper",
)
DEEPEST = Definition(
    '''def deepest(text):
    """Return the bracket that opens the deepest pair, the first one of several."""
    depth, best, found = 0, 0, ""
    for c in text:
        depth += c in "([{"
        if c in "([{" and depth > best:
            best, found = depth, c
        depth -= c in ")]}"
    return found''',
    "helper",
)


def is_nested(train: Sequence[str]) -> bool:
    """Tell whether every row has brackets, and one of them brackets inside brackets."""
    some = all(any(c in OPENING for c in row) for row in train)
    return some and any(_depth(row) > 1 for row in train)


def _depth(row: str) -> int:
    depth = deepest = 0
    for character in row:
        depth += (character in OPENING) - (character in CLOSING)
        deepest = max(deepest, depth)
    return deepest


def nested_sources(train: Sequence[str]) -> Iterator[Source]:
    """Yield the texts and lists that depend on how deep brackets are."""
    if not is_nested(train):
        return
    yield Source("children", "pairs_within({s})", weights.NESTED, (PAIRS_WITHIN,))
    if set("".join(train)) <= set(OPENING + CLOSING):
        return
    for name, bounds in (("shallow", "0, 1"), ("deep", "2")):
        code = f"between_depths({{s}}, {bounds})"
        yield Source(name, code, weights.NESTED, (BETWEEN_DEPTHS,))
        if all(any(c.isdecimal() for c in row) for row in train):
            numbers = f'[int(number) for number in re.findall(r"\\d+", {code})]'
            needs = (BETWEEN_DEPTHS, *imports(weights.REGEX))
            yield Source(f"{name}_numbers", numbers, weights.NESTED + 1, needs)


def deepest_bracket(text: Part, evaluator: Evaluator, size: int) -> Category | None:
    """Return which bracket opens the deepest pair; None where there is one kind only."""
    train = [str(row) for row in text.rows[:size]]
    if not is_nested(train) or len(set("".join(train)) & set(OPENING)) < 2:
        return None
    values = evaluator.run("deepest({s})", {}, text.rows, (DEEPEST,))
    if values is None:
        return None
    bits = text.bits + weights.NESTED + 1
    return Category(f"deepest({text.code})", bits, values, (*text.needs, DEEPEST))
