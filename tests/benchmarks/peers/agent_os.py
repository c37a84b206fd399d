"""Agno's AgentOS as its manual shows it; runs in Agno's environment. Arguments: port, the model's address, the database."""

import contextlib
import io
import sys

from agno.agent import Agent
from agno.db.postgres import AsyncPostgresDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS


def run_python(code: str) -> str:
    """Run Python code and return what it prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, {})
    return output.getvalue()


port, model, database = sys.argv[1:]
agent = Agent(
    id="bench",
    model=OpenAIChat(id="scripted", base_url=model, api_key="none"),
    db=AsyncPostgresDb(db_url=database),
    tools=[run_python],
    telemetry=False,
)
agent_os = AgentOS(agents=[agent], telemetry=False)
app = agent_os.get_app()

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")
