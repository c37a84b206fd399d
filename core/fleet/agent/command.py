"""`paddock agent`: loads a model file and serves it until told to stop. Imports llama.cpp when it runs, not before."""

import asyncio
import logging
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from core.fleet.agent.server import Server

log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--socket", required=True, type=click.Path(path_type=Path), help="Unix socket to listen on; its directory is made private."
)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="The model, a GGUF file.")
@click.option("--name", help="What the model is called; the file's name by default.")
@click.option("--threads", type=click.IntRange(1, 1024), help="CPU threads; every core by default, one for a small model.")
@click.option(
    "--context",
    type=click.IntRange(64, 2**22),
    help="Tokens that fit, prompt and reply together; the model's own by default, at most 8192.",
)
@click.option(
    "--gpu-layers",
    type=click.IntRange(0, 10_000),
    default=0,
    help="How many layers an accelerator takes; needs a llama.cpp built for it.",
)
@click.option("--template", type=click.Path(path_type=Path), help="A Jinja chat template instead of the model's own.")
@click.option(
    "--no-grammar", is_flag=True, help="Never hold the model to a JSON Schema; strict answers are validated either way."
)
def agent(
    socket: Path,
    model: Path,
    name: str | None,
    threads: int | None,
    context: int | None,
    gpu_layers: int,
    template: Path | None,
    no_grammar: bool,
) -> None:
    """Serve a GGUF model with llama.cpp."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from core.fleet.agent.engine import Engine, ModelNotLoaded
    from core.fleet.agent.prompt import TemplateUnusable
    from core.fleet.agent.server import Server
    from core.fleet.agent.task import Preparation

    try:
        source = template.read_text() if template else None
        engine = Engine(model, threads=threads, context=context, gpu_layers=gpu_layers)
        with closing(engine):
            server = Server(engine, Preparation(engine, source), name=name or model.stem, use_grammar=not no_grammar)
            asyncio.run(_serve(server, socket))
    except (ModelNotLoaded, TemplateUnusable, OSError, UnicodeDecodeError) as exc:
        raise click.ClickException(str(exc)) from exc


async def _serve(server: "Server", socket: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server.listen(socket):
        log.info("%s", server)
        await stop.wait()
