"""Published lists of rules for measuring the built-in search, one TOML file a list.

A rule has a name, a sentence, a generator of inputs and a function that labels them; README.md
beside this file describes the format. Rows are drawn from the generators, so a list is small, and a
digest of the rows of seed 0 tells whether they are still the rows that were measured.

Example
-------
>>> rule = load("round1")[0]
>>> rows = draw(rule, seed=0, test=10)
>>> len(rows.train), len(rows.validation), len(rows.test)
(100, 100, 10)
"""

import hashlib
import inspect
import json
import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any

from llm_pv.data.examples import Examples, Input
from llm_pv.data.labels import label_text

FOLDER = Path(__file__).parent
TRAIN, VALIDATION, TEST = 100, 100, 2000
DRAWS = 100_000
"""Most draws for the distinct rows of a rule: a generator may have fewer inputs than asked for."""


@dataclass(frozen=True)
class Rule:
    """A rule with the inputs it is learned on.

    Attributes
    ----------
    name, kind, sentence
        The rule in a word, its domain, and what it says.
    make
        Draws an input from a random generator.
    label
        The right answer for an input.
    probes
        Inputs from outside the generator with right answers worked out by hand.
    digest
        Of the rows of seed 0, or empty before the list is published.
    """

    name: str
    kind: str
    sentence: str
    make: Callable[[random.Random], Input]
    label: Callable[[Input], object]
    probes: tuple[tuple[Input, str], ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Rows:
    """Labelled rows of a rule, all distinct."""

    train: Examples
    validation: Examples
    test: Examples


def lists() -> list[str]:
    """Return the names of the published lists."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> list[Rule]:
    """Return the rules of a published list, or of a file in the same format.

    Raises
    ------
    ValueError
        If a rule lacks a part or two rules have the same name; the message names the rule.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    shared = compile(content.get("shared", ""), f"{path.name}: shared", "exec")
    tries = int(content.get("tries", 0))
    rules = [_rule({"tries": tries, **entry}, shared, path.name) for entry in content["rule"]]
    names = [rule.name for rule in rules]
    for rule_name in names:
        if names.count(rule_name) > 1:
            raise ValueError(f"{path.name}: the name {rule_name!r} is used twice; rename one rule")
    return rules


def _rule(entry: dict[str, Any], shared: CodeType, file: str) -> Rule:
    """Run a rule's code in a namespace of its own."""
    name = entry.get("name", "?")
    missing = {"name", "kind", "sentence", "code"} - set(entry)
    if missing:
        raise ValueError(f"{file}: rule {name!r} lacks {', '.join(sorted(missing))}; add it")
    namespace: dict[str, Any] = {}
    exec(shared, namespace)
    exec(compile(entry["code"], f"{file}: {name}", "exec"), namespace)
    if not {"make", "label"} <= set(namespace):
        raise ValueError(f"{file}: the code of {name!r} must define make and label")
    lines = [line for line in entry.get("probes", "").splitlines() if line.strip()]
    probes = [json.loads(line) for line in lines]
    return Rule(
        name,
        entry["kind"],
        entry["sentence"],
        _sampler(namespace, entry.get("classes", []), entry["tries"]),
        namespace["label"],
        tuple((given, label_text(answer)) for given, answer in probes),
        entry.get("rows", ""),
    )


def _sampler(
    namespace: dict[str, Any], classes: list[object], tries: int
) -> Callable[[random.Random], Input]:
    """Return a sampler that fixes a frame and a class, then draws until the class is met."""
    make, frame, label = namespace["make"], namespace.get("frame"), namespace["label"]
    arguments = len(inspect.signature(make).parameters)

    def sample(chance: random.Random) -> Input:
        fixed = frame(chance) if frame else None
        wanted = chance.choice(classes) if classes else None
        for _ in range(tries + 1):
            drawn: Input = make(chance, fixed) if arguments > 1 else make(chance)
            if not classes or label(drawn) == wanted:
                break
        return drawn

    return sample


def draw(rule: Rule, seed: int = 0, test: int = TEST) -> Rows:
    """Draw distinct rows of a rule and label them.

    Parameters
    ----------
    rule
        From `load`.
    seed
        Rows depend on it and on the rule's name, and on nothing else.
    test
        How many of 2,000 test rows to return.
    """
    chance = random.Random(f"{rule.name} {seed}")
    distinct: dict[str, Input] = {}
    for _ in range(DRAWS):
        row = rule.make(chance)
        distinct.setdefault(repr(row), row)
        if len(distinct) == TRAIN + VALIDATION + TEST:
            break
    rows = list(distinct.values())
    chance.shuffle(rows)
    labels = [label_text(rule.label(row)) for row in rows]
    cuts = [0, TRAIN, TRAIN + VALIDATION, TRAIN + VALIDATION + test]
    return Rows(*(Examples(rows[a:b], labels[a:b]) for a, b in pairwise(cuts)))


def digest(rule: Rule) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the rows of seed 0."""
    rows = draw(rule)
    parts = [(list(one.inputs), list(one.labels)) for one in (rows.train, rows.validation)]
    text = json.dumps([*parts, (list(rows.test.inputs), list(rows.test.labels))], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
