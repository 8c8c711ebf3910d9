"""NAS-Bench-Macro is rebuilt exactly: counts of the benchmark's table, codes, identities."""

from __future__ import annotations

import pytest

from optuna_nas.errors import GenotypeError
from optuna_nas.spaces import nas_bench_macro
from optuna_nas.spaces.nas_bench_macro import from_code, to_code

# Rows of the benchmark's table, nas-bench-macro_cifar10.json of github.com/xiusu/NAS-Bench-Macro:
# architecture, "params" and "flops". All 6,561 agree, see benchmarks/exact_spaces.py.
TABLE = [
    ("00000000", 387_882, 7_713_280),
    ("00000001", 791_594, 14_115_328),
    ("00000002", 1_219_370, 20_910_592),
    ("11111111", 1_588_874, 53_246_464),
    ("01201201", 1_283_434, 46_109_184),
    ("22212202", 1_985_514, 85_164_544),
    ("22222222", 2_932_586, 105_660_928),
]


@pytest.mark.parametrize(("code", "params", "flops"), TABLE)
def test_costs_are_the_tables(code: str, params: int, flops: int) -> None:
    graph = nas_bench_macro().graph(from_code(code))
    assert graph.params == params
    assert graph.macs == flops + 10  # the table leaves the bias of the last layer out


def test_codes_go_both_ways() -> None:
    space = nas_bench_macro()
    assert space.size == 3**8
    for genotype in space.genotypes():
        assert from_code(to_code(genotype)) == genotype
    for text in ("", "3", "2221220x"):
        with pytest.raises(GenotypeError, match="no NAS-Bench-Macro code"):
            from_code(text)


def test_identities() -> None:
    """Where a stage's identities stand does not matter, but for its first layer.

    So a stage of two layers has 3 * 3 functions, and one of three 3 * (1 + 2 + 4): the paper's
    space has 9 * 21 * 21 = 3,969.
    """
    space = nas_bench_macro(channels=4, depths=(2, 3), head=8)
    assert len({space.identity(genotype) for genotype in space.genotypes()}) == 9 * 21


def test_the_best_architecture_is_a_reference() -> None:
    assert to_code(nas_bench_macro().references["best"]) == "22212202"
    assert nas_bench_macro(depths=(2, 2)).references == {}
