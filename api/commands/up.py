"""`paddock up`."""

import click


@click.command()
def command() -> None:
    """Start everything on this machine, and serve it until Ctrl-C."""
    from api.launch import up

    up()
