"""The terminal that results are printed on."""

from typing import NoReturn

from rich.console import Console


class Terminal(Console):
    """Standard output, for which a reader that goes away is no error."""

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line, which ends quietly."""
        raise BrokenPipeError
