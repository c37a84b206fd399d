"""`paddock serve`."""

import click


@click.command()
def command() -> None:
    """Serve with stores and a sandbox host that run elsewhere; any number of replicas.

    Needs PADDOCK_DATABASE_URL, PADDOCK_REDIS_URL, PADDOCK_OBJECTS_URL and PADDOCK_SANDBOX_SOCKET, and a database that `paddock
    migrate` prepared. Replicas share PADDOCK_SEALING_KEY_FILE and PADDOCK_AUDIT_KEY_FILE.
    """
    from api.launch import serve

    serve()
