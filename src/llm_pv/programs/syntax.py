"""Parse a source, or reject it with a reason.

Rejected is text that does not compile, is too long or nested too deeply, or contains characters
that no source file can contain. Nothing is run here, so the behaviour of a program is not checked.
"""

import ast
import re
import warnings

from llm_pv.errors import ProgramError

MAX_SOURCE_CHARACTERS = 50_000
"""The longest source accepted; a longer one stores its data rather than a rule."""

DATA_NAME = "_training_rows"
"""The name whose assignment does not count: the rows that a submitted model learns from."""

_DATA_LINE = re.compile(rf'^{DATA_NAME} = "[A-Za-z0-9+/=]*"$', re.MULTILINE)


def clean_source(source: str) -> str:
    r"""Return the source with ``\n`` line ends, a final newline and no byte order mark.

    Python reads all three line ends alike, even inside string literals, so nothing else changes.

    Examples
    --------
    >>> clean_source("a = 1\r\nb = 2")
    'a = 1\nb = 2\n'
    """
    text = source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def checked_length(source: str) -> str:
    """Return the source, if the parser accepts its length and its characters.

    Raises
    ------
    ProgramError
        With a one-line reason, if it is too long or contains what no file can contain.
    """
    if len(source) > MAX_SOURCE_CHARACTERS:
        length = len(_DATA_LINE.sub("", source, count=1))
        if length > MAX_SOURCE_CHARACTERS:
            raise ProgramError(
                f"the source has {length:,} characters, at most {MAX_SOURCE_CHARACTERS:,} are read"
            )
    if "\0" in source:
        raise ProgramError("the source holds a NUL character")
    try:
        source.encode()
    except UnicodeEncodeError:
        raise ProgramError("the source holds half of a surrogate pair") from None
    return source


def parse_source(source: str) -> ast.Module:
    """Parse and compile a source without running it.

    Only for sources that this package wrote, and in the process that parses all others. The line
    of a model's training rows, `DATA_NAME`, does not count towards its length.

    Raises
    ------
    ProgramError
        With a one-line reason, if Python would refuse the text.

    Examples
    --------
    >>> parse_source("f = len").body[0].lineno
    1
    """
    checked_length(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about "\d" in a string literal, for one
            tree = ast.parse(source)
            # Parsing alone accepts what only compiling rejects, a stray `return` for one.
            compile(source, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        message = " ".join(str(error.msg).split())
        raise ProgramError(f"syntax error on line {error.lineno or 1}: {message}") from None
    except (RecursionError, MemoryError):
        raise ProgramError("the source is nested too deeply to compile") from None
    except (ValueError, OverflowError, SystemError) as error:
        message = " ".join(str(error).split())
        raise ProgramError(f"the source does not compile: {message}") from None
    return tree
