"""as_summary: converts a metric to a number, histogram, image or video for TensorBoard."""

from __future__ import annotations

import io
import math
import numbers
import re
from typing import TYPE_CHECKING, Any

from localtune.logger.event_file import load_tensorboardx

if TYPE_CHECKING:
    import numpy as np

_NOT_IN_TAGS = re.compile(r"[^-/\w.]")
_BINS = 60  # twice the number of bins that TensorBoard draws
_MS_PER_FRAME = 50  # 20 frames per second
# Pillow's names by number of channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class NotShownError(ValueError):
    """Raised for a value that TensorBoard cannot show; the message gives the reason."""


def as_summary(tag: str, value: Any) -> Any:
    """Returns a metric as tensorboardX's ``Summary``.

    Args:
        tag: Name in TensorBoard; characters that TensorBoard refuses become ``_``.
        value: A number becomes a scalar, and a list or an array a histogram. An array of 3, 4 or
            5 dimensions (CHW, NCHW, NTCHW; numbers from 0 to 1, or bytes) becomes an image, a row
            of images or a row of videos.

    Returns:
        The summary; None for values that are not shown: NaN, strings, None, empty lists.

    Raises:
        NotShownError: for a list or an array that cannot be shown.
    """
    import numpy as np

    if isinstance(value, np.ndarray) and value.ndim in (3, 4, 5):
        return _picture(tag, value) if value.size else None
    if isinstance(value, (list, np.ndarray)):
        return _histogram(tag, value) if np.size(_array(value)) else None
    if isinstance(value, numbers.Real):
        return _scalar(tag, value)
    return None


def _scalar(tag: str, value: Any) -> Any:
    try:
        number = float(value)
    except OverflowError:
        raise NotShownError("it is larger than any floating-point number.") from None
    if math.isnan(number):
        return None
    # tensorboardX's own function for scalars warns of infinity.
    return _summary(tag, simple_value=number)


def _histogram(tag: str, value: Any) -> Any:
    import numpy as np

    array = _array(value).astype(float).ravel()
    finite = array[np.isfinite(array)]
    if not finite.size:
        return None
    if np.abs(finite).max() > 1e150:
        raise NotShownError("it holds numbers whose squares are too large.")
    return load_tensorboardx().summary.histogram(tag, finite, bins=_BINS)


def _array(value: Any) -> np.ndarray[Any, Any]:
    import numpy as np

    try:
        array = np.asarray(value)
    except ValueError:
        raise NotShownError("its rows differ in length.") from None
    if array.dtype.kind not in "biuf":
        raise NotShownError("it holds other values than numbers.")
    return array


def _picture(tag: str, value: Any) -> Any:
    """Returns an image, or a video as an animated GIF; several are put side by side."""
    array = _array(value)
    videos = array.reshape((1,) * (5 - array.ndim) + array.shape)  # NTCHW
    if array.ndim == 4:
        videos = videos.swapaxes(0, 1)  # N images become N videos of one frame.
    count, frames, channels, height, width = videos.shape
    if channels not in _MODES:
        raise NotShownError(f"an image has 1, 3 or 4 channels, but it has {channels}.")
    side_by_side = videos.transpose(1, 3, 0, 4, 2)  # T H N W C
    pixels = _as_bytes(side_by_side.reshape(frames, height, count * width, channels))
    encoded = _encode(pixels, is_video=array.ndim == 5)
    image = {
        "height": height,
        "width": count * width,
        "colorspace": channels,
        "encoded_image_string": encoded,
    }
    return _summary(tag, image=image)


def _summary(tag: str, **value: Any) -> Any:
    return load_tensorboardx().summary.Summary(value=[{"tag": _NOT_IN_TAGS.sub("_", tag), **value}])


def _as_bytes(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if array.dtype == np.uint8:
        return array
    pixels: np.ndarray[Any, Any] = np.nan_to_num(array.astype(float)).clip(0, 1) * 255
    return pixels.astype(np.uint8)


def _encode(frames: np.ndarray[Any, Any], is_video: bool) -> bytes:
    try:
        from PIL import Image
    except ImportError:
        raise NotShownError("images need the package 'pillow'.") from None
    mode = _MODES[frames.shape[-1]]
    size = (frames.shape[2], frames.shape[1])
    first, *others = [Image.frombytes(mode, size, frame.tobytes()) for frame in frames]
    file = io.BytesIO()
    if is_video:
        first.save(file, "GIF", save_all=True, append_images=others, duration=_MS_PER_FRAME, loop=0)
    else:
        first.save(file, "PNG")
    return file.getvalue()
