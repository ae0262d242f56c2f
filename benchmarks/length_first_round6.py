# mypy: ignore-errors
"""Hidden rules for a program-learning benchmark, round 6: 40 rules with samplers and labels.
Invented independently of the learner and of earlier lists; standard library only."""

from __future__ import annotations

import datetime as dt
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


# ---------------------------------------------------------------- bit strings (5)


def f_bits(rng):
    return rng.randint(16, 40), rng.choice([0.5, 0.5, 0.42, 0.58]), rng.choice([0.0, 0.0, 0.3])


def mk_bits(rng, f):
    n, p, stick = f
    out = []
    for _ in range(n):
        if out and rng.random() < stick:
            out.append(out[-1])
        else:
            out.append("1" if rng.random() < p else "0")
    return "".join(out)


def longest(x, b):
    return max((len(m) for m in re.findall(b + "+", x)), default=0)


# simple
add(
    "bits_tail_settled",
    "bits",
    "the last three bits are all the same",
    f_bits,
    mk_bits,
    lambda x: yn(len(set(x[-3:])) == 1),
)
# simple
add(
    "bits_burst_of_five",
    "bits",
    "there is a run of at least five ones",
    f_bits,
    mk_bits,
    lambda x: yn("11111" in x),
)
# middling
add(
    "bits_on_outlasts_off",
    "bits",
    "the longest run of ones is strictly longer than the longest run of zeros",
    f_bits,
    mk_bits,
    lambda x: yn(longest(x, "1") > longest(x, "0")),
)


def busiest_third(x):
    k = len(x) // 3
    c = [x[:k].count("1"), x[k : 2 * k].count("1"), x[2 * k :].count("1")]
    return ("first", "middle", "last")[c.index(max(c))]


# middling
add(
    "bits_busiest_third",
    "bits",
    "which third of the string holds the most ones (ties: the earliest)",
    lambda rng: (3 * rng.randint(6, 13), 0.5, 0.0),
    mk_bits,
    busiest_third,
    ("first", "middle", "last"),
)
# hard
add(
    "bits_header_points",
    "bits",
    "the first three bits, as a binary number k, point at a payload bit (k-th after the header, from 0): is it 1",
    f_bits,
    mk_bits,
    lambda x: yn(x[3 + int(x[:3], 2)] == "1"),
)

# ---------------------------------------------------------------- digits and numbers in text (4)

# simple
add(
    "digits_neighbours_make_ten",
    "digits",
    "some two neighbouring digits add up to ten",
    lambda rng: rng.randint(6, 10),
    lambda rng, n: "".join(rng.choice("0123456789") for _ in range(n)),
    lambda x: yn(any(int(a) + int(b) == 10 for a, b in zip(x, x[1:]))),
)


def mk_sensor(rng, f):
    parts = [
        f"T={rng.uniform(17, 43):.1f}C",
        f"H={rng.randint(20, 90)}%",
        f"fan {rng.randint(1, 4)}",
        f"P={rng.randint(985, 1035)}",
    ]
    rng.shuffle(parts)
    return f"node {rng.randint(10, 99)}: " + ", ".join(parts)


# simple
add(
    "log_line_too_warm",
    "digits",
    "the temperature field T in the log line is at least 30.0",
    None,
    mk_sensor,
    lambda x: yn(float(re.search(r"T=([\d.]+)", x)[1]) >= 30),
)


def mk_bp(rng, f):
    who = rng.choice(["pt", "patient", "bed"])
    arm = rng.choice(["left arm", "right arm", "seated", "standing"])
    return f"{who} {rng.randint(1, 60)} {arm} BP {rng.randint(104, 164)}/{rng.randint(62, 104)} pulse {rng.randint(52, 118)}"


def bp_high(x):
    s, d = map(int, re.search(r"BP (\d+)/(\d+)", x).groups())
    return yn(s >= 140 or d >= 90)


# middling
add(
    "bp_note_hypertensive",
    "digits",
    "the blood pressure is high: upper value at least 140 or lower value at least 90",
    None,
    mk_bp,
    bp_high,
)


def mk_line(rng, f):
    q = rng.randint(2, 12)
    cents = 25 * rng.randint(5, 100)
    t = q * cents
    if rng.random() < 0.55:
        t += rng.choice([-cents, cents, -100, 100, 50, -50, 25, 1000])
        t = max(t, 25)
    return f"PO {rng.randint(1000, 9999)} | {q} x {cents / 100:.2f} | total {t / 100:.2f}"


def line_ok(x):
    q, p, t = re.search(r"\| (\d+) x ([\d.]+) \| total ([\d.]+)", x).groups()
    return "ok" if int(q) * int(p.replace(".", "")) == int(t.replace(".", "")) else "mismatch"


# middling
add(
    "order_line_total_agrees",
    "digits",
    "quantity times unit price equals the stated total",
    None,
    mk_line,
    line_ok,
    ("ok", "mismatch"),
)

# ---------------------------------------------------------------- words and sentences (5)

VOCAB = (
    "parcel order arrived broken yesterday please still waiting driver left box outside wrong size blue jacket "
    "never again great service thanks really happy with new shoes my account login fails since update can you "
    "check status today the staff were kind store closed early need help return label missing one item from set "
    "price changed twice app shows error nobody answers phone quality seems poor delivery took ages love this"
).split()


def f_words(rng):
    return rng.randint(6, 11), rng.choice([".", ".", "!", ""])


def mk_shout(rng, f):
    n, end = f
    w = [rng.choice(VOCAB) for _ in range(n)]
    w[0] = w[0].capitalize()
    for _ in range(rng.choice([0, 1, 1, 2])):
        w[rng.randrange(n)] = rng.choice(
            ["OK", "TV", "I", "PC", "UK", "Anna", "Monday", "Leeds", "A4"]
        )
    if rng.random() < 0.5:
        i = rng.randrange(n)
        w[i] = w[i].upper()
    return " ".join(w) + end


# simple
add(
    "message_shouts",
    "words",
    "some word of three or more letters is written all in capitals",
    f_words,
    mk_shout,
    lambda x: yn(re.search(r"\b[A-Z]{3,}\b", x)),
)


def mk_ask(rng, f):
    n, _ = f
    w = [rng.choice(VOCAB) for _ in range(n)]
    w[0] = w[0].capitalize()
    r = rng.random()
    if r < 0.5:
        w[rng.randrange(1, n)] = f"#{rng.randint(10000, 99999)}"
    elif r < 0.7:
        w[rng.randrange(1, n)] = str(rng.randint(2, 2025))
    return " ".join(w) + ("?" if rng.random() < 0.6 else rng.choice([".", "!", ""]))


# middling
add(
    "question_without_order_no",
    "words",
    "the message ends with a question mark and quotes no order number (# and digits)",
    f_words,
    mk_ask,
    lambda x: yn(x.endswith("?") and "#" not in x),
)


def mk_plainwords(rng, f):
    return " ".join(rng.choice(VOCAB) for _ in range(f))


def links(x):
    w = x.split()
    return yn(any(a[-1] == b[0] for a, b in zip(w, w[1:])))


# middling
add(
    "words_shake_hands",
    "words",
    "some word ends with the letter the next word begins with",
    lambda rng: rng.randint(5, 9),
    mk_plainwords,
    links,
)

LEGAL, BILL = ["lawyer", "court", "sue"], ["refund", "invoice", "charged"]


def mk_triage(rng, f):
    n, end = f
    w = [rng.choice(VOCAB) for _ in range(n)]
    i, j, k = rng.sample(range(n), 3)
    w[i] = rng.choice(["angry", "sad", "pleased", "urgent", "manager", "friend"])
    if rng.random() < 0.4:
        w[j] = rng.choice(LEGAL)
    if rng.random() < 0.5:
        w[k] = rng.choice(BILL)
    return " ".join(w) + end


def triage(x):
    s = set(re.findall(r"[a-z]+", x))
    return "legal" if s & set(LEGAL) else "billing" if s & set(BILL) else "other"


# middling
add(
    "ticket_triage",
    "words",
    "legal if it mentions lawyer, court or sue; else billing if it mentions refund, invoice or charged; else other",
    f_words,
    mk_triage,
    triage,
    ("legal", "billing", "other"),
)


def mk_pseudo(rng, f):
    out = []
    for pat in f:
        out.append(rng.choice("aeiou") if pat == "v" else rng.choice("bcdfghklmnprstvw"))
    return "".join(out)


def f_pseudo(rng):
    k = rng.choice([3, 4, 4])
    s = "".join(
        rng.choice(["cv", "cv", "ccv", "v"]) if i == 0 else rng.choice(["cv", "cv", "ccv"])
        for i in range(k)
    )
    return s + rng.choice(["", "c", "c"])


def vowels_sorted(x):
    v = [c for c in x if c in "aeiou"]
    return yn(v == sorted(v))


# hard
add(
    "vowels_climb",
    "words",
    "the vowels of the word, left to right, never go back in the alphabet",
    f_pseudo,
    mk_pseudo,
    vowels_sorted,
)

# ---------------------------------------------------------------- dates and times (4)


def rday(rng):
    return dt.date(2022, 1, 1) + dt.timedelta(days=rng.randrange(1200))


def mk_stamp(rng, f):
    return f"{rday(rng)} {rng.randrange(24):02d}:{rng.randrange(60):02d}"


# simple
add(
    "badge_out_of_hours",
    "dates",
    "the time of day is before 07:00 or from 19:00 on",
    None,
    mk_stamp,
    lambda x: yn(not 7 <= int(x[11:13]) < 19),
)


def mk_clinic(rng, f):
    d = rday(rng)
    return f"{d.day:02d}/{d.month:02d}/{d.year} {rng.randint(7, 20):02d}:{rng.choice([0, 10, 15, 20, 30, 40, 45, 50]):02d}"


def clinic_surcharge(x):
    d = dt.date(int(x[6:10]), int(x[3:5]), int(x[:2]))
    return yn(d.weekday() >= 5 or int(x[11:13]) >= 18)


# middling
add(
    "clinic_surcharge_slot",
    "dates",
    "the visit (day/month/year) is on a Saturday or Sunday, or starts at 18:00 or later",
    None,
    mk_clinic,
    clinic_surcharge,
)


def mk_shift(rng, f):
    a = 15 * rng.randrange(96)
    b = (a + rng.choice([rng.randint(20, 44), rng.randint(28, 38)]) * 15) % 1440
    return f"{rng.choice(['dock', 'desk', 'ward', 'line'])} {rng.randint(1, 9)}: {a // 60:02d}:{a % 60:02d}-{b // 60:02d}:{b % 60:02d}"


def shift_long(x):
    h, m, k, n = map(int, re.search(r"(\d\d):(\d\d)-(\d\d):(\d\d)", x).groups())
    return yn((k * 60 + n - h * 60 - m) % 1440 > 480)


# middling
add(
    "shift_over_eight_hours",
    "dates",
    "the shift, which may run past midnight, lasts more than eight hours",
    None,
    mk_shift,
    shift_long,
)


def mk_sla(rng, f):
    a = rday(rng)
    b = a + dt.timedelta(days=rng.choice([2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 7]))
    return f"{rng.choice(['phone', 'tablet', 'watch', 'laptop'])} in {a} out {b}"


def sla(x):
    a, b = (dt.date.fromisoformat(s) for s in re.findall(r"\d{4}-\d\d-\d\d", x))
    n = sum((a + dt.timedelta(days=i)).weekday() < 5 for i in range(1, (b - a).days + 1))
    return "late" if n > 3 else "on time"


# hard
add(
    "repair_sla_workdays",
    "dates",
    "late if more than three working days (Mon-Fri) fall after the day in, up to and including the day out",
    None,
    mk_sla,
    sla,
    ("late", "on time"),
)

# ---------------------------------------------------------------- codes and identifiers (5)

# simple
add(
    "asset_tag_upper_floors",
    "codes",
    "the floor (second part of the asset tag) is above 12",
    None,
    lambda rng, f: (
        f"{rng.choice(['NW', 'NE', 'SW', 'SE'])}-{rng.randint(1, 24):02d}-{rng.randint(1000, 9999)}-{rng.choice('ABCD')}"
    ),
    lambda x: yn(int(x.split("-")[1]) > 12),
)

L24 = "ABCDEFGHJKLMNPRSTUVWXYZ"


# simple
add(
    "plate_repeats_letter",
    "codes",
    "some letter occurs more than once in the number plate",
    None,
    lambda rng, f: (
        f"{rng.choice(L24)}{rng.choice(L24)}{rng.randint(2, 73):02d} "
        + "".join(rng.choice(L24) for _ in range(3))
    ),
    lambda x: yn(max(Counter(c for c in x if c.isalpha()).values()) > 1),
)


def mk_version(rng, f):
    pre = rng.choice(["", "", "-rc1", "-rc2", "-beta3", "-alpha"])
    s = f"{rng.choice([1, 2, 2, 2, 3])}.{rng.randint(0, 19)}.{rng.randint(0, 12)}{pre}+"
    # the build hash fills up to a length drawn apart from the label
    return s + "".join(rng.choice("0123456789abcdef") for _ in range(rng.randint(19, 23) - len(s)))


def deployable(x):
    a, b = map(int, re.match(r"(\d+)\.(\d+)", x).groups())
    return yn("-" not in x and (a, b) >= (2, 10))


# middling
add(
    "version_deployable",
    "codes",
    "a final release (no rc, beta or alpha tag) of version 2.10 or later",
    None,
    mk_version,
    deployable,
)


def rgb_top(x):
    c = [int(x[i : i + 2], 16) for i in (1, 3, 5)]
    return ("red", "green", "blue")[c.index(max(c))]


# middling
add(
    "colour_dominant_channel",
    "codes",
    "which channel of the hex colour is the largest (ties: the earlier)",
    None,
    lambda rng, f: "#" + "".join(f"{rng.randrange(256):02x}" for _ in range(3)),
    rgb_top,
    ("red", "green", "blue"),
)


def ck731(s):
    return sum(int(c) * (7, 3, 1)[i % 3] for i, c in enumerate(s)) % 10


def mk_doc(rng, f):
    s = "".join(rng.choice("0123456789") for _ in range(7))
    c = ck731(s) if rng.random() < 0.5 else rng.randrange(10)
    return f"{rng.choice(['DE', 'FR', 'NL', 'PL', 'ES'])}-{s}-{c}"


# hard
add(
    "document_check_731",
    "codes",
    "the final digit is the sum of the seven digits weighted 7,3,1,7,3,1,7, modulo 10",
    None,
    mk_doc,
    lambda x: "valid" if ck731(x[3:10]) == int(x[-1]) else "typo",
    ("valid", "typo"),
)

# ---------------------------------------------------------------- bracketed text (4)

CLOSE = {"(": ")", "[": "]", "{": "}"}


def f_br(rng):
    k = rng.randint(5, 9)
    return k, k + rng.randint(1, 4)


def skeleton(rng, k, kinds):
    """k well-nested pairs as a list of characters"""
    out, st, left = [], [], k
    while left or st:
        if left and (not st or rng.random() < 0.55):
            c = rng.choice(kinds)
            st.append(c)
            out.append(c)
            left -= 1
        else:
            out.append(CLOSE[st.pop()])
    return out


def letter(rng):
    return rng.choice("aeiou") if rng.random() < 0.42 else rng.choice("bcdfghklmnprstvwxyz")


def sprinkle(rng, s, m, fill=False):
    s = list(s)
    if fill:
        i = 0
        while i + 1 < len(s):
            if s[i] in CLOSE and s[i + 1] == CLOSE[s[i]] and m:
                s.insert(i + 1, letter(rng))
                m -= 1
            i += 1
    for _ in range(m):
        s.insert(rng.randint(0, len(s)), letter(rng))
    return "".join(s)


def depth(x):
    d = best = 0
    for c in x:
        d += (c in "([{") - (c in ")]}")
        best = max(best, d)
    return best


# simple
add(
    "brackets_four_deep",
    "brackets",
    "the brackets are nested four or more deep",
    f_br,
    lambda rng, f: sprinkle(rng, skeleton(rng, f[0], "(["), f[1]),
    lambda x: yn(depth(x) >= 4),
)
# simple
add(
    "brackets_empty_pair",
    "brackets",
    "some pair of brackets has nothing inside, () or []",
    f_br,
    lambda rng, f: sprinkle(rng, skeleton(rng, f[0], "(["), f[1], rng.random() < 0.5),
    lambda x: yn("()" in x or "[]" in x),
)


def mk_balance(rng, f):
    s = skeleton(rng, f[0], "([{")
    if rng.random() < 0.6:
        cl = [i for i, c in enumerate(s) if c in ")]}"]
        if rng.random() < 0.7:
            i, j = rng.sample(cl, 2)
            s[i], s[j] = s[j], s[i]
        else:
            s[rng.choice(cl)] = rng.choice(")]}")
    return sprinkle(rng, s, f[1] // 2)


def balanced(x):
    st = []
    for c in x:
        if c in CLOSE:
            st.append(CLOSE[c])
        elif c in ")]}" and (not st or st.pop() != c):
            return "broken"
    return "broken" if st else "fine"


# middling
add(
    "brackets_close_in_kind",
    "brackets",
    "every bracket is closed by its own kind in the right order",
    f_br,
    mk_balance,
    balanced,
    ("fine", "broken"),
)


def deepest_vowel(x):
    d, best, got = 0, -1, ""
    for c in x:
        if c in "([":
            d += 1
        elif c in ")]":
            d -= 1
        elif d > best:
            best, got = d, c
    return yn(got in "aeiou")


# hard
add(
    "brackets_deepest_letter_vowel",
    "brackets",
    "the most deeply nested letter (the first, if several) is a vowel",
    f_br,
    lambda rng, f: sprinkle(rng, skeleton(rng, f[0] - 2, "(["), f[1]),
    deepest_vowel,
)

# ---------------------------------------------------------------- graphs (4)


def edges(x):
    return [tuple(map(int, e.split("-"))) for e in x.split()]


def show(rng, es):
    es = [e if rng.random() < 0.5 else e[::-1] for e in es]
    rng.shuffle(es)
    return " ".join(f"{a}-{b}" for a, b in es)


def pairs(n):
    return [(a, b) for a in range(1, n + 1) for b in range(a + 1, n + 1)]


def mk_graph(rng, f):
    n, m = f
    return show(rng, rng.sample(pairs(n), m))


def reach(es, a):
    seen, todo = {a}, [a]
    while todo:
        u = todo.pop()
        for p, q in es:
            for v, w in ((p, q), (q, p)):
                if v == u and w not in seen:
                    seen.add(w)
                    todo.append(w)
    return seen


# simple
add(
    "graph_has_hub",
    "graphs",
    "some vertex lies on four or more edges",
    lambda rng: (rng.randint(7, 9), rng.randint(7, 10)),
    mk_graph,
    lambda x: yn(max(Counter(v for e in edges(x) for v in e).values()) >= 4),
)


def triangle(x):
    s = {frozenset(e) for e in edges(x)}
    v = sorted(set().union(*s))
    return yn(
        any(
            {frozenset((a, b)), frozenset((b, c)), frozenset((a, c))} <= s
            for i, a in enumerate(v)
            for j, b in enumerate(v[i + 1 :], i + 1)
            for c in v[j + 1 :]
        )
    )


# middling
add(
    "graph_three_mutual_friends",
    "graphs",
    "three vertices are all joined to one another",
    lambda rng: (rng.randint(7, 8), rng.randint(7, 10)),
    mk_graph,
    triangle,
)


def mk_route(rng, f):
    n, m = f
    while True:
        es = rng.sample(pairs(n), m)
        vs = {v for e in es for v in e}
        if 1 in vs and 2 in vs and (1, 2) not in es:
            return show(rng, es)


# middling
add(
    "graph_depot_reaches_shop",
    "graphs",
    "there is a route from vertex 1 to vertex 2",
    lambda rng: (rng.randint(8, 9), rng.randint(6, 8)),
    mk_route,
    lambda x: yn(2 in reach(edges(x), 1)),
)


def mk_conn(rng, f):
    n, m = f
    order = list(range(1, n + 1))
    rng.shuffle(order)
    es = set()
    for i in range(1, n):
        a, b = order[i], order[rng.randrange(i)]
        es.add((min(a, b), max(a, b)))
    rest = [p for p in pairs(n) if p not in es]
    es = sorted(es) + rng.sample(rest, m - n + 1)
    if sum(1 in e for e in es) < 2 and rng.random() < 0.8:
        return mk_conn(rng, f)
    return show(rng, es)


def cut_one(x):
    es = edges(x)
    vs = {v for e in es for v in e} - {1}
    return yn(reach([e for e in es if 1 not in e], min(vs)) != vs)


# hard
add(
    "graph_one_is_critical",
    "graphs",
    "taking vertex 1 away leaves the other vertices no longer all connected",
    lambda rng: (lambda n: (n, n + rng.randint(1, 3)))(rng.randint(6, 8)),
    mk_conn,
    cut_one,
)

# ---------------------------------------------------------------- lists of integers (4)


def nums(x):
    return [int(v) for v in x.split(",")]


def mk_walk(rng, f):
    n, step = f
    v, out = rng.randint(20, 60), []
    for _ in range(n):
        out.append(v)
        v = max(1, v + rng.randint(-step, step))
    return ",".join(map(str, out))


# simple
add(
    "readings_sudden_drop",
    "lists",
    "some reading is at least 10 below the one just before",
    lambda rng: (rng.randint(6, 10), rng.choice([10, 11, 12])),
    mk_walk,
    lambda x: yn(any(a - b >= 10 for a, b in zip(nums(x), nums(x)[1:]))),
)


def more_rises(x):
    v = nums(x)
    return yn(sum(b > a for a, b in zip(v, v[1:])) > sum(b < a for a, b in zip(v, v[1:])))


# middling
add(
    "marks_mostly_improving",
    "lists",
    "from one mark to the next there are more rises than falls",
    lambda rng: (rng.randint(6, 10), rng.randint(3, 9)),
    mk_walk,
    more_rises,
)


def mk_moves(rng, f):
    v = [rng.choice([-1, 1]) * rng.randint(1, 12) for _ in range(f)]
    v[0] = abs(v[0]) + rng.randint(0, 6)
    return ",".join(map(str, v))


def overdrawn(x):
    t = 0
    for v in nums(x):
        t += v
        if t < 0:
            return "yes"
    return "no"


# middling
add(
    "stock_goes_negative",
    "lists",
    "the running total of the stock movements falls below zero at some point",
    lambda rng: rng.randint(5, 9),
    mk_moves,
    overdrawn,
)


def mk_ctrl(rng, f):
    n, spread = f
    base = rng.randint(15, 60)
    return ",".join(str(base + rng.randint(-spread, spread)) for _ in range(n))


def run_above_mean(x):
    v = nums(x)
    s = "".join("1" if a * len(v) > sum(v) else "0" for a in v)
    return yn("111" in s)


# hard
add(
    "control_chart_run",
    "lists",
    "three readings in a row lie above the mean of the whole list",
    lambda rng: (rng.randint(8, 12), rng.randint(4, 12)),
    mk_ctrl,
    run_above_mean,
)

# ---------------------------------------------------------------- table rows (5)


def mk_appt(rng, f):
    return {
        "age": rng.randint(4, 91),
        "sex": rng.choice("FM"),
        "department": rng.choice(["ENT", "cardiology", "dermatology", "eye", "dental"]),
        "lead_days": rng.choice([rng.randint(0, 20), rng.randint(21, 60)]),
        "missed_before": rng.choice([0, 0, 0, 1, 1, 2, 3]),
        "weekday": rng.choice(["Mon", "Tue", "Wed", "Thu", "Fri"]),
    }


# simple
add(
    "appointment_reminder",
    "tables",
    "a reminder call is made when the visit was booked 21 or more days ahead",
    None,
    mk_appt,
    lambda r: yn(r["lead_days"] >= 21),
)


def mk_room(rng, f):
    sp = rng.choice([18.0, 19.0, 20.0, 21.0, 22.5, 24.0])
    return {
        "zone": rng.choice(["lobby", "lab", "store", "office", "server"]),
        "setpoint_c": sp,
        "actual_c": round(sp + rng.uniform(-4.5, 4.5), 1),
        "humidity": rng.randint(25, 70),
        "fan_speed": rng.randint(0, 3),
        "window_open": rng.choice([True, False]),
    }


# simple
add(
    "room_off_setpoint",
    "tables",
    "the actual temperature is more than two degrees away from the setpoint, either way",
    None,
    mk_room,
    lambda r: yn(abs(round(r["actual_c"] * 10) - round(r["setpoint_c"] * 10)) > 20),
)


def mk_ship(rng, f):
    n = rng.randint(1, 12)
    return {
        "carrier": rng.choice(["Norda", "QuickVan", "Balt", "Tern"]),
        "pieces": n,
        "weight_kg": round(n * rng.uniform(5, 42), 1),
        "dangerous_goods": rng.choice(["no", "no", "no", "yes"]),
        "zone": rng.randint(1, 6),
        "insured": rng.choice(["yes", "no"]),
    }


# middling
add(
    "shipment_needs_two_people",
    "tables",
    "the weight per piece is over 25 kg, or the goods are dangerous",
    None,
    mk_ship,
    lambda r: yn(r["weight_kg"] > 25 * r["pieces"] or r["dangerous_goods"] == "yes"),
)


def mk_match(rng, f):
    return {
        "opponent": rng.choice(["Rovers", "United", "Athletic", "Town", "Wanderers", "City"]),
        "venue": rng.choice(["home", "away"]),
        "home_goals": rng.choice([0, 0, 1, 1, 2, 2, 3, 4]),
        "away_goals": rng.choice([0, 0, 1, 1, 2, 2, 3, 4]),
        "attendance": rng.randint(800, 9500),
        "cards": rng.randint(0, 6),
    }


def match_result(r):
    d = (r["home_goals"] - r["away_goals"]) * (1 if r["venue"] == "home" else -1)
    return "win" if d > 0 else "loss" if d < 0 else "draw"


# middling
add(
    "our_match_result",
    "tables",
    "our result: we are the home side when venue is home, otherwise the away side",
    None,
    mk_match,
    match_result,
    ("win", "draw", "loss"),
)


def mk_loan(rng, f):
    return {
        "income_k": rng.randint(18, 95),
        "utilisation": round(rng.uniform(0.05, 0.99), 2),
        "late_payments": rng.choice([0, 0, 1, 1, 2, 3, 4]),
        "tenure_months": rng.choice([rng.randint(1, 24), rng.randint(12, 120)]),
        "employment": rng.choice(["permanent", "permanent", "temp", "self"]),
        "region": rng.choice(["N", "S", "E", "W"]),
    }


def loan_risk(r):
    n = (
        (r["utilisation"] > 0.6)
        + (r["late_payments"] >= 2)
        + (r["tenure_months"] < 18)
        + (r["employment"] == "temp")
    )
    return "low" if n <= 1 else "medium" if n == 2 else "high"


# hard
add(
    "loan_risk_points",
    "tables",
    "a point each for utilisation over 0.6, two or more late payments, tenure under 18 months, temp work: 0-1 low, 2 medium, 3-4 high",
    None,
    mk_loan,
    loan_risk,
    ("low", "medium", "high"),
)
