"""Paints one run that is a film: frame after frame, to its end or to what is wished on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

from PIL import Image

from gouache.apps.studio.frames import FRAME_SECONDS, Frame
from gouache.apps.studio.keeping import forget_order
from gouache.apps.studio.painter import Painter
from gouache.apps.studio.runs import Run
from gouache.atomic import write_bytes
from gouache.engine import SessionState
from gouache.films.film import Film
from gouache.films.keeping import KeepFrames
from gouache.output.pictures import save_picture
from gouache.output.run_folder import RunFolder
from gouache.runs.drive import Run as Driven
from gouache.runs.drive import Stepped, events


class FilmPainter(Painter):
    """What the studio's thread does with a film; nobody draws on it, and its words stay.

    Files are those of `gouache video` (`films.keeping`): a film goes on to the same bytes, whoever
    ended it. What is paused within a frame, and leaves the memory, begins that frame again.
    """

    def paint(self, run: Run) -> Iterator[None]:
        """Begins or goes on, and yields between two steps; others may be painted in between."""
        yield from self._opened(run)
        if run.session is None:
            return
        yield
        film, folder = cast("Film", run.session), run.folder
        assert folder is not None
        with self._lock:
            run.changed(status="painting", num_steps=film.num_steps)
        run.save_about()
        keep, painting = KeepFrames(folder, run.painted), Driven(film)
        begun, first, shown = time.monotonic(), film.step_index, 0.0
        for event in events(painting, lambda: self._wanted(run), within=True):
            keep(event, painting)
            if not isinstance(event, Stepped):
                continue
            rate = (film.step_index - first) / max(time.monotonic() - begun, 1e-9)
            frame = run.frame
            if film.frame_done:
                frame = Frame(painting.pictures()[0])
            elif film.frame == 0 and time.monotonic() - shown >= FRAME_SECONDS:
                frame = Frame(painting.pictures(event.step.image)[0])
                shown = time.monotonic()
            with run.lock:
                run.totals.append(round(float(event.step.total.mean()), 4))
            run.changed(
                step=film.step_index,
                seconds_left=(film.num_steps - film.step_index) / rate,
                frame=frame,
                painted=keep.written,
            )
            if film.frame_done and film.frame == 0:
                self._node(run, "start", painting.pictures()[0])
                run.save_about()
            yield
        run.painted = keep.written  # all that were painted
        self._end(run, painting)

    def _end(self, run: Run, painting: Driven) -> None:
        film = cast("Film", painting.painter)
        if not film.finished and run.wish != "stop":  # the state of its frame is there already
            with self._lock:
                if run.wish != "stop":  # which may come at any time
                    run.changed(status=self._ending() or "paused", wish="")
                    self._paused(run)
        if run.status == "painting":
            if run.painted:
                last = run.frame_path(run.painted - 1)
                write_bytes(run.picture_path, last.read_bytes())
            else:  # the first one, as far as it came
                picture = painting.pictures()[0]
                save_picture(picture, run.picture_path, painting.record(0), run.config.title)
            with Image.open(run.picture_path) as picture:
                self._node(run, "end", picture.convert("RGB"))
                frame = Frame(picture.convert("RGB"))
            status = "done" if film.finished else "stopped"
            with self._lock:
                run.changed(status=status, frame=frame, seconds_left=None, wish="")
            self.release(run)
        run.save_about()

    def _begun(self, run: Run) -> None:
        film = cast("Film", run.session)
        run.config = film.config
        run.folder = RunFolder.open(run.path, run.shelf)
        KeepFrames(run.folder).begin(film)
        forget_order(run)

    def _reopened(self, folder: RunFolder) -> Film:
        return Film.from_state(SessionState(*folder.load_state()))


__all__ = ["FilmPainter"]
