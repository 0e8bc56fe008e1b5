"""What all command lines share: what outputs may be, and what is left of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main as export_main
from onboard import bundle as bundles
from onboard.__main__ import main
from onboard.errors import UsageError
from onboard.outputs import open_whole, refuse_overwriting
from tests.conftest import Run, little_room

NAME = "skybook"


def test_an_output_that_is_an_input_is_refused_by_its_option(tmp_path: Path) -> None:
    source, link, other = tmp_path / "a.pkt", tmp_path / "b.pkt", tmp_path / "c.pkt"
    source.touch()
    link.symlink_to(source)
    other.touch()
    with pytest.raises(UsageError, match=r"--json .*b\.pkt: is the input .*a\.pkt, expected"):
        refuse_overwriting({"-o": other, "--json": str(link)}, [None, source])


@pytest.mark.parametrize("how", ["hard link", "symbolic link", "other spelling", "itself"])
def test_no_spelling_of_an_input_is_written_to(tmp_path: Path, how: str) -> None:
    source, other = tmp_path / "a.pkt", tmp_path / "b.pkt"
    source.touch()
    if how == "hard link":
        other.hardlink_to(source)
    elif how == "symbolic link":
        other.symlink_to(source.name)
    elif how == "other spelling":
        other = Path(f"{tmp_path}/../{tmp_path.name}/a.pkt")
    else:
        other = source
    with pytest.raises(UsageError, match="is the input"):
        refuse_overwriting({"-o": other}, [source])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_full_stdout_is_named(tmp_path: Path, how: list[str]) -> None:
    np.save(tmp_path / "i.npy", np.full((4, 8, 8), 7, np.uint16))
    made = ["encode", "i.npy", "--bundle", NAME, "-o", "o.sky", "--ratio", "0.5", *how]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "onboard", *made],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error 200: stdout: expected a place to write")
    assert (tmp_path / "o.sky").stat().st_size


def test_sign_and_delta_keep_what_they_read(tmp_path: Path) -> None:
    old, key = tmp_path / "old.skyb", tmp_path / "key.pem"
    shutil.copy(bundles.find(NAME), old)
    assert export_main(["keygen", "-o", str(key)]) == 0
    before = {path: path.read_bytes() for path in (old, key)}
    (tmp_path / "link.skyb").symlink_to(old)
    for output in ("old.skyb", "link.skyb", "key.pem"):
        sign = ["sign", str(old), "--key", str(key), "-o", str(tmp_path / output)]
        assert export_main(sign) == 2
    for output in ("old.skyb", "link.skyb"):
        assert export_main(["delta", NAME, str(old), "-o", str(tmp_path / output)]) == 2
        delta = ["delta", str(old), NAME, "-o", str(tmp_path / "d.skyd")]
        assert export_main([*delta, "--json", str(tmp_path / output)]) == 2
    assert {path: path.read_bytes() for path in (old, key)} == before


def test_two_outputs_have_two_places(tmp_path: Path) -> None:
    for one, other in (("a", "a"), ("b", f"../{tmp_path.name}/b")):
        with pytest.raises(UsageError, match=r"--json .*: is the output of -o"):
            refuse_overwriting({"-o": tmp_path / one, "--json": f"{tmp_path}/{other}"}, ())
    refuse_overwriting({"-o": Path("/dev/null"), "--json": "/dev/null"}, [Path("/dev/null")])


def test_no_command_writes_over_what_it_reads(run: Run, tmp_path: Path) -> None:
    shutil.copy(bundles.find(NAME), tmp_path / "m.skyb")
    image = np.arange(4 * 64 * 64, dtype=np.uint16)
    image.tofile(tmp_path / "raw.bil")
    np.save(tmp_path / "i.npy", image.reshape(4, 64, 64))
    made = ("encode", "i.npy", "--bundle", "m.skyb", "-o", "p.pkt", "--ratio", 4)
    assert run("onboard", *made).returncode == 0
    (tmp_path / "clouds").write_bytes(b"0")
    (tmp_path / "place.json").write_text("{}")
    for name in ("raw.bil", "i.npy", "p.pkt", "m.skyb", "clouds", "place.json"):
        (tmp_path / f"link-{name}").hardlink_to(tmp_path / name)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    encode = ("encode", "i.npy", "--bundle", "m.skyb")
    stream = ("stream", "--input", "raw.bil", "--layout", "bil", "--width", 64)
    stream = (*stream, "--bundle", "m.skyb")
    schedule = ("schedule", "p.pkt", "--bytes", 9_000)
    for command in (
        (*encode, "-o", "link-i.npy"),
        (*encode, "-o", "link-m.skyb"),
        (*encode, "-o", "x.sky", "--json", "x.sky"),
        (*stream, "-o", "link-raw.bil"),
        (*stream, "-o", "link-m.skyb"),
        (*stream, "-o", "x.pkt", "--priority-out", "./raw.bil"),
        (*stream, "-o", "x.pkt", "--priority-out", "x.pkt"),
        (*stream, "-o", "x.pkt", "--json", "link-raw.bil"),
        (*schedule, "-o", "link-p.pkt"),
        (*schedule, "-o", "link-clouds", "--priority", "clouds"),
        (*schedule, "-o", "link-place.json", "--region", "place.json"),
        (*schedule, "-o", "link-m.skyb", "--region", "0,0,9,9", "--bundle", "m.skyb"),
        ("protect", "p.pkt", "-o", "link-p.pkt"),
        ("info", "./m.skyb", "--json", "link-m.skyb"),
        ("selftest", "./m.skyb", "--json", "link-m.skyb"),
    ):
        done = run("onboard", *command)
        assert done.returncode == 2, (command, done.stderr)
        assert "expected another place to write to" in done.stderr
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_other_outputs_are_let_through(tmp_path: Path) -> None:
    source, other = tmp_path / "a.pkt", tmp_path / "c.pkt"
    source.touch()
    other.touch()
    outputs = {"-o": other, "--nak": tmp_path / "new.nak", "--quicklook": None, "--json": "-"}
    refuse_overwriting(outputs, [source, tmp_path / "absent.pkt", None])


def test_a_whole_file_is_removed_where_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    refused = pytest.raises(UsageError, match=r"a\.json: expected a place")
    with little_room(1_000), refused, open_whole(path) as file:
        file.write(bytes(5_000))
    assert not path.exists()
    with open_whole(path) as file:
        file.write(bytes(5_000))
    assert path.stat().st_size == 5_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_device_stays_where_it_is() -> None:
    refused = pytest.raises(UsageError, match="/dev/full: expected a place to write to: No space")
    with refused, open_whole(Path("/dev/full")) as file:
        file.write(b"x")
    assert Path("/dev/full").exists()


@pytest.mark.parametrize("command", ["encode", "stream"])
def test_what_grows_keeps_what_was_written_before_the_disk_was_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 4_000, 256 * 4 * 64).astype(np.uint16)
    noise.tofile(tmp_path / "x.bil")
    lines = [str(tmp_path / "x.bil")]
    form = ["--layout", "bil", "--bands", "4", "--width", "64", "--bundle", NAME, "--ratio", "5"]
    more = ["--rate-window", "strip"]
    if command == "stream":
        lines, more = ["--input", *lines], ["--strips-at-once", "1"]
    output = tmp_path / "x.pkt"
    arguments = [command, *lines, *form, *more, "-o", str(output)]
    assert main(arguments) == 0
    whole = output.read_bytes()
    with little_room(10_000):
        assert main(arguments) == 2
    assert f"error 200: {output}: expected a place to write to" in capsys.readouterr().err
    assert len(whole) > 10_000
    assert output.read_bytes() == whole[:10_000]


def test_packets_that_are_chosen_are_whole_or_not_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 4_000, (4, 64, 64)).astype(np.uint16)
    np.save(tmp_path / "i.npy", noise)
    source, output = str(tmp_path / "i.pkt"), tmp_path / "out.pkt"
    made = ["encode", str(tmp_path / "i.npy"), "--bundle", NAME, "--ratio", "4", "-o", source]
    assert main(made) == 0
    for command in (["schedule", source, "--bytes", "8000"], ["protect", source]):
        with little_room(3_000):
            assert main([*command, "-o", str(output)]) == 2
        assert not output.exists()
