"""TimeGAN's scheme as a plain PyTorch loop: what its steps cost without aegan; needs nothing but torch.

    python timegan_loop.py --steps 24 --channels 6 --count 40

Yoon, Jarrett & van der Schaar 2019 (NeurIPS): five networks of ``torch.nn.GRU`` (24 units, three layers, the supervisor
two), batches of 128; embedder and recovery first, then the supervisor, then two steps of generator and embedder for one
of the discriminator. Written from the paper for this comparison; the data are random. One JSON line on stdout:
processor seconds a step of each stage.
"""

import argparse
import json
import resource
import time

import torch
from torch import nn

HIDDEN, LAYERS, BATCH = 24, 3, 128


class Steps(nn.Module):
    """Recurrent layers and a dense one."""

    def __init__(self, inputs: int, outputs: int, layers: int = LAYERS) -> None:
        super().__init__()
        self.gru, self.read = nn.GRU(inputs, HIDDEN, layers, batch_first=True), nn.Linear(HIDDEN, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, T, inputs)`` to ``(B, T, outputs)``."""
        return self.read(self.gru(x)[0])


def main() -> None:
    """Time the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--channels", type=int, default=6)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels, sigmoid = options.channels, torch.sigmoid
    embedder, recovery, generator = Steps(channels, HIDDEN), Steps(HIDDEN, channels), Steps(channels, HIDDEN)
    supervisor, discriminator = Steps(HIDDEN, HIDDEN, LAYERS - 1), Steps(HIDDEN, 1)
    data = torch.rand(2000, options.steps, channels)
    parts = [[embedder, recovery], [supervisor], [generator, supervisor], [embedder, recovery], [discriminator]]
    optimizers = [torch.optim.Adam([p for m in part for p in m.parameters()], 1e-3) for part in parts]
    judge, mse = nn.functional.binary_cross_entropy_with_logits, nn.functional.mse_loss

    def batch() -> torch.Tensor:
        return data[torch.randint(0, len(data), (BATCH,))]

    def learn(which: int, loss: torch.Tensor) -> None:
        optimizers[which].zero_grad()
        loss.backward()
        optimizers[which].step()

    def ahead(h: torch.Tensor) -> torch.Tensor:
        return sigmoid(supervisor(h))

    def reconstruction(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return 10 * mse(sigmoid(recovery(h)), x).sqrt()

    def autoencode() -> None:
        x = batch()
        learn(0, reconstruction(x, sigmoid(embedder(x))))

    def supervise() -> None:
        h = sigmoid(embedder(batch()))
        learn(1, mse(ahead(h)[:, :-1], h[:, 1:]))

    def joint() -> None:
        for _ in range(2):
            x = batch()
            h = sigmoid(embedder(x)).detach()
            before = sigmoid(generator(torch.rand_like(x)))
            behind = ahead(before)
            made = sigmoid(recovery(behind))
            logits = [discriminator(part) for part in (behind, before)]
            loss = sum(judge(one, torch.ones_like(one)) for one in logits)
            loss = loss + 100 * mse(ahead(h)[:, :-1], h[:, 1:]).sqrt()
            loss = loss + 100 * ((made.std(0) - x.std(0)).abs().mean() + (made.mean(0) - x.mean(0)).abs().mean())
            learn(2, loss)
            h = sigmoid(embedder(x))
            learn(3, reconstruction(x, h) + 0.1 * mse(ahead(h)[:, :-1], h[:, 1:]))
        x = batch()
        with torch.no_grad():
            h, before = sigmoid(embedder(x)), sigmoid(generator(torch.rand_like(x)))
            behind = ahead(before)
        real, *fake = (discriminator(part) for part in (h, behind, before))
        loss = judge(real, torch.ones_like(real)) + sum(judge(one, torch.zeros_like(one)) for one in fake)
        learn(4, loss)

    told = {}
    for name, work in (("autoencoder", autoencode), ("supervisor", supervise), ("joint", joint)):
        for _ in range(3):
            work()
        began = time.process_time()
        for _ in range(options.count):
            work()
        # A joint step is two of the generator, as aegan counts two.
        told[name] = (time.process_time() - began) / options.count / (2 if name == "joint" else 1)
    print(json.dumps(told | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}))


if __name__ == "__main__":
    main()
