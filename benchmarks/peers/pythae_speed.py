"""How many pictures a second pythae's own trainer trains on, for one of its networks; see README.md beside this file.

    python pythae_speed.py --data DIR --network conv --batch 100 --seconds 30

Network, loss, optimiser, loader and loop are pythae 0.1.2's. The first steps, in which memory is taken, are not timed.
One JSON line on stdout; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from pythae_images import OutOfBudgetError, read_idx, to_unit  # sets the environment for torch first

import torch  # isort: skip
from pythae.models import AE, AEConfig
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_AE_MNIST
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

WARM_UP = 3
REPEATED = 5


class Timer(TrainingCallback):
    """Times the steps after the first ones and leaves the loop when the seconds are over."""

    def __init__(self, seconds: float) -> None:
        """See the class."""
        self.seconds, self.steps, self.took, self.began = seconds, 0, 0.0, 0.0
        self.cpu, self.began_cpu = 0.0, 0.0

    def on_train_step_end(self, training_config, **kwargs) -> None:
        """Called by pythae after every batch."""
        self.steps += 1
        if self.steps == WARM_UP:
            self.began, self.began_cpu = time.perf_counter(), time.process_time()
        elif self.steps > WARM_UP:
            self.took = time.perf_counter() - self.began
            self.cpu = time.process_time() - self.began_cpu
            if self.took >= self.seconds:
                raise OutOfBudgetError


def main() -> None:
    """Train, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", choices=("conv", "mlp"), required=True)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    x = to_unit(read_idx(options.data / "train-images-idx3-ubyte.gz"))
    config = AEConfig(input_dim=(1, 28, 28), latent_dim=16)
    networks = {}  # without any, pythae takes its multilayer perceptron
    if options.network == "conv":
        networks = {"encoder": Encoder_Conv_AE_MNIST(config), "decoder": Decoder_Conv_AE_MNIST(config)}
    model = AE(model_config=config, **networks)
    timer = Timer(options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=options.batch,
            num_epochs=1_000_000,
            steps_saving=None,
            steps_predict=None,
            no_cuda=True,
        )
        try:
            TrainingPipeline(model=model, training_config=training)(train_data=x, callbacks=[timer])
        except OutOfBudgetError:
            pass
    steps = timer.steps - WARM_UP
    pictures = steps * options.batch
    told = {"steps": steps, "seconds": timer.took, "rate": pictures / timer.took, "cpu_rate": pictures / timer.cpu}
    model.eval()
    batch = torch.as_tensor(x[: options.batch])
    with torch.no_grad():
        z = model.encoder(batch)["embedding"]
        for name, work, given in (("encode", model.encoder, batch), ("decode", model.decoder, z)):
            work(given)
            began = time.process_time()
            for _ in range(REPEATED):
                work(given)
            told[name] = REPEATED * len(batch) / (time.process_time() - began)
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps(told))


if __name__ == "__main__":
    sys.exit(main())
