"""The sections of the settings: cutouts, latent, optimiser, guidance. See `config`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gouache.settings.codec import Losses, Names
from gouache.settings.schedule import Number

AUGMENTATIONS = ("flip", "affine", "perspective", "color", "erasing", "noise")


def setting(default: Any, help: str, **meta: Any) -> Any:
    return field(default=default, metadata={"help": help, **meta})


@dataclass(frozen=True)
class CutoutConfig:
    """How cutouts are taken from the picture (paper, appendix G.2)."""

    num_cutouts: int = setting(12, "cutouts per step", low=1, high=1024)
    whole_share: Number = setting(
        0.75, "share of cutouts that show the whole picture (at least one does)", low=0.0, high=1.0
    )
    cut_pow: Number = setting(
        0.6, "cutout side is U^cut_pow between the smallest and the largest", above=0.0, high=100.0
    )
    cut_min: Number = setting(
        0.7, "smallest cutout side, as a share of the picture's short side", above=0.0, high=1.0
    )
    cut_size: int = setting(
        224,
        "side in pixels at which guides that can see any size (photo) see cutouts; 0: their own",
        low=0,
        high=1024,
    )
    augment: tuple[str, ...] = setting(
        AUGMENTATIONS,
        "augmentations, comma-separated, or none",
        choices=AUGMENTATIONS,
        codec=Names(),
    )
    flip_probability: Number = setting(0.5, "share of mirrored cutouts", low=0.0, high=1.0)
    affine_degrees: Number = setting(12.0, "largest rotation in degrees", low=0.0, high=180.0)
    affine_translate: Number = setting(
        0.08, "largest shift, as a share of the cutout", low=0.0, high=1.0
    )
    affine_shear: Number = setting(5.0, "largest shear in degrees", low=0.0, high=60.0)
    affine_probability: Number = setting(0.8, "share of cutouts bent so", low=0.0, high=1.0)
    perspective_scale: Number = setting(
        0.2, "range of the corners' movement, as a share of half the side", low=0.0, high=0.9
    )
    perspective_probability: Number = setting(0.5, "share of cutouts bent so", low=0.0, high=1.0)
    color_strength: Number = setting(
        0.08, "brightness, contrast and saturation change by up to this factor", low=0.0, high=1.0
    )
    color_probability: Number = setting(0.7, "share of recoloured cutouts", low=0.0, high=1.0)
    erase_scale: Number = setting(
        0.2, "largest erased area, as a share of the cutout", low=0.0, high=0.9
    )
    erase_probability: Number = setting(
        0.2, "share of cutouts with a rectangle erased", low=0.0, high=1.0
    )
    noise_strength: Number = setting(
        0.06, "noise is U(0, this) * N(0,1), per cutout", low=0.0, high=2.0
    )


@dataclass(frozen=True)
class LatentConfig:
    """What is optimised, and what keeps it near the codes (paper, section 2.4 and G.1)."""

    latent: str = setting(
        "multiscale",
        "latent parameterisation: quantized, continuous, multiscale or codebook-sampling",
    )
    start: str = setting(
        "prior",
        "what the picture starts from when there is no init image",
        choices=("random", "pixels", "gradient", "fractal", "prior"),
    )
    start_tries: int = setting(
        3, "starts to try; the one that the perceptor likes best is painted", low=1, high=64
    )
    start_choice: int = setting(
        0, "which of them is painted: 0 is the one liked best, or its number", low=0, high=64
    )
    start_judge: str = setting(
        "off",
        "perceptor that guides nothing and helps to choose among the tries: its opinion of the "
        "words counts twice; off: the guides choose alone",
    )
    start_steps: int = setting(
        30, "steps that each try is painted before the choice", low=0, high=10_000
    )
    start_scale: float = setting(
        0.5, "size of the tries, as a share of the picture's", low=0.05, high=1.0
    )
    init_disturb: float = setting(
        0.0,
        "how much the init image is disturbed, by the seed: 0 keeps it, 1 is noise alone",
        low=0.0,
        high=1.0,
    )
    latent_rule: str = setting(
        "decay",
        "how the pull on the latent is lowered: decay (exponential, to zero), stepwise (to the "
        "init latent, by latent_drop every latent_drop_every steps), off",
        choices=("decay", "stepwise", "off"),
    )
    latent_weight: Number = setting(
        0.1,
        "weight of the pull on the latent (none with codebook-sampling); a schedule is taken as it "
        "is, without latent_decay and latent_drop",
        low=0.0,
        high=1000.0,
    )
    latent_decay: float = setting(
        0.005, "relative decrease of that weight per step (decay)", low=0.0, high=1.0
    )
    latent_drop: float = setting(
        0.3, "decrease of that weight per drop (stepwise)", low=0.0, high=1000.0
    )
    latent_drop_every: int = setting(
        50, "steps between drops (stepwise); the optimiser starts anew at each", low=1, high=100_000
    )
    latent_average: float = setting(
        0.0,
        "decay of the moving average that the final picture is decoded from; 0 is off",
        low=0.0,
        high=0.9999,
    )
    sampling_noise: str = setting(
        "multinomial",
        "how codebook sampling draws: multinomial (gradient to the probabilities) or gumbel "
        "(gradient to the noisy ones)",
        choices=("multinomial", "gumbel"),
    )
    sampling_temperature: float = setting(
        1.0, "temperature of codebook sampling at the first step", above=0.0, high=100.0
    )
    sampling_temperature_final: float = setting(
        0.2, "temperature of codebook sampling at the last step", above=0.0, high=100.0
    )
    sampling_spread: float = setting(
        4.0,
        "standard deviation of codebook sampling's first logits; more keeps more of the start",
        above=0.0,
        high=100.0,
    )


@dataclass(frozen=True)
class OptimizerConfig:
    """How the latent is updated."""

    optimizer: str = setting("Adam", "name of an optimiser of torch.optim")
    learning_rate: Number = setting(
        0.3,
        "learning rate; a schedule is taken as it is, without lr_schedule, lr_warmup and lr_final",
        above=0.0,
        high=100.0,
    )
    lr_schedule: str = setting(
        "cosine", "learning rate over the run", choices=("constant", "cosine", "linear")
    )
    lr_warmup: int = setting(5, "steps until the learning rate is reached", low=0, high=100_000)
    lr_final: float = setting(
        0.1, "learning rate at the end, as a share of the first", low=0.0, high=1.0
    )
    clip_grad: Number = setting(
        0.0, "largest norm of the gradient per picture; 0 is off", low=0.0, high=1e9
    )


@dataclass(frozen=True)
class GuidanceConfig:
    """What the perceptor is asked."""

    combine: str = setting(
        "loss",
        "how several prompts are added: loss (one loss each) or embedding (one loss, towards the "
        "weighted mean of their directions)",
        choices=("loss", "embedding"),
    )
    layout: str = setting(
        "auto",
        "two things in one prompt ('a cat and a dog', 'the sun above a house'): auto asks for each "
        "in its half of the picture, off takes the words as a whole",
        choices=("auto", "off"),
    )
    contrast_weight: Number = setting(
        0.5, "weight of the contrast against the perceptor's bank of captions", low=0.0, high=1000.0
    )
    contrast_scale: Number = setting(
        20.0, "inverse temperature of that contrast", above=0.0, high=1000.0
    )
    templates: bool = setting(True, "average each prompt over phrases such as 'a picture of {}'")
    tv_weight: Number = setting(
        0.0,
        "weight of the total variation: the more, the calmer are grounds, and the paler colours",
        low=0.0,
        high=1000.0,
    )
    prior_weight: Number = setting(
        0.0,
        "weight of how unlikely the picture is by the prior, given the words; 0 is off",
        low=0.0,
        high=1000.0,
    )
    style_weight: Number = setting(
        30.0,
        "how near a picture stays to its beginning in the style that the words name ('a mosaic of "
        "a fish'); 0 leaves styles to the guides",
        low=0.0,
        high=1000.0,
    )
    style_share: float = setting(
        0.35,
        "share of the steps that a picture is painted before it is drawn in that style",
        low=0.0,
        high=1.0,
    )
    losses: tuple[str, ...] = setting(
        (),
        "more losses, NAME or NAME:WEIGHT: tv, or those of installed packages",
        option="loss",
        parts=":",
        codec=Losses(),
    )

    @property
    def lays_out(self) -> bool:
        """Whether two things get their halves; what is added up to one wish has no places."""
        return self.layout == "auto" and self.combine == "loss"
