"""The batch PNG encoder against Pillow."""

from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from storage.errors import IntegrityError
from storage.shards.png import CHUNK_BYTES, FILTERS, decode_png, encode_png, filter_rows

images = st.tuples(
    st.integers(1, 3), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3, 4])
).flatmap(lambda shape: arrays(np.uint8, shape))


def by_pillow(file):
    with Image.open(BytesIO(file)) as image:
        image.load()
        return np.asarray(image), image.mode


@given(images)
def test_pillow_reads_every_pixel_again(images_NHWC):
    files = encode_png(images_NHWC)
    for file, image_HWC in zip(files, images_NHWC, strict=True):
        pixels, mode = by_pillow(file.as_py())
        assert mode == {1: "L", 3: "RGB", 4: "RGBA"}[image_HWC.shape[2]]
        np.testing.assert_array_equal(pixels.reshape(image_HWC.shape), image_HWC)
    np.testing.assert_array_equal(decode_png(files, images_NHWC.shape[1:]), images_NHWC)


def gradients(count, channels):
    """Images on which each filter has its advantage, 128 pixels wide."""
    ramp = np.arange(128, dtype=np.uint8)
    across = np.broadcast_to(ramp, (128, 128))
    noise = np.random.default_rng(0).integers(0, 9, (count, 128, 128, channels), dtype=np.uint8)
    return {
        "none": noise * 28,
        "sub": noise // 8 + across[None, :, :, None],
        "up": noise // 8 + across.T[None, :, :, None],
    }


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_of_several_chunks_is_read_again(channels):
    for images_NHWC in gradients(CHUNK_BYTES // (128 * 128 * channels) + 3, channels).values():
        decoded = decode_png(encode_png(images_NHWC), (128, 128, channels))
        np.testing.assert_array_equal(decoded, images_NHWC)


def test_smooth_images_are_filtered():
    for images_NHWC in gradients(4, 3).values():
        file = encode_png(images_NHWC)[0].as_py()
        buffer = BytesIO()
        Image.fromarray(images_NHWC[0]).save(buffer, "PNG")
        assert len(file) < 1.5 * buffer.tell()


@pytest.mark.parametrize("filter_type", FILTERS)
def test_filters_are_those_of_the_standard(filter_type):
    image = np.array([[[1, 2], [250, 4]], [[5, 6], [0, 255]]], np.uint8)[None].transpose(0, 1, 3, 2)
    rows = filter_rows(np.ascontiguousarray(image), filter_type)[0]
    flat = image[0].reshape(2, -1).astype(int)
    left = np.pad(flat, ((0, 0), (2, 0)))[:, :-2]
    above = np.pad(flat, ((1, 0), (0, 0)))[:-1]
    expected = {0: flat, 1: flat - left, 2: flat - above}[filter_type] % 256
    np.testing.assert_array_equal(rows[:, 0], filter_type)
    np.testing.assert_array_equal(rows[:, 1:], expected)


def test_equal_images_give_equal_bytes_whatever_their_memory_layout():
    images_NHWC = np.random.default_rng(1).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    strided = np.asfortranarray(images_NHWC)
    assert encode_png(images_NHWC).equals(encode_png(strided))


def test_no_image_is_no_file():
    assert len(encode_png(np.empty((0, 4, 4, 3), np.uint8))) == 0


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match="1, 3 or 4 channels"):
        encode_png(np.zeros((1, 4, 4, 2), np.uint8))


def test_damage_is_named_by_its_position():
    images_NHWC = np.random.default_rng(2).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    whole, said = encode_png(images_NHWC)[1].as_py(), set()
    for at in range(8, len(whole)):
        broken = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        try:
            decoded = decode_png(pa.array([whole, broken]), (8, 8, 3))
        except IntegrityError as error:
            said.add(str(error)[:8])
        else:
            np.testing.assert_array_equal(decoded[0], decoded[1])
    assert said == {"image 1 "}
    with pytest.raises(IntegrityError, match="image 1"):
        decode_png(pa.array([whole, whole[:-40]]), (8, 8, 3))


def test_another_shape_is_refused():
    files = encode_png(np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(IntegrityError, match="8 x 8 RGB, not 8 x 8 L"):
        decode_png(files, (8, 8, 1))
