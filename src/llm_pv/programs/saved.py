"""The readable file a program is handed over in, and how it is read back.

The file is a Python module: a docstring with the certificate, a line that marks the end of it, then
the source. A text in the docstring can never become code, whatever stands in it. Of the source only
characters that do not print are changed, those of comments and strings, into their escapes: they
could act on a terminal or show a reader another program.
"""

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.syntax import clean_source
from llm_pv.sandbox.parser import ask_one

_TITLE = "A program learned by LLM-PV; call f(x)."
_WARNING = (
    "Importing or running this file runs the program unconfined, with all your rights.\n"
    "`llm-pv predict` and `llm-pv verify` run it confined."
)
_MARK = "#--- the program, exactly as proposed ---"


def write_program(program: Program, header: str) -> str:
    r"""Write a program as a module with a text at its head.

    The text becomes the module's docstring. A program that has a docstring of its own, or reads
    ``__doc__``, would notice: there the text stands in comments. Characters that do not print are
    written as escapes in both.

    Parameters
    ----------
    program
        The program.
    header
        Any text, such as a certificate.

    Returns
    -------
    str
        The text of a Python file, to be written in UTF-8; `read_saved` reads it.

    Examples
    --------
    >>> text = write_program(Program.parse("f = len"), "Exact on 100 rows.")
    >>> read_saved(text).source
    'f = len\n'
    """
    # Python 3.13.0 cannot compile a docstring with half a surrogate pair: spell it out.
    header = header.encode("utf-8", "backslashreplace").decode("utf-8").strip("\n")
    blocks = f"{_TITLE}\n\n{header}\n\n{_WARNING}"
    lines = [_printable(line) for line in blocks.split("\n")]
    try:
        source, documented = ask_one("escaped", program.source)
    except ProgramError:  # on a slower machine than where it was parsed
        source, documented = program.source, True
    if documented or "__doc__" in source:
        head = "\n".join(f"# {line}".rstrip() for line in lines)
    else:
        # A line that starts with # could pass for the mark, three quotes for the end.
        safe = ["\\x23" + line[1:] if line.startswith("#") else line for line in lines]
        head = '"""' + "\n".join(safe).replace('"""', '\\"\\"\\"') + '\n"""'
    return f"{head}\n\n{_MARK}\n{source}"


def read_saved(text: str) -> Program:
    """Read the program out of a file `write_program` wrote, or out of any Python module.

    Parameters
    ----------
    text
        The text of the file.

    Raises
    ------
    ProgramError
        If the file holds no program.
    """
    text = clean_source(text)
    if text.startswith(('"""' + _TITLE, "# " + _TITLE)):
        _, mark, source = text.partition(f"\n{_MARK}\n")
        return Program.parse(source if mark else text)
    return Program.parse(text)


def _printable(line: str) -> str:
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode("ascii")
        for character in line
    )
