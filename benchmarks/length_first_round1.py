"""Hidden rules for a program-learning benchmark, round 1: 40 rules with samplers and labels.
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


def _m(rng, n):
    return m_bits(rng, (n, rng.uniform(0.35, 0.65), 0.0))


add(
    "r1_bits_majority",
    "bits",
    "1 when the string has more ones than zeros.",
    f_len(10, 60),
    _m,
    lambda s: int(s.count("1") > s.count("0")),
)


def _l(s):
    best = {"0": 0, "1": 0}
    for c, k in runs(s):
        best[c] = max(best[c], k)
    return int(best["1"] > best["0"])


add(
    "r1_bits_longest_run",
    "bits",
    "1 when the longest run of ones is longer than the longest run of zeros.",
    f_bits,
    m_bits,
    _l,
)

add(
    "r1_bits_div3",
    "bits",
    "1 when the string, read as a binary number, is divisible by 3.",
    f_bits,
    m_bits,
    lambda s: int(int(s, 2) % 3 == 0),
)

add(
    "r1_bits_ends_and_parity",
    "bits",
    "yes when the first bit equals the last bit and the number of ones is even.",
    f_bits,
    m_bits,
    lambda s: yn(s[0] == s[-1] and s.count("1") % 2 == 0),
    YN,
)


def _f(rng):
    n = rng.randint(12, 60)
    return n, rng.uniform(0.1, 0.3)


def _m(rng, f):
    n, p = f
    p = rng.choice([p, p, 0.45, 0.6])
    out, skip = [], rng.choice([0, 0, n // 2, n // 2, n])
    for i in range(n):
        b = "1" if rng.random() < p else "0"
        if out and out[-1] == "1" and b == "1" and i <= skip:
            b = "0"
        out.append(b)
    return "".join(out)


def _l(s):
    i = s.find("11")
    return "none" if i < 0 else "early" if i < len(s) / 2 else "late"


add(
    "r1_bits_first_11",
    "bits",
    "Where the first '11' starts: early (first half), late (second half), or none.",
    _f,
    _m,
    _l,
    ("early", "late", "none"),
)

# ---- digits

add(
    "r1_digits_sum_even",
    "digits",
    "1 when the sum of the digits is even.",
    f_digits(),
    m_digits,
    lambda s: int(sum(map(int, s)) % 2 == 0),
)


def _l(s):
    t = 0
    for i, c in enumerate(reversed(s)):
        v = int(c)
        if i % 2:
            v = v * 2 - 9 if v > 4 else v * 2
        t += v
    return yn(t % 10 == 0)


add(
    "r1_digits_luhn",
    "digits",
    "yes when the digits pass the Luhn check (as card numbers do).",
    f_digits(8, 16),
    m_digits,
    _l,
    YN,
)

add(
    "r1_digits_triple",
    "digits",
    "1 when some digit occurs at least three times in the string.",
    f_digits(6, 12),
    m_digits,
    lambda s: int(max(Counter(s).values()) >= 3),
)


def _l(s):
    d = sum(map(int, s[0::2])) - sum(map(int, s[1::2]))
    return "odd" if d > 3 else "even" if d < -3 else "level"


add(
    "r1_digits_odd_even_places",
    "digits",
    "Which places are heavier: odd when the digits in places 1,3,5.. sum to over 3 more than those in "
    "places 2,4,6.., even when over 3 less, otherwise level.",
    lambda rng: 2 * rng.randint(3, 7),
    m_digits,
    _l,
    ("odd", "even", "level"),
)

# ---- numbers


def _l(s):
    n = int(s)
    return "fizzbuzz" if n % 15 == 0 else "fizz" if n % 3 == 0 else "buzz" if n % 5 == 0 else "none"


add(
    "r1_num_fizzbuzz",
    "numbers",
    "FizzBuzz: divisible by 3 fizz, by 5 buzz, by both fizzbuzz, else none.",
    None,
    lambda rng, f: str(log_int(rng, 10, 200000)),
    _l,
    ("fizz", "buzz", "fizzbuzz", "none"),
)

add(
    "r1_num_magnitude",
    "numbers",
    "1 when the absolute value lies between 1000 and 20000 inclusive.",
    None,
    lambda rng, f: str(log_int(rng, 20, 900000)),
    lambda s: int(1000 <= abs(int(s)) <= 20000),
)


def _m(rng, f):
    while True:
        n = rng.randint(10, f)
        if rng.random() < 0.25 or (n % 2 and n % 3 and n % 5):
            return str(n)


def _l(s):
    n = int(s)
    return yn(n > 1 and all(n % d for d in range(2, math.isqrt(n) + 1)))


add(
    "r1_num_prime",
    "numbers",
    "yes when the number is prime.",
    lambda rng: rng.choice([5000, 30000, 90000]),
    _m,
    _l,
    YN,
)

add(
    "r1_num_sign_parity",
    "numbers",
    "1 when the number is negative and even, or positive and odd.",
    None,
    lambda rng, f: str(log_int(rng, 5, 99999)),
    lambda s: int((int(s) < 0) == (int(s) % 2 == 0)),
)

# ---- words

add(
    "r1_word_vowel_start",
    "words",
    "1 when the word starts with a vowel (any case).",
    None,
    m_case_word,
    lambda w: int(w[0].lower() in "aeiou"),
)

add(
    "r1_word_even_vowels",
    "words",
    "1 when the number of vowels (a, e, i, o, u) is even.",
    None,
    m_word,
    lambda w: int(vowels(w) % 2 == 0),
)


def _m(rng, long):
    while True:
        w = word(rng)
        if rng.random() < 0.35:
            i = rng.randrange(len(w))
            w = w[:i] + w[i] + w[i:]
        if (len(w) >= 7) == long:
            return w


add(
    "r1_word_double_and_long",
    "words",
    "yes when the word has a doubled letter (two equal letters in a row) and at least 7 letters.",
    lambda rng: rng.random() < 0.75,
    _m,
    lambda w: yn(re.search(r"(.)\1", w) is not None and len(w) >= 7),
    YN,
)


def _m(rng, n):
    return " ".join(
        recase(rng, short_word(rng)) if rng.random() < 0.3 else short_word(rng) for _ in range(n)
    )


add(
    "r1_phrase_first_before_last",
    "words",
    "1 when the first word comes before the last word in the dictionary order, ignoring case.",
    f_len(2, 5),
    _m,
    lambda s: int(s.lower().split()[0] < s.lower().split()[-1]),
)


def _m(rng, f):
    w, r = word(rng), rng.random()
    if r < 0.25:
        return w
    if r < 0.5:
        return w.capitalize()
    if r < 0.75:
        return w.upper()
    out = list(w)
    for i in rng.sample(range(len(w)), rng.randint(1, len(w) - 1)):
        out[i] = out[i].upper()
    return "".join(out)


def _l(w):
    return (
        "lower"
        if w == w.lower()
        else "upper"
        if w == w.upper()
        else "title"
        if w[0].isupper() and w[1:] == w[1:].lower()
        else "mixed"
    )


add(
    "r1_word_case_style",
    "words",
    "Case style of the word: lower, upper, title (only the first letter is a capital) or mixed.",
    None,
    _m,
    _l,
    ("lower", "upper", "title", "mixed"),
)

# ---- dates and codes

add(
    "r1_date_weekend",
    "dates_codes",
    "yes when the ISO date falls on a Saturday or Sunday.",
    None,
    lambda rng, f: rand_date(rng, 2015, 2026).isoformat(),
    lambda s: yn(dt.date.fromisoformat(s).weekday() >= 5),
    YN,
)

add(
    "r1_code_region_odd",
    "dates_codes",
    "1 when the code's first letter is in A-M and its middle number is odd (codes like AB-1234-X).",
    None,
    lambda rng, f: f"{letters(rng, 2)}-{rng.randint(1000, 9999)}-{letters(rng, 1)}",
    lambda s: int(s[0] <= "M" and int(s[3:7]) % 2 == 1),
)


def _m(rng, f):
    h = rng.choice([rng.randint(0, 23), rng.randint(7, 19)])
    return f"{h:02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"


add(
    "r1_time_office_hours",
    "dates_codes",
    "open when the 24-hour time HH:MM:SS is from 09:00:00 up to and including 17:30:00, else closed.",
    None,
    _m,
    lambda s: "open" if "09:00:00" <= s <= "17:30:00" else "closed",
    ("open", "closed"),
)


def _m(rng, f):
    tag = rng.choice(["", "", "", "-beta", "-rc.1", "-rc.2", "-alpha.3", "-dev"])
    return f"v{rng.choice([0, 0, 1, 1, 2, 3, 4])}.{rng.randint(0, 30)}.{rng.randint(0, 40)}{tag}"


add(
    "r1_version_stable",
    "dates_codes",
    "stable when the version has a major number of at least 1 and no pre-release tag, else unstable.",
    None,
    _m,
    lambda s: "stable" if not s.startswith("v0.") and "-" not in s else "unstable",
    ("stable", "unstable"),
)


def _m(rng, f):
    loc = (
        rng.choice(WORDS)
        + rng.choice([".", "_", "", "-"])
        + rng.choice([rng.choice(WORDS), str(rng.randint(1, 99)), "edu", "acme"])
    )
    w = rng.choice(WORDS)
    dom = rng.choice(
        [
            "acme.com",
            "mail.acme.com",
            f"{w}.acme.com",
            f"{w}.edu",
            f"cs.{w}.edu",
            f"{w}.ac.uk",
            f"{w}.com",
            f"acme.{w}.com",
            f"{w}acme.com",
            "acme.org",
            f"edu.{w}.net",
            f"{w}.co.uk",
            f"{w}.org",
        ]
    )
    return f"{loc}@{dom}"


def _l(s):
    d = s.split("@")[1]
    if d == "acme.com" or d.endswith(".acme.com"):
        return "internal"
    return "academic" if d.endswith((".edu", ".ac.uk")) else "external"


add(
    "r1_email_class",
    "dates_codes",
    "internal when the domain is acme.com or a subdomain of it, academic when it ends in .edu or .ac.uk, "
    "otherwise external.",
    None,
    _m,
    _l,
    ("internal", "academic", "external"),
)

# ---- brackets


def _m(rng, f):
    s = list(nested(rng, f))
    if rng.random() < 0.55:
        for _ in range(rng.choice([1, 1, 2])):
            i = rng.randrange(len(s))
            if rng.random() < 0.5:
                s[i] = rng.choice("()[]{}")
            else:
                j = rng.randrange(len(s))
                s[i], s[j] = s[j], s[i]
    return "".join(s)


def _l(s):
    st = []
    for c in s:
        if c in PAIR:
            st.append(c)
        elif c in BACK and (not st or st.pop() != BACK[c]):
            return "no"
    return yn(not st)


add(
    "r1_br_balanced",
    "brackets",
    "yes when the round, square and curly brackets are correctly matched and nested.",
    f_len(4, 14),
    _m,
    _l,
    YN,
)

add(
    "r1_br_depth4",
    "brackets",
    "1 when the brackets are nested at least 4 deep somewhere.",
    f_len(6, 14),
    lambda rng, f: nested(rng, f, "([", rng.uniform(0.3, 0.65), "abcxyz"),
    lambda s: int(max(d for _, d in depths(s)) >= 4),
)

add(
    "r1_br_value_even",
    "brackets",
    "1 when the value of the arithmetic expression (+, -, *) is even.",
    f_len(2, 3),
    lambda rng, f: expr(rng, f),
    lambda s: int(eval(s, {"__builtins__": {}}) % 2 == 0),
)


def _m(rng, f):
    pool = "([{" + "".join(rng.choice("([{") for _ in range(2))
    return nested(rng, f, pool, 0.5, "abcdefgh", 0.25)


def _l(s):
    k = {"round": s.count("("), "square": s.count("["), "curly": s.count("{")}
    top = [t for t in k if k[t] == max(k.values())]
    return top[0] if len(top) == 1 else "tie"


add(
    "r1_br_commonest",
    "brackets",
    "Which bracket type occurs most often: round, square or curly; tie when two or more share the lead.",
    f_len(5, 13),
    _m,
    _l,
    ("round", "square", "curly", "tie"),
)

# ---- graphs


def _l(s):
    es = edges(s)
    return yn(len(es) > len(adjacency(es)) - len(components(es)))


add(
    "r1_gr_cycle",
    "graphs",
    "yes when the undirected graph contains a cycle.",
    f_graph(7, 12, 0.55, 0.85),
    m_graph,
    _l,
    YN,
)

add(
    "r1_gr_degree4",
    "graphs",
    "1 when some vertex lies on four or more edges.",
    f_graph(7, 12, 0.8, 1.3),
    m_graph,
    lambda s: int(max(map(len, adjacency(edges(s)).values())) >= 4),
)


def _f(rng):
    lab, m = f_graph(7, 11, 0.6, 0.95)(rng)
    lab = [v for v in lab if v > 1] + [0, 1]
    rng.shuffle(lab)
    return lab, m


def _m(rng, f):
    for _ in range(20):
        s = m_graph(rng, f)
        if {0, 1} <= set(adjacency(edges(s))):
            break
    return s


def _l(s):
    return int(any({0, 1} <= c for c in components(edges(s))))


add(
    "r1_gr_connect01",
    "graphs",
    "1 when a path joins vertex 0 and vertex 1 in the undirected graph.",
    _f,
    _m,
    _l,
)


def _l(s):
    k = len(components(edges(s)))
    return "one" if k == 1 else "two" if k == 2 else "many"


add(
    "r1_gr_components",
    "graphs",
    "Number of connected components among the listed vertices: one, two, or many (three or more).",
    f_graph(8, 13, 0.6, 0.95),
    m_graph,
    _l,
    ("one", "two", "many"),
    tries=120,
)

# ---- integer lists


def _m(rng, n):
    xs = sorted(rng.randint(-20, 60) for _ in range(n))
    r = rng.random()
    if r < 0.2:
        i = rng.randrange(n - 1)
        xs[i], xs[i + 1] = xs[i + 1], xs[i]
    elif r < 0.4:
        xs[rng.randrange(n)] = rng.randint(-20, 60)
    elif r < 0.5:
        rng.shuffle(xs)
    return show_list(xs, True)


add(
    "r1_list_sorted",
    "integer_lists",
    "yes when the list is in non-decreasing order.",
    f_len(3, 10),
    _m,
    lambda s: yn(ints(s) == sorted(ints(s))),
    YN,
)

add(
    "r1_list_last_above_mean",
    "integer_lists",
    "1 when the last element is greater than the mean of the list.",
    f_len(3, 11),
    m_list(-50, 50),
    lambda s: int(ints(s)[-1] * len(ints(s)) > sum(ints(s))),
)


def _l(s):
    xs = ints(s)
    return int(any(xs[i] + xs[j] == 10 for i in range(len(xs)) for j in range(i)))


add(
    "r1_list_two_sum10",
    "integer_lists",
    "1 when two elements at different positions add up to 10.",
    f_len(4, 9),
    m_list(-5, 15),
    _l,
)


def _l(s):
    xs = ints(s)
    return ("start", "middle", "end")[xs.index(max(xs)) * 3 // len(xs)]


add(
    "r1_list_argmax_third",
    "integer_lists",
    "In which third of the list the (first) largest element stands: start, middle or end.",
    lambda rng: 3 * rng.randint(2, 5),
    m_list(0, 99, True),
    _l,
    ("start", "middle", "end"),
)


def _l(s):
    xs = ints(s)
    return yn(sum(x % 2 == 0 for x in xs) * 2 > len(xs) and max(xs) % 2 == 1)


add(
    "r1_list_mostly_even_max_odd",
    "integer_lists",
    "yes when more than half of the elements are even and the largest element is odd.",
    f_len(3, 10),
    m_list(1, 80),
    _l,
    YN,
)

# ---- tables


def _m(rng, f):
    inc = rng.randrange(1200, 8000, 50)
    return {
        "income": inc,
        "loan": int(inc * rng.uniform(3, 18)) // 100 * 100,
        "defaults": rng.choice([0, 0, 0, 1, 2]),
        "job": rng.choice(["clerk", "nurse", "driver", "teacher"]),
        "years": rng.randint(0, 30),
    }


add(
    "r1_tab_loan",
    "tables",
    "approve when the loan is at most 10 times the income and there are no past defaults, else reject.",
    None,
    _m,
    lambda r: "approve" if r["loan"] <= 10 * r["income"] and r["defaults"] == 0 else "reject",
    ("approve", "reject"),
)


def _m(rng, f):
    sp = rng.randint(50, 1400)
    return {
        "spend": sp,
        "returns": rng.choice([0, rng.randint(0, sp // 2)]),
        "months": rng.randint(1, 40),
        "region": rng.choice(["north", "south", "east", "west"]),
    }


def _l(r):
    net = r["spend"] - r["returns"]
    if net >= 500 and r["months"] >= 12:
        return "gold"
    return "silver" if net >= 500 or r["months"] >= 24 else "basic"


add(
    "r1_tab_tier",
    "tables",
    "Net is spend minus returns. gold when net is at least 500 and months at least 12; silver when net is at least "
    "500 or months at least 24; else basic.",
    None,
    _m,
    _l,
    ("gold", "silver", "basic"),
)


def _m(rng, f):
    return {
        "total": round(rng.uniform(5, 120), 2),
        "country": rng.choice(["US", "CA", "MX", "DE", "FR"]),
        "member": rng.choice(["yes", "no", "no"]),
        "items": rng.randint(1, 9),
        "coupon": maybe(rng, rng.choice(["SAVE5", "SHIP", "VIP"]), 0.5),
    }


add(
    "r1_tab_free_shipping",
    "tables",
    "1 (free shipping) when the customer is a member, or the total is at least 50 and the country is US or CA.",
    None,
    _m,
    lambda r: int(r["member"] == "yes" or (r["total"] >= 50 and r["country"] in ("US", "CA"))),
)


def _m(rng, f):
    return {
        "age": rng.choice([rng.randint(12, 24), rng.randint(15, 80)]),
        "email": maybe(rng, rng.choice(WORDS) + "@" + rng.choice(WORDS) + ".com", 0.5),
        "phone": maybe(rng, "555" + str(rng.randint(1000, 9999)), 0.5),
        "score": maybe(rng, rng.randint(0, 100), 0.1),
        "source": rng.choice(["web", "shop", "friend"]),
    }


add(
    "r1_tab_contactable_adult",
    "tables",
    "yes when the age is at least 18 and an email or a phone number is present (not None).",
    None,
    _m,
    lambda r: yn(r["age"] >= 18 and (r["email"] is not None or r["phone"] is not None)),
    YN,
)

assert len(RULES) == 40
