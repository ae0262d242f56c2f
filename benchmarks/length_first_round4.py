"""Hidden rules for a program-learning benchmark, round 4: 40 rules with samplers and labels.
Invented independently of the learner and of earlier lists; standard library only."""

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


def add(name, kind, description, frame, make, label, classes=("yes", "no"), tries=120):
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


# ---------------------------------------------------------------- bit strings


def f_bits(rng):
    """length, density, chance to repeat the bit before"""
    return rng.randint(12, 48), rng.choice([0.5, 0.5, 0.4, 0.6]), rng.choice([0.0, 0.0, 0.3])


def mk_bits(rng, f):
    n, p, stick = f
    out = []
    for _ in range(n):
        if out and rng.random() < stick:
            out.append(out[-1])
        else:
            out.append("1" if rng.random() < p else "0")
    return "".join(out)


def longest(s, c):
    best = cur = 0
    for ch in s:
        cur = cur + 1 if ch == c else 0
        best = max(best, cur)
    return best


add(  # middling
    "ones_run_beats_zeros_run",
    "bits",
    "yes if the longest run of 1s is strictly longer than the longest run of 0s, otherwise no.",
    f_bits,
    mk_bits,
    lambda x: yn(longest(x, "1") > longest(x, "0")),
)
add(  # middling
    "ones_mod_three",
    "bits",
    "The number of 1s in the string modulo 3 (0, 1 or 2).",
    f_bits,
    mk_bits,
    lambda x: x.count("1") % 3,
    classes=(0, 1, 2),
)
add(  # simple
    "sync_word",
    "bits",
    "yes if the string contains the sync word 10110 anywhere, otherwise no.",
    f_bits,
    mk_bits,
    lambda x: yn("10110" in x),
)


def lab_halves(x):
    h = len(x) // 2
    a, b = x[:h].count("1"), x[len(x) - h :].count("1")
    return "left" if a > b else "right" if b > a else "even"


add(  # simple
    "heavier_half",
    "bits",
    "left if the first half holds more 1s than the second half, right if fewer, even if the same number (a middle bit of an odd-length string is ignored).",
    f_bits,
    mk_bits,
    lab_halves,
    classes=("left", "right", "even"),
)


def mk_triples(rng, f):
    n, noise = f
    out = []
    for _ in range(n):
        b = rng.randint(0, 1)
        t = [b] * 3
        if rng.random() < noise:
            t[rng.randrange(3)] ^= 1
        out += t
    return "".join(map(str, out))


def lab_triples(x):
    return sum(x[i : i + 3].count("1") >= 2 for i in range(0, len(x), 3)) % 2


add(  # hard
    "repetition_code_parity",
    "bits",
    "Cut the string into blocks of three, decode each block to its majority bit, and give the parity (0 or 1) of the number of blocks decoded to 1.",
    lambda rng: (rng.randint(4, 14), rng.choice([0.3, 0.5, 0.75])),
    mk_triples,
    lab_triples,
    classes=(0, 1),
)

# ---------------------------------------------------------------- digit strings


def mk_digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


add(  # simple
    "more_odd_digits",
    "digits",
    "yes if the string has more odd digits than even digits, otherwise no.",
    lambda rng: rng.randint(5, 24),
    mk_digits,
    lambda x: yn(sum(c in "13579" for c in x) > sum(c in "02468" for c in x)),
)


def mk_ean(rng, f):
    return mk_digits(rng, 13)


def lab_ean(x):
    return (
        "valid"
        if sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(x)) % 10 == 0
        else "invalid"
    )


add(  # hard
    "ean13_check",
    "digits",
    "valid if the 13-digit EAN barcode has a correct check digit (digits weighted 1,3,1,3,... from the left sum to a multiple of 10), otherwise invalid.",
    None,
    mk_ean,
    lab_ean,
    classes=("valid", "invalid"),
)
add(  # simple
    "doubled_digit",
    "digits",
    "yes if some digit is immediately followed by the same digit, otherwise no.",
    lambda rng: rng.randint(5, 18),
    mk_digits,
    lambda x: yn(any(a == b for a, b in zip(x, x[1:]))),
)


def mk_straight(rng, n):
    s = list(mk_digits(rng, n))
    if rng.random() < 0.5:
        i, d, size = rng.randrange(n - 2), rng.randrange(8), rng.choice([2, 3])
        for k in range(size):
            s[i + k] = str(d + k)
    return "".join(s)


add(  # middling
    "pin_straight",
    "digits",
    "yes if three neighbouring digits climb by exactly one each (such as 345; 890 does not count), otherwise no.",
    lambda rng: rng.randint(5, 18),
    mk_straight,
    lambda x: yn(
        any(
            int(x[i + 1]) - int(x[i]) == 1 and int(x[i + 2]) - int(x[i + 1]) == 1
            for i in range(len(x) - 2)
        )
    ),
)

# ---------------------------------------------------------------- plain numbers


def lab_bmi(x):
    v = float(x)
    return "under" if v < 18.5 else "normal" if v < 25 else "over"


add(  # simple
    "bmi_band",
    "number",
    "under if the number is below 18.5, normal if at least 18.5 and below 25, over if 25 or more.",
    lambda rng: rng.choice([1, 2, 2, 3, 3]),
    lambda rng, f: f"{rng.uniform(9, 42):.{f}f}",
    lab_bmi,
    classes=("under", "normal", "over"),
)


def lab_spf(x):
    n = int(x)
    return "2" if n % 2 == 0 else "3" if n % 3 == 0 else "5" if n % 5 == 0 else "larger"


def f_size(lo, hi):
    return lambda rng: rng.randint(lo, hi)


def mk_int(rng, k):
    return str(rng.randint(10 ** (k - 1), 10**k - 1))


add(  # middling
    "smallest_prime_factor",
    "number",
    "The smallest prime factor of the integer: 2, 3, 5, or larger when none of these divides it.",
    f_size(3, 7),
    mk_int,
    lab_spf,
    classes=("2", "3", "5", "larger"),
)


def mk_square(rng, hi):
    r = rng.randint(hi // 10, hi)
    if rng.random() < 0.5:
        return str(r * r)
    return str(max(2, r * r + rng.randint(-r, r)))


add(  # middling
    "perfect_square",
    "number",
    "yes if the integer is the square of an integer, otherwise no.",
    lambda rng: rng.choice([200, 1000, 5000, 9999, 9999]),
    mk_square,
    lambda x: yn(math.isqrt(int(x)) ** 2 == int(x)),
)


def distinct_primes(n):
    c, p = 0, 2
    while p * p <= n:
        if n % p == 0:
            c += 1
            while n % p == 0:
                n //= p
        p += 1
    return c + (n > 1)


add(  # hard
    "two_distinct_primes",
    "number",
    "yes if the integer has exactly two different prime factors (repeated factors count once), otherwise no.",
    f_size(3, 5),
    mk_int,
    lambda x: yn(distinct_primes(int(x)) == 2),
)

# ---------------------------------------------------------------- words and phrases

WORDS = (
    "apple anchor amber arrow animal autumn engine eagle early empty evening island iron ivory orange ocean olive "
    "umbrella uncle orchard architect elephant important adventure umpire editor open icy "
    "basket bottle bridge butter blue brave bicycle cabin candle castle cloud copper cat calendar carpenter dance desert "
    "dragon drum dog daughter discover farm feather fire forest fox furniture garden ghost glass green grape "
    "gardener hammer harbor hill honey horse hospital jacket jewel jungle jar kettle king kitten kitchen knowledge ladder lamp "
    "lemon lion library lightning market meadow mirror moon mountain mechanic needle night north nut notebook "
    "paper pepper pirate planet pond president question quick quiet rabbit river robot rose remember "
    "saddle silver snow spoon summer spider strawberry table tiger tower train tunnel telephone "
    "valley velvet village violin vegetable wagon water willow winter window wonderful yellow young yard zebra zipper"
).split()


def f_nwords(lo, hi):
    return lambda rng: rng.randint(lo, hi)


def mk_phrase(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n))


add(  # simple
    "last_word_vowel",
    "words",
    "yes if the last word of the phrase starts with a vowel (a, e, i, o, u), otherwise no.",
    f_nwords(2, 6),
    mk_phrase,
    lambda x: yn(x.split()[-1][0] in "aeiou"),
)
add(  # simple
    "has_long_word",
    "words",
    "yes if the phrase contains a word of eight or more letters, otherwise no.",
    f_nwords(3, 7),
    mk_phrase,
    lambda x: yn(any(len(w) >= 8 for w in x.split())),
)


def mk_sorted(rng, n):
    w = [rng.choice(WORDS) for _ in range(n)]
    r = rng.random()
    if r < 0.8:
        w.sort()
    if r > 0.45:
        i, j = rng.sample(range(n), 2)
        w[i], w[j] = w[j], w[i]
    return " ".join(w)


add(  # middling
    "alphabetical",
    "words",
    "yes if the words stand in alphabetical order (equal neighbours allowed), otherwise no.",
    f_nwords(3, 7),
    mk_sorted,
    lambda x: yn(x.split() == sorted(x.split())),
)
add(  # middling
    "alliteration",
    "words",
    "yes if two neighbouring words start with the same letter, otherwise no.",
    f_nwords(3, 7),
    mk_phrase,
    lambda x: yn(any(a[0] == b[0] for a, b in zip(x.split(), x.split()[1:]))),
)

POS, NEG, NEU = (
    ("good", "great", "lovely", "friendly"),
    ("bad", "awful", "rude", "dirty"),
    ("usual", "new"),
)
SUBJ = (
    "the food",
    "the staff",
    "the room",
    "our waiter",
    "the view",
    "the music",
    "my bed",
    "the price",
)


def mk_review(rng, n):
    out = []
    for s in rng.sample(SUBJ, n):
        adj = rng.choice(rng.choice((POS, POS, NEG, NEG, NEU)))
        out.append(f"{s} was {rng.choice(('', '', 'not ', 'very ', 'not '))}{adj}")
    return rng.choice((" and ", " but ", ", ")).join(out)


def lab_review(x):
    w = x.replace(",", "").split()
    s = 0
    for i, t in enumerate(w):
        v = (t in POS) - (t in NEG)
        s += -v if i and w[i - 1] == "not" else v
    return "positive" if s > 0 else "negative" if s < 0 else "neutral"


add(  # hard
    "review_sentiment_with_not",
    "words",
    "Score +1 for each of good, great, lovely, friendly and -1 for each of bad, awful, rude, dirty, with the sign flipped when the word right before is 'not'; positive, negative or neutral is the sign of the total.",
    f_nwords(1, 4),
    mk_review,
    lab_review,
    classes=("positive", "negative", "neutral"),
)

# ---------------------------------------------------------------- dates and codes


def mk_date(rng, f):
    return (dt.date(1950, 1, 1) + dt.timedelta(days=rng.randrange(36500))).isoformat()


add(  # simple
    "quarter",
    "codes",
    "The calendar quarter of the date YYYY-MM-DD: Q1 for January to March, Q2 for April to June, Q3 for July to September, Q4 for October to December.",
    None,
    mk_date,
    lambda x: f"Q{(int(x[5:7]) + 2) // 3}",
    classes=("Q1", "Q2", "Q3", "Q4"),
)


def mk_versions(rng, f):
    a = [rng.randint(0, 12) for _ in range(3)]
    b = list(a)
    for i in range(rng.randrange(3), 3):
        b[i] = rng.randint(0, 12)
    if a == b:
        b[2] += 1
    return f"{'.'.join(map(str, a))} -> {'.'.join(map(str, b))}"


def lab_versions(x):
    a, b = (s.split(".") for s in x.split(" -> "))
    return "major" if a[0] != b[0] else "minor" if a[1] != b[1] else "patch"


add(  # middling
    "version_change",
    "codes",
    "For a version change 'a.b.c -> d.e.f', the first part that differs: major, minor or patch.",
    None,
    mk_versions,
    lab_versions,
    classes=("major", "minor", "patch"),
)


def mk_shift(rng, f):
    s = rng.randrange(0, 1440, 5)
    e = (s + rng.randrange(60, 960, 5)) % 1440
    return f"{s // 60:02d}:{s % 60:02d}-{e // 60:02d}:{e % 60:02d}"


def lab_shift(x):
    a, b = (int(t[:2]) * 60 + int(t[3:]) for t in x.split("-"))
    return "long" if (b - a) % 1440 >= 480 else "short"


add(  # middling
    "long_shift",
    "codes",
    "long if the shift HH:MM-HH:MM lasts at least eight hours (an end earlier than the start is on the next day), otherwise short.",
    None,
    mk_shift,
    lab_shift,
    classes=("long", "short"),
)

FREE = ("gmail.com", "yahoo.com", "outlook.com", "hotmail.com")
FIRST = "anna ben carla david emma felix gina henry iris jack kate liam maria noah olga peter rosa sam tina victor".split()
LAST = "adams baker clark davis evans fisher green hall jones king lopez miller nash olsen price reed smith turner wood young".split()


def mk_email(rng, f):
    a, b = rng.choice(FIRST), rng.choice(LAST)
    user = rng.choice(
        (
            f"{a}.{b}",
            f"{a[0]}{b}",
            f"{a}_{b}",
            f"{a}{rng.randint(1, 99)}",
            f"{b}.{a[0]}{rng.randint(1, 99)}",
        )
    )
    if rng.random() < 0.5:
        return f"{user}@{rng.choice(FREE)}"
    return f"{user}@{rng.choice(WORDS)}.{rng.choice(('com', 'com', 'com', 'org', 'net', 'io'))}"


add(  # simple
    "free_mail",
    "codes",
    "free if the e-mail address is at gmail.com, yahoo.com, outlook.com or hotmail.com, otherwise work.",
    None,
    mk_email,
    lambda x: "free" if x.split("@")[1] in FREE else "work",
    classes=("free", "work"),
)
add(  # hard
    "weekend",
    "codes",
    "yes if the date YYYY-MM-DD falls on a Saturday or a Sunday, otherwise no.",
    None,
    mk_date,
    lambda x: yn(dt.date.fromisoformat(x).weekday() >= 5),
)

# ---------------------------------------------------------------- bracketed text


def balanced(rng, n):
    """A random balanced string of n pairs."""
    out, opened, depth = [], 0, 0
    up = rng.uniform(0.35, 0.65)
    while len(out) < 2 * n:
        if opened < n and (depth == 0 or rng.random() < up):
            out.append("(")
            opened += 1
            depth += 1
        else:
            out.append(")")
            depth -= 1
    return "".join(out)


def depths(x):
    d, out = 0, []
    for c in x:
        d += (c == "(") - (c == ")")
        out.append(d)
    return out


add(  # simple
    "deep_nesting",
    "brackets",
    "deep if the brackets are nested four or more levels deep somewhere, otherwise shallow.",
    f_size(7, 18),
    balanced,
    lambda x: "deep" if max(depths(x)) >= 4 else "shallow",
    classes=("deep", "shallow"),
)

PAIRS = {"(": ")", "[": "]", "{": "}"}


def mk_mixed(rng, n):
    out, stack = [], []
    for c in balanced(rng, n):
        if c == "(":
            o = rng.choice("([{")
            stack.append(PAIRS[o])
            out.append(o)
        else:
            out.append(stack.pop())
    if rng.random() < 0.5:
        for _ in range(rng.choice((1, 1, 2))):
            i = rng.randrange(len(out))
            if rng.random() < 0.4:
                out[i] = rng.choice("([{") if out[i] in PAIRS else rng.choice(")]}")
            else:
                j = rng.randrange(len(out))
                out[i], out[j] = out[j], out[i]
    return "".join(out)


def lab_mixed(x):
    st = []
    for c in x:
        if c in PAIRS:
            st.append(PAIRS[c])
        elif not st or st.pop() != c:
            return "broken"
    return "broken" if st else "ok"


add(  # middling
    "well_matched",
    "brackets",
    "ok if the round, square and curly brackets are properly matched and nested, otherwise broken.",
    f_size(4, 14),
    mk_mixed,
    lab_mixed,
    classes=("ok", "broken"),
)


def lab_deepest(x):
    d = depths(x)
    return "one" if d.count(max(d)) == 1 else "several"


add(  # hard
    "single_deepest",
    "brackets",
    "one if the greatest nesting depth is reached by exactly one bracket pair, several if by two or more pairs.",
    f_size(7, 18),
    balanced,
    lab_deepest,
    classes=("one", "several"),
)


def mk_bool(rng, depth):
    def go(d):
        if d == 0 or (d < depth and rng.random() < 0.35):
            return rng.choice("01")
        op = rng.choice("&&||!")
        k = 1 if op == "!" else rng.choice((2, 2, 3))
        return f"({op} {' '.join(go(d - 1) for _ in range(k))})"

    return go(depth)


def lab_bool(x):
    toks = re.findall(r"[()&|!01]", x)
    pos = 0

    def go():
        nonlocal pos
        t = toks[pos]
        pos += 1
        if t != "(":
            return t == "1"
        op = toks[pos]
        pos += 1
        args = []
        while toks[pos] != ")":
            args.append(go())
        pos += 1
        return all(args) if op == "&" else any(args) if op == "|" else not args[0]

    return yn(go())


add(  # hard
    "boolean_expression",
    "brackets",
    "yes if the bracketed prefix expression of & (all), | (any), ! (not) over 0 and 1 comes out true, otherwise no.",
    f_size(3, 4),
    mk_bool,
    lab_bool,
)

# ---------------------------------------------------------------- edge lists


def edges(x):
    return [(int(a), int(b)) for a, b in re.findall(r"u(\d+)v(\d+)", x)]


def text_edges(rng, es):
    es = [e if rng.random() < 0.5 else e[::-1] for e in es]
    rng.shuffle(es)
    return "".join(f"u{a}v{b}" for a, b in es)


def mk_graph(rng, f):
    n, m = f
    allp = [(i, j) for i in range(1, n + 1) for j in range(i + 1, n + 1)]
    return text_edges(rng, rng.sample(allp, min(m, len(allp))))


def neigh(x):
    g = {}
    for a, b in edges(x):
        g.setdefault(a, set()).add(b)
        g.setdefault(b, set()).add(a)
    return g


def f_graph(lo, hi, dlo, dhi):
    def f(rng):
        n = rng.randint(lo, hi)
        return n, max(3, round(n * rng.uniform(dlo, dhi)))

    return f


add(  # simple
    "has_hub",
    "graph",
    "yes if some vertex of the undirected graph has four or more edges, otherwise no.",
    f_graph(6, 11, 0.9, 1.4),
    mk_graph,
    lambda x: yn(max(len(v) for v in neigh(x).values()) >= 4),
)


def lab_connected(x):
    g = neigh(x)
    s = next(iter(g))
    seen, todo = {s}, [s]
    while todo:
        for w in g[todo.pop()]:
            if w not in seen:
                seen.add(w)
                todo.append(w)
    return yn(len(seen) == len(g))


add(  # middling
    "connected",
    "graph",
    "yes if the undirected graph on the vertices named in the list is connected, otherwise no.",
    f_graph(6, 11, 0.8, 1.2),
    mk_graph,
    lab_connected,
)


def lab_triangle(x):
    g = neigh(x)
    return yn(any(g[a] & g[b] for a, b in edges(x)))


add(  # middling
    "has_triangle",
    "graph",
    "yes if three vertices of the undirected graph are all joined to each other, otherwise no.",
    f_graph(6, 11, 1.0, 1.5),
    mk_graph,
    lab_triangle,
)


def mk_bip(rng, f):
    n, m = f
    k = rng.randint(n // 3, n - n // 3)
    vs = rng.sample(range(1, n + 1), n)
    side = {v: i < k for i, v in enumerate(vs)}
    allp = [(i, j) for i in range(1, n + 1) for j in range(i + 1, n + 1)]
    across = [e for e in allp if side[e[0]] != side[e[1]]]
    inside = [e for e in allp if side[e[0]] == side[e[1]]]
    extra = rng.choice((0, 0, 1, 1, 2))
    return text_edges(
        rng,
        rng.sample(across, min(m - extra, len(across)))
        + rng.sample(inside, min(extra, len(inside))),
    )


def lab_bip(x):
    g = neigh(x)
    col = {}
    for s in g:
        if s in col:
            continue
        col[s] = 0
        todo = [s]
        while todo:
            v = todo.pop()
            for w in g[v]:
                if w not in col:
                    col[w] = 1 - col[v]
                    todo.append(w)
                elif col[w] == col[v]:
                    return "no"
    return "yes"


add(  # hard
    "bipartite",
    "graph",
    "yes if the vertices of the undirected graph can be coloured with two colours so that every edge joins different colours, otherwise no.",
    f_graph(6, 10, 1.0, 1.4),
    mk_bip,
    lab_bip,
)

# ---------------------------------------------------------------- lists of integers


def show(v):
    return "[" + ", ".join(map(str, v)) + "]"


def ints(x):
    return [int(t) for t in re.findall(r"-?\d+", x)]


def mk_list(lo, hi):
    return lambda rng, n: show([rng.randint(lo, hi) for _ in range(n)])


add(  # simple
    "positive_total",
    "list",
    "yes if the numbers of the list add up to more than zero, otherwise no.",
    f_size(3, 10),
    mk_list(-20, 20),
    lambda x: yn(sum(ints(x)) > 0),
)


def f_dup(rng):
    n = rng.randint(4, 10)
    return n, rng.choice((n * 2, n * 3, n * 4))


add(  # simple
    "has_repeat",
    "list",
    "yes if some number occurs more than once in the list, otherwise no.",
    f_dup,
    lambda rng, f: show([rng.randint(0, f[1]) for _ in range(f[0])]),
    lambda x: yn(len(set(ints(x))) < len(ints(x))),
)


def mk_mountain(rng, n):
    v = sorted(rng.sample(range(1, 60), n))
    top = v.pop()
    rng.shuffle(v)
    k = rng.randint(1, n - 2)
    v = sorted(v[:k]) + [top] + sorted(v[k:], reverse=True)
    r = rng.random()
    if r > 0.45:
        i = rng.randrange(n - 1)
        j = rng.choice((i + 1, rng.randrange(n)))
        v[i], v[j] = v[j], v[i]
    if r > 0.9:
        rng.shuffle(v)
    return show(v)


def lab_mountain(x):
    v = ints(x)
    k = v.index(max(v))
    up = all(a < b for a, b in zip(v[: k + 1], v[1 : k + 1]))
    down = all(a > b for a, b in zip(v[k:], v[k + 1 :]))
    return yn(0 < k < len(v) - 1 and up and down)


add(  # middling
    "mountain",
    "list",
    "yes if the list first rises strictly and then falls strictly, with at least one step of each, otherwise no.",
    f_size(4, 10),
    mk_mountain,
    lab_mountain,
)


def median2(v):
    """Twice the median."""
    s = sorted(v)
    n = len(s)
    return s[(n - 1) // 2] + s[n // 2]


add(  # middling
    "mean_above_median",
    "list",
    "yes if the mean of the list is greater than its median, otherwise no.",
    f_size(4, 11),
    mk_list(0, 50),
    lambda x: yn(2 * sum(ints(x)) > median2(ints(x)) * len(ints(x))),
)


def mk_target(rng, n):
    v = [rng.randint(1, 30) for _ in range(n)]
    return show([rng.randint(12, 48), *v])


def lab_target(x):
    t, *v = ints(x)
    return yn(any(v[i] + v[j] == t for i in range(len(v)) for j in range(i)))


add(  # hard
    "pair_sums_to_first",
    "list",
    "yes if two of the numbers after the first (at different places) add up to the first number, otherwise no.",
    f_size(4, 8),
    mk_target,
    lab_target,
)

# ---------------------------------------------------------------- table rows


def mk_rent(rng, f):
    income = rng.randrange(1200, 9000, 50)
    return {
        "income": income,
        "rent": int(income * rng.uniform(0.12, 0.55)) // 10 * 10,
        "age": rng.randint(19, 75),
        "city": rng.choice(("Leeds", "Lyon", "Graz", "Turin", "Porto")),
        "pets": rng.choice(("yes", "no")),
    }


add(  # simple
    "rent_affordable",
    "table",
    "yes if rent is at most 30% of income, otherwise no.",
    None,
    mk_rent,
    lambda r: yn(r["rent"] * 10 <= r["income"] * 3),
)


def mk_account(rng, f):
    return {
        "plan": rng.choice(("free", "basic", "pro", "enterprise")),
        "seats": rng.choice((rng.randint(1, 20), rng.randint(1, 60))),
        "tickets": rng.randint(0, 30),
        "region": rng.choice(("EU", "US", "APAC")),
        "months": rng.randint(1, 72),
    }


add(  # simple
    "account_manager",
    "table",
    "yes if plan is pro or enterprise and seats is at least 10, otherwise no.",
    None,
    mk_account,
    lambda r: yn(r["plan"] in {"pro", "enterprise"} and r["seats"] >= 10),
)


def mk_parcel(rng, f):
    return {
        "weight_kg": round(rng.choice((rng.uniform(0.2, 14), rng.uniform(0.2, 45))), 1),
        "longest_cm": rng.choice((rng.randint(10, 120), rng.randint(10, 170))),
        "express": rng.choice(("yes", "no", "no")),
        "value": rng.randint(5, 900),
        "country": rng.choice(("DE", "FR", "PL", "ES", "NL")),
    }


def lab_parcel(r):
    if r["weight_kg"] > 30 or r["longest_cm"] > 120:
        return "freight"
    return "courier" if r["express"] == "yes" or r["weight_kg"] > 10 else "post"


add(  # middling
    "parcel_service",
    "table",
    "freight if weight_kg is over 30 or longest_cm is over 120, else courier if express is yes or weight_kg is over 10, else post.",
    None,
    mk_parcel,
    lab_parcel,
    classes=("freight", "courier", "post"),
)


def mk_invoice(rng, f):
    issued = dt.date(2019, 1, 1) + dt.timedelta(days=rng.randrange(2000))
    terms = rng.choice((7, 14, 30, 45, 60))
    paid = issued + dt.timedelta(days=max(0, terms + rng.randint(-25, 25)))
    return {
        "customer": rng.choice(("Acme", "Borel", "Cato", "Dune", "Elm")),
        "issued": issued.isoformat(),
        "terms_days": terms,
        "paid": paid.isoformat(),
        "amount": rng.randint(20, 5000),
    }


def lab_invoice(r):
    gap = (dt.date.fromisoformat(r["paid"]) - dt.date.fromisoformat(r["issued"])).days
    return "late" if gap > r["terms_days"] else "on time"


add(  # hard
    "late_invoice",
    "table",
    "late if the invoice was paid more than terms_days days after the date issued, otherwise on time.",
    None,
    mk_invoice,
    lab_invoice,
    classes=("late", "on time"),
)
