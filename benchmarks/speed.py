"""Training speed: aegan's trainer beside pythae's on pythae's own networks, and beside a plain eager loop.

    python benchmarks/speed.py --data DIR --out RESULTS --peer-python PEER_ENV/bin/python [--repeats 3 --seconds 20]

The same layers, batch size, loss (mean squared error) and optimiser (Adam), the same 60,000 pictures; all sides in
turn, so that a drift of the machine hits all. Printed are pictures a second: median (lowest to highest) over repeats.
``plain loop`` is the layers as PyTorch has them, with batches indexed from memory: what of the gain is the trainer's
and the loader's, and what the layers'.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from aegan.config import TrainConfig
from aegan.data import ImageAdapter
from aegan.data.base import TensorData
from aegan.losses import squared_error
from aegan.models.base import Model
from aegan.nn.matmul_conv import with_matmul_convolutions
from aegan.train.backend import Backend
from aegan.train.precision import choose_precision
from aegan.train.probe import Probe, StepRecord
from aegan.train.trainer import Trainer
from aegan.types import Batch, Optimizer, Phase, Spec, Stage, Term

SPEC = Spec(kind="image", shape=(1, 28, 28))
LATENT, LR, WARM_UP = 16, 1e-4, 3
REPEATED = 5


def conv_networks() -> tuple[nn.Module, nn.Module]:
    """The layers of pythae's convolutional MNIST autoencoder: 17 million weights."""
    encoder: list[nn.Module] = []
    for inputs, outputs in ((1, 128), (128, 256), (256, 512), (512, 1024)):
        encoder += [nn.Conv2d(inputs, outputs, 4, 2, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    decoder = [
        nn.Linear(LATENT, 1024 * 16),
        nn.Unflatten(1, (1024, 4, 4)),
        *(nn.ConvTranspose2d(1024, 512, 3, 2, padding=1), nn.BatchNorm2d(512), nn.ReLU()),
        *(nn.ConvTranspose2d(512, 256, 3, 2, padding=1, output_padding=1), nn.BatchNorm2d(256), nn.ReLU()),
        *(nn.ConvTranspose2d(256, 1, 3, 2, padding=1, output_padding=1), nn.Sigmoid()),
    ]
    return nn.Sequential(*encoder, nn.Flatten(), nn.Linear(1024, LATENT)), nn.Sequential(*decoder)


def mlp_networks() -> tuple[nn.Module, nn.Module]:
    """The layers that pythae takes when it is given none."""
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, LATENT))
    decoder = nn.Sequential(
        nn.Linear(LATENT, 512), nn.ReLU(), nn.Linear(512, 784), nn.Sigmoid(), nn.Unflatten(1, SPEC.shape)
    )
    return encoder, decoder


NETWORKS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {"conv": conv_networks, "mlp": mlp_networks}


@final
class Same(Model):
    """The peer's layers in an aegan model."""

    Config: ClassVar[type] = dict
    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(self, network: str, batch: int) -> None:
        super().__init__(SPEC, None)
        self.encoder, self.decoder = (with_matmul_convolutions(part) for part in NETWORKS[network]())
        self.batch = batch

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One."""
        phase = Phase(
            name="autoencode", networks=("encoder", "decoder"), optimizer=Optimizer(lr=LR, betas=(0.9, 0.999))
        )
        return (Stage(name="autoencoder", share=1.0, phases=(phase,), batch_size=self.batch),)

    def loss(self, phase: str, batch: Batch) -> dict[str, Term]:
        """Mean squared error on [0, 1], as the peer has it."""
        x = (batch["x"] + 1.0) / 2.0
        return {"reconstruction": Term(squared_error(self.decoder(self.encoder(x)), x))}

    def encode(self, x: Tensor) -> Tensor:
        """Codes."""
        return self.encoder((x + 1.0) / 2.0)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures."""
        return 2.0 * self.decoder(z) - 1.0


class Clock(Probe):
    """Starts after the first steps and counts on."""

    began = took = began_cpu = cpu = 0.0
    steps = 0

    def on_step(self, trainer: Trainer, record: StepRecord) -> None:
        """Called after every step."""
        if trainer.step == WARM_UP:
            self.began, self.began_cpu = time.perf_counter(), time.process_time()
        self.steps, self.took = trainer.step - WARM_UP, time.perf_counter() - self.began
        self.cpu = time.process_time() - self.began_cpu


def told(pictures: int, took: float, cpu: float, encode: Callable, decode: Callable, x: Tensor) -> dict[str, float]:
    """Rates a second and a processor second, of training, encoding and decoding; and the most memory held, in MiB."""
    out = {"rate": pictures / took, "cpu_rate": pictures / cpu}
    with torch.no_grad():
        z = encode(x)
        for name, work, given in (("encode", encode, x), ("decode", decode, z)):
            work(given)
            began = time.process_time()
            for _ in range(REPEATED):
                work(given)
            out[name] = REPEATED * len(x) / (time.process_time() - began)
    return out | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10}


def ours(network: str, data: TensorData, batch: int, seconds: float) -> dict[str, float]:
    """Rates of aegan's trainer, precision chosen as ``fit`` chooses it."""
    model = Same(network, batch)
    precision, _ = choose_precision(model, data, "cpu")
    clock = Clock()
    config = TrainConfig(budget=2 * seconds, grids=0)  # the first steps are not timed
    Trainer(model, data, config, Backend("cpu", precision), probes=[clock], clock=time.process_time).fit()
    model.eval()
    x = data.batch(torch.arange(batch))["x"]
    return told(clock.steps * batch, clock.took, clock.cpu, model.encode, model.decode, x)


def plain(network: str, data: TensorData, batch: int, seconds: float) -> dict[str, float]:
    """Rates of an eager fp32 loop over the layers as they are."""
    encoder, decoder = NETWORKS[network]()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=LR)
    began, cpu, step = 0.0, 0.0, 0
    while not began or time.process_time() - cpu < seconds:
        x = (data.batch(torch.randint(0, len(data), (batch,)))["x"] + 1.0) / 2.0
        optimizer.zero_grad()
        nn.functional.mse_loss(decoder(encoder(x)), x).backward()
        optimizer.step()
        step += 1
        if step == WARM_UP:
            began, cpu = time.perf_counter(), time.process_time()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    encoder.eval(), decoder.eval()
    x = (data.batch(torch.arange(batch))["x"] + 1.0) / 2.0
    return told((step - WARM_UP) * batch, took, cpu, encoder, decoder, x)


def rate(options: argparse.Namespace, network: str, side: str) -> float:
    """Pictures a second of one side, each time in a process of its own."""
    command = [str(options.peer_python), str(Path(__file__).parent / "peers" / "pythae_speed.py")]
    if side != "pythae":
        command = [sys.executable, __file__, "--side", side]
    command += ["--data", str(options.data), "--network", network, "--batch", str(options.batch)]
    command += ["--seconds", str(options.seconds), "--threads", str(options.threads)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["rate"]


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Fashion-MNIST's IDX files")
    parser.add_argument("--out", type=Path, help="folder for speed.json")
    parser.add_argument("--peer-python", type=Path, help="Python of the environment that has pythae")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--side", choices=("aegan", "plain loop"), help="measure this one alone and print JSON")
    parser.add_argument("--network", choices=tuple(NETWORKS), default="conv", help="with --side")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.side:
        adapter = ImageAdapter().fit(str(options.data))
        data = TensorData(x=adapter.to_tensors(str(options.data)).fields["x"])
        measure = {"aegan": ours, "plain loop": plain}[options.side]
        print(json.dumps(measure(options.network, data, options.batch, options.seconds)))
        return
    found: dict[str, list[float]] = {}
    sides = (["pythae"] if options.peer_python else []) + ["plain loop", "aegan"]
    for _ in range(options.repeats):
        for network in NETWORKS:
            for side in sides:
                found.setdefault(f"{network}/{side}", []).append(rate(options, network, side))
    print(f"\n{time.strftime('%Y-%m-%d')}, {platform.machine()}, {options.threads} threads, torch")
    print(f"{torch.__version__}, batch {options.batch}, {options.repeats} repeats of {options.seconds:g} s.\n")
    print("| network | side | pictures a second | times the peer |")
    print("|---|---|---|---|")
    for key, rates in found.items():
        network, side = key.split("/")
        middle = statistics.median(rates)
        base = found.get(f"{network}/pythae")
        ratio = f"{middle / statistics.median(base):.2f}" if base else ""
        print(f"| {network} | {side} | {middle:.0f} ({min(rates):.0f}–{max(rates):.0f}) | {ratio} |")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "speed.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
