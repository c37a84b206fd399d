"""`python -m core.fleet.agent` is `paddock agent`."""

from core.fleet.agent.command import agent

agent(prog_name="paddock agent")
