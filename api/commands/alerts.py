"""`paddock alerts`."""

from datetime import UTC, datetime
from typing import Any

import click

from api.admin_commands import admin_options, open_admin, tell_all


@click.command()
@admin_options("operator")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
def command(url: str | None, key: str | None, everything: bool) -> None:
    """What is wrong with the servers, by the rules in the configuration; the newest first."""
    from api.terminal import plain

    def line(alert: dict[str, Any]) -> str:
        began = datetime.fromtimestamp(alert["created_at"], UTC).isoformat(timespec="seconds")
        told = f"{alert['status']:8} {alert['severity']:8} {alert['rule']}: {plain(alert['summary'])} ({alert['value']:g})"
        return f"{alert['id']}  {began}  {told}"

    with open_admin(url, key) as admin:
        query = {} if everything else {"status": "firing"}
        tell_all(admin.all("/alerts", limit=100, **query), line, nothing="No alert is firing; --all shows those that are over.")
