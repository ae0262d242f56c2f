"""Operators on strings of zeros and ones, and on fixed-length pieces of symbols."""

from typing import Any

from llm_pv.search.operators import op


def _bits(values: Any) -> bool:
    return set("".join(values[:100])) <= set("01")


def _few(values: Any) -> bool:
    return len(set("".join(values[:100]))) <= 6 and min(map(len, values)) >= 6


for width in (2, 3, 4, 8):
    pieces = f"range(0, len({{0}}) - {width - 1}, {width})"
    op(
        f"[{{0}}[i : i + {width}] for i in {pieces}]",
        "text -> texts",
        3.0,
        when=_few,
        name="pieces",
    )
for width in (2, 3, 4, 8):
    pieces = f"range(0, len({{0}}) - {width - 1}, {width})"
    op(
        f"[int({{0}}[i : i + {width}], 2) for i in {pieces}]",
        "text -> numbers",
        3.5,
        when=_bits,
        name="tokens",
    )
op("[int(k) for k in {0}]", "text -> numbers", 3.0, when=_bits, name="digits")
op(
    'list(accumulate(1 if k == "1" else -1 for k in {0}))',
    "text -> numbers",
    5.0,
    when=_bits,
    name="heights",
)
op('[i for i, k in enumerate({0}) if k == "1"]', "text -> numbers", 4.0, when=_bits, name="places")
op(
    "[len(run) for run in re.findall({c}, {0})]",
    "text -> numbers",
    2.5,
    when=_bits,
    name="runs",
    constants=lambda _: [("1+", 0.5), ("0+", 0.5)],
)
