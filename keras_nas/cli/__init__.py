"""The ``keras-nas`` command."""

from __future__ import annotations

import typer

from keras_nas.cli.inspect import describe, export, report
from keras_nas.cli.latency_table import EXAMPLES as TABLES
from keras_nas.cli.latency_table import latency_table
from keras_nas.cli.register import register
from keras_nas.cli.search import EXAMPLES, search

app = typer.Typer(
    name="keras-nas",
    help="Neural architecture search for Keras: networks that are accurate and quick.\n\n"
    "Begin with [cyan]keras-nas search[/], and see [cyan]keras-nas search --help[/].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(help="Search for networks, and deliver the best one.\n" + EXAMPLES)(search)
app.command()(report)
app.command()(export)
app.command()(register)
app.command()(describe)
app.command(help="Measure what operations of a space take, here or on a device.\n" + TABLES)(
    latency_table
)


def main() -> None:
    """Run the command."""
    app()
