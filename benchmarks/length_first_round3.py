"""Hidden rules for a program-learning benchmark, round 3: 40 rules with samplers and labels.
Invented independently of the learner; standard library only."""

from __future__ import annotations

import datetime as dt
import math
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Rule:
    name: str
    kind: str
    description: str
    sample: Callable[[random.Random], str | dict]
    label: Callable[[str | dict], object]


RULES: list[Rule] = []


def add(name, kind, description, frame, make, label, classes=(0, 1), tries=80):
    """Register a rule; sampling fixes a frame (size, style), then a wanted
    class, then draws inside the frame until the class is met."""

    def sample(rng: random.Random):
        f = frame(rng) if frame else None
        want = rng.choice(classes)
        x = make(rng, f)
        for _ in range(tries):
            if label(x) == want:
                break
            x = make(rng, f)
        return x

    RULES.append(Rule(name, kind, description, sample, label))


def yn(v):
    return "yes" if v else "no"


YN = ("yes", "no")

# ---------------------------------------------------------------- text bits


def f_bits(rng):
    """length, density, stickiness"""
    return (
        rng.randint(10, 60),
        rng.choice([0.5, 0.5, 0.4, 0.6, rng.uniform(0.3, 0.7)]),
        rng.choice([0.0, 0.0, 0.3, 0.5, -0.3]),
    )


def m_bits(rng, f):
    n, p, st = f
    out = ["1" if rng.random() < p else "0"]
    while len(out) < n:
        if rng.random() < abs(st):
            out.append(out[-1] if st > 0 else ("1" if out[-1] == "0" else "0"))
        else:
            out.append("1" if rng.random() < p else "0")
    return "".join(out)


def runs(s):
    """list of (char, length) of maximal runs"""
    out = []
    for ch in s:
        if out and out[-1][0] == ch:
            out[-1][1] += 1
        else:
            out.append([ch, 1])
    return [(c, k) for c, k in out]


def f_digits(lo=6, hi=14):
    return lambda rng: rng.randint(lo, hi)


def m_digits(rng, n):
    r = rng.random()
    if r < 0.6:
        pool = "0123456789"
    elif r < 0.8:
        pool = "".join(rng.sample("0123456789", rng.randint(5, 8)))
    else:
        pool = "0123456789" + rng.choice("0123456789") * 3
    return "".join(rng.choice(pool) for _ in range(n))


def log_int(rng, lo, hi, signed=True):
    v = int(math.exp(rng.uniform(math.log(lo), math.log(hi + 1))))
    return -v if signed and rng.random() < 0.5 else v


# ---------------------------------------------------------------- words

WORDS = """apple arrow amber album anchor autumn basket bridge butter bottle
banner beacon canyon carpet castle cherry circle cotton copper corner cradle
dagger desert dinner dollar dragon eagle earth engine escape evening fabric
farmer feather finger flower forest garden ginger glass goblin grape guitar
hammer harbor hollow honey hunter island ivory jacket jelly jungle kettle
kitten ladder lantern leather lemon letter lizard magnet marble market meadow
mirror mitten monkey mountain needle nickel number ocean office olive onion
orange oyster paper parrot pebble pepper pillow planet pocket potato puzzle
quarter queen rabbit ribbon river rocket saddle sailor salmon school shadow
silver spider spring square stone storm summer table tailor teapot temple
thunder ticket tiger tunnel turtle umbrella valley velvet violin wagon walnut
window winter wizard yellow zebra act add aim air ask bake bell bird blue boat
bone book bowl call camp card chair clay climb coat cold cook corn crew dance
dark deer desk door draw dream drum dust edge face fall farm fast field fish
flag foam fold gate gift glow goat gold grass green grow hand harp hill hold
home horn ice idea iron jump keep kind king knot lake lamp leaf light line
lion load look lunar mail mask milk mint moon moss nest night north note oak
open oval pain park path pear pine plan play pond post pull rain read rest
rice ring road rock roof rope rose sail salt sand seed ship shop sing skin
sleep smoke snow soft song spin star stay stem swim talk tall tent time town
track tree trip true tune turn twin vine voice wait walk wall warm wash wave
west wheat wild wind wing wolf wood work yard year young""".split()

PREFIX = ["un", "re", "pre", "over", "out", "mis", "sub", "in", "de", "under"]
SUFFIX = ["s", "ed", "ing", "er", "ly", "ness", "able", "ful", "ish", "y", "est", "less"]
ONSET = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr pl pr sh sl st th tr a e i o u".split()
RIME = "a e i o u an en in on un ar er or at et it ot ell ill oss ack ane ide ore ume ea oo ay ow".split()


def word(rng):
    r = rng.random()
    if r < 0.25:
        return rng.choice(WORDS)
    if r < 0.65:
        w = rng.choice(WORDS)
        t = rng.random()
        if t < 0.5:
            w = rng.choice(PREFIX) + w
        if t > 0.3:
            s = rng.choice(SUFFIX)
            if w[-1] == "e" and s[0] in "aeiy":
                w = w[:-1]
            w += s
        return w
    if r < 0.8:
        return rng.choice(WORDS) + rng.choice([w for w in (rng.choice(WORDS), rng.choice(WORDS))])
    return "".join(rng.choice(ONSET) + rng.choice(RIME) for _ in range(rng.randint(2, 4)))


def short_word(rng):
    return rng.choice(WORDS) if rng.random() < 0.75 else word(rng)


def recase(rng, w):
    r = rng.random()
    if r < 0.5:
        return w.lower()
    if r < 0.75:
        return w.capitalize()
    if r < 0.85:
        return w.upper()
    return "".join(c.upper() if rng.random() < 0.4 else c for c in w)


def m_word(rng, f=None):
    return word(rng)


def m_case_word(rng, f=None):
    return recase(rng, word(rng))


def vowels(w):
    return sum(c in "aeiou" for c in w.lower())


# ---------------------------------------------------------------- dates


def rand_date(rng, lo=1985, hi=2035):
    a = dt.date(lo, 1, 1).toordinal()
    b = dt.date(hi, 12, 31).toordinal()
    return dt.date.fromordinal(rng.randint(a, b))


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letters(rng, n, pool=UPPER):
    return "".join(rng.choice(pool) for _ in range(n))


# ---------------------------------------------------------------- brackets

PAIR = {"(": ")", "[": "]", "{": "}"}
BACK = {v: k for k, v in PAIR.items()}


def nested(rng, pairs, types="([{", p_open=0.5, fill="", p_fill=0.3):
    """well-formed bracket text with the given number of pairs"""
    out, st, left = [], [], pairs
    while left or st:
        if fill and rng.random() < p_fill:
            out.append(rng.choice(fill))
        if left and (not st or rng.random() < p_open):
            b = rng.choice(types)
            st.append(b)
            out.append(b)
            left -= 1
        else:
            out.append(PAIR[st.pop()])
    if fill and rng.random() < p_fill:
        out.append(rng.choice(fill))
    return "".join(out)


def depths(s):
    """(char, depth) pairs; a bracket has the depth of its inside"""
    d, out = 0, []
    for c in s:
        if c in PAIR:
            d += 1
            out.append((c, d))
        elif c in BACK:
            out.append((c, d))
            d -= 1
        else:
            out.append((c, d))
    return out


def expr(rng, depth, ops="+-*", hi=12):
    if depth == 0 or rng.random() < 0.15:
        return str(rng.randint(1, hi))
    a, b = expr(rng, depth - 1, ops, hi), expr(rng, depth - 1, ops, hi)
    s = a + rng.choice(ops) + b
    return "(" + s + ")" if rng.random() < 0.6 else s


# ---------------------------------------------------------------- graphs


def edges(s):
    return [(int(a), int(b)) for a, b in re.findall(r"u(\d+)v(\d+)", s)]


def show(es):
    return "".join(f"u{a}v{b}" for a, b in es)


def adjacency(es, directed=False):
    adj = {}
    for a, b in es:
        adj.setdefault(a, set()).add(b)
        adj.setdefault(b, set())
        if not directed:
            adj[b].add(a)
    return adj


def components(es):
    adj = adjacency(es)
    seen, out = set(), []
    for v in adj:
        if v in seen:
            continue
        comp, todo = {v}, [v]
        while todo:
            for w in adj[todo.pop()]:
                if w not in comp:
                    comp.add(w)
                    todo.append(w)
        seen |= comp
        out.append(comp)
    return out


def f_graph(nlo=6, nhi=11, mlo=0.6, mhi=1.3, top=20):
    """vertex labels and number of edges"""

    def frame(rng):
        n = rng.randint(nlo, nhi)
        labels = rng.sample(range(top), n)
        m = max(3, min(n * (n - 1) // 2, round(n * rng.uniform(mlo, mhi))))
        return labels, m

    return frame


def m_graph(rng, f, directed=False):
    """simple random graph, no loops; sometimes tree-like or clustered"""
    labels, m = f
    mode = rng.random()
    es, seen = [], set()
    parent = {v: v for v in labels}

    def find(v):
        while parent[v] != v:
            v = parent[v]
        return v

    groups = None
    if mode > 0.75 and len(labels) >= 5:
        k = rng.randint(2, len(labels) - 2)
        groups = (labels[:k], labels[k:])
    tries = 0
    while len(es) < m and tries < 300:
        tries += 1
        pool = labels
        if groups and rng.random() < 0.85:
            pool = rng.choice(groups)
        if len(pool) < 2:
            pool = labels
        a, b = rng.sample(pool, 2)
        key = (a, b) if directed else (min(a, b), max(a, b))
        if key in seen:
            continue
        if mode < 0.4 and tries < 60:
            ra, rb = find(a), find(b)
            if ra == rb:
                continue
            parent[ra] = rb
        seen.add(key)
        es.append((a, b))
    return show(es)


def m_digraph(rng, f):
    return m_graph(rng, f, directed=True)


# ---------------------------------------------------------------- lists


def ints(s):
    return [int(t) for t in re.findall(r"-?\d+", s)]


def show_list(xs, brackets=False):
    return "[" + ", ".join(map(str, xs)) + "]" if brackets else ",".join(map(str, xs))


def m_list(lo, hi, brackets=False):
    return lambda rng, n: show_list([rng.randint(lo, hi) for _ in range(n)], brackets)


def f_len(lo, hi):
    return lambda rng: rng.randint(lo, hi)


def maybe(rng, value, p=0.15):
    return None if rng.random() < p else value


# ================================================================= rules

# ---- bits

add(
    "r3_bits_run_exactly_3",
    "bits",
    "1 when some maximal run of ones has length exactly 3.",
    f_bits,
    m_bits,
    lambda s: int(("1", 3) in runs(s)),
)

add(
    "r3_bits_even_places",
    "bits",
    "1 when the ones at positions 0, 2, 4, ... outnumber the ones at positions 1, 3, 5, ...",
    f_bits,
    m_bits,
    lambda s: int(s[0::2].count("1") > s[1::2].count("1")),
)


def _m(rng, n):
    r = rng.random()
    return m_bits(rng, (n, rng.uniform(0.4, 0.6), -0.8 if r < 0.25 else -0.6 if r < 0.5 else 0.0))


def _l(s):
    t = 0
    for c in s:
        t += 1 if c == "1" else -1
        if abs(t) == 4:
            return "up" if t > 0 else "down"
    return "none"


add(
    "r3_bits_walk_exit",
    "bits",
    "Walk from 0, +1 for each one and -1 for each zero: up when it reaches +4 first, down when it reaches -4 first, "
    "none when it reaches neither.",
    f_len(10, 60),
    _m,
    _l,
    ("up", "down", "none"),
    tries=200,
)


def _m(rng, f):
    n = f[0]
    h = m_bits(rng, (n // 2,) + f[1:])
    s = list(h + ("" if n % 2 == 0 else rng.choice("01")) + h[::-1])
    for _ in range(rng.choice([0, 1, 1, 2, 2, 3, n])):
        i = rng.randrange(n)
        s[i] = "1" if s[i] == "0" else "0"
    return "".join(s)


def _l(s):
    return yn(sum(s[i] != s[-1 - i] for i in range(len(s) // 2)) <= 1)


add(
    "r3_bits_near_palindrome",
    "bits",
    "yes when at most one bit must be changed to make the string a palindrome.",
    f_bits,
    _m,
    _l,
    YN,
)

add(
    "r3_bits_length_switch",
    "bits",
    "For an even length: 1 when the number of zeros is even. For an odd length: 1 when the last two bits are equal.",
    f_bits,
    m_bits,
    lambda s: int(s.count("0") % 2 == 0 if len(s) % 2 == 0 else s[-1] == s[-2]),
)

# ---- digits

add(
    "r3_digits_div11",
    "digits",
    "1 when the number written by the digits is divisible by 11.",
    f_digits(5, 12),
    m_digits,
    lambda s: int(int(s) % 11 == 0),
    tries=120,
)


def _l(s):
    return yn(2 * sum(int(c) % 2 == 0 for c in s) > len(s) or s[0] == s[-1])


add(
    "r3_digits_even_majority_or_ends",
    "digits",
    "yes when even digits are more than half of the digits, or the first and last digits are equal.",
    f_digits(),
    m_digits,
    _l,
    YN,
)

add(
    "r3_digits_neighbours_sum10",
    "digits",
    "1 when two neighbouring digits add up to 10.",
    f_digits(5, 12),
    m_digits,
    lambda s: int(any(int(a) + int(b) == 10 for a, b in zip(s, s[1:]))),
)


def _l(s):
    r = (int(s) - 1) % 9 + 1
    return "low" if r <= 3 else "mid" if r <= 6 else "high"


add(
    "r3_digits_root_band",
    "digits",
    "Band of the digital root (sum the digits until one digit is left): low for 1-3, mid for 4-6, high for 7-9.",
    f_digits(),
    lambda rng, n: rng.choice("123456789") + m_digits(rng, n - 1),
    _l,
    ("low", "mid", "high"),
)

# ---- numbers


def _l(s):
    n = int(s)
    return "refund" if n < 0 else "low" if n < 1000 else "mid" if n < 10000 else "high"


add(
    "r3_num_bracket",
    "numbers",
    "Bracket of the balance: refund below 0, low below 1000, mid below 10000, high from 10000 on.",
    None,
    lambda rng, f: str(log_int(rng, 20, 600000)),
    _l,
    ("refund", "low", "mid", "high"),
)


def _m(rng, f):
    if rng.random() < 0.5:
        return str(rng.randint(200, 40000))
    return str(max(200, rng.randint(14, 200) ** 2 + rng.randint(-25, 25)))


def _l(s):
    n = int(s)
    k = math.isqrt(n)
    return int(min(n - k * k, (k + 1) ** 2 - n) <= 10)


add(
    "r3_num_near_square",
    "numbers",
    "1 when the number is at most 10 away from a perfect square.",
    None,
    _m,
    _l,
)


def _l(s):
    d = s.lstrip("-")
    return int((d[0] > d[-1]) != s.startswith("-"))


add(
    "r3_num_first_last_sign",
    "numbers",
    "1 when exactly one of these holds: the first digit is greater than the last digit; the number is negative.",
    None,
    lambda rng, f: str(log_int(rng, 100, 200000)),
    _l,
)


def _l(s):
    n = int(s)
    return yn(sum((1 if d * d == n else 2) for d in range(1, math.isqrt(n) + 1) if n % d == 0) >= 8)


add(
    "r3_num_many_divisors",
    "numbers",
    "yes when the number has at least 8 divisors (1 and itself counted).",
    None,
    lambda rng, f: str(rng.randint(200, 9999)),
    _l,
    YN,
)

# ---- words

add(
    "r3_word_r_xor_t",
    "words",
    "1 when the word contains r or t but not both (any case).",
    None,
    m_case_word,
    lambda w: int(("r" in w.lower()) != ("t" in w.lower())),
)

add(
    "r3_word_first_before_last",
    "words",
    "1 when the first letter comes earlier in the alphabet than the last letter.",
    None,
    m_word,
    lambda w: int(w[0] < w[-1]),
)


def _l(w):
    k = sorted(Counter(w.lower()).values(), reverse=True)
    return yn(len(k) == 1 or k[0] > k[1])


add(
    "r3_word_unique_top_letter",
    "words",
    "yes when one letter occurs strictly more often than every other letter, ignoring case.",
    None,
    m_case_word,
    _l,
    YN,
)


def _m(rng, n):
    ws = [short_word(rng) for _ in range(n)]
    if rng.random() < 0.6:
        ws[0] = ws[0].capitalize()
    for i in range(1, n):
        r = rng.random()
        if r < 0.2:
            ws[i] = ws[i].capitalize()
        elif r < 0.3:
            ws[i] = ws[i][:-1] + ws[i][-1].upper()
    return " ".join(ws)


add(
    "r3_phrase_inner_capital",
    "words",
    "1 when a word other than the first starts with a capital letter.",
    f_len(3, 6),
    _m,
    lambda s: int(any(w[0].isupper() for w in s.split()[1:])),
)


def _m(rng, f):
    w = word(rng)
    r = rng.random()
    if r < 0.5:
        w += rng.choice(["ing", "ed", "s", "er", "ingly", "edge", "st", "ist"])
    return recase(rng, w)


def _l(w):
    w = w.lower()
    return (
        "progressive"
        if w.endswith("ing")
        else "past"
        if w.endswith("ed")
        else "plural"
        if w.endswith("s") and not w.endswith("ss")
        else "base"
    )


add(
    "r3_word_ending",
    "words",
    "By its ending, ignoring case: ing progressive, ed past, s (but not ss) plural, anything else base.",
    None,
    _m,
    _l,
    ("progressive", "past", "plural", "base"),
)

# ---- dates and codes


def _m(rng, f):
    y = rng.choice(
        [rng.randint(1600, 2400), rng.randint(1980, 2040), rng.randrange(1600, 2401, 100)]
    )
    return (dt.date(y, 1, 1) + dt.timedelta(days=rng.randint(0, 364))).isoformat()


def _l(s):
    y = int(s[:4])
    return yn(y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))


add(
    "r3_date_leap",
    "dates_codes",
    "yes when the ISO date lies in a leap year of the Gregorian calendar.",
    None,
    _m,
    _l,
    YN,
)


def _m(rng, f):
    n = f"{rng.randint(0, 9999):04d}"
    c = (
        sum(map(int, n))
        if rng.random() < 0.5
        else max(0, sum(map(int, n)) + rng.choice([-9, -2, -1, 1, 2, 9]))
    )
    return f"{rng.choice(['KIT', 'BOX', 'SET', 'TAP', 'LED'])}-{n}-{c:02d}-{rng.choice(['EU', 'US', 'UK'])}"


add(
    "r3_sku_checksum",
    "dates_codes",
    "valid when the two check digits equal the sum of the four digits before them (KIT-4821-15-EU), else invalid.",
    None,
    _m,
    lambda s: "valid" if sum(map(int, s[4:8])) == int(s[9:11]) else "invalid",
    ("valid", "invalid"),
)


def _m(rng, f):
    a = rand_date(rng, 2018, 2026)
    b = a + dt.timedelta(
        days=rng.choice([rng.randint(-20, 20), rng.randint(10, 60), rng.randint(0, 120)])
    )
    return f"{a.isoformat()} {b.isoformat()}"


def _l(s):
    a, b = map(dt.date.fromisoformat, s.split())
    d = (b - a).days
    return "ok" if d <= 14 else "late" if d <= 45 else "default"


add(
    "r3_due_paid",
    "dates_codes",
    "Days from the first date (due) to the second (paid): ok up to 14 (or early), late up to 45, else default.",
    None,
    _m,
    _l,
    ("ok", "late", "default"),
)


def _m(rng, f):
    return f"{rng.randint(1, 12):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d} {rng.choice(['AM', 'PM'])}"


def _l(s):
    h = int(s[:2]) % 12 + (12 if s.endswith("PM") else 0)
    return "night" if h >= 21 or h < 6 else "day"


add(
    "r3_time_night",
    "dates_codes",
    "night when the 12-hour clock time is from 9 PM up to just before 6 AM (12 AM is midnight), else day.",
    None,
    _m,
    _l,
    ("night", "day"),
)


def _m(rng, f):
    v = [rng.randint(0, 255) for _ in range(3)]
    if rng.random() < 0.4:
        b = rng.randint(30, 225)
        v = [max(0, min(255, b + rng.randint(-30, 30))) for _ in range(3)]
    return "#" + "".join(f"{x:02x}" for x in v)


def _l(s):
    v = [int(s[i : i + 2], 16) for i in (1, 3, 5)]
    if max(v) - min(v) < 40:
        return "gray"
    return ("red", "green", "blue")[v.index(max(v))]


add(
    "r3_hex_colour",
    "dates_codes",
    "Hex colour #rrggbb: gray when the largest and smallest parts differ by less than 40, otherwise the name of the "
    "largest part (red, green, blue; the earlier wins a tie).",
    None,
    _m,
    _l,
    ("gray", "red", "green", "blue"),
)

# ---- brackets


def _m(rng, f):
    return nested(rng, f, "([", rng.uniform(0.3, 0.6), "abcdefgh", rng.uniform(0.3, 0.6))


def _l(s):
    k = [d for c, d in depths(s) if c.isalpha()]
    return int(sum(d >= 2 for d in k) * 2 > len(k))


add(
    "r3_br_letters_deep",
    "brackets",
    "1 when more than half of the letters lie inside at least two nested brackets.",
    f_len(4, 10),
    _m,
    _l,
)


def _m(rng, n):
    def tree(k, d):
        parts = []
        while k > 0:
            if d < 4 and k > 1 and rng.random() < 0.45:
                j = rng.randint(1, k - 1)
                parts.append(tree(j, d + 1))
                k -= j
            else:
                parts.append(str(rng.randint(1, 30)))
                k -= 1
        return "(" + " ".join(parts) + ")"

    return tree(n, 1)


def _l(s):
    d = top = deep = 0
    for t in re.findall(r"[()]|\d+", s):
        if t == "(":
            d += 1
        elif t == ")":
            d -= 1
        elif d == 1:
            top += int(t)
        else:
            deep += int(t)
    return yn(top > deep)


add(
    "r3_br_top_sum",
    "brackets",
    "yes when the numbers directly in the outermost brackets sum to more than all the numbers nested deeper.",
    f_len(4, 9),
    _m,
    _l,
    YN,
)


def _l(s):
    ds = depths(s)
    m = max(d for _, d in ds)
    c = next(c for c, d in ds if d == m and c in PAIR)
    return {"(": "round", "[": "square", "{": "curly"}[c]


add(
    "r3_br_deepest_type",
    "brackets",
    "Type of the most deeply nested bracket pair (the first one when several are equally deep): round, square, curly.",
    f_len(4, 11),
    lambda rng, f: nested(rng, f, "([{", 0.5, "xyz", 0.2),
    _l,
    ("round", "square", "curly"),
)


def _l(s):
    st, worst = [0], 0
    for c in s:
        if c in PAIR:
            st[-1] += 1
            st.append(0)
        elif c in BACK:
            worst = max(worst, st.pop())
    return int(worst <= 2)


add(
    "r3_br_at_most_two_children",
    "brackets",
    "1 when no bracket pair has more than two pairs directly inside it (the top level does not count).",
    f_len(6, 14),
    lambda rng, f: nested(rng, f, "([", rng.uniform(0.35, 0.6), "ab", 0.15),
    _l,
)

# ---- graphs


def _m(rng, f):
    s = m_digraph(rng, f)
    if rng.random() < 0.4:
        rank = {v: i for i, v in enumerate(f[0])}
        s = show(list(dict.fromkeys(e if rank[e[0]] < rank[e[1]] else e[::-1] for e in edges(s))))
    return s


def _l(s):
    es = edges(s)
    while True:
        outs = {a for a, _ in es}
        rest = [(a, b) for a, b in es if b in outs]
        if len(rest) == len(es):
            return yn(bool(es))
        es = rest


add(
    "r3_gr_directed_cycle",
    "graphs",
    "yes when the directed graph (uXvY is an edge from X to Y) contains a directed cycle.",
    f_graph(6, 11, 0.8, 1.4),
    _m,
    _l,
    YN,
)


def _l(s):
    d = [len(n) for n in adjacency(edges(s)).values()]
    return int(d.count(1) > sum(k >= 3 for k in d))


add(
    "r3_gr_leaves_vs_hubs",
    "graphs",
    "1 when vertices on exactly one edge outnumber vertices on three or more edges.",
    f_graph(7, 12, 0.85, 1.25),
    m_graph,
    _l,
)


def _l(s):
    adj = adjacency(edges(s))
    a, b = min(adj), max(adj)
    dist, todo = {a: 0}, [a]
    for v in todo:
        for w in adj[v]:
            if w not in dist:
                dist[w] = dist[v] + 1
                todo.append(w)
    return "apart" if b not in dist else "near" if dist[b] <= 2 else "far"


add(
    "r3_gr_low_high_distance",
    "graphs",
    "Shortest path from the lowest-numbered to the highest-numbered listed vertex (undirected): near for 1-2 edges, "
    "far for more, apart when there is no path.",
    f_graph(7, 12, 0.65, 1.05),
    m_graph,
    _l,
    ("near", "far", "apart"),
)


def _m(rng, f):
    es = edges(m_digraph(rng, f))
    if rng.random() < 0.4 and len(es) > 2:
        i = rng.randrange(1, len(es))
        e = es[0][::-1]
        if e not in es:
            es[i] = e
    rng.shuffle(es)
    return show(es)


def _l(s):
    es = set(edges(s))
    return int(any((b, a) in es for a, b in es))


add(
    "r3_gr_mutual_pair",
    "graphs",
    "1 when two vertices point at each other (both uXvY and uYvX are listed).",
    f_graph(5, 10, 0.9, 1.6),
    _m,
    _l,
)

# ---- integer lists


def _m(rng, n):
    xs = [rng.randint(-30, 60) for _ in range(n)]
    if rng.random() < 0.75:
        up = rng.random() < 0.5
        for i in range(n - 1):
            if (xs[i] < xs[i + 1]) != up:
                xs[i], xs[i + 1] = xs[i + 1], xs[i]
            up = not up
        if rng.random() < 0.5:
            i = rng.randrange(n)
            xs[i] = rng.randint(-30, 60)
    return show_list(xs, True)


def _l(s):
    xs = ints(s)
    d = [b - a for a, b in zip(xs, xs[1:])]
    return yn(0 not in d and all((a > 0) != (b > 0) for a, b in zip(d, d[1:])))


add(
    "r3_list_zigzag",
    "integer_lists",
    "yes when the list goes up and down strictly in turns (every step changes direction, no equal neighbours).",
    f_len(4, 11),
    _m,
    _l,
    YN,
)


def _m(rng, n):
    top = rng.randint(20, 99)
    xs = [top] + [rng.randint(1, int(top * rng.choice([0.45, 0.6, 0.7]))) for _ in range(n - 1)]
    rng.shuffle(xs)
    return show_list(xs)


add(
    "r3_list_dominant",
    "integer_lists",
    "1 when the largest element is at least twice the second largest.",
    f_len(3, 9),
    _m,
    lambda s: int(sorted(ints(s))[-1] >= 2 * sorted(ints(s))[-2]),
)


def _l(s):
    best = t = 0
    for x in ints(s):
        t = max(0, t + x)
        best = max(best, t)
    return int(best > 40)


add(
    "r3_list_max_segment",
    "integer_lists",
    "1 when some stretch of neighbouring elements sums to more than 40.",
    f_len(4, 12),
    lambda rng, n: show_list([rng.randint(-25, 25) for _ in range(n)], True),
    _l,
)


def _l(s):
    xs = ints(s)
    n = len(xs)
    return yn(
        any(
            xs[i] + xs[j] == xs[k]
            for i in range(n)
            for j in range(i)
            for k in range(n)
            if k not in (i, j)
        )
    )


add(
    "r3_list_sum_of_two",
    "integer_lists",
    "yes when some element equals the sum of two other elements (at other positions).",
    f_len(4, 7),
    m_list(1, 40),
    _l,
    YN,
)


def _m(rng, n):
    hi = rng.choice([6, 9, 12, 20])
    return show_list([rng.randint(1, hi) for _ in range(n)])


def _l(s):
    k = max(Counter(ints(s)).values())
    return "none" if k == 1 else "pair" if k == 2 else "set"


add(
    "r3_list_best_match",
    "integer_lists",
    "Largest number of equal elements in the list: none when all differ, pair for two, set for three or more.",
    f_len(4, 7),
    _m,
    _l,
    ("none", "pair", "set"),
)

# ---- tables


def _m(rng, f):
    return {
        "length": rng.randint(20, 170),
        "width": rng.randint(10, 70),
        "height": rng.randint(5, 60),
        "weight": round(rng.uniform(0.5, 36), 1),
        "service": rng.choice(["air", "road", "sea"]),
    }


add(
    "r3_tab_parcel_oversize",
    "tables",
    "oversize when length + 2*(width + height) is over 280 or the weight is over 30, else standard.",
    None,
    _m,
    lambda r: (
        "oversize"
        if r["length"] + 2 * (r["width"] + r["height"]) > 280 or r["weight"] > 30
        else "standard"
    ),
    ("oversize", "standard"),
)


def _m(rng, f):
    city = rng.choice(["Paris", "Lyon", "Nice"])
    a = rng.randint(20, 160)
    return {
        "city": city,
        "area": a,
        "price": round(a * rng.uniform(2500, 12000), -3),
        "rooms": rng.randint(1, 6),
        "lift": rng.choice(["yes", "no"]),
    }


add(
    "r3_tab_overpriced",
    "tables",
    "1 when the price per unit of area is above the city's limit: 9000 in Paris, 5000 elsewhere.",
    None,
    _m,
    lambda r: int(r["price"] / r["area"] > (9000 if r["city"] == "Paris" else 5000)),
)


def _m(rng, f):
    b = rng.randint(35, 80)
    r = {"student": rng.choice(WORDS)}
    for k in ("test", "essay", "oral"):
        r[k] = maybe(rng, max(0, min(100, b + rng.randint(-35, 30))), 0.12)
    r["group"] = rng.choice("ABC")
    return r


def _l(r):
    v = [r[k] or 0 for k in ("test", "essay", "oral")]
    return "pass" if sum(v) >= 150 and min(v) >= 30 else "fail"


add(
    "r3_tab_exam",
    "tables",
    "pass when test, essay and oral average at least 50 and none of them is under 30 (a missing mark counts as 0), "
    "else fail.",
    None,
    _m,
    _l,
    ("pass", "fail"),
)


def _m(rng, f):
    return {
        "age": rng.choice([rng.randint(18, 26), rng.randint(18, 75)]),
        "accidents": rng.choice([0, 0, 1, 2, 3]),
        "car": rng.choice(["family", "sport", "van", "city"]),
        "km": rng.randrange(3000, 40000, 500),
        "city": rng.choice(["yes", "no"]),
    }


def _l(r):
    p = 2 * (r["age"] < 25) + r["accidents"] + 2 * (r["car"] == "sport") + (r["km"] > 20000)
    return "low" if p <= 1 else "mid" if p <= 3 else "high"


add(
    "r3_tab_insurance",
    "tables",
    "Points: 2 if age under 25, 1 per accident, 2 for a sport car, 1 if km over 20000. low for 0-1 points, mid for "
    "2-3, high for 4 or more.",
    None,
    _m,
    _l,
    ("low", "mid", "high"),
)

assert len(RULES) == 40
