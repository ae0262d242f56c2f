"""Propose, verify, select, certify."""
