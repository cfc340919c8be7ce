"""Vectors from any model that sentence-transformers loads, local or from its hub. The package is not among what
requirements.txt pins: it brings a deep-learning framework of some gigabytes."""

import importlib.util
import pathlib

import numpy as np

from refused import Refused


class SentenceModel:
    basis = None  # of any architecture: there is no one file to hash

    def __init__(self, name):
        if importlib.util.find_spec("sentence_transformers") is None:
            raise Refused("--backend sentence-transformers: the package is not installed; data/.venv/bin/pip install "
                          "sentence-transformers, or leave the option out for a model of the BERT family")
        from sentence_transformers import SentenceTransformer  # takes seconds, and is seldom there
        self.name = pathlib.Path(name).resolve().name if pathlib.Path(name).is_dir() else name
        self.model = SentenceTransformer(name)
        modes = [module.pooling_mode for module in self.model if isinstance(getattr(module, "pooling_mode", None), str)]
        self.pooling = modes[0] if modes else None  # earlier versions do not tell

    def batches(self, texts, most):
        """Texts of like length together: the shorter ones are padded."""
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        starts = range(0, len(order), most)
        return [(order[first:first + most], [texts[row] for row in order[first:first + most]]) for first in starts]

    def vectors(self, texts):
        """[n, width] float32, and how many tokens the texts have"""
        tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize  # the name in earlier versions
        tokens = tokenize(texts).get("attention_mask")
        vectors = self.model.encode(texts, batch_size=len(texts), convert_to_numpy=True, show_progress_bar=False)
        return vectors.astype(np.float32), None if tokens is None else int(tokens.sum())
