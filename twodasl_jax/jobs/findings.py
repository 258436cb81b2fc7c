"""What was looked for and what was found, as one table."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Finding(NamedTuple):
    """One line of the table.

    Attributes:
      group: what it belongs to.
      name: what was looked for.
      found: whether it is there and in order.
      detail: what it is; or what is wrong, with the command or page that provides it.
    """

    group: str
    name: str
    found: bool
    detail: str


def print_findings(findings: Iterable[Finding], console: Console) -> None:
    """One table, a section per group."""
    table = Table(title="twodasl-jax", title_justify="left")
    table.add_column("")
    table.add_column("", overflow="fold")
    table.add_column("what it is, or how to get it", overflow="fold")
    group = None
    for finding in findings:
        if finding.group != group:
            group = finding.group
            table.add_section()
            table.add_row("", f"[bold]{escape(group)}[/bold]", "")
        mark = "[green]yes[/green]" if finding.found else "[yellow]no[/yellow]"
        # Paths, messages and extras have brackets of their own.
        table.add_row(mark, escape(finding.name), escape(finding.detail))
    console.print(table)
