"""Models as objects: fit, recommend, evaluate, save.

AlphaRec and LinearMapping read language vectors of items; LightGCN and MF know ids alone. All are trained by the program's
own trainer, and with the same data, settings and seed to the same bytes as by `rec_engine train`.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import pathlib
import tempfile
import threading
import warnings
from typing import Any, Callable, Hashable, Iterable, Mapping, Sequence

import numpy as np

from rec_engine import _native, _parquet
from rec_engine._arrays import as_array, count
from rec_engine._data import Data, split_of
from rec_engine._ids import as_values
from rec_engine._progress import Bar
from rec_engine.ops import asked_for

__all__ = ["AlphaRec", "LightGCN", "LinearMapping", "load", "MF", "Model"]

_SEEN = ("train", "valid", "test")
_IDS_FILE = "ids.json"
_USERS_AT_ONCE = 4096  # lists held before they are written
_KINDS = {"str": str, "int": int}


class Model:
    """What all models have in common.

    device: "auto", "cpu", "cuda" or "cuda:N". settings: those of docs/settings.md by any of their names, such as tau,
    layers, width, lr, epochs, patience, seed, threads. ValueError for one that is unknown or out of range.

    history_: after fit() and load(), a dict for each evaluation of the run: "epoch", "loss", the metrics of valid, "seconds".
    """

    model: str | None = None

    def __init__(self, *, device: str = "auto", **settings: Any):
        self.device, self._settings = device, self._checked(settings)
        self._data: Any = None  # these three of the trained model
        self._trained: Any = None
        self._checkpoint: bytes | None = None
        self._fitting = threading.Lock()
        self.history_: list[dict[str, Any]] = []

    # ---- settings ----

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What the constructor was given."""
        return {"device": self.device, **self._settings}

    def set_params(self, **params: Any) -> Model:
        """Changes settings, by any of their names: one that was given by another is replaced."""
        device = params.pop("device", self.device)
        changed = {_native.setting_named(name) for name in params}
        kept = {name: value for name, value in self._settings.items()
                if name in params or _native.setting_named(name) not in changed}
        self.device, self._settings = device, self._checked({**kept, **params})
        return self

    @property
    def settings_(self) -> dict[str, Any]:
        """Every setting of the trained model, resolved."""
        return _parsed(self._fitted().settings)

    def __repr__(self):
        given = ", ".join(f"{key}={value!r}" for key, value in self.get_params().items())
        return f"{type(self).__name__}({given})"

    # ---- training ----

    def fit(self, interactions: Any, item_vectors: Any = None, valid: Any = None, test: Any = None, *,
            item_ids: Iterable[Hashable] | None = None, titles: Iterable[str] | None = None,
            language_model: str | Mapping[str, str] | None = None,
            callbacks: Callable[[int, dict[str, float]], Any] | Iterable[Callable] = (),
            run: str | os.PathLike | None = None, resume: bool = False, progress: bool | None = None) -> Model:
        """Trains, and keeps the best epoch by `monitor` on valid; without valid, the last of `epochs`.

        interactions: a SciPy CSR matrix [users, items], whose ids are then the numbers of rows and columns; a DataFrame
        with columns user and item; a pair of sequences (users, items) of any hashable ids; or the path of a dataset
        folder, which has everything else too.
        item_vectors: float32 [items, language width], a row an item. Its rows are those of item_ids; without them of the
        columns of a CSR matrix, or of items whose ids are the rows' numbers. None for LightGCN and MF. Not copied: leave them as
        they are as long as the model lives.
        valid, test: interactions of the same users and items. test is left out of lists, and never trained or selected on.
        titles: a text for each item, kept with the model.
        language_model: what made the vectors, a name or the content of item_language.json; with it the checkpoint refuses
        vectors of another one.
        callbacks: called with (epoch, metrics) after every evaluation (`eval_every`); one that returns False ends the
        training, and the best epoch so far is kept. metrics has "loss" and those of valid.
        run: a folder to train into, with curves, report and checkpoints, as `rec_engine train --out`; else a temporary one.
        resume: goes on where the training in run stopped, by Ctrl-C for example, to the same bytes as without a stop. The
        settings and data must be the same, but for epochs.
        progress: whether a bar is shown; None: in terminals and notebooks.

        Ctrl-C saves, keeps the best epoch so far and raises KeyboardInterrupt. Returns self. Raises KeyError for an id in
        valid or test that interactions and item_ids do not have, RuntimeError where a fit() of this object is going on.
        """
        if isinstance(interactions, (str, os.PathLike)):
            if any(part is not None for part in (item_vectors, valid, test, item_ids, titles, language_model)):
                raise TypeError("interactions: expected a dataset folder alone, which has vectors, splits and titles, given one "
                                "with others of these")
            data = Data.of_folder(interactions)
        else:
            data = Data.of_arrays(interactions, item_vectors, valid, test, item_ids, titles, language_model)
        if resume and run is None:
            raise ValueError("resume: expected the run to go on with, given no run")
        callbacks = [callbacks] if callable(callbacks) else list(callbacks)
        device, lines = self.device, self._lines(self._settings)
        settings = _parsed(_native.resolved_settings(lines, data.native))
        evaluated = False
        with self._alone(), tempfile.TemporaryDirectory() as temporary, \
                Bar(settings["epochs"] * _steps(data, settings), type(self).__name__, progress) as bar:
            folder = pathlib.Path(temporary if run is None else run)

            def on_epoch(line):
                nonlocal evaluated
                evaluated = True
                epoch, metrics = line["epoch"], {name: value for name, value in line.items() if name not in ("epoch", "seconds")}
                bar.say(epoch, metrics)
                answers = [callback(epoch, dict(metrics)) for callback in callbacks]
                return all(answer is not False for answer in answers)
            try:
                _native.train(data.native, lines, str(folder), resume, device, on_epoch, bar.advance)
            except BaseException:
                if evaluated:  # and the best is there
                    self._take(folder, data, device, settings["threads"])
                raise
            self._take(folder, data, device, settings["threads"])
        return self

    # ---- serving ----

    def recommend(self, users: Any = None, history: Any = None, k: int = 20, *, filter_seen: bool = True,
                  items: Iterable[Hashable] | None = None, intent: Any = None, alpha: float = 0.0,
                  exact: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """The best k items for users, or for someone with a history of items who was not there in training.

        users: an id or several; all users where neither users nor history is given. history: item ids, or a list of such
        lists; for AlphaRec and LinearMapping.
        filter_seen: leaves out what a user has in train, valid and test, or the history's own items.
        items: ids that may be listed; all if not given.
        intent: float32 [language width], or a row for each user: the vector of a sentence that the users' lists move
        towards by alpha, from 0 (not) to 1 (the query alone).
        exact: histories and intents by propagating everything again for each list.

        Returns (ids, scores), [lists, k] each, or [k] for one user or one history; k is cut to the number of items. Ids
        are those that fit() was given. A list with fewer items ends in None (-1 where ids are whole numbers) with score
        -inf. Raises KeyError for ids that fit() was not given.
        """
        trained = self._fitted()
        if users is not None and history is not None:
            raise ValueError("users, history: expected one of them, given both")
        if history is not None and intent is not None:
            raise ValueError("intent: expected users whose lists move, given a history")
        if intent is None and alpha != 0:
            raise ValueError(f"alpha: expected 0 without an intent, given {alpha}")
        request = self._request(k, filter_seen, items)
        if history is not None:
            given = as_values(history, "history")
            one = not given or self._data.items.are_one(given[0])
            histories = [self._data.items.numbers(each, "history").tolist() for each in ([given] if one else given)]
            if not all(histories):
                raise ValueError("history: expected at least one item, given none")
            ids, scores = self._lists(trained.for_histories, len(histories), k, histories, exact, request)
            return (ids[0], scores[0]) if one else (ids, scores)
        one = users is not None and self._data.users.are_one(users)
        numbers = np.arange(len(self._data.users), dtype=np.int32) if users is None else \
            self._data.users.numbers([users] if one else users, "users")
        if intent is None:
            ids, scores = self._lists(trained.for_users, len(numbers), k, numbers, request)
        else:
            query = np.asarray(as_array(intent, "intent"))
            ids, scores = self._lists(trained.towards, len(numbers), k, numbers, query[None] if query.ndim == 1 else query,
                                      float(alpha), exact, request)
        return (ids[0], scores[0]) if one else (ids, scores)

    def write_lists(self, path: str | os.PathLike, users: Iterable[Hashable] | None = None, k: int = 20, **options: Any) -> None:
        """recommend() of users, all if not given, into a Parquet file: columns user, rank, item, score, and title where there
        are titles. options are recommend's. Users are ranked a block at a time; the file appears whole or not at all. Raises
        RuntimeError without pyarrow."""
        everyone = list(self._fitted_data().users.values if users is None else as_values(users, "users"))
        titles = dict(zip(self._data.items.values, self._data.titles)) if self._data.titles else None
        blocks = (everyone[first:first + _USERS_AT_ONCE] for first in range(0, len(everyone), _USERS_AT_ONCE))
        _parquet.write(path, ((block, *self.recommend(block, k=k, **options)) for block in blocks), titles)

    def similar_items(self, items: Any, k: int = 20) -> tuple[np.ndarray, np.ndarray]:
        """The nearest other items by cosine of an item or several: (ids, scores), as recommend returns them."""
        trained, one = self._fitted(), self._data.items.are_one(items)
        numbers = self._data.items.numbers([items] if one else items, "items")
        ids, scores = self._lists(trained.similar, len(numbers), k, numbers, self._request(k, False, None))
        return (ids[0], scores[0]) if one else (ids, scores)

    @property
    def user_vectors(self) -> np.ndarray:
        """float32 [users, width], in the order of user_ids: scores are their inner products with item_vectors."""
        return self._vectors(True, len(self._fitted_data().users))

    @property
    def item_vectors(self) -> np.ndarray:
        """float32 [items, width], in the order of item_ids."""
        return self._vectors(False, len(self._fitted_data().items))

    @property
    def user_ids(self) -> list:
        return list(self._fitted_data().users.values)

    @property
    def item_ids(self) -> list:
        return list(self._fitted_data().items.values)

    @property
    def item_titles(self) -> list[str]:
        """The texts that fit() was given, or the dataset's; [] without."""
        return list(self._fitted_data().titles)

    def evaluate(self, test: Any, k: int | Sequence[int] = (20,),
                 metrics: str | Sequence[str] = ("recall", "ndcg", "hr")) -> dict[str, float]:
        """All-ranking metrics on interactions of known users and items: train and valid are left out of the lists.

        test: as fit() takes it. Returns {"recall@20": mean over users with an item in test, ...}.
        """
        trained, data = self._fitted(), self._data
        cutoffs, places = asked_for(k, metrics)
        means = trained.evaluate(split_of(test, data.users, data.items, "test"), ["train", "valid"], cutoffs)
        return {name: means[c][m] for name, c, m in places}

    # ---- keeping ----

    def save(self, folder: str | os.PathLike) -> None:
        """A run folder with the dataset in it, which `rec_engine recommend FOLDER` and load() open. Ids must be all str or all
        int; pickle keeps others. In titles, tabs and line ends become blanks."""
        trained = self._fitted()
        kinds = {"users": self._data.users.kind(), "items": self._data.items.kind()}
        trained.save(os.fspath(folder), self.history_)
        (pathlib.Path(folder) / _IDS_FILE).write_text(json.dumps(kinds) + "\n")

    @classmethod
    def load(cls, run: str | os.PathLike, data: str | os.PathLike | None = None, *, device: str = "auto") -> Model:
        """The model in a run folder or checkpoint, of the program or of save(). data: a dataset folder to apply it to; the
        run's own if not given. Ids are texts, but where save() kept that they are numbers."""
        given = Data.of_folder(data) if data is not None else None
        trained = _native.TrainedModel(os.fspath(run), given.native if given else None, device, 0)
        for notice in trained.notices:
            warnings.warn(notice, stacklevel=2)
        settings = _parsed(trained.settings)
        kind = next(each for each in (AlphaRec, LinearMapping, LightGCN, MF) if each.model == settings["model"])
        if not issubclass(kind, cls):
            raise TypeError(f"{run}: expected a model of {cls.__name__}, given one of {kind.__name__}")
        model = kind(device=device, **{key: value for key, value in settings.items() if key != "model"})
        model._trained, model._data = trained, given or _with_kinds(Data.of_native(trained.dataset), pathlib.Path(run))
        path = pathlib.Path(run)
        model._checkpoint = (path / "best.safetensors" if path.is_dir() else path).read_bytes()
        model.history_ = _native.history(str(path)) if path.is_dir() else []
        return model

    def __getstate__(self):
        return {"device": self.device, "settings": self._settings, "history": self.history_, "data": self._data,
                "checkpoint": self._checkpoint}

    def __setstate__(self, state):
        self.__init__(device=state["device"], **state["settings"])
        self.history_, self._data, self._checkpoint = state["history"], state["data"], state["checkpoint"]
        if self._checkpoint is not None:
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder) / "best.safetensors"
                file.write_bytes(self._checkpoint)
                threads = _parsed(_native.resolved_settings(self._lines(self._settings), self._data.native))["threads"]
                self._trained = _native.TrainedModel(str(file), self._data.native, self.device, threads)

    # ---- parts of the above ----

    @contextlib.contextmanager
    def _alone(self):
        if not self._fitting.acquire(blocking=False):
            raise RuntimeError(f"{type(self).__name__}: expected one fit() at a time, given another while the first goes on; "
                               "train a second object")
        try:
            yield
        finally:
            self._fitting.release()

    def _checked(self, settings):
        names = {}
        for name, value in settings.items():
            key = _native.setting_named(name)
            if key == "model":
                raise TypeError(f"{name}: expected none, as {type(self).__name__} says which it is, given {value!r}")
            if key and key in names:
                raise ValueError(f"{name}: expected each setting once, given also as {names[key]}")
            names[key] = name
            _require_64_bits(value, name)
        _native.resolved_settings(self._lines(settings), None)
        return settings

    def _lines(self, settings):
        """The settings as key=value, this class's model first."""
        given = {"model": self.model, **settings}
        return [f"{key}={json.dumps(value.item() if isinstance(value, np.generic) else value)}" for key, value in given.items()]

    def _take(self, folder, data, device, threads):
        file = folder / "best.safetensors"
        self._trained = _native.TrainedModel(str(file), data.native, device, threads)
        self._data, self._checkpoint, self.history_ = data, file.read_bytes(), _native.history(str(folder))

    def _fitted(self):
        if self._trained is None:
            raise RuntimeError(f"{type(self).__name__}: expected a fitted model; call fit() first, or load one")
        return self._trained

    def _fitted_data(self):
        self._fitted()
        return self._data

    def _request(self, k, filter_seen, items):
        allowed = None
        if items is not None:
            allowed = np.zeros(len(self._data.items), bool)
            allowed[self._data.items.numbers(items, "items")] = True
        return _native.list_request(count(k, "k", least=1), list(_SEEN) if filter_seen else [], allowed)

    def _lists(self, ask, lists, k, *arguments):
        k = min(k, len(self._data.items))
        ids, scores = np.empty((lists, k), np.int32), np.empty((lists, k), np.float32)
        ask(*arguments, ids, scores)
        return self._data.items.names(ids), scores

    def _vectors(self, of_users, rows):
        out = np.empty((rows, self._trained.dim), np.float32)
        self._trained.vectors(of_users, out)
        return out


class AlphaRec(Model):
    """Sheng et al., ICLR 2025: a projector of language vectors, graph convolution, a contrastive loss."""

    model = "alpharec"


class LinearMapping(Model):
    """The same paper's linear mapping: one matrix, no graph."""

    model = "linear"


class LightGCN(Model):
    """He et al., SIGIR 2020: a vector for every user and item, graph convolution, BPR."""

    model = "lightgcn"


class MF(Model):
    """Matrix factorisation with BPR."""

    model = "mf"


def load(run: str | os.PathLike, data: str | os.PathLike | None = None, *, device: str = "auto") -> Model:
    """The model in a run folder or checkpoint, whatever its class: Model.load."""
    return Model.load(run, data, device=device)


def _require_64_bits(value, name):
    if isinstance(value, (int, np.integer)) and not -2**63 <= value < 2**63:
        raise ValueError(f"{name}: expected a whole number of at most 64 bits, given {value}")


def _parsed(toml):
    """Settings as the program writes them, key = value; numbers, texts and lists are written as in Python."""
    pairs = (line.split(" = ", 1) for line in toml.splitlines() if " = " in line)
    return {key: ast.literal_eval(value) for key, value in pairs}


def _steps(data, settings):
    """Of an epoch."""
    edges = len(data.native.split("train")[1])
    return max(1, edges // min(settings["batch"], max(1, edges)))


def _with_kinds(data, run):
    """Ids as save() was given them."""
    if not (run / _IDS_FILE).exists():
        return data
    kinds = json.loads((run / _IDS_FILE).read_text())
    for what in ("users", "items"):
        ids = getattr(data, what)
        setattr(data, what, type(ids)(map(_KINDS[kinds[what]], ids.values), ids.what))
    return data
