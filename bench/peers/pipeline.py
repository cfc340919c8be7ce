"""A plain PyTorch pipeline of AlphaRec, as research code has it, in three parts: evaluator, sampler, and propagation with
loss; and each of them with rec_engine in its place. docs/python.md shows the two side by side.

The model and its settings are alpharec.py's, users' language vectors taken behind the first layer. What is plain here is
what such code usually does: metrics user by user, negatives drawn for one user after another, and the vectors of all
negatives gathered.
"""

import numpy as np
import torch
import torch.nn.functional as F

from alpharec import LAYERS, LEARNING_RATE, NEGATIVES, TAU, AlphaRec, Interactions, SparseProduct
from rec_engine import ops
from rec_engine import torch as rec

CUTOFF = 20


class Plain:
    """The pipeline as it is. model: alpharec.AlphaRec; test: a list of items for each user."""

    def __init__(self, folder, test, device="cpu", seed=101):
        self.model = AlphaRec(folder, items_only=True, seed=seed, device=device)
        data = self.data = self.model.data
        self.train = [data.item[data.start[u]:data.start[u + 1]] for u in range(data.users)]
        self.test = test
        self.random = np.random.default_rng(seed)

    # before: evaluator
    def evaluate(self, user_vectors, item_vectors):
        user_vectors, item_vectors = user_vectors.cpu().numpy(), item_vectors.cpu().numpy()
        totals, users = np.zeros(3), [u for u in range(len(self.test)) if len(self.test[u])]
        for u in users:
            scores = item_vectors @ user_vectors[u]
            scores[self.train[u]] = -np.inf
            best = np.argpartition(-scores, CUTOFF)[:CUTOFF]
            best = best[np.argsort(-scores[best], kind="stable")]
            hits = np.isin(best, self.test[u])
            gain = 1 / np.log2(np.arange(2, CUTOFF + 2))
            ideal = gain[:min(CUTOFF, len(self.test[u]))].sum()
            totals += hits.sum() / len(self.test[u]), (hits * gain).sum() / ideal, hits.any()
        return dict(zip(("recall@20", "ndcg@20", "hr@20"), totals / len(users)))
    # after: evaluator

    # before: sampler
    def batches(self, batch):
        users = self.random.permutation(np.resize(self.data.active, len(self.data.keys)))
        for first in range(0, len(users) - batch + 1, batch):
            chosen = users[first:first + batch]
            positives = np.array([self.random.choice(self.train[u]) for u in chosen])
            negatives = np.empty((batch, NEGATIVES), np.int64)
            for row, u in enumerate(chosen):
                drawn = self.random.integers(0, self.data.items, NEGATIVES)
                while (seen := np.isin(drawn, self.train[u])).any():
                    drawn[seen] = self.random.integers(0, self.data.items, seen.sum())
                negatives[row] = drawn
            yield torch.from_numpy(chosen), torch.from_numpy(positives), torch.from_numpy(negatives)
    # after: sampler

    # before: propagation and loss
    def loss(self, users, positives, negatives):
        user, item = self.model.project().split([self.data.users, self.data.items])
        user_sum, item_sum = user, item
        for _ in range(LAYERS):
            user, item = (SparseProduct.apply(item, self.model.to_users, self.model.to_items),
                          SparseProduct.apply(user, self.model.to_items, self.model.to_users))
            user_sum, item_sum = user_sum + user, item_sum + item
        user, item = F.normalize(user_sum), F.normalize(item_sum)
        of_items = item[torch.cat([positives[:, None], negatives], 1)]
        scores = torch.einsum("bd,bsd->bs", user[users], of_items)
        return F.cross_entropy(scores / TAU, torch.zeros(len(users), dtype=torch.long, device=users.device))
    # after: propagation and loss

    def step(self, *batch):
        loss = self.loss(*(part.to(self.model.device) for part in batch))
        self.model.optimiser.zero_grad()
        loss.backward()
        self.model.optimiser.step()
        return loss.item()

    def vectors(self):
        with torch.no_grad():
            return self.model.embed()


class Swapped(Plain):
    """The same with rec_engine in the place of all three."""

    def __init__(self, folder, test, device="cpu", seed=101):
        super().__init__(folder, test, device, seed)
        data = self.data
        self.pairs = (data.user, data.item)
        self.test_pairs = (np.repeat(np.arange(len(test)), [len(each) for each in test]),
                           np.array([item for each in test for item in each]))
        self.propagation, self.info_nce = rec.Propagation(rec.Graph(self.pairs, (data.users, data.items)), LAYERS), rec.InfoNCE(TAU)

    # before: evaluator
    def evaluate(self, user_vectors, item_vectors):
        return ops.evaluate(user_vectors, item_vectors, self.pairs, self.test_pairs, k=CUTOFF)
    # after: evaluator

    # before: sampler
    def batches(self, batch):
        for drawn in ops.sample(self.pairs, batch, NEGATIVES, rule="user", seed=101):
            yield tuple(torch.from_numpy(part) for part in drawn)
    # after: sampler

    # before: propagation and loss
    def loss(self, users, positives, negatives):
        user, item = self.propagation(self.model.project()).split([self.data.users, self.data.items])
        return self.info_nce(user, item, users, positives, negatives)
    # after: propagation and loss
