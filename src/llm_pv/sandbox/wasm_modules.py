"""The standard-library modules that the WebAssembly sandbox holds.

Its interpreter has no files: what is not imported while it is built is not there afterwards. This
file imports nothing, since it is built into the sandbox.
"""

IMPORTABLE = (
    "__future__", "abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath",
    "codecs", "collections", "colorsys", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac",
    "html", "io", "ipaddress", "itertools", "json", "keyword", "math", "numbers", "operator",
    "pprint", "random", "re", "statistics", "string", "struct", "sys", "textwrap", "time", "types",
    "typing", "unicodedata", "warnings", "zlib",
)  # fmt: skip
"""What a program may import by name, submodules included."""

NEEDED_LATE = (
    "_pylong",
    "_strptime",
    "annotationlib",
    "collections.abc",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.hex_codec",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.punycode",
    "encodings.rot_13",
    "encodings.unicode_escape",
    "encodings.utf_16",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "encodings.utf_32",
    "encodings.utf_8_sig",
    "html.entities",
    "html.parser",
    "importlib.resources",
    "inspect",
    "json.decoder",
    "traceback",
)
"""What the modules above import only when a function of theirs is called."""
