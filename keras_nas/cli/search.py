"""``keras-nas search``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_nas.cli.errors import guarded, silence_libraries

if TYPE_CHECKING:
    from keras_nas.results import SearchOutcome
    from keras_nas.settings import SearchSettings

_DATA, _SEARCH, _TRAINING, _RUN = "Data and space", "Search", "Training a candidate", "Run"

EXAMPLES = """
[bold]Examples[/]

  [cyan]keras-nas search[/]
      handwritten digits, a few minutes: accuracy against latency on this machine

  [cyan]keras-nas search --data flowers.csv --target species --trials 100[/]

  [cyan]keras-nas search --data photos/ --max-latency-ms 2 --timeout 3600[/]

  [cyan]keras-nas search --objectives accuracy --pruner hyperband --sampler tpe[/]

  [cyan]keras-nas search --space my_space.py:make_space --data arrays.npz[/]

The same command again goes on where the last one ended, also after Ctrl-C or a crash.
"""


def _objectives(values: list[str]) -> list[str]:
    return [name for value in values for name in value.replace(" ", "").split(",") if name]


def search(
    data: Annotated[
        str,
        typer.Option(
            help="digits, wine, breast_cancer, iris; mnist, fashion_mnist, cifar10, cifar100 "
            "(downloaded by Keras); a .npz with x_train, y_train, x_test, y_test (the last two "
            "may be left out); a .csv with --target; or a folder with one folder of images or "
            "of .txt files per class.",
            rich_help_panel=_DATA,
        ),
    ] = "digits",
    target: Annotated[
        str | None,
        typer.Option(help="The column of a .csv to predict.", rich_help_panel=_DATA),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="chain_cnn, branching_cnn, residual_cnn, mobile_cnn, nas_bench_201, "
            "vision_transformer, tabular_mlp, text_classifier, darts_rnn, sequence_cnn_rnn, also "
            "with arguments such as 'chain_cnn(max_blocks=2)'; a .json file of a space; or "
            "file.py:name of a space or of a function of input_shape and classes. "
            "Default: chain_cnn for images, tabular_mlp for tables, text_classifier for texts, "
            "sequence_cnn_rnn for sequences.",
            rich_help_panel=_DATA,
            show_default=False,
        ),
    ] = None,
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            help="What to optimise, one or several, separated by commas: accuracy, error, loss, "
            "latency_ms, params, macs, size_bytes, peak_activation_bytes.",
            rich_help_panel=_SEARCH,
            show_default="accuracy,latency_ms",
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help="evolution, predictor, local, policy, tpe, nsga2, random, gp.",
            rich_help_panel=_SEARCH,
        ),
    ] = "evolution",
    pruner: Annotated[
        str,
        typer.Option(
            help="none, learning-curve; with one objective also median, hyperband: stops weak "
            "candidates early.",
            rich_help_panel=_SEARCH,
        ),
    ] = "none",
    trials: Annotated[
        int,
        typer.Option(
            help="Candidates in all, those of earlier runs in the same folder included.",
            rich_help_panel=_SEARCH,
        ),
    ] = 150,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds after which no further candidate is begun.", rich_help_panel=_SEARCH
        ),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(
            help="Limit: a slower candidate is rejected before it is trained.",
            rich_help_panel=_SEARCH,
        ),
    ] = None,
    max_params: Annotated[
        int | None,
        typer.Option(help="Limit of the trainable parameters.", rich_help_panel=_SEARCH),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Measure latencies on the device where this command runs a Python program from "
            "its standard input: 'ssh pi python3 -'. Default: on this machine.",
            rich_help_panel=_SEARCH,
            show_default=False,
        ),
    ] = None,
    latency_table: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Predict latencies by this table, of any device, instead of measuring them; "
            "see [cyan]keras-nas latency-table --help[/].",
            rich_help_panel=_SEARCH,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the split, the sampler and the weights.", rich_help_panel=_SEARCH
        ),
    ] = 0,
    epochs: Annotated[
        int, typer.Option(help="Epochs of a candidate.", rich_help_panel=_TRAINING)
    ] = 10,
    batch_size: Annotated[int, typer.Option(rich_help_panel=_TRAINING)] = 64,
    learning_rate: Annotated[float, typer.Option(rich_help_panel=_TRAINING)] = 3e-3,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop a candidate after so many epochs without a better validation accuracy.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    trial_timeout: Annotated[
        float | None,
        typer.Option(help="Seconds one candidate may train.", rich_help_panel=_TRAINING),
    ] = None,
    trial_memory_mib: Annotated[
        int | None,
        typer.Option(help="Memory one candidate's process may use.", rich_help_panel=_TRAINING),
    ] = None,
    finalists: Annotated[
        int,
        typer.Option(
            help="Models of the front that are trained in full, exported and tested.",
            rich_help_panel=_TRAINING,
        ),
    ] = 4,
    final_epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of the full training. Default: three times --epochs.",
            rich_help_panel=_TRAINING,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Run folder. Default: runs/<data>-<space>.",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Optuna URL of a database for the study, to share a search between machines. "
            "Default: study.db in the run folder.",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Candidates trained at once. Default: one for each core, four at most.",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Processor threads of each. Default: the cores shared among the jobs.",
            rich_help_panel=_RUN,
            show_default=False,
        ),
    ] = None,
    isolation: Annotated[
        str,
        typer.Option(
            help="process: a candidate that crashes costs only itself. none: all in one process.",
            rich_help_panel=_RUN,
        ),
    ] = "process",
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_RUN)
    ] = False,
    traceback: Annotated[
        bool,
        typer.Option(
            "--traceback",
            help="Show where an error came from (also KERAS_NAS_TRACEBACK=1).",
            rich_help_panel=_RUN,
        ),
    ] = False,
) -> None:
    """Search for networks, and deliver the best one."""

    def run() -> None:
        from keras_nas.settings import SearchSettings

        chosen = _objectives(objectives) if objectives else ["accuracy", "latency_ms"]
        settings = SearchSettings(
            data=data,
            target=target,
            space=space,
            sampler=sampler,
            pruner=pruner,
            trials=trials,
            timeout=timeout,
            seed=seed,
            storage=storage,
            objectives=tuple(chosen),
            max_latency_ms=max_latency_ms,
            max_params=max_params,
            device=device,
            latency_table=latency_table,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            jobs=jobs,
            threads=threads,
            out=out,
            isolation=isolation,
            trial_timeout=trial_timeout,
            trial_memory_mib=trial_memory_mib,
            finalists=finalists,
            final_epochs=final_epochs,
        )
        _search(settings, quiet)

    guarded(run, traceback)


def _search(settings: SearchSettings, quiet: bool) -> None:
    silence_libraries()
    from keras_nas.cli.console import ProgressBar, show_outcome
    from keras_nas.search import search as run_search

    with ProgressBar(Console(stderr=True), quiet=quiet) as bar:
        outcome = run_search(settings, listener=bar)
    show_outcome(Console(), outcome)
    if outcome.interrupted:
        _say_how_to_go_on(outcome)
        raise typer.Exit(128 + outcome.interrupted)


def _say_how_to_go_on(outcome: SearchOutcome) -> None:
    from keras_nas.recovery import finished

    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    Console(stderr=True).print(
        f"interrupted after {len(finished(outcome.study))} trials; nothing finished is lost. Go on "
        f"with: {command}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
