"""The modules that a candidate may import, and those to import before it is confined."""

STANDARD_LIBRARY: tuple[str, ...] = (
    "__future__", "abc", "array", "ast", "base64", "binascii", "bisect", "calendar", "cmath",
    "codecs", "collections", "colorsys", "contextlib", "copy", "csv", "dataclasses", "datetime",
    "decimal", "difflib", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac",
    "html", "io", "ipaddress", "itertools", "json", "keyword", "math", "numbers", "operator",
    "pprint", "random", "re", "statistics", "string", "struct", "sys", "textwrap", "time", "types",
    "typing", "unicodedata", "warnings", "zlib",
)  # fmt: skip

PACKAGES: tuple[str, ...] = ("numpy", "sympy", "networkx")
"""Packages a candidate may import where they are installed."""

USED_BY_PACKAGES: tuple[str, ...] = ("mpmath", "scipy", "gmpy2", "typing_extensions")
"""Everything that these packages may use besides the standard library and each other."""

ALLOWED_MODULES: tuple[str, ...] = (*STANDARD_LIBRARY, *PACKAGES)
"""Everything a candidate may import; submodules of these included."""

SUPPORT: dict[str, tuple[str, ...]] = {
    "numpy": ("gzip",),
    "sympy": ("numpy", "mpmath", "scipy.special", "xml.dom.minidom", "typing_extensions"),
    "networkx": (
        "numpy",
        "sympy.physics.units",
        "sympy.tensor.tensor",
        "shlex",
        "scipy.linalg",
        "scipy.optimize",
        "scipy.sparse.csgraph",
        "scipy.sparse.linalg",
        "scipy.spatial",
        "scipy.special",
    ),
}
"""Modules that the packages import only when some function of theirs is called."""

NEEDED_LATE: tuple[str, ...] = (
    "_strptime", "collections.abc", "copyreg", "encodings.ascii",
    "encodings.cp1252", "encodings.cp437",
    "encodings.hex_codec", "encodings.idna", "encodings.latin_1", "encodings.punycode",
    "encodings.raw_unicode_escape", "encodings.rot_13", "encodings.unicode_escape",
    "encodings.utf_16", "encodings.utf_16_be", "encodings.utf_16_le", "encodings.utf_32",
    "encodings.utf_8_sig", "html.entities", "html.parser", "json.tool", "linecache", "locale",
    "opcode", "traceback", "tracemalloc",
)  # fmt: skip
"""Modules that a candidate's permitted modules import only when a function of theirs is called."""
