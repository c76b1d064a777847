"""Tries hard to break targets by attaching to them: `python -m tests.stress` plays the scenarios of this package.

Each is a function that takes a `Tally`, an interpreter, and how often it is to try. A target is lost when it dies,
hangs, computes something wrong, complains, does not end with status 0, stays stopped or traced, or refuses the next
attach.
"""
