"""How many of a few chosen positions hold a symbol: sums over the most telling coordinates."""

from collections.abc import Iterator

import numpy as np

from llm_pv.proposers.length_first import weights
from llm_pv.proposers.length_first.expressions import Expression
from llm_pv.proposers.length_first.scoring import Target
from llm_pv.proposers.length_first.sequences import Part, literal
from llm_pv.proposers.length_first.weights import choice_bits, subset_bits

MOST_POSITIONS = 400
MOST_CHOSEN = 9
MOST_SYMBOLS = 10


def telling_positions(text: Part, target: Target) -> Iterator[Expression]:
    """Yield, for each symbol, sums over the positions whose holding it says most of the target."""
    rows = [str(row) for row in text.rows]
    train = [rows[index] for index in target.rows.tolist()]
    lengths = {len(row) for row in train}
    if len(lengths) != 1 or not 2 < max(lengths) <= MOST_POSITIONS:
        return
    length = max(lengths)
    alphabet = sorted(set().union(*train))
    if len(alphabet) > MOST_SYMBOLS:
        return
    padded = np.array([list(row[:length].ljust(length, "\0")) for row in rows])
    signs = np.where(target.members, 1.0, -1.0)
    for symbol in alphabet:
        held = padded == symbol
        centred = held[target.rows] - held[target.rows].mean(axis=0)
        telling = (signs - signs.mean()) @ centred
        for order in (np.argsort(-telling, kind="stable"), np.argsort(telling, kind="stable")):
            for count in range(2, min(MOST_CHOSEN, length) + 1):
                chosen = sorted(order[:count].tolist())
                positions = ", ".join(map(str, chosen))
                code = f"sum({text.code}[i] == {literal(symbol)} for i in ({positions}))"
                bits = text.bits + weights.POSITION + choice_bits(len(alphabet))
                bits += subset_bits(length, count)
                values = held[:, chosen].sum(axis=1).astype(np.float64)
                yield Expression(code, bits, values, needs=text.needs)
