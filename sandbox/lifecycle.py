"""The states of a worker, and the only moves between them. Knows no process."""

from enum import StrEnum


class WorkerState(StrEnum):
    STARTING = "starting"  # forked; building its walls
    IDLE = "idle"  # behind its walls, waiting for a program
    RUNNING = "running"  # one program is in it
    KILLED = "killed"  # SIGKILL was sent; nobody may use it
    GONE = "gone"  # the kernel says that it ended


MOVES = {
    WorkerState.STARTING: {WorkerState.IDLE, WorkerState.KILLED, WorkerState.GONE},
    WorkerState.IDLE: {WorkerState.RUNNING, WorkerState.KILLED, WorkerState.GONE},
    WorkerState.RUNNING: {WorkerState.IDLE, WorkerState.KILLED, WorkerState.GONE},
    WorkerState.KILLED: {WorkerState.GONE},
    WorkerState.GONE: set[WorkerState](),
}


class Lifecycle:
    def __init__(self) -> None:
        self.state = WorkerState.STARTING

    def move(self, to: WorkerState) -> None:
        if to not in MOVES[self.state]:
            raise RuntimeError(f"a worker that is {self.state} cannot become {to}")
        self.state = to
