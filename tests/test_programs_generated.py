"""The normal form computes what the program does, on generated programs.

Names are few, so that they are bound, read, shadowed and hidden in every scope there is.
"""

import ast
import re
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llm_pv.programs.normalise import normalise_tree

NAMES = st.sampled_from(["a", "b", "c", "x", "f", "len"])


def indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def expressions(depth: int) -> st.SearchStrategy[str]:
    if depth == 0:
        return NAMES | st.integers(0, 3).map(str)
    inner = expressions(depth - 1)
    return st.one_of(
        inner,
        st.builds("({} or {})".format, inner, inner),
        st.builds("(lambda {0}={1}: ({0}, {2}))()".format, NAMES, inner, inner),
        st.builds("[{1} for {0} in [{2}] if {3}]".format, NAMES, inner, inner, inner),
        st.builds("[{3} for {0} in [{1}] for {2} in [{0}]]".format, NAMES, inner, NAMES, inner),
        st.builds("({0} := {1})".format, NAMES, inner),
        st.builds("f'{{{0}!r:>{{{1}}}}}'".format, inner, st.integers(0, 9)),
    )


VALUES = expressions(2)
FORMS = [
    "NAME = VALUE",
    "NAME: int",
    "NAME: int = VALUE",
    "del NAME",
    "for NAME in [VALUE]:\n    BODY",
    "def NAME(OTHER=VALUE):\n    BODY\n    return repr((NAME, OTHER))\nlog.append(NAME())",
    "class NAME:\n    BODY\n    log.append(OTHER)",
    "import math as NAME",
    "try:\n    BODY\nexcept NameError as NAME:\n    log.append(OTHER)",
    "match VALUE:\n    case [NAME, *_]:\n        log.append(NAME)",
    "log.append(repr(VALUE))",
    "log.append(repr((NAME, OTHER)))",
]


@st.composite
def statements(draw: st.DrawFn, depth: int) -> list[str]:
    """Draw statements that bind, read, shadow and hide a handful of names."""
    lines: list[str] = []
    for form in draw(st.lists(st.sampled_from(FORMS), min_size=1, max_size=3)):
        text = form.replace("NAME", draw(NAMES)).replace("OTHER", draw(NAMES))
        if "VALUE" in text:
            text = text.replace("VALUE", draw(VALUES))
        if "BODY" in text:
            body = indented(draw(statements(depth - 1))) if depth else ["    pass"]
            text = text.replace("    BODY", "\n".join(body))
        lines += text.split("\n")
    return lines


def outcome(code: Any) -> list[str]:
    """Run a module; return what it logged and the kind of error it ended with."""
    log: list[object] = []
    try:
        exec(code, {"log": log, "__name__": "candidate"})
    except Exception as error:  # noqa: BLE001 - a generated program may fail in any way
        log.append(type(error).__name__)
    # Addresses differ between any two runs, and the text of an error may carry a local's name.
    texts = [re.sub(r"Error\(.*", "Error", repr(entry)) for entry in log]
    return [text for text in texts if " at 0x" not in text]


@given(statements(2))
def test_a_generated_program_computes_the_same_when_normalised(lines: list[str]) -> None:
    source = "\n".join(
        ["def main(x=0, a=1):", *indented(lines), *indented(["log.append(repr((x, a)))"]), "main()"]
    )
    try:
        expected = compile(source, "<source>", "exec", dont_inherit=True)
    except SyntaxError:  # `:=` over a comprehension's own variable, say
        return
    tree = ast.parse(source)
    normalise_tree(tree)
    normalised = compile(tree, "<normalised>", "exec", dont_inherit=True)
    wanted = outcome(expected)
    if sys.version_info >= (3, 12) and wanted == ["'NameError'"] and "(lambda" in source:
        return  # 3.12.1 and 3.13.0 lose a variable that inlined comprehensions and a lambda share
    assert outcome(normalised) == wanted
