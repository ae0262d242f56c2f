"""Operators on dates and times of day."""

import re
from typing import Any

from llm_pv.search.operators import op

ISO = r"\d{4}-\d\d-\d\d"


def _count(pattern: str, least: int) -> Any:
    return lambda values: all(len(re.findall(pattern, row)) >= least for row in values[:50])


op(
    "date.fromisoformat({0}[:10])",
    "text -> date",
    1.0,
    name="day",
    when=lambda v: re.match(ISO, v[0]) is not None,
)
op(
    f'date.fromisoformat(re.search(r"{ISO}", {{0}})[0])'.replace("{4}", "{{4}}"),
    "text -> date",
    2.0,
    name="day",
    when=lambda v: not re.match(ISO, v[0]) and _count(ISO, 1)(v),
)
op(
    f'date.fromisoformat(re.findall(r"{ISO}", {{0}})[-1])'.replace("{4}", "{{4}}"),
    "text -> date",
    2.0,
    name="last_day",
    when=_count(ISO, 2),
)
for form in (
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
):
    op(
        f'datetime.strptime({{0}}, "{form}").date()',
        "text -> date",
        1.0,
        name="day",
        when=lambda v: any(c.isdigit() for c in v[0]) and 8 <= len(v[0]) <= 20,
    )
for form in ("%d/%m/%Y", "%m/%d/%Y"):
    op(
        f'datetime.strptime({{0}}[:10], "{form}").date()',
        "text -> date",
        1.5,
        name="day",
        when=lambda v: re.match(r"\d\d/\d\d/\d{4}.", v[0]) is not None,
    )
for form in ("%m/%y", "%m/%Y"):
    op(
        f'datetime.strptime({{0}}, "{form}").date()',
        "text -> date",
        1.0,
        name="month",
        when=lambda v: re.fullmatch(r"\d?\d/(\d\d)?\d\d", v[0]) is not None,
    )
op("12 * {0}.year + {0}.month", "date -> number", 1.5, kind="months")
op("{0}.year", "date -> number", 0.5, kind="year")
op("{0}.month", "date -> number", 0.5, kind="month")
op("{0}.day", "date -> number", 0.5, kind="day of the month")
op("{0}.weekday()", "date -> number", 0.5, kind="weekday")
op("({0}.month - 1) // 3", "date -> number", 2.0, kind="quarter")
op("{0}.timetuple().tm_yday", "date -> number", 3.0, kind="day of the year")
op("{0}.toordinal()", "date -> number", 4.0, kind="day")
op("calendar.isleap({0}.year)", "date -> truth", 2.5)
op("({1} - {0}).days", "date, date -> number", 1.0, kind="days")
op(
    "{1}.year - {0}.year - (({1}.month, {1}.day) < ({0}.month, {0}.day))",
    "date, date -> number",
    1.5,
    kind="years",
)
op("calendar.monthrange({0}.year, {0}.month)[1] - {0}.day", "date -> number", 3.5, kind="days")
op(
    "60 * int({0}[:2]) + int({0}[3:])",
    "text -> number",
    0.5,
    name="minutes",
    kind="minutes",
    when=lambda v: all(re.fullmatch(r"\d\d:\d\d", row) for row in v[:50]),
)
op(
    '[60 * int(h) + int(m) for h, m in re.findall(r"(\\d?\\d):(\\d\\d)", {0})]',
    "text -> numbers",
    1.5,
    name="minutes",
    kind="minutes",
    when=_count(r"\d:\d\d", 1),
)
op(
    "[60 * (int(h) % 12) + int(m) + 720 * (half in 'pP') "
    'for h, m, half in re.findall(r"(\\d?\\d):(\\d\\d) ?([AaPp])[Mm]", {0})]',
    "text -> numbers",
    1.5,
    name="minutes",
    kind="minutes",
    when=_count(r"\d:\d\d ?[AaPp][Mm]", 1),
)
op(
    "({0}[-1] - {0}[0]) % 1440",
    "numbers -> number",
    2.0,
    kind="minutes",
    when=lambda v: v.layout.lengths.min() >= 2 and 720 < v.flat.max() < 1440 and v.flat.min() >= 0,
)
op(
    "({1} - {0}) % 1440",
    "number, number -> number",
    2.0,
    kind="minutes",
    column=lambda a, b: (
        (b - a) % 1440
        if a.min() >= 0
        and a.max() < 1440
        and a.max() > 720
        and b.max() < 1440
        and b.max() > 720
        and (a == a // 1).all()
        else a * float("nan")
    ),
)
op(
    r'[3600 * int(h) + 60 * int(m) + int(s) for h, m, s in re.findall(r"(\d+):(\d+):(\d+)", {0})]',
    "text -> numbers",
    2.0,
    name="seconds",
    kind="seconds",
    when=_count(r"\d:\d\d:\d\d", 1),
)
