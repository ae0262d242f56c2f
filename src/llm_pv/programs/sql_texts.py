"""Python's operations on text as SQL expressions (see `sql_values`)."""

from collections.abc import Sequence

from llm_pv.programs.sql_values import (
    BLANKS,
    FAILURE,
    FALSE,
    SqlValue,
    Untranslatable,
    constant,
    either,
)


def length(text: SqlValue) -> SqlValue:
    """Return ``len(text)``."""
    return SqlValue(f"LENGTH({text.sql})", "int", fallible=text.can_fail, counts=True)


def method(text: SqlValue, name: str, arguments: Sequence[SqlValue]) -> SqlValue:
    """Return ``text.name(*arguments)``."""
    if name in ("startswith", "endswith") and len(arguments) == 1:
        return _at_end(text, arguments[0], name)
    failing = text.can_fail or any(argument.can_fail for argument in arguments)
    match name, arguments:
        case (("lower" | "upper"), []):
            return SqlValue(f"{name.upper()}({text.sql})", "str", fallible=failing)
        case (("strip" | "lstrip" | "rstrip"), ([] | [SqlValue(kind="str")])):
            blanks = arguments[0].sql if arguments else BLANKS
            side = name.removesuffix("strip").upper()
            return SqlValue(f"{side}TRIM({text.sql}, {blanks})", "str", fallible=failing)
        case "replace", [SqlValue(const=str(old)), SqlValue(kind="str") as new] if old:
            sql = f"REPLACE({text.sql}, {arguments[0].sql}, {new.sql})"
            return SqlValue(sql, "str", fallible=failing)
        case "count", [SqlValue(const=str(part))] if part:
            gone = f"LENGTH({text.sql}) - LENGTH(REPLACE({text.sql}, {arguments[0].sql}, ''))"
            if len(part) == 1:
                return SqlValue(gone, "int", fallible=failing, whole=False, counts=True)
            sql = f"CAST(CAST(({gone}) AS DOUBLE) / {len(part)} AS BIGINT)"
            return SqlValue(sql, "int", fallible=failing, counts=True)
        case "find", [SqlValue(const=str(part))] if part:
            sql = f"STRPOS({text.sql}, {arguments[0].sql}) - 1"
            return SqlValue(sql, "int", fallible=failing, whole=False)
        case "isdigit", []:
            sql = f"{text} <> '' AND TRIM({text.sql}, '0123456789') = ''"
            return SqlValue(sql, "bool", fallible=failing, whole=False)
    raise Untranslatable(f"the method {name}() of a text, with these arguments")


def _at_end(text: SqlValue, part: SqlValue, name: str) -> SqlValue:
    if part.kind == "list":
        found = FALSE
        if not part.items and text.can_fail:  # the method of a missing text fails all the same
            return SqlValue(f"CASE WHEN {text} IS NOT NULL THEN FALSE END", "bool", fallible=True)
        for item in part.items:
            found = either(found, lambda item=item: _at_end(text, item, name))  # type: ignore[misc]
        return found
    if part.kind != "str":
        return FAILURE
    size = str(len(part.const)) if isinstance(part.const, str) else f"LENGTH({part.sql})"
    failing = text.can_fail or part.can_fail
    if name == "startswith":
        sql = f"SUBSTR({text.sql}, 1, {size}) = {part}"
    else:
        end = f"SUBSTR({text.sql}, LENGTH({text.sql}) - {size} + 1, {size}) = {part}"
        sql = f"CASE WHEN LENGTH({text.sql}) >= {size} THEN {end} "
        sql += f"WHEN LENGTH({text.sql}) < {size} THEN FALSE END"
    return SqlValue(sql, "bool", fallible=failing, whole=name == "endswith")


def character(text: SqlValue, place: SqlValue) -> SqlValue:
    """Return ``text[place]``."""
    if place.kind != "int":
        raise Untranslatable(f"a text indexed by a {place.kind}")
    if isinstance(place.const, int):
        start = (
            str(place.const + 1) if place.const >= 0 else f"LENGTH({text.sql}) - {-place.const} + 1"
        )
    elif place.counts:
        start = f"{place} + 1"
    else:
        start = f"CASE WHEN {place} < 0 THEN LENGTH({text.sql}) + {place} ELSE {place} END + 1"
    # Before the first character there is none, which SUBSTR sees otherwise.
    sql = f"NULLIF(SUBSTR({text.sql}, {start}, 1), '')"
    if not place.counts:
        sql = f"CASE WHEN {start} >= 1 THEN {sql} END"
    return SqlValue(sql, "str", fallible=True)


def part(text: SqlValue, start: SqlValue, stop: SqlValue) -> SqlValue:
    """Return ``text[start:stop]``; a constant None stands for an end left out."""
    failing = text.can_fail or any(end.kind != "none" and end.can_fail for end in (start, stop))
    low = _clamped(text, start, constant(0).sql)
    if stop.kind == "none":
        return SqlValue(f"SUBSTR({text.sql}, {_plus_one(low)})", "str", fallible=failing)
    if _is_size(start) and _is_size(stop):
        size = max(int(str(stop.const)) - int(str(start.const or 0)), 0)
        return SqlValue(f"SUBSTR({text.sql}, {_plus_one(low)}, {size})", "str", fallible=failing)
    high = _clamped(text, stop, "")
    sql = (
        f"CASE WHEN {high} > {low} THEN SUBSTR({text.sql}, {_plus_one(low)}, {high} - {low}) "
        f"WHEN {high} <= {low} THEN '' END"
    )
    return SqlValue(sql, "str", fallible=failing)


def _is_size(end: SqlValue) -> bool:
    return end.kind == "none" or (isinstance(end.const, int) and end.const >= 0)


def _clamped(text: SqlValue, end: SqlValue, left_out: str) -> str:
    """Return an end of a slice, counted from the left and not below 0."""
    if end.kind == "none":
        return left_out
    if end.kind != "int":
        raise Untranslatable(f"a slice that ends at a {end.kind}")
    if end.nullable:
        raise Untranslatable("a slice that ends at what can be missing")
    if end.counts:
        return str(end)
    size = f"LENGTH({text.sql})"
    from_end = f"{size} + {end}"
    below = f"CASE WHEN {from_end} > 0 THEN {from_end} WHEN {from_end} <= 0 THEN 0 END"
    if isinstance(end.const, int):
        return f"({below})"
    return f"(CASE WHEN {end} < 0 THEN {below} WHEN {end} >= 0 THEN {end} END)"


def _plus_one(low: str) -> str:
    return str(int(low) + 1) if low.isdigit() else f"{low} + 1"
