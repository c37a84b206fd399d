"""Why a sandbox did not return an outcome. The messages are written to be shown to a model."""


class SandboxError(Exception):
    """The sandbox could not do what was asked.

    stdout, stderr: what the guest had written until then, capped as usual.
    """

    def __init__(self, message: str, *, stdout: bytes = b"", stderr: bytes = b"") -> None:
        super().__init__(message)
        self.stdout = stdout
        self.stderr = stderr


class LimitExceeded(SandboxError):
    """The guest ran into one of its limits and was killed. `limit` is a field name of `Limits`."""

    def __init__(self, limit: str, allowed: str, *, stdout: bytes = b"", stderr: bytes = b"") -> None:
        super().__init__(f"limit exceeded: {limit} ({allowed})", stdout=stdout, stderr=stderr)
        self.limit = limit
        self.allowed = allowed


class ProgramRefused(SandboxError):
    """The program was not run: no sandbox takes it as it is."""


class ProgramMissing(SandboxError):
    """No program with this digest is installed here, or no more: it has to be installed first."""


class GuestCrashed(SandboxError):
    """The guest trapped (a stack overflow, an abort) and took its instance with it."""


class RuntimeUnavailable(SandboxError):
    """The runtime is not configured, cannot grant a capability, or does not answer."""


class HostGone(RuntimeUnavailable):
    """No host answers, or the one that was asked went away: nobody knows how far the program came."""


class SandboxBusy(RuntimeUnavailable):
    """Every worker is taken, and the queue is full or did not move in time."""
