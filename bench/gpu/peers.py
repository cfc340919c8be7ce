"""AlphaRec in PyTorch on a GPU, as a peer of the same work: steps, evaluation, and the kernels one by one.

usage: peers.py equality|steps|evaluation|kernels [--shape books] [--form A|D] [--precision fp32|tf32|bf16]
                [--graph FOLDER] [--device cuda|cpu] [--small] [--json FILE]

  A   a port of the authors' model, eager, in fp32: every node's language vector through the projector, COO products,
      vectors gathered and normalised one by one; the sampler on the GPU
  D   tuned: items alone through the first layer and users' means behind it (embedding_bag both ways), propagation by
      embedding_bag without edge values, each row normalised once, torch.compile, fused Adam, one CUDA graph a step;
      users outside the batch are not left out of the last hop, which would need tensors of changing size

Both draw by rank among the items a user does not have, so nothing is drawn twice. equality compares both, in every
precision, with the formulas in double precision on a small graph. --graph is a folder that rec_steps --graph wrote;
without it a graph of that size is made here. --small: sizes for a CPU. Needs PyTorch; CuPy where it is there.
"""

import argparse
import json
import math
import pathlib
import time
import warnings

import torch
import torch.nn.functional as F

TAU = 0.15
SLOPE = 0.01
LEARNING_RATE = 5e-4
LAYERS = 2
LISTED = 20
USERS_AT_ONCE = 4096
SIZES = {  # users, items, edges, language width, hidden, dim, batch, negatives
    "books": (71306, 26073, 883612, 3072, 1536, 64, 4096, 256),
    "movies": (26073, 12464, 350411, 3072, 1536, 64, 4096, 256),
    "games": (40834, 14344, 156005, 3072, 1536, 64, 4096, 256),
    "tiny": (150, 100, 1000, 48, 32, 16, 64, 8),
}
# How far loss and gradients may be from the double-precision formulas: of the loss, and of a gradient's norm. bf16 has
# 8 bits, tf32 11: an operand's rounding is at most 2^-8 and 2^-11, half of that on average, and a few add up on a path.
BOUNDS = {"fp32": (1e-6, 1e-4), "tf32": (8 * 2**-12, 32 * 2**-12), "bf16": (8 * 2**-9, 32 * 2**-9)}


class Graph:
    """Training interactions as CSR both ways, on the device, and what batches are drawn from."""

    def __init__(self, row_start, col, users, items, device):
        self.users, self.items, self.edges = users, items, len(col)
        degree = row_start[1:] - row_start[:-1]
        user = torch.repeat_interleave(torch.arange(users), degree)
        order = torch.argsort(col, stable=True)
        item_degree = torch.bincount(col, minlength=items)
        self.user_degree, self.item_degree = degree.to(device), item_degree.to(device)
        self.row_start, self.col = row_start.to(device), col.to(device)
        self.user = user.to(device)
        self.col_start = torch.cat([torch.zeros(1, dtype=torch.long), item_degree.cumsum(0)]).to(device)
        self.users_of_item = user[order].to(device)
        # item_k - k for a user's k-th item: how many items she does not have come before it
        rank = torch.arange(len(col)) - row_start[user]
        self.keys = (user * (items + 1) + (col - rank)).to(device)

    def draw(self, user, negatives):
        """Positives and negatives of users [batch]: items [batch, 1 + negatives]."""
        degree, start = self.user_degree[user], self.row_start[user]
        random = torch.rand(len(user), 1 + negatives, device=user.device)
        positive = self.col[start + (random[:, 0] * degree).long().clamp(max=degree - 1)]
        free = (self.items - degree)[:, None]
        rank = torch.minimum((random[:, 1:] * free).long(), free - 1)
        before = torch.searchsorted(self.keys, user[:, None] * (self.items + 1) + rank, right=True) - start[:, None]
        return torch.cat([positive[:, None], rank + before], 1)


def make_graph(size, device, folder):
    users, items, edges = SIZES[size][:3]
    if folder:
        shape = json.loads((folder / "shape.json").read_text())
        users, items = shape["users"], shape["items"]
        row_start = torch.frombuffer(bytearray((folder / "row_start.i64").read_bytes()), dtype=torch.int64)
        col = torch.frombuffer(bytearray((folder / "col.i32").read_bytes()), dtype=torch.int32).long()
        return Graph(row_start, col, users, items, device)
    random = torch.Generator().manual_seed(1)

    def popularity(count):
        weight = (torch.arange(count, dtype=torch.double) + 25) ** -0.9
        return weight[torch.randperm(count, generator=random)]

    # Every user once, the rest of the edges by weight; those drawn twice count once.
    user = torch.cat([torch.arange(users), torch.multinomial(popularity(users), edges - users, True, generator=random)])
    item = torch.multinomial(popularity(items), edges, True, generator=random)
    key = torch.unique(user * items + item)
    degree = torch.bincount(key // items, minlength=users)
    row_start = torch.cat([torch.zeros(1, dtype=torch.long), degree.cumsum(0)])
    return Graph(row_start, key % items, users, items, device)


class Parameters(torch.nn.Module):
    def __init__(self, width, hidden, dim):
        super().__init__()
        self.first = torch.nn.Linear(width, hidden)
        self.second = torch.nn.Linear(hidden, dim)


def language_vectors(items, width, device):
    return F.normalize(torch.randn(items, width, generator=torch.Generator().manual_seed(2)), dim=1).to(device)


class Eager(torch.nn.Module):
    """Form A."""

    def __init__(self, graph, z, parameters):
        super().__init__()
        self.graph, self.parameters_ = graph, parameters
        mean = torch.sparse_coo_tensor(torch.stack([graph.user, graph.col]), (1 / graph.user_degree.to(z.dtype))[graph.user],
                                       (graph.users, graph.items))
        self.z = torch.cat([torch.sparse.mm(mean, z), z])
        scale = torch.cat([graph.user_degree, graph.item_degree]).to(z.dtype).clamp(min=1) ** -0.5
        row = torch.cat([graph.user, graph.col + graph.users])
        col = torch.cat([graph.col + graph.users, graph.user])
        nodes = graph.users + graph.items
        self.adjacency = torch.sparse_coo_tensor(torch.stack([row, col]), scale[row] * scale[col], (nodes, nodes)).coalesce()

    def embed(self):
        p = self.parameters_
        e = p.second(F.leaky_relu(p.first(self.z), SLOPE))
        layers = [e]
        for _ in range(LAYERS):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        return torch.stack(layers).mean(0).split([self.graph.users, self.graph.items])

    def forward(self, user, items):
        user_vectors, item_vectors = self.embed()
        u = F.normalize(user_vectors[user], dim=-1)
        v = F.normalize(item_vectors[items], dim=-1)
        scores = torch.matmul(u.unsqueeze(1), v.transpose(1, 2)).squeeze(1) / TAU
        return F.cross_entropy(scores, torch.zeros_like(user))


class Aggregate(torch.autograd.Function):
    """Sums of rows of x [there] over neighbours, [here, width]; the gradient is the same the other way."""

    @staticmethod
    def forward(context, x, col, start, col_back, start_back):
        context.save_for_backward(col_back, start_back)
        return F.embedding_bag(col, x, start, mode="sum", include_last_offset=True)

    @staticmethod
    def backward(context, grad):
        col_back, start_back = context.saved_tensors
        return (F.embedding_bag(col_back, grad.contiguous(), start_back, mode="sum", include_last_offset=True),
                None, None, None, None)


class Tuned(torch.nn.Module):
    """Form D."""

    def __init__(self, graph, z, parameters, precision):
        super().__init__()
        self.graph, self.parameters_ = graph, parameters
        self.type = torch.bfloat16 if precision == "bf16" else z.dtype
        self.z = z.to(self.type)
        self.user_mean = (1 / graph.user_degree.to(z.dtype))[:, None]
        self.user_scale = (graph.user_degree.to(z.dtype) ** -0.5)[:, None]
        self.item_scale = torch.where(graph.item_degree > 0, graph.item_degree.to(z.dtype).clamp(min=1) ** -0.5, 0)[:, None]

    def to_users(self, x):
        g = self.graph
        return Aggregate.apply(x, g.col, g.row_start, g.users_of_item, g.col_start)

    def to_items(self, x):
        g = self.graph
        return Aggregate.apply(x, g.users_of_item, g.col_start, g.col, g.row_start)

    def embed(self):
        p = self.parameters_
        of_items = F.linear(self.z, p.first.weight.to(self.type), p.first.bias.to(self.type))
        of_users = self.to_users(of_items) * self.user_mean.to(self.type)
        hidden = F.leaky_relu(torch.cat([of_users, of_items]), SLOPE)
        e = F.linear(hidden, p.second.weight.to(self.type), p.second.bias.to(self.type)).to(self.user_scale.dtype)
        user, item = e.split([self.graph.users, self.graph.items])
        user_sum, item_sum = user, item
        for _ in range(LAYERS):
            user, item = (self.to_users(item * self.item_scale) * self.user_scale,
                          self.to_items(user * self.user_scale) * self.item_scale)
            user_sum, item_sum = user_sum + user, item_sum + item
        return user_sum / (LAYERS + 1), item_sum / (LAYERS + 1)

    def forward(self, user, items):
        user_vectors, item_vectors = self.embed()
        u, v = F.normalize(user_vectors, dim=-1)[user], F.normalize(item_vectors, dim=-1)
        scores = (u.unsqueeze(1) * v[items]).sum(-1) / TAU
        return F.cross_entropy(scores, torch.zeros_like(user))


def by_the_formulas(graph, z, parameters, user, items):
    """Loss and gradients in double precision, from dense matrices."""
    z = z.double().cpu()
    p = [each.detach().double().cpu().requires_grad_() for each in parameters.parameters()]
    adjacency = torch.zeros(graph.users, graph.items, dtype=torch.double)
    adjacency[graph.user.cpu(), graph.col.cpu()] = 1
    of_user, of_item = adjacency.sum(1, keepdim=True), adjacency.sum(0, keepdim=True)
    mean = adjacency / of_user
    r = adjacency / of_user.sqrt() / of_item.clamp(min=1).sqrt()
    w1, b1, w2, b2 = p
    nodes = torch.cat([mean @ z, z])
    pre = nodes @ w1.T + b1
    x, y = (torch.where(pre > 0, pre, SLOPE * pre) @ w2.T + b2).split([graph.users, graph.items])
    e_user, e_item = (x + r @ y + r @ (r.T @ x)) / 3, (y + r.T @ x + r.T @ (r @ y)) / 3
    u, v = e_user / e_user.norm(dim=1, keepdim=True), e_item / e_item.norm(dim=1, keepdim=True)
    scores = (u @ v.T)[user.cpu()].gather(1, items.cpu()) / TAU
    loss = (torch.logsumexp(scores, 1) - scores[:, 0]).mean()
    loss.backward()
    return loss.item(), [each.grad for each in p]


def set_precision(precision):
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def make(options):
    users, items, edges, width, hidden, dim, batch, negatives = SIZES[options.shape]
    graph = make_graph(options.shape, options.device, options.graph)
    torch.manual_seed(3)
    parameters = Parameters(width, hidden, dim).to(options.device)
    z = language_vectors(graph.items, width, options.device)
    return graph, z, parameters, min(batch, graph.edges), negatives


def model_of(form, graph, z, parameters, precision):
    return Eager(graph, z, parameters) if form == "A" else Tuned(graph, z, parameters, precision)


def equality(options):
    """Raises where a form is not the formulas'."""
    options.shape, options.graph = "tiny", None
    graph, z, parameters, batch, negatives = make(options)
    user = torch.arange(batch, device=options.device) % graph.users
    items = graph.draw(user, negatives)
    owned = set(zip(graph.user.tolist(), graph.col.tolist()))
    for row, (first, *rest) in zip(user.tolist(), items.tolist()):
        assert (row, first) in owned and not any((row, other) in owned for other in rest), "a draw is wrong"
    loss, gradients = by_the_formulas(graph, z, parameters, user, items)
    rows = []
    for form, precision in (("A", "fp32"), ("D", "fp32"), ("D", "tf32"), ("D", "bf16")):
        set_precision(precision)
        parameters.zero_grad()
        found = model_of(form, graph, z, parameters, precision)(user, items)
        found.backward()
        of_loss = abs(found.item() - loss) / abs(loss)
        of_gradients = max(((ours.grad.double().cpu() - exact).norm() / exact.norm()).item()
                           for ours, exact in zip(parameters.parameters(), gradients))
        rows.append({"form": form, "precision": precision, "loss_error": of_loss, "gradient_error": of_gradients})
        most_loss, most_gradient = BOUNDS[precision]
        if not (of_loss <= most_loss and of_gradients <= most_gradient):
            raise SystemExit(f"peers.py: {form}-{precision} is not the formulas': {rows[-1]}, allowed {BOUNDS[precision]}")
    return rows


# ---- time

class Clock:
    """Times calls on the device: by CUDA events, or the processor's clock."""

    def __init__(self, options):
        self.cuda = options.device == "cuda"
        self.warm_up, self.runs = (2, 5) if options.small else (20, 100)
        self.flush = torch.empty(256 << 20, dtype=torch.int8, device="cuda") if self.cuda else None

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def milliseconds(self, call, flushed=False, longest_s=10.0):
        """p10, median and p90 of single calls."""
        times, began = [], time.perf_counter()
        for run in range(self.warm_up + self.runs):
            if flushed and self.cuda:
                self.flush.zero_()
            if self.cuda:
                start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
                start.record()
                call()
                end.record()
                end.synchronize()
                taken = start.elapsed_time(end)
            else:
                start = time.perf_counter()
                call()
                taken = 1e3 * (time.perf_counter() - start)
            if run >= self.warm_up or time.perf_counter() - began > longest_s / 2:
                times.append(taken)
            if time.perf_counter() - began > longest_s:
                break
        times.sort()
        return [times[round(share * (len(times) - 1))] for share in (0.1, 0.5, 0.9)]


class Steps:
    """Training steps of one form."""

    def __init__(self, options):
        self.graph, z, self.parameters, self.batch, self.negatives = make(options)
        self.cuda, self.tuned = options.device == "cuda", options.form == "D"
        set_precision(options.precision)
        self.model = model_of(options.form, self.graph, z, self.parameters, options.precision)
        # Products stay cuBLAS's: trying Triton's as well takes minutes.
        self.loss_of = torch.compile(self.model) if self.tuned and self.cuda else self.model
        self.optimiser = torch.optim.Adam(self.parameters.parameters(), lr=LEARNING_RATE,
                                          **({"fused": True, "capturable": True} if self.tuned and self.cuda else {}))
        order = torch.randperm(self.graph.users, device=options.device)
        self.order = order.repeat(2 + self.batch // self.graph.users)
        self.position = torch.zeros(1, dtype=torch.long, device=options.device)
        self.places = torch.arange(self.batch, device=options.device)
        self.step = self._captured() if self.tuned and self.cuda else self._one

    def _one(self):
        user = self.order[self.position + self.places]
        self.position.copy_((self.position + self.batch) % self.graph.users)
        items = self.graph.draw(user, self.negatives)
        self.loss = self.loss_of(user, items)
        self.optimiser.zero_grad(set_to_none=True)
        self.loss.backward()
        self.optimiser.step()

    def _captured(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._one()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self._one()
        self.captured = graph
        return graph.replay


def steps(options):
    work, clock = Steps(options), Clock(options)
    times = clock.milliseconds(work.step, longest_s=40)
    clock.wait()
    loss = work.loss.item()
    if not math.isfinite(loss):
        raise SystemExit(f"peers.py: the loss of {options.form} is {loss}")
    per_epoch = work.graph.edges // work.batch
    return {"shape": options.shape, "form": options.form, "precision": options.precision, "edges": work.graph.edges,
            "step_s": [ms / 1e3 for ms in times], "epoch_s": per_epoch * times[1] / 1e3, "steps_per_epoch": per_epoch,
            "loss": loss, "memory_bytes": torch.cuda.max_memory_allocated() if work.cuda else None}


@torch.no_grad()
def evaluation(options):
    """Every user's best items, those of training left out: exact, in fp32, some thousand users at a time."""
    set_precision("fp32")
    graph, z, parameters, _, _ = make(options)
    model = Tuned(graph, z, parameters, "fp32")

    def rank():
        user, item = (F.normalize(each, dim=-1) for each in model.embed())
        best = []
        for first in range(0, graph.users, USERS_AT_ONCE):
            last = min(first + USERS_AT_ONCE, graph.users)
            scores = user[first:last] @ item.T
            edges = slice(ends[first], ends[last])
            scores[graph.user[edges] - first, graph.col[edges]] = -torch.inf
            best.append(scores.topk(LISTED).indices)
        return torch.cat(best)

    ends = graph.row_start.tolist()
    times = Clock(options).milliseconds(rank, longest_s=30)
    return {"shape": options.shape, "users_at_once": USERS_AT_ONCE, "evaluation_s": [ms / 1e3 for ms in times]}


def kernels(options):
    """Each peer's answer is compared with the first of its group before it is timed."""
    graph, z, parameters, batch, negatives = make(options)
    width, hidden, dim = SIZES[options.shape][3:6]
    device, clock, rows = options.device, Clock(options), []

    def add(kernel, peer, call, expected=None, bound=0.0):
        answer = call()
        if expected is not None:
            error = ((answer.double() - expected.double()).norm() / expected.double().norm()).item()
            if not error <= bound:
                rows.append({"kernel": kernel, "peer": peer, "error": error, "ms": None})
                return answer
        rows.append({"kernel": kernel, "peer": peer, "ms": clock.milliseconds(call),
                     "flushed_ms": clock.milliseconds(call, flushed=True)})
        return answer

    def attempt(kernel, peer, call, *more):
        """What this PyTorch or device cannot do is said, not fatal."""
        try:
            return add(kernel, peer, call, *more)
        except (RuntimeError, NotImplementedError, torch.cuda.OutOfMemoryError if device == "cuda" else RuntimeError) as error:
            rows.append({"kernel": kernel, "peer": peer, "not_run": str(error).splitlines()[0][:200]})

    weight = parameters.first.weight.detach()
    gradient = torch.randn(graph.items, hidden, device=device)
    for precision in ("fp32", "tf32", "bf16"):
        set_precision(precision)
        type_ = torch.bfloat16 if precision == "bf16" else torch.float32
        a, b, g = z.to(type_), weight.to(type_).T, gradient.to(type_).T
        attempt("W1 z", f"torch.mm {precision}", lambda: a @ b)
        attempt("gradient of W1", f"torch.mm {precision}", lambda: g @ a)
    set_precision("fp32")

    mean = (1 / graph.user_degree.float())
    for name, columns, types in (("aggregation", hidden, (torch.float32, torch.bfloat16)), ("propagation hop", dim, (torch.float32,))):
        x = torch.randn(graph.items, columns, device=device)
        exact = F.embedding_bag(graph.col, x, graph.row_start, mode="mean", include_last_offset=True)
        for type_ in types:
            bound = 1e-5 if type_ == torch.float32 else 2**-7
            xt, called = x.to(type_), str(type_).removeprefix("torch.")
            for index in (torch.int32, torch.int64):
                col, start = graph.col.to(index), graph.row_start.to(index)
                attempt(name, f"embedding_bag {called} {index}".replace("torch.", ""),
                        lambda: F.embedding_bag(col, xt, start, mode="mean", include_last_offset=True), exact, bound)
                csr = torch.sparse_csr_tensor(start, col, mean[graph.user].to(type_), (graph.users, graph.items))
                attempt(name, f"torch.sparse csr {called} {index}".replace("torch.", ""), lambda: csr @ xt, exact, bound)
        if device == "cuda":
            attempt(name, "cuSPARSE by CuPy float32, column-major", cupy_product(graph, mean, x), exact, 1e-5)

    user = torch.randint(graph.users, (batch,), device=device)
    items = graph.draw(user, negatives)
    attempt("sampler", "torch.rand, searchsorted", lambda: graph.draw(user, negatives))
    flat, values = items.flatten(), torch.randn(items.numel(), dim, device=device)

    def index_add():
        return torch.zeros(graph.items, dim, device=device).index_add_(0, flat, values)

    def scatter_add():
        return torch.zeros(graph.items, dim, device=device).scatter_add_(0, flat[:, None].expand(-1, dim), values)

    def index_put():
        return torch.zeros(graph.items, dim, device=device).index_put_((flat,), values, accumulate=True)

    summed = index_add()
    for call in (index_add, scatter_add, index_put):
        attempt("gradient to items", call.__name__, call, summed, 1e-5)
    u = F.normalize(torch.randn(min(USERS_AT_ONCE, graph.users), dim, device=device), dim=1)
    v = F.normalize(torch.randn(graph.items, dim, device=device), dim=1)
    scores = u @ v.T
    attempt("ranking, 4096 users", "torch.topk alone", lambda: scores.topk(LISTED).values)
    attempt("ranking, 4096 users", "torch.mm, topk", lambda: (u @ v.T).topk(LISTED).values)
    attempt("ranking, 4096 users", "torch.mm, sort", lambda: (u @ v.T).sort(descending=True).values[:, :LISTED])
    for fused in (False, True):
        slab = torch.nn.Parameter(torch.randn(hidden * (width + 1) + dim * (hidden + 1), device=device))
        slab.grad = torch.randn_like(slab)
        optimiser = torch.optim.Adam([slab], lr=LEARNING_RATE, fused=fused)

        def update():
            optimiser.step()
            return slab

        attempt("adam", f"torch.optim.Adam {'fused' if fused else 'foreach'}", update)
    return rows


def cupy_product(graph, mean, x):
    """CuPy takes dense matrices by columns; another layout would be copied at every call."""
    def call():
        raise RuntimeError("there is no CuPy")
    try:
        import cupy
        from cupyx import cusparse
        from cupyx.scipy.sparse import csr_matrix
    except ImportError:
        return call
    matrix = csr_matrix((cupy.from_dlpack(mean[graph.user].contiguous()), cupy.from_dlpack(graph.col.int()),
                         cupy.from_dlpack(graph.row_start.int())), shape=(graph.users, graph.items))
    dense = cupy.asfortranarray(cupy.from_dlpack(x))

    def multiply():
        stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
        with stream:
            return torch.from_dlpack(cusparse.spmm(matrix, dense))

    return multiply


WORK = {"equality": equality, "steps": steps, "evaluation": evaluation, "kernels": kernels}


def main():
    parser = argparse.ArgumentParser(description="AlphaRec in PyTorch, timed beside the engine.")
    parser.add_argument("work", choices=WORK)
    parser.add_argument("--shape", choices=SIZES, default="books")
    parser.add_argument("--form", choices=("A", "D"), default="A")
    parser.add_argument("--precision", choices=BOUNDS, default="fp32")
    parser.add_argument("--graph", type=pathlib.Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="few runs, for a CPU")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Sparse")  # beta-state notices
    if options.form == "A" and options.precision != "fp32":
        parser.error("form A is the authors' and runs in fp32")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("peers.py: PyTorch finds no CUDA device; --device cpu --small tries it without one")
    if options.device == "cpu":
        torch.set_num_threads(2)
    result = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
              "result": WORK[options.work](options)}
    text = json.dumps(result, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
