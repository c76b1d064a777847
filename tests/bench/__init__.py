"""Measurements of speed and cost. Each module with a `main()` is one bench; `python -m tests.bench` runs them.

Machines differ and are busy, so a bench compares things side by side in one run and prints the ratio. It ends with
status 1 when what it measured breaks a promise.
"""
