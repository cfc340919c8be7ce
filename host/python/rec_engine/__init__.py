"""rec_engine: AlphaRec and its relatives, trained, evaluated and served without a deep-learning framework.

    AlphaRec, LinearMapping, LightGCN, MF, load     models as objects
    rec_engine.ops      parts for a pipeline of one's own: evaluation, top-k, sampling, graph convolution, losses
    rec_engine.torch    the last two as modules of PyTorch, which is imported with it alone

docs/python.md shows all of it. `python -m rec_engine` is the program.
"""

from rec_engine import ops
from rec_engine._native import commit, version as __version__
from rec_engine.models import AlphaRec, LightGCN, LinearMapping, load, MF, Model

__all__ = ["__version__", "AlphaRec", "commit", "LightGCN", "LinearMapping", "load", "MF", "Model", "ops"]
