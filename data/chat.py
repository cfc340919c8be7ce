"""Answers of a chat model, from an OpenAI-compatible server: POST URL/chat/completions."""

import typing


class Answer(typing.NamedTuple):
    text: str
    cut_off: bool  # at the most tokens
    tokens_in: int | None  # that the server counted
    tokens_out: int | None


class Chat:
    """temperature, max_tokens: None leaves them to the server"""

    def __init__(self, endpoint, model, temperature, max_tokens):
        self.endpoint = endpoint
        self.settings = {"model": model, "temperature": temperature, "max_tokens": max_tokens}

    def answer(self, messages, seed):
        """seed: of the sampling, or None for a server that takes none"""
        request = {**self.settings, "messages": messages, "seed": seed}
        return self.endpoint.ask({key: value for key, value in request.items() if value is not None}, self._read)

    def _read(self, said):
        choice = said["choices"][0]
        text = choice["message"].get("content")  # null: nothing but a refusal, or thoughts
        if text is not None and not isinstance(text, str):
            raise TypeError
        usage = said.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        counts = (usage.get(key) for key in ("prompt_tokens", "completion_tokens"))
        return Answer(text or "", choice.get("finish_reason") == "length",
                      *(count if isinstance(count, int) else None for count in counts))
