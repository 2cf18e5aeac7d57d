"""One controller a site, whatever can be done to its state folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.errors import RunError
from controller.site_lock import SiteLock


def lock_is_a_file_that_cannot_be_written(folder: Path) -> None:
    (folder / "lock").mkdir()


def lock_cannot_be_made(folder: Path) -> None:
    (folder / "lock").symlink_to("/proc/nowhere/lock")


@pytest.mark.parametrize("made", [lock_is_a_file_that_cannot_be_written, lock_cannot_be_made])
def test_a_second_controller_is_refused_also_where_the_lock_cannot_be_written(
    made: Callable[[Path], None], tmp_path: Path
) -> None:
    made(tmp_path)
    first, second = SiteLock(tmp_path), SiteLock(tmp_path)
    first.take()
    first.take()
    with pytest.raises(RunError, match="another penstock controls this site"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_whoever_may_not_see_whether_another_controls_the_site_does_not_control_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)
    try:
        with pytest.raises(RunError, match="Permission denied, so another penstock may control this site"):
            SiteLock(tmp_path).take()
    finally:
        os.seteuid(user)
