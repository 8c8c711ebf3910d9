"""``keras-nas register``: the winner of a run in a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_nas.cli.errors import guarded, silence_libraries
from keras_nas.cli.inspect import Run, Traceback


def register(
    run: Run,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an Optuna artifact store; made where it is missing.",
            show_default=False,
        ),
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(help="Name of a model in MLflow's registry.", show_default=False),
    ] = None,
    traceback: Traceback = False,
) -> None:
    """Put the model of a run, with its card and proof, into a registry: Optuna's or MLflow's."""

    def work() -> None:
        silence_libraries()
        from optuna.artifacts import FileSystemArtifactStore

        from keras_nas.registry import RegistryError, register_in_mlflow, store_winner
        from keras_nas.runs import report_on

        if artifacts is None and mlflow is None:
            raise RegistryError("give --artifacts FOLDER, --mlflow NAME, or both")
        outcome = report_on(run)
        console = Console()
        if artifacts is not None:
            artifacts.mkdir(parents=True, exist_ok=True)
            for name, identifier in store_winner(
                outcome, FileSystemArtifactStore(str(artifacts))
            ).items():
                console.print(f"{identifier}  {name}", highlight=False, soft_wrap=True)
        if mlflow is not None:
            version = register_in_mlflow(outcome, mlflow)
            console.print(f"{mlflow}, version {version}", highlight=False, soft_wrap=True)

    guarded(work, traceback)
