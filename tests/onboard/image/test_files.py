"""Images that are mapped from files, and let go."""

import mmap
from pathlib import Path

import numpy as np
import pytest

from onboard.image.files import let_go, read_npy


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="memory is given back on Linux")
def test_a_mapped_image_is_let_go_and_is_still_there(tmp_path: Path) -> None:
    size = 64 << 20
    np.save(tmp_path / "a.npy", np.arange(size // 2, dtype=np.uint16).reshape(2, 4_096, -1))
    image = read_npy(tmp_path / "a.npy")
    total = int(image.sum(dtype=np.int64))
    before = resident()
    let_go(image[:, :7])
    assert before - resident() > size // 2
    assert int(image.sum(dtype=np.int64)) == total


def test_what_is_no_mapped_file_stays_as_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1, 64, 4_096), np.uint16))
    own = np.load(tmp_path / "a.npy", mmap_mode="c")
    own[:] = 7
    plain = np.full((1, 4, 4), 7, np.uint16)
    for image in (own, own[:, :3], plain, np.broadcast_to(plain, (3, 4, 4))):
        let_go(image)
        assert (image == 7).all()
