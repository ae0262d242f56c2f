"""The parity of a SHA-256 digest: a target no learner is expected to find.

The digest of ``0000`` has an odd number of one bits, that of ``0011`` an even number.
"""

from hashlib import sha256

import numpy as np

from llm_pv.tasks.task import UNIFORM_BINARY, Labels, Symbols, Task


def odd_digest(symbols: Symbols) -> Labels:
    """Label strings by the parity of the one bits of their SHA-256 digests."""
    data = symbols.tobytes()
    width = symbols.shape[1]
    digests = b"".join(
        sha256(data[start : start + width]).digest() for start in range(0, len(data), width)
    )
    words = np.frombuffer(digests, dtype=np.uint64).reshape(len(symbols), 4)
    folded = np.bitwise_xor.reduce(words, axis=1)
    for shift in (32, 16, 8, 4, 2, 1):
        folded = folded ^ (folded >> np.uint64(shift))
    labels: Labels = (folded & np.uint64(1)).astype(np.uint8)
    return labels


TASKS = (
    Task(
        id="fn_l",
        name="sha256_parity",
        description="the SHA-256 digest of the ASCII string has an odd number of one bits",
        alphabet="binary",
        examples=("0011", "0000"),
        target_function=odd_digest,
        samplers=UNIFORM_BINARY,
    ),
)
"""The hash task."""
