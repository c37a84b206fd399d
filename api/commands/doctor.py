"""`paddock doctor`."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from api.doctor import Finding


@click.command()
def command() -> None:
    """Show what this machine can do, and what to do about each "no".

    Ends with code 1 when something is missing that Paddock cannot do without.
    """
    import asyncio

    if asyncio.run(_report()):
        raise SystemExit(1)


async def _report() -> bool:
    """Whether something needed is missing."""
    from api.doctor import examine
    from core.config import load_settings
    from core.llm.declaration import declaration_of

    missing = False
    async for title, findings in examine(load_settings(declaration_of)):
        click.echo(click.style(title, bold=True))
        for finding in findings:
            click.echo(f"  {_line(finding)}")
            missing = missing or (finding.needed and not finding.present)
    return missing


def _line(finding: "Finding") -> str:
    if finding.present:
        return f"{click.style('yes', fg='green')}  {finding.subject}" + (f": {finding.detail}" if finding.detail else "")
    word = click.style("NO " if finding.needed else "no ", fg="red" if finding.needed else "yellow")
    parts = [part for part in (finding.detail, finding.advice) if part]
    return f"{word}  {finding.subject}: {'; '.join(parts)}"
