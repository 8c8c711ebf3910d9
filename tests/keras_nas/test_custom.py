"""What a user registers here exists in worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keras_nas import custom, register_block
from keras_nas._keras import keras
from keras_nas.isolation import Channel, Worker
from optuna_nas.export import Rule, rules, supported_operations
from optuna_nas.graph import (
    Operation,
    get_operation,
    operation_names,
    operations,
    register_operation,
)

NAMES = ("doubled_of_tests", "plain_of_tests")


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    factor = 2  # a closure: such a function can't be imported anywhere

    @register_block("doubled_of_tests")
    def doubled(units: int) -> keras.layers.Layer:
        return keras.layers.Dense(units * factor)

    register_operation(
        Operation("plain_of_tests", output_shape=lambda _attributes, inputs: inputs[0])
    )
    rules.register_rule("plain_of_tests", Rule(lambda _writer, _layer: None))
    yield
    from keras_nas.blocks.registry import _OWN

    _OWN.pop("doubled_of_tests")
    rules._RULES.pop("plain_of_tests")
    for name in NAMES:
        operations._OPERATIONS.pop(name)


def test_only_what_is_the_users_own_is_found() -> None:
    found = custom.registrations()
    own = {"blocks": "doubled_of_tests", "operations": "plain_of_tests", "rules": "plain_of_tests"}
    for kind, name in own.items():
        # Other tests of this process may have registered theirs.
        assert name in found[kind]
        assert not {"conv2d", "dense", "activation", "add"} & set(found[kind])


def test_restoring_here_changes_nothing() -> None:
    before = {name: get_operation(name) for name in NAMES}
    custom.restore(custom.registrations())
    assert {name: get_operation(name) for name in NAMES} == before


@pytest.mark.slow
def test_it_is_there_in_a_fresh_process() -> None:
    def prepare(_channel: Channel, found: custom.Registrations) -> None:
        custom.restore(found)

    def look(_channel: Channel) -> tuple[list[str], list[str], tuple[int, ...]]:
        shape = get_operation("doubled_of_tests").output_shape({"units": 3}, [(5,)])
        return operation_names(), supported_operations(), shape

    with Worker(initializer=prepare, initargs=(custom.registrations(),)) as worker:
        names, rules_there, shape = worker.run(look)
    assert set(NAMES) <= set(names)
    assert "plain_of_tests" in rules_there
    assert shape == (6,)
