"""Train one pythae model on Fashion-MNIST (or MNIST) under a clock, then sample from it.

Runs inside pythae's own environment (see README.md beside this file) and imports
nothing of aegan. Networks, losses, trainers and samplers are pythae 0.1.2's; this
file only feeds the data, stops the clock and writes the pictures down:

    python pythae_images.py --data DIR --model ae --budget 600 --clock wall \
        --num 10000 --seed 0 --out ae.npz

The archive holds uint8 pictures of shape (N, 28, 28): `x_gmm` (10-component Gaussian
mixture on the codes, every model), `x_normal` (standard normal prior: vae, aae,
vaegan) and `x_rec` (reconstructions of the 10,000 test pictures, in their order).
One JSON line on stdout says what was done; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.metadata
import json
import logging
import os
import struct
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

# Both sides of the benchmark run on the CPU; pythae's samplers take a GPU by
# themselves where they see one. Progress bars cost the peer time and are not wanted.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from pythae.models import (  # noqa: E402
    AE,
    RAE_L2,
    VAE,
    VAEGAN,
    Adversarial_AE,
    Adversarial_AE_Config,
    AEConfig,
    RAE_L2_Config,
    VAEConfig,
    VAEGANConfig,
)
from pythae.models.nn.benchmarks.mnist import (  # noqa: E402
    Decoder_Conv_AE_MNIST,
    Discriminator_Conv_MNIST,
    Encoder_Conv_AE_MNIST,
    Encoder_Conv_VAE_MNIST,
)
from pythae.pipelines import TrainingPipeline  # noqa: E402
from pythae.samplers import (  # noqa: E402
    GaussianMixtureSampler,
    GaussianMixtureSamplerConfig,
    NormalSampler,
)
from pythae.trainers import (  # noqa: E402
    AdversarialTrainerConfig,
    BaseTrainerConfig,
    CoupledOptimizerAdversarialTrainerConfig,
    CoupledOptimizerTrainerConfig,
)
from pythae.trainers.training_callbacks import TrainingCallback  # noqa: E402

LATENT_DIM = 16
BATCH_SIZE = 100
SHAPE = (1, 28, 28)

# Per model: model class, its config class and settings, encoder, the trainer config
# its pipeline demands, the names of that config's learning rates and the rate.
# Where each number comes from is in README.md. `learning_rate` alone would not do: in
# pythae 0.1.2 the trainers with several optimisers ignore it.
MODELS = {
    "ae": (AE, AEConfig, {}, Encoder_Conv_AE_MNIST, BaseTrainerConfig, ["learning_rate"], 1e-3),
    "vae": (
        VAE,
        VAEConfig,
        {"reconstruction_loss": "mse"},
        Encoder_Conv_VAE_MNIST,
        BaseTrainerConfig,
        ["learning_rate"],
        1e-3,
    ),
    "rae": (
        RAE_L2,
        RAE_L2_Config,
        {"embedding_weight": 1e-2, "reg_weight": 1e-4},
        Encoder_Conv_AE_MNIST,
        CoupledOptimizerTrainerConfig,
        ["encoder_learning_rate", "decoder_learning_rate"],
        1e-3,
    ),
    "aae": (
        Adversarial_AE,
        Adversarial_AE_Config,
        {"reconstruction_loss": "mse", "adversarial_loss_scale": 0.9},
        Encoder_Conv_VAE_MNIST,
        AdversarialTrainerConfig,
        ["autoencoder_learning_rate", "discriminator_learning_rate"],
        1e-4,
    ),
    "vaegan": (
        VAEGAN,
        VAEGANConfig,
        {
            "reconstruction_loss": "mse",
            "adversarial_loss_scale": 0.8,
            "reconstruction_layer": 3,
            "margin": 0.4,
            "equilibrium": 0.68,
        },
        Encoder_Conv_VAE_MNIST,
        CoupledOptimizerAdversarialTrainerConfig,
        ["encoder_learning_rate", "decoder_learning_rate", "discriminator_learning_rate"],
        1e-4,
    ),
}
HAS_PRIOR = {"vae", "aae", "vaegan"}


class OutOfBudgetError(Exception):
    """Raised inside the training loop to leave it; never escapes `train`."""


class Stopwatch(TrainingCallback):
    """Stops training after the first optimiser step that ends past the budget.

    pythae's callbacks cannot ask the trainer to stop (their return values are
    dropped), so an exception carries the message out. The clock starts at
    `on_train_begin`: reading data, building networks and optimisers are free.

    Args:
        budget: Seconds of training.
        clock: `wall`, or `cpu`: process CPU seconds divided by `threads`, which goes on
            slowly while other programs hold the cores.
        threads: torch's intra-op threads.
        num_train: Size of the training set, to count pictures exactly.
    """

    def __init__(self, budget: float, clock: str, threads: int, num_train: int) -> None:
        """See the class."""
        self.budget, self.clock, self.threads, self.num_train = budget, clock, threads, num_train
        self.epochs_begun = self.steps = self.steps_in_epoch = 0
        self.wall = self.cpu = 0.0

    @property
    def images_seen(self) -> int:
        """Training pictures that went into an optimiser step, repeats counted."""
        whole = max(self.epochs_begun - 1, 0) * self.num_train
        return whole + min(self.steps_in_epoch * BATCH_SIZE, self.num_train)

    @property
    def elapsed(self) -> float:
        """Training seconds on the clock that the budget is counted on."""
        return self.wall if self.clock == "wall" else self.cpu / self.threads

    def on_train_begin(self, training_config, **kwargs) -> None:
        """Start both clocks."""
        self.wall_start, self.cpu_start = time.perf_counter(), time.process_time()

    def on_epoch_begin(self, training_config, **kwargs) -> None:
        """Count the epoch."""
        self.epochs_begun, self.steps_in_epoch = self.epochs_begun + 1, 0

    def on_train_step_end(self, training_config, **kwargs) -> None:
        """Count the batch, leave the loop when time is up (pythae calls this per batch)."""
        self.steps, self.steps_in_epoch = self.steps + 1, self.steps_in_epoch + 1
        self.wall = time.perf_counter() - self.wall_start
        self.cpu = time.process_time() - self.cpu_start
        if self.elapsed >= self.budget:
            raise OutOfBudgetError


def read_idx(path: Path) -> np.ndarray:
    """The pictures of a gzipped IDX file, uint8 of shape (N, 28, 28)."""
    if not path.is_file():
        sys.exit(f"{path}: no such file. --data must name a folder with {path.name}")
    with gzip.open(path, "rb") as file:
        magic, count, height, width = struct.unpack(">IIII", file.read(16))
        if (magic, height, width) != (2051, 28, 28):
            sys.exit(
                f"{path}: got magic number {magic} and pictures of {height}x{width}, "
                "expected 2051 and 28x28 (an IDX file of MNIST's form)"
            )
        return np.frombuffer(file.read(), np.uint8).reshape(count, height, width)


def to_unit(pictures: np.ndarray) -> torch.Tensor:
    """(N, 28, 28) uint8 to what pythae is fed: (N, 1, 28, 28) float32 in [0, 1]."""
    return torch.from_numpy(pictures.copy()).unsqueeze(1).float() / 255.0


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """(N, 1, 28, 28) in [0, 1] to (N, 28, 28) uint8, rounded (pythae's PNGs truncate)."""
    return (x.squeeze(1).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def build(name: str, lr: float | None, seed: int, output_dir: str):
    """The pythae model, its trainer config and a record of both."""
    model_class, config_class, kwargs, encoder, trainer_class, rates, default_lr = MODELS[name]
    lr = default_lr if lr is None else lr
    torch.manual_seed(seed)
    np.random.seed(seed)  # scikit-learn's mixture draws from numpy's global generator
    config = config_class(input_dim=SHAPE, latent_dim=LATENT_DIM, **kwargs)
    networks = {"encoder": encoder(config), "decoder": Decoder_Conv_AE_MNIST(config)}
    if name == "vaegan":
        networks["discriminator"] = Discriminator_Conv_MNIST(config)
    model = model_class(model_config=config, **networks)
    training_config = trainer_class(
        output_dir=output_dir,
        per_device_train_batch_size=BATCH_SIZE,
        num_epochs=1_000_000,  # the clock ends training, not this
        steps_saving=None,
        steps_predict=None,
        no_cuda=True,
        seed=seed,
        **dict.fromkeys(rates, lr),
    )
    settings = {
        "latent_dim": LATENT_DIM,
        "batch_size": BATCH_SIZE,
        "optimizer": "Adam",
        "lr": lr,
        "scheduler": None,
        **kwargs,
        "encoder": encoder.__name__,
        "decoder": Decoder_Conv_AE_MNIST.__name__,
        "discriminator": type(model.discriminator).__name__ if hasattr(model, "discriminator") else None,
        "trainer_config": trainer_class.__name__,
        "gmm_components": 10,
    }
    return model, training_config, settings


def train(model, training_config, x_train: torch.Tensor, stopwatch: Stopwatch) -> None:
    """Run pythae's pipeline (which picks its own trainer) until the stopwatch says stop.

    No evaluation data: all of the budget goes into training. What is left in `model`
    are its current weights; pythae would keep the epoch with the best training loss.
    """
    pipeline = TrainingPipeline(model=model, training_config=training_config)
    try:
        pipeline(train_data=x_train, callbacks=[stopwatch])
    except OutOfBudgetError:
        pass
    model.eval()
    broken = [key for key, value in model.state_dict().items() if not value.isfinite().all()]
    if broken:
        sys.exit(f"training {model.model_name} left non-finite weights in {', '.join(broken)}")


class Codes:
    """Stands in for the model while pythae's mixture sampler collects the codes.

    The sampler reads only `.z` of the model's full forward pass and throws the decoding
    and VAE-GAN's discriminator passes away: three quarters of the work, nine tenths for
    VAE-GAN. This draws the same codes bit for bit: the embedding, or one draw of the
    posterior where there is one.
    """

    def __init__(self, model) -> None:
        """Wrap `model`, a pythae autoencoder in eval mode."""
        self.model = model

    def __call__(self, inputs) -> SimpleNamespace:
        """The codes `z` of a batch, a mapping with pictures under `data`."""
        out = self.model.encoder(inputs["data"])
        if "log_covariance" not in out:
            return SimpleNamespace(z=out.embedding)
        std = torch.exp(0.5 * out.log_covariance)
        return SimpleNamespace(z=out.embedding + torch.randn_like(std) * std)


@torch.no_grad()
def sample(name: str, model, x_train: torch.Tensor, num: int) -> dict[str, np.ndarray]:
    """`num` pictures from each of the samplers that fit the model."""
    pictures = {}
    if name in HAS_PRIOR:
        pictures["x_normal"] = to_uint8(NormalSampler(model=model).sample(num_samples=num))
    mixture = GaussianMixtureSampler(model=model, sampler_config=GaussianMixtureSamplerConfig(n_components=10))
    mixture.model = Codes(model)
    mixture.fit(x_train)
    mixture.model = model
    pictures["x_gmm"] = to_uint8(mixture.sample(num_samples=num))
    return pictures


@torch.no_grad()
def reconstruct(model, x: torch.Tensor) -> torch.Tensor:
    """Decoded posterior means (`predict`; `reconstruct` would add posterior noise)."""
    return torch.cat([model.predict(batch).recon_x for batch in x.split(500)])


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the IDX .gz files")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--budget", type=float, default=600, help="seconds of training")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--num", type=int, default=10_000, help="pictures to sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=float, help="instead of the model's documented rate")
    parser.add_argument("--threads", type=int, help="torch threads (default: torch's own choice)")
    parser.add_argument("--gmm-images", type=int, help="fit the mixture on the first so many (default: all)")
    parser.add_argument("--test-images", type=int, help="reconstruct the first so many (default: all)")
    parser.add_argument("--out", type=Path, required=True, help=".npz to write")
    args = parser.parse_args(argv)
    if args.budget <= 0 or args.num < 1:
        parser.error(f"--budget and --num must be positive, got {args.budget} and {args.num}")
    if args.out.suffix != ".npz":
        parser.error(f"--out must end in .npz, got {args.out}")
    return args


def main(argv: list[str] | None = None) -> None:
    """Train, reconstruct, sample, write the archive and print the record."""
    args = parse(argv)
    logging.disable(logging.INFO)  # pythae's loggers print every setting and epoch
    if args.threads:
        torch.set_num_threads(args.threads)
    threads = torch.get_num_threads()
    x_train = to_unit(read_idx(args.data / "train-images-idx3-ubyte.gz"))
    x_test = to_unit(read_idx(args.data / "t10k-images-idx3-ubyte.gz"))[: args.test_images]

    stopwatch = Stopwatch(args.budget, args.clock, threads, len(x_train))
    with tempfile.TemporaryDirectory() as folder:  # pythae insists on making one
        model, training_config, settings = build(args.model, args.lr, args.seed, folder)
        train(model, training_config, x_train, stopwatch)

    start = time.perf_counter()
    x_rec = reconstruct(model, x_test)
    pictures = sample(args.model, model, x_train[: args.gmm_images], args.num)
    sampling_seconds = time.perf_counter() - start
    pictures["x_rec"] = to_uint8(x_rec)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **pictures)

    parts = ("encoder", "decoder", "discriminator")
    record = {
        "model": f"pythae-{args.model}",
        "clock": args.clock,
        "budget": args.budget,
        "seconds_wall": round(stopwatch.wall, 2),
        "seconds_cpu": round(stopwatch.cpu, 2),
        "images_seen": stopwatch.images_seen,
        "steps": stopwatch.steps,
        "epochs": round(stopwatch.images_seen / len(x_train), 3),
        "train_images_per_second": round(stopwatch.images_seen / stopwatch.elapsed, 1),
        "parameters": sum(p.numel() for p in model.parameters()),
        "parameters_of": {
            part: sum(p.numel() for p in getattr(model, part).parameters()) for part in parts if hasattr(model, part)
        },
        "reconstruction_mse": ((x_rec - x_test) ** 2).mean().item(),
        "sampling_seconds_wall": round(sampling_seconds, 2),
        "torch_threads": threads,
        "torch_version": torch.__version__,
        "pythae_version": importlib.metadata.version("pythae"),
        "seed": args.seed,
        "settings": settings,
        "arrays": {key: list(value.shape) for key, value in pictures.items()},
        "out": str(args.out),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
