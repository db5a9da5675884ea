"""The loop. `paint` for one call, `Session` for everything in between, `checkpoint` for files."""

from gouache.engine.build import validate
from gouache.engine.checkpoint import resume_session, save_session
from gouache.engine.paint import Painting, finish, paint
from gouache.engine.record import picture_record
from gouache.engine.session import Session
from gouache.engine.state import SessionState
from gouache.networks.models import Guide

__all__ = [
    "Guide",
    "Painting",
    "Session",
    "SessionState",
    "finish",
    "paint",
    "picture_record",
    "resume_session",
    "save_session",
    "validate",
]
