"""The measures are those of the libraries that are used for them: torchmetrics and pytorch-metric-learning.

They need torch, so they stand in an environment of their own: pip install torch==2.13.0 torchmetrics
pytorch-metric-learning; pytest -m reference.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_evaluation import clouds, piled

from lookalike.analysis.retrieval import judge

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def ranked(tmp_path_factory):
    vectors, labels = clouds(400, 9)
    pile = piled(tmp_path_factory.mktemp("ranked"), vectors)
    return vectors, labels, judge(pile, labels, np.arange(400), np.arange(400), ks=(1, 5, 10), voters=5)


def test_precision_recall_and_r_precision_are_those_of_torchmetrics(ranked):
    import torch
    from torchmetrics.functional.retrieval import retrieval_precision, retrieval_r_precision, retrieval_recall

    vectors, labels, judged = ranked
    for query in range(0, 400, 7):
        others = np.arange(400) != query
        scores = torch.from_numpy(vectors[others] @ vectors[query])
        right = torch.from_numpy(labels[others] == labels[query])
        expected = [
            *(retrieval_precision(scores, right, top_k=k) for k in (1, 5, 10)),
            *(retrieval_recall(scores, right, top_k=k) for k in (1, 5, 10)),
            retrieval_r_precision(scores, right),
        ]
        assert judged.values[query, :7] == pytest.approx([float(one) for one in expected], abs=1e-6)


def test_map_at_r_is_that_of_pytorch_metric_learning(ranked):
    import torch
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    vectors, labels, judged = ranked
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
    calculator = AccuracyCalculator(names, k="max_bin_count", knn_func=CustomKNN(CosineSimilarity()))
    found = calculator.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(labels))

    means = dict(zip(judged.names, judged.values.mean(axis=0), strict=True))
    ours = [means["precision@1"], means["r_precision"], means["map@r"]]
    assert ours == pytest.approx([found[name] for name in names], abs=1e-6)


def test_map_is_the_average_precision_of_scikit_learn(ranked):
    from sklearn.metrics import average_precision_score

    vectors, labels, judged = ranked
    for query in range(0, 400, 7):
        others = np.arange(400) != query
        expected = average_precision_score(labels[others] == labels[query], vectors[others] @ vectors[query])
        assert judged.values[query, judged.names.index("map")] == pytest.approx(expected, abs=1e-6)
