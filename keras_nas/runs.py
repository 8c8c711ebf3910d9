"""Coming back to a run: its report anew, and any of its networks as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_nas.data import load
from keras_nas.finalists import Finalist, finish_trials, read_finalists
from keras_nas.named import default_space, make_space
from keras_nas.results import BEST, FINALISTS, SETTINGS, SearchOutcome, write_results
from keras_nas.run_folder import RunFolder, RunFolderError
from keras_nas.search import Listener, SearchFailedError, make_objective
from keras_nas.settings import SearchSettings, SettingsError
from optuna_nas._optuna import SPACE
from optuna_nas.errors import NASError
from optuna_nas.space import SearchSpace


def report_on(path: Path) -> SearchOutcome:
    """Write the results of a run anew, from its study and its finalists.

    Raises:
        NASError: The folder holds no run, or the results can't be written.
    """
    folder, about = _open(path)
    study = folder.existing_study(about["study"])
    try:
        space = SearchSpace.from_json(study.user_attrs[SPACE]["json"])
    except (KeyError, NASError):  # blocks of the user's own are not known here
        space = None
    finalists = read_finalists(folder.read_json(FINALISTS), study, path)
    delivered = folder.read_json(BEST)
    number = delivered["trial"] if isinstance(delivered, dict) else None
    best = next((f for f in finalists if f.trial.number == number), None)
    try:
        files = write_results(
            folder, study, space=space, data=about["data"], finalists=finalists, best=best
        )
    except OSError as error:
        raise SearchFailedError(
            f"the report can't be written to {path}: {error.strerror or error}"
        ) from error
    return SearchOutcome(study, path, space, finalists, best, files)


def export_trial(
    path: Path,
    number: int,
    *,
    out: Path | None = None,
    epochs: int | None = None,
    listener: Listener | None = None,
) -> Finalist:
    """Train the network of a trial in full, on training and validation rows, and export it.

    Args:
        path: Folder of the run.
        number: Number of the trial.
        out: Folder for the files; ``<path>/exported`` where left out.
        epochs: Epochs; as the run's finalists where left out.
        listener: Told how it goes.

    Raises:
        NASError: There is no such run or trial, or its data are gone.
        SearchFailedError: The training or the export failed.
    """
    if epochs is not None and epochs < 1:
        raise SettingsError(f"epochs must be 1 or more, got {epochs}", epochs)
    listener = listener or Listener()
    folder, about = _open(path)
    # What is trained in full is not timed: the table need not be there any more.
    settings = replace(SearchSettings.from_dict(about["settings"]), latency_table=None)
    study = folder.existing_study(about["study"])
    trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(trials):
        raise RunFolderError(f"{path} has no trial {number}; it has 0 to {len(trials) - 1}", number)
    listener.stage(f"reading {settings.data}")
    data = load(settings.data, target=settings.target, seed=settings.seed)
    if data.fingerprint != about["data"]["fingerprint"]:
        raise RunFolderError(f"{settings.data} is not what {path} was made with: it has changed")
    space = make_space(settings.space or default_space(data), data)
    with make_objective(settings, space, data) as objective:
        (finalist,) = finish_trials(
            [trials[number]],
            objective,
            out or path / "exported",
            epochs=epochs or settings.epochs_in_full,
            on_progress=listener.finalists,
        )
    if finalist.delivery is None:
        raise SearchFailedError(f"trial {number} could not be exported: {finalist.failure}")
    return finalist


def _open(path: Path) -> tuple[RunFolder, Mapping[str, Any]]:
    if not path.is_dir():
        raise RunFolderError(
            f"{path} is no folder; give the one that keras-nas search made, such as "
            "runs/digits-chain_cnn",
            str(path),
        )
    about = RunFolder(path).read_json(SETTINGS)
    if not isinstance(about, dict) or "settings" not in about:
        raise RunFolderError(f"{path} is no folder of a run: it has no readable {SETTINGS}")
    return RunFolder(path, storage=about["settings"].get("storage")), about
