"""What fit() is given, as a native dataset and the ids of its users and items."""

import os

import numpy as np

from rec_engine import _native
from rec_engine._arrays import as_array, as_csr, optional_array
from rec_engine._ids import Ids, as_values

_USER_COLUMNS, _ITEM_COLUMNS = ("user", "user_id", "userId"), ("item", "item_id", "itemId")


class Data:
    """A native dataset, the ids of its users and items, and what keeps its arrays."""

    def __init__(self, native, users, items, titles=()):
        self.native, self.users, self.items, self.titles = native, users, items, list(titles)

    @classmethod
    def of_folder(cls, path):
        return cls.of_native(_native.dataset_of_folder(os.fspath(path)))

    @classmethod
    def of_native(cls, native):
        """Ids are the texts that its tables have, the numbers where there are none."""
        users = Ids(native.user_ids, "user") if native.has_user_ids else Ids.of_rows(native.users, "user")
        items = Ids(native.item_ids, "item") if native.has_item_ids else Ids.of_rows(native.items, "item")
        return cls(native, users, items, native.item_titles if native.has_item_ids else [])

    @classmethod
    def of_arrays(cls, interactions, item_vectors, valid, test, item_ids, titles, language_model):
        vectors = optional_array(item_vectors, "item_vectors")
        if is_sparse(interactions):
            train = as_csr(interactions, "interactions")
            users = Ids.of_rows(train.shape[0], "user")
            items = Ids.of_rows(train.shape[1], "item") if item_ids is None else Ids(as_values(item_ids, "item_ids"), "item")
            if len(items) != train.shape[1]:
                raise ValueError(f"item_ids: expected {train.shape[1]}, one for each column of interactions, given {len(items)}")
        else:
            of_users, of_items = pairs(interactions, "interactions")
            users = Ids(dict.fromkeys(of_users), "user")
            items = _items_of(of_items, vectors, item_ids)
            train = _csr_of_pairs(of_users, of_items, users, items, "interactions")
        if vectors is not None and len(vectors) != len(items):
            raise ValueError(f"item_vectors: expected {len(items)} rows, one for each item, given {len(vectors)}")
        titles = _checked(titles, len(items))
        native = _native.dataset_of_arrays(train, split_of(valid, users, items, "valid"), split_of(test, users, items, "test"),
                                           vectors, users.texts(), items.texts(), titles,
                                           *_model_and_basis(language_model))
        return cls(native, users, items, titles)

    def vectors(self):
        """A copy of the language vectors, or None."""
        if self.native.width == 0:
            return None
        copy = np.empty((self.native.items, self.native.width), np.float32)
        self.native.copy_vectors(copy)
        return copy

    def __getstate__(self):
        splits = {name: self.native.split(name) for name in ("train", "valid", "test")}
        return {"users": self.users.values, "items": self.items.values, "splits": splits, "vectors": self.vectors(),
                "titles": self.titles, "language_model": self.native.language_model}

    def __setstate__(self, state):
        self.users, self.items, self.titles = Ids(state["users"], "user"), Ids(state["items"], "item"), state["titles"]
        shape = len(self.users), len(self.items)
        csr = [_native.Csr(*state["splits"][name], *shape, name, False) for name in ("train", "valid", "test")]
        self.native = _native.dataset_of_arrays(*csr, state["vectors"], self.users.texts(), self.items.texts(), self.titles,
                                                *state["language_model"])


def is_sparse(interactions):
    return hasattr(interactions, "tocsr") or hasattr(interactions, "crow_indices")


def pairs(given, name):
    """User ids and item ids of a DataFrame or of a pair of sequences, as plain Python values."""
    if hasattr(given, "columns"):
        columns = list(given.columns)
        chosen = [next((c for c in known if c in columns), None) for known in (_USER_COLUMNS, _ITEM_COLUMNS)]
        if None in chosen:
            raise ValueError(f"{name}: expected a column of users ({', '.join(_USER_COLUMNS)}) and one of items "
                             f"({', '.join(_ITEM_COLUMNS)}), given {columns}")
        given = tuple(given[column] for column in chosen)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"{name}: expected a sparse CSR matrix, a DataFrame, or a pair of sequences (users, items), given a "
                        f"{type(given).__name__}")
    users, items = (as_values(part, name) for part in given)
    if len(users) != len(items):
        raise ValueError(f"{name}: expected as many users as items, given {len(users)} and {len(items)}")
    return users, items


def split_of(given, users, items, name):
    """Interactions of known users and items, as native CSR [users, items]; None for None."""
    if given is None:
        return None
    if is_sparse(given):
        csr = as_csr(given, name)
        if csr.shape != (len(users), len(items)):
            raise ValueError(f"{name}: expected {len(users)} users and {len(items)} items as interactions has, given {csr.shape[0]} "
                             f"and {csr.shape[1]}")
        return csr
    return _csr_of_pairs(*pairs(given, name), users, items, name)


def _csr_of_pairs(of_users, of_items, users, items, name):
    return as_csr((users.numbers(of_users, name), items.numbers(of_items, name)), name, shape=(len(users), len(items)))


def _items_of(of_items, vectors, item_ids):
    """With vectors an item is a row of theirs: item_ids says which, or its id does."""
    if item_ids is not None:
        return Ids(as_values(item_ids, "item_ids"), "item")
    if vectors is None:
        return Ids(dict.fromkeys(of_items), "item")
    if not all(type(item) is int and 0 <= item < len(vectors) for item in of_items):
        raise ValueError(f"item_ids: expected the ids of item_vectors' {len(vectors)} rows, in order, as the items in "
                         "interactions are not the rows' numbers; given none")
    return Ids.of_rows(len(vectors), "item")


def _model_and_basis(language_model):
    if language_model is None or isinstance(language_model, str):
        return language_model or "", ""
    return language_model.get("model", ""), language_model.get("basis", "")


def _checked(titles, items):
    titles = [] if titles is None else [str(title) for title in titles]
    if titles and len(titles) != items:
        raise ValueError(f"titles: expected {items}, one for each item, given {len(titles)}")
    return titles
