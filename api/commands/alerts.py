"""`paddock alerts`."""

from contextlib import closing
from datetime import UTC, datetime

import click

from api.client import find_server


@click.command()
@click.option("--url", help="Where the server answers; PADDOCK_URL, or the one on this machine.")
@click.option("--key", help="A key with the scope operator; PADDOCK_KEY, or PADDOCK_HOME/admin.key.")
@click.option("--all", "everything", is_flag=True, help="Also what is over.")
def command(url: str | None, key: str | None, everything: bool) -> None:
    """What is wrong with the servers, by the rules in the configuration; the newest first."""
    from api.admin import Admin
    from api.terminal import plain

    with closing(Admin(find_server(url, key))) as admin:
        query = {} if everything else {"status": "firing"}
        for alert in admin.all("/alerts", limit=100, **query):
            began = datetime.fromtimestamp(alert["created_at"], UTC).isoformat(timespec="seconds")
            told = f"{alert['status']:8} {alert['severity']:8} {alert['rule']}: {plain(alert['summary'])} ({alert['value']:g})"
            click.echo(f"{alert['id']}  {began}  {told}")
