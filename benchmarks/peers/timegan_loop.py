"""TimeGAN's scheme as a plain PyTorch loop: what it costs and what it learns without aegan; needs nothing but torch.

    python timegan_loop.py --steps 24 --channels 6 --count 40
    python timegan_loop.py --windows WINDOWS.pt --iterations 1000 --made MADE.pt [--seed 0]

Yoon, Jarrett & van der Schaar 2019 (NeurIPS): five networks of ``torch.nn.GRU`` (24 units, three layers, the supervisor
two), batches of 128; embedder and recovery first, then the supervisor, then two steps of generator and embedder for one
of the discriminator, which makes none where its loss is at most .15. Written from the paper for this comparison.

The first form times the stages on random data: processor seconds a step of each. The second trains all three stages
for ``--iterations`` each, as published, on the tensor ``(N, T, C)`` in WINDOWS, brought to [0, 1] by its range, and
writes as many windows in its units to MADE: processor seconds of training, and windows drawn a processor second. One
JSON line on stdout.
"""

import argparse
import json
import resource
import time

import torch
from torch import nn

HIDDEN, LAYERS, BATCH = 24, 3, 128
HOLD_BELOW = 0.15
"""Loss at which the discriminator waits."""

judge, mse, sigmoid = nn.functional.binary_cross_entropy_with_logits, nn.functional.mse_loss, torch.sigmoid


class Steps(nn.Module):
    """Recurrent layers and a dense one."""

    def __init__(self, inputs: int, outputs: int, layers: int = LAYERS) -> None:
        super().__init__()
        self.gru, self.read = nn.GRU(inputs, HIDDEN, layers, batch_first=True), nn.Linear(HIDDEN, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, T, inputs)`` to ``(B, T, outputs)``."""
        return self.read(self.gru(x)[0])


class Loop:
    """The five networks, their optimisers, and a step of each stage, on windows ``(N, T, C)`` in [0, 1]."""

    def __init__(self, data: torch.Tensor) -> None:
        channels, self.data = data.shape[2], data
        self.embedder, self.recovery = Steps(channels, HIDDEN), Steps(HIDDEN, channels)
        self.generator, self.supervisor = Steps(channels, HIDDEN), Steps(HIDDEN, HIDDEN, LAYERS - 1)
        self.discriminator = Steps(HIDDEN, 1)
        coder = [self.embedder, self.recovery]
        parts = [coder, [self.supervisor], [self.generator, self.supervisor], coder, [self.discriminator]]
        self.optimizers = [torch.optim.Adam([p for m in part for p in m.parameters()], 1e-3) for part in parts]

    def batch(self) -> torch.Tensor:
        """Windows drawn at random."""
        return self.data[torch.randint(0, len(self.data), (BATCH,))]

    def learn(self, which: int, loss: torch.Tensor) -> None:
        """A step of one optimiser."""
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    def ahead(self, h: torch.Tensor) -> torch.Tensor:
        """The supervisor's next codes."""
        return sigmoid(self.supervisor(h))

    def made(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes from noise for as many windows, before and behind the supervisor."""
        before = sigmoid(self.generator(torch.rand_like(x)))
        return before, self.ahead(before)

    def reconstruction(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Ten times the root of the mean squared error."""
        return 10 * mse(sigmoid(self.recovery(h)), x).sqrt()

    def autoencoder(self) -> None:
        """First stage."""
        x = self.batch()
        self.learn(0, self.reconstruction(x, sigmoid(self.embedder(x))))

    def supervise(self) -> None:
        """Second stage."""
        h = sigmoid(self.embedder(self.batch()))
        self.learn(1, mse(self.ahead(h)[:, :-1], h[:, 1:]))

    def joint(self) -> None:
        """Third stage: two steps of generator and embedder, one of the discriminator."""
        for _ in range(2):
            x = self.batch()
            h = sigmoid(self.embedder(x)).detach()
            before, behind = self.made(x)
            window = sigmoid(self.recovery(behind))
            logits = [self.discriminator(part) for part in (behind, before)]
            loss = sum(judge(one, torch.ones_like(one)) for one in logits)
            loss = loss + 100 * mse(self.ahead(h)[:, :-1], h[:, 1:]).sqrt()
            loss = loss + 100 * ((window.std(0) - x.std(0)).abs().mean() + (window.mean(0) - x.mean(0)).abs().mean())
            self.learn(2, loss)
            h = sigmoid(self.embedder(x))
            self.learn(3, self.reconstruction(x, h) + 0.1 * mse(self.ahead(h)[:, :-1], h[:, 1:]))
        x = self.batch()
        with torch.no_grad():
            h, (before, behind) = sigmoid(self.embedder(x)), self.made(x)
        real, *fake = (self.discriminator(part) for part in (h, behind, before))
        loss = judge(real, torch.ones_like(real)) + sum(judge(one, torch.zeros_like(one)) for one in fake)
        if float(loss.detach()) > HOLD_BELOW:
            self.learn(4, loss)

    @torch.no_grad()
    def draw(self, n: int) -> torch.Tensor:
        """New windows ``(n, T, C)`` in [0, 1]."""
        blocks = (self.data[:1].expand(len(part), -1, -1) for part in torch.arange(n).split(1024))
        return torch.cat([sigmoid(self.recovery(self.made(block)[1])) for block in blocks])


def timed(options: argparse.Namespace) -> dict[str, float]:
    """Processor seconds a step of each stage."""
    loop = Loop(torch.rand(2000, options.steps, options.channels))
    told = {}
    for name, work in (("autoencoder", loop.autoencoder), ("supervisor", loop.supervise), ("joint", loop.joint)):
        for _ in range(3):
            work()
        began = time.process_time()
        for _ in range(options.count):
            work()
        # A joint step is two of the generator, as aegan counts two.
        told[name] = (time.process_time() - began) / options.count / (2 if name == "joint" else 1)
    return told


def trained(options: argparse.Namespace) -> dict[str, float]:
    """All stages one after the other, and the windows drawn in the end."""
    windows = torch.load(options.windows, weights_only=True)
    low, high = windows.amin((0, 1)), windows.amax((0, 1))
    width = (high - low).clamp_min(1e-12)
    began = time.process_time()
    loop = Loop((windows - low) / width)
    for work in (loop.autoencoder, loop.supervise, loop.joint):
        for _ in range(options.iterations):
            work()
    took, began = time.process_time() - began, time.process_time()
    made = loop.draw(len(windows)) * width + low
    rate = len(windows) / max(time.process_time() - began, 1e-9)
    torch.save(made, options.made)
    return {"seconds": took, "sample": rate}


def main() -> None:
    """Time the stages, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--channels", type=int, default=6)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--windows")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--made")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    told = trained(options) if options.windows else timed(options)
    print(json.dumps(told | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}))


if __name__ == "__main__":
    main()
