"""The modules that the WebAssembly sandbox holds besides those a program may name.

Its interpreter has no files: what is not imported while it is built is not there afterwards. This
file imports nothing, since it is built into the sandbox.
"""

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
"""What the modules a program may name import only when a function of theirs is called."""
