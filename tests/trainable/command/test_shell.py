"""Values in a command for a shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from localtune.trainable.command.shell import check_places, quoted, quoted_for_cmd
from localtune.trainable.command.template import Template

ODD = ["", "a b", "it's", '"', "$HOME", "`id`", "; touch made", "a\nb", "\\", "*", "-n", "ä", "#x"]


@pytest.mark.skipif(os.name == "nt", reason="cmd.exe is another shell")
def test_a_shell_takes_each_value_as_one_word(tmp_path: Path) -> None:
    names = " ".join(f"{{v{number}}}" for number in range(len(ODD)))
    template = Template(f"printf '%s|' {names}")
    check_places(template)
    tmp_path = tmp_path / "empty"
    tmp_path.mkdir()
    text = template.filled(lambda name: quoted(ODD[int(name[1:])]))
    printed = subprocess.run(["sh", "-c", text], stdout=subprocess.PIPE, cwd=tmp_path).stdout
    assert printed.decode() == "|".join(ODD) + "|"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("echo '{x}'", "between quotes"),
        ('echo "a {x}"', "between quotes"),
        ("echo `f {x}`", "between quotes"),
        ("echo \\{x}", "after a backslash"),
        ('echo "\\{x}"', "after a backslash"),
        ("true # {x}", "in a comment"),
        ("echo ${x}", "after a dollar sign"),
        ("echo $(( {x} + 1 ))", "arithmetic"),
        ("echo $[ {x} + 1 ]", "arithmetic"),
        ("(( {x} > 1 ))", "arithmetic"),
        ('echo "$(echo "{x}")"', "commands between quotes"),
        ('echo "$(case a in a) echo "{x}";; esac)"', "commands between quotes"),
        ('echo "`echo "{x}"`"', "commands between quotes"),
        ('echo "${{a:-"{x}"}}"', "commands between quotes"),
        ("echo `echo \\`echo a\\` {x}`", "between quotes"),
        ("echo $'it\\'s {x}'", "between quotes"),
        ("cat <<END\n{x}\nEND", "here document"),
    ],
)
def test_a_placeholder_where_quoting_would_not_hold_is_refused(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        check_places(Template(text))


@pytest.mark.parametrize(
    "text",
    [
        "--lr={x}",
        "'a'{x}",
        'f "$(g)" {x}',
        'f "${{HOME}}/a" "$PWD" {x}',
        "$(f {x})",
        "a={x}; echo $((1 << 2))",
        "$'it\\'s' {x}",
        "a#{x}",
        "cat <<< {x}",
        "cat <<END\na\nEND",
    ],
)
def test_other_places_are_allowed(text: str) -> None:
    check_places(Template(text))


def test_values_for_cmd_are_quoted_or_refused() -> None:
    assert quoted_for_cmd("C:\\some dir\\") == '"C:\\some dir\\\\"'
    for character in '"%!^&|<>\n':
        with pytest.raises(ValueError, match=r"cmd\.exe"):
            quoted_for_cmd(f"a{character}")
