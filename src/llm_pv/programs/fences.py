"""Find fenced blocks in a reply, by the rules of Markdown and as models write them."""

import ast
import builtins
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_pv.programs.scopes import Scopes

_FENCE_LINE = re.compile(r"^[ \t]*+(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*+)$", re.MULTILINE)
_FENCE = re.compile(r"`{3,}(?:[\w+-]++[ \t]*+(?=\n))?")
_TRIPLE_QUOTES = ('"""', "'''")
_MOST_LATER_ENDS = 20
_KINDS = r"(?:option|candidate|version|program|solution|approach|attempt|variant)"
_LABEL = re.compile(rf"\b{_KINDS}[ \t]++(\w{{1,8}})\b", re.IGNORECASE)
_CHOSEN = re.compile(
    r"\b(?:final|answer is|choose|chosen|select(?:ed)?|submit|best)\b[^\n.]{0,30}?"
    + _LABEL.pattern,
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"\bfinal (?:answer|version|program|code|solution|rule)\b|^\W*final\W*$", re.IGNORECASE
)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block."""

    start: int
    end: int
    "The positions in the text where its content begins and ends."
    closed: bool
    "Whether a fence closes it; the last block may extend to the end of the text."


def fenced_blocks(text: str) -> list[CodeBlock]:
    r"""Return the fenced blocks of a text in their order, by the rules of Markdown.

    A fence is closed by one of the same character, at least as long, with nothing behind it; so a
    block between four backticks may hold one between three.

    Examples
    --------
    >>> text = "So:\n````python\na\n```\nb\n```\n````\nDone."
    >>> [text[block.start : block.end] for block in fenced_blocks(text)]
    ['a\n```\nb\n```\n']
    """
    blocks: list[CodeBlock] = []
    opened: re.Match[str] | None = None
    for fence in _FENCE_LINE.finditer(text):
        if opened is None:
            opened = fence
        elif fence["mark"].startswith(opened["mark"]) and not fence["info"].strip():
            blocks.append(
                CodeBlock(min(opened.end() + 1, fence.start()), fence.start(), closed=True)
            )
            opened = None
    if opened is not None:
        blocks.append(CodeBlock(min(opened.end() + 1, len(text)), len(text), closed=False))
    return blocks


def block_readings(text: str) -> Iterator[str]:
    """Yield the possible contents of fences, likeliest first, the last block first.

    First the blocks; one that ends within a triple-quoted string, as in a docstring with a fenced
    example, is extended to a later fence. Then all text between two fences, without distinguishing
    blocks from the prose between them, because prose does not compile.
    """
    ends: list[int] | None = None
    for block in _by_rank(text, fenced_blocks(text)):
        yield text[block.start : block.end]
        if block.closed and _open_string(text[block.start : block.end]):
            ends = [match.start() for match in _FENCE_LINE.finditer(text)] if ends is None else ends
            yield from _longer(text, block, ends)
    for fence in (_FENCE_LINE, _FENCE):
        yield from reversed(_split(fence, text))


def _by_rank(text: str, blocks: list[CodeBlock]) -> list[CodeBlock]:
    """Return the blocks, the last first, but before them those that the text calls final."""
    named = {label[1].lower() for label in _CHOSEN.finditer(text)}
    ranks: dict[int, int] = {}
    before = 0
    for block in blocks:
        lines = text[before : block.start].rstrip().split("\n")[:-1]  # without the fence
        heading = next((line for line in reversed(lines) if line.strip()), "")
        labels = {label[1].lower() for label in _LABEL.finditer(heading)}
        is_chosen = len(named) == 1 and labels == named
        ranks[block.start] = 2 * is_chosen + bool(_FINAL.search(heading))
        before = block.end
    return sorted(blocks, key=lambda block: (ranks[block.start], block.start), reverse=True)


def _longer(text: str, block: CodeBlock, ends: list[int]) -> Iterator[str]:
    """Yield the shortest longer reading of a block that ends outside of every string."""
    first = bisect_right(ends, block.end)
    for end in ends[first : first + _MOST_LATER_ENDS]:
        if not _open_string(text[block.start : end]):
            yield text[block.start : end]
            return


def _open_string(code: str) -> bool:
    """Return whether code ends within a triple-quoted string, by counting its quotes."""
    return any(code.count(quotes) % 2 for quotes in _TRIPLE_QUOTES)


def _split(fence: re.Pattern[str], text: str) -> list[str]:
    parts: list[str] = []
    position = 0
    for match in fence.finditer(text):
        parts.append(text[position : match.start()])
        position = match.end()
    return [*parts, text[position:]]


def joined_source(source: str, earlier: Sequence[str]) -> str:
    r"""Return a source with those earlier blocks before it that define names it lacks.

    Parse only in the confined parser.

    Parameters
    ----------
    earlier
        The blocks before it, in their order; those that do not parse are left out.

    Examples
    --------
    >>> joined_source("f = ones\n", ["x = 1\n", "def ones(x):\n    return x.count('1')\n"])
    "def ones(x):\n    return x.count('1')\n\nf = ones\n"
    """
    used, bound = _names(source)
    lacking = used - bound
    parts = [source]
    for block in reversed(earlier):
        try:
            used, defined = _names(block)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if lacking & defined:
            parts.insert(0, block if block.endswith("\n") else block + "\n")
            lacking = (lacking | used) - defined
    return "\n".join(parts)


def _names(source: str) -> tuple[set[str], set[str]]:
    """Return the names that a source uses, builtins left out, and those that it binds anywhere."""
    scopes = Scopes(ast.parse(source))
    used = {
        one.name
        for one in scopes.occurrences
        if isinstance(one.node, ast.Name) and isinstance(one.node.ctx, ast.Load)
    }
    return used - set(dir(builtins)), set(scopes.bindings)
