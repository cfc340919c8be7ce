"""AlphaRec in plain PyTorch, as one would write it: the peer that the engine is timed against.

The same model, rules and settings as the engine's defaults: users visited in a shuffled order, positives uniform among
their training items, 256 negatives outside them, InfoNCE at tau 0.15, Adam at 5e-4. Two forms of the first layer:

  plain        every node's language vector, the users' mean included, goes through the projector
  items-only   the items' alone do, and the users' means are taken behind the first layer

A score matrix [batch, items] stands in for gathered negatives: it is much faster than gathering their vectors.
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F

BATCH = 4096
NEGATIVES = 256
HIDDEN = 768
DIM = 64
LAYERS = 2
TAU = 0.15
LEARNING_RATE = 5e-4
LISTED = 20


class Interactions:
    """The training interactions: CSR over users, and the same as sorted keys user * items + item."""

    def __init__(self, folder, items):
        rows = [list(map(int, line.split())) for line in open(pathlib.Path(folder) / "train.txt") if line.strip()]
        self.items = items
        self.users = 1 + max(row[0] for row in rows)
        self.user = np.concatenate([np.full(len(row) - 1, row[0]) for row in rows]).astype(np.int64)
        self.item = np.concatenate([row[1:] for row in rows]).astype(np.int64)
        self.keys = np.sort(self.user * items + self.item)
        self.user, self.item = self.keys // items, self.keys % items
        self.start = np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=self.users))])
        self.active = np.unique(self.user)


class Sampler:
    """Batches of (user, positive, negatives), whole arrays at a time."""

    def __init__(self, interactions, seed):
        self.data = interactions
        self.random = np.random.default_rng(seed)
        self.order = np.empty(0, np.int64)

    def draw(self):
        data = self.data
        batch = min(BATCH, len(data.keys))
        if len(self.order) < batch:
            self.order = data.active[np.arange(len(data.keys)) % len(data.active)]
            self.random.shuffle(self.order)
        user, self.order = self.order[:batch], self.order[batch:]
        degree = data.start[user + 1] - data.start[user]
        positive = data.item[data.start[user] + (self.random.random(batch) * degree).astype(np.int64)]
        negative = self.random.integers(0, data.items, (batch, NEGATIVES))
        first_key = user * data.items
        seen = self._are_seen(first_key[:, None] + negative)
        while seen.any():
            rows, _ = np.nonzero(seen)
            again = self.random.integers(0, data.items, len(rows))
            negative[seen] = again
            seen[seen] = self._are_seen(first_key[rows] + again)
        return torch.from_numpy(user), torch.from_numpy(np.column_stack([positive, negative]))

    def _are_seen(self, keys):
        place = np.searchsorted(self.data.keys, keys)
        return self.data.keys[np.minimum(place, len(self.data.keys) - 1)] == keys


def sparse(rows, columns, values, shape):
    coordinates = torch.from_numpy(np.stack([rows, columns]))
    matrix = torch.sparse_coo_tensor(coordinates, torch.from_numpy(values.astype(np.float32)), shape).to_sparse_csr()
    # 32-bit indices are what MKL's kernels take as they are
    return torch.sparse_csr_tensor(matrix.crow_indices().int(), matrix.col_indices().int(), matrix.values(), shape)


class SparseProduct(torch.autograd.Function):
    """matrix @ dense, whose gradient is transposed @ gradient."""

    @staticmethod
    def forward(context, dense, matrix, transposed):
        context.transposed = transposed
        return matrix @ dense

    @staticmethod
    def backward(context, gradient):
        return context.transposed @ gradient, None, None


class AlphaRec:
    def __init__(self, folder, items_only, seed, device="cpu"):
        torch.manual_seed(seed)
        self.device = device
        self.language = torch.from_numpy(np.load(pathlib.Path(folder) / "item_language.npy").astype(np.float32)).to(device)
        items, width = self.language.shape
        data = self.data = Interactions(folder, items)
        self.sampler = Sampler(data, seed)
        user_degree = np.bincount(data.user, minlength=data.users).astype(np.float64)
        item_degree = np.bincount(data.item, minlength=items).astype(np.float64)
        edge = 1 / np.sqrt(user_degree[data.user] * item_degree[data.item])
        mean = 1 / user_degree[data.user]
        self.to_users = sparse(data.user, data.item, edge, (data.users, items)).to(device)
        self.to_items = sparse(data.item, data.user, edge, (items, data.users)).to(device)
        self.mean = sparse(data.user, data.item, mean, (data.users, items)).to(device)
        self.mean_transposed = sparse(data.item, data.user, mean, (items, data.users)).to(device)
        self.nodes = None if items_only else torch.cat([self.mean @ self.language, self.language])
        self.first = torch.nn.Linear(width, HIDDEN).to(device)
        self.second = torch.nn.Linear(HIDDEN, DIM).to(device)
        self.optimiser = torch.optim.Adam([*self.first.parameters(), *self.second.parameters()], lr=LEARNING_RATE)

    def project(self):
        if self.nodes is not None:
            hidden = self.first(self.nodes)
        else:
            of_items = self.language @ self.first.weight.T
            of_users = SparseProduct.apply(of_items, self.mean, self.mean_transposed)
            hidden = torch.cat([of_users, of_items]) + self.first.bias
        return self.second(F.leaky_relu(hidden))

    def embed(self):
        """Unit vectors of users and items."""
        user, item = self.project().split([self.data.users, self.data.items])
        user_sum, item_sum = user, item
        for _ in range(LAYERS):
            user, item = (SparseProduct.apply(item, self.to_users, self.to_items),
                          SparseProduct.apply(user, self.to_items, self.to_users))
            user_sum, item_sum = user_sum + user, item_sum + item
        return F.normalize(user_sum), F.normalize(item_sum)

    def learn(self, user, items):
        """One step on the batch: items [batch, 1 + negatives], the positive first. The loss."""
        user_vectors, item_vectors = self.embed()
        scores = (user_vectors[user] @ item_vectors.T).gather(1, items)
        loss = F.cross_entropy(scores / TAU, torch.zeros(len(user), dtype=torch.long, device=self.device))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


class Ranker:
    """The best items of every user, those seen in training left out, `at_once` users at a time."""

    def __init__(self, model, at_once):
        with torch.no_grad():
            self.user, self.item = model.embed()
        self.blocks = []  # users' rows, and where in their block of scores the seen items are
        data = model.data
        for first in range(0, data.users, at_once):
            last = min(first + at_once, data.users)
            edges = slice(data.start[first], data.start[last])
            seen = (data.user[edges] - first) * data.items + data.item[edges]
            self.blocks.append((slice(first, last), torch.from_numpy(seen)))

    @torch.inference_mode()
    def rank(self):
        best = []
        for rows, seen in self.blocks:
            scores = self.user[rows] @ self.item.T
            scores.view(-1).index_fill_(0, seen, -torch.inf)
            best.append(torch.topk(scores, LISTED).indices)
        return torch.cat(best)
