"""Each operation as SQL gives in DuckDB what Python gives on the same rows, errors being NULL."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from llm_pv.errors import ProgramError
from llm_pv.programs.sql import sql

duckdb = pytest.importorskip("duckdb", reason="the extra sql is not installed")

TYPES = {"n": "int", "m": "int", "r": "float", "s": "str", "b": "bool"}
SQL_TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "VARCHAR", "bool": "BOOLEAN"}
ROWS = [
    (7, 3, 2.5, "banana a", True),
    (-7, 2, -1.5, "Ab", False),
    (0, 0, 0.0, "", True),
    (1, -2, 0.5, "aXa", False),
    (3, 7, -0.5, "\t12 ", None),
    (2, 1, 2.0, "bb", True),
    (7, None, None, "b", False),
    (None, 4, 3.5, None, True),
    (None, None, None, None, None),
]

EXPRESSIONS = """
x['s'][0] == 'b' if x['b'] else x['n'] == 1
('a' if x['s'][1] == 'b' else 'c') + 'd'
('a' if x['b'] else x['s'][1]) + 'd'
(x['s'][1] if x['b'] else 'a') + 'd'
(x['n'] // x['m'] if x['n'] > 0 else 1) + 1
(1 if x['n'] > 0 else x['n'] // x['m']) + 1
(x['n'] if x['b'] else x['r']) > 1
(x['n'] if x['b'] else None) is None
(None if x['b'] else x['n']) == 7
x['n'] if x['n'] == x['m'] else x['n']
x['n'] if x['s'][0] else x['n']
(5 if x['b'] else 6) - 7
-(5 if x['b'] else 6)
x['s'][0] == 'b' and x['n'] == 7
x['n'] == 7 and x['s'][0] == 'b'
x['s'][0] == 'b' or x['n'] == 7
x['n'] == 7 or x['s'][0] == 'b'
x['s'][0] == 'b' and x['s'][1] == 'a'
x['s'][0] == 'A' or x['s'][1] == 'a'
x['n'] is None and x['m'] is None
x['n'] is None or x['m'] is not None
not (x['s'][0] == 'b')
not (x['s'][0] == 'b' and x['b'])
not (x['n'] == 7 or x['b'])
not x['n']
not x['r']
not not x['s']
1 and x['n'] == 7
0 and x['n'] == 7
0 or x['n'] == 7
2 or x['n'] == 7
'' or x['n'] == 7
True and x['b'] == True
1 if x['r'] else 0
1 if x['n'] else 0
1 if x['s'].strip('b') else 0
1 if x['n'] // x['m'] else 0
1 if [] else 0
1 if [x['n']] else 0
1 if {} else 0
1 if not () else 0
bool(x['s'])
bool(x['n'])
bool(x['r'])
bool(x['b'])
x['s'][0] is None
x['s'][0] is not None
None is None
x['n'] is None
x['n'] is not None
x['b'] + x['n']
(x['n'] > 0) + (x['m'] > 2)
(x['n'] > x['m']) * 2
(x['n'] is None) + 1
(x['s'] is None) * 3 - 1
(x['s'][0] == 'b') + 1
True + x['n']
x['b'] * 2 ** 3
x['b'] == 1
x['b'] == True
x['b'] == (x['n'] > 0)
x['b'] == (x['n'] is None)
x['b'] != x['b']
x['s'] == x['n']
x['s'] != x['n']
x['n'] == x['s']
x['s'] == 3
x['s'][0] == 3
'a' == x['n']
x['s'] == None
None == x['n']
None != x['n']
x['s'] != 'Ab'
x['r'] == x['n']
x['r'] == 2
1 == 1.0 and x['n'] == 1
(1 == 2) + x['n']
x['s'][0] == x['s'][1]
x['s'][0] != x['s'][1]
x['s'] == x['s'].strip('a')
x['n'] == x['s'].find('a')
x['n'] == x['n'] // 1
x['s'] == x['s'][0]
(1 if x['n'] == 7 and x['s'][0] == 'b' else 0) + 1
(1 if x['s'][0] == 'b' and x['n'] == 7 else 0) + 1
(1 if x['n'] == 7 or x['s'][0] == 'b' else 0) + 1
(1 if x['s'][0] == 'b' or x['n'] == 7 else 0) + 1
x['s'] < 'b'
x['s'] >= x['s'].lower()
x['b'] < x['n']
x['n'] <= x['m']
x['n'] >= x['m']
x['n'] > x['r']
x['s'] < x['n']
x['n'] < None
x['n'] in [1, 7]
x['n'] not in [1, 7]
x['n'] in (1, 7, 1, None)
x['n'] in [7]
x['n'] in []
x['n'] in (x['m'], 7)
x['n'] in (7, 'a')
x['n'] in (7, 2.0)
x['r'] in (2.5, 3.0)
x['r'] in (2.5, 2)
x['b'] in (True,)
x['b'] in (True, False)
x['s'] in ('Ab',)
x['s'] in {'Ab', 'b', ''}
x['s'][0] in ('b',)
x['s'][0] in ('b', 'A')
x['n'] in {7: 'a', 0: 'b'}
x['n'] in {7: 0, 0: 1}
None in (x['n'], 1)
x['s'] in x['s']
x['s'][0] in x['s']
x['s'] in x['s'][0]
'b' in x['s'][0]
'' in x['s'][0]
x['n'] in 'abc'
'a' in 'banana' and x['b']
x['s'].find('a') in (1, -1)
x['n'] // x['m'] in (2, -4)
x['n'] / x['m'] > 2
7 / x['n'] > 1
x['r'] / x['n'] > 0.3
x['r'] / 2 > 0.5
x['b'] / 2 > 0.2
8 / (x['n'] / 4) > 5
3 * (x['n'] / 10) > 0.3
x['r'] / (x['r'] / x['n']) > 1
x['r'] - (x['n'] / 2 - 1) > 1
-(x['n'] / 4) > 1
x['n'] - (x['m'] - x['n'])
3 * (x['m'] + 1)
(x['n'] - 1) * (1 - 4)
x['n'] - -x['m']
-(-x['n'])
-abs(-x['n'])
x['n'] % (x['m'] % 4)
x['n'] // (x['m'] % 3)
x['n'] - x['m'] % 3 * 2
x['n'] - (x['s'].find('a') - x['m'])
3 * (x['s'].count('b') - 2)
(x['n'] > 2) == (x['m'] > 2)
(x['n'] == x['m']) == x['b']
(x['n'] == 7) == (x['m'] == 3)
(x['n'] == 7) in (True, None)
(x['n'] == 7) != (x['b'] or x['m'] == 2)
(x['n'] > 2 or x['m'] > 2) == x['b']
(x['n'] > 2 and x['m'] > 2) == x['b']
not (x['n'] > 2 or x['m'] > 2)
not (x['n'] > 2 and x['m'] > 2)
(not x['b']) == (x['n'] > 2)
(x['n'] is None) == (x['m'] is None)
(x['n'] in (1, 7)) == (x['m'] in (2, 3))
('a' in x['s']) == x['s'].startswith('b')
x['s'].isdigit() == x['b']
(x['n'] > 2 or x['m'] > 2) and x['b']
x['b'] and (x['n'] > 2 or x['m'] > 2)
x['m'] % x['n']
x['n'] % x['m']
len(x['s']) % x['m']
x['n'] % (len(x['s']) + 1)
len(x['s']) % (len(x['s']) + 1)
5 % x['m']
-5 % x['m']
x['n'] // x['m']
-9 // x['m']
x['n'] // (len(x['s']) - 2)
len(x['s']) // (len(x['s']) // 3)
x['m'] ** 1
2 ** 3 + x['m']
x['n'] ** 0 + 1
-x['b']
-x['r'] > 1
-(x['n'] - x['m'])
2 - -x['n']
-2.5 < x['r']
-3 - x['n']
(-3) * x['n']
x['n'] - (x['m'] - 1)
x['n'] - (x['m'] + 1) * 2
(x['n'] + 1) * 2 % 5
1000000 * x['n'] * 1000
2000000000 + 2000000000 + x['n'] > 4000000000
100000 * 100000 == x['n'] or x['b']
abs(x['b'])
abs(x['r']) > 1
abs(x['n'] - x['m'])
abs(x['n'] - x['m']) % 3
x['s'][abs(x['n'] % 2)]
max(x['n'] % x['m'], 1)
max(1, x['n'] % x['m'])
min(x['r'], 1.0) > 0
max(x['n'], 2.5) > 3
min(x['n'], x['m'], 2)
max(x['s'], 'a')
round(x['b'])
round(x['n'] // x['m'])
round(x['r'] * 1.0) == 2
round(2.5) + x['n']
int(x['s'].replace('banana a', ' 12 ').replace('Ab', '+5').replace('bb', '-7'))
int(x['s'].replace('banana a', '--2').replace('Ab', '1-').replace('bb', '+'))
int(x['s'].replace('banana a', '123456789012345').replace('Ab', '1 2')) % 1000
int(x['b'])
int(x['n'])
int(x['b']) + 1
int(-1.5 * x['n']) == -10
float(x['n']) > 6.5
float(x['b']) > 0.5
float(x['r']) > 1
str(x['n'] + 1)
str(x['n']) + 'a'
str(x['s'])
str(x['s'] + 'a') + 'b'
str(None) + 'a'
str(x['s'][0])
str(x['b'] == True)
str(x['n'] > 2) + '!'
x['s'].lower()
x['s'].upper() + 'x'
x['s'].strip()
x['s'].lstrip()
x['s'].rstrip()
x['s'].lstrip('b')
x['s'].rstrip('ab')
x['s'].strip(x['s'][0])
x['s'].replace('a', '')
x['s'].replace('a', x['s'])
x['s'].count('na')
x['s'].count('b') - 1
x['s'][0].count('b') * 2
2 * x['s'].count('b')
x['s'].find('na')
x['s'].find('X') * 2
2 - x['s'].find('b')
x['s'].replace('Ab', '12').isdigit()
x['s'].isdigit()
not x['s'].isdigit()
x['s'][0].isdigit()
len(x['s'] + 'a') - 1
len(x['s'][0])
len(x['s']) > x['n']
x['s'][x['n'] - x['m'] :]
x['s'][: x['n'] - x['m']]
x['s'][x['n'] - x['m'] : x['n'] - 1]
x['s'][len(x['s']) - 2 :]
x['s'][: len(x['s']) - 2]
x['s'][1 : len(x['s']) - 1]
x['s'][len(x['s']) // 2 : len(x['s'])]
x['s'][2:1]
x['s'][1:1]
x['s'][:2]
x['s'][:]
x['s'][0:]
x['s'][0:3]
x['s'][-2:]
x['s'][:-2]
x['s'][-100:2]
x['s'][-3:2]
x['s'][1:-1]
x['s'][100:]
x['s'][-1:]
x['s'][-2:-1]
x['s'][x['s'].find('b') : x['s'].find('b') + 2]
x['s'][0][:1]
x['s'][2]
x['s'][-3]
x['s'][-2]
x['s'][x['n'] % 3]
x['s'][x['n'] - x['m']]
x['s'][len(x['s']) - 1]
x['s'][x['n']]
'banana'[x['n']]
x['s'].startswith(x['s'][0])
x['s'].startswith(x['s'])
x['s'].startswith('')
x['s'].startswith(('a', 'ba'))
(x['m'] % 9) ** 2
max(k for k in (1, 5, 3) if k != 5) + x['n']
min(k for k in (4, 2, 9) if k != 2) + x['n']
any(a == x['n'] and b for a, b in [(7, True), (1, False)])
x['n'] is not None and x['n'] + 1 > 2
not x['s'].startswith('ba')
x['s'].startswith('banana abc')
x['s'].endswith(x['s'][-1])
x['s'].endswith(x['s'])
x['s'].endswith(('b', 'a'))
x['s'].endswith('na a')
x['s'].endswith('banana abc')
not x['s'].endswith('a')
x['s'][0].endswith('b')
x['s'].startswith(3)
x.get('n')
x.get('q')
x.get('q', 3)
x.get('n', 3)
x.get('n') or x.get('m', 1)
{'Ab': x['n'], '': 0}[x['s']]
{'Ab': 'x', 'b': 'y'}[x['s']] + 'z'
{7: 'a', -7: 'b'}.get(x['n'])
{7: 'a'}.get(x['n'], 'z')
{7: 'a', 1: 'b'}.get(x['n'], x['s'])
{7: 1, 1: 2}.get(x['n'] // x['m'], 5)
{}.get(x['n'], 4)
[1, 2, 3][1] + x['n']
(4, 5)[-1] + x['n']
[x['n'], x['m']][0]
len([1, 2]) + x['n']
any([c in x['s'] for c in 'xb'])
any(c in x['s'] for c in ('x', 'X'))
any(x['s'][k] == 'a' for k in (1, 5))
any([x['s'][k] == 'a' for k in (1, 5)])
all([x['s'][k] == 'a' for k in (1, 3)])
all(x['s'][k] == 'a' for k in (1, 3))
all(c in x['s'] for c in 'b')
all(x['n'] != k for k in (1, 7) if k > 3)
any(x['n'] == k for k in (1, 7) if k > 3)
any(x['n'] == k for k in (1, 7) if x['b'])
all(x['n'] != k for k in (1, 7) if x['b'])
any(x['n'] == k for k in (1, 7) if x['b'] if k > 1)
any(x['n'] == k for k in range(5, 8))
any(x['n'] == k for k in range(7))
any(x['n'] == k for k in range(1, 9, 3))
any([])
all([])
any((x['b'], x['n'] == 7))
all((x['b'], x['n'] == 7))
sum(c in x['s'] for c in 'abn')
sum(x['s'].count(c) for c in 'ab')
sum(1 for c in 'abn' if c in x['s'])
sum(k for k in range(1, 7, 2)) + x['n']
sum([x['n'], x['m'], 1])
sum(x['b'] for k in (1, 2))
max(x['s'].count(c) for c in 'an')
min(k * x['m'] for k in (1, 2))
min([x['n'], x['m']])
x['b'] or x['n'] == 7
x['b'] and x['n'] == 7
x['n'] == 7 and x['b']
x['n'] and x['m']
x['n'] or x['m'] or 9
x['n'] or x['m'] or None
x['s'] or 'empty'
x['s'] and x['s'][0]
x['s'] and x['s'] + '!'
x['b'] and not x['s']
x['n'] is None or x['n'] + 1 > 2
(x['n'] or 0) + 1
(x['n'] and x['n'] + 1) is None
(x['n'] + 1 if x['n'] is not None else None) is None
(None if x['n'] is None else x['n'] + 1) is None
(x['n'] and x['m'] and x['n'] + x['m']) is None
(x['n'] is None or x['n'] > 2) == x['b']
(x['n'] is None or x['n'] + 1 > 2) == (x['m'] is None)
(x['n'] is not None and x['n'] + 1 > 2) == (x['m'] is None)
((x['n'] or 0) and x['m']) is None
(x['n'] or x['m']) is None
x['n'] + 1 if x['n'] is not None else 0
0 if x['n'] is None else x['n'] + 1
x['n'] + 1 if not (x['n'] is None) else 0
x['n'] + 1 if x['n'] else 0
0 if not x['n'] else x['n'] + 1
x['n'] + x['m'] if x['n'] is not None and x['m'] is not None else 0
0 if x['n'] is None or x['m'] is None else x['n'] + x['m']
0 if not (x['n'] is not None and x['m'] is not None) else x['n'] + x['m']
x['n'] + x['m'] if not (x['n'] is None or x['m'] is None) else 0
x['n'] + 1 if x['m'] is not None else 0
x['s'] + 'a' if x['s'] else 'b'
x['s'][0] + 'a' if x.get('s') else 'b'
1 < x['m'] < x['n']
x['n'] == x['m'] == 0
x['n'] < x['m'] <= 3
x['n'] < x['m'] <= 3 < 4
""".strip().splitlines()

FUNCTIONS = [
    "def f(x):\n    a = b = x['n'] + 1\n    return a + b",
    "def f(x):\n    a, b = x['n'], x['m']\n    return a - b",
    "def f(x):\n    [a, (b, c)] = [1, (x['n'], 3)]\n    return a + b * c",
    "def f(x):\n    a: int = x['n']\n    a += 2\n    a *= 3\n    return a",
    "def f(x):\n    a = x['s'][5]\n    return 1",
    "def f(x):\n    a = x['n'] // x['m']\n    if x['b']:\n        return 1\n    return a",
    "def f(x):\n    a = 1 if x['b'] else x['n'] // x['m']\n    return a + 1",
    "def f(x):\n    if x['b']:\n        a = 1\n    else:\n        a = x['n'] // x['m']\n"
    "    return a",
    "def f(x):\n    a = 1\n    if x['n'] > 2:\n        a = 2\n        a += x['m']\n    return a",
    "def f(x):\n    a = 1\n    if x['n'] is not None:\n        a = x['n'] + 1\n    return a",
    "def f(x):\n    a = 0\n    if x['n'] is None:\n        a = 5\n    elif x['m'] is None:\n"
    "        a = 6\n    else:\n        a = x['n'] + x['m']\n    return a",
    "def f(x):\n    a = 0\n    if x['s'][0] == 'b':\n        a = 1\n    return a",
    "def f(x):\n    if x['s'][0] == 'b':\n        return 1\n    return 2",
    "def f(x):\n    if x['n'] == 7:\n        return 1\n    if x['n'] == 1:\n        return 2",
    "def f(x):\n    if x['n'] == 7:\n        return\n    return 2",
    "def f(x):\n    if x['n'] == 7:\n        a = 1\n    return 2",
    "def f(x):\n    return 1 if x['n'] == 7 else 2 if x['s'][0] == 'a' else None",
    "def f(x):\n    if x['n'] is None:\n        return 0\n    a = x['n'] + 1\n"
    "    if a > 2:\n        b = a\n    else:\n        b = -a\n    return b",
    "def f(x):\n    for k in (1, 7):\n        if x['n'] == k:\n            return k\n    return 0",
    "def f(x):\n    a = 0\n    for k in (1, 2, 3):\n        a += k * x['n']\n    return a",
    "def f(x):\n    a = 0\n    for k, v in [(1, 'a'), (2, 'b')]:\n        if v in x['s']:\n"
    "            a += k\n    return a",
    "def f(x):\n    a = ''\n    for c in 'ab':\n        a = a + c\n    return a + x['s']",
    "def f(x):\n    a = 0\n    for k in {7: 1, 1: 2}:\n        a += x['n'] == k\n    return a",
    "def g(a, b=2):\n    return a * b\ndef f(x):\n    return g(x['n']) + g(x['n'], 3)",
    "def g(a, b=2, c=5):\n    return a * b + c\ndef f(x):\n    return g(x['n'], 3)",
    "def g(a):\n    if a > 2:\n        return 1\n    return 0\ndef f(x):\n    return g(x['n']) + 1",
    "g = lambda a: a + 1\ndef f(x):\n    return g(g(x['n']))",
    "def g(a):\n    return 1\ndef f(x):\n    return g(x['s'][5])",
    "def g(a):\n    return a is None\ndef f(x):\n    return g(x['n']) or x['n'] > 2",
    "def g(a):\n    if a is not None:\n        return a + 1\n    return None\n"
    "def f(x):\n    return g(x['n']) is None",
    "def g(a):\n    if a is None:\n        return None\n    return a + 1\n"
    "def f(x):\n    return g(x['n']) is None",
    "def f(x):\n    g = lambda a: a + 1\n    return g(x['n'])",
    "K = 3\nL = (1, 7)\nimport os\nM = os.environ\ndef f(x):\n    return x['n'] + K in L",
    "K = 3 if 1 else 4\nif K == 3:\n    L = 1\nelse:\n    L = 2\ndef f(x): return x['n'] + L",
    "for k in (1, 2):\n    K = k\ndef f(x):\n    return x['n'] + K",
    "f = lambda x: x['n'] > 2",
    "def f(x):\n    'says what'\n    pass\n    return x['n']",
    "def f(x, /):\n    return x['n']",
    "def f(x, y=3):\n    return x['n'] + y",
    "from math import nan\ndef f(x):\n    return x['n']",
    "import datetime as d\ndef f(x):\n    return x['n']",
]

DATES = ["2024-02-29", "1900-03-01", "1900-02-28", "2000-02-29", "1900-02-29", "2100-02-29",
         "2023-02-28", "2023-02-29", "2024-02-30", "2023-04-30", "2023-04-31", "2023-06-31",
         "2023-09-31", "2023-11-31", "2023-12-31", "2023-10-31", "0001-01-01", "0000-01-01",
         "9999-12-31", "1970-01-01", "2024-2-29", "2024-13-01", "2024-00-10", "2024-01-00",
         "2024-01-32", "abcd-ef-gh", "2024/02/29", "2024-02/29", "2024-12-311", "2024-12-3", "",
         "2024-01-1x", "2000-03-01", "0400-03-01", "0399-12-31", "2400-03-01", "1600-12-31",
         "0004-03-01", None]  # fmt: skip
OF_DATES = [
    "d.year", "d.month", "d.day", "d.weekday()", "d.isoweekday()", "d.toordinal() % 1000",
    "d.toordinal() // 1000", "(d - date.fromisoformat('1999-12-31')).days",
    "(date.fromisoformat('2400-01-01') - d).days // 7", "d.weekday() in (5, 6)",
    "d.year % 100 == 0", "d.month > 2 or d.day == 1", "d.isoweekday() - 8",
]  # fmt: skip


def by_python(source: str, rows: Sequence[object]) -> list[Any]:
    """Return what a program answers, None for an error and for what is no label."""
    names: dict[str, Any] = {}
    exec(source, names)
    answers = []
    for row in rows:
        try:
            answer = names["f"](row)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            answer = None
        answers.append(answer)
    return answers


def by_duckdb(
    sources: Sequence[str],
    types: Mapping[str, str],
    rows: Sequence[tuple[Any, ...]],
    expected: Sequence[Sequence[Any]],
) -> list[list[Any]]:
    """Return what the SQL of each program answers, the classes being what Python answers."""
    parts = []
    for source, answers in zip(sources, expected, strict=True):
        classes = list(dict.fromkeys(answer for answer in answers if answer is not None))
        texts = [str(int(each)) if isinstance(each, bool) else str(each) for each in classes]
        try:
            part = sql(source, list(types), types, texts, classes)["sql"]
        except ProgramError as error:
            raise AssertionError(source) from error
        parts.append(f"CAST({part} AS VARCHAR)")
    columns = ", ".join(f"{name} {SQL_TYPES[kind]}" for name, kind in types.items())
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(types))})", rows)
        found = connection.execute(f"SELECT [{', '.join(parts)}] FROM t").fetchall()
    return [[answers[place] for (answers,) in found] for place in range(len(sources))]


def hold(sources: Sequence[str], types: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Assert that Python and DuckDB agree on every row."""
    inputs = [dict(zip(types, row, strict=True)) for row in rows]
    expected = [by_python(source, inputs) for source in sources]
    found = by_duckdb(sources, types, rows, expected)
    for source, answers, there in zip(sources, expected, found, strict=True):
        # DuckDB writes its truth values in small letters.
        texts = [str(each).lower() if isinstance(each, bool) else each for each in answers]
        assert there == [None if each is None else str(each) for each in texts], source


def test_each_expression_gives_what_python_gives() -> None:
    hold([f"def f(x):\n    return {one}\n" for one in EXPRESSIONS], TYPES, ROWS)


@pytest.mark.parametrize("use", ["(1 if {} else 2) - 1", "({}) is None"])
def test_what_fails_or_is_missing_does_so_in_every_use(use: str) -> None:
    sources = [f"def f(x):\n    return {use.format(one)}\n" for one in EXPRESSIONS]
    translated = []
    for source in sources:
        with suppress(ProgramError):
            sql(source, list(TYPES), TYPES, ["0", "1"], [0, 1])
            translated.append(source)
    assert len(translated) > len(sources) / 2
    hold(translated, TYPES, ROWS)


# What is shown to a person: no parentheses and no tests that nothing asks for.
WRITTEN = {
    "len(x['s']) % 3": 'LENGTH("s") % 3',
    "x['n'] % 3": '(("n" % 3) + 3) % 3',
    "len(x['s']) // 3": 'CAST(CAST((LENGTH("s") - (LENGTH("s") % 3)) AS DOUBLE) / 3 AS BIGINT)',
    "(len(x['s']) + 1) % 3": '(LENGTH("s") + 1) % 3',
    "len(x['s']) * 2 % 3": '(LENGTH("s") * 2) % 3',
    "x['s'].count('a') % 3": "(LENGTH(\"s\") - LENGTH(REPLACE(\"s\", 'a', ''))) % 3",
    "x['b'] % 3": 'CASE WHEN "b" THEN 1 WHEN NOT "b" THEN 0 END % 3',
    "len(x['s']) % 5 % 3": '(LENGTH("s") % 5) % 3',
    "len(x['s']) // 5 % 3": (
        'CAST(CAST((LENGTH("s") - (LENGTH("s") % 5)) AS DOUBLE) / 5 AS BIGINT) % 3'
    ),
    "abs(x['n']) % 3": 'ABS("n") % 3',
    "(x['n'] is None) % 3": 'CASE WHEN "n" IS NULL THEN 1 ELSE 0 END % 3',
    "(1 if x['n'] is None else 2) % 3": 'CASE WHEN "n" IS NULL THEN 1 ELSE 2 END % 3',
    "2 ** 2 % 3": "((1 * 2) * 2) % 3",
    # What is asked before says that it is there.
    "((x['n'] is None or x['n'] + 1 > 2) == True) % 3": (
        'CASE WHEN (("n" IS NULL) OR (("n" + 1) > 2)) = TRUE THEN 1 ELSE 0 END % 3'
    ),
    "((x['n'] is not None and x['n'] + 1 > 2) == True) % 3": (
        'CASE WHEN ((NOT ("n" IS NULL)) AND (("n" + 1) > 2)) = TRUE THEN 1 ELSE 0 END % 3'
    ),
    "x['n'] + 1": '"n" + 1',
    "x['n'] + -1": '"n" + (-1)',
    "-x['n'] + 1": '(-"n") + 1',
    "x['n'] - 1": '"n" - 1',
    "str(x['s'] + 'a') + 'b'": "(\"s\" || 'a') || 'b'",
    "str(x['n'] - 1) + 'b'": "CAST(\"n\" - 1 AS VARCHAR) || 'b'",
    "int(x['n']) + 1": '"n" + 1',
    "max(len(x['s']), 2) % 3": (
        'CASE WHEN 2 > LENGTH("s") THEN 2 WHEN NOT (2 > LENGTH("s")) THEN LENGTH("s") END % 3'
    ),
}


def test_sql_has_no_needless_parentheses_or_tests() -> None:
    for expression, written in WRITTEN.items():
        source = f"def f(x):\n    return {expression}\n"
        found = sql(source, list(TYPES), TYPES, ["1"], [1])["sql"]
        shown = written if written.startswith("C") and written.endswith(("END", ")")) else None
        shown = shown or f"({written})"
        one = "'1'" if "||" in written else "1"
        assert found == f"CASE WHEN {shown} = {one} THEN 1 END", expression


def test_sides_of_a_statement_know_what_is_there() -> None:
    given = 'CASE WHEN "n" IS NULL THEN NULL ELSE ("n" + 1) END'
    other = 'CASE WHEN NOT ("n" IS NULL) THEN ("n" + 1) ELSE NULL END'
    for source, value in (
        ("if x['n'] is None:\n        a = None\n    else:\n        a = x['n'] + 1", given),
        ("a = None\n    if x['n'] is not None:\n        a = x['n'] + 1", other),
    ):
        program = f"def f(x):\n    {source}\n    return a is None\n"
        found = sql(program, list(TYPES), TYPES, ["0", "1"], [0, 1])["sql"]
        assert found == f"CASE WHEN ({value} IS NULL) THEN 1 WHEN NOT ({value} IS NULL) THEN 0 END"


def test_statements_and_functions_give_what_python_gives() -> None:
    hold(FUNCTIONS, TYPES, ROWS)


def test_dates_give_what_python_gives() -> None:
    head = "from datetime import date\ndef f(x):\n    d = date.fromisoformat(x['s'])\n    return "
    inside = "import datetime as t\ndef f(x):\n    return t.date.fromisoformat(x['s']).year"
    rows = [(text,) for text in DATES]
    hold([*(f"{head}{one}\n" for one in OF_DATES), inside], {"s": "str"}, rows)


REFUSED = {
    "x['n'] * 4294967295": "arithmetic that can go beyond whole numbers of 64 bits",
    "x['n'] + 9223372036854775807": "arithmetic that can go beyond whole numbers of 64 bits",
    "9223372036854775808": "a whole number of more than 63 bits",
    "x['n'] / 9007199254740992": "`/` of whole numbers of more than 53 bits",
    "x['n'] * 1048576 // 2": "`//` of whole numbers of more than 52 bits",
    "x['n'] // 4503599627370496": "`//` of whole numbers of more than 52 bits",
    "x['r'] % 2": "`%` of decimals",
    "2 % x['r']": "`%` of decimals",
    "x['r'] // 2": "`//` of decimals",
    "x['n'] ** 5": "`**` other than of whole numbers with an exponent from 0 to 4",
    "x['n'] ** -1": "`**` other than of whole numbers with an exponent from 0 to 4",
    "x['r'] ** 2": "`**` other than of whole numbers with an exponent from 0 to 4",
    "2 ** x['n']": "`**` other than of whole numbers with an exponent from 0 to 4",
    "2 ** 2.0": "`**` other than of whole numbers with an exponent from 0 to 4",
    "x['n'] + 'a'": "`+` between a int and a str",
    "[1] + [2]": "`+` between a list and a list",
    "-x['s']": "`-` of a str",
    "round(x['s'])": "round() of a str",
    "float(x['s'])": "float() of a str",
    "int(None)": "int() of a none",
    "str(x['r'])": "str() of a float",
    "abs(x['s'])": "the call abs(), with these arguments",
    "sorted([1])": "the call sorted(), with these arguments",
    "len(x)": "the call len(), with these arguments",
    "max()": "the call max(), with these arguments",
    "range(x['n'])": "the call range(), with these arguments",
    "sum([x['r']])": "sum() of decimals, which depends on Python's version,",
    "max(k for k in (1, 2) if x['b'])": "max() of what may be empty",
    "min([])": "min() of what may be empty",
    "any(a == b for a in (1, 2) for b in (1, 2))": "a comprehension with several loops",
    "any(x['n'] == k for k in range(201))": "a loop over more than 200 items",
    "any(c for c in x['s'])": "a loop over other than constants",
    "[x['s'][0]]": "a list of what can fail",
    "[1, 2][2]": "an index beyond a list",
    "[1, 2][-3]": "an index beyond a list",
    "[1, 2][x['n']]": "an index into a list",
    "x['n'][0]": "an index into a int",
    "x['q']": "the column 'q', which the rows lack,",
    "x['s']['a']": "a text indexed by a str",
    "x['s'][::2]": "a slice with a step",
    "x['s'][: x['n']]": "a slice that ends at what can be missing",
    "x['s'][x['r'] :]": "a slice that ends at a float",
    "x['s'].title()": "the method title() of a text, with these arguments",
    "x['s'].count('')": "the method count() of a text, with these arguments",
    "x['s'].find('')": "the method find() of a text, with these arguments",
    "x['s'].replace('', 'a')": "the method replace() of a text, with these arguments",
    "x['s'].strip(3)": "the method strip() of a text, with these arguments",
    "x['s'].split()": "the method split() of a text, with these arguments",
    "x.get()": "the method get() of a row",
    "x.items()": "the method items() of a row",
    "{}.get()": "the method get() of a dict",
    "(1 if x['b'] else 'a') == 1": "a choice between a int and a str",
    "x['b'] or x['n']": "a choice between a bool and a int",
    "max(x['n'])": "a loop over other than constants",
    "x['n'] * 1073741824 + x['m'] * 1073741824": "arithmetic that can go beyond whole numbers of "
    "64 bits",
    "abs(x['n']) * 4294967295": "arithmetic that can go beyond whole numbers of 64 bits",
    "-x['n'] * 4294967295": "arithmetic that can go beyond whole numbers of 64 bits",
    "x['b'] * 9223372036854775807": "arithmetic that can go beyond whole numbers of 64 bits",
    "x['n'] // 2 * 2147483647": "arithmetic that can go beyond whole numbers of 64 bits",
    "x['n'] % 8 * 1152921504606846975": "arithmetic that can go beyond whole numbers of 64 bits",
    "int(x['s']) * 16383": "arithmetic that can go beyond whole numbers of 64 bits",
    "(x['n'] if x['b'] else 1) * 4294967295": "arithmetic that can go beyond whole numbers of 64 "
    "bits",
    "x['s'] == (1 if x['s'][0] == 'b' else None)": "== of a value that can be missing or fail",
    "(1 if x['s'][0] == 'b' else None) == x['s']": "== of a value that can be missing or fail",
    "x['n'] == (1 if x['s'][0] == 'b' else None)": "== of a value that can be missing or fail",
    "(1 if x['s'][0] == 'b' else None) in (1, 2)": "`in` of a value that can be missing or fail",
    "not (1 if x['s'][0] == 'b' else None)": "the truth of a value that can be missing or fail",
    "{}.get(x['s'][0] if x['b'] else None)": "the evaluation of a value that can be missing or "
    "fail",
    "not (lambda a: a)": "the truth of a function",
    "x['n'] ** 2": "arithmetic that can go beyond whole numbers of 64 bits",
    "(x['n'] > 2) ** 1": "`**` other than of whole numbers with an exponent from 0 to 4",
    "([1] if x['b'] else [2]) == 1": "a choice between a list and a list",
    "[1] == [2]": "== between a list and a list",
    "x['n'] is 3": "`is` with other than None",
    "x['n'] in x": "`in` a row",
    "b'a'": "a constant of type bytes",
    "1e999": "a constant of type float",
    "'\\0'": "a text with a NUL character",
    "y": "the name 'y'",
    "y()": "the call y(), with these arguments",
    "[1]": "an answer that is a list",
    "(lambda *a: 1)(2)": "a function with such parameters",
    "(lambda a, *, b: 1)(2)": "a function with such parameters",
    "(lambda a, **b: 1)(2)": "a function with such parameters",
    "(lambda a: 1)()": "a function with such parameters",
    "(lambda a: 1)(1, 2)": "a function with such parameters",
    "x['n']()": "a call of what is no function of the program",
    "x['n'].real": "the attribute 'real' of a int",
    "x['n'].year": "the attribute 'year' of a int",
    "{**x}": "`{**x}`",
    "str((x['s'][0] if x['b'] else None))": "str() of a value that can be missing or fail",
    "(x['s'][0] if x['b'] else None) is None": "the test for None of a value that can be missing "
    "or fail",
    "'a' * 3": "`*` between a str and a int",
}  # fmt: skip

FITTING = [
    "abs(x['n']) * 2147483647 > 0",
    "-x['n'] * 2147483647 > 0",
    "x['b'] * 4611686018427387903 > 0",
    "x['n'] // 2 * 1073741823 > 0",
    "x['n'] % 8 * 576460752303423487 > 0",
    "int(x['s']) * 8191 > 0",
    "(x['n'] if x['b'] else 1) * 2147483647 > 0",
    "len(x['s']) * 2147483647 > 0",
    "x['n'] * 2147483647 > 0",
    "x['n'] * 1073741823 + x['m'] * 1073741823 > 0",
    "x['n'] / 9007199254740991 > 0",
    "x['n'] * 1048575 // 2 > 0",
    "x['n'] // 4503599627370495 == 0",
    "9223372036854775807 > x['n']",
    "x['n'] ** 1 + x['m'] ** 1 > 0",
    "(x['n'] % 8) ** 4 > 3",
    "any(x['n'] == k for k in range(200))",
    "[1, 2][-2] + x['n'] > 0",
]


@pytest.mark.parametrize(("expression", "reason"), REFUSED.items())
def test_what_has_no_translation_is_named(expression: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        sql(f"\ndef f(x):\n    return {expression}\n", list(TYPES), TYPES, ["0", "1"], [0, 1])
    assert str(caught.value) in (f"line 3: {reason} has no translation into SQL", reason)


def test_what_just_fits_is_translated() -> None:
    for expression in FITTING:
        source = f"def f(x):\n    return {expression}\n"
        assert sql(source, list(TYPES), TYPES, ["0", "1"], [0, 1])["sql"].startswith("CASE WHEN")


STATEMENTS: dict[str, str] = {
    "a, b = x['n'], x['m'], 1\n    return a": "line 2: an assignment of a list of another length",
    "x['n'] = 1\n    return 1": "line 2: an assignment to other than a name",
    "if x['b']:\n        a = 1\n    return a": "line 4: the name 'a', which may have no value",
    "for k in (1, 2):\n        a = k\n    else:\n        pass\n    return a": (
        "line 2: `else` of a loop"
    ),
    "for k in (1, 2):\n        continue\n    return 1": "line 3: `continue`",
    "def g():\n        pass\n    return 1": "line 2: a function inside a function",
    "while 1:\n        pass\n    return 1": "line 2: `while`",
}


@pytest.mark.parametrize(("statements", "reason"), STATEMENTS.items())
def test_a_statement_without_a_translation_is_named_with_its_line(
    statements: str, reason: str
) -> None:
    with pytest.raises(ProgramError) as caught:
        sql(f"def f(x):\n    {statements}\n", list(TYPES), TYPES, ["0", "1"], [0, 1])
    assert str(caught.value) == f"{reason} has no translation into SQL"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("A = 1 // x\ndef f(x):\n    return A", "line 1: the name 'x' has no translation into SQL"),
        ("import math as m\ndef f(x):\n    v = m.nan if x['b'] is None else 1\n"
         "    return v > x['n']",
         "line 4: `>` between a number or NaN and a int has no translation into SQL"),
        ("from datetime import date\ndef f(x):\n    return date.fromisoformat(x['s']).hour",
         "line 3: the attribute 'hour' of a date has no translation into SQL"),
        ("from datetime import date\ndef f(x):\n    return date.fromisoformat(x['n'])",
         "line 3: a date from a int has no translation into SQL"),
        ("from datetime import date\ndef f(x):\n    return date.fromisoformat(x['s']).weekday(1)",
         "line 3: the call weekday() has no translation into SQL"),
        ("A = {1: 2}[3]\ndef f(x):\n    return 1", "code outside functions that can fail"),
        ("@staticmethod\ndef g(a):\n    return a\ndef f(x):\n    return g(1)",
         "line 5: a function with such parameters has no translation into SQL"),
        ("def g(x):\n    return f(x)\ndef f(x):\n    return g(x)",
         "functions that call each other so deeply"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_program_is_named(source: str, reason: str) -> None:
    with pytest.raises(ProgramError) as caught:
        sql(source, list(TYPES), TYPES, ["0", "1"], [0, 1])
    assert reason in str(caught.value)


def answered(source: str, classes: Mapping[str, object], kind: str = "int") -> list[Any]:
    """Return what the SQL of a program of one column answers for 1, 2 and no value."""
    part = sql(source, ["v"], {"v": kind}, list(classes), list(classes.values()))["sql"]
    with duckdb.connect() as connection:
        query = f'SELECT {part} FROM (VALUES (1), (2), (NULL)) AS t("v")'
        return [answer for (answer,) in connection.execute(query).fetchall()]


def test_labels_are_the_classes_whose_text_an_answer_has() -> None:
    of: Callable[[str], str] = "def f(x):\n    return {}\n".format
    # Texts that are no whole number are no label of one.
    assert answered(of("x['v']"), {"1": "one", "a": "b", "2.0": "two", "02": "x"}) == [
        "one", None, None,
    ]  # fmt: skip
    assert answered(of("float(x['v']) / 2"), {"1": "one", "0.5": "half", "a": "b"}) == [
        "half", "one", None,
    ]  # fmt: skip
    assert answered(of("x['v'] > 1"), {"0": "no", "1": "yes", "True": "x"}) == ["no", "yes", None]
    assert answered(of("x['v'] > 1"), {"1": "yes"}) == [None, "yes", None]
    assert answered(of("str(x['v'])"), {"1": 10, "None": 30}) == [10, None, 30]
    assert answered(of("1"), {"0": "no", "1": "yes"}) == ["yes"] * 3
    assert answered(of("True"), {"0": "no", "1": "yes"}) == ["yes"] * 3
    assert answered(of("'a'"), {"0": "no", "1": "yes"}) == [None] * 3
    assert answered(of("3"), {"0": "no", "1": "yes"}) == [None] * 3
    assert answered(of("None"), {"None": "yes"}) == [None] * 3
    assert answered(of("x['v'] > 1"), {"a": 1}) == [None] * 3


def test_a_program_over_a_text_reads_a_missing_one_as_empty() -> None:
    for columns in (["v"], []):
        part = sql("def f(x):\n    return x + '!'\n", columns, {}, ["a!", "!"], [1, 2])["sql"]
        name = columns[0] if columns else "text"
        with duckdb.connect() as connection:
            query = f"SELECT {part} FROM (VALUES ('a'), (''), (NULL)) AS t(\"{name}\")"
            assert [answer for (answer,) in connection.execute(query).fetchall()] == [1, 2, 2]


def test_the_constants_of_a_program_are_listed_once_and_up_to_two_hundred() -> None:
    of = "def f(x):\n    return x['s'] > 'b'\n"
    assert sql(of, list(TYPES), TYPES, ["0"], [0])["orders_text"] is True
    many = f"A = [{', '.join(map(str, range(300)))}]\n{of}"
    assert sql(many, list(TYPES), TYPES, ["0"], [0])["constants"] == list(range(200))
    source = f"A = '{'l' * 201}'\nB = '{'k' * 200}'\nC = [1, 1.5, 'a', True, None, 'a', b'c']\n"
    found = sql(f"{source}f = lambda x: 7\n", list(TYPES), TYPES, ["0"], [0])
    assert found["constants"] == ["k" * 200, 1, 1.5, "a", True, 7]
    for source in ("x['n'] < 7", "x['s'] == 'b'"):
        found = sql(f"def f(x):\n    return {source}\n", list(TYPES), TYPES, ["0"], [0])
        assert found["orders_text"] is False


def test_columns_and_texts_are_quoted() -> None:
    source = "def f(x):\n    return x['a \"b'] == 'it\\'s'\n"
    part = sql(source, ['a "b'], {'a "b': "str"}, ["0", "1"], [0, 1])["sql"]
    with duckdb.connect() as connection:
        query = f"SELECT {part} FROM (VALUES ('it''s'), ('its')) AS t(\"a \"\"b\")"
        assert [answer for (answer,) in connection.execute(query).fetchall()] == [1, 0]
