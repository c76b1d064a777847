"""Rudder: takes specimens from its feeds and pushes the hash of each to the registry.

A small service after the ones that people run: a listener, a pipeline, metrics, a cache, a thread pool. It knows
nothing of who watches it. `python -m rudder` leaks, `python -m rudder --fixed` does not; what differs is one class
in `rudder/agent.py`.
"""
