"""The contract between the agent in the target and the observer.

`frames` says how bytes become messages, `schema` which messages there are and what every field means, `clean` how text
that comes from the target is made harmless. Everything here also runs inside the target: Python 3.8, and no imports
beyond what is compiled in.
"""
