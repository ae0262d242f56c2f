"""Write a program to a readable file, and read it back.

The file is a Python module: a docstring with the certificate, a line that marks its end, then the
source. No text in the docstring can become code. The source is unchanged, except that non-printing
characters in comments and strings are written as escapes: they could control a terminal or make
the program look like another one.
"""

from llm_pv.errors import ProgramError
from llm_pv.programs.program import Program
from llm_pv.programs.shown import escaped
from llm_pv.programs.syntax import clean_source
from llm_pv.sandbox.parser import ask_one

_TITLE = "A program learned by LLM-PV; call f(x)."
_WARNING = (
    "Importing or running this file runs the program unconfined, with all your rights.\n"
    "`llm-pv predict` and `llm-pv verify` run it confined."
)
_MARK = "#--- the program, exactly as proposed ---"


def write_program(program: Program, header: str) -> str:
    r"""Return the text of a module: a header, then the program.

    The header becomes the module's docstring, or comments if the program has a docstring of its
    own or reads ``__doc__``. Non-printing characters are written as escapes in both.

    Examples
    --------
    >>> text = write_program(Program.parse("f = len"), "Exact on 100 rows.")
    >>> read_saved(text).source
    'f = len\n'
    """
    # Python 3.13.0 cannot compile a docstring with half a surrogate pair: escape it.
    header = header.encode("utf-8", "backslashreplace").decode("utf-8").strip("\n")
    blocks = f"{_TITLE}\n\n{header}\n\n{_WARNING}"
    lines = [escaped(line.replace("\\", "\\\\")) for line in blocks.split("\n")]
    try:
        source, documented = ask_one("escaped", program.source)
    except ProgramError:  # over the time limit here, on a slower machine than it was parsed on
        source, documented = program.source, True
    if documented or "__doc__" in source:
        head = "\n".join(f"# {line}".rstrip() for line in lines)
    else:
        # A line that starts with # could be read as the mark, and three quotes as the end.
        safe = ["\\x23" + line[1:] if line.startswith("#") else line for line in lines]
        head = '"""' + "\n".join(safe).replace('"""', '\\"\\"\\"') + '\n"""'
    return f"{head}\n\n{_MARK}\n{source}"


def read_saved(text: str) -> Program:
    """Return the program of a file that `write_program` wrote, or of any Python module.

    Raise ProgramError if the file holds no program.
    """
    text = clean_source(text)
    if text.startswith(('"""' + _TITLE, "# " + _TITLE)):
        _, mark, source = text.partition(f"\n{_MARK}\n")
        return Program.parse(source if mark else text)
    return Program.parse(text)
