"""Whose directory it is: an experiment holds pickles, and loading a pickle runs code."""

from __future__ import annotations

import os
import stat

from localtune.error import UntrustedDirectoryError


def check_trusted(path: str, *, trust: bool = False) -> None:
    """Refuses a directory that somebody else could have written into.

    Args:
        path: Directory of an experiment, or of a trial.
        trust: Take it all the same.

    Raises:
        UntrustedDirectoryError: if it belongs to another user, or others may write into it.
    """
    # Windows keeps rights of another kind; there the user's own folders are the rule.
    if trust or not hasattr(os, "geteuid"):
        return
    try:
        found = os.stat(path)
    except OSError:
        return  # Whoever opens it says what is wrong.
    if found.st_uid != os.geteuid():
        reason = f"it belongs to {_user_name(found.st_uid)}, not to {_user_name(os.geteuid())}"
    elif found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        reason = "every user may write into it"
    elif found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_gid):
        reason = f"the group {_group_name(found.st_gid)} may write into it"
    else:
        return
    raise UntrustedDirectoryError(
        f"The experiment in {path!r} is not read: {reason}. It holds pickles, and whoever wrote "
        "them can run any code in this process. If you know where they come from, pass "
        f"trust=True, or make the directory yours alone (chmod go-w {path!r})."
    )


def _is_private_group(gid: int) -> bool:
    """Whether a group is a user's own, as many systems make one for each user."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return gid == user.pw_gid and set(group.gr_mem) <= {user.pw_name}


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user {uid}"


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
