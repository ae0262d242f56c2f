"""Running code nobody trusts: inputs go in, predictions come out, and nothing else."""
