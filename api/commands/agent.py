"""`paddock agent`."""

from core.fleet.agent.command import agent as command

__all__ = ["command"]
