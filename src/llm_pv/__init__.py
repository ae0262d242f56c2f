"""LLM-PV learns a program from labelled examples.

A proposer suggests short Python functions from the training rows, each runs in a sandbox, its
error on held-out validation rows is measured, and the best is kept, certified with an error bound
and handed over as a readable file.
"""

__version__ = "0.1.0"
