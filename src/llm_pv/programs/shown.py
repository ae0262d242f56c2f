"""Show untrusted text, such as a program, so that it cannot deceive its reader."""


def visible(text: object, longest: int = 200) -> str:
    r"""Return text with non-printing characters escaped, cut to a length.

    Control characters, overrides of the writing direction, characters of no width and halves of
    surrogate pairs become escapes: a label can neither hide nor reverse the text around it.

    Parameters
    ----------
    longest
        The most characters to keep; longer text ends in an ellipsis.

    Examples
    --------
    >>> visible("yes\u202eon\x07"), visible("abcdef", 4)
    ('yes\\u202eon\\x07', 'abc…')
    """
    return shorten(escaped(" ".join(str(text).split())), longest)


def visible_code(source: str, longest: int = 20_000) -> str:
    """Return a source with non-printing characters escaped, cut to a length."""
    return shorten(escaped(source), longest)


def shorten(text: str, longest: int) -> str:
    """Return text cut to this many characters, ending in an ellipsis if cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def highlight_python(source: str, *, inline: bool = False) -> str:
    """Return a program as HTML with its tokens marked.

    Parameters
    ----------
    source
        The program; what it holds is escaped.
    inline
        Whether tokens carry their colours, for a place without our style sheet, or classes.

    Examples
    --------
    >>> highlight_python("x < 1").strip()
    '<span class="n">x</span> <span class="o">&lt;</span> <span class="mi">1</span>'
    """
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter
    from pygments.lexers.python import PythonLexer

    lexer = PythonLexer(stripnl=False)
    return str(highlight(visible_code(source), lexer, HtmlFormatter(nowrap=True, noclasses=inline)))


def escaped(text: str, kept: str = "\n\t") -> str:
    r"""Return text with non-printing characters escaped, other than those that are kept.

    Examples
    --------
    >>> escaped("red\x1b[31m")
    'red\\x1b[31m'
    """
    bare = text
    for letter in kept:
        bare = bare.replace(letter, "")
    if bare.isprintable():  # as nearly all are, and long ones should not be gone through slowly
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in kept
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
