"""Spaces of texts, sequences and vision transformers: sizes and counts by hand, every draw fits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optuna_nas import SearchSpace
from optuna_nas.errors import GenotypeError, SpaceError
from optuna_nas.spaces import darts_rnn, sequence_cnn_rnn, text_classifier, vision_transformer
from optuna_nas.spaces.darts_rnn import PUBLISHED, from_genotype, to_genotype

SPACES = [
    text_classifier(),
    sequence_cnn_rnn(),
    darts_rnn(width=8, units=8),
    vision_transformer(input_shape=(32, 24, 3)),
]


def test_sizes() -> None:
    cell = 2 * 3 * 2  # of two kinds, with 3 widths, in one direction or both
    pooling = 1 + 1 + 3 + 1 + 2 + cell  # 3 widths of additive attention, 2 numbers of heads
    head = 3 * (1 + 3)  # no dropout or 2 rates; no hidden layer or one of 3 widths
    kernels = (1 + 3) ** 3 - 1  # each left out or with 3 widths, but not all left out
    block = kernels + cell + 2 * 2  # heads and ratio of a transformer
    embedding = 4 * 2 * 3  # width, positions, dropout
    blocks = 1 + block + block**2
    assert text_classifier().size == embedding * blocks * pooling * head
    assert text_classifier(max_blocks=1, blocks=["transformer"]).size == embedding * 5 * 20 * 12
    convolutions = sum((3 * 3 * 4 * 2) ** depth for depth in range(5))
    recurrent = 1 + cell + cell**2
    assert sequence_cnn_rnn().size == 2 * 3 * 3 * convolutions * recurrent * pooling * head
    assert darts_rnn().size == 4**8 * math.factorial(8)
    assert vision_transformer().size == 3 * sum(4**depth for depth in (12, 13, 14))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_draws_fit_and_change(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        genotype = space.sample(rng)
        assert space.graph(genotype).output_shape == (space.classes,)
        assert space.graph(space.mutate(genotype, rng)).output_shape == (space.classes,)
    assert SearchSpace.from_json(space.to_json()) == space


@pytest.mark.parametrize(
    ("space", "names"),
    [
        (text_classifier(), {"fastText", "TextCNN", "BiLSTM with attention", "transformer"}),
        (text_classifier(blocks=["convolution"], units=(7,)), {"fastText", "TextCNN"}),
        (text_classifier(max_blocks=0), {"fastText"}),
        (sequence_cnn_rnn(), {"TCN", "BiLSTM", "DeepConvLSTM"}),
        (sequence_cnn_rnn(max_recurrent=0), {"TCN"}),
        (sequence_cnn_rnn(max_convolutions=1, dilations=(3,)), {"TCN", "BiLSTM", "DeepConvLSTM"}),
        (darts_rnn(), {"DARTS_V1", "DARTS_V2"}),
        (darts_rnn(nodes=3, units=4), set()),
        (vision_transformer(), {"DeiT-Ti"}),
        (vision_transformer(widths=(32,), heads=(2,)), set()),
    ],
)
def test_references_are_of_the_space(space: SearchSpace, names: set[str]) -> None:
    assert set(space.references) == names
    assert all(space.feasible(genotype) for genotype in space.references.values())


def test_the_references_are_what_their_papers_say() -> None:
    space = text_classifier()
    graphs = {name: space.graph(genotype) for name, genotype in space.references.items()}
    operations = {name: [layer.op for layer in graph.layers] for name, graph in graphs.items()}
    assert operations["fastText"] == ["input", "embedding", "global_average_pooling1d", "dense"]
    assert operations["TextCNN"].count("conv1d") == 3
    assert "concatenate" in operations["TextCNN"]
    lstm = next(layer for layer in graphs["BiLSTM with attention"].layers if layer.op == "lstm")
    assert lstm.attributes["bidirectional"]
    assert "additive_attention_pooling" in operations["BiLSTM with attention"]
    assert "multi_head_attention" in operations["transformer"]
    sequences = sequence_cnn_rnn()
    convolutions = [
        layer.attributes
        for layer in sequences.graph(sequences.references["TCN"]).layers
        if layer.op == "conv1d" and layer.attributes["kernel_size"] != (1,)
    ]
    assert [attributes["dilation_rate"] for attributes in convolutions] == [
        (1,), (1,), (2,), (4,), (8,),
    ]  # fmt: skip
    assert {attributes["padding"] for attributes in convolutions} == {"causal"}


def test_a_recurrent_cell_as_published() -> None:
    space = darts_rnn()
    for name, text in PUBLISHED.items():
        assert to_genotype(space.references[name]) == text
    rng = np.random.default_rng(0)
    for _ in range(20):
        genotype = space.sample(rng)
        assert space.genotype(from_genotype(to_genotype(genotype))) == genotype
    graph = space.graph(space.references["DARTS_V2"])
    logits = 10_000 * 851
    # 23 M with the weights of logits and embedding shared, biases apart (Liu et al. 2019, table 3)
    assert graph.params - logits == 10_000 * 850 + 2 * 850 * (850 + 9 * 850) == 22_950_000


def test_recurrent_cells_are_trees() -> None:
    space = darts_rnn(nodes=3, units=2, width=2, vocabulary=9)
    found = {space.identity(genotype) for genotype in space.genotypes()}
    # With 4 activations: a path; two leaves on node 1; a path of two beside a leaf; three leaves.
    assert len(found) == 4**3 + 4 * 10 + 4**3 + 20
    assert space.size == 4**3 * 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Genotype(recurrent=[('relu', 1)], concat=range(1, 2))",
        "Genotype(recurrent=[('swish', 0)], concat=range(1, 2))",
        "Genotype(recurrent=[('relu', 0)], concat=range(1, 9))",
        "Genotype(recurrent=[('relu', 0)], concat=[2, 3])",
        "Genotype(recurrent=['relu'], concat=range(1, 2))",
    ],
)
def test_other_texts_are_no_recurrent_cells(text: str) -> None:
    with pytest.raises(GenotypeError, match="is not the text of a recurrent cell"):
        from_genotype(text)


def test_a_small_data_efficient_transformer_has_its_parameters() -> None:
    space = vision_transformer()
    graph = space.graph(space.references["DeiT-Ti"])
    assert graph.params == 5_717_416  # Touvron et al. 2021, table 1: 5M
    assert graph.macs == pytest.approx(1.26e9, rel=0.01)
    assert graph.shapes["class_token"] == (197, 192)


def test_patches_fit_small_images() -> None:
    for shape, steps in (((8, 8, 1), 64), ((32, 32, 3), 256), ((30, 47, 3), 15 * 23)):
        space = vision_transformer(input_shape=shape, widths=(8,), depths=(1, 1))
        assert space.graph(space.sample(np.random.default_rng(0))).shapes["reshape"] == (steps, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: text_classifier(blocks=["resnet"]), "among convolution, recurrent, transformer"),
        (lambda: text_classifier(blocks=[]), "blocks must be"),
        (lambda: vision_transformer(input_shape=(9,)), "height, width, channels"),
        (lambda: vision_transformer(input_shape=(8, 8, 1), patch=9), "patch=9 does not fit"),
    ],
)
def test_arguments_are_checked(make: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()  # type: ignore[operator]
