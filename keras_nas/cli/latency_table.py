"""``keras-nas latency-table``: latencies of a space, predicted from operations timed once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_nas.cli.errors import guarded, silence_libraries
from keras_nas.cli.inspect import Traceback

if TYPE_CHECKING:
    from optuna_nas.profiling import LatencyTable

EXAMPLES = """
Examples:

  [cyan]keras-nas latency-table table.json --space mobile_cnn[/]
      of this machine, in some minutes

  [cyan]keras-nas latency-table pi.json --job for_the_pi[/]
      of another device: writes a folder with a script that needs NumPy and
      ONNX Runtime only; measure there, and give the same command again

  [cyan]keras-nas search --latency-table pi.json --max-latency-ms 2[/]
"""


def latency_table(
    out: Annotated[Path, typer.Argument(help="File of the table.", show_default=False)],
    space: Annotated[
        str | None, typer.Option(help="As for search.", show_default="by the data")
    ] = None,
    data: Annotated[str, typer.Option(help="As for search.")] = "digits",
    target: Annotated[str | None, typer.Option(help="As for search.")] = None,
    job: Annotated[
        Path | None,
        typer.Option(
            help="Folder that another device measures. Default: measure this machine.",
            show_default=False,
        ),
    ] = None,
    networks: Annotated[int, typer.Option(min=0, help="Networks to fit to.")] = 20,
    held_out: Annotated[int, typer.Option(min=0, help="Networks to judge predictions on.")] = 20,
    samples: Annotated[
        int, typer.Option(min=0, help="Random networks whose operations are timed.")
    ] = 200,
    seconds: Annotated[
        float, typer.Option(min=0.001, help="Of timing each model in each of two passes.")
    ] = 0.04,
    threads: Annotated[int, typer.Option(min=1, help="Threads inside an operator.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the random networks.")] = 0,
    traceback: Traceback = False,
) -> None:
    """Measure what operations of a space take, here or on another device."""

    def work() -> None:
        silence_libraries()
        from keras_nas.data import load
        from keras_nas.named import SPACES, default_space, make_space
        from optuna_nas.errors import NASError
        from optuna_nas.profiling import LatencyJob, LatencyTable, time_models
        from optuna_nas.profiling.on_device import JOB_FILE

        console = Console()
        if out.is_dir() or not out.absolute().parent.is_dir():
            raise NASError(f"OUT: expected a file in a folder that is there, got {str(out)!r}", out)
        if job is not None and (job / JOB_FILE).exists():
            table = LatencyTable.from_measurements(job)
            made_for = table.space.name if table.space is not None else ""
            asked = (space or "").partition("(")[0]
            if asked in SPACES and asked != made_for:
                raise NASError(
                    f"--job: {str(job)!r} was made for {made_for}; choose another folder", space
                )
        else:
            rows = load(data, target=target)
            declared = make_space(space or default_space(rows), rows)
            what = LatencyJob(declared, networks, held_out, samples, seed)
            if job is not None:
                what.export(job)
                text = (
                    f"{len(what.models)} models: {job}\ncopy it to the device and run there: "
                    f"python measure.py --seconds {seconds} --threads {threads}\nthen bring "
                    "measurements.json back into it, and give this command again"
                )
                console.print(text, highlight=False, soft_wrap=True)
                return
            with Console(stderr=True).status("") as status:
                timer = partial(
                    time_models, seconds=seconds, threads=threads, progress=status.update
                )
                table = LatencyTable.from_times(what, timer(what.models))
        table.save(out)
        for line in _summary(table):
            console.print(line, highlight=False, soft_wrap=True)
        console.print(f"written: {out}", highlight=False, soft_wrap=True)

    guarded(work, traceback)


def _summary(table: LatencyTable) -> Iterator[str]:
    where = table.provenance
    name = "no space" if table.space is None else table.space.name
    yield (
        f"{len(table.operations.entries):,} operations of {name} on "
        f"{where.get('cpu', 'an unknown device')}, {where.get('threads', '?')} threads, ONNX "
        f"Runtime {where.get('onnxruntime', '?')}"
    )
    quality = table.quality
    if quality is None:
        yield "not judged: no networks were held out"
    else:
        yield (
            f"on {quality.networks} networks held out: Kendall tau {quality.kendall_tau:.3f}, "
            f"median error {quality.median_error:.1%}, 90 % of them within {quality.p90_error:.1%}"
        )
