"""Operations on values as SQL, each written out by hand: its text, its kind, what is known of it.

The letters: n may be missing, f may fail, p needs parentheses, c is never negative.
"""

from collections.abc import Callable
from typing import Any

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs import sql_numbers as numbers
from llm_pv.programs import sql_texts as texts
from llm_pv.programs import sql_values as values
from llm_pv.programs.sql_values import FALSE, NAN, TRUE, SqlValue, constant

Shape = tuple[str, str, str, int]

n = SqlValue("n", "int", nullable=True)
m = SqlValue("m", "int")
k = SqlValue("k", "int", bits=8, counts=True)
q = SqlValue("q", "int", fallible=True)
e = SqlValue("m + 1", "int", whole=False)
d = SqlValue("a - b", "int", fallible=True, whole=False)
r = SqlValue("r", "float")
p = SqlValue("p", "bool")
u = SqlValue("u", "bool")
b = SqlValue("b", "bool", nullable=True)
c = SqlValue("c", "bool", fallible=True)
g = SqlValue("a > 1", "bool", fallible=True, whole=False)
s = SqlValue("s", "str")
v = SqlValue("v", "str")
o = SqlValue("o", "str", nullable=True)
w = SqlValue("s || v", "str", fallible=True, whole=False)
x = SqlValue("x", "int", nullable=True, fallible=True)
none = constant(None)
one, two, three = map(constant, (1, 2, 3))


def listed(*items: SqlValue, kind: str = "list") -> SqlValue:
    return SqlValue("NULL", kind, items=items)


def shape(value: SqlValue) -> Shape:
    marks = (value.nullable, value.fallible, not value.whole, value.counts)
    letters = "".join(letter for letter, on in zip("nfpc", marks, strict=True) if on)
    return value.sql, value.kind, letters, value.bits


def never() -> SqlValue:
    raise AssertionError("what is not needed is not translated")


BLANKS = " || ".join(["' '", *(f"CHR({code})" for code in (9, 10, 11, 12, 13, 28, 29, 30, 31))])
TRIMMED = f"TRIM(s, {BLANKS})"
DIGITS = (
    f"CASE WHEN SUBSTR({TRIMMED}, 1, 1) IN ('-', '+') THEN SUBSTR({TRIMMED}, 2) ELSE {TRIMMED} END"
)


CASES: dict[str, tuple[Callable[[], SqlValue], Shape]] = {
    "None": (lambda: none, ("NULL", "none", "n", 32)),
    "True": (lambda: TRUE, ("TRUE", "bool", "", 1)),
    "0": (lambda: constant(0), ("0", "int", "c", 1)),
    "5": (lambda: constant(5), ("5", "int", "c", 3)),
    "-5": (lambda: constant(-5), ("-5", "int", "p", 3)),
    "2 ** 63 - 1": (lambda: constant(2**63 - 1), ("9223372036854775807", "int", "c", 63)),
    "1.5": (lambda: constant(1.5), ("1.5e0", "float", "", 32)),
    "0.0": (lambda: constant(0.0), ("0.0e0", "float", "", 32)),
    "-1.5": (lambda: constant(-1.5), ("-1.5e0", "float", "p", 32)),
    "1e300": (lambda: constant(1e300), ("1e+300", "float", "", 32)),
    "it's": (lambda: constant("it's"), ("'it''s'", "str", "", 32)),
    # What fails where something else does
    "eager m q": (lambda: values.eager(m, [q]),
                  ("CASE WHEN q IS NOT NULL THEN m END", "int", "f", 32)),
    "eager 5 q q": (lambda: values.eager(constant(5), [q, q]),
                    ("CASE WHEN q IS NOT NULL THEN 5 END", "int", "fc", 3)),
    "eager e q d": (lambda: values.eager(e, [q, m, d]),
                    ("CASE WHEN q IS NOT NULL AND (a - b) IS NOT NULL THEN (m + 1) END", "int",
                     "f", 32)),
    "eager m n": (lambda: values.eager(m, [n]), ("m", "int", "", 32)),
    # Truth
    "truth []": (lambda: values.truth(listed()), ("FALSE", "bool", "", 1)),
    "truth [m]": (lambda: values.truth(listed(m)), ("TRUE", "bool", "", 1)),
    "truth {m: m}": (lambda: values.truth(listed(m, m, kind="dict")), ("TRUE", "bool", "", 1)),
    "truth 0": (lambda: values.truth(constant(0)), ("FALSE", "bool", "", 1)),
    "truth None": (lambda: values.truth(none), ("FALSE", "bool", "", 1)),
    "truth p": (lambda: values.truth(p), ("p", "bool", "", 32)),
    "truth b": (lambda: values.truth(b), ("COALESCE(b, FALSE)", "bool", "", 32)),
    "truth m": (lambda: values.truth(m), ("m <> 0", "bool", "p", 32)),
    "truth q": (lambda: values.truth(q), ("q <> 0", "bool", "fp", 32)),
    "truth n": (lambda: values.truth(n), ("COALESCE(n <> 0, FALSE)", "bool", "", 32)),
    "truth e": (lambda: values.truth(e), ("(m + 1) <> 0", "bool", "p", 32)),
    "truth r": (lambda: values.truth(r), ("r <> 0", "bool", "p", 32)),
    "truth s": (lambda: values.truth(s), ("s <> ''", "bool", "p", 32)),
    "truth w": (lambda: values.truth(w), ("(s || v) <> ''", "bool", "fp", 32)),
    "truth o": (lambda: values.truth(o), ("COALESCE(o <> '', FALSE)", "bool", "", 32)),
    "not True": (lambda: values.negation(TRUE), ("FALSE", "bool", "", 1)),
    "not p": (lambda: values.negation(p), ("NOT p", "bool", "p", 32)),
    "not q": (lambda: values.negation(q), ("NOT (q <> 0)", "bool", "fp", 32)),
    "True and p": (lambda: values.both(TRUE, lambda: p), ("p", "bool", "", 32)),
    "False and p": (lambda: values.both(FALSE, never), ("FALSE", "bool", "", 1)),
    "p and u": (lambda: values.both(p, lambda: u), ("p AND u", "bool", "p", 32)),
    "p and g": (lambda: values.both(p, lambda: g), ("p AND (a > 1)", "bool", "fp", 32)),
    "g and u": (lambda: values.both(g, lambda: u),
                ("CASE WHEN (a > 1) THEN u WHEN NOT (a > 1) THEN FALSE END", "bool", "f", 32)),
    "True or p": (lambda: values.either(TRUE, never), ("TRUE", "bool", "", 1)),
    "False or p": (lambda: values.either(FALSE, lambda: p), ("p", "bool", "", 32)),
    "p or u": (lambda: values.either(p, lambda: u), ("p OR u", "bool", "p", 32)),
    "p or c": (lambda: values.either(p, lambda: c), ("p OR c", "bool", "fp", 32)),
    "c or g": (lambda: values.either(c, lambda: g),
               ("CASE WHEN c THEN TRUE WHEN NOT c THEN (a > 1) END", "bool", "f", 32)),
    # Choices
    "m if True else n": (lambda: values.choice(TRUE, m, n), ("m", "int", "", 32)),
    "m if False else n": (lambda: values.choice(FALSE, m, n), ("n", "int", "n", 32)),
    "m if p else m": (lambda: values.choice(p, m, m), ("m", "int", "", 32)),
    "m if c else m": (lambda: values.choice(c, m, m),
                      ("CASE WHEN c THEN m WHEN NOT c THEN m END", "int", "f", 32)),
    "None if c else None": (lambda: values.choice(c, none, none),
                            ("CASE WHEN c IS NOT NULL THEN NULL END", "none", "nf", 32)),
    "e if g else d": (lambda: values.choice(g, e, d),
                      ("CASE WHEN a > 1 THEN (m + 1) WHEN NOT (a > 1) THEN (a - b) END", "int",
                       "f", 32)),
    "k if p else 300": (lambda: values.choice(p, k, constant(300)),
                        ("CASE WHEN p THEN k ELSE 300 END", "int", "c", 9)),
    "300 if p else k": (lambda: values.choice(p, constant(300), k),
                        ("CASE WHEN p THEN 300 ELSE k END", "int", "c", 9)),
    "k if p else -1": (lambda: values.choice(p, k, constant(-1)),
                       ("CASE WHEN p THEN k ELSE (-1) END", "int", "", 8)),
    "m if p else None": (lambda: values.choice(p, m, none),
                         ("CASE WHEN p THEN m ELSE NULL END", "int", "n", 32)),
    "None if p else q": (lambda: values.choice(p, none, q),
                         ("CASE WHEN p THEN NULL ELSE q END", "int", "nf", 32)),
    "q if p else r": (lambda: values.choice(p, q, r),
                      ("CASE WHEN p THEN q ELSE r END", "float", "f", 32)),
    "nan if p else m": (lambda: values.choice(p, NAN, m),
                        ("CASE WHEN p THEN CAST(NULL AS DOUBLE) ELSE m END", "number or NaN", "",
                         32)),
    # None
    "None is None": (lambda: values.is_none(none), ("TRUE", "bool", "", 1)),
    "n is None": (lambda: values.is_none(n), ("n IS NULL", "bool", "p", 32)),
    "m is None": (lambda: values.is_none(m), ("FALSE", "bool", "", 1)),
    "d is None": (lambda: values.is_none(d),
                  ("CASE WHEN (a - b) IS NOT NULL THEN FALSE END", "bool", "f", 1)),
    # Truth values as numbers
    "number m": (lambda: values.number(e), ("m + 1", "int", "p", 32)),
    "number True": (lambda: values.number(TRUE), ("1", "int", "c", 1)),
    "number p": (lambda: values.number(p), ("CASE WHEN p THEN 1 ELSE 0 END", "int", "c", 1)),
    "number b": (lambda: values.number(b),
                 ("CASE WHEN b THEN 1 WHEN NOT b THEN 0 END", "int", "nc", 1)),
    "number g": (lambda: values.number(g),
                 ("CASE WHEN a > 1 THEN 1 WHEN NOT (a > 1) THEN 0 END", "int", "fc", 1)),
    # Equality
    "n == None": (lambda: values.equal(n, none), ("n IS NULL", "bool", "p", 32)),
    "None == n": (lambda: values.equal(none, n), ("n IS NULL", "bool", "p", 32)),
    "m == k": (lambda: values.equal(m, k), ("m = k", "bool", "p", 32)),
    "e == q": (lambda: values.equal(e, q), ("(m + 1) = q", "bool", "fp", 32)),
    "q == r": (lambda: values.equal(q, r), ("q = r", "bool", "fp", 32)),
    "p == u": (lambda: values.equal(p, u), ("p = u", "bool", "p", 32)),
    "p == m": (lambda: values.equal(p, m),
               ("CASE WHEN p THEN 1 ELSE 0 END = m", "bool", "p", 32)),
    "m == p": (lambda: values.equal(m, p),
               ("m = CASE WHEN p THEN 1 ELSE 0 END", "bool", "p", 32)),
    "1 == 1.0": (lambda: values.equal(one, constant(1.0)), ("TRUE", "bool", "", 1)),
    "1 == 2": (lambda: values.equal(one, two), ("FALSE", "bool", "", 1)),
    "m == 2": (lambda: values.equal(m, two), ("m = 2", "bool", "p", 32)),
    "n == m": (lambda: values.equal(n, m), ("n IS NOT DISTINCT FROM m", "bool", "p", 32)),
    "m == n": (lambda: values.equal(m, n), ("m IS NOT DISTINCT FROM n", "bool", "p", 32)),
    "n == d": (lambda: values.equal(n, d),
               ("CASE WHEN (a - b) IS NOT NULL THEN (n IS NOT DISTINCT FROM (a - b)) END", "bool",
                "f", 32)),
    "s == v": (lambda: values.equal(s, v), ("s = v", "bool", "p", 32)),
    "s == m": (lambda: values.equal(s, m), ("FALSE", "bool", "", 1)),
    "s == q": (lambda: values.equal(s, q),
               ("CASE WHEN q IS NOT NULL THEN FALSE END", "bool", "f", 1)),
    "o == n": (lambda: values.equal(o, n), ("(o IS NULL) AND (n IS NULL)", "bool", "p", 32)),
    "o == m": (lambda: values.equal(o, m), ("FALSE", "bool", "", 1)),
    "nan == m": (lambda: values.equal(NAN, m),
                 ("COALESCE(CAST(NULL AS DOUBLE) = m, FALSE)", "bool", "", 32)),
    "p == nan": (lambda: values.equal(p, NAN),
                 ("COALESCE(CASE WHEN p THEN 1 ELSE 0 END = CAST(NULL AS DOUBLE), FALSE)", "bool",
                  "", 32)),
    # Order
    "m < e": (lambda: values.ordered(m, "<", e), ("m < (m + 1)", "bool", "p", 32)),
    "n >= m": (lambda: values.ordered(n, ">=", m), ("n >= m", "bool", "fp", 32)),
    "m >= n": (lambda: values.ordered(m, ">=", n), ("m >= n", "bool", "fp", 32)),
    "s > v": (lambda: values.ordered(s, ">", v), ("s > v", "bool", "p", 32)),
    "p <= u": (lambda: values.ordered(p, "<=", u),
               ("CASE WHEN p THEN 1 ELSE 0 END <= CASE WHEN u THEN 1 ELSE 0 END", "bool", "p", 32)),
    "m < s": (lambda: values.ordered(m, "<", s), ("NULL", "bool", "f", 32)),
    "m < nan": (lambda: values.ordered(m, "<", NAN),
                ("COALESCE(m < CAST(NULL AS DOUBLE), FALSE)", "bool", "", 32)),
    # Members
    "'a' in s": (lambda: values.member(constant("a"), s), ("STRPOS(s, 'a') > 0", "bool", "p", 32)),
    "'a' in o": (lambda: values.member(constant("a"), o), ("STRPOS(o, 'a') > 0", "bool", "fp", 32)),
    "'' in s": (lambda: values.member(constant(""), s), ("TRUE", "bool", "", 1)),
    "'' in o": (lambda: values.member(constant(""), o),
                ("CASE WHEN o IS NOT NULL THEN TRUE END", "bool", "f", 1)),
    "w in s": (lambda: values.member(w, s),
               ("CASE WHEN (s || v) = '' AND s IS NOT NULL THEN TRUE ELSE "
                "(STRPOS(s, s || v) > 0) END", "bool", "f", 32)),
    "v in w": (lambda: values.member(v, w),
               ("CASE WHEN v = '' AND (s || v) IS NOT NULL THEN TRUE ELSE "
                "(STRPOS(s || v, v) > 0) END", "bool", "f", 32)),
    "v in s": (lambda: values.member(v, s),
               ("CASE WHEN v = '' AND s IS NOT NULL THEN TRUE ELSE (STRPOS(s, v) > 0) END",
                "bool", "", 32)),
    "m in s": (lambda: values.member(m, s), ("NULL", "bool", "f", 32)),
    "e in [1, 2, 1]": (lambda: values.member(e, listed(one, two, one)),
                       ("(m + 1) IN (1, 2)", "bool", "p", 32)),
    "q in {1: 3, 2: 3}": (lambda: values.member(q, listed(one, three, two, three, kind="dict")),
                          ("q IN (1, 2)", "bool", "fp", 32)),
    "n in [1, 2]": (lambda: values.member(n, listed(one, two)),
                    ("COALESCE(n IN (1, 2), FALSE)", "bool", "", 32)),
    "m in [1]": (lambda: values.member(m, listed(one)), ("m = 1", "bool", "p", 32)),
    "m in [1, k]": (lambda: values.member(m, listed(one, k)),
                    ("(m = 1) OR (m = k)", "bool", "p", 32)),
    "p in [True, False]": (lambda: values.member(p, listed(TRUE, FALSE)),
                           ("(p = TRUE) OR (p = FALSE)", "bool", "p", 32)),
    "m in [1, None]": (lambda: values.member(m, listed(one, none)),
                       ("(m = 1) OR FALSE", "bool", "p", 32)),
    "r in [1, 2]": (lambda: values.member(r, listed(one, two)),
                    ("(r = 1) OR (r = 2)", "bool", "p", 32)),
    "None in [None, None]": (lambda: values.member(none, listed(none, none)),
                             ("TRUE", "bool", "", 1)),
    "q in []": (lambda: values.member(q, listed()),
                ("CASE WHEN q IS NOT NULL THEN FALSE END", "bool", "f", 1)),
    "m in [q]": (lambda: values.member(m, listed(q)),
                 ("CASE WHEN q IS NOT NULL THEN (m = q) END", "bool", "f", 32)),
    # Arithmetic
    "s + w": (lambda: numbers.plus(s, w), ("s || (s || v)", "str", "fp", 32)),
    "o + s": (lambda: numbers.plus(o, s), ("o || s", "str", "fp", 32)),
    "s + v": (lambda: numbers.plus(s, v), ("s || v", "str", "p", 32)),
    "m + e": (lambda: numbers.plus(m, e), ("m + (m + 1)", "int", "p", 33)),
    "k + k": (lambda: numbers.plus(k, k), ("k + k", "int", "pc", 9)),
    "k + 300": (lambda: numbers.plus(k, constant(300)), ("k + 300", "int", "pc", 10)),
    "300 + k": (lambda: numbers.plus(constant(300), k), ("300 + k", "int", "pc", 10)),
    "m + k": (lambda: numbers.plus(m, k), ("m + k", "int", "p", 33)),
    "k + m": (lambda: numbers.plus(k, m), ("k + m", "int", "p", 33)),
    "n + m": (lambda: numbers.plus(n, m), ("n + m", "int", "fp", 33)),
    "m + n": (lambda: numbers.plus(m, n), ("m + n", "int", "fp", 33)),
    "p + p": (lambda: numbers.plus(p, p),
              ("CASE WHEN p THEN 1 ELSE 0 END + CASE WHEN p THEN 1 ELSE 0 END", "int", "pc", 2)),
    "k + 1.0": (lambda: numbers.plus(k, SqlValue("r", "float", counts=True)),
                ("k + r", "float", "p", 32)),
    "r + 2 ** 40": (lambda: numbers.plus(r, constant(2**40)),
                    ("r + 1099511627776", "float", "p", 32)),
    "2 ** 29 + k": (lambda: numbers.plus(constant(2**28), k), ("268435456 + k", "int", "pc", 30)),
    "2 ** 30 + k": (lambda: numbers.plus(constant(2**29), k),
                    ("CAST(536870912 AS BIGINT) + k", "int", "pc", 31)),
    "2 ** 40 + r": (lambda: numbers.plus(constant(2**40), r),
                    ("1099511627776 + r", "float", "p", 32)),
    "k - 1": (lambda: numbers.minus(k, one), ("k - 1", "int", "p", 9)),
    "1 - k": (lambda: numbers.minus(one, k), ("1 - k", "int", "p", 9)),
    "k * k": (lambda: numbers.times(k, k), ("k * k", "int", "pc", 16)),
    "m * 2 ** 30": (lambda: numbers.times(m, constant(2**30)), ("m * 1073741824", "int", "p", 63)),
    "m / k": (lambda: numbers.quotient(m, k),
              ("CAST(m AS DOUBLE) / NULLIF(k, 0)", "float", "fp", 32)),
    "m / 2": (lambda: numbers.quotient(m, two), ("CAST(m AS DOUBLE) / 2", "float", "p", 32)),
    "e / -2": (lambda: numbers.quotient(e, constant(-2)),
               ("CAST(m + 1 AS DOUBLE) / (-2)", "float", "p", 32)),
    "r / 0": (lambda: numbers.quotient(r, constant(0)), ("r / NULLIF(0, 0)", "float", "fp", 32)),
    "n / 2": (lambda: numbers.quotient(n, two), ("CAST(n AS DOUBLE) / 2", "float", "fp", 32)),
    "k % 3": (lambda: numbers.remainder(k, three), ("k % 3", "int", "pc", 2)),
    "m % 3": (lambda: numbers.remainder(m, three), ("((m % 3) + 3) % 3", "int", "pc", 2)),
    "k % -3": (lambda: numbers.remainder(k, constant(-3)),
               ("((k % (-3)) + (-3)) % (-3)", "int", "p", 2)),
    "m % k": (lambda: numbers.remainder(m, k),
              ("((m % NULLIF(k, 0)) + k) % NULLIF(k, 0)", "int", "fpc", 8)),
    "k // 3": (lambda: numbers.floor_quotient(k, three),
               ("CAST(CAST((k - (k % 3)) AS DOUBLE) / 3 AS BIGINT)", "int", "c", 9)),
    "m // 3": (lambda: numbers.floor_quotient(m, three),
               ("CAST(CAST((m - (((m % 3) + 3) % 3)) AS DOUBLE) / 3 AS BIGINT)", "int", "", 33)),
    "k // -3": (lambda: numbers.floor_quotient(k, constant(-3)),
                ("CAST(CAST((k - (((k % (-3)) + (-3)) % (-3))) AS DOUBLE) / (-3) AS BIGINT)", "int",
                 "", 9)),
    "k // k": (lambda: numbers.floor_quotient(k, k),
               ("CAST(CAST((k - (k % NULLIF(k, 0))) AS DOUBLE) / NULLIF(k, 0) AS BIGINT)", "int",
                "fc", 9)),
    "k ** 2": (lambda: numbers.power(k, two), ("(1 * k) * k", "int", "pc", 17)),
    "m ** 0": (lambda: numbers.power(m, constant(0)), ("1", "int", "c", 1)),
    "n ** 0": (lambda: numbers.power(n, constant(0)),
               ("CASE WHEN n IS NOT NULL THEN 1 END", "int", "fc", 1)),
    "-5 of 5": (lambda: numbers.opposite(constant(5)), ("-5", "int", "p", 3)),
    "-1.5 of 1.5": (lambda: numbers.opposite(constant(1.5)), ("-1.5e0", "float", "p", 32)),
    "-m": (lambda: numbers.opposite(m), ("-m", "int", "p", 32)),
    "-d": (lambda: numbers.opposite(d), ("-(a - b)", "int", "fp", 32)),
    "-r": (lambda: numbers.opposite(r), ("-r", "float", "p", 32)),
    "-p": (lambda: numbers.opposite(p), ("-CASE WHEN p THEN 1 ELSE 0 END", "int", "p", 1)),
    "abs m": (lambda: numbers.absolute(m), ("ABS(m)", "int", "c", 32)),
    "abs d": (lambda: numbers.absolute(d), ("ABS(a - b)", "int", "fc", 32)),
    "abs r": (lambda: numbers.absolute(r), ("ABS(r)", "float", "", 32)),
    "abs p": (lambda: numbers.absolute(p), ("ABS(CASE WHEN p THEN 1 ELSE 0 END)", "int", "c", 1)),
    "max m k": (lambda: numbers.extreme([m, k], ">"), ("CASE WHEN k > m THEN k ELSE m END", "int",
                                                      "", 32)),
    "min m 1 2": (lambda: numbers.extreme([one, two], "<"),
                  ("CASE WHEN 2 < 1 THEN 2 ELSE 1 END", "int", "c", 2)),
    # Conversions
    "round e": (lambda: numbers.rounded(e), ("m + 1", "int", "p", 32)),
    "round n": (lambda: numbers.rounded(n), ("n", "int", "f", 32)),
    "round p": (lambda: numbers.rounded(p), ("CASE WHEN p THEN 1 ELSE 0 END", "int", "c", 1)),
    "round r": (lambda: numbers.rounded(r),
                ("CASE WHEN r - FLOOR(r) < 0.5e0 THEN FLOOR(r) WHEN r - FLOOR(r) > 0.5e0 THEN "
                 "FLOOR(r) + 1e0 ELSE FLOOR(r) + FLOOR(r) - 2e0 * FLOOR(FLOOR(r) / 2e0) END",
                 "float", "", 32)),
    "int n": (lambda: numbers.whole_number(n), ("n", "int", "f", 32)),
    "int r": (lambda: numbers.whole_number(r),
              ("CASE WHEN r < 0 THEN CEIL(r) ELSE FLOOR(r) END", "float", "", 32)),
    "int y": (lambda: numbers.whole_number(SqlValue("y", "float", fallible=True)),
              ("CASE WHEN y < 0 THEN CEIL(y) ELSE FLOOR(y) END", "float", "f", 32)),
    "int s": (lambda: numbers.whole_number(s),
              (f"CASE WHEN LENGTH({DIGITS}) BETWEEN 1 AND 15 AND TRIM({DIGITS}, '0123456789') = '' "
               f"THEN TRY_CAST({TRIMMED} AS BIGINT) END", "int", "f", 50)),
    "float m": (lambda: numbers.decimal(m), ("CAST(m AS DOUBLE)", "float", "", 32)),
    "float d": (lambda: numbers.decimal(d), ("CAST(a - b AS DOUBLE)", "float", "f", 32)),
    "float p": (lambda: numbers.decimal(p),
                ("CAST(CASE WHEN p THEN 1 ELSE 0 END AS DOUBLE)", "float", "", 32)),
    "str None": (lambda: values.written(none), ("'None'", "str", "", 32)),
    "str p": (lambda: values.written(p),
              ("CASE WHEN p THEN 'True' WHEN NOT p THEN 'False' END", "str", "", 32)),
    "str g": (lambda: values.written(g),
              ("CASE WHEN a > 1 THEN 'True' WHEN NOT (a > 1) THEN 'False' END", "str", "f", 32)),
    "str e": (lambda: values.written(e), ("CAST(m + 1 AS VARCHAR)", "str", "", 32)),
    "str n": (lambda: values.written(n),
              ("COALESCE(CAST(n AS VARCHAR), 'None')", "str", "", 32)),
    "str w": (lambda: values.written(w), ("s || v", "str", "fp", 32)),
    "str o": (lambda: values.written(o), ("COALESCE(o, 'None')", "str", "", 32)),
    # Texts
    "len s": (lambda: texts.length(s), ("LENGTH(s)", "int", "c", 32)),
    "len o": (lambda: texts.length(o), ("LENGTH(o)", "int", "fc", 32)),
    "s.lower()": (lambda: texts.method(s, "lower", []), ("LOWER(s)", "str", "", 32)),
    "w.upper()": (lambda: texts.method(w, "upper", []), ("UPPER(s || v)", "str", "f", 32)),
    "s.strip(v)": (lambda: texts.method(s, "strip", [v]), ("TRIM(s, v)", "str", "", 32)),
    "s.lstrip(w)": (lambda: texts.method(s, "lstrip", [w]), ("LTRIM(s, s || v)", "str", "f", 32)),
    "s.rstrip()": (lambda: texts.method(s, "rstrip", []),
                   ("RTRIM(s, ' ' || CHR(9) || CHR(10) || CHR(11) || CHR(12) || CHR(13) || "
                    "CHR(28) || CHR(29) || CHR(30) || CHR(31))", "str", "", 32)),
    "s.replace('a', o)": (lambda: texts.method(s, "replace", [constant("a"), o]),
                          ("REPLACE(s, 'a', o)", "str", "f", 32)),
    "s.count('a')": (lambda: texts.method(s, "count", [constant("a")]),
                     ("LENGTH(s) - LENGTH(REPLACE(s, 'a', ''))", "int", "pc", 32)),
    "o.count('ab')": (lambda: texts.method(o, "count", [constant("ab")]),
                      ("CAST(CAST((LENGTH(o) - LENGTH(REPLACE(o, 'ab', ''))) AS DOUBLE) / 2 "
                       "AS BIGINT)", "int", "fc", 32)),
    "s.find('a')": (lambda: texts.method(s, "find", [constant("a")]),
                    ("STRPOS(s, 'a') - 1", "int", "p", 32)),
    "o.find('a')": (lambda: texts.method(o, "find", [constant("a")]),
                    ("STRPOS(o, 'a') - 1", "int", "fp", 32)),
    "w.isdigit()": (lambda: texts.method(w, "isdigit", []),
                    ("(s || v) <> '' AND TRIM(s || v, '0123456789') = ''", "bool", "fp", 32)),
    "s.startswith('ab')": (lambda: texts.method(s, "startswith", [constant("ab")]),
                           ("SUBSTR(s, 1, 2) = 'ab'", "bool", "p", 32)),
    "s.startswith(w)": (lambda: texts.method(s, "startswith", [w]),
                        ("SUBSTR(s, 1, LENGTH(s || v)) = (s || v)", "bool", "fp", 32)),
    "o.endswith('ab')": (lambda: texts.method(o, "endswith", [constant("ab")]),
                         ("CASE WHEN LENGTH(o) >= 2 THEN SUBSTR(o, LENGTH(o) - 2 + 1, 2) = 'ab' "
                          "WHEN LENGTH(o) < 2 THEN FALSE END", "bool", "f", 32)),
    "s.endswith(v)": (lambda: texts.method(s, "endswith", [v]),
                      ("CASE WHEN LENGTH(s) >= LENGTH(v) THEN SUBSTR(s, LENGTH(s) - LENGTH(v) + 1, "
                       "LENGTH(v)) = v WHEN LENGTH(s) < LENGTH(v) THEN FALSE END", "bool", "", 32)),
    "s.startswith((v, 'a'))": (lambda: texts.method(s, "startswith", [listed(v, constant("a"))]),
                               ("(SUBSTR(s, 1, LENGTH(v)) = v) OR (SUBSTR(s, 1, 1) = 'a')", "bool",
                                "p", 32)),
    "o.startswith(())": (lambda: texts.method(o, "startswith", [listed()]),
                         ("CASE WHEN o IS NOT NULL THEN FALSE END", "bool", "f", 32)),
    "s.endswith(())": (lambda: texts.method(s, "endswith", [listed()]), ("FALSE", "bool", "", 1)),
    "s.endswith(3)": (lambda: texts.method(s, "endswith", [three]), ("NULL", "bool", "f", 32)),
    "s[2]": (lambda: texts.character(s, two), ("NULLIF(SUBSTR(s, 3, 1), '')", "str", "f", 32)),
    "s[0]": (lambda: texts.character(s, constant(0)),
             ("NULLIF(SUBSTR(s, 1, 1), '')", "str", "f", 32)),
    "s[-2]": (lambda: texts.character(s, constant(-2)),
              ("CASE WHEN LENGTH(s) - 2 + 1 >= 1 THEN NULLIF(SUBSTR(s, LENGTH(s) - 2 + 1, 1), '') "
               "END", "str", "f", 32)),
    "s[k]": (lambda: texts.character(s, k), ("NULLIF(SUBSTR(s, k + 1, 1), '')", "str", "f", 32)),
    "w[e]": (lambda: texts.character(w, e),
             ("CASE WHEN CASE WHEN (m + 1) < 0 THEN LENGTH(s || v) + (m + 1) ELSE (m + 1) END + 1 "
              ">= 1 THEN NULLIF(SUBSTR(s || v, CASE WHEN (m + 1) < 0 THEN LENGTH(s || v) + (m + 1) "
              "ELSE (m + 1) END + 1, 1), '') END", "str", "f", 32)),
    "s[:]": (lambda: texts.part(s, none, none), ("SUBSTR(s, 1)", "str", "", 32)),
    "o[2:]": (lambda: texts.part(o, two, none), ("SUBSTR(o, 3)", "str", "f", 32)),
    "s[k:]": (lambda: texts.part(s, k, none), ("SUBSTR(s, k + 1)", "str", "", 32)),
    "s[:2]": (lambda: texts.part(s, none, two), ("SUBSTR(s, 1, 2)", "str", "", 32)),
    "s[1:3]": (lambda: texts.part(s, one, three), ("SUBSTR(s, 2, 2)", "str", "", 32)),
    "s[3:1]": (lambda: texts.part(s, three, one), ("SUBSTR(s, 4, 0)", "str", "", 32)),
    "s[0:0]": (lambda: texts.part(s, constant(0), constant(0)), ("SUBSTR(s, 1, 0)", "str", "", 32)),
    "s[-2:]": (lambda: texts.part(s, constant(-2), none),
               ("SUBSTR(s, (CASE WHEN LENGTH(s) + (-2) > 0 THEN LENGTH(s) + (-2) WHEN LENGTH(s) + "
                "(-2) <= 0 THEN 0 END) + 1)", "str", "", 32)),
    "s[m:]": (lambda: texts.part(s, m, none),
              ("SUBSTR(s, (CASE WHEN m < 0 THEN CASE WHEN LENGTH(s) + m > 0 THEN LENGTH(s) + m "
               "WHEN LENGTH(s) + m <= 0 THEN 0 END WHEN m >= 0 THEN m END) + 1)", "str", "", 32)),
    "s[k:2]": (lambda: texts.part(s, k, two),
               ("CASE WHEN 2 > k THEN SUBSTR(s, k + 1, 2 - k) WHEN 2 <= k THEN '' END", "str", "",
                32)),
    "s[:k]": (lambda: texts.part(s, none, k),
              ("CASE WHEN k > 0 THEN SUBSTR(s, 1, k - 0) WHEN k <= 0 THEN '' END", "str", "", 32)),
    "s[1:d]": (lambda: texts.part(s, one, SqlValue("z", "int", fallible=True, counts=True)),
               ("CASE WHEN z > 1 THEN SUBSTR(s, 2, z - 1) WHEN z <= 1 THEN '' END", "str", "f",
                32)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_operation_is_written_as(case: str) -> None:
    operation, expected = CASES[case]
    assert shape(operation()) == expected


def test_what_is_known_of_a_constant_is_kept_or_given_up() -> None:
    assert [TRUE.const, constant(5).const, constant("a").const, none.const] == [True, 5, "a", None]
    assert all(value.known for value in (TRUE, none, constant(2.5), constant("")))
    assert not values.eager(one, [q]).known
    assert values.eager(one, [m]).known
    assert not m.known
    assert values.choice(TRUE, one, two) is one
    assert numbers.power(two, constant(0)).const == 1
    assert numbers.opposite(constant(2)).const == -2
    assert values.number(FALSE).const == 0


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "settled": (lambda: values.settled(x, "it"), "it of a value that can be missing or fail"),
    "eager": (lambda: values.eager(m, [x]), "the evaluation of a value that can be missing or"),
    "truth": (lambda: values.truth(SqlValue("l", "label")), "the truth of a label"),
    "truth x": (lambda: values.truth(x), "the truth of a value that can be missing or fail"),
    "is_none x": (lambda: values.is_none(x), "the test for None of a value that can be missing"),
    "x == m": (lambda: values.equal(x, m), "== of a value that can be missing or fail"),
    "m == x": (lambda: values.equal(m, x), "== of a value that can be missing or fail"),
    "s == x": (lambda: values.equal(s, x), "== of a value that can be missing or fail"),
    "x == s": (lambda: values.equal(x, s), "== of a value that can be missing or fail"),
    "x in [1, 2]": (lambda: values.member(x, listed(one, two)), "`in` of a value that can be"),
    "list == list": (lambda: values.equal(listed(), m), "== between a list and a int"),
    "str x": (lambda: values.written(x), "str() of a value that can be missing or fail"),
    "nan or n": (lambda: values.choice(p, NAN, n), "a choice between a number or NaN and a int"),
    "n or nan": (lambda: values.choice(p, n, NAN), "a choice between a int and a number or NaN"),
    "nan or s": (lambda: values.choice(p, NAN, s), "a choice between a number or NaN and a str"),
    "nan < n": (lambda: values.ordered(NAN, "<", n), "`<` between a number or NaN and a int"),
    "s == nan": (lambda: values.equal(s, NAN), "`=` between a str and a number or NaN"),
    "m + s": (lambda: numbers.plus(m, s), "`+` between a int and a str"),
    "m / s": (lambda: numbers.quotient(m, s), "`/` between a int and a str"),
    "s % m": (lambda: numbers.remainder(s, m), "`%` between a str and a int"),
    "s // m": (lambda: numbers.floor_quotient(s, m), "`//` between a str and a int"),
    "s - m": (lambda: numbers.minus(s, m), "`-` between a str and a int"),
    "r % m": (lambda: numbers.remainder(r, m), "`%` of decimals"),
    "m // r": (lambda: numbers.floor_quotient(m, r), "`//` of decimals"),
    "s[s]": (lambda: texts.character(s, v), "a text indexed by a str"),
    "s[:n]": (lambda: texts.part(s, none, n), "a slice that ends at what can be missing"),
    "s[r:]": (lambda: texts.part(s, r, none), "a slice that ends at a float"),
    "a long text": (lambda: SqlValue("a" * 200_001, "str"), "the SQL is longer than 200,000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_operation_without_a_translation_is_named(case: str) -> None:
    operation, reason = REFUSED[case]
    with pytest.raises(ProgramError) as caught:
        operation()
    assert str(caught.value).startswith(reason)


def test_the_longest_sql_is_written() -> None:
    assert SqlValue("a" * 200_000, "str").kind == "str"
