"""Ways to learn labels that the package compares: one package each, over shared data sets."""
