"""The verdicts there are: title, reason, and remedies in order of expected effect."""

from __future__ import annotations

from typing import NamedTuple

from aegan.diagnostics.verdicts import Remedy


class Entry(NamedTuple):
    """A verdict's words.

    Attributes:
        title: Shown to the user.
        rank: 0 for causes of everything else, which are told first; 2 for what is rather a consequence.
        why: How it comes about.
        remedies: In order of expected effect.
    """

    title: str
    rank: int
    why: str
    remedies: tuple[Remedy, ...]


STRONGER_PENALTY = Remedy(
    do="Penalise the discriminator's gradient: R1 and R2, three times as strong as now (1 where there is none)",
    paper="arXiv 1801.04406, 2501.05441", role="gamma", factor=3.0, least=1.0,
)  # fmt: skip
LOSS = Remedy(
    do="Use a loss that does not saturate: relativistic, or non-saturating",
    paper="arXiv 2501.05441, 1406.2661", role="loss", value="relativistic",
)  # fmt: skip
LOWER = Remedy(do="Take a third of the learning rate", role="lr", factor=0.3, paper="arXiv 1412.6980")
SLOWER_DISCRIMINATOR = Remedy(
    do="Let the discriminator learn more slowly than the generator",
    paper="arXiv 1706.08500", role="lr_discriminator", factor=0.3,
)  # fmt: skip
RESIDUAL = Remedy(
    do="Use residual blocks and rectifiers in place of deep sigmoid or tanh layers",
    paper="arXiv 1512.03385", role="network", value="residual",
)  # fmt: skip
INIT = Remedy(do="Scale the initial weights by the layer's width (He), gain 1", paper="arXiv 1502.01852")
SPECTRAL = Remedy(
    do="Bound every layer by its spectral norm", paper="arXiv 1802.05957", role="spectral_norm", value="true"
)
CLIP = Remedy(do="Clip the gradient's norm, or clip it layer by layer (AGC)", paper="arXiv 1211.5063, 2102.06171")
AUGMENT = Remedy(
    do="Augment what the discriminator sees, real and fake alike",
    paper="arXiv 2006.10738, 2006.06676", role="augmentation", value="diff",
)  # fmt: skip
PACK = Remedy(
    do="Show the discriminator several samples at once (PacGAN, or minibatch standard deviation)",
    paper="arXiv 1712.04086, 1710.10196", role="stddev", value="true",
)  # fmt: skip
AVERAGE = Remedy(
    do="Average the generator's weights over more samples", paper="arXiv 1806.04498", role="ema_samples", factor=3.0
)
BATCH = Remedy(do="Take a larger batch", paper="arXiv 1809.11096", role="batch_size", factor=2.0)

CATALOGUE: dict[str, Entry] = {
    "healthy": Entry("Healthy", 2, "No statistic stands out. That is no promise that the samples are good.", ()),
    "non-finite": Entry(
        "Not a finite number", 0,
        "A value became NaN or infinite; everything that it touches becomes so too.",
        (
            Remedy(do="Mend the place that is named: a division, root or logarithm of zero, or an overflow"),
            LOWER,
            Remedy(do="Compute in float32"),
            CLIP,
        ),
    ),
    "data-problem": Entry(
        "Data problem", 0,
        "The data are not what the networks are made for; no setting mends that.",
        (
            Remedy(do="Clean the data: drop or fill NaN, drop constant columns and duplicates, scale to the range that "
                      "the generator can reach ([-1, 1], or mean 0 and variance 1)"),
        ),
    ),
    "no-gradient": Entry(
        "No gradient reaches a network", 0,
        "Its weights get no gradient: the graph is cut (detach, no_grad, an argmax), its parameters are frozen, or no "
        "optimiser holds them.",
        (
            Remedy(do="Leave out detach() and no_grad() between network and loss, and call requires_grad_(True)"),
            Remedy(do="Give its parameters to an optimiser, and step it"),
        ),
    ),
    "learning-rate-high": Entry(
        "Learning rate too high", 0,
        "Each step changes weights by so much that it overshoots; what was learnt is lost again.",
        (LOWER, CLIP, Remedy(do="Warm the learning rate up over the first steps", paper="arXiv 1706.02677")),
    ),
    "learning-rate-low": Entry(
        "Learning rate too low", 0,
        "The weights hardly move from where they began.",
        (Remedy(do="Take ten times the learning rate", role="lr", factor=10.0, least=1e-4, paper="arXiv 1412.6980"),),
    ),
    "batchnorm": Entry(
        "Batch normalisation misused", 0,
        "The samples differ between train and eval mode: the running statistics do not fit the batches, because the "
        "batches are too small, the momentum is wrong, or they were never updated.",
        (
            Remedy(do="Use a network without BatchNorm (residual), or GroupNorm", paper="arXiv 2102.06171",
                   role="network", value="residual"),
            Remedy(do="Take a batch of at least 16, and momentum=0.1", role="batch_size", factor=2.0, least=16),
            Remedy(do="Take the statistics anew over the data before sampling", paper="arXiv 2105.07576"),
        ),
    ),
    "exploding-gradients": Entry(
        "Exploding gradients", 1,
        "The signal grows from layer to layer, so steps are set by rounding and chance. (A loss that is summed over "
        "batch or pixels instead of averaged looks the same: take its mean first.)",
        (INIT, LOWER, CLIP, SPECTRAL, STRONGER_PENALTY),
    ),
    "vanishing-gradients": Entry(
        "Vanishing gradients", 1,
        "The gradient shrinks on its way back through the layers, or the loss is flat where it is taken; early layers "
        "do not learn.",
        (RESIDUAL, INIT, LOSS),
    ),
    "dead-units": Entry(
        "Dead units", 1,
        "Rectifiers that are zero for every sample pass no gradient, so they never come back.",
        (
            LOWER,
            Remedy(do="Use a leaky rectifier (slope 0.2)", paper="arXiv 1511.06434"),
            INIT,
        ),
    ),
    "discriminator-strong": Entry(
        "Discriminator too strong", 1,
        "It tells real and fake apart without error, and its verdict then says nothing on which way is better.",
        (
            STRONGER_PENALTY,
            LOSS,
            Remedy(do="Add noise to all that the discriminator sees", paper="arXiv 1610.04490",
                   role="instance_noise", factor=1.0, least=0.1),
            SLOWER_DISCRIMINATOR,
        ),
    ),
    "discriminator-weak": Entry(
        "Discriminator too weak", 1,
        "It cannot tell samples from data that plainly differ, so the generator learns nothing from it.",
        (
            Remedy(do="Take a hundredth of the gradient penalty", paper="arXiv 1801.04406", role="gamma", factor=0.01),
            Remedy(do="Let the discriminator learn faster", paper="arXiv 1706.08500",
                   role="lr_discriminator", factor=4.0, least=1e-4),
            Remedy(do="Give the discriminator more steps, or a wider network"),
        ),
    ),
    "discriminator-overfitting": Entry(
        "Discriminator overfits", 0,
        "It knows the training data by heart: unseen real data look fake to it, and so will good samples.",
        (AUGMENT, STRONGER_PENALTY, Remedy(do="Use more data"), Remedy(do="Use a smaller discriminator, or dropout")),
    ),
    "not-lipschitz": Entry(
        "Discriminator is not Lipschitz", 1,
        "Its logits change far too steeply with its input; the generator is thrown about by them.",
        (
            STRONGER_PENALTY,
            Remedy(do="Penalise the slope between real and fake (WGAN-GP, weight 10)", paper="arXiv 1704.00028"),
            SPECTRAL,
        ),
    ),
    "generator-ill-conditioned": Entry(
        "Generator is ill-conditioned", 2,
        "Some directions of the noise change nothing at all while others change everything.",
        (
            Remedy(do="Clamp the generator's slope to [1, 20]", paper="arXiv 1802.08768",
                   role="jacobian_weight", factor=1.0, least=1.0),
            Remedy(do="Path length penalty", paper="arXiv 1912.04958"),
        ),
    ),
    "mode-collapse": Entry(
        "Mode collapse", 1,
        "The generator serves a part of the data only: the discriminator judges samples one by one and does not see "
        "that they are alike.",
        (STRONGER_PENALTY, LOSS, PACK, Remedy(do="Start from a pretrained decoder (warm-start-gan, latent-gan)")),
    ),
    "cycling": Entry(
        "Cycling, not converging", 2,
        "The samples move about without coming nearer to the data: each side chases the other round.",
        (
            STRONGER_PENALTY,
            LOWER,
            AVERAGE,
            Remedy(do="Take β1 of Adam as 0", paper="arXiv 1801.04406"),
        ),
    ),
    "not-converging": Entry(
        "Not converging", 2,
        "The samples are far from the data and come no nearer, and nothing else that is watched says why.",
        (
            Remedy(do="Train an autoencoder first (latent-gan, warm-start-gan): its codes are where a GAN starts well"),
            Remedy(do="Take larger networks, residual ones, or other learning rates", role="network", value="residual"),
            STRONGER_PENALTY,
        ),
    ),
    "posterior-collapse": Entry(
        "Posterior collapse", 1,
        "The decoder manages without the code, so the code carries nothing.",
        (
            Remedy(do="Take a thirtieth of β", paper="arXiv 1511.06349", role="beta", factor=0.03),
            Remedy(do="Let each dimension keep half a nat (free bits)", paper="arXiv 1606.04934",
                   role="free_bits", factor=1.0, least=0.5),
            Remedy(do="Raise β in cycles", paper="arXiv 1903.10145"),
        ),
    ),
    "codebook-collapse": Entry(
        "Codebook collapse", 1,
        "Few codes are used; the others are never nearest to anything, so they never learn.",
        (
            Remedy(do="Look codes up in few dimensions, normalised", paper="arXiv 2110.04627",
                   role="code_size", factor=0.5),
            Remedy(do="Restart codes that are not used from data", paper="arXiv 2005.00341"),
            Remedy(do="Begin the codebook at encoded data (k-means), and update it by moving averages",
                   paper="arXiv 1711.00937"),
        ),
    ),
    "imbalance": Entry(
        "Reconstruction and adversary out of balance", 1,
        "At the layer that both reach, one gradient drowns the other.",
        (
            Remedy(do="Weight the adversary by ‖∇rec‖/‖∇adv‖ at the last layer", paper="arXiv 2012.09841"),
            Remedy(do="Change the weight of the reconstruction", role="anchor", factor=0.3),
        ),
    ),
    "memorisation": Entry(
        "Training data are copied", 1,
        "Samples lie nearer to training samples than unseen real data do.",
        (Remedy(do="Use more data"), AUGMENT, Remedy(do="Train for a shorter time")),
    ),
}  # fmt: skip
"""Every verdict by name."""
