"""Frames as bytes."""

import pytest

from score.stalled import close_code, masked_frame


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", None),
        (b"\x81\x02hi", None),
        (b"\x88\x02\x03\xf5", 1013),
        (b"\x81\x02hi\x88\x02\x03\xf4", 1012),
        (b"\x81\x7e\x00\x80" + b"x" * 128 + b"\x88\x00", 1005),
        (b"\x82\x7f" + (70_000).to_bytes(8, "big") + b"\x88" * 70_000 + b"\x88\x05\x03\xe8bye", 1000),
        (b"\x81\x7e\x00", None),
        (b"\x88\x02\x03", None),
    ],
)
def test_the_close_frame_is_found_behind_other_frames(data, code):
    assert close_code(bytearray(data)) == code


@pytest.mark.parametrize(("size", "head"), [(5, 6), (125, 6), (126, 8), (2**16, 14)])
def test_a_masked_frame_has_a_head_for_its_length(size, head):
    frame = masked_frame(b"x" * size)

    assert len(frame) == head + size
    assert frame[1] & 0x80
