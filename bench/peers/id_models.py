"""MF and LightGCN in plain PyTorch, as one would write them: what the engine's are held against (follow.py)."""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from alpharec import SparseProduct, sparse


def read_split(folder, name):
    """user -> array of items; a missing file is an empty split."""
    file = pathlib.Path(folder) / f"{name}.txt"
    if not file.exists():
        return {}
    rows = ([int(word) for word in line.split()] for line in file.open() if line.strip())
    return {row[0]: np.array(row[1:], np.int64) for row in rows if len(row) > 1}


class IdModel:
    """A row for every user and item, spread over `layers` layers of the graph (0: MF); BPR on dot products."""

    def __init__(self, folder, weights, layers, lr, reg):
        user, item = (np.load(pathlib.Path(weights) / f"{name}.npy") for name in ("user", "item"))
        self.users, self.items, self.layers, self.reg = len(user), len(item), layers, reg
        self.table = torch.from_numpy(np.concatenate([user, item])).requires_grad_()
        self.optimiser = torch.optim.Adam([self.table], lr=lr)
        train = read_split(folder, "train")
        rows = np.concatenate([np.full(len(items), u, np.int64) for u, items in train.items()])
        cols = np.concatenate(list(train.values())) + self.users
        degree = np.bincount(np.concatenate([rows, cols]), minlength=self.users + self.items).astype(np.float64)
        edge = 1 / np.sqrt(degree[rows] * degree[cols])
        self.adjacency = sparse(np.concatenate([rows, cols]), np.concatenate([cols, rows]),
                                np.concatenate([edge, edge]), (self.users + self.items,) * 2)

    def embed(self):
        layer = total = self.table
        for _ in range(self.layers):
            layer = SparseProduct.apply(layer, self.adjacency, self.adjacency)
            total = total + layer
        return (total / (self.layers + 1)).split([self.users, self.items])

    def learn(self, user, positive, negative):
        """One step on the batch, one negative a row. The loss."""
        users, items = self.embed()
        margin = (users[user] * items[positive]).sum(1) - (users[user] * items[negative]).sum(1)
        own_rows = torch.cat([user, self.users + positive, self.users + negative])
        loss = F.softplus(-margin).mean() + self.reg / 2 * self.table[own_rows].square().sum() / len(user)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


@torch.inference_mode()
def recall_and_ndcg(model, relevant, seen, k=20, at_once=1024):
    """Means over the users of `relevant`, every item ranked but those of the splits in `seen`."""
    users, items = model.embed()
    gain = 1 / np.log2(np.arange(2, k + 2))
    recall = ndcg = 0.0
    everyone = np.array(sorted(relevant))
    for first in range(0, len(everyone), at_once):
        block = everyone[first:first + at_once]
        scores = users[torch.from_numpy(block)] @ items.T
        for row, user in enumerate(block):
            for split in seen:
                if user in split:
                    scores[row, torch.from_numpy(split[user])] = -torch.inf
        best = torch.topk(scores, min(k, model.items)).indices.numpy()
        for row, user in enumerate(block):
            hits = np.isin(best[row], relevant[user])
            recall += hits.sum() / len(relevant[user])
            ndcg += (hits * gain[:len(hits)]).sum() / gain[:min(k, len(relevant[user]))].sum()
    return recall / len(everyone), ndcg / len(everyone)
