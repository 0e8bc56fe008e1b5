from pathlib import Path

import pytest

from onboard.commands.commandline import refuse_overwriting
from onboard.errors import UsageError


def test_an_output_that_is_an_input_is_refused_by_its_option(tmp_path: Path) -> None:
    source, link, other = tmp_path / "a.pkt", tmp_path / "b.pkt", tmp_path / "c.pkt"
    source.touch()
    link.symlink_to(source)
    other.touch()
    with pytest.raises(UsageError, match=r"--json .*b\.pkt: is the input .*a\.pkt, expected"):
        refuse_overwriting({"-o": other, "--json": str(link)}, [None, source])


def test_other_outputs_are_let_through(tmp_path: Path) -> None:
    source, other = tmp_path / "a.pkt", tmp_path / "c.pkt"
    source.touch()
    other.touch()
    outputs = {"-o": other, "--nak": tmp_path / "new.nak", "--quicklook": None, "--json": "-"}
    refuse_overwriting(outputs, [source, tmp_path / "absent.pkt", None])
