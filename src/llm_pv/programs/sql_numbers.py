"""Arithmetic and conversions of numbers as SQL expressions (see `sql_values`)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

from llm_pv.programs.sql_values import (
    BLANKS,
    COLUMN_BITS,
    NUMBERS,
    SqlValue,
    Untranslatable,
    choice,
    constant,
    eager,
    number,
    ordered,
)


def plus(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a + b``."""
    if a.kind == b.kind == "str":
        return SqlValue(f"{a} || {b}", "str", fallible=a.can_fail or b.can_fail, whole=False)
    return _arithmetic(a, "+", b, lambda x, y: max(x, y) + 1)


def minus(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a - b``."""
    return _arithmetic(a, "-", b, lambda x, y: max(x, y) + 1)


def times(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a * b``."""
    return _arithmetic(a, "*", b, lambda x, y: x + y)


def _operands(a: SqlValue, b: SqlValue, operator: str) -> tuple[SqlValue, SqlValue]:
    if a.kind not in NUMBERS or b.kind not in NUMBERS:
        raise Untranslatable(f"`{operator}` between a {a.kind} and a {b.kind}")
    return number(a), number(b)


def _arithmetic(
    a: SqlValue, operator: str, b: SqlValue, size: Callable[[int, int], int]
) -> SqlValue:
    a, b = _operands(a, b, operator)
    kind = "float" if "float" in (a.kind, b.kind) else "int"
    bits = size(a.bits, b.bits) if kind == "int" else COLUMN_BITS
    if bits > 63:
        raise Untranslatable("arithmetic that can go beyond whole numbers of 64 bits")
    failing = a.can_fail or b.can_fail
    # The first operand as BIGINT: literals are numbers of 32 bits otherwise.
    left = f"CAST({a.sql} AS BIGINT)" if kind == "int" and a.known and bits > 30 else str(a)
    counts = kind == "int" and operator != "-" and a.counts and b.counts
    return SqlValue(
        f"{left} {operator} {b}", kind, fallible=failing, bits=bits, whole=False, counts=counts
    )


def quotient(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a / b``."""
    a, b = _operands(a, b, "/")
    if max(a.bits, b.bits) > 53:
        raise Untranslatable("`/` of whole numbers of more than 53 bits")
    top = str(a) if a.kind == "float" else f"CAST({a.sql} AS DOUBLE)"
    return SqlValue(f"{top} / {_divisor(b)}", "float", fallible=_fails(a, b), whole=False)


def remainder(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a % b`` of whole numbers, which has the sign of b."""
    a, b = _operands(a, b, "%")
    if "float" in (a.kind, b.kind):
        raise Untranslatable("`%` of decimals")
    divisor = _divisor(b)
    counts = a.counts and b.counts
    sql = f"{a} % {divisor}" if counts else f"(({a} % {divisor}) + {b}) % {divisor}"
    return SqlValue(sql, "int", fallible=_fails(a, b), bits=b.bits, whole=False, counts=b.counts)


def floor_quotient(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a // b`` of whole numbers, rounded down."""
    a, b = _operands(a, b, "//")
    if "float" in (a.kind, b.kind):
        raise Untranslatable("`//` of decimals")
    if max(a.bits, b.bits) > 52:
        raise Untranslatable("`//` of whole numbers of more than 52 bits")
    exact = f"({a} - {remainder(a, b)})"
    return SqlValue(
        f"CAST(CAST({exact} AS DOUBLE) / {_divisor(b)} AS BIGINT)",
        "int",
        fallible=_fails(a, b),
        bits=a.bits + 1,
        counts=a.counts and b.counts,
    )


def _divisor(b: SqlValue) -> str:
    return str(b) if b.known and b.const else f"NULLIF({b.sql}, 0)"


def _fails(a: SqlValue, b: SqlValue) -> bool:
    return a.can_fail or b.can_fail or not (b.known and bool(b.const))


def power(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a ** b`` for a whole number and a small constant."""
    if a.kind != "int" or b.kind != "int" or not b.known or not 0 <= int(str(b.const)) <= 4:
        raise Untranslatable("`**` other than of whole numbers with an exponent from 0 to 4")
    result = reduce(times, [a] * int(str(b.const)), constant(1)) if b.const else constant(1)
    return eager(result, [replace(a, nullable=False, fallible=a.can_fail)])


def opposite(a: SqlValue) -> SqlValue:
    """Return ``-a``."""
    if a.known and isinstance(a.const, int | float):
        return constant(-a.const)
    if a.kind not in NUMBERS:
        raise Untranslatable(f"`-` of a {a.kind}")
    a = number(a)
    return SqlValue(f"-{a}", a.kind, fallible=a.can_fail, bits=a.bits, whole=False)


def absolute(a: SqlValue) -> SqlValue:
    """Return ``abs(a)``."""
    a = number(a)
    sql = f"ABS({a.sql})"
    return SqlValue(sql, a.kind, fallible=a.can_fail, bits=a.bits, counts=a.kind == "int")


def extreme(values: Sequence[SqlValue], operator: str) -> SqlValue:
    """Return the first greatest (``>``) or smallest (``<``) of some values."""
    best, *others = values
    for other in others:
        best = choice(ordered(other, operator, best), other, best)
    return best


def rounded(a: SqlValue) -> SqlValue:
    """Return ``round(a)``: halves go to the even neighbour."""
    if a.kind in ("int", "bool"):
        return replace(number(a), nullable=False, fallible=a.can_fail)
    if a.kind != "float":
        raise Untranslatable(f"round() of a {a.kind}")
    floor = f"FLOOR({a.sql})"
    part = f"{a} - {floor}"
    odd = f"{floor} - 2e0 * FLOOR({floor} / 2e0)"
    sql = (
        f"CASE WHEN {part} < 0.5e0 THEN {floor} WHEN {part} > 0.5e0 THEN {floor} + 1e0 "
        f"ELSE {floor} + {odd} END"
    )
    return SqlValue(sql, "float", fallible=a.can_fail)


def whole_number(a: SqlValue) -> SqlValue:
    """Return ``int(a)``; of a text with at most 15 digits and no underscores."""
    if a.kind in ("int", "bool"):
        return replace(number(a), nullable=False, fallible=a.can_fail)
    if a.kind == "float":
        sql = f"CASE WHEN {a} < 0 THEN CEIL({a.sql}) ELSE FLOOR({a.sql}) END"
        return SqlValue(sql, "float", fallible=a.can_fail)
    if a.kind != "str":
        raise Untranslatable(f"int() of a {a.kind}")
    text = f"TRIM({a.sql}, {BLANKS})"
    digits = f"CASE WHEN SUBSTR({text}, 1, 1) IN ('-', '+') THEN SUBSTR({text}, 2) ELSE {text} END"
    sql = (
        f"CASE WHEN LENGTH({digits}) BETWEEN 1 AND 15 AND TRIM({digits}, '0123456789') = '' "
        f"THEN TRY_CAST({text} AS BIGINT) END"
    )
    return SqlValue(sql, "int", fallible=True, bits=50)


def decimal(a: SqlValue) -> SqlValue:
    """Return ``float(a)`` of a number."""
    if a.kind not in NUMBERS:
        raise Untranslatable(f"float() of a {a.kind}")
    return SqlValue(f"CAST({number(a).sql} AS DOUBLE)", "float", fallible=a.can_fail)
