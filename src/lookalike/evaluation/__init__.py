"""Whether the vectors are good for *these* images: are the nearest items of the same class?

`evaluate` judges one collection, `compare` several models on the same images, `report_html` shows both.
docs/evaluation.md teaches what the figures mean.
"""

from lookalike.evaluation.comparison import Comparison, Contender, compare
from lookalike.evaluation.evaluation import Evaluation, evaluate
from lookalike.evaluation.report import report_html

__all__ = ["Comparison", "Contender", "Evaluation", "compare", "evaluate", "report_html"]
