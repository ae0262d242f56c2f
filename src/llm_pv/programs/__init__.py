"""Candidate programs: source, identity, length, and how to read one out of a reply."""
