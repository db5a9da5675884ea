"""The contracts between the parts. Components import this module and never one another.

Generators and perceptors are frozen: once they are loaded (and, where they can be, prepared) nobody
changes them, so that runs share them, in several threads too. `Generator` and `Perceptor` are what
every one has; what only some can are small contracts of their own, asked for by `isinstance`.

Tensors: `image` is (B,3,H,W) in [0,1], RGB. `latent` is (B,code_dim,H/f,W/f). Embeddings are unit
vectors (N,D). B is the number of pictures painted together; N cutouts per picture are stacked
cutout-major: rows [k*B + b] hold cutout k of picture b, i.e. `x.view(N, B, ...)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor


class Network(Protocol):
    """What is known of every frozen network."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """sha256 of the weights, hexadecimal."""
        ...

    @property
    def device(self) -> torch.device:
        """Where its inputs have to be, and what it makes of them is; of the generator: where the
        whole run is."""
        ...


@runtime_checkable
class Generator(Network, Protocol):
    """A frozen picture generator. One with a codebook also keeps `CodebookGenerator`."""

    @property
    def downsampling(self) -> int:
        """f: one latent cell covers f x f pixels."""
        ...

    @property
    def code_dim(self) -> int:
        """Channels of a latent."""
        ...

    @property
    def native_size(self) -> int:
        """Side in pixels that the weights were trained for."""
        ...

    @property
    def codebook(self) -> Tensor | None:
        """(codebook_size, code_dim), float32; None where any latent may be decoded as it is."""
        ...

    def encode(self, image: Tensor, /) -> Tensor:
        """(B,3,H,W) in [0,1] -> latent before quantisation (B,code_dim,H/f,W/f). Deterministic."""
        ...

    def decode(self, latent: Tensor, /) -> Tensor:
        """Latent (of a codebook its codes) -> image (B,3,H,W), nominally in [0,1] but not clamped.
        Differentiable."""
        ...


class CodebookGenerator(Generator, Protocol):
    """A generator that was trained to decode the codes of its codebook; see `with_codebook`."""

    @property
    def codebook(self) -> Tensor:
        """(codebook_size, code_dim), float32."""
        ...

    @property
    def code_prior(self) -> Tensor:
        """(codebook_size,) probabilities: how often each code occurs in real pictures."""
        ...

    def quantize(self, latent: Tensor, /) -> tuple[Tensor, Tensor]:
        """Latent -> nearest codes (B,code_dim,h,w) and their indices (B,h,w). No gradient."""
        ...


def with_codebook(generator: Generator) -> CodebookGenerator | None:
    """The generator as one with a codebook; None where it has none."""
    return None if generator.codebook is None else cast("CodebookGenerator", generator)


@runtime_checkable
class Checkpointed(Protocol):
    """What a generator may have besides: decoding that keeps little for going back."""

    def decode_checkpointed(self, latent: Tensor, /) -> Tensor:
        """As `decode`, picture and gradient; activations are computed again in the backward
        pass (Chen et al. 2016, arXiv 1604.06174)."""
        ...


@runtime_checkable
class Tiled(Protocol):
    """What a generator may have besides: decoding of pictures beyond memory."""

    def decode_tiled(self, latent: Tensor, /) -> Tensor:
        """As `decode`, piece by piece: the picture up to rounding, its gradient nearly."""
        ...


DRAWN = 4
"""Times a side of its picture that `Drawable` draws."""


@runtime_checkable
class Drawable(Generator, Protocol):
    """What a generator may have besides: a second decoder, which draws its codes larger.

    That network is loaded where a picture is finished so, once for all runs.
    """

    @property
    def drawing(self) -> str:
        """sha256 of that decoder's weights, hexadecimal; "" where there is none for this one."""
        ...

    def load_drawing(self) -> object:
        """That decoder, frozen, on `device`. Asked for only where `drawing` is not empty."""
        ...

    def draw(self, network: Any, latent: Tensor, /) -> Tensor:
        """What `load_drawing` gave, and codes as `decode` takes them (1,code_dim,h,w) -> picture
        (1,3,DRAWN*h*f,DRAWN*w*f) in [0,1], float32; piece by piece where it is large."""
        ...


@runtime_checkable
class Preparable(Protocol):
    """What a generator or a perceptor may have besides: weights made ready for painting."""

    def prepare(self, dtype: torch.dtype, /) -> None:
        """Keeps what painting multiplies with in `dtype`, in place. Called once, by whoever loads
        it and before anybody else has it; texts and `encode` go on in full precision."""
        ...


@runtime_checkable
class Perceptor(Network, Protocol):
    """A frozen joint text-image encoder that owns its preprocessing."""

    @property
    def image_size(self) -> int:
        """Side of the square pictures it sees."""
        ...

    @property
    def embed_dim(self) -> int: ...

    @property
    def bank(self) -> Tensor | None:
        """(K,D) unit embeddings of other captions for the contrast loss, or None."""
        ...

    def embed_image(self, image: Tensor) -> Tensor:
        """(N,3,S,S) in [0,1], on `device` -> (N,D) unit vectors, float32. Differentiable."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (len(texts),D) unit vectors, float32. Warns when a text is truncated."""
        ...


class FinishStep(Protocol):
    """One thing that is done to a finished picture; the same picture gives the same result."""

    def __call__(self, picture: Image, codes: Tensor | None) -> Image:
        """`codes` (1,code_dim,h,w) are what the generator decodes to the painted picture; None for
        a picture on the way, of which they are not known."""
        ...

    def record(self) -> dict[str, Any]:
        """Its `name`, and what else decides it, as JSON."""
        ...


@runtime_checkable
class SelfAware(Protocol):
    """What a perceptor may have besides: it knows what it does not know, and how much it must see.

    One without these is taken at its word, and sees every cutout.
    """

    @property
    def most_cutouts(self) -> int:
        """It is shown at most so many cutouts of a picture in a step."""
        ...

    def confidence(self, texts: Sequence[str]) -> Tensor:
        """How much it knows of each text: (len(texts),) in [0,1], float32. Its weight for a prompt
        is multiplied by this: of what it does not know at all it keeps silent."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """What a perceptor may have besides: it can see pictures of another size than its own."""

    def at(self, side: int) -> Perceptor:
        """The same network, whose `image_size` is `side` pixels; what it is shown in a step costs
        about the same."""
        ...


@runtime_checkable
class WordAware(Protocol):
    """What a perceptor may have besides: it knows which words it does not know."""

    def unknown_words(self, text: str) -> list[str]:
        """Those of a text, as they were written and in their order. Without it all are known."""
        ...


@runtime_checkable
class Classifying(Protocol):
    """What a perceptor may have besides: a closed list of all that it tells apart."""

    @property
    def kinds(self) -> Tensor:
        """(K,D) unit embeddings, on `device`. A phrase means one of them or several: it lies among
        those that it means, as far from the others as they are from one another."""
        ...


def lacking(model: object, contract: type) -> list[str]:
    """What a model does not have of what its contract asks for, in alphabetical order."""
    return [name for name in dir(contract) if name[0] != "_" and not hasattr(model, name)]


class Latent(Protocol):
    """What is optimised. Every parameterisation keeps this contract."""

    def parameters(self) -> Iterator[Tensor]:
        """The leaf tensors that the optimiser updates."""
        ...

    def draw(self, rngs: Sequence[torch.Generator], progress: float) -> None:
        """Called before each step: takes what chance that step needs, picture b's from `rngs[b]`.

        `progress` is the share of the run that is done, in [0,1). Nothing drawn is part of the
        state: a step that is done again draws the same again.
        """
        ...

    def __call__(self) -> Tensor:
        """What goes to `Generator.decode`, (B,code_dim,h,w), with gradient to the parameters."""
        ...

    def unrounded(self) -> Tensor:
        """The latent before quantisation, (B,code_dim,h,w), with gradient, for regularisers."""
        ...

    def after_step(self) -> None:
        """Called after each optimiser step: clamps to the codebook's bounds, updates averages."""
        ...

    def final(self) -> Tensor:
        """What the finished picture is decoded from (the moving average where one is kept)."""
        ...

    def set_latent(self, latent: Tensor, changed: Tensor | None = None) -> None:
        """Replaces the latent, or only the cells where `changed` (B,1,h,w) is true."""
        ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class SourceViews:
    """What a step's cutouts show of the picture that is edited; no gradient."""

    embeddings: Tensor  # (N,B,D) unit vectors of the same cutouts of the source
    inside: Tensor  # (N,B) in [0,1], the share of each cutout that may be repainted


@dataclass(frozen=True)
class LossContext:
    """What a loss may look at in one step."""

    image: Tensor  # (B,3,H,W), as decoded, clamped with gradient
    latent: Tensor  # (B,code_dim,h,w), before quantisation
    cutouts: Tensor  # (N*B,3,S,S)
    embeddings: Tensor  # (N,B,D) unit vectors
    step: int  # of the whole run
    num_steps: int
    source: SourceViews | None = None  # in edits only
    # (L,N,B): how much each cutout counts for each place of the stage, 1 in the mean; the first is
    # everywhere. None where no prompt has a place.
    places: Tensor | None = None


class Loss(Protocol):
    """A named term: returns one value per picture, (B,), weight included."""

    @property
    def name(self) -> str: ...

    def __call__(self, context: LossContext) -> Tensor: ...


@runtime_checkable
class Scoped(Protocol):
    """What a loss may have besides: it says what it looks at, which saves memory."""

    @property
    def scope(self) -> Literal["picture", "cutouts", "everything"]:
        """Picture: the image and the latent only; cutouts: a mean over cutouts of something that
        each cutout's embedding (and its view of the source) decides by itself. Without it, and for
        everything, all is there at once."""
        ...


@runtime_checkable
class OfSome(Protocol):
    """What a loss may have besides: it is about some pictures of the batch."""

    @property
    def pictures(self) -> Tensor | None:
        """Their indices (P,), None for all; the value of all others is 0."""
        ...


@runtime_checkable
class Pulled(Protocol):
    """What the builder of a latent may have besides; without it its latents can be pulled."""

    @property
    def can_be_pulled(self) -> bool:
        """Whether a pull on `Latent.unrounded` (VQGAN-CLIP, section 2.4) means something there."""
        ...


@dataclass(frozen=True)
class Step:
    """One finished step: the picture that was scored (not decoded again) and its losses."""

    index: int  # 0-based, of the whole run
    num_steps: int
    stage: int
    image: Tensor = field(repr=False)  # (B,3,H,W) in [0,1], detached
    losses: Mapping[str, Tensor]  # name -> (B,), detached; reading them synchronises the device

    @property
    def total(self) -> Tensor:
        """Sum of all losses per picture, (B,)."""
        import torch

        return torch.stack(list(self.losses.values())).sum(0)

    def to_pil(self) -> list[Any]:
        """The pictures as PIL images, one per picture of the batch."""
        from gouache.ops.images import to_pil

        return [to_pil(picture) for picture in self.image]

    def _repr_png_(self) -> bytes:
        from gouache.ops.images import encode

        return encode(self.to_pil()[0])


__all__ = [
    "DRAWN",
    "Checkpointed",
    "Classifying",
    "CodebookGenerator",
    "Drawable",
    "FinishStep",
    "Generator",
    "Latent",
    "Loss",
    "LossContext",
    "Network",
    "OfSome",
    "Perceptor",
    "Preparable",
    "Pulled",
    "Resizable",
    "Scoped",
    "SelfAware",
    "SourceViews",
    "Step",
    "Tiled",
    "WordAware",
    "lacking",
    "with_codebook",
]
