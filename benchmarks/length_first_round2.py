"""Hidden rules for a program-learning benchmark, round 2: 40 rules with samplers and labels.
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
    "r2_bits_ones_parity",
    "bits",
    "1 when the number of ones is odd.",
    f_bits,
    m_bits,
    lambda s: s.count("1") % 2,
)


def _m(rng, n):
    return m_bits(rng, (n, 0.5, rng.uniform(-0.3, 0.3)))


def _l(s):
    k = sum(a != b for a, b in zip(s, s[1:]))
    return yn(2 * k > len(s) - 1)


add(
    "r2_bits_changes_often",
    "bits",
    "yes when neighbouring bits differ more often than they are equal.",
    f_len(10, 60),
    _m,
    _l,
    YN,
)


def _count(s, t):
    return sum(s.startswith(t, i) for i in range(len(s)))


add(
    "r2_bits_101_vs_010",
    "bits",
    "1 when '101' occurs more often than '010' (overlaps counted).",
    f_bits,
    m_bits,
    lambda s: int(_count(s, "101") > _count(s, "010")),
)


def _m(rng, f):
    n, _, st = f
    h = n // 2
    return m_bits(rng, (h, rng.uniform(0.3, 0.7), st)) + m_bits(
        rng, (n - h, rng.uniform(0.3, 0.7), st)
    )


def _l(s):
    h = len(s) // 2
    return int(s[:h].count("1") > s[-h:].count("1") and s[0] == "0")


add(
    "r2_bits_front_heavy_start0",
    "bits",
    "1 when the first half holds more ones than the second half (a middle bit is ignored) and the first bit is 0.",
    f_bits,
    _m,
    _l,
)


add(
    "r2_bits_ones_mod3",
    "bits",
    "Remainder of the number of ones on division by 3, named: 0 red, 1 green, 2 blue.",
    f_bits,
    m_bits,
    lambda s: ("red", "green", "blue")[s.count("1") % 3],
    ("red", "green", "blue"),
)

# ---- digits

add(
    "r2_digits_adjacent_equal",
    "digits",
    "1 when two neighbouring digits are equal.",
    f_digits(),
    m_digits,
    lambda s: int(any(a == b for a, b in zip(s, s[1:]))),
)

add(
    "r2_digits_check_sum10",
    "digits",
    "yes when the last digit equals the sum of all the other digits modulo 10 (a simple check digit).",
    f_digits(5, 12),
    m_digits,
    lambda s: yn(sum(map(int, s[:-1])) % 10 == int(s[-1])),
    YN,
)


def _l(s):
    up = sum(a < b for a, b in zip(s, s[1:]))
    down = sum(a > b for a, b in zip(s, s[1:]))
    return int(up > down)


add(
    "r2_digits_more_ascents",
    "digits",
    "1 when the steps up (next digit larger) outnumber the steps down.",
    f_digits(),
    m_digits,
    _l,
)


def _m(rng, n):
    pool = "0123456789" + rng.choice(["", "", "0123" * 3, "7689" * 3, "45" * 6, "3456" * 3])
    return "".join(rng.choice(pool) for _ in range(n))


def _l(s):
    m = sorted(s)[len(s) // 2]
    return "low" if m <= "3" else "mid" if m <= "5" else "high"


add(
    "r2_digits_median_band",
    "digits",
    "Band of the median digit (odd length): low for 0-3, mid for 4-5, high for 6-9.",
    lambda rng: 2 * rng.randint(3, 6) + 1,
    _m,
    _l,
    ("low", "mid", "high"),
)

# ---- numbers


def _l(s):
    r = int(s) % 7
    return "low" if r <= 1 else "mid" if r <= 4 else "high"


add(
    "r2_num_mod7_band",
    "numbers",
    "Remainder (0 to 6, never negative) on division by 7: low for 0-1, mid for 2-4, high for 5-6.",
    None,
    lambda rng, f: str(log_int(rng, 10, 200000)),
    _l,
    ("low", "mid", "high"),
)

add(
    "r2_num_outside_band",
    "numbers",
    "1 when the number is below -500 or above 3000.",
    None,
    lambda rng, f: str(log_int(rng, 30, 90000)),
    lambda s: int(int(s) < -500 or int(s) > 3000),
)

add(
    "r2_num_evil",
    "numbers",
    "yes when the binary form of the number has an even number of ones.",
    None,
    lambda rng, f: str(log_int(rng, 20, 500000, False)),
    lambda s: yn(bin(int(s)).count("1") % 2 == 0),
    YN,
)

add(
    "r2_num_harshad",
    "numbers",
    "1 when the number is divisible by the sum of its own digits.",
    None,
    lambda rng, f: str(log_int(rng, 50, 500000, False)),
    lambda s: int(int(s) % sum(map(int, s)) == 0),
)

# ---- words

add(
    "r2_word_ends_vowel",
    "words",
    "1 when the word ends in a vowel, y counted as a vowel (any case).",
    None,
    m_case_word,
    lambda w: int(w[-1].lower() in "aeiouy"),
)

add(
    "r2_word_adjacent_vowels",
    "words",
    "yes when two vowels (a, e, i, o, u) stand next to each other.",
    None,
    m_word,
    lambda w: yn(re.search("[aeiou]{2}", w) is not None),
    YN,
)


def _m(rng, n):
    return " ".join(
        recase(rng, short_word(rng)) if rng.random() < 0.3 else short_word(rng) for _ in range(n)
    )


def _l(s):
    h = [w[0] for w in s.lower().split()]
    return int(len(set(h)) < len(h))


add(
    "r2_phrase_alliteration",
    "words",
    "1 when at least two words of the phrase start with the same letter, ignoring case.",
    f_len(3, 6),
    _m,
    _l,
)

add(
    "r2_word_letter_sum_even",
    "words",
    "1 when the letter values (a=1, b=2, ... z=26) sum to an even number.",
    None,
    m_word,
    lambda w: int(sum(ord(c) - 96 for c in w) % 2 == 0),
)


def _f(rng):
    return rng.choice([5, 6, 7, 7, 8, 8, 9, 10, 11])


def _m(rng, n):
    while True:
        w = word(rng)
        if abs(len(w) - n) <= 1:
            return w


def _l(w):
    k = len(set(w) & set("aeiou"))
    return "few" if k <= 1 else "some" if k == 2 else "many"


add(
    "r2_word_distinct_vowels",
    "words",
    "Number of different vowels used: few (0 or 1), some (2) or many (3 or more).",
    _f,
    _m,
    _l,
    ("few", "some", "many"),
    tries=40,
)

# ---- dates and codes

add(
    "r2_date_quarter",
    "dates_codes",
    "Calendar quarter (Q1 to Q4) of a date written DD/MM/YYYY.",
    None,
    lambda rng, f: rand_date(rng, 1990, 2030).strftime("%d/%m/%Y"),
    lambda s: "Q" + str((int(s[3:5]) + 2) // 3),
    ("Q1", "Q2", "Q3", "Q4"),
)


def _m(rng, f):
    pool = UPPER if rng.random() < 0.6 else letters(rng, 5)
    return f"{letters(rng, 3, pool)} {rng.randint(0, 999):03d}"


add(
    "r2_plate_repeat",
    "dates_codes",
    "1 when the plate (like ABC 123) repeats a letter or repeats a digit.",
    None,
    _m,
    lambda s: int(len(set(s[:3])) < 3 or len(set(s[4:])) < 3),
)


def _m(rng, f):
    return "-".join(
        f"{rng.randint(0, 23):02d}:{rng.choice([0, 5, 10, 15, 20, 30, 35, 40, 45, 50]):02d}"
        for _ in "ab"
    )


def _l(s):
    a, b = (int(t[:2]) * 60 + int(t[3:]) for t in s.split("-"))
    return yn((b - a) % 1440 > 480)


add(
    "r2_shift_over_8h",
    "dates_codes",
    "yes when the shift HH:MM-HH:MM lasts more than 8 hours (an end before the start means the next day).",
    None,
    _m,
    _l,
    YN,
)


def _m(rng, f):
    a = [rng.randint(0, 4), rng.randint(0, 14), rng.randint(0, 30)]
    b = list(a)
    i = rng.choice([0, 1, 1, 2, 2])
    for j in range(i, 3):
        if rng.random() < 0.85:
            b[j] = rng.randint(0, (4, 14, 30)[j])
    return ".".join(map(str, a)) + " -> " + ".".join(map(str, b))


def _l(s):
    a, b = (tuple(map(int, t.split("."))) for t in s.split(" -> "))
    return "upgrade" if b > a else "not"


add(
    "r2_version_upgrade",
    "dates_codes",
    "upgrade when the version after the arrow is higher than the one before it, part by part as numbers; else not.",
    None,
    _m,
    _l,
    ("upgrade", "not"),
)


def _m(rng, f):
    a, b = rng.choice(
        [
            (10, None),
            (192, 168),
            (172, 20),
            (172, None),
            (192, None),
            (None, 168),
            (None, None),
            (11, 10),
        ]
    )
    a = rng.randint(1, 223) if a is None else a
    b = rng.randint(0, 255) if b is None else b
    if a == 172 and rng.random() < 0.6:
        b = rng.randint(10, 40)
    return f"{a}.{b}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def _l(s):
    a, b = map(int, s.split(".")[:2])
    return (
        "private" if a == 10 or (a, b) == (192, 168) or (a == 172 and 16 <= b <= 31) else "public"
    )


add(
    "r2_ip_private",
    "dates_codes",
    "private when the IPv4 address is in 10.x, 192.168.x or 172.16-31.x, otherwise public.",
    None,
    _m,
    _l,
    ("private", "public"),
)

# ---- brackets


def _m(rng, f):
    return nested(rng, f, "([{", 0.5, "abcdefxyz", rng.uniform(0.2, 0.6))


add(
    "r2_br_empty_pair",
    "brackets",
    "1 when an empty pair (), [] or {} occurs anywhere.",
    f_len(3, 9),
    _m,
    lambda s: int(any(p in s for p in ("()", "[]", "{}"))),
)


def _l(s):
    st = []
    for c in s:
        if c in PAIR:
            if c == "[" and "(" in st:
                return "yes"
            st.append(c)
        elif c in BACK:
            st.pop()
    return "no"


add(
    "r2_br_square_in_round",
    "brackets",
    "yes when some square bracket pair lies inside a round bracket pair, at any depth.",
    f_len(4, 10),
    lambda rng, f: nested(rng, f, "([{", rng.uniform(0.25, 0.55), "abc", 0.2),
    _l,
    YN,
)


def _m(rng, n):
    s = list(nested(rng, n, "(", 0.5, "abcxyz", 0.3))
    if rng.random() < 0.7:
        for _ in range(rng.choice([1, 1, 2])):
            i = rng.choice([k for k, c in enumerate(s) if c in "()"])
            r = rng.random()
            if r < 0.4:
                s[i] = ")" if s[i] == "(" else "("
            else:
                j = rng.randrange(len(s))
                s[i], s[j] = s[j], s[i]
    return "".join(s)


def _l(s):
    d = 0
    for c in s:
        d += (c == "(") - (c == ")")
        if d < 0:
            return "early_close"
    return "unclosed" if d else "ok"


add(
    "r2_br_fault",
    "brackets",
    "Reading left to right: early_close if a ) comes with nothing open, else unclosed if a ( stays open, else ok.",
    f_len(4, 12),
    _m,
    _l,
    ("ok", "early_close", "unclosed"),
)

add(
    "r2_br_top_groups",
    "brackets",
    "1 when there are more than 3 top-level groups (bracket pairs not inside any other).",
    f_len(5, 12),
    lambda rng, f: nested(rng, f, "([", rng.uniform(0.2, 0.6), "abcxyz", 0.25),
    lambda s: int(sum(c in PAIR and d == 1 for c, d in depths(s)) > 3),
)

# ---- graphs


def _m(rng, f):
    if rng.random() < 0.5:
        return m_graph(rng, f)
    lab, m = f
    k = rng.randint(2, len(lab) - 2)
    a, b = lab[:k], lab[k:]
    es = [rng.choice([(x, y), (y, x)]) for x in a for y in b]
    rng.shuffle(es)
    return show(es[:m])


def _l(s):
    adj, col = adjacency(edges(s)), {}
    for r in adj:
        if r in col:
            continue
        col[r], todo = 0, [r]
        while todo:
            v = todo.pop()
            for w in adj[v]:
                if w not in col:
                    col[w] = 1 - col[v]
                    todo.append(w)
                elif col[w] == col[v]:
                    return "no"
    return "yes"


add(
    "r2_gr_bipartite",
    "graphs",
    "yes when the vertices can be coloured with two colours so that every edge joins different colours.",
    f_graph(6, 11, 0.7, 1.1),
    _m,
    _l,
    YN,
)


def _l(s):
    es = edges(s)
    return int(len({a for a, _ in es} - {b for _, b in es}) >= 2)


add(
    "r2_gr_two_sources",
    "graphs",
    "1 when at least two vertices have outgoing edges and no incoming ones (uXvY is an edge from X to Y).",
    f_graph(6, 11, 0.8, 1.5),
    m_digraph,
    _l,
)


def _l(s):
    es = edges(s)
    adj = adjacency(es)
    return int(any(adj[a] & adj[b] for a, b in es))


add(
    "r2_gr_triangle",
    "graphs",
    "1 when three vertices are all joined to each other (a triangle).",
    f_graph(6, 11, 0.9, 1.5),
    m_graph,
    _l,
)


def _m(rng, f):
    lab, m = f
    if rng.random() < 0.4:
        return m_graph(rng, f)
    for _ in range(30):
        walk, seen = [rng.choice(lab)], set()
        while len(seen) < m:
            v = walk[-1]
            opts = [w for w in lab if w != v and (min(v, w), max(v, w)) not in seen]
            if not opts:
                break
            w = rng.choice(opts)
            if len(seen) == m - 1 and walk[0] in opts and rng.random() < 0.8:
                w = walk[0]
            seen.add((min(v, w), max(v, w)))
            walk.append(w)
        if len(seen) == m:
            break
    es = [rng.choice([(a, b), (b, a)]) for a, b in zip(walk, walk[1:])]
    rng.shuffle(es)
    return show(es)


def _l(s):
    k = sum(len(n) % 2 for n in adjacency(edges(s)).values())
    return "circuit" if k == 0 else "trail" if k == 2 else "none"


add(
    "r2_gr_odd_degrees",
    "graphs",
    "By the number of vertices of odd degree: circuit when 0, trail when 2, none when 4 or more.",
    f_graph(5, 9, 0.8, 1.5),
    _m,
    _l,
    ("circuit", "trail", "none"),
)

# ---- integer lists


add(
    "r2_list_duplicates",
    "integer_lists",
    "1 when some value occurs more than once.",
    f_len(4, 10),
    lambda rng, n: show_list([rng.randint(0, n * rng.choice([2, 4, 6])) for _ in range(n)]),
    lambda s: int(len(set(ints(s))) < len(ints(s))),
)


def _l(s):
    xs = ints(s)
    best = k = 1
    for a, b in zip(xs, xs[1:]):
        k = k + 1 if b > a else 1
        best = max(best, k)
    return yn(best >= 4)


add(
    "r2_list_rising_run4",
    "integer_lists",
    "yes when the list holds four or more neighbouring elements in strictly rising order.",
    f_len(6, 14),
    m_list(-30, 60, True),
    _l,
    YN,
)


def _l(s):
    t = 0
    for x in ints(s):
        t += x
        if t < 0:
            return "overdrawn"
    return "fine"


add(
    "r2_list_overdrawn",
    "integer_lists",
    "overdrawn when the running total (starting at 0) falls below zero at some point, else fine.",
    f_len(3, 10),
    lambda rng, n: show_list([rng.randint(-40, 50) for _ in range(n)]),
    _l,
    ("overdrawn", "fine"),
)


def _l(s):
    xs = ints(s)
    k = sum(a < b > c for a, b, c in zip(xs, xs[1:], xs[2:]))
    return "smooth" if k <= 1 else "bumpy" if k == 2 else "rough"


add(
    "r2_list_peaks",
    "integer_lists",
    "Number of inner peaks (elements larger than both neighbours): smooth for 0-1, bumpy for 2, rough for 3 or more.",
    f_len(7, 12),
    m_list(0, 50, True),
    _l,
    ("smooth", "bumpy", "rough"),
)


def _l(s):
    xs = ints(s)
    return int((max(xs) - min(xs)) % 2 == 0 and xs[0] < xs[-1])


add(
    "r2_list_even_range_rising_ends",
    "integer_lists",
    "1 when the range (largest minus smallest) is even and the first element is less than the last.",
    f_len(3, 10),
    m_list(-40, 80),
    _l,
)

# ---- tables


def _m(rng, f):
    h = round(rng.uniform(1.5, 2.0), 2)
    return {
        "name": rng.choice(WORDS),
        "height": h,
        "weight": round(rng.choice([16, 22, 29]) * h * h + rng.uniform(-15, 15), 1),
        "age": rng.randint(18, 80),
    }


def _l(r):
    b = r["weight"] / r["height"] ** 2
    return "low" if b < 18.5 else "mid" if b < 25 else "high"


add(
    "r2_tab_bmi",
    "tables",
    "Weight over height squared: low under 18.5, mid under 25, otherwise high.",
    None,
    _m,
    _l,
    ("low", "mid", "high"),
)


def _m(rng, f):
    avg = rng.randint(10, 200)
    return {
        "amount": round(avg * rng.uniform(0.5, 8), 2),
        "average": avg,
        "home": rng.choice(["US", "DE", "FR"]),
        "country": rng.choice(["US", "DE", "FR"]),
        "hour": rng.randint(0, 23),
        "card": rng.choice(["debit", "credit"]),
    }


add(
    "r2_tab_fraud",
    "tables",
    "1 when the amount is over 3 times the average and either the country is not the home country or the hour is "
    "before 6.",
    None,
    _m,
    lambda r: int(r["amount"] > 3 * r["average"] and (r["country"] != r["home"] or r["hour"] < 6)),
)


def _m(rng, f):
    q = rng.randrange(40, 120, 5)
    return {
        "dept": rng.choice(["sales", "sales", "ops", "it", "hr"]),
        "sales": rng.randint(20, 140),
        "quota": q,
        "rating": rng.randint(1, 5),
        "tenure": rng.randint(0, 12),
        "remote": rng.choice(["yes", "no"]),
    }


add(
    "r2_tab_bonus",
    "tables",
    "yes when: in sales, the sales reach the quota; in other departments, the rating is at least 4.",
    None,
    _m,
    lambda r: yn(r["sales"] >= r["quota"] if r["dept"] == "sales" else r["rating"] >= 4),
    YN,
)


def _m(rng, f):
    base = rng.randint(10, 40)
    r = {"id": f"S{rng.randint(10, 99)}"}
    for k in ("t1", "t2", "t3", "t4"):
        r[k] = maybe(rng, round(base + rng.uniform(-9, 9), 1), 0.2)
    r["battery"] = rng.randint(5, 100)
    return r


def _l(r):
    xs = [r[k] for k in ("t1", "t2", "t3", "t4") if r[k] is not None]
    return "alert" if xs and max(xs) - min(xs) > 10 else "ok"


add(
    "r2_tab_sensor_spread",
    "tables",
    "alert when the readings t1..t4 that are present differ by more than 10 (largest minus smallest), else ok.",
    None,
    _m,
    _l,
    ("alert", "ok"),
)

assert len(RULES) == 40
