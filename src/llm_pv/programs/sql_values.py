"""Python values as SQL expressions in DuckDB's dialect: operators and built-in functions.

SQL's NULL stands for None where a value is `nullable`, and for an error (None < 3, a division by
zero) where it is `fallible`, and for NaN where the kind is `GAPPED`, which only choices and
comparisons take. No expression raises: what fails in Python is NULL here. What this does not cover:
NaN of a column, infinities, and the case of letters that change their number of characters.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from llm_pv.errors import ProgramError

COLUMN_BITS = 32
"""The size of whole numbers in a column, beyond which arithmetic is not checked."""

_NOTHING = object()
NUMBERS = ("int", "float", "bool")
GAPPED = "number or NaN"
_MOST_CHARACTERS = 200_000
BLANKS = " || ".join(["' '", *(f"CHR({code})" for code in (9, 10, 11, 12, 13, 28, 29, 30, 31))])


class Untranslatable(ProgramError):  # noqa: N818 - an answer rather than a fault
    """A construct without a translation; the message names it."""


@dataclass(frozen=True)
class SqlValue:
    """A value of the program as SQL."""

    sql: str
    kind: str
    "int, float, str, bool, none, label, list, dict, row or function."
    nullable: bool = False
    fallible: bool = False
    "Whether NULL means None, and whether it means an error."
    const: object = _NOTHING
    "The Python value, where it is known."
    items: tuple["SqlValue", ...] = ()
    "The items of a list, or the keys and values of a dict, one after the other."
    bits: int = COLUMN_BITS
    "The most binary digits of a whole number."
    whole: bool = True
    "Whether the expression needs no parentheses."
    counts: bool = False
    "Whether a whole number is never negative."
    extra: object = None
    "The function, module or unknown name itself."

    def __post_init__(self) -> None:
        if len(self.sql) > _MOST_CHARACTERS:
            raise Untranslatable(f"the SQL is longer than {_MOST_CHARACTERS:,} characters")

    @property
    def known(self) -> bool:
        """Whether the Python value is known."""
        return self.const is not _NOTHING

    @property
    def can_fail(self) -> bool:
        """Whether an operation that refuses None fails for some row."""
        return self.nullable or self.fallible

    def __str__(self) -> str:
        return self.sql if self.whole else f"({self.sql})"


def constant(value: object) -> SqlValue:
    """Return a constant: text, number, truth value or None."""
    if value is None:
        return SqlValue("NULL", "none", nullable=True, const=None)
    if isinstance(value, bool):
        return SqlValue("TRUE" if value else "FALSE", "bool", const=value, bits=1)
    if isinstance(value, int):
        if value.bit_length() > 63:
            raise Untranslatable("a whole number of more than 63 bits")
        bits = max(value.bit_length(), 1)
        return SqlValue(
            str(value), "int", const=value, bits=bits, whole=value >= 0, counts=value >= 0
        )
    if isinstance(value, float) and abs(value) < float("inf"):
        text = repr(value)
        text += "" if "e" in text else "e0"
        return SqlValue(text, "float", const=value, whole=value >= 0)
    if isinstance(value, str):
        if "\0" in value:
            raise Untranslatable("a text with a NUL character")
        return SqlValue(quoted(value, "'"), "str", const=value)
    raise Untranslatable(f"a constant of type {type(value).__name__}")


def quoted(text: str, quote: str) -> str:
    """Return a text between quotes, those in it doubled."""
    return quote + text.replace(quote, quote * 2) + quote


FAILURE = SqlValue("NULL", "bool", fallible=True)
NAN = SqlValue("CAST(NULL AS DOUBLE)", GAPPED)
TRUE, FALSE = constant(True), constant(False)


def settled(value: SqlValue, what: str) -> SqlValue:
    """Return a value of which NULL means one thing only."""
    if value.nullable and value.fallible:
        raise Untranslatable(f"{what} of a value that can be missing or fail")
    return value


def eager(result: SqlValue, parts: Iterable[SqlValue]) -> SqlValue:
    """Return a value that fails where one of the parts does, although it may not use them."""
    failing = [part for part in parts if part.fallible]
    for part in failing:
        settled(part, "the evaluation")
    if not failing:
        return result
    test = " AND ".join(dict.fromkeys(f"{part} IS NOT NULL" for part in failing))
    return replace(
        result, sql=f"CASE WHEN {test} THEN {result} END", fallible=True, const=_NOTHING, whole=True
    )


def truth(value: SqlValue) -> SqlValue:
    """Return whether a value is true in a condition."""
    if value.kind in ("list", "dict"):
        return constant(bool(value.items))
    if value.known:
        return constant(bool(value.const))
    settled(value, "the truth")
    match value.kind:
        case "bool":
            test = value
        case "int" | "float":
            test = SqlValue(f"{value} <> 0", "bool", fallible=value.fallible, whole=False)
        case "str":
            test = SqlValue(f"{value} <> ''", "bool", fallible=value.fallible, whole=False)
        case _:
            raise Untranslatable(f"the truth of a {value.kind}")
    if value.nullable:
        return SqlValue(f"COALESCE({test.sql}, FALSE)", "bool")
    return test


def negation(value: SqlValue) -> SqlValue:
    """Return ``not value``."""
    test = truth(value)
    if test.known:
        return constant(not test.const)
    return SqlValue(f"NOT {test}", "bool", fallible=test.fallible, whole=False)


def both(a: SqlValue, b: Callable[[], SqlValue]) -> SqlValue:
    """Return ``a and b`` as a condition."""
    return _joined(a, "AND", b, FALSE)


def either(a: SqlValue, b: Callable[[], SqlValue]) -> SqlValue:
    """Return ``a or b`` as a condition."""
    return _joined(a, "OR", b, TRUE)


def _joined(a: SqlValue, word: str, b: Callable[[], SqlValue], decided: SqlValue) -> SqlValue:
    """Return two conditions joined; where the first has the decided value, it is the result."""
    if a.known:
        return decided if bool(a.const) is decided.const else b()
    second = b()
    fallible = a.fallible or second.fallible
    if a.fallible:
        then, other = (decided, second) if decided.const else (second, decided)
        sql = f"CASE WHEN {a} THEN {then} WHEN NOT {a} THEN {other} END"
        return SqlValue(sql, "bool", fallible=fallible)
    return SqlValue(f"{a} {word} {second}", "bool", fallible=fallible, whole=False)


def choice(test: SqlValue, then: SqlValue, other: SqlValue) -> SqlValue:
    """Return ``then if test else other``; the test is a condition."""
    if test.known:
        return then if test.const else other
    if then == other and not test.fallible:
        return then
    kinds = {then.kind, other.kind} - {"none"}
    if not kinds:
        return eager(then, [test])
    if kinds == {"int", "float"}:
        kinds = {"float"}
    if (
        GAPPED in kinds
        and kinds <= {GAPPED, "int", "float"}
        and not (then.can_fail or other.can_fail)
    ):
        kinds = {GAPPED}
    if len(kinds) > 1 or not kinds <= {"int", "float", "str", "bool", "label", GAPPED}:
        raise Untranslatable(f"a choice between a {then.kind} and a {other.kind}")
    last = f"WHEN NOT {test} THEN" if test.fallible else "ELSE"
    return SqlValue(
        f"CASE WHEN {test.sql} THEN {then} {last} {other} END",
        kinds.pop(),
        nullable=then.nullable or other.nullable,
        fallible=test.fallible or then.fallible or other.fallible,
        bits=max(then.bits, other.bits),
        counts=then.counts and other.counts,
    )


def is_none(value: SqlValue) -> SqlValue:
    """Return ``value is None``."""
    settled(value, "the test for None")
    if value.kind == "none":
        return TRUE
    if value.nullable:
        return SqlValue(f"{value} IS NULL", "bool", whole=False)
    return eager(FALSE, [value])


def number(value: SqlValue) -> SqlValue:
    """Return a number; 0 and 1 for a truth value."""
    if value.kind == "bool":
        if value.known:
            return constant(int(bool(value.const)))
        sql = f"CASE WHEN {value.sql} THEN 1 WHEN NOT {value} THEN 0 END"
        if not value.can_fail:
            sql = f"CASE WHEN {value.sql} THEN 1 ELSE 0 END"
        return replace(value, sql=sql, kind="int", bits=1, whole=True, counts=True)
    return value


def equal(a: SqlValue, b: SqlValue) -> SqlValue:
    """Return ``a == b``."""
    if a.kind == "none" or b.kind == "none":
        return is_none(b if a.kind == "none" else a)
    if GAPPED in (a.kind, b.kind):
        return _with_gaps(a, "=", b)
    if a.kind in NUMBERS and b.kind in NUMBERS:
        if a.kind != b.kind:
            a, b = number(a), number(b)
    elif not a.kind == b.kind == "str":
        if {a.kind, b.kind} & {"list", "dict", "row", "function"}:
            raise Untranslatable(f"== between a {a.kind} and a {b.kind}")
        settled(a, "==")
        settled(b, "==")
        same = both(is_none(a), lambda: is_none(b)) if a.nullable and b.nullable else FALSE
        return eager(same, [a, b])
    if a.known and b.known:
        return constant(a.const == b.const)
    if a.nullable or b.nullable:
        settled(a, "==")
        settled(b, "==")
        return eager(SqlValue(f"{a} IS NOT DISTINCT FROM {b}", "bool", whole=False), [a, b])
    return SqlValue(f"{a} = {b}", "bool", fallible=a.fallible or b.fallible, whole=False)


def ordered(a: SqlValue, operator: str, b: SqlValue) -> SqlValue:
    """Return the comparison of two values by ``<``, ``<=``, ``>`` or ``>=``."""
    if GAPPED in (a.kind, b.kind):
        return _with_gaps(a, operator, b)
    if a.kind in NUMBERS and b.kind in NUMBERS:
        a, b = number(a), number(b)
    elif not a.kind == b.kind == "str":
        return FAILURE
    return SqlValue(f"{a} {operator} {b}", "bool", fallible=a.can_fail or b.can_fail, whole=False)


def _with_gaps(a: SqlValue, operator: str, b: SqlValue) -> SqlValue:
    """Return a comparison with a number that can be NaN, which is then false."""
    for one in (a, b):
        if one.kind not in (*NUMBERS, GAPPED) or one.can_fail:
            raise Untranslatable(f"`{operator}` between a {a.kind} and a {b.kind}")
    return SqlValue(f"COALESCE({number(a)} {operator} {number(b)}, FALSE)", "bool")


def member(value: SqlValue, container: SqlValue) -> SqlValue:
    """Return ``value in container``."""
    if container.kind == "str":
        if value.kind != "str":
            return FAILURE
        failing = value.can_fail or container.can_fail
        found = SqlValue(
            f"STRPOS({container.sql}, {value.sql}) > 0", "bool", fallible=failing, whole=False
        )
        if value.known:
            return (
                found
                if value.const
                else eager(TRUE, [replace(container, nullable=False, fallible=failing)])
            )
        empty = f"{value} = '' AND {container} IS NOT NULL"
        return SqlValue(f"CASE WHEN {empty} THEN TRUE ELSE {found} END", "bool", fallible=failing)
    if container.kind not in ("list", "dict"):
        raise Untranslatable(f"`in` a {container.kind}")
    items = container.items[:: 2 if container.kind == "dict" else 1]
    alike = all(item.known and item.kind == value.kind and item.kind != "none" for item in items)
    if alike and len(items) > 1 and value.kind in ("str", "int", "float"):
        listed = ", ".join(dict.fromkeys(item.sql for item in items))
        settled(value, "`in`")
        test = SqlValue(f"{value} IN ({listed})", "bool", fallible=value.fallible, whole=False)
        return SqlValue(f"COALESCE({test.sql}, FALSE)", "bool") if value.nullable else test
    found = FALSE
    for item in items:
        found = either(found, lambda item=item: equal(value, item))  # type: ignore[misc]
    return eager(found, [value, *items])


def written(a: SqlValue) -> SqlValue:
    """Return ``str(a)``."""
    if a.kind == "none":
        return constant("None")
    settled(a, "str()")
    if a.kind == "bool":
        text = f"CASE WHEN {a.sql} THEN 'True' WHEN NOT {a} THEN 'False' END"
    elif a.kind in ("int", "str"):
        text = a.sql if a.kind == "str" else f"CAST({a.sql} AS VARCHAR)"
    else:
        raise Untranslatable(f"str() of a {a.kind}")
    if a.nullable:
        return SqlValue(f"COALESCE({text}, 'None')", "str")
    return SqlValue(text, "str", fallible=a.fallible, whole=a.kind != "str" or a.whole)
