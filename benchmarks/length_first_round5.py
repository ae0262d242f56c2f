# mypy: ignore-errors
"""Hidden rules for a program-learning benchmark, round 5: 40 rules with samplers and labels.
Invented without sight of the learner or of earlier rules; standard library only."""

from __future__ import annotations

import random
import re
from collections import Counter, deque
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


def add(name, kind, description, frame, make, label, classes=("yes", "no"), tries=200):
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


def f_len(lo, hi):
    return lambda rng: rng.randint(lo, hi)


def mk_bits(rng, n):
    p, stick = rng.choice([0.4, 0.5, 0.5, 0.6]), rng.choice([0.0, 0.0, 0.3])
    out = []
    for i in range(n):
        if i and rng.random() < stick:
            out.append(out[-1])
        else:
            out.append("1" if rng.random() < p else "0")
    return "".join(out)


def mk_sticky(rng, n):
    stay = rng.uniform(0.45, 0.8)
    out = [rng.choice("01")]
    while len(out) < n:
        out.append(out[-1] if rng.random() < stay else "10"[int(out[-1])])
    return "".join(out)


# difficulty: simple
add(
    "attendance_picks_up",
    "bits",
    "class attendance marks: more 1s in the second half than in the first (a middle bit belongs to neither half)",
    f_len(12, 40),
    mk_bits,
    lambda s: yn(s[len(s) - len(s) // 2 :].count("1") > s[: len(s) // 2].count("1")),
)


def lab_presses(s):
    k = len([r for r in re.findall("1+", s) if len(r) >= 3])
    return "none" if k == 0 else "one" if k == 1 else "several"


# difficulty: middling
add(
    "button_presses_debounced",
    "bits",
    "sampled push button: how many runs of 1s last three samples or longer (none, one, several); shorter runs are bounce",
    f_len(16, 36),
    mk_sticky,
    lab_presses,
    ("none", "one", "several"),
)


def mk_sync(rng, n):
    s = list(mk_bits(rng, n))
    for _ in range(rng.randint(0, 2)):
        i = rng.randint(0, n - 4)
        s[i : i + 4] = "1101"
    return "".join(s)


# difficulty: middling
add(
    "nibble_aligned_sync_word",
    "bits",
    "radio frame: the sync word 1101 stands at a position divisible by four (elsewhere it does not count)",
    f_len(16, 40),
    mk_sync,
    lambda s: yn(any(s[i : i + 4] == "1101" for i in range(0, len(s), 4))),
)


def lab_barrier(s):
    h = 0
    for c in s:
        h += 1 if c == "1" else -1
        if h == 4:
            return "up"
        if h == -4:
            return "down"
    return "neither"


# difficulty: middling
add(
    "tug_of_war_first_to_four",
    "bits",
    "rope pulls, 1 moves the knot right and 0 left: which side first gets it four steps from the start (up, down, neither)",
    f_len(12, 28),
    mk_bits,
    lab_barrier,
    ("up", "down", "neither"),
)


def lab_majority(s):
    t = (
        s[0]
        + "".join("1" if s[i - 1 : i + 2].count("1") >= 2 else "0" for i in range(1, len(s) - 1))
        + s[-1]
    )
    return yn(t.count("1") > s.count("1"))


# difficulty: hard
add(
    "median_filter_gains_ones",
    "bits",
    "a three-wide median filter (ends kept) leaves more 1s than there were",
    f_len(14, 36),
    mk_bits,
    lab_majority,
)

# ---------------------------------------------------------------- digits, numbers in text


def mk_digits(rng, n):
    return "".join(rng.choice("0123456789") for _ in range(n))


# difficulty: simple
add(
    "high_digit_before_low",
    "digits",
    "the largest digit is met before the smallest (first occurrences)",
    f_len(5, 14),
    mk_digits,
    lambda s: yn(s.index(max(s)) < s.index(min(s))),
)

PARTS = "boiler pump valve inlet outlet gearbox bearing coil fan manifold jacket".split()


def mk_temps(rng, f):
    base, width = rng.randint(35, 75), rng.choice([18, 24, 30, 38])
    return f[1].join(f"{p} {base + rng.randint(0, width)}C" for p in rng.sample(PARTS, f[0]))


# difficulty: simple
add(
    "temperature_spread_alarm",
    "digits",
    "plant log: hottest and coldest part differ by more than 20 degrees",
    lambda rng: (rng.randint(3, 5), rng.choice([", ", "; ", " | "])),
    mk_temps,
    lambda s: yn(max(map(int, re.findall(r"\d+", s))) - min(map(int, re.findall(r"\d+", s))) > 20),
)

GOODS = "bolt mug lamp rope brush tray hinge clamp".split()


def mk_receipt(rng, f):
    items = [(rng.randint(1, 9), g, rng.randint(2, 12)) for g in rng.sample(GOODS, f)]
    true = sum(q * p for q, _, p in items)
    d = rng.choice([0, 0, 0, 1, 2, 3, 5, 9, 10, 12, 18])
    total = max(1, true + rng.choice([-1, 1]) * d)
    return ", ".join(f"{q} {g} @ {p}" for q, g, p in items) + f" = {total}"


def lab_receipt(s):
    left, total = s.split(" = ")
    due = sum(int(a) * int(b) for a, b in re.findall(r"(\d+) \w+ @ (\d+)", left))
    t = int(total)
    return "exact" if t == due else "over" if t > due else "under"


# difficulty: hard
add(
    "receipt_total_check",
    "digits",
    "till receipt: the stated total against the sum of quantity times price (exact, over, under)",
    f_len(2, 3),
    mk_receipt,
    lab_receipt,
    ("exact", "over", "under"),
)


def lab_hops(s):
    i = 0
    while i < len(s):
        i += int(s[i]) or 10
    return yn(i == len(s))


# difficulty: hard
add(
    "hopscotch_lands_exactly",
    "digits",
    "from the first digit hop ahead by the digit stood on (0 means ten) again and again: the last hop lands exactly one past the end",
    f_len(12, 22),
    mk_digits,
    lab_hops,
)

# ---------------------------------------------------------------- words and sentences

TICKET = (
    "my order has not arrived please check the refund status again account locked since monday "
    "cannot log in app keeps crashing after update thanks for quick help still waiting on parcel "
    "invoice shows wrong amount driver left it outside screen stays black"
).split()
SHORTCAPS = "USB GPS PIN VAT OK FAQ".split()


def mk_ticket(rng, n):
    ws = [rng.choice(TICKET) for _ in range(n)]
    if rng.random() < 0.4:
        i = rng.randrange(n)
        ws[i] = ws[i].upper()
    if rng.random() < 0.5:
        ws[rng.randrange(n)] = rng.choice(SHORTCAPS)
    if rng.random() < 0.35:
        ws[rng.randrange(n)] += "!"
    if rng.random() < 0.35:
        ws[-1] += "?" if rng.random() < 0.5 else "."
    elif rng.random() < 0.4:
        ws[-1] += rng.choice(["!", "!!", "!!!"])
    return " ".join(ws)


# difficulty: simple
add(
    "shouting_ticket",
    "words",
    "support message: holds a word of four or more letters all in capitals, or two exclamation marks in a row",
    f_len(5, 11),
    mk_ticket,
    lambda s: yn(re.search(r"\b[A-Z]{4,}\b", s) or "!!" in s),
)

PROSE = (
    "the a old ferry left harbour before dawn and crew slept under canvas while gulls circled above mast "
    "captain read her map twice then poured coffee for us all as rain began to fall over grey water"
).split()


def mk_prose(rng, n):
    ws = [rng.choice(PROSE) for _ in range(n)]
    r = rng.random()
    if r < 0.4:
        i = rng.randrange(n - 1)
        ws[i + 1] = ws[i]
    elif r < 0.75:
        i = rng.randrange(n - 2)
        ws[rng.randint(i + 2, n - 1)] = ws[i]
    ws[0] = ws[0].capitalize()
    return " ".join(ws) + "."


def lab_doubled(s):
    ws = s.lower().rstrip(".").split()
    return yn(any(a == b for a, b in zip(ws, ws[1:])))


# difficulty: simple
add(
    "proofread_doubled_word",
    "words",
    "proofreading: some word is typed twice in a row, whatever its case (repeats further apart are fine)",
    f_len(6, 12),
    mk_prose,
    lab_doubled,
)

CHAIN = (
    "apple eagle eel lemon nest tiger rabbit tomato orange elephant tulip pear raven needle egret tent "
    "otter rose emu urn nut toad duck kite end deer river rat table ear robin note iris salt lamp pond "
    "door root train nose elbow wolf fox kiwi ink knot tap pan net goat owl leaf fern snail lion"
).split()
BY_FIRST = {}
for _w in CHAIN:
    BY_FIRST.setdefault(_w[0], []).append(_w)


def mk_chain(rng, n):
    ws = [rng.choice(CHAIN)]
    while len(ws) < n:
        ws.append(rng.choice(BY_FIRST.get(ws[-1][-1], CHAIN)))
    for _ in range(rng.choice([0, 1, 1, 2])):
        ws[rng.randrange(n)] = rng.choice(CHAIN)
    return " ".join(ws)


# difficulty: middling
add(
    "shiritori_unbroken",
    "words",
    "word-chain game: every word begins with the last letter of the one before",
    f_len(3, 6),
    mk_chain,
    lambda s: yn(all(a[-1] == b[0] for a, b in zip(s.split(), s.split()[1:]))),
)

MIXED = (
    "olive anchor uncle oven idea umbra extra area opera echo elm ant ink oak art east inch acorn under "
    "maple sofa tea cargo judo banana pasta menu blue taxi solo mint brick lamp storm green north crust plum "
    "ship frost clock bring"
).split()


def lab_edges(s):
    ws = s.split()
    a, b = sum(w[0] in "aeiou" for w in ws), sum(w[-1] in "aeiou" for w in ws)
    return "front" if a > b else "back" if b > a else "level"


# difficulty: middling
add(
    "vowel_onsets_against_endings",
    "words",
    "linguist's count: more words begin with a vowel (front), more end with one (back), or as many (level)",
    f_len(4, 9),
    lambda rng, n: " ".join(rng.choice(MIXED) for _ in range(n)),
    lab_edges,
    ("front", "back", "level"),
)

GOOD = "fresh friendly tasty warm quick".split()
BAD = "stale rude cold noisy slow".split()
FILL = "soup staff table waiter music bread room and very the was but quite service coffee menu".split()


def mk_review(rng, n):
    out = []
    while len(out) < n:
        r = rng.random()
        if r < 0.22:
            out.append(rng.choice(GOOD))
        elif r < 0.44:
            out.append(rng.choice(BAD))
        elif r < 0.60:
            out.append("not")
        else:
            out.append(rng.choice(FILL))
    return " ".join(out)


def lab_review(s):
    v, prev = 0, ""
    for w in s.split():
        k = 1 if w in GOOD else -1 if w in BAD else 0
        v += -k if prev == "not" else k
        prev = w
    return "good" if v > 0 else "bad" if v < 0 else "mixed"


# difficulty: hard
add(
    "review_score_with_not",
    "words",
    "restaurant review: five praising words count +1, five complaining words -1, a 'not' just before turns the sign (good, bad, mixed)",
    f_len(7, 13),
    mk_review,
    lab_review,
    ("good", "bad", "mixed"),
)

# ---------------------------------------------------------------- dates and times

DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()


def mk_fare(rng, f):
    if rng.random() < 0.7:
        t = rng.randint(6 * 60, 20 * 60)
    else:
        t = rng.randint(5 * 60, 24 * 60 - 1)
    return f"{rng.choice(DAYS)} {t // 60:02d}:{t % 60:02d} stop {f}"


def lab_fare(s):
    d, t, *_ = s.split()
    return yn(d not in {"Sat", "Sun"} and ("07:00" <= t < "09:30" or "16:00" <= t < "18:30"))


# difficulty: middling
add(
    "tram_peak_fare",
    "dates",
    "tram tap-in: Monday to Friday from 07:00 to 09:29 or from 16:00 to 18:29",
    f_len(101, 188),
    mk_fare,
    lab_fare,
)


def mk_date(rng, f):
    return f"{rng.randint(1985, 2032)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


SEASONS = ("summer", "autumn", "winter", "spring")

# difficulty: simple
add(
    "southern_season",
    "dates",
    "season of a date in New Zealand: December to February summer, then autumn, winter, spring by three months",
    None,
    mk_date,
    lambda s: SEASONS[int(s[5:7]) % 12 // 3],
    SEASONS,
)


def hm(m):
    return f"{m // 60:02d}:{m % 60:02d}"


def mins(t):
    return int(t[:2]) * 60 + int(t[3:5])


def mk_meet(rng, f):
    a = rng.randrange(8 * 60, 16 * 60, 5)
    la, lb = (rng.choice([25, 30, 45, 60, 75, 90, 120]) for _ in range(2))
    r = rng.random()
    if r < 0.12:
        b = a + la
    elif r < 0.2:
        b = a - lb
    else:
        b = max(7 * 60, min(18 * 60, a + rng.randrange(-180, 185, 5)))
    return f"{hm(a)}-{hm(a + la)} {f} {hm(b)}-{hm(b + lb)}"


def lab_meet(s):
    a, _, b = s.split()
    return yn(a[:5] < b[6:] and b[:5] < a[6:])


# difficulty: middling
add(
    "double_booked_room",
    "dates",
    "two bookings of one room overlap (one ending as the other starts is fine; either may be the earlier)",
    lambda rng: rng.choice(["/", "&", "vs"]),
    mk_meet,
    lab_meet,
)


def mk_flight(rng, f):
    dep = rng.randrange(0, 1440, 5)
    o1, o2 = rng.randint(-8, 10), rng.randint(-8, 10)
    dur = max(60, int(abs(o1 - o2) * rng.choice([50, 60, 70]) + rng.randint(0, 36) * 5))
    return f"dep {hm(dep)} UTC{o1:+03d} fly {dur // 60}h{dur % 60:02d} arr UTC{o2:+03d}"


def lab_flight(s):
    m = re.fullmatch(r"dep (..:..) UTC(...) fly (\d+)h(\d\d) arr UTC(...)", s)
    t = mins(m[1]) + int(m[3]) * 60 + int(m[4]) + 60 * (int(m[5]) - int(m[2]))
    return yn(t >= 1440)


# difficulty: hard
add(
    "flight_lands_next_day",
    "dates",
    "flight: departure plus flying time, moved by the two offsets, is past the local midnight of the departure date",
    None,
    mk_flight,
    lab_flight,
)

# ---------------------------------------------------------------- codes and identifiers


def mk_sku(rng, f):
    return f"{''.join(rng.choice('ABCDEFGHKLMPRST') for _ in range(3))}-{rng.randint(0, 9999):04d}-{rng.choice('ABCDEFGHKLMPRST')}"


# difficulty: simple
add(
    "sku_variant_in_family",
    "codes",
    "stock code ABC-1234-B: the variant letter at the end is one of the three family letters",
    None,
    mk_sku,
    lambda s: yn(s[-1] in s[:3]),
)


def mk_chess(rng, f):
    while True:
        c, r = rng.randrange(8), rng.randrange(8)
        k = rng.randrange(4)
        if k == 0:
            d = rng.choice([-1, 1]) * rng.randint(1, 7)
            dc, dr = rng.choice([(d, 0), (0, d)])
        elif k == 1:
            d = rng.randint(1, 7)
            dc, dr = rng.choice([-d, d]), rng.choice([-d, d])
        elif k == 2:
            dc, dr = rng.choice([(1, 2), (2, 1), (3, 1), (1, 3), (2, 3), (3, 2)])
            dc, dr = dc * rng.choice([-1, 1]), dr * rng.choice([-1, 1])
        else:
            dc, dr = rng.randint(-7, 7), rng.randint(-7, 7)
        if (dc or dr) and 0 <= c + dc < 8 and 0 <= r + dr < 8:
            break
    return f"{f}. {'abcdefgh'[c]}{r + 1}-{'abcdefgh'[c + dc]}{r + dr + 1} {rng.randint(0, 3)}:{rng.randint(0, 59):02d}"


def lab_chess(s):
    m = re.search(r"([a-h])(\d)-([a-h])(\d)", s)
    a, b = abs(ord(m[1]) - ord(m[3])), abs(int(m[2]) - int(m[4]))
    return "straight" if a * b == 0 else "diagonal" if a == b else "other"


# difficulty: middling
add(
    "chess_move_geometry",
    "codes",
    "chess move such as '17. b1-c3 0:42': along a rank or file (straight), along a diagonal, or other; number and clock are noise",
    f_len(1, 49),
    mk_chess,
    lab_chess,
    ("straight", "diagonal", "other"),
)


def mk_seat(rng, f):
    pnr = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(6))
    return f"{pnr}/{rng.randint(1, 38)}{rng.choice('ABCDEF')}"


# difficulty: simple
add(
    "airline_seat_place",
    "codes",
    "booking and seat such as XK7Q2L/23F: A and F window, B and E middle, C and D aisle",
    None,
    mk_seat,
    lambda s: {"A": "window", "F": "window", "B": "middle", "E": "middle"}.get(s[-1], "aisle"),
    ("window", "middle", "aisle"),
)


def mk_dna(rng, n):
    s = [rng.choice("ACGT") for _ in range(n)]
    i = rng.randint(0, n - 15)
    s[i : i + 3] = "ATG"
    if rng.random() < 0.6:
        j = rng.randint(i + 3, n - 3)
        s[j : j + 3] = rng.choice(["TAA", "TAG", "TGA"])
    return "".join(s)


def lab_orf(s):
    i = s.find("ATG")
    return yn(
        i >= 0 and any(s[j : j + 3] in {"TAA", "TAG", "TGA"} for j in range(i, len(s) - 2, 3))
    )


# difficulty: hard
add(
    "open_reading_frame_closed",
    "codes",
    "DNA: reading in threes from the first ATG meets a stop codon (TAA, TAG, TGA); stops out of frame do not count",
    f_len(24, 42),
    mk_dna,
    lab_orf,
)


def mk_version(rng, f):
    a = [rng.randint(0, 12), rng.randint(0, 14), rng.randint(0, 20)]
    b = list(a)
    k = rng.randrange(3)
    b[k] = max(0, b[k] + rng.choice([-3, -1, 1, 1, 2, 3, 5]))
    for j in range(k + 1, 3):
        b[j] = rng.choice([0, a[j], rng.randint(0, 14)])
    return f"{f[0]} {'.'.join(map(str, a))} {f[1]} {'.'.join(map(str, b))}"


def lab_version(s):
    _, a, _, b = s.split()
    a, b = [int(v) for v in a.split(".")], [int(v) for v in b.split(".")]
    if b <= a:
        return "rollback"
    return "major" if b[0] > a[0] else "minor" if b[1] > a[1] else "patch"


# difficulty: middling
add(
    "release_bump_kind",
    "codes",
    "package update such as 'libfoo 2.9.4 -> 2.10.0': the first part that grows names it (major, minor, patch); not newer is a rollback",
    lambda rng: (
        rng.choice("libpng zlib curl ffmpeg redis nginx openssl sqlite".split()),
        rng.choice(["->", "to"]),
    ),
    mk_version,
    lab_version,
    ("major", "minor", "patch", "rollback"),
)

# ---------------------------------------------------------------- bracketed text


def bal(rng, k):
    """a random balanced string of k pairs, some letters between"""
    out, o, c = [], 0, 0
    while c < k:
        if o < k and (o == c or rng.random() < 0.5):
            out.append("(")
            o += 1
        else:
            out.append(")")
            c += 1
    return out


def mk_balanced(rng, f):
    k, letters = f
    s = bal(rng, k)
    r = rng.random()
    if r < 0.5:
        i, j = rng.sample(range(len(s)), 2)
        s[i], s[j] = s[j], s[i]
    elif r < 0.65:
        i = rng.randrange(len(s))
        s[i] = ")" if s[i] == "(" else "("
    for _ in range(letters):
        s.insert(rng.randint(0, len(s)), rng.choice("abxyz"))
    return "".join(s)


def lab_balanced(s):
    h = 0
    for ch in s:
        h += (ch == "(") - (ch == ")")
        if h < 0:
            return "no"
    return yn(h == 0)


# difficulty: simple
add(
    "formula_parentheses_match",
    "brackets",
    "round brackets among letters are properly matched (equal numbers in a wrong order do not pass)",
    lambda rng: (rng.randint(4, 8), rng.randint(3, 8)),
    mk_balanced,
    lab_balanced,
)

PAIRS = ("()", "[]", "{}")


def mk_mixed(rng, f):
    k, letters = f
    s, stack = [], []
    for ch in bal(rng, k):
        if ch == "(":
            p = rng.choice(PAIRS)
            stack.append(p[1])
            s.append(p[0])
        else:
            s.append(stack.pop())
    for _ in range(letters):
        s.insert(rng.randint(0, len(s)), rng.choice("klmnp"))
    return "".join(s)


def lab_deepest(s):
    h, best, kind = 0, 0, ""
    for ch in s:
        if ch in "([{":
            h += 1
            if h > best:
                best, kind = h, ch
        elif ch in ")]}":
            h -= 1
    return {"(": "round", "[": "square", "{": "curly"}[kind]


# difficulty: middling
add(
    "deepest_bracket_shape",
    "brackets",
    "matched brackets of three shapes: the shape of the most deeply nested pair (the first such)",
    lambda rng: (rng.randint(4, 8), rng.randint(2, 6)),
    mk_mixed,
    lab_deepest,
    ("round", "square", "curly"),
)


def split_n(rng, n, k):
    cuts = sorted(rng.sample(range(1, n), k - 1))
    return [b - a for a, b in zip([0, *cuts], [*cuts, n])]


def call(rng, n, k):
    args = []
    for m in split_n(rng, n, k):
        args.append("?" if m == 1 else call(rng, m, rng.randint(2, min(4, m))))
    return f"{rng.choice(['f', 'g', 'h', 'max', 'sum'])}({','.join(args)})"


def mk_call(rng, f):
    """as many leaves and as many calls as the frame says, so that length tells nothing"""
    n, calls = f
    while True:
        s = call(rng, n, rng.randint(2, 4))
        if s.count("(") <= calls:
            break
    while s.count("(") < calls:
        i = rng.choice([i for i, ch in enumerate(s) if ch == "?"])
        s = f"{s[:i]}{rng.choice(['f', 'g', 'h', 'abs', 'neg'])}(?){s[i + 1 :]}"
    return "".join(rng.choice("abcdwxyz") if ch == "?" else ch for ch in s)


def lab_args(s):
    h, k = 0, 1
    for ch in s:
        h += (ch == "(") - (ch == ")")
        k += ch == "," and h == 1
    return k


# difficulty: middling
add(
    "outer_call_arity",
    "brackets",
    "nested calls such as f(a,g(b,c),d): how many arguments the outermost call has (2, 3 or 4), whatever is nested in them",
    lambda rng: (rng.randint(5, 8), rng.randint(4, 6)),
    mk_call,
    lab_args,
    (2, 3, 4),
)


def tree(rng, leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 3 if len(leaves) > 3 and rng.random() < 0.15 else 2
    out, at = [], 0
    for m in split_n(rng, len(leaves), k):
        out.append(tree(rng, leaves[at : at + m]))
        at += m
    return f"({','.join(out)})"


def mk_newick(rng, n):
    leaves = list("ABCDEFGHIJ"[:n])
    rng.shuffle(leaves)
    return tree(rng, leaves) + ";"


def lab_newick(s):
    def depth(c):
        p = s[: s.index(c)]
        return p.count("(") - p.count(")")

    return yn(depth("A") > depth("B"))


# difficulty: hard
add(
    "newick_a_branches_later",
    "brackets",
    "evolutionary tree in Newick form: leaf A lies under more brackets than leaf B",
    f_len(6, 10),
    mk_newick,
    lab_newick,
)

# ---------------------------------------------------------------- graphs as edge lists


def f_graph(nlo, nhi, dlo, dhi):
    def f(rng):
        n = rng.randint(nlo, nhi)
        return n, n + rng.randint(dlo, dhi)

    return f


def mk_graph(rng, f):
    n, m = f
    allp = [(a, b) for a in range(1, n + 1) for b in range(a + 1, n + 1)]
    es = rng.sample(allp, m)
    return " ".join(f"{a}-{b}" if rng.random() < 0.6 else f"{b}-{a}" for a, b in es)


def edges(s):
    return [tuple(map(int, e.split("-"))) for e in s.split()]


def degs(s):
    return Counter(v for e in edges(s) for v in e)


def nbrs(s):
    g = {}
    for a, b in edges(s):
        g.setdefault(a, set()).add(b)
        g.setdefault(b, set()).add(a)
    return g


# difficulty: simple
add(
    "overloaded_network_switch",
    "graphs",
    "cabling plan: some switch has four or more cables",
    f_graph(6, 9, -1, 2),
    mk_graph,
    lambda s: yn(max(degs(s).values()) >= 4),
)


def lab_deadends(s):
    k = sum(d == 1 for d in degs(s).values())
    return "few" if k <= 1 else "two" if k == 2 else "many"


# difficulty: middling
add(
    "cul_de_sacs",
    "graphs",
    "street map: how many junctions have a single street (few: none or one, two, many: three or more)",
    f_graph(6, 9, -1, 1),
    mk_graph,
    lab_deadends,
    ("few", "two", "many"),
)


def lab_two_teams(s):
    g, side = nbrs(s), {}
    for r in g:
        if r in side:
            continue
        side[r], q = 0, [r]
        while q:
            v = q.pop()
            for w in g[v]:
                if w not in side:
                    side[w] = 1 - side[v]
                    q.append(w)
                elif side[w] == side[v]:
                    return "no"
    return "yes"


# difficulty: middling
add(
    "rivals_fit_two_minibuses",
    "graphs",
    "each edge is a quarrel: the pupils can be put in two minibuses so that no two who quarrel ride together",
    f_graph(6, 9, -1, 1),
    mk_graph,
    lab_two_teams,
)


def mk_reach(rng, f):
    while True:
        s = mk_graph(rng, f)
        d = degs(s)
        if d[1] and d[f[0]]:
            return s


def lab_reach(s):
    g = nbrs(s)
    goal, dist, q = max(g), {1: 0}, deque([1])
    while q:
        v = q.popleft()
        for w in g.get(v, ()):
            if w not in dist:
                dist[w] = dist[v] + 1
                q.append(w)
    k = dist.get(goal)
    return "cut" if k is None else "near" if k <= 2 else "far"


# difficulty: hard
add(
    "depot_to_last_stop",
    "graphs",
    "road network: from depot 1 to the highest-numbered stop in at most two legs (near), in more (far), or not at all (cut)",
    f_graph(7, 9, -2, 0),
    mk_reach,
    lab_reach,
    ("near", "far", "cut"),
)

# ---------------------------------------------------------------- lists of integers


def ints(s):
    return [int(v) for v in s.split(",")]


def mk_prices(rng, n):
    v, out = rng.randint(30, 70), []
    for _ in range(n):
        v = min(99, max(10, v + rng.randint(-9, 9)))
        out.append(v)
    return ",".join(map(str, out))


# difficulty: simple
add(
    "close_above_average",
    "lists",
    "daily prices: the last is above the mean of them all",
    f_len(5, 12),
    mk_prices,
    lambda s: yn(ints(s)[-1] * len(ints(s)) > sum(ints(s))),
)


def mk_melody(rng, n):
    v, out = rng.randint(55, 72), []
    for _ in range(n):
        out.append(v)
        step = rng.choice([1, 1, 2, 2, 2, 3, 4, 5, 7, 9, 12]) * rng.choice([-1, 1])
        v = v + step if 40 <= v + step <= 88 else v - step
    return ",".join(map(str, out))


def lab_leap(s):
    v = ints(s)
    d = [b - a for a, b in zip(v, v[1:])]
    return yn(max(d, key=abs) > 0)


# difficulty: middling
add(
    "melody_widest_leap_rises",
    "lists",
    "melody as MIDI note numbers: the widest step between neighbouring notes goes up (of equals the first counts)",
    f_len(6, 14),
    mk_melody,
    lab_leap,
)


def mk_account(rng, n):
    tilt = rng.randint(-5, 20)
    out = [rng.randint(5, 60)] + [rng.randint(-45, 40) + tilt for _ in range(n - 1)]
    return ",".join(map(str, out))


def lab_overdraft(s):
    t = 0
    for v in ints(s):
        t += v
        if t < 0:
            return "yes"
    return "no"


# difficulty: middling
add(
    "account_ever_overdrawn",
    "lists",
    "payments in and out of an account that starts empty: the balance is below zero at some point",
    f_len(5, 11),
    mk_account,
    lab_overdraft,
)


def mk_hand(rng, n):
    out = []
    while len(out) < n:
        if out and rng.random() < 0.35:
            out.append(rng.choice(out))
        else:
            out.append(rng.randint(1, 13))
    rng.shuffle(out)
    return ",".join(map(str, out))


def lab_hand(s):
    c = sorted(Counter(ints(s)).values(), reverse=True)
    if c[0] == 1:
        return "distinct"
    if c[0] == 2:
        return "pairs"
    return "house" if len(c) > 1 and c[1] >= 2 else "set"


# difficulty: middling
add(
    "card_hand_pattern",
    "lists",
    "card ranks: all distinct; pairs at best; a set (one rank three times or more, no other repeated); a house (such a set and another repeated rank)",
    f_len(5, 8),
    mk_hand,
    lab_hand,
    ("distinct", "pairs", "set", "house"),
)


def mk_fund(rng, n):
    mid, out, v = rng.randint(40, 160), [], 0
    for _ in range(n):
        v = round(0.25 * v + rng.gauss(0, 11))
        out.append(max(5, mid + v))
    return ",".join(map(str, out))


def lab_drawdown(s):
    v = ints(s)
    drop = max(v[i] - v[j] for i in range(len(v)) for j in range(i + 1, len(v)))
    rise = max(v[j] - v[i] for i in range(len(v)) for j in range(i + 1, len(v)))
    return yn(drop > rise)


# difficulty: hard
add(
    "drawdown_beats_runup",
    "lists",
    "fund values: the largest fall from a value to any later one is larger than the largest climb from a value to any later one",
    f_len(6, 12),
    mk_fund,
    lab_drawdown,
)

# ---------------------------------------------------------------- table rows


def mk_tank(rng, f):
    return {
        "tank_id": f"T{rng.randint(1, 60):02d}",
        "species": rng.choice(["tetra", "guppy", "discus", "betta", "cichlid"]),
        "temp_c": round(rng.uniform(21, 30), 1),
        "ph": round(rng.uniform(5.9, 8.1), 1),
        "nitrate_ppm": rng.randint(2, 60),
        "last_feed_h": rng.randint(0, 30),
    }


# difficulty: simple
add(
    "aquarium_water_change",
    "tables",
    "aquarium reading: change water when nitrate is above 40 ppm or the pH is below 6.5",
    None,
    mk_tank,
    lambda r: yn(r["nitrate_ppm"] > 40 or r["ph"] < 6.5),
)


def mk_parcel(rng, f):
    return {
        "order_ref": f"P{rng.randint(10000, 99999)}",
        "service": rng.choice(["economy", "express", "locker"]),
        "length_cm": rng.randint(20, 150),
        "width_cm": rng.randint(10, 90),
        "height_cm": rng.randint(5, 80),
        "weight_kg": round(rng.uniform(0.4, 29), 1),
        "fragile": rng.choice(["y", "n", "n"]),
    }


def lab_parcel(r):
    a, b, c = sorted([r["length_cm"], r["width_cm"], r["height_cm"]])
    return yn(c + 2 * (a + b) > 270)


# difficulty: middling
add(
    "parcel_over_girth_limit",
    "tables",
    "courier parcel: its longest side plus twice the sum of the other two sides is above 270 cm",
    None,
    mk_parcel,
    lab_parcel,
)


def mk_booking(rng, f):
    return {
        "rate_plan": rng.choice(["flex", "saver", "group"]),
        "lead_days": int(rng.choice([rng.uniform(0, 6), rng.uniform(0, 20), rng.uniform(5, 60)])),
        "nights": rng.randint(1, 9),
        "guest_tier": rng.choice(["none", "silver", "gold"]),
        "channel": rng.choice(["web", "phone", "agent"]),
        "paid_eur": rng.randint(60, 1900),
    }


def lab_booking(r):
    p, d = r["rate_plan"], r["lead_days"]
    if p == "flex":
        return "full" if d >= 2 else "partial"
    if p == "group":
        return "full" if d >= 30 else "partial" if d >= 10 else "none"
    return "partial" if r["guest_tier"] == "gold" else "none"


# difficulty: middling
add(
    "hotel_cancellation_refund",
    "tables",
    "hotel cancellation: flex is refunded in full from 2 days ahead, else in part; group in full from 30 days, in part from 10; saver only in part and only for gold guests",
    None,
    mk_booking,
    lab_booking,
    ("full", "partial", "none"),
)


def mk_shift(rng, f):
    a = rng.randrange(0, 1440, 15)
    n = rng.randrange(6 * 60, 11 * 60 + 15, 15)
    return {
        "badge": rng.randint(1000, 9999),
        "role": rng.choice(["nurse", "porter", "guard", "cook"]),
        "clock_in": hm(a),
        "clock_out": hm((a + n) % 1440),
        "break_min": rng.choice([0, 15, 30, 30, 45, 60]),
        "site": rng.choice(["north", "south", "annex"]),
    }


def lab_shift(r):
    n = (mins(r["clock_out"]) - mins(r["clock_in"])) % 1440 - r["break_min"]
    return yn(n > 480)


# difficulty: hard
add(
    "shift_earns_overtime",
    "tables",
    "work shift, perhaps over midnight: time from clock-in to clock-out less the break is more than eight hours",
    None,
    mk_shift,
    lab_shift,
)
