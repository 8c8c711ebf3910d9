"""``keras-nas report``, ``export`` and ``describe``: looking at a run, and at a space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_nas.cli.errors import guarded, silence_libraries

Run = Annotated[Path, typer.Argument(help="Folder of the run.", show_default=False)]
Traceback = Annotated[
    bool, typer.Option("--traceback", help="Show where an error came from.", hidden=True)
]


def report(run: Run, traceback: Traceback = False) -> None:
    """Write the report of a run anew, and show its front. The run may still be going on."""

    def work() -> None:
        silence_libraries()
        from keras_nas.cli.console import front_table
        from keras_nas.runs import report_on

        outcome = report_on(run)
        console = Console()
        console.print(front_table(outcome))
        console.print(f"written: {outcome.files['report']}", highlight=False, soft_wrap=True)

    guarded(work, traceback)


def export(
    run: Run,
    trial: Annotated[int, typer.Argument(help="Number of the trial.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the files. Default: <run>/exported.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of the full training. Default: as in the run.", show_default=False
        ),
    ] = None,
    traceback: Traceback = False,
) -> None:
    """Train the network of any trial in full, and write it as .keras and .onnx, with the proof."""

    def work() -> None:
        silence_libraries()
        from keras_nas.cli.console import ProgressBar, delivery_line
        from keras_nas.runs import export_trial

        with ProgressBar(Console(stderr=True)) as bar:
            finalist = export_trial(run, trial, out=out, epochs=epochs, listener=bar)
        assert finalist.delivery is not None
        console = Console()
        console.print(delivery_line(finalist), highlight=False)
        for path in (finalist.delivery.keras_file, finalist.delivery.onnx_file):
            console.print(f"  {path}", highlight=False, markup=False, soft_wrap=True)

    guarded(work, traceback)


def describe(
    space: Annotated[
        str | None, typer.Option(help="As for search.", show_default="by the data")
    ] = None,
    data: Annotated[str, typer.Option(help="As for search.")] = "digits",
    target: Annotated[str | None, typer.Option(help="As for search.")] = None,
    seed: Annotated[int, typer.Option(help="Which example network to show.")] = 0,
    draw: Annotated[
        Path | None,
        typer.Option(help="Draw the decisions into this .svg file.", show_default=False),
    ] = None,
    traceback: Traceback = False,
) -> None:
    """Show what a space holds: its size, its decisions, and a network drawn from it."""

    def work() -> None:
        silence_libraries()
        _describe(space, data, target, seed, draw)

    guarded(work, traceback)


def _describe(
    space_name: str | None, data_name: str, target: str | None, seed: int, draw: Path | None
) -> None:
    import numpy as np
    from rich.table import Table

    from keras_nas.data import load
    from keras_nas.named import default_space, make_space
    from optuna_nas.report import draw_space

    data = load(data_name, target=target)
    space = make_space(space_name or default_space(data), data)
    console = Console()
    rows = ", ".join(f"{count:,} {part}" for part, count in data.rows.items())
    console.print(f"{data.name}: {data.input_shape}, {data.classes} classes; rows: {rows}")
    console.print(space.describe(), highlight=False, markup=False, soft_wrap=True)
    if draw is not None:
        draw.write_text(draw_space(space), encoding="utf-8")
        console.print(f"drawn: {draw}", highlight=False, markup=False, soft_wrap=True)
    graph = space.graph(space.sample(np.random.default_rng(seed)))
    drawn = Table(
        "layer", "operation", "output shape", "parameters", header_style="bold",
        title=f"an example: {graph.params:,} parameters, {graph.macs:,} multiply-accumulates",
        title_justify="left",
    )  # fmt: skip
    for layer in graph.pruned().layers:
        shape = "x".join(map(str, graph.shapes[layer.name]))
        drawn.add_row(layer.name, layer.op, shape, f"{graph.layer_params(layer.name):,}")
    console.print(drawn)
