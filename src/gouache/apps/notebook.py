"""A picture that is painted under a notebook's cell, with buttons; plain display elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

from PIL.Image import Image

from gouache import html
from gouache.apps.progress import Lines
from gouache.engine import Session
from gouache.errors import ConfigError
from gouache.films.film import Film
from gouache.films.making import Frames, PaintedFilm
from gouache.ops.images import encode, together
from gouache.protocols import Step
from gouache.runs.drive import Diverged, Run, Stepped, events

PER_SECOND = 5.0  # pictures sent to the page
WIDTH = 384  # pixels on the page


def live(session: Session | Film, *, width: int = WIDTH) -> Live:
    """Paints `session` where it can be watched: `view = live(session)`.

    In Jupyter and VS Code with ipywidgets the picture, its progress and its loss appear under the
    cell with buttons to pause, continue and stop; painting goes on in the background and the next
    cells can run. While it is paused the session may be changed (`set_prompt`, `set_image`), then
    `view.go_on()`. `view.wait()` waits for the end. Elsewhere it paints at once, to the end, and
    Ctrl-C pauses: IPython without ipywidgets shows the picture as it grows, plain Python prints
    lines. `width` is that of the picture on the page, in pixels.

    Of a film (`make_film`) each frame is shown when it is done, and in the end the film:
    `view.film.save("film.mp4")`.
    """
    if not 16 <= width <= 4096:
        raise ConfigError(f"width is {width}; expected 16 to 4096 pixels")
    view = Live(session, width)
    view.go_on()
    return view


class Live:
    """A session that is painted and shown; made by `live`.

    `session` is painted in another thread while `painting` is true: change it only when it is not.
    """

    def __init__(self, session: Session | Film, width: int = WIDTH) -> None:
        self.session: Any = session
        self.run = Run(session)
        self._frames = Frames() if isinstance(session, Film) else None
        self.losses: list[float] = []
        self._width = width
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()
        self._stopped = False
        self._error: BaseException | None = None
        self._shown: Image | None = None
        self._last_good: Image | None = None  # of a run that diverged
        self._face = _face(self)

    @property
    def painting(self) -> bool:
        """Whether it is being painted now."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or it was stopped."""
        return self._stopped or self.session.finished

    @property
    def image(self) -> Image:
        """The picture as it is now; of a batch all in a grid. Painting is paused for a moment."""
        if self._last_good is not None:
            return self._last_good
        if self.painting:
            assert self._shown is not None or not self.session.step_index
            if self._shown is not None:
                return self._shown
        return together(self.run.pictures())

    @property
    def film(self) -> PaintedFilm:
        """What is painted of a film; `ConfigError` where it is none."""
        if self._frames is None:
            raise ConfigError("this is a picture, no film; begin one with gouache.make_film")
        return self._frames.film(self.session)

    def go_on(self) -> Live:
        """Paints on in the background, or to the end where there are no widgets."""
        if self.painting or self.finished:
            return self
        self._error = self._last_good = None
        self._halt.clear()
        if not self._face.background:
            self._paint()
            self._raise()
            return self
        self._thread = threading.Thread(target=self._paint, name="gouache-live", daemon=True)
        self._thread.start()
        return self

    def pause(self, timeout: float | None = None) -> Live:
        """Waits for the end of the current step; then the session may be changed."""
        self._halt.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self

    def stop(self) -> Live:
        """Ends it with the picture as it is."""
        self._stopped = True
        self.pause()
        self._tell("stopped")
        return self

    def wait(self, timeout: float | None = None) -> Live:
        """Until it is finished, paused or stopped; raises what went wrong while painting."""
        if self._thread is not None:
            self._thread.join(timeout)
        self._raise()
        return self

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _paint(self) -> None:
        last, newest = 0.0, None
        try:
            for event in events(self.run, self._halt.is_set):
                if isinstance(event, Diverged):
                    self._last_good = together(self.run.pictures(event.error.image))
                if not isinstance(event, Stepped):
                    continue
                newest = event.step
                self.losses.append(float(newest.total.mean()))
                if self._frames is not None:
                    self._frames(event, self.run)
                    if self.session.frame and not self.session.frame_done:
                        continue  # what is between two frames flickers
                if time.monotonic() - last >= 1 / PER_SECOND or event.last:
                    last = time.monotonic()
                    self._show(newest)
        except KeyboardInterrupt:  # in the foreground: a pause
            self._halt.set()
        except BaseException as error:
            self._error = error
            self._face.tell(f"failed: {' '.join(str(error).split())[:300]}", self)
            return
        if newest is not None:
            self._shown = together(self.run.pictures())
            self._face.picture(self._shown, newest)
            if self._frames is not None and (moving := self.film.gif):
                self._face.film(moving)
        self._tell("done" if self.session.finished else "stopped" if self._stopped else "paused")

    def _show(self, step: Step) -> None:
        done = self._frames is not None and self.session.frame_done
        self._shown = together(self.run.pictures(None if done else step.image))
        self._face.picture(self._shown, step)
        self._tell("painting")

    def _tell(self, status: str) -> None:
        done, of = self.session.step_index, self.session.num_steps
        where = f"step {done} of {of}"
        if self._frames is not None:
            where = f"frame {self.session.frame + 1} of {self.session.num_frames}, {where}"
        self._face.tell(f"{status}, {where}", self)

    def _repr_png_(self) -> bytes:
        return encode(self.image, "PNG")

    def __repr__(self) -> str:
        state = "painting" if self.painting else "finished" if self.finished else "paused"
        return f"<Live {state}, step {self.session.step_index} of {self.session.num_steps}>"


class _Plain:
    """No notebook: lines on stderr."""

    background = False

    def __init__(self) -> None:
        self._lines = Lines()

    def picture(self, image: Image, step: Step) -> None:
        self._lines.show(step)

    def film(self, data: bytes) -> None:
        return None

    def tell(self, status: str, view: Live) -> None:
        return None


class _Display(_Plain):
    """IPython without widgets: one display that is updated."""

    def __init__(self, width: int) -> None:
        from IPython.display import HTML, display

        self._html, self._width = HTML, width
        self._place = display(HTML(""), display_id=True)
        self._image = ""

    def picture(self, image: Image, step: Step) -> None:
        self._image = html.image(encode(image, "PNG"), self._width)

    def film(self, data: bytes) -> None:
        self._image = html.image(data, self._width)

    def tell(self, status: str, view: Live) -> None:
        text = f"{self._image}<div>{escape(status)}</div>{html.plot(view.losses)}"
        self._place.update(self._html(text))


class _Widgets:
    """ipywidgets: picture, progress, loss and three buttons."""

    background = True

    def __init__(self, view: Live, width: int) -> None:
        import ipywidgets
        from IPython.display import display

        self._image = ipywidgets.Image(format="jpeg", layout={"width": f"{width}px"})
        self._bar = ipywidgets.IntProgress(max=view.session.num_steps, layout={"width": "200px"})
        self._status = ipywidgets.HTML("")
        self._plot = ipywidgets.HTML("")
        self._pause = self._button(ipywidgets, "Pause", view.pause)
        self._go_on = self._button(ipywidgets, "Continue", view.go_on)
        self._stop = self._button(ipywidgets, "Stop", view.stop)
        buttons = ipywidgets.HBox([self._pause, self._go_on, self._stop])
        below = ipywidgets.HBox([self._bar, self._status])
        self.box = ipywidgets.VBox([self._image, below, buttons, self._plot])
        start = view.run.pictures(view.session.picture())  # as small as the steps' pictures
        self._image.value = encode(together(start), "JPEG")
        display(self.box)

    def _button(self, ipywidgets: Any, name: str, action: Callable[[], object]) -> Any:
        button = ipywidgets.Button(description=name, layout={"width": "96px"})
        button.on_click(lambda _: action())
        return button

    def picture(self, image: Image, step: Step) -> None:
        self._image.format, self._image.value = "jpeg", encode(image, "JPEG")

    def film(self, data: bytes) -> None:
        self._image.format, self._image.value = "gif", data

    def tell(self, status: str, view: Live) -> None:
        self._bar.value = view.session.step_index
        self._status.value = escape(status)
        self._plot.value = html.plot(view.losses)
        painting = status.startswith("painting")
        over = view.finished and not painting
        self._pause.disabled = not painting
        self._go_on.disabled = painting or over
        self._stop.disabled = over


def _face(view: Live) -> Any:
    """What fits where this runs: widgets, an updated display, or lines."""
    if not _in_notebook():
        return _Plain()
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return _Display(view._width)
    return _Widgets(view, view._width)


def _in_notebook() -> bool:
    """Whether a kernel with a front end runs this (`ipython` in a terminal shows no pictures)."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


__all__ = ["Live", "live"]
