"""A Model Context Protocol server: an assistant proposes programs, this package judges them."""
