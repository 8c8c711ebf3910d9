"""The HTML page: complete, self-contained, safe, written whole or not at all."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from html.parser import HTMLParser
from importlib.util import find_spec as real_find_spec
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial
from report_studies import (
    DATA,
    EXAMPLES,
    delivered,
    new_study,
    plain_optuna,
    profile,
    searched,
)

from optuna_nas._optuna import FAILURE, OBJECTIVES, RECORD, SPACE
from optuna_nas.report import leaderboard, write_leaderboard, write_report
from optuna_nas.report.figures import curves_figure
from optuna_nas.space import Choice, Repeat, SearchSpace, dense
from optuna_nas.space.outline import in_words
from optuna_nas.spaces import chain_cnn

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Collects what the tests ask for and checks that elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.figures: dict[str, dict] = {}
        self.words: list[str] = []
        self._figure = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        known = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in known:
            self.ids[known["id"]] += 1
        self.links += [
            known[key] for key in ("src", "href", "xlink:href", "action") if key in known
        ]
        self._figure = known["id"] if known.get("type") == "application/json" else ""

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self._figure:
            self.figures[self._figure] = json.loads(data)
            self._figure = ""
        elif self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(study: optuna.Study, folder: Path, **arguments) -> Page:
    return Page(write_report(study, folder, **arguments).read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_kind_of_study_gives_a_whole_page(kind, tmp_path):
    study = EXAMPLES[kind]()
    page = page_of(study, tmp_path)
    assert [link for link in page.links if not link.startswith("#")] == []
    assert max(page.ids.values()) == 1
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert {"summary", "leaderboard", "cost", "provenance"} <= set(page.ids)
    rows = leaderboard(study)
    assert sum(name.startswith("trial-") for name in page.ids) == min(len(rows), 100)
    with (tmp_path / "leaderboard.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(rows)
    assert (tmp_path / "pareto_front.csv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("leaderboard.csv", "pareto_front.csv", "report.html")
    ]


def test_sections_follow_what_the_study_has(tmp_path):
    full = page_of(EXAMPLES["two_objectives"](), tmp_path / "full")
    assert set(full.figures) == {
        f"figure-{name}"
        for name in ("pareto", "history", "curves", "operations", "importances", "slices")
    }
    assert full.tags["svg"] == 1
    assert "Proved" not in full.text
    plain = page_of(EXAMPLES["plain_optuna"](), tmp_path / "plain")
    assert set(plain.figures) == {"figure-history", "figure-importances", "figure-slices"}
    assert plain.tags["svg"] == 0
    empty = page_of(EXAMPLES["empty"](), tmp_path / "empty")
    assert empty.figures == {}
    assert "The study has no trials yet." in empty.text
    failed = page_of(EXAMPLES["only_failed"](), tmp_path / "failed")
    assert "loss is not finite after epoch 2" in failed.text
    assert "no reason recorded" in failed.text


def test_model_data_and_environment_are_told(tmp_path):
    page = page_of(
        searched(["accuracy", "latency_ms"], trials=20),
        tmp_path,
        space=chain_cnn(),
        data=DATA,
        model={**delivered(tmp_path), "trial": 3},
        environment={"cpu": "Some CPU", "versions": {"keras": "3.15"}, "seed": 20260105},
        title="My search",
    )
    assert "The best model is trial 3:" in page.text
    assert "98.61 % test accuracy" in page.text
    assert "Proved: the exported model was reloaded" in page.text
    assert "360 examples, preprocessing included" in page.text
    assert "rows: train 1,077" in page.text or "rows: train 1077" in page.text
    assert "Some CPU" in page.text
    assert "versions: keras 3.15" in page.text
    assert "20260105" in page.text
    assert chain_cnn().fingerprint in page.text
    assert {"./best.keras", "./best.onnx"} <= set(page.links)
    assert "My search" in page.text


def test_the_size_of_a_space_is_told_in_words(tmp_path):
    layers = Repeat("layer", 1, 700, dense(Choice("units", [1, 2, 3])))
    deep = SearchSpace("deep", input_shape=(4,), classes=2, body=layers)
    for name, space in {"deep": deep, "chain": chain_cnn()}.items():
        text = page_of(searched(["accuracy"], trials=2), tmp_path / name, space=space).text
        assert in_words(space.size) in text
    assert in_words(deep.size) == "about 10^334"


def test_a_proof_that_fails_is_not_called_one(tmp_path):
    proof = SimpleNamespace(max_abs_difference=0.2, agreement=0.97)
    page = page_of(searched(["accuracy"], trials=2), tmp_path, model={"proof": proof})
    assert "NOT proved" in page.text
    assert "the same class for 97.00 % of them" in page.text
    passed = {"max_abs_difference": 2e-4, "agreement": 1.0, "tolerance": 1e-4, "passed": True}
    page = page_of(searched(["accuracy"], trials=2), tmp_path, model={"proof": passed})
    assert "NOT proved" not in page.text


def test_a_measurement_given_replaces_the_recorded_one(tmp_path):
    import numpy as np

    given = profile(7.25, np.random.default_rng(0))
    page = page_of(
        searched(["accuracy"], trials=2),
        tmp_path,
        model={"latency": SimpleNamespace(to_dict=lambda: given)},
    )
    assert "Median 7.25 ms" in page.text
    assert sum(page.figures["figure-operations"]["data"][0]["x"]) == pytest.approx(7.25)


EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_what_comes_from_users_is_escaped(tmp_path):
    study = new_study("maximize", "minimize", name=EVIL)
    study.set_user_attr(OBJECTIVES, [EVIL, "latency_ms"])
    for number in range(12):
        study.add_trial(
            create_trial(
                params={EVIL: f"{EVIL}{number % 3}"},
                distributions={EVIL: CategoricalDistribution([f"{EVIL}{i}" for i in range(3)])},
                values=[number / 12 + (number % 3), 1.0 + number],
                user_attrs={
                    RECORD: {"canonical_id": f"{EVIL}{number}", "curve": {EVIL: [0.1, 0.2]}}
                },
            )
        )
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={FAILURE: EVIL}))
    page = page_of(
        study,
        tmp_path,
        title=EVIL,
        data={EVIL: EVIL},
        environment={EVIL: {EVIL: EVIL}},
        model={"files": {EVIL: tmp_path / "a:b<i>.onnx"}},
    )
    assert page.tags["img"] == 0
    # the figures, plotly.js and our own script: none that a value brought along
    assert page.tags["script"] == len(page.figures) + 2
    assert page.text.count("alert(1)") > 10


def test_a_space_that_cannot_be_read_is_no_failure(tmp_path):
    study = searched(["accuracy"], trials=3, attributes=False)
    study.set_user_attr(SPACE, {"name": "mine", "fingerprint": "f" * 32, "json": "{}"})
    page = page_of(study, tmp_path)
    assert "The network can't be drawn" in page.text
    assert page.tags["svg"] == 0


def test_values_without_end_leave_figures_readable(tmp_path):
    study = new_study("maximize", "minimize")
    for values in ([0.5, float("inf")], [float("-inf"), 1.0], [0.9, 2.0]):
        study.add_trial(create_trial(values=values))
    page = page_of(study, tmp_path)
    drawn = [x for trace in page.figures["figure-pareto"]["data"] for x in trace["x"]]
    assert set(drawn) == {2.0}


def test_thousands_of_trials_give_a_bounded_page(tmp_path):
    study = plain_optuna(trials=5000)
    start = time.perf_counter()
    path = write_report(study, tmp_path / "big.html")
    assert time.perf_counter() - start < 20
    assert path.stat().st_size < 8e6
    page = Page(path.read_text(encoding="utf-8"))
    assert sum(name.startswith("trial-") for name in page.ids) == 100
    assert "The first 100 of 5,000" in page.text
    history = page.figures["figure-history"]["data"]
    assert all(len(trace["x"]) <= 2100 for trace in history)
    with (tmp_path / "leaderboard.csv").open(newline="") as stream:
        assert sum(1 for _ in stream) == 5001


def test_a_full_disk_leaves_the_old_files(tmp_path):
    study = searched(["accuracy"], trials=3)
    write_report(study, tmp_path)
    resource = pytest.importorskip("resource")  # not on Windows
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    study.add_trial(create_trial(value=1.0))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))  # no file may pass 64 bytes
    try:
        with pytest.raises(OSError, match="File too large"):
            write_report(study, tmp_path)
        with pytest.raises(OSError, match="File too large"):
            write_leaderboard(study, tmp_path / "leaderboard.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_made_raises(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_report(new_study("maximize"), tmp_path / "file" / "run")


def test_the_file_may_be_named(tmp_path):
    path = write_report(new_study("maximize"), str(tmp_path / "search.html"))
    assert path == tmp_path / "search.html"
    assert (tmp_path / "leaderboard.csv").exists()


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == "jinja2" else real_find_spec(name, *rest),
    )
    with pytest.raises(ImportError, match=r"pip install 'optuna-nas\[plot\]'"):
        write_report(new_study("maximize"), tmp_path)


def test_a_study_in_a_database_is_only_read(tmp_path):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    source = searched(["accuracy", "latency_ms"], trials=15)
    optuna.copy_study(
        from_study_name=source.study_name, from_storage=source._storage, to_storage=storage
    )
    study = optuna.load_study(study_name=source.study_name, storage=storage)
    before = (study.user_attrs, len(study.trials))
    assert page_of(study, tmp_path / "run").tags["svg"] == 1
    assert (study.user_attrs, len(study.trials)) == before
    study._storage.remove_session()
    study._storage._backend.engine.dispose()


def test_epochs_are_marked_by_whole_numbers() -> None:
    for epochs, step in ((3, 1), (40, 4)):
        figure = curves_figure({0: {"loss": [0.5] * epochs}})
        assert figure is not None
        assert figure.layout.xaxis.dtick == step
