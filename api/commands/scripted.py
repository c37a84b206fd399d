"""`paddock scripted`."""

from pathlib import Path

import click


class Explained(click.Command):
    """Its help ends with what the module that reads scripts says of them."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from core.llm import script

        formatter.write(f"\n{script.__doc__}")


@click.command(cls=Explained)
@click.argument("script", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
def command(script: Path, host: str, port: int) -> None:
    """Serve a file of replies as a model, on OpenAI's chat-completions wire."""
    import asyncio

    from core.llm.scripted_server import serve

    def ready(address: str) -> None:
        click.echo(f"The scripted model answers at {address}")

    try:
        asyncio.run(serve(script, host, port, ready=ready))
    except KeyboardInterrupt:
        pass
    except OSError as exc:
        raise click.ClickException(f"port {port} on {host} cannot be used: {exc.strerror}") from exc
