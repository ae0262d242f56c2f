"""The messages to a model: the problem statement and its follow-ups, from training rows only.

Every text is a pure function of the given rows; nothing here reads or sends anything except a
template the user names.
"""
