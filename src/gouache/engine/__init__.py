"""A session: what is painted, step by step; `checkpoint` for files. `runs` drives it.

Not here: files, progress and faces (`runs`, `apps`); loading networks (`networks`).
"""

from gouache.engine.build import validate
from gouache.engine.checkpoint import resume_session, save_session
from gouache.engine.session import Session
from gouache.engine.state import SessionState
from gouache.networks.models import Guide

__all__ = [
    "Guide",
    "Session",
    "SessionState",
    "resume_session",
    "save_session",
    "validate",
]
