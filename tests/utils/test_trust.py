"""What others could have written is neither read nor written into, unless the caller says so."""

from __future__ import annotations

import functools
import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.checkpoint import Checkpoint
from localtune.error import StorageError, UntrustedDirectoryError
from localtune.utils import trust
from localtune.utils.trust import GuardedDirectory, check_trusted, load_own
from tests.small_runs import Counting, fit, make_tuner

# No user of the machine that runs the tests.
STRANGER = 54321

# How a directory is held: by a descriptor, and where a system has none, by its path.
holds = pytest.mark.parametrize("hold", [True, False])


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage path with the directory of an experiment, which holds a pickle."""
    path = tmp_path / "storage"
    path.mkdir()
    experiment = path / "sweep"
    experiment.mkdir(mode=0o700)
    (experiment / "state.pkl").write_bytes(pickle.dumps("state"))
    return path


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes files and directories those of another user; links themselves, not where they lead."""
    given: set[tuple[int, int]] = set()
    owner_of = trust._owner_of

    def owner(status: os.stat_result) -> int:
        return STRANGER if (status.st_dev, status.st_ino) in given else owner_of(status)

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
            return
        # Only root can give a file away. What is asked of the system is the same.
        monkeypatch.setattr(trust, "_owner_of", owner)
        status = os.lstat(path)
        given.add((status.st_dev, status.st_ino))

    return give


# -- the directory --------------------------------------------------------------------------------


@holds
def test_an_own_directory_is_read_and_written(storage: Path, hold: bool) -> None:
    with GuardedDirectory(str(storage / "sweep"), hold=hold) as directory:
        assert directory.load("state.pkl") == "state"
        for content in (b"one", b"other"):
            directory.write("file", content)
            assert directory.read("file") == content
        with pytest.raises(FileNotFoundError):
            directory.read("missing")
    assert sorted(os.listdir(storage / "sweep")) == ["file", "state.pkl"]


@holds
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o1703, 0o702])
def test_a_directory_that_all_may_write_into_is_refused_even_if_it_is_sticky(
    storage: Path, hold: bool, mode: int
) -> None:
    (storage / "sweep").chmod(mode)
    with pytest.raises(UntrustedDirectoryError, match=r"every user may write .* chmod go-w"):
        GuardedDirectory(str(storage / "sweep"), hold=hold)


@holds
def test_a_directory_that_a_group_may_write_into_is_refused(
    storage: Path, hold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (storage / "sweep").chmod(0o770)
    monkeypatch.setattr(trust, "_is_private_group", lambda gid: False)
    with pytest.raises(UntrustedDirectoryError, match=r"the group .* may write into it"):
        GuardedDirectory(str(storage / "sweep"), hold=hold)


def test_the_first_group_of_all_users_is_nobodys_own() -> None:
    import grp
    import pwd

    user = pwd.getpwuid(os.geteuid())
    assert trust._is_private_group(user.pw_gid) == (
        grp.getgrgid(user.pw_gid).gr_name == user.pw_name
        and set(grp.getgrgid(user.pw_gid).gr_mem) <= {user.pw_name}
    )
    others = [each.gr_gid for each in grp.getgrall() if each.gr_gid != user.pw_gid]
    assert not any(map(trust._is_private_group, others))


@holds
def test_a_directory_of_another_user_is_refused(
    storage: Path, hold: bool, give_away: Callable[[Path], None]
) -> None:
    give_away(storage / "sweep")
    with pytest.raises(UntrustedDirectoryError, match=r"it belongs to .*, not to .*trust=True"):
        GuardedDirectory(str(storage / "sweep"), hold=hold)
    with GuardedDirectory(str(storage / "sweep"), trust=True, hold=hold) as directory:
        assert directory.load("state.pkl") == "state"


def test_a_normal_user_does_not_read_what_root_made() -> None:
    code = (
        "import grp, os, pwd\n"
        "from localtune.utils.trust import check_trusted\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "check_trusted('/')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UntrustedDirectoryError: The directory '/' is not used: it belongs to root" in (
        done.stderr
    )


def test_a_missing_directory_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    check_trusted(str(tmp_path / "missing"))
    check_trusted(str(tmp_path / "missing" / "further"))


# -- what is around it ----------------------------------------------------------------------------


@holds
@pytest.mark.parametrize(
    ("mode", "is_taken"), [(0o755, True), (0o1777, True), (0o1775, True), (0o777, False)]
)
def test_the_storage_path_may_be_open_to_others_only_if_it_is_sticky(
    storage: Path, hold: bool, mode: int, is_taken: bool
) -> None:
    storage.chmod(mode)
    if is_taken:
        GuardedDirectory(str(storage / "sweep"), hold=hold).close()
        return
    with pytest.raises(UntrustedDirectoryError, match=r"put another .*every user may write"):
        GuardedDirectory(str(storage / "sweep"), hold=hold)
    GuardedDirectory(str(storage / "sweep"), hold=hold, parents=False).close()


@holds
def test_a_storage_path_of_another_user_is_refused(
    storage: Path, hold: bool, give_away: Callable[[Path], None]
) -> None:
    give_away(storage)
    with pytest.raises(UntrustedDirectoryError, match=r"open to others: it belongs to .*yours"):
        GuardedDirectory(str(storage / "sweep"), hold=hold)


@holds
@pytest.mark.parametrize("linked", ["sweep", "storage"])
def test_an_own_link_is_followed_and_that_of_another_user_is_not(
    storage: Path, hold: bool, linked: str, give_away: Callable[[Path], None]
) -> None:
    link = storage.parent / "link"
    link.symlink_to(storage / "sweep" if linked == "sweep" else storage)
    path = str(link if linked == "sweep" else link / "sweep")
    with GuardedDirectory(path, hold=hold) as directory:
        assert directory.load("state.pkl") == "state"
    give_away(link)
    with pytest.raises(UntrustedDirectoryError, match=r"is a symbolic link that .* made"):
        GuardedDirectory(path, hold=hold)


# -- its files ------------------------------------------------------------------------------------


@holds
def test_links_among_its_files_are_not_followed(storage: Path, hold: bool) -> None:
    target = storage / "target"
    target.write_bytes(pickle.dumps("elsewhere"))
    (storage / "sweep" / "link.pkl").symlink_to(target)
    with GuardedDirectory(str(storage / "sweep"), hold=hold) as directory:
        for look in (directory.read, directory.load, lambda name: directory.check_files([name])):
            with pytest.raises(UntrustedDirectoryError, match="it is a symbolic link"):
                look("link.pkl")
        directory.write("link.pkl", b"own")
        assert directory.read("link.pkl") == b"own"
    assert pickle.loads(target.read_bytes()) == "elsewhere"
    (storage / "sweep" / "link.pkl").unlink()
    (storage / "sweep" / "link.pkl").symlink_to(target)
    with GuardedDirectory(str(storage / "sweep"), trust=True, hold=hold) as directory:
        assert directory.load("link.pkl") == "elsewhere"


@holds
def test_files_of_another_user_are_not_read(
    storage: Path, hold: bool, give_away: Callable[[Path], None]
) -> None:
    give_away(storage / "sweep" / "state.pkl")
    with GuardedDirectory(str(storage / "sweep"), hold=hold) as directory:
        for look in (directory.read, directory.load, lambda name: directory.check_files([name])):
            with pytest.raises(UntrustedDirectoryError, match=r"state.pkl.*belongs to"):
                look("state.pkl")
    with GuardedDirectory(str(storage / "sweep"), hold=hold, trust=True) as directory:
        assert directory.load("state.pkl") == "state"
        directory.check_files(["state.pkl"])


@holds
def test_what_others_may_write_counts_where_they_can_come(storage: Path, hold: bool) -> None:
    (storage / "sweep" / "state.pkl").chmod(0o666)
    with GuardedDirectory(str(storage / "sweep"), hold=hold) as directory:
        assert directory.load("state.pkl") == "state"
        (storage / "sweep").chmod(0o755)
        with pytest.raises(UntrustedDirectoryError, match="every user may write into it"):
            directory.load("state.pkl")


@holds
def test_a_pipe_in_the_place_of_a_file_holds_up_nobody(storage: Path, hold: bool) -> None:
    os.mkfifo(storage / "sweep" / "pipe")
    with (
        GuardedDirectory(str(storage / "sweep"), hold=hold) as directory,
        pytest.raises(StorageError, match="no regular file"),
    ):
        directory.read("pipe")


def test_a_held_directory_stays_the_one_that_was_judged(storage: Path) -> None:
    with GuardedDirectory(str(storage / "sweep")) as directory:
        (storage / "sweep").rename(storage / "moved")
        (storage / "sweep").mkdir()
        (storage / "sweep" / "state.pkl").write_bytes(pickle.dumps("another"))
        assert directory.load("state.pkl") == "state"
        directory.write("file", b"content")
        assert (storage / "moved" / "file").read_bytes() == b"content"
        with pytest.raises(UntrustedDirectoryError, match="is another directory now"):
            directory.check_files(["state.pkl"])


def test_without_descriptors_a_replaced_directory_is_noticed(storage: Path) -> None:
    with GuardedDirectory(str(storage / "sweep"), hold=False) as directory:
        (storage / "sweep").rename(storage / "moved")
        (storage / "sweep").mkdir()
        (storage / "sweep" / "state.pkl").write_bytes(pickle.dumps("another"))
        with pytest.raises(UntrustedDirectoryError, match="is another directory now"):
            directory.load("state.pkl")


def test_of_a_file_that_the_caller_names_only_its_own_owner_counts(
    storage: Path, give_away: Callable[[Path], None]
) -> None:
    file = storage / "sweep" / "state.pkl"
    give_away(storage / "sweep")
    assert load_own(str(file)) == "state"
    give_away(file)
    with pytest.raises(UntrustedDirectoryError, match="belongs to"):
        load_own(str(file))
    assert load_own(str(file), trust=True) == "state"


# -- what it stands in front of -------------------------------------------------------------------


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self._path),))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_checkpoint_that_is_gone_asks_no_store_that_another_user_names(
    storage: Path, level: int, give_away: Callable[[Path], None]
) -> None:
    directory = storage / "sweep" / "trial"
    directory.mkdir()
    place = [storage, storage / "sweep", directory][level]
    exploded = storage / "exploded"
    (place / ".localtune_remote").write_bytes(pickle.dumps(Bomb(exploded)))
    (place / ".localtune_remote").chmod(0o600)
    for owned in (place / ".localtune_remote", place):
        give_away(owned)
        checkpoint = Checkpoint(directory.parent.parent / "x" / "checkpoint_000001")
        if level:
            checkpoint = Checkpoint(directory / "checkpoint_000001")
        with pytest.raises(UntrustedDirectoryError, match="belongs to"):
            checkpoint.get_metadata()
        with pytest.raises(UntrustedDirectoryError, match="belongs to"):
            checkpoint.to_directory()
    assert not exploded.exists()


def test_an_experiment_is_its_users_alone(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path)
    assert stat.S_IMODE(os.stat(grid.experiment_path).st_mode) == 0o700


def test_no_reader_reads_a_directory_that_all_may_write_into(tmp_path: Path) -> None:
    grid = fit(Counting, tmp_path)
    os.chmod(grid.experiment_path, 0o777)
    path, trial_path = grid.experiment_path, grid[0].path
    for read in (
        lambda **trust: tune.Tuner.restore(path, Counting, **trust),
        lambda **trust: tune.ExperimentAnalysis(path, **trust),
        lambda **trust: tune.Result.from_path(trial_path, **trust),
    ):
        with pytest.raises(UntrustedDirectoryError, match=r"every user may write .* trust=True"):
            read()
        read(trust=True)
    os.chmod(path, 0o755)
    assert len(tune.ExperimentAnalysis(path).trials) == 1


def test_a_changed_trainable_or_space_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tuner = make_tuner(Counting, tmp_path, {"steps": tune.randint(1, 3)})
    path = tuner.fit().experiment_path
    tune.Tuner.restore(path, Counting, param_space={"steps": tune.randint(1, 3)})
    assert caplog.messages == []

    class Counting_(Counting):
        changed = True

    Counting_.__name__ = "Counting"
    tune.Tuner.restore(path, Counting_, param_space={"steps": tune.randint(1, 9)})
    assert "The code of Counting is not what it was" in caplog.messages[0]
    assert "param_space is not what it was" in caplog.messages[1]


# -- a directory that somebody else made under the wanted name ------------------------------------


def planted(storage: Path) -> tuple[Path, list[Path]]:
    """A directory full of links to files of the victim's, which do not exist or hold a word."""
    experiment = storage / "wanted"
    experiment.mkdir()
    targets = []
    for name in ("tuner.pkl", "experiment.db", ".validate_storage_marker", ".lock", "command.json"):
        target = storage.parent / f"of_victim_{name}"
        target.write_text("precious")
        (experiment / name).symlink_to(target)
        targets.append(target)
    return experiment, targets


@pytest.mark.parametrize("how", ["owner", "mode", "sticky", "link"])
def test_a_run_uses_no_directory_that_another_user_made_beforehand(
    storage: Path, how: str, give_away: Callable[[Path], None]
) -> None:
    experiment, targets = planted(storage)
    if how == "owner":
        give_away(experiment)
    elif how == "link":
        (storage / "wanted").rename(storage.parent / "elsewhere")
        experiment.symlink_to(storage.parent / "elsewhere")
        give_away(experiment)
    else:
        experiment.chmod(0o777 if how == "mode" else 0o1777)
    before = sorted(os.listdir(experiment))
    tuner = make_tuner(Counting, storage, {}, name="wanted")
    with pytest.raises(UntrustedDirectoryError):
        tuner.fit()
    assert sorted(os.listdir(experiment)) == before
    assert [target.read_text() for target in targets] == ["precious"] * len(targets)


def test_a_run_follows_no_links_in_an_own_directory(storage: Path) -> None:
    experiment, targets = planted(storage)
    experiment.chmod(0o700)
    with pytest.raises(StorageError):
        make_tuner(Counting, storage, {}, name="wanted").fit()
    assert [target.read_text() for target in targets] == ["precious"] * len(targets)


@pytest.mark.parametrize("name", ["experiment.db", "experiment.db-wal", "experiment.db-journal"])
def test_no_database_is_read_to_which_another_user_has_added_something(
    tmp_path: Path, name: str, give_away: Callable[[Path], None]
) -> None:
    grid = fit(Counting, tmp_path)
    file = Path(grid.experiment_path, name)
    file.touch(mode=0o600)
    give_away(file)
    for use in (
        lambda: tune.ExperimentAnalysis(grid.experiment_path),
        lambda: tune.Result.from_path(grid[0].path),
        lambda: tune.Tuner.restore(grid.experiment_path, Counting).fit(),
    ):
        with pytest.raises(UntrustedDirectoryError, match=f"{name}' is not used: it belongs to"):
            use()


def test_with_the_strictest_and_the_loosest_umask_a_run_can_be_read(tmp_path: Path) -> None:
    for umask in (0o077, 0o000):
        before = os.umask(umask)
        try:
            grid = fit(Counting, tmp_path / f"{umask:o}" / "storage")
        finally:
            os.umask(before)
        assert len(tune.ExperimentAnalysis(grid.experiment_path).trials) == 1
        assert tune.Result.from_path(grid[0].path).error is None


def test_a_trusted_experiment_of_another_user_goes_on_with_its_checkpoints(
    tmp_path: Path, give_away: Callable[[Path], None]
) -> None:
    grid = fit(
        Counting,
        tmp_path,
        {"steps": 3, "fail_at": 3, "once": str(tmp_path / "failed")},
        checkpoint_frequency=1,
    )
    assert grid.num_errors == 1
    path = Path(grid.experiment_path)
    for each in [*path.rglob("*"), path]:
        give_away(each)
    restore = functools.partial(
        tune.Tuner.restore, path, Counting, resume_errored=True, executor="inprocess"
    )
    with pytest.raises(UntrustedDirectoryError):
        restore()
    (result,) = restore(trust=True).fit()
    assert result.error is None
    assert result.metrics is not None
    assert (result.metrics["count"], result.metrics["iterations_since_restore"]) == (3, 1)
