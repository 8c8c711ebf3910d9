"""DARTS, DARTS-PT, GDAS, PC-DARTS and ProxylessNAS: one function each, on digits.

Budgets are tiny, so that all run in a minute; papers train for 50 epochs and more.
"""

from itertools import islice

import numpy as np
from sklearn.datasets import load_digits

from keras_nas import Supernet, build_model
from keras_nas.supernet import SoftmaxPolicy
from keras_nas.supernet.expected_cost import ExpectedCost, logarithmic
from keras_nas.training import evaluate, train
from optuna_nas import Cell, Choice, Edge, SearchSpace, Subset
from optuna_nas.search.gradient_source import ArchitectureDistribution
from optuna_nas.space import conv, global_average_pooling, identity, max_pooling, separable_conv
from optuna_nas.supergraph import SuperGraph

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")
x, x_val, y, y_val = images[:600], images[600:900], digits.target[:600], digits.target[600:900]

operations = {"skip": identity(), "pool": max_pooling(3, strides=1, padding="same"),
              "conv": conv(8), "separable": separable_conv(8)}  # fmt: skip
sources = {name: Edge(k, Choice("op", operations)) for k, name in enumerate(["input", "first"])}
cell = Cell("cell", [Edge(0, Choice("first", operations)), Subset("second", sources, 1, 2)])
body = [conv(8), cell, max_pooling(2), conv(16), global_average_pooling()]
space = SearchSpace("small cell", input_shape=(8, 8, 1), classes=10, body=body)
budget = {"epochs": 5, "batch_size": 32, "learning_rate": 0.1, "alpha_learning_rate": 0.05,
          "progress": False}  # fmt: skip


def darts(order=1):
    """Liu et al. 2019; without the default's beta regularisation."""
    supernet = Supernet(space, policy="softmax", order=order, regularization=(), seed=0)
    supernet.fit(x, y, **budget)
    return supernet


def darts_pt():
    """Wang et al. 2021: keep what the supernet can least do without; needs no alphas."""
    supernet = Supernet(space, seed=0)
    supernet.fit(x, y, **budget)
    return supernet


def gdas():
    """Dong & Yang 2019: one path a step, drawn by the Gumbel trick."""
    supernet = Supernet(space, policy="gumbel", regularization=(), seed=0)
    supernet.fit(x, y, **budget)
    return supernet


def pc_darts():
    """Xu et al. 2020: a quarter of the channels, weights for edges; alphas wait a while."""
    policy = SoftmaxPolicy(edge_gates=True)
    supernet = Supernet(space, policy=policy, partial=4, regularization=(), seed=0)
    supernet.fit(x, y, alpha_start=1, **budget)
    return supernet


def proxyless_nas():
    """Cai et al. 2019: binary gates, and the expected cost in the loss, here operations."""
    cost = (ExpectedCost(SuperGraph.of(space)), logarithmic(target=100_000, weight=0.1))
    supernet = Supernet(space, policy="binary_gates", cost=cost, regularization=(), seed=0)
    supernet.fit(x, y, alpha_start=1, alpha_betas=(0.0, 0.999), **budget)
    return supernet


for method in (darts, darts_pt, gdas, pc_darts, proxyless_nas):
    found = ArchitectureDistribution(space, method().logits()).ranked(np.random.default_rng(0))
    scores = []
    for genotype in map(space.genotype, islice(found, 2)):  # the best few, trained alone
        model = build_model(space.graph(genotype), seed=0)
        train(model, x, y, epochs=8, batch_size=32, learning_rate=0.01)
        scores.append((evaluate(model, x_val, y_val)[1], genotype.params))
    print(f"{method.__name__:14} %.3f %s" % max(scores, key=lambda score: score[0]))
