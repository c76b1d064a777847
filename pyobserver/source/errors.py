"""Why the agent in a process cannot be talked with."""

from __future__ import annotations


class ClientError(Exception):
    """The agent cannot be reached or understood; the text says why."""


class Disconnected(ClientError):
    """The connection has ended: the agent's side has closed it, or this one."""


class AgentEnded(Disconnected):
    """The agent has said goodbye instead of a greeting; the text has its reason."""


class AgentFailed(AgentEnded):
    """The agent that was brought in could not begin; the text has its reason."""


class OtherProtocol(ClientError):
    """The agent speaks another version of the protocol: an observer of another version has brought it."""


class MessageError(ClientError):
    """A message is not as the contract has it; the text says which part of it."""
