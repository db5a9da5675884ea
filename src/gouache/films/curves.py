"""A number for each frame of a film, as Deforum and Disco Diffusion write it.

    1.01      1+0.02*sin(2*pi*t/24)      0:(1.01), 60:(1.03+0.05*beat)      0:(1), 90:(4) cubic

Schedules and curves are one concept with one reader of keyframes (`KeyframeReader`): a `Schedule`
holds numbers over the steps of a picture, a setting that a record keeps; a `Curve` is over the
frames of a film, and its values may be formulas (`gouache.settings.expressions`) that know the
frame, the time and the sound. All that a schedule can be written as is a curve, too.

Between keyframes the rules are Deforum's. From a plain number the curve goes to the next keyframe;
from a formula it does not, but is the formula until the next one begins. `quadratic` and `cubic`
are SciPy's splines through the keyframes, and through the first and last frame; with less than four
keyframes cubic is quadratic, with less than three that is linear. What lies after the film's end
is gone towards, though: a film has the same frames, however long it is.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from gouache.errors import ConfigError
from gouache.settings.expressions import NUMBER, WORD, Expression, read_expression
from gouache.settings.schedule import INTERPOLATIONS, KeyframeReader, Schedule, mixed

MAX_FRAMES = 100_000  # of a film
MOTIONS = (
    *("zoom", "angle", "translation_x", "translation_y", "translation_z"),
    *("rotation_3d_x", "rotation_3d_y", "rotation_3d_z"),
)
SOUND = ("beat", "bass", "mid", "treble", "volume")
VARIABLES = ("t", "s", "max_f", "sec", "fps", *SOUND)
MAX_CHARACTERS = 2_000_000  # tools that listen to music write a keyframe for each frame
MAX_FRAME = 1_000_000
_SPLINES = {"quadratic": 2, "cubic": 3}
_ALL = (*INTERPOLATIONS, *_SPLINES)
_SILENCE: Mapping[str, float] = MappingProxyType({})
_WHOLE_FILM = re.compile(r"\s*(linear|cosine|constant)\s*\(", re.IGNORECASE)
_UNSIGNED = NUMBER.pattern.removeprefix("[-+]?")
_POSITION = re.compile(rf"(?>(?P<number>{NUMBER.pattern}))\s*(?P<percent>%?)\s*(?=:)")
# A number alone, for which Deforum forgives brackets that are missing.
_PLAIN = re.compile(
    rf"[\s(]*+(?:(?P<sign>[-+])\s*+)?(?>(?P<number>{_UNSIGNED}))\s*+(?P<percent>%?)[\s)]*+"
    rf"(?=,|$|(?:{'|'.join(_ALL)})\b|[0-9]+\s*%?\s*:)",
    re.IGNORECASE,
)
_NEXT = re.compile(r"\s*[0-9]+\s*%?\s*:")


@dataclass(frozen=True)
class Keyframe:
    """position: a frame from 0, or with `percent` a share of the film in [0,100], or a formula of
    `max_f` and `s`. value: a number, or a formula of `VARIABLES`."""

    position: float | Expression
    value: float | Expression
    percent: bool = False

    def place(self, num_frames: int, seed: int) -> float:
        """The frame that it belongs to; whole, but for shares."""
        if isinstance(self.position, Expression):
            return int(self.position.value({"max_f": num_frames - 1, "s": seed}))
        if self.percent:
            return self.position / 100 * max(1, num_frames - 1)
        return self.position

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, Expression) else _shown(self.value)
        place = self.position if isinstance(self.position, Expression) else _shown(self.position)
        return f"{place}{'%' * self.percent}:({value})"


@dataclass(frozen=True)
class Curve:
    """See the module; `parse` makes one."""

    keyframes: tuple[Keyframe, ...]
    between: str = "linear"
    name: str = field(default="the curve", compare=False)
    _found: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, name: str = "the curve") -> Curve:
        """Reads what the module shows; `ConfigError` tells where `name` is not as expected."""
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(
                f"{name} has {len(text):,} characters; at most {MAX_CHARACTERS:,} are possible"
            )
        if _WHOLE_FILM.match(text) and ":" not in text:
            schedule = Schedule.parse(text, name)
            pairs = zip(schedule.positions, schedule.values, strict=True)
            frames = tuple(Keyframe(place, value, schedule.percent) for place, value in pairs)
            return cls(frames, schedule.between, name)
        return _Reader(text, name).curve()

    @property
    def names(self) -> frozenset[str]:
        """The variables that its formulas ask for."""
        formulas = [one.value for one in self.keyframes if isinstance(one.value, Expression)]
        return frozenset[str]().union(*(formula.names for formula in formulas))

    @property
    def hears(self) -> bool:
        """Whether it depends on the sound."""
        return not self.names.isdisjoint(SOUND)

    def at(
        self,
        frame: int,
        *,
        num_frames: int,
        fps: float,
        seed: int,
        sound: Mapping[str, float] = _SILENCE,
    ) -> float:
        """The finite number at `frame` (0-based); `ConfigError` where a formula has none.

        sound: what of `SOUND` is heard in the frame, each in [0,1]; what is missing is 0.
        """
        places, values = self._placed(num_frames, seed)
        known = {**dict.fromkeys(SOUND, 0.0), **sound, "s": seed, "max_f": num_frames - 1}

        def number(value: float | Expression, t: float) -> float:
            if not isinstance(value, Expression):
                return value
            return value.value({**known, "t": t, "sec": t / fps, "fps": fps})

        after = bisect_right(places, frame)
        first = values[max(0, after - 1)]
        if isinstance(first, Expression):
            return number(first, max(frame, places[0]))
        if degree := self._degree:
            ends = num_frames, fps, seed
            if self._found.get("spline_of") != ends:
                self._found["spline"] = _spline(self, degree, number, *ends)
                self._found["spline_of"] = ends
            return float(self._found["spline"](frame))
        if after in (0, len(places)) or self.between == "step":
            return first
        done = (frame - places[after - 1]) / (places[after] - places[after - 1])
        return mixed(first, number(values[after], places[after]), done, self.between)

    def over(
        self,
        num_frames: int,
        *,
        fps: float,
        seed: int,
        sound: Mapping[str, Sequence[float]] | None = None,
    ) -> list[float]:
        """The numbers of all frames, so that no film begins that could not end; as `at`."""
        heard = [
            {name: float(track[frame]) for name, track in (sound or {}).items()}
            for frame in range(num_frames)
        ]
        return [
            self.at(frame, num_frames=num_frames, fps=fps, seed=seed, sound=heard[frame])
            for frame in range(num_frames)
        ]

    def __str__(self) -> str:
        """As `parse` reads it."""
        first = self.keyframes[0]
        if len(self.keyframes) == 1 and first.position == 0 and not first.percent:
            text = str(first.value) if isinstance(first.value, Expression) else _shown(first.value)
        else:
            text = ", ".join(map(str, self.keyframes))
        return text if self.between == "linear" else f"{text} {self.between}"

    @property
    def _degree(self) -> int:
        """Of the spline between the keyframes; 0 where there is none."""
        degree = min(_SPLINES.get(self.between, 0), len(self.keyframes) - 1)
        return degree if degree > 1 else 0

    def _placed(self, num_frames: int, seed: int) -> tuple[list[float], list[float | Expression]]:
        """Frames that rise, and the values there."""
        if (found := self._found.get((num_frames, seed))) is None:
            pairs = [(one.place(num_frames, seed), one.value) for one in self.keyframes]
            pairs.sort(key=lambda pair: pair[0])
            places = [place for place, _ in pairs]
            wrong = [place for place in places if not 0 <= place <= MAX_FRAME]
            twice = [one for one, other in pairwise(places) if one == other]
            if wrong or twice:
                why = "is no frame" if wrong else "has two keyframes"
                raise ConfigError(
                    f"{self.name}: {_shown((wrong or twice)[0])} {why} in a film of {num_frames} "
                    "frames; change one of the positions"
                )
            found = self._found[num_frames, seed] = places, [value for _, value in pairs]
        return found


def pack_levels(levels: Mapping[str, Sequence[float]]) -> str:
    """What is heard, numbers in [0,1] by the names of `SOUND`, as one line, in steps of 1/255."""
    packed = {
        name: base64.b64encode(bytes(round(255 * float(x)) for x in track)).decode()
        for name, track in levels.items()
    }
    return json.dumps(packed)


def read_levels(text: str) -> dict[str, list[float]]:
    """What `pack_levels` made; "" is silence. `ConfigError` for everything else."""
    try:
        packed = json.loads(text or "{}")
        if set(packed) - set(SOUND):
            raise ValueError
        return {
            name: [byte / 255 for byte in base64.b64decode(track, validate=True)]
            for name, track in packed.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ConfigError(
            f"audio_levels is {text!r:.60}; expected what --audio writes into a film's settings"
        ) from None


def _spline(curve: Curve, degree: int, number: Any, num_frames: int, fps: float, seed: int) -> Any:
    try:
        from scipy.interpolate import make_interp_spline
    except ImportError:
        raise ConfigError(
            f"{curve.name} is {curve.between}, which needs SciPy; run pip install "
            "'gouache[video]', or write linear"
        ) from None
    places, values = curve._placed(num_frames, seed)
    known: dict[float, float] = {}
    for place, value, end in zip(places, values, [*places[1:], num_frames], strict=True):
        known[place] = number(value, place)
        if isinstance(value, Expression):  # its frames are all known
            known |= {t: number(value, t) for t in range(int(place) + 1, int(end))}
    known.setdefault(0, known[places[0]])
    known.setdefault(max(num_frames - 1, places[-1]), known[places[-1]])
    points = sorted(known.items())
    return make_interp_spline(
        [place for place, _ in points],
        [value for _, value in points],
        k=min(degree, len(points) - 1),
    )


class _Reader(KeyframeReader):
    """Frames, shares of the film or formulas as positions; formulas as values."""

    interpolations = _ALL
    most_keyframes = 100_000

    def __init__(self, text: str, name: str) -> None:
        # Deforum's keyframes may be quoted, as its settings files are JSON.
        super().__init__(text.translate({ord("'"): " ", ord('"'): " "}), name)
        self._taken: set[object] = set()

    def curve(self) -> Curve:
        if ":" in self.text:
            positions, values, between = self.keyframes()
            frames = [
                Keyframe(place, value, percent)
                for (place, percent), value in zip(positions, values, strict=True)
            ]
        else:
            frames, between = [Keyframe(0.0, self.value())], INTERPOLATIONS[0]
            self.skip()
            if word := WORD.match(self.text, self.place):
                between = self.interpolation(word[0])
            self.end("an operator such as + or *, or the end")
        curve = Curve(tuple(frames), between, self.name)
        plain = any(not isinstance(one.value, Expression) for one in frames)
        if curve._degree and plain and curve.hears:
            raise ConfigError(
                f"{self.name} is {between} between keyframes that hear the sound, which is known "
                "only frame by frame; write linear"
            )
        return curve

    def position(self, earlier: list[Any]) -> tuple[float | Expression, bool]:
        self.skip()
        start = self.place
        place: float | Expression
        if found := _POSITION.match(self.text, start):
            place, percent = float(found["number"]), bool(found["percent"])
            self.place = found.end()
        else:
            place, percent = read_expression(self, ("max_f", "s")), False
            place = place if place.names else place.value({})
        if not isinstance(place, Expression):
            most = 100 if percent else MAX_FRAME
            if not 0 <= place <= most or not (percent or place.is_integer()):
                self.fail(f"{'a share' if percent else 'a frame'} from 0 to {most}", start)
        if (place, percent) in self._taken:
            self.fail("each position once", start)
        self._taken.add((place, percent))
        return place, percent

    def value(self) -> float | Expression:
        if found := _PLAIN.match(self.text, self.place):
            number = float((found["sign"] or "") + found["number"])
            number /= 100 if found["percent"] else 1
            if abs(number) < float("inf"):
                self.place = found.end()
                return number
        return read_expression(self, VARIABLES)

    def more(self) -> bool:
        """Commas may be missing, or stand at the end, as for Disco Diffusion."""
        if self.given(","):
            self.skip()
            return self.place < len(self.text)
        return _NEXT.match(self.text, self.place) is not None


def _shown(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


__all__ = [
    "MAX_FRAMES",
    "MOTIONS",
    "SOUND",
    "VARIABLES",
    "Curve",
    "Keyframe",
    "pack_levels",
    "read_levels",
]
