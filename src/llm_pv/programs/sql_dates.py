"""Python's dates as whole-number arithmetic in SQL (see `sql_values`).

A date is a text of the form 2024-02-29; what a database knows of dates is not used, so that every
dialect reads the same. Its year, month, day, weekday and number are whole numbers.
"""

from collections.abc import Sequence
from dataclasses import replace

from llm_pv.programs.sql_numbers import floor_quotient, minus, plus, remainder, times
from llm_pv.programs.sql_values import NAN, SqlValue, Untranslatable, constant, eager


def called(owner: SqlValue, name: str, arguments: Sequence[SqlValue]) -> SqlValue:
    """Return the value of a method of a date, of a class of dates or of a module."""
    if owner.kind == "date" and not arguments:
        if name == "weekday":
            return remainder(plus(_ordinal(owner), constant(6)), constant(7))
        if name == "isoweekday":
            return plus(called(owner, "weekday", ()), constant(1))
        if name == "toordinal":
            return _ordinal(owner)
    if owner.extra == "date" and name == "fromisoformat" and len(arguments) == 1:
        return _date(arguments[0])
    raise Untranslatable(f"the call {name}()")


def attribute(owner: SqlValue, name: str) -> SqlValue:
    """Return an attribute of a date or of a module."""
    if owner.kind == "date" and name in ("year", "month", "day"):
        return eager(owner.items[("year", "month", "day").index(name)], [owner])
    if owner.kind == "days" and name == "days":
        return replace(owner, kind="int")
    if owner.extra == "datetime" and name == "date":
        return replace(owner, extra="date")
    if owner.extra == "math" and name == "nan":
        return NAN
    raise Untranslatable(f"the attribute {name!r} of a {owner.kind}")


def difference(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a - b`` of two dates."""
    return replace(minus(_ordinal(a), _ordinal(b)), kind="days")


def _date(text: SqlValue) -> SqlValue:
    if text.kind != "str":
        raise Untranslatable(f"a date from a {text.kind}")
    places = ((1, 4, 14), (6, 2, 7), (9, 2, 6))
    year, month, day = (f"SUBSTR({text.sql}, {start}, {size})" for start, size, _ in places)
    shaped = (
        f"LENGTH({text.sql}) = 10 AND SUBSTR({text.sql}, 5, 1) = '-' "
        f"AND SUBSTR({text.sql}, 8, 1) = '-' "
        f"AND TRIM({year} || {month} || {day}, '0123456789') = ''"
    )
    # Texts of so many digits are ordered as their numbers are.
    last = (
        f"CASE WHEN {month} IN ('04', '06', '09', '11') THEN '30' WHEN {month} <> '02' THEN '31' "
        f"WHEN TRY_CAST({year} AS BIGINT) % 400 = 0 OR (TRY_CAST({year} AS BIGINT) % 4 = 0 "
        f"AND TRY_CAST({year} AS BIGINT) % 100 <> 0) THEN '29' ELSE '28' END"
    )
    sound = (
        f"{shaped} AND {year} >= '0001' AND {month} BETWEEN '01' AND '12' "
        f"AND {day} BETWEEN '01' AND {last}"
    )
    # The parts as they are where the text is a date; otherwise the date itself is NULL.
    parts = tuple(
        SqlValue(f"TRY_CAST({digits} AS BIGINT)", "int", bits=bits, counts=True)
        for digits, (_, _, bits) in zip((year, month, day), places, strict=True)
    )
    return SqlValue(f"CASE WHEN {sound} THEN TRUE END", "date", fallible=True, items=parts)


def _ordinal(date: SqlValue) -> SqlValue:
    """Return the days since 31 December of the year 0, counting years from March."""
    year, month, day = date.items
    months = remainder(plus(month, constant(9)), constant(12))
    early = SqlValue(f"CASE WHEN {month} <= 2 THEN 1 ELSE 0 END", "int", bits=1)
    years = replace(minus(year, early), counts=True)
    total = times(constant(365), years)
    for size, sign in ((4, 1), (100, -1), (400, 1)):
        leap = floor_quotient(years, constant(size))
        total = plus(total, leap) if sign > 0 else minus(total, leap)
    before = floor_quotient(plus(times(constant(153), months), constant(2)), constant(5))
    days = minus(plus(plus(total, before), day), constant(306))
    return replace(eager(days, [date]), counts=True)
