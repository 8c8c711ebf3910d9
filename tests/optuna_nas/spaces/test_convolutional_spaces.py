"""Mobile, residual and branching networks: sizes by hand, and published numbers of parameters."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import onnxruntime
import pytest

from optuna_nas.errors import SpaceError
from optuna_nas.export import onnx_bytes
from optuna_nas.graph import ArchitectureGraph
from optuna_nas.space import Choice, Scope, SearchSpace, conv, identity, max_pooling
from optuna_nas.spaces import branching_cnn, mobile_cnn, residual_cnn
from optuna_nas.spaces.mobile_layouts import LAYOUTS, Layout, Stage
from tests.same_function import weights_by_place

IMAGENET = {"input_shape": (224, 224, 3), "classes": 1000}
SMALL = Layout(4, Stage(4, (1, 1), 1), (Stage(8, (1, 2), 2), Stage(16, (1, 1), 2)), head=16)


@pytest.mark.parametrize(
    ("layout", "params", "millions_of_macs"),
    [
        # Sandler et al. (2018), table 4: 3.4 M and 300 M; Howard et al. (2019), tables 3 and 4:
        # 5.4 M and 219 M, 2.5 M and 56 M. The exact numbers are torchvision's.
        ("mobilenet_v2", 3_504_872, 300),
        ("mobilenet_v3_large", 5_483_032, 219),
        ("mobilenet_v3_small", 2_542_856, 56),
    ],
)
def test_mobile_networks_are_the_published_ones(
    layout: str, params: int, millions_of_macs: int
) -> None:
    space = mobile_cnn(layout=layout, **IMAGENET)
    (name,) = space.references
    assert name == LAYOUTS[layout].name
    graph = space.graph(space.references[name])
    assert graph.params == params
    assert graph.macs / 1e6 == pytest.approx(millions_of_macs, rel=0.02)


@pytest.mark.parametrize(
    ("name", "params", "billions_of_macs"),
    # He et al. (2016a), table 1, count 1.8, 3.6 and 3.8 (with strides in 1x1 layers: 4.1 in 3x3
    # ones); numbers of parameters are torchvision's.
    [
        ("ResNet-18", 11_689_512, 1.8),
        ("ResNet-34", 21_797_672, 3.6),
        ("ResNet-50", 25_557_032, 4.1),
    ],
)
def test_residual_networks_are_the_published_ones(
    name: str, params: int, billions_of_macs: float
) -> None:
    space = residual_cnn(max_blocks=6, **IMAGENET)
    graph = space.graph(space.references[name])
    assert graph.params == params
    assert graph.macs / 1e9 == pytest.approx(billions_of_macs, rel=0.02)


def test_the_small_residual_network_by_hand() -> None:
    space = residual_cnn(classes=10)
    assert set(space.references) == {"ResNet-20"}

    def conv_bn(kernel: int, inputs: int, outputs: int) -> int:
        return kernel**2 * inputs * outputs + 2 * outputs

    expected, inputs = conv_bn(3, 3, 16), 16
    for width in (16, 32, 64):
        expected += conv_bn(3, inputs, width) + 5 * conv_bn(3, width, width)
        expected += conv_bn(1, inputs, width) if inputs != width else 0
        inputs = width
    expected += 64 * 10 + 10
    assert space.graph(space.references["ResNet-20"]).params == expected == 272_474


def test_references_are_there_where_the_arguments_allow_them() -> None:
    assert not mobile_cnn(kernels=(3,)).references  # MobileNetV3 has 5x5 ones
    assert not mobile_cnn(layout="mobilenet_v2", width_multipliers=(0.5,)).references
    assert mobile_cnn(layout="mobilenet_v2", kernels=(3,), squeeze_excite=False).references
    assert not mobile_cnn(layout="proxyless").references
    assert set(residual_cnn(max_blocks=9).references) == {"ResNet-20", "ResNet-56"}
    assert not residual_cnn(blocks=("bottleneck",)).references
    assert not branching_cnn(operations=("conv_3x3",)).references
    space = branching_cnn()
    resnet, densenet = (space.graph(space.references[f"{n}-like"]) for n in ("ResNet", "DenseNet"))
    for graph, merge in ((resnet, "add"), (densenet, "concatenate")):
        assert sum(layer.op == merge for layer in graph.layers) == 4 * 2


def test_sizes_by_hand() -> None:
    # depth, 2 kernels and 2 expansions of each bottleneck; activation, squeeze-and-excitation
    first = 3 * 2 * (4 + 4 * 4)
    second = 3 * 2 * 4
    space = mobile_cnn(layout=SMALL, kernels=(3, 5))
    assert space.size == 3 * first * second * 2
    # order, activation, squeeze-and-excitation, stem; kind, width and depth of two stages
    assert residual_cnn(stages=2).size == 2 * 2 * 2 * 3 * (2 * 3 * 4) ** 2
    space = branching_cnn(stages=1, max_blocks=1, layers=2, operations=("identity", "conv_3x3"))
    # activation, width, pooling, dropout; merge; one input, then either of two or both
    assert space.size == (2 * 4 * 2 * 2) * 2 * 2 * (2 + 2 + 4)


@pytest.mark.parametrize(
    "space",
    [
        mobile_cnn(
            layout=Layout(4, Stage(4, (1, 1), 1), (Stage(8, (1, 2), 2),), head=8),
            input_shape=(8, 8, 1),
            kernels=(3,),
            activations=("relu",),
            width_multipliers=(0.5, 1.0),
        ),
        residual_cnn(input_shape=(8, 8, 1), max_blocks=1, widths=(2, 4)),
        branching_cnn(
            input_shape=(8, 8, 1),
            stages=1,
            max_blocks=1,
            layers=2,
            widths=(2,),
            operations=("identity", "conv_3x3"),
        ),
    ],
    ids=lambda space: space.name,
)
def test_every_genotype_is_counted_and_has_a_network(space: SearchSpace) -> None:
    genotypes = set(space.genotypes())
    assert len(genotypes) == space.size
    for genotype in genotypes:
        assert space.graph(genotype).output_shape == (10,)


@pytest.mark.parametrize(
    ("shape", "smallest"),
    # a 1x1 image is as small as it can be; 33 / 8 = 4.1; 224 / 32 = 7
    [((1, 1, 3), (1, 1)), ((9, 7, 1), (9, 7)), ((33, 48, 3), (5, 6)), ((224, 224, 3), (7, 7))],
)
def test_strides_leave_an_image_to_look_at(
    shape: tuple[int, ...], smallest: tuple[int, int]
) -> None:
    for layout in ("mobilenet_v2", "mobilenet_v3_small"):
        space = mobile_cnn(layout=layout, input_shape=shape)
        graph = space.graph(space.sample(np.random.default_rng(0)))
        images = [s for s in graph.shapes.values() if len(s) == 3 and s[0] > 1]
        assert all(s[:2] >= smallest for s in images)
        assert (images or [shape])[-1][:2] == smallest


@pytest.mark.parametrize(
    "space",
    [
        mobile_cnn(),
        residual_cnn(),
        residual_cnn(input_shape=(130, 129, 1)),
        branching_cnn(),
        branching_cnn(input_shape=(7, 5, 2), merges=("multiply",), max_branches=3),
    ],
    ids=lambda space: f"{space.name}-{space.input_shape[0]}",
)
def test_draws_children_and_mutants_have_networks(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    known = [space.sample(rng) for _ in range(20)]
    for a, b in itertools.pairwise(known):
        child = space.mutate(space.crossover(a, b, rng, "subtree"), rng)
        assert space.graph(child).output_shape == (10,)
    assert len({space.graph(genotype).canonical_id for genotype in known}) > 15
    assert SearchSpace.from_json(space.to_json()) == space


def test_two_networks_in_one_space_decide_apart() -> None:
    bodies = {name: Scope("inner", residual_cnn().body) for name in ("a", "b")}
    space = SearchSpace("two", input_shape=(32, 32, 3), classes=10, body=Choice("net", bodies))
    assert space.size == 2 * residual_cnn().size
    assert space.graph(space.sample(np.random.default_rng(0))).output_shape == (10,)


def test_networks_of_one_identity_compute_the_same() -> None:
    space = branching_cnn(
        input_shape=(6, 6, 1),
        classes=2,
        stages=1,
        max_blocks=1,
        layers=2,
        widths=(2,),
        activations=("relu",),
        operations=("identity", "conv_3x3", "max_pooling_3x3"),
    )
    alike: dict[str, list[ArchitectureGraph]] = defaultdict(list)
    for genotype in space.genotypes():
        graph = space.graph(genotype)
        alike[graph.canonical_id].append(graph)
    # One input is not merged, dropout is nothing in use, and what is not read is left out.
    groups = [group for group in alike.values() if len(group) > 2]
    assert len(groups) > 10
    for group in groups[:10]:
        first, last = output(group[0]), output(group[-1])
        np.testing.assert_allclose(first, last, rtol=1e-3, atol=1e-4)


def output(graph: ArchitectureGraph) -> np.ndarray:
    content = onnx_bytes(graph, weights=weights_by_place(graph), batch=2)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(2, *graph.input_shape)).astype(np.float32)
    return np.asarray(session.run(None, {"input": x})[0])


def test_layers_of_the_users_choice() -> None:
    own = {
        "wide": conv(12, Choice("kernel", [1, 3])),
        "pool": max_pooling(3, 1),
        "skip": identity(),
    }
    space = branching_cnn(operations=own, stages=1, max_blocks=1, layers=2, widths=(8,))
    names = space.distributions()
    assert "stage0/block/0/layers/layer2/inputs/1/operation=wide/kernel" in names
    assert all(space.feasible(genotype) for genotype in space.genotypes())


def test_mistakes_are_explained() -> None:
    with pytest.raises(SpaceError, match="layout must be a Layout or one of mobilenet_v2"):
        mobile_cnn(layout="mobilenet_v9")
    with pytest.raises(SpaceError, match="'conv_9x9' is no operation; expected some of identity"):
        branching_cnn(operations=("conv_9x9",))
