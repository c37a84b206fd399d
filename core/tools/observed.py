"""A sandbox that is counted and traced. Knows no tool."""

from core.telemetry.telemetry import FAILED, OK, Telemetry
from core.tools.work import Sandbox
from sandbox import Invocation, OnCall, OnOutput, Outcome, SandboxError, refuse_calls


class ObservedSandbox:
    def __init__(self, sandbox: Sandbox, telemetry: Telemetry) -> None:
        self._sandbox = sandbox
        self._telemetry = telemetry

    async def run(self, invocation: Invocation, on_output: OnOutput, on_call: OnCall = refuse_calls) -> Outcome:
        with self._telemetry.sandbox(invocation.runtime) as tell:
            try:
                outcome = await self._sandbox.run(invocation, on_output, on_call)
            except SandboxError as error:
                tell(type(error).__name__, 0.0)
                raise
            tell(OK if outcome.exit_code == 0 else FAILED, outcome.cpu_seconds)
            return outcome
