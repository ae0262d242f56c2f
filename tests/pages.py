"""The blocks of a documentation page, and what the tests do with each kind.

``python`` blocks of a page run in order and share their names. ``bash`` blocks run in order in one
folder, unless the line above says ``<!-- not run: REASON -->``; commands of this project that are
not run must at least parse. A ``text`` block under ``<!-- output -->`` is what the block above it
printed, line by line; a line with an ellipsis holds as far as that goes. Other languages are
shown, not run.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    + list((ROOT / "docs").rglob("*.md"))
    + [ROOT / f"{seed}/README.md" for seed in ("program_synthesis", "in_context_learning")]
    + [ROOT / "finetuning/README.md"]
)
SHOWN = {"csv", "html", "json", "text", "yaml"}
"""Languages of blocks that are read and not run."""

_MARKER = re.compile(r"<!--\s*(not run: *(?P<reason>\S.*?)|(?P<output>output))\s*-->\s*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text, its first line in the page, and its marker."""

    language: str
    text: str
    line: int
    reason: str = ""
    is_output: bool = False


def name_of(page: Path) -> str:
    """Return a page's path in the repository."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    found = []
    tokens = MarkdownIt("commonmark").parse(page.read_text("utf-8"))
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "fence" and token.map is not None:
            above = before.content if before is not None and before.type == "html_block" else ""
            marker = _MARKER.fullmatch(above)
            found.append(
                Block(
                    token.info.strip(),
                    token.content,
                    token.map[0] + 2,
                    (marker["reason"] or "") if marker else "",
                    bool(marker and marker["output"]),
                )
            )
    return found


def tables(text: str) -> Iterator[list[list[str]]]:
    """Yield the tables of a Markdown text as rows of cells, their headings first."""
    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.map and token.level >= 4:
            rows[-1].append(token.content)
        elif token.type == "table_close":
            yield rows


def commands(text: str) -> Iterator[tuple[App, list[str]]]:
    """Yield the commands of this project in a shell text: the parser and the words it gets."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;<>"):
                found = _command(words)
                if found:
                    yield found
                words = []
            else:
                words.append(word)


def _command(words: list[str]) -> tuple[App, list[str]] | None:
    from llm_pv.cli import finetune, main, seed_icl, seed_synthesis, sweep

    if words[:1] == ["llm-pv"]:
        return main.app, words[1:]
    seeds = {
        "program_synthesis/runner.py": seed_synthesis.app,
        "in_context_learning/vllm_incontext.py": seed_icl.app,
        "finetuning/main.py": finetune.seed_app,
        "finetuning/sweep.py": sweep.sweep_app,
        "finetuning/metrics.py": sweep.metrics_app,
    }
    for position, word in enumerate(words):
        if word in seeds:
            return seeds[word], words[position + 1 :]
    return None
