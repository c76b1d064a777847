"""Erlang's observer for live Python processes, in the terminal."""

__version__ = "0.1.0"
