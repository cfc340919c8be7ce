"""rec_engine.torch against PyTorch's own autograd, in float64; on the device that REC_TEST_DEVICE names, cpu or cuda."""

import os
import unittest

import numpy as np

try:
    import torch
except ImportError:
    raise unittest.SkipTest("PyTorch is not there (REC_PEERS_PYTHON names a Python that has it)") from None

import cases
from rec_engine import ops
from rec_engine import torch as rec

DEVICE = os.environ.get("REC_TEST_DEVICE", "cpu")
WIDTHS = (1, 31, 64, 65)
SHAPES = 100
BOUND = 5e-6  # of the largest magnitude
ROUNDED_ZERO = 1e-7  # cosines of vectors one wide do not move: float64's gradient is rounding alone


class Shapes:
    """Random graphs and batches: users and items without interactions, users several times in a batch."""

    def __init__(self, seed):
        self.random = random = np.random.default_rng(seed)
        self.width = WIDTHS[seed % len(WIDTHS)]
        self.users, self.items = (int(n) for n in random.integers(2, 40, 2))
        sets = cases.sets_of_items(random, self.users, self.items, 0.3)
        sets[0] = {0}
        self.csr = cases.csr(sets, self.items)
        self.graph = rec.Graph(self.csr)

    def normal(self, rows):
        return torch.from_numpy(self.random.normal(size=(rows, self.width)).astype(np.float32)).to(DEVICE)

    def ids(self, below, *shape):
        return torch.from_numpy(self.random.integers(0, below, shape).astype(np.int32)).to(DEVICE)

    def adjacency(self):
        """The normalised graph, dense, float64."""
        a = torch.zeros(self.users + self.items, self.users + self.items, dtype=torch.float64)
        a[:self.users, self.users:] = torch.from_numpy(self.csr.toarray().astype(np.float64))
        a += a.T.clone()
        scale = torch.where(a.sum(1) > 0, a.sum(1).clamp(min=1) ** -0.5, torch.zeros(()).double())
        return (scale[:, None] * a * scale).to(DEVICE)

    def mean(self):
        r = torch.from_numpy(self.csr.toarray().astype(np.float64))
        return (r / r.sum(1, keepdim=True).clamp(min=1)).to(DEVICE)


def plain_propagate(adjacency, x, layers):
    total = hop = x
    for _ in range(layers):
        hop = adjacency @ hop
        total = total + hop
    return total / (layers + 1)


def plain_loss(user, item, users, positives, negatives, tau, is_bpr, cosine):
    if cosine:
        user, item = torch.nn.functional.normalize(user), torch.nn.functional.normalize(item)
    chosen = torch.cat([positives[:, None], negatives], 1).long()
    scores = (user[users.long()][:, None] * item[chosen]).sum(-1)
    if is_bpr:
        return torch.nn.functional.softplus(scores[:, 1] - scores[:, 0]).mean()
    return torch.nn.functional.cross_entropy(scores / tau, torch.zeros(len(users), dtype=torch.long, device=DEVICE))


class Operators(unittest.TestCase):
    def assert_equal(self, found, plain, *inputs):
        """Value and gradients, along random directions, of found(*inputs) and of plain(*inputs in float64)."""
        single = [x.clone().requires_grad_() for x in inputs]
        double = [x.double().requires_grad_() for x in inputs]
        value, wanted = found(*single), plain(*double)
        self.assert_near(value, wanted, "value")
        direction = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE)
        gradients = torch.autograd.grad(value, single, direction.float())
        expected = torch.autograd.grad(wanted, double, direction.float().double())
        for n, (gradient, of) in enumerate(zip(gradients, expected)):
            self.assert_near(gradient, of, f"gradient {n}")
        return gradients

    def assert_near(self, found, wanted, what):
        self.assertEqual(found.dtype, torch.float32)
        self.assertEqual(found.shape, wanted.shape)
        largest = wanted.abs().max().item() if wanted.numel() else 0.0
        difference = (found.double() - wanted).abs().max().item() if wanted.numel() else 0.0
        self.assertLessEqual(difference, BOUND * max(largest, ROUNDED_ZERO), what)

    def test_propagate(self):
        for seed in range(SHAPES):
            case = Shapes(seed)
            adjacency, layers = case.adjacency(), seed % 5
            with self.subTest(seed=seed):
                self.assert_equal(rec.Propagation(case.graph, layers), lambda x: plain_propagate(adjacency, x, layers),
                                  case.normal(case.users + case.items))

    def test_mean_rows(self):
        for seed in range(SHAPES):
            case = Shapes(seed)
            mean = case.mean()
            with self.subTest(seed=seed):
                self.assert_equal(rec.MeanOfItems(case.graph), lambda x: mean @ x, case.normal(case.items))

    def losses(self, is_bpr):
        for seed in range(SHAPES):
            case = Shapes(seed)
            batch, negatives = int(case.random.integers(1, 50)), 1 if is_bpr else int(case.random.integers(1, 30))
            cosine, tau = seed % 3 > 0, float(case.random.uniform(0.05, 1))
            users = case.ids(case.users, batch)
            positives, negatives = case.ids(case.items, batch), case.ids(case.items, batch, negatives)
            module = rec.BPR("cosine" if cosine else "dot") if is_bpr else rec.InfoNCE(tau, "cosine" if cosine else "dot")
            # Dot products of wide normal vectors divided by a small tau have no digits left to compare.
            scale = 1.0 if cosine else case.width ** -0.25
            with self.subTest(seed=seed):
                self.assert_equal(lambda user, item: module(user, item, users, positives, negatives),
                                  lambda user, item: plain_loss(user, item, users, positives, negatives, tau, is_bpr, cosine),
                                  case.normal(case.users) * scale, case.normal(case.items) * scale)

    def test_info_nce(self):
        self.losses(is_bpr=False)

    def test_bpr(self):
        self.losses(is_bpr=True)

    def test_projector(self):
        for seed in range(SHAPES):
            case = Shapes(seed)
            hidden = None if seed % 3 == 0 else 1 + seed % 17
            torch.manual_seed(seed)
            projector = rec.LanguageProjector(case.graph, case.width, hidden, 5).to(DEVICE)
            mean, has_items = case.mean(), torch.from_numpy(np.diff(case.csr.indptr) > 0).double()[:, None].to(DEVICE)

            def plain(z, *weights):
                first = z @ weights[0].T + (weights[1] if hidden else 0)
                nodes = torch.cat([(mean @ z @ weights[0].T + (weights[1] if hidden else 0)) * has_items, first])
                if not hidden:
                    return nodes
                return torch.nn.functional.leaky_relu(nodes) @ weights[2].T + weights[3]

            def found(z, *weights):
                names = [name for name, _ in projector.named_parameters()]
                return torch.func.functional_call(projector, dict(zip(names, weights)), (z,))
            with self.subTest(seed=seed):
                self.assert_equal(found, plain, case.normal(case.items), *(p.detach() for p in projector.parameters()))

    def test_directional_derivatives(self):
        """Differences of the value itself along a direction, against the gradient's product with it."""
        case = Shapes(6)
        users, positives = case.ids(case.users, 20), case.ids(case.items, 20)
        negatives = case.ids(case.items, 20, 7)
        user, item = case.normal(case.users).requires_grad_(), case.normal(case.items).requires_grad_()
        loss = rec.info_nce(user, item, users, positives, negatives, 0.5)
        gradients = torch.autograd.grad(loss, (user, item))
        step = 1e-2
        for n in range(2):
            direction = case.normal((case.users, case.items)[n])
            at = [[user.detach(), item.detach()] for _ in range(2)]
            at[0][n], at[1][n] = at[0][n] + step * direction, at[1][n] - step * direction
            ahead, behind = (rec.info_nce(*vectors, users, positives, negatives, 0.5).item() for vectors in at)
            self.assertAlmostEqual((ahead - behind) / (2 * step), (gradients[n] * direction).sum().item(), places=3)


class Behaviour(unittest.TestCase):
    def setUp(self):
        self.case = Shapes(2)
        self.x = self.case.normal(self.case.users + self.case.items)

    def test_gradients_only_where_asked(self):
        case = self.case
        user, item = case.normal(case.users).requires_grad_(), case.normal(case.items)
        loss = rec.bpr(user, item, case.ids(case.users, 5), case.ids(case.items, 5), case.ids(case.items, 5))
        loss.backward()
        self.assertIsNotNone(user.grad)
        self.assertIsNone(item.grad)
        self.assertFalse(rec.propagate(case.graph, self.x, 2).requires_grad)

    def test_operators_pass_pytorchs_own_checks(self):
        case = self.case
        x = self.x.clone().requires_grad_()
        torch.library.opcheck(torch.ops.rec_engine.propagate, (x, case.graph.number, 2))
        items = case.normal(case.items).requires_grad_()
        torch.library.opcheck(torch.ops.rec_engine.mean_rows, (items, case.graph.number, False))
        user = case.normal(case.users).requires_grad_()
        batch = (case.ids(case.users, 6), case.ids(case.items, 6), case.ids(case.items, 6, 3))
        torch.library.opcheck(torch.ops.rec_engine.batch_loss, (user, items, *batch, 0.2, False, True))

    def test_compile_takes_them_whole(self):
        module = rec.Propagation(self.case.graph, 2)
        compiled = torch.compile(lambda x: (module(x) * 2).sum(), fullgraph=True, backend="aot_eager")
        x = self.x.clone().requires_grad_()
        compiled(x).backward()
        wanted = self.x.clone().requires_grad_()
        (module(wanted) * 2).sum().backward()
        torch.testing.assert_close(x.grad, wanted.grad, rtol=0, atol=0)

    def test_autocast_casts_to_float32(self):
        with torch.autocast(DEVICE, dtype=torch.bfloat16):
            found = rec.propagate(self.case.graph, self.x.bfloat16(), 1)
        self.assertEqual(found.dtype, torch.float32)
        torch.testing.assert_close(found, rec.propagate(self.case.graph, self.x.bfloat16().float(), 1), rtol=0, atol=0)

    def test_equals_ops(self):
        torch.testing.assert_close(rec.propagate(self.case.graph, self.x, 3),
                                   torch.as_tensor(ops.propagate(self.case.graph, self.x, 3)), rtol=0, atol=0)

    def test_backward_twice(self):
        x = self.x.clone().requires_grad_()
        value = rec.propagate(self.case.graph, x, 2).square().sum()
        value.backward(retain_graph=True)
        once = x.grad.clone()
        value.backward()
        torch.testing.assert_close(x.grad, 2 * once)

    def test_without_gradients(self):
        """Parameters under no_grad, as models are evaluated."""
        weight = torch.nn.Parameter(self.x)
        for context in (torch.no_grad(), torch.inference_mode()):
            with context:
                torch.testing.assert_close(rec.propagate(self.case.graph, weight, 2), rec.propagate(self.case.graph, self.x, 2))

    def test_a_graph_lives_until_the_gradient_is_made(self):
        x = self.x.clone().requires_grad_()
        value = rec.propagate(rec.Graph(self.case.csr), x, 1).sum()
        value.backward()
        self.assertIsNotNone(x.grad)

    def test_pytorchs_sparse_tensors(self):
        csr = self.case.csr
        tensor = torch.sparse_csr_tensor(torch.from_numpy(csr.indptr).long(), torch.from_numpy(csr.indices).long(),
                                         torch.from_numpy(csr.data), csr.shape)
        torch.testing.assert_close(rec.propagate(rec.Graph(tensor), self.x, 2), rec.propagate(self.case.graph, self.x, 2))

    def test_losses_have_no_second_derivative(self):
        case = self.case
        user, item = case.normal(case.users).requires_grad_(), case.normal(case.items)
        batch = case.ids(case.users, 5), case.ids(case.items, 5), case.ids(case.items, 5, 3)
        gradient, = torch.autograd.grad(rec.info_nce(user * user, item, *batch, 0.3), user, create_graph=True)
        with self.assertRaisesRegex(RuntimeError, "second derivative"):
            gradient.sum().backward()

    def test_refused(self):
        for call, kind, words in (
                (lambda: rec.propagate(self.case.graph, self.x.double(), 2), TypeError, "expected float32"),
                (lambda: rec.propagate(self.case.graph, self.x[1:], 2), ValueError, "rows, one for each"),
                (lambda: rec.propagate(ops.Graph(self.case.csr), self.x, 2), TypeError, "rec_engine.torch.Graph"),
                (lambda: rec.propagate(self.case.graph, self.x, -1), ValueError, "layers"),
                (lambda: rec.InfoNCE(torch.nn.Parameter(torch.tensor(0.3))), TypeError, "tau"),
                (lambda: ops.topk(torch._neg_view(self.x), self.x), ValueError, "resolve_neg"),
                (lambda: ops.topk(self.x.requires_grad_(), self.x), ValueError, ".detach()")):
            with self.assertRaisesRegex(kind, words):
                call()


@unittest.skipUnless(DEVICE == "cuda", "of a GPU alone (REC_TEST_DEVICE=cuda)")
class Streams(unittest.TestCase):
    """Work goes into the current stream, behind what is there, and nothing waits for it."""

    def setUp(self):
        self.case = Shapes(6)
        self.x = self.case.normal(self.case.users + self.case.items)
        case = self.case
        self.batch = case.ids(case.users, 20), case.ids(case.items, 20), case.ids(case.items, 20, 7)
        self.work(self.x)  # copies the graph

    def work(self, x):
        x = x.detach().requires_grad_()
        user, item = rec.propagate(self.case.graph, x, 2).split([self.case.users, self.case.items])
        means = rec.mean_rows(self.case.graph, item)
        loss = rec.info_nce(user + means, item, *self.batch, 0.3)
        loss.backward()
        return loss.detach(), x.grad

    def test_a_stream_of_the_callers(self):
        wanted = self.work(self.x)
        busy = torch.randn(2000, 2000, device="cuda")
        torch.cuda.synchronize()
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(20):  # so that x is not there yet when the operations are put behind it
                busy = busy @ busy / 100
            x = torch.empty_like(self.x)
            x.copy_(self.x)
            found = self.work(x)
        stream.synchronize()
        for value, want in zip(found, wanted):
            torch.testing.assert_close(value, want, rtol=0, atol=0)

    def test_nothing_waits(self):
        waits = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy", "cudaMemcpyAsync",
                 "cudaMalloc", "cudaFree")
        self.work(self.x)
        torch.cuda.synchronize()
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as trace:
            self.work(self.x)
        names = [event.name for event in trace.events()]
        self.assertTrue(any("LaunchKernel" in name for name in names), "the trace has no launches")
        # the profiler itself waits once at its end
        self.assertEqual([name for name in names if name in waits and name != "cudaDeviceSynchronize"], [])
        self.assertLessEqual(names.count("cudaDeviceSynchronize"), 1)

    def test_a_graph_of_the_callers(self):
        """Captured with torch.cuda.graph, and replayed on other values."""
        x = self.x.clone()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            found = rec.propagate(self.case.graph, x, 2)
        x.copy_(2 * self.x)
        recorded.replay()
        torch.testing.assert_close(found, 2 * rec.propagate(self.case.graph, self.x, 2))

    def test_batches_drawn_into_tensors(self):
        sampler = ops.Sampler(self.case.csr, 4, 3, seed=5)
        out = [torch.empty(shape, dtype=torch.int32, device="cuda") for shape in ((4,), (4,), (4, 3))]
        for step in range(sampler.steps_per_epoch):
            for part, wanted in zip(sampler.draw(1, step, out), sampler.draw(1, step)):
                np.testing.assert_array_equal(part.cpu().numpy(), wanted)

    def test_evaluation(self):
        case, test = self.case, cases.csr(cases.sets_of_items(self.case.random, self.case.users, self.case.items, 0.2), self.case.items)
        user, item = case.normal(case.users), case.normal(case.items)
        self.assertEqual(ops.evaluate(user, item, case.csr, test, k=5), ops.evaluate(user.cpu(), item.cpu(), case.csr, test, k=5))

    def test_tensors_on_different_devices(self):
        case = self.case
        with self.assertRaisesRegex(RuntimeError, "where user_vectors lies"):
            rec.info_nce(case.normal(case.users), case.normal(case.items).cpu(), *self.batch, 0.3)


if __name__ == "__main__":
    unittest.main()
