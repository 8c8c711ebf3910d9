"""Shapes and counts against values worked out by hand, and identities of equal networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import pytest

from optuna_nas.errors import InfeasibleArchitectureError, OperationError
from optuna_nas.graph import (
    ArchitectureGraph,
    GraphBuilder,
    LayerSpec,
    LayerTemplates,
    Operation,
    get_operation,
    operations,
    register_operation,
)


def single(op: str, shape: tuple[int, ...], **attributes: object) -> ArchitectureGraph:
    builder = GraphBuilder(shape)
    return builder.graph(builder.add(op, attributes, ["input"]))


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "output", "params", "macs"),
    [
        ("conv2d", (8, 8, 3), {"filters": 4, "kernel_size": 3}, (8, 8, 4), 108, 64 * 108),
        (
            "conv2d",
            (9, 7, 4),
            {"filters": 6, "kernel_size": (3, 1), "strides": 2, "use_bias": True, "groups": 2},
            (5, 4, 6),
            3 * 2 * 6 + 6,
            20 * 42,
        ),
        (
            "conv2d",
            (9, 9, 1),
            {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "valid"},
            (5, 5, 2),
            18,
            25 * 18,
        ),
        ("depthwise_conv2d", (8, 8, 5), {"kernel_size": 3, "strides": 2}, (4, 4, 5), 45, 16 * 45),
        ("dense", (7,), {"units": 3}, (3,), 24, 24),
        ("dense", (5, 7), {"units": 3, "use_bias": False}, (5, 3), 21, 105),
        ("batch_normalization", (4, 4, 6), {}, (4, 4, 6), 12, 0),
        ("layer_normalization", (6,), {}, (6,), 12, 0),
        ("max_pooling2d", (7, 7, 2), {"pool_size": 2, "strides": 2}, (4, 4, 2), 0, 0),
        (
            "average_pooling2d",
            (7, 7, 2),
            {"pool_size": 2, "strides": 2, "padding": "valid"},
            (3, 3, 2),
            0,
            0,
        ),
        ("global_average_pooling2d", (7, 5, 2), {}, (2,), 0, 0),
        ("flatten", (3, 4, 2), {}, (24,), 0, 0),
        ("reshape", (12,), {"target_shape": (3, 4)}, (3, 4), 0, 0),
        ("zero_padding2d", (3, 3, 1), {"padding": 2}, (7, 7, 1), 0, 0),
        ("cropping2d", (5, 6, 1), {"cropping": ((1, 0), (2, 1))}, (4, 3, 1), 0, 0),
        ("slice_channels", (3, 3, 4), {"channels": 3}, (3, 3, 3), 0, 0),
        ("activation", (3,), {"function": "relu"}, (3,), 0, 0),
    ],
)
def test_shapes_and_costs(
    op: str,
    shape: tuple[int, ...],
    attributes: dict[str, object],
    output: tuple[int, ...],
    params: int,
    macs: int,
) -> None:
    graph = single(op, shape, **attributes)
    assert graph.output_shape == output
    assert (graph.params, graph.macs) == (params, macs)
    assert ArchitectureGraph.from_json(graph.to_json()) == graph


def test_peak_activation_bytes_counts_what_is_alive() -> None:
    builder = GraphBuilder((4, 4, 1))  # 16 values
    a = builder.add("conv2d", {"filters": 2, "kernel_size": 3}, ["input"])  # 32
    b = builder.add("conv2d", {"filters": 4, "kernel_size": 3}, [a])  # 64
    c = builder.add("conv2d", {"filters": 2, "kernel_size": 3}, [b])  # 32, while a and b live
    d = builder.add("add", {}, [a, c])
    graph = builder.graph(d)
    assert graph.peak_activation_bytes == 4 * (32 + 64 + 32)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "begins with"),
        ([LayerSpec("a", "flatten", {}, ())], "begins with"),
        (
            [LayerSpec("i", "input", {"shape": (3,)}), LayerSpec("i", "flatten", {}, ("i",))],
            "Two layers are named 'i'",
        ),
        (
            [LayerSpec("i", "input", {"shape": (3,)}), LayerSpec("a", "flatten", {}, ("b",))],
            "reads 'b'",
        ),
        (
            [LayerSpec("i", "input", {"shape": (3,)}), LayerSpec("a", "flatten", {}, ())],
            "has no input",
        ),
    ],
)
def test_a_graph_is_checked(layers: list[LayerSpec], message: str) -> None:
    with pytest.raises(OperationError, match=message):
        ArchitectureGraph(layers)


def test_a_shape_that_does_not_fit_names_the_layer() -> None:
    builder = GraphBuilder((8,))
    with pytest.raises(InfeasibleArchitectureError, match=r"Layer 'stem_conv2d'.*height, width"):
        builder.add("conv2d", {"filters": 1, "kernel_size": 3}, ["input"], name="stem/conv2d")
    with pytest.raises(InfeasibleArchitectureError, match="does not fill"):
        single("reshape", (5,), target_shape=(2, 3))
    with pytest.raises(InfeasibleArchitectureError, match="must divide"):
        single("conv2d", (4, 4, 3), filters=4, kernel_size=1, groups=2)


def test_an_operation_can_be_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_OPERATIONS", dict(operations._OPERATIONS))
    operation = Operation("test_operation", lambda _, inputs: inputs[0])
    register_operation(operation)
    with pytest.raises(OperationError, match="exists already"):
        register_operation(operation)
    register_operation(operation, replace=True)
    assert get_operation("test_operation") is operation


class Net:
    """Shorthand to write small graphs down."""

    def __init__(self) -> None:
        self.builder = GraphBuilder((8, 8, 4))

    def conv(self, x: str, kernel: int = 3) -> str:
        return self.builder.add("conv2d", {"filters": 4, "kernel_size": kernel}, [x])

    def pool(self, x: str) -> str:
        return self.builder.add("average_pooling2d", {"pool_size": 3}, [x])

    def add(self, *x: str) -> str:
        return self.builder.add("add", {}, x)

    def zero(self, x: str) -> str:
        return self.builder.add("zero", {}, [x])

    def id(self, x: str) -> str:
        return self.builder.graph(x).canonical_id


def test_equal_functions_have_one_identity() -> None:
    n = Net()
    plain = n.id(n.conv("input"))
    assert plain == n.id(n.add(n.conv("input"), n.zero("input")))
    assert plain == n.id(n.add(n.zero(n.conv("input")), n.conv("input")))
    assert plain == n.id(n.builder.add("identity", {}, [n.conv("input")]))
    assert plain == n.id(n.builder.add("activation", {"function": "linear"}, [n.conv("input")]))
    # What is computed from zeros alone is a constant that a bias makes up for.
    assert plain == n.id(n.add(n.conv("input"), n.conv(n.zero("input"))))
    # Sums are unordered and nest.
    a, b = n.conv("input", 1), n.conv("input", 5)
    assert n.id(n.add(a, b)) == n.id(n.add(b, a))
    assert n.id(n.add(n.add(a, b), "input")) == n.id(n.add(a, n.add("input", b)))
    # Average pooling is linear.
    assert n.id(n.pool(n.add(a, b))) == n.id(n.add(n.pool(b), n.pool(a)))


def test_a_constant_that_differs_by_position_is_dropped_by_the_identity_alone() -> None:
    n = Net()
    biased = {"filters": 4, "kernel_size": 3, "use_bias": True}
    constant = n.builder.add("conv2d", biased, [n.conv(n.zero("input"))])
    total = n.add(n.conv("input"), n.conv(constant))
    assert n.id(total) == n.id(n.conv("input"))
    assert sum(s.op == "conv2d" for s in n.builder.graph(total).pruned().layers) == 3


def test_different_functions_have_different_identities() -> None:
    n = Net()
    ids = [n.id(n.conv("input")), n.id(n.conv("input", 1)), n.id(n.conv(n.conv("input")))]
    ids.append(n.id(n.add("input", "input")))
    ids.append(n.id(n.add("input", n.conv("input"))))
    ids.append(n.id("input"))
    shared = n.conv("input")
    ids.append(n.id(n.add(shared, n.conv(shared))))
    # Here the two convolutions of the input have weights of their own.
    ids.append(n.id(n.add(n.conv("input"), n.conv(n.conv("input")))))
    ids.append(n.id(n.add(shared, shared)))
    ids.append(n.id(n.add(n.conv("input"), n.conv("input"))))
    ids.append(n.id(n.builder.add("concatenate", {}, ["input", shared])))
    ids.append(n.id(n.builder.add("concatenate", {}, [shared, "input"])))
    assert len(set(ids)) == len(ids)


def test_a_concatenation_that_weights_read_is_unordered() -> None:
    n = Net()

    def concatenated(read: Callable[[str], str], *, swap: bool) -> str:
        parts = [n.conv("input", 1), n.conv("input", 5)]
        both = n.builder.add("concatenate", {}, parts[::-1] if swap else parts)
        return n.id(read(both))

    def through(*ops: tuple[str, dict[str, object]]) -> Callable[[str], str]:
        return lambda x: reduce(lambda y, step: n.builder.add(step[0], step[1], [y]), ops, x)

    relu, conv = ("activation", {"function": "relu"}), ("conv2d", {"filters": 4, "kernel_size": 3})
    grouped = ("conv2d", {"filters": 4, "kernel_size": 3, "groups": 4})
    depthwise, norm = ("depthwise_conv2d", {"kernel_size": 3}), ("batch_normalization", {})
    cut, pool = ("slice_channels", {"channels": 5}), ("max_pooling2d", {"pool_size": 2})
    flat, dense = ("flatten", {}), ("dense", {"units": 3})

    def nested(x: str) -> str:
        return n.conv(n.builder.add("concatenate", {}, [n.conv("input"), x]))

    def summed(x: str) -> str:
        other = n.builder.add("conv2d", {"filters": 8, "kernel_size": 1}, ["input"])
        return n.conv(n.add(x, other))

    def read_twice(x: str) -> str:
        return n.add(n.conv(x), n.builder.add(*cut[:1], {"channels": 4}, [x]))

    for read, unordered in (
        (through(conv), True),
        (through(relu, depthwise, norm, pool, conv), True),
        (through(relu, flat, dense), True),
        (nested, True),
        (through(relu), False),
        (through(grouped), False),
        (through(cut, conv), False),
        (summed, False),
        (read_twice, False),
    ):
        same = concatenated(read, swap=True) == concatenated(read, swap=False)
        assert same is unordered


def test_what_shares_a_slot_tells_nodes_apart() -> None:
    """Two nodes sum a convolution of either value; swapped, they are the same two nodes."""
    n = Net()

    def id(*sizes: tuple[int, int]) -> str:
        a, b = n.conv("input"), n.conv("input")
        nodes = [n.add(n.conv(a, left), n.conv(b, right)) for left, right in sizes]
        return n.id(n.conv(n.builder.add("concatenate", {}, nodes)))

    assert id((1, 5), (3, 5)) == id((3, 5), (1, 5))
    assert id((1, 5), (3, 5)) == id((5, 1), (5, 3))
    assert id((1, 5), (3, 5)) != id((1, 5), (5, 3))


def test_layers_that_nothing_reads_are_left_out() -> None:
    n = Net()
    dead = n.conv(n.conv("input"))
    used = n.conv("input")
    graph = n.builder.graph(used)
    assert [layer.name for layer in graph.layers] == ["input", used]
    assert dead not in graph.shapes
    assert graph.params == 3 * 3 * 4 * 4


def test_pruning_is_exact() -> None:
    n = Net()
    kept = n.conv("input")
    normalized = n.builder.add("batch_normalization", {}, [n.conv(n.zero("input"))])
    dead = n.conv("input", 5)
    out = n.add(kept, n.conv(n.zero("input")), normalized)
    pruned = n.builder.graph(out).pruned()
    names = {layer.name for layer in pruned.layers}
    assert dead not in names
    # A convolution of zeros is zero and leaves the sum; the offset of a normalisation stays.
    assert normalized in names
    assert len(pruned.layer(out).inputs) == 2


def test_zeros_are_pruned_with_all_they_were_made_of() -> None:
    n = Net()
    empty = n.zero(n.conv("input"))
    joined = n.builder.add("concatenate", {}, [n.pool("input"), n.pool(empty)])
    pruned = n.builder.graph(joined).pruned()
    assert [layer.op for layer in pruned.layers] == [
        "input",
        "zero",
        "average_pooling2d",
        "concatenate",
    ]
    assert pruned.params == 0
    assert pruned.pruned() == pruned


def test_a_constant_factor_is_no_constant() -> None:
    n = Net()
    half = n.builder.add("activation", {"function": "sigmoid"}, [n.zero("input")])
    scaled = n.builder.add("multiply", {}, [n.conv("input"), half])
    assert n.id(scaled) != n.id(n.zero("input"))
    nothing = n.builder.add("multiply", {}, [n.conv("input"), n.zero("input")])
    assert n.id(nothing) == n.id(n.zero("input"))


def test_factors_are_unordered() -> None:
    n = Net()
    image, gate = (
        n.conv("input"),
        n.builder.add("max_pooling2d", {"pool_size": 8, "strides": 8}, ["input"]),
    )
    assert n.id(n.builder.add("multiply", {}, [image, gate])) == n.id(
        n.builder.add("multiply", {}, [gate, image])
    )


def test_one_ring_is_told_from_two() -> None:
    """Colours alone can't (Weisfeiler & Leman 1968), for all layers of a kind look alike."""

    def network(crossed: bool, flipped: bool = False) -> str:
        n = Net()

        def unit(x: str, kernel: int) -> str:
            return n.builder.add("activation", {"function": "relu"}, [n.conv(x, kernel)])

        starts = [unit("input", 3), unit("input", 3)]
        left, right = [unit(x, 1) for x in starts], [unit(x, 5) for x in starts]
        if crossed:
            right.reverse()
        pairs = [unit(n.add(a, b), 3) for a, b in zip(left, right, strict=True)]
        return n.id(n.add(*(reversed(pairs) if flipped else pairs)))

    assert network(crossed=False) != network(crossed=True)
    assert network(crossed=True) == network(crossed=True, flipped=True)


def test_shapes_come_in_the_order_of_the_layers() -> None:
    n = Net()
    graph = n.builder.graph(n.add(n.conv("input"), n.pool("input"), n.conv("input", 1)))
    assert list(graph.shapes) == [layer.name for layer in graph.layers]


@pytest.mark.parametrize(
    ("op", "attributes", "message"),
    [
        ("conv2d", {"filters": 4, "kernel_size": 3, "strides": 0}, "strides must be a positive"),
        ("conv2d", {"filters": 4, "kernel_size": (3,)}, "kernel_size must be a positive"),
        ("conv2d", {"filters": 4.0, "kernel_size": 3}, "filters must be a positive integer"),
        ("conv2d", {"filters": True, "kernel_size": 3}, "filters must be a positive integer"),
        ("conv2d", {"filters": 4, "kernel_size": 3, "groups": 0}, "groups must be a positive"),
        ("conv2d", {"filters": 4, "kernel_size": 3, "padding": "SAME"}, "padding must be 'same'"),
        ("max_pooling2d", {"pool_size": 2, "padding": 1}, "padding must be 'same'"),
        ("dropout", {"rate": 1.5}, "rate must be a number from 0 to 1"),
    ],
)
def test_attributes_are_checked(op: str, attributes: dict[str, object], message: str) -> None:
    with pytest.raises(OperationError, match=message):
        single(op, (8, 8, 2), **attributes)


def test_attributes_in_keras_shorthand() -> None:
    assert single("zero_padding2d", (3, 3, 1), padding=(1, 2)).output_shape == (5, 7, 1)


def test_a_layer_known_by_its_key_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "_OPERATIONS", dict(operations._OPERATIONS))
    asked: list[int] = []

    def shape(_: object, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        asked.append(1)
        return inputs[0]

    register_operation(Operation("counted", shape))
    templates = LayerTemplates()
    for _ in range(2):
        b = GraphBuilder((4,), templates=templates)
        x = b.add("counted", {"a": 1}, ["input"], key="k")
        y = b.add("counted", {"a": 1}, [x], key="k")
        assert [layer.name for layer in b.layers] == ["input", "counted", "counted_1"]
        assert b.layers[1].attributes is b.layers[2].attributes
        assert b.layers[2].inputs == (x,)
        assert b.shapes[y] == (4,)
    assert len(asked) == 1
    b = GraphBuilder((5,), templates=templates)  # another shape comes in
    b.add("counted", {"a": 1}, ["input"], key="k")
    b.add("counted", {"a": 1}, ["input"])  # no key
    assert len(asked) == 3
    register_operation(Operation("counted", lambda _, __: (9,)), replace=True)
    b = GraphBuilder((4,), templates=templates)
    assert b.shapes[b.add("counted", {"a": 1}, ["input"], key="k")] == (9,)


def test_templates_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LayerTemplates, "MAX_SIZE", 3)
    b = GraphBuilder((4,), templates=(templates := LayerTemplates()))
    for units in range(1, 10):
        b.add("dense", {"units": units}, ["input"], key=units)
        assert len(templates) <= 3
