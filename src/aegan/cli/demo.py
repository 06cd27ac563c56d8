"""``aegan demo``: from real handwritten digits to samples and a report, without network or arguments."""

from __future__ import annotations

from pathlib import Path


def run(out: Path, *, budget: str, seed: int, overwrite: bool) -> None:
    """Train on scikit-learn's digits and print what was made and what to try next."""
    import numpy as np
    from sklearn.datasets import load_digits

    from aegan import api
    from aegan.cli.summary import print_summary
    from aegan.data import write_images

    pixels, labels = load_digits(return_X_y=True)
    # The digits come as 0..16; images are bytes.
    images = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    print(f"aegan demo: {len(images):,} real handwritten digits of 8x8 pixels, in 10 classes (scikit-learn).")
    print(f"Training for {budget}, then judging the result. Ctrl-C stops cleanly.")
    estimator = api.fit((images, labels), out=out, budget=budget, seed=seed, overwrite=overwrite, quiet=False)
    samples, y = estimator.sample_tensors(100, seed=seed)
    write_images(
        samples, out / "samples" / "demo.npz", labels=y, classes=estimator.adapter.spec.classes, overwrite=True
    )
    print_summary(estimator, demo=True)
