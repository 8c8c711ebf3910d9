"""How a supernet's paths are chosen while its weights are trained: one method a file."""

from keras_nas.supernet.policies.binary_gates import BinaryGatesPolicy
from keras_nas.supernet.policies.dirichlet import DirichletPolicy
from keras_nas.supernet.policies.even import EvenPolicy
from keras_nas.supernet.policies.fair import FairPolicy
from keras_nas.supernet.policies.given import GivenPolicy
from keras_nas.supernet.policies.gumbel import GumbelPolicy
from keras_nas.supernet.policies.policy import Alphas, PathPolicy, Sample
from keras_nas.supernet.policies.sigmoid import SigmoidPolicy
from keras_nas.supernet.policies.softmax import SoftmaxPolicy
from keras_nas.supernet.policies.uniform import UniformPolicy

__all__ = [
    "Alphas",
    "BinaryGatesPolicy",
    "DirichletPolicy",
    "EvenPolicy",
    "FairPolicy",
    "GivenPolicy",
    "GumbelPolicy",
    "PathPolicy",
    "Sample",
    "SigmoidPolicy",
    "SoftmaxPolicy",
    "UniformPolicy",
]
