"""Vectors from an OpenAI-compatible server: POST URL/embeddings."""

import numpy as np

from refused import Refused


class Embeddings:
    pooling, basis = None, None  # a server does not tell

    def __init__(self, endpoint, model):
        self.endpoint, self.name = endpoint, model

    def batches(self, texts, most):
        return [(list(range(first, min(first + most, len(texts)))), texts[first:first + most])
                for first in range(0, len(texts), most)]

    def vectors(self, texts):
        """[n, width] float32, and the tokens that the server counted, or None"""
        places, vectors, widths, tokens = self.endpoint.ask(
            {"model": self.name, "input": texts, "encoding_format": "float"}, self._read)
        url = self.endpoint.url
        if places != list(range(len(texts))):
            raise Refused(f"{url}: {len(places)} vectors came for {len(texts)} texts, or not one for each")
        if len(widths) != 1:
            raise Refused(f"{url}: the vectors of one answer are {min(widths)} to {max(widths)} wide")
        try:
            with np.errstate(over="ignore"):  # infinite values are refused with the others
                vectors = np.array(vectors, np.float32).reshape(len(texts), *widths)
        except (ValueError, TypeError):
            raise Refused(f"{url}: the answer's vectors hold something that is not a number") from None
        return vectors, tokens

    def _read(self, said):
        entries = sorted(said["data"], key=lambda entry: entry["index"])
        vectors = [entry["embedding"] for entry in entries]
        usage = said.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return ([entry["index"] for entry in entries], vectors, {len(vector) for vector in vectors},
                tokens if isinstance(tokens, int) else None)
