"""Whatever a view is given, it writes nothing of others that steers a terminal."""

from __future__ import annotations

import re
import unicodedata
from io import StringIO

from localtune.progress_reporter.cli_reporter import as_text
from localtune.progress_reporter.display import LogDisplay
from localtune.progress_reporter.line import painted, plain
from localtune.progress_reporter.notebook_reporter import as_html
from localtune.progress_reporter.table import Column
from localtune.progress_reporter.table_reporter import Section
from localtune.progress_reporter.terminal import SafeStream

POISON = "x\x1b[2J\x1b]0;title\x07y\x9b2J\u202ez\x7f"


def steers(text: str) -> bool:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # Colours are our own.
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return any(unicodedata.category(char) in kinds and char not in "\n\t" for char in text)


def test_a_line_is_written_without_the_codes_of_its_texts() -> None:
    line = [(POISON, "bold"), (POISON, "")]
    assert "title" in plain(line)
    assert not steers(plain(line))
    assert not steers(painted(line))


def test_a_plain_view_writes_no_codes_of_others() -> None:
    stream = StringIO()
    view = LogDisplay(SafeStream(stream), color=True, environ={})
    view.print([(POISON, "red")])
    view.print_foreign(f"{POISON}\n\x1b[31m{POISON}\n", "label")
    assert stream.getvalue().count("title") == 3
    assert "\x1b[31mx" in stream.getvalue()
    assert not steers(stream.getvalue())


def test_reports_with_tables_hold_no_codes_of_others() -> None:
    sections: list[Section] = [POISON, [Column(POISON, [(POISON, "")])]]
    assert not steers(as_text(sections, 80))
    assert not steers(as_html(sections, 80))
