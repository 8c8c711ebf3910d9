"""Pictures of a supernet, and where the report shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import optuna
import pytest
from report_studies import new_study

from optuna_nas import Choice, Repeat, SearchSpace
from optuna_nas._optuna import supernet_of
from optuna_nas.report import plot_alphas, plot_emergence, plot_ranks, write_report
from optuna_nas.report.rank_figures import ranks
from optuna_nas.report.reading import read_study
from optuna_nas.report.supernet import SupernetHistory, alarm_text, read_supernet
from optuna_nas.samplers import DARTSSampler
from optuna_nas.space import conv, global_average_pooling, identity

KINDS = {"<b>": conv(kernel=1), "conv": conv(), "skip": identity()}
SPACE = SearchSpace(
    "blocks",
    input_shape=(4, 4, 2),
    classes=2,
    body=[Repeat("block", 1, 2, Choice("kind", KINDS)), global_average_pooling()],
)
NAMES = ("block/depth", "block/0/kind", "block/1/kind")


def logits(epoch: int) -> dict[str, list[float | None]]:
    """The first kind moves from the first value to the last, the second is never anything."""
    return {
        "block/depth": [0.0, 0.5 * epoch],
        "block/0/kind": [2.0, 0.0, float(epoch)],
        "block/1/kind": [0.0, 0.0, 0.0],
    }


class Source:
    """Goes through `logits`, and says that it has collapsed in some epochs."""

    def __init__(self, alarms: dict[int, str | bool], epochs: int = 4) -> None:
        self.epoch, self.epochs, self.alarms = 0, epochs, alarms

    def advance(self) -> bool:
        self.epoch += 1
        return self.epoch < self.epochs

    def logits(self) -> dict[str, np.ndarray]:
        return {name: np.array(row) for name, row in logits(self.epoch).items()}

    def checkpoint(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        raise AssertionError

    def status(self) -> dict[str, float | str | bool]:
        shares = {"entropy": 0.5, "share_of_skips": 0.6, "share_of_none": 0.0}
        return {"epoch": self.epoch, **shares, "alarm": self.alarms.get(self.epoch, "")}


def searched(alarms: dict[int, str | bool], trials: int = 5) -> optuna.Study:
    study = new_study("maximize")
    study.sampler = DARTSSampler(space=SPACE, source=Source(alarms), seed=0)
    study.optimize(lambda trial: SPACE.graph(SPACE.suggest(trial)).params, n_trials=trials)
    return study


def history(epochs: range = range(1, 5)) -> SupernetHistory:
    return SupernetHistory.of(SPACE, {epoch: logits(epoch) for epoch in epochs})


def test_probabilities_are_the_softmax_of_logits() -> None:
    found = history()
    assert list(found.values) == ["block/depth", "block/0/kind"]  # the third was never moved
    assert found.values["block/depth"] == ("1", "2")
    expected = 1 / (1 + np.exp(-0.5 * np.arange(1, 5)))
    assert found.probabilities["block/depth"][:, 1] == pytest.approx(expected)


def test_what_is_never_drawn_has_no_probability() -> None:
    rows = {1: {**logits(1), "block/1/kind": [0.0, None, 0.0]}}
    found = SupernetHistory.of(SPACE, rows)
    assert found.probabilities["block/1/kind"][0] == pytest.approx([0.5, 0.0, 0.5])


def test_runs_are_stretches_with_one_most_probable_value() -> None:
    assert history().runs("block/0/kind") == [(1, 2, 0), (3, 4, 2)]
    assert history().runs("block/depth") == [(1, 4, 1)]
    gaps = {n: {**logits(1), "block/depth": [0.0, float(n % 3)]} for n in range(1, 6)}
    assert SupernetHistory.of(SPACE, gaps).runs("block/depth") == [(1, 2, 1), (4, 5, 1)]


@pytest.mark.parametrize(
    ("alarms", "text"),
    [
        ({}, ""),
        ({4: "all skips."}, "The search has collapsed, in epoch 4: all skips."),
        ({2: "a", 4: "b"}, "The search has collapsed, in epochs 2 to 4: b."),
        ({2: True}, "The search was held to have collapsed in epoch 2, and recovered: its alarm"),
    ],
)
def test_the_alarm_in_words(alarms: dict[int, str | bool], text: str) -> None:
    found = read_supernet(read_study(searched(alarms, trials=1)), None)
    assert found is not None
    assert alarm_text(found).startswith(text)
    assert bool(alarm_text(found)) == bool(alarms)


def test_the_page_shows_alphas_ranks_and_the_alarm(tmp_path: Path) -> None:
    text = write_report(searched({4: "<all> skips"}), tmp_path).read_text(encoding="utf-8")
    section = re.search(r'<section id="supernet">.*?</section>', text, re.S)
    assert section is not None
    for name in ("emergence", "alphas", "ranks"):
        assert f'id="figure-{name}"' in section[0]
    assert 'class="note bad">The search has collapsed, in epoch 4: &lt;all&gt; skips.' in section[0]
    assert '<a href="#supernet">' in text
    assert "60.00 %" in section[0]  # share of skips


def test_no_supernet_no_section(tmp_path: Path) -> None:
    study = new_study("maximize")
    study.optimize(lambda trial: SPACE.graph(SPACE.suggest(trial)).params, n_trials=5)
    text = write_report(study, tmp_path).read_text(encoding="utf-8")
    assert 'id="supernet"' not in text
    with pytest.raises(ValueError, match="that a DARTSSampler has drawn from"):
        plot_alphas(study, space=SPACE)


def test_a_source_that_learned_nothing(tmp_path: Path) -> None:
    study = new_study("maximize")
    source = Source({})
    source.logits = lambda: {n: np.zeros(2 if n == NAMES[0] else 3) for n in NAMES}  # type: ignore[method-assign]
    study.sampler = DARTSSampler(space=SPACE, source=source, seed=0)
    study.optimize(lambda trial: SPACE.graph(SPACE.suggest(trial)).params, n_trials=1)
    text = write_report(study, tmp_path).read_text(encoding="utf-8")
    assert "All values of all decisions are still alike" in text
    assert "figure-alphas" not in text


def test_the_heat_map_has_a_row_for_each_value() -> None:
    study = searched({})
    figure = plot_alphas(study)
    (map_,) = figure.data
    assert list(map_.x) == [1, 2, 3, 4]
    # Two values, an empty row, three values.
    assert [row[0] is not None for row in map_.z] == [True, True, False, True, True, True]
    assert list(figure.layout.yaxis.ticktext) == ["1", "2", "&lt;b&gt;", "conv", "skip"]
    assert [a.text for a in figure.layout.annotations] == [f"<b>{n}</b>" for n in NAMES[:2]]
    stored = supernet_of(study)
    assert stored is not None
    same = plot_alphas({n: e.logits for n, e in stored[1].items()}, space=SPACE)
    assert same.to_json() == figure.to_json()


def test_the_cell_as_it_emerges() -> None:
    figure = plot_emergence(searched({3: "skips"}))
    bars = {trace.name: trace for trace in figure.data if trace.type == "bar"}
    assert set(bars) == {"2", "&lt;b&gt;", "skip"}
    assert (list(bars["skip"].base), list(bars["skip"].x)) == ([2.5], [2])
    assert {t.name for t in figure.data if t.type == "scatter"} == {
        *("entropy", "share of skips", "share of none", "collapsed")
    }
    plain = plot_emergence({1: logits(1)}, space=SPACE, decisions=["block/depth"])
    assert [(trace.type, list(trace.y)) for trace in plain.data] == [("bar", ["block/depth"])]


def test_many_decisions_are_cut_where_nobody_asks_for_them() -> None:
    kinds = Choice("kind", {f"k{i}": conv(kernel=1 + i) for i in range(5)})
    space = SearchSpace(
        "long",
        input_shape=(4, 4, 2),
        classes=2,
        body=[Repeat("block", 50, 50, kinds), global_average_pooling()],
    )
    rows = {1: {name: np.arange(5.0) for name in space.distributions()}}
    assert len(plot_alphas(rows, space=space).data[0].z) <= 150
    last = "block/49/kind"
    assert len(plot_alphas(rows, space=space, decisions=[last]).data[0].z) == 5
    (bars,) = plot_emergence(rows, space=space).data
    assert len(bars.y) == 40


def test_ranks_of_both() -> None:
    figure = plot_ranks([0.2, 0.9, 0.5, 0.5], [0.3, 0.8, 0.6, 0.7], names=["a", "<b>", "c", "d"])
    points = {(x, y) for trace in figure.data[1:] for x, y in zip(trace.x, trace.y, strict=True)}
    assert points == {(4.0, 4.0), (1.0, 1.0), (2.5, 3.0), (2.5, 2.0)}
    texts = [text for trace in figure.data[1:] for text in trace.text]
    assert any(text.startswith("&lt;b&gt;") for text in texts)
    # 5 pairs in order of 5 that count for one, 6 for the other: 5 / sqrt(5 * 6).
    assert figure.layout.annotations[0].text == "Kendall's τ: 0.91"
    assert ranks([3.0, 1.0, 2.0], maximize=False).tolist() == [3, 1, 2]
    assert "unknown" in plot_ranks([1, 1], [1, 2]).layout.annotations[0].text
    json.loads(figure.to_json())


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="at least 2, got 1 and 2"):
        plot_ranks([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        plot_ranks([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(ValueError, match="space of the logits"):
        plot_alphas({1: logits(1)})
    with pytest.raises(ValueError, match="got 'edge'"):
        plot_alphas({1: logits(1)}, space=SPACE, decisions=["edge"])
    with pytest.raises(ValueError, match="got none"):
        plot_emergence({}, space=SPACE)
