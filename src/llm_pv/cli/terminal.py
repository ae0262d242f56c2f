"""The terminal for printing results."""

from typing import NoReturn

from rich.console import Console


class Terminal(Console):
    """Standard output; a reader that closes the pipe is no error."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError, on which the command line exits quietly."""
        raise BrokenPipeError
