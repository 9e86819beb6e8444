"""The losses against pytorch-metric-learning, values and gradients; run with: pytest -m reference."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pytorch_metric_learning")
pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]

from lookalike.errors import LookalikeError  # noqa: E402
from lookalike.learning.finetune.losses import (  # noqa: E402
    LOSSES,
    BatchHardTriplet,
    CosineSoftmax,
    CrossEntropy,
    ProxyAnchor,
    SupervisedContrastive,
    TripletsInOrder,
    loss_of,
)

DIM, CLASSES = 12, 5


def embeddings(seed):
    """Features (20, 12) of any length, and their classes."""
    rng = np.random.default_rng(seed)
    features = torch.tensor(rng.normal(size=(20, DIM)), dtype=torch.float64, requires_grad=True)
    return features, torch.tensor(rng.permutation(np.arange(20) % CLASSES))


def value_and_slopes(loss, *learnt):
    """The value of a loss and its gradients."""
    return [loss.detach(), *torch.autograd.grad(loss, learnt)]


def assert_equal(own, theirs):
    for one, other in zip(own, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_cosine_softmax_is_the_normalized_softmax_of_the_reference(seed):
    from pytorch_metric_learning.losses import NormalizedSoftmaxLoss

    features, classes = embeddings(seed)
    own = CosineSoftmax(DIM, CLASSES).double()
    theirs = NormalizedSoftmaxLoss(CLASSES, DIM, temperature=1 / 16).double()
    theirs.W.data = own.directions.data.T.clone()

    mine = value_and_slopes(own(features, classes), features, own.directions)
    reference = value_and_slopes(theirs(features, classes), features, theirs.W)

    assert_equal(mine, [*reference[:2], reference[2].T])


def test_the_loss_of_given_triplets_is_that_of_the_reference():
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import MeanReducer

    features, classes = embeddings(0)
    features = features[:18].detach().requires_grad_()
    theirs = TripletMarginLoss(
        margin=0, smooth_loss=True, distance=LpDistance(power=1), reducer=MeanReducer()
    )
    triplets = tuple(torch.arange(18).chunk(3))

    mine = value_and_slopes(TripletsInOrder(scale=1)(features, classes), features)

    assert_equal(mine, value_and_slopes(theirs(features, indices_tuple=triplets), features))


@pytest.mark.parametrize("seed", range(5))
def test_the_triplet_loss_is_that_of_the_hardest_triplets_of_the_reference(seed):
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner
    from pytorch_metric_learning.reducers import MeanReducer

    features, classes = embeddings(seed)
    distance = LpDistance(normalize_embeddings=False)
    theirs = TripletMarginLoss(margin=0, smooth_loss=True, distance=distance, reducer=MeanReducer())
    scaled = 5 * torch.nn.functional.normalize(features)

    reference = theirs(scaled, classes, BatchHardMiner(distance=distance)(scaled, classes))

    own = BatchHardTriplet()(features, classes)
    assert_equal(value_and_slopes(own, features), value_and_slopes(reference, features))


@pytest.mark.parametrize("seed", range(5))
def test_the_contrastive_loss_is_that_of_the_reference(seed):
    from pytorch_metric_learning.losses import SupConLoss

    features, classes = embeddings(seed)

    own = SupervisedContrastive()(features, classes)

    theirs = SupConLoss(temperature=0.1)(features, classes)
    assert_equal(value_and_slopes(own, features), value_and_slopes(theirs, features))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("present", [CLASSES, 3])
def test_the_proxy_anchor_loss_is_that_of_the_reference(seed, present):
    from pytorch_metric_learning.losses import ProxyAnchorLoss

    features, classes = embeddings(seed)
    classes = classes % present
    own = ProxyAnchor(DIM, CLASSES).double()
    theirs = ProxyAnchorLoss(CLASSES, DIM, margin=0.1, alpha=32).double()
    theirs.proxies.data = own.proxies.data.clone()

    mine = value_and_slopes(own(features, classes), features, own.proxies)

    assert_equal(mine, value_and_slopes(theirs(features, classes), features, theirs.proxies))


def test_the_cross_entropy_of_equal_scores_is_the_logarithm_of_the_number_of_classes():
    features, classes = embeddings(0)
    loss = CrossEntropy(DIM, CLASSES).double()
    torch.nn.init.zeros_(loss.head.weight)
    torch.nn.init.zeros_(loss.head.bias)

    assert loss(features, classes).item() == pytest.approx(np.log(5))


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_one_class_or_of_pictures_of_their_own_gives_a_finite_loss(name):
    features, _ = embeddings(0)
    for classes in (torch.zeros(20, dtype=torch.long), torch.arange(20)):
        loss = loss_of(name, DIM, 20).double()(features, classes)

        assert torch.isfinite(loss)
        loss.backward()
        assert torch.isfinite(features.grad).all()


def test_copies_in_a_batch_give_finite_gradients():
    features = torch.ones(4, DIM, dtype=torch.float64, requires_grad=True)

    loss_of("triplet+contrastive", DIM, 2).double()(features, torch.tensor([0, 0, 1, 1])).backward()

    assert torch.isfinite(features.grad).all()


def test_several_losses_are_added():
    features, classes = embeddings(1)
    both = loss_of("triplet+contrastive", DIM, CLASSES)(features, classes)

    assert both.item() == pytest.approx(
        (BatchHardTriplet()(features, classes) + SupervisedContrastive()(features, classes)).item()
    )


def test_an_unknown_loss_is_refused_with_the_names_of_those_that_are_known():
    with pytest.raises(LookalikeError) as error:
        loss_of("cosine+margin", DIM, CLASSES)

    assert str(error.value) == (
        "unknown loss 'margin'; known are: cross-entropy, cosine, triplet, contrastive, proxy-anchor, "
        "or several joined by +"
    )
