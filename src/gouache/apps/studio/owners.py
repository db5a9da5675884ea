"""Whose a run is: the names of visitors in files, from which nobody gets to who they are."""

from __future__ import annotations

import hashlib
import re

LOCAL = "local"  # the one owner of a studio that only this machine reaches
TOKEN = re.compile(r"[0-9a-f]{32}")  # what a visitor's cookie holds


def owner_of(token: str) -> str:
    """The name of a visitor in files and folders, from which nobody gets the cookie back."""
    return f"v{hashlib.sha256(f'gouache studio {token}'.encode()).hexdigest()[:31]}"


def owner_called(name: str) -> str:
    """The same of somebody whom a proxy knows by name."""
    return f"v{hashlib.sha256(f'gouache studio user {name}'.encode()).hexdigest()[:31]}"


def settled_owner(owner: str) -> str:
    """The same for an owner as older versions wrote it, which was the cookie itself."""
    return owner_of(owner) if TOKEN.fullmatch(owner) else owner


def may_see(visitor: str, owner: str) -> bool:
    """Whether what belongs to `owner` is this visitor's: all of it is, at a local studio."""
    return visitor in (owner, LOCAL)


__all__ = ["LOCAL", "TOKEN", "may_see", "owner_called", "owner_of", "settled_owner"]
