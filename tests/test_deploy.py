import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.deploy import centre_square, load, predict_centre, process_and_predict
from mien.errors import NotAnImage, PhotoMissing, UsageError
from mien.estimate.estimator import Estimates


@pytest.fixture
def striped(tmp_path: Path) -> Path:
    """A wide picture, black at both ends; its middle square is bright on the left and reddish."""
    pixels = np.zeros((120, 240, 3), np.uint8)
    pixels[:, 60:180] = (150, 100, 100)
    pixels[:, 60:120] += 50
    Image.fromarray(pixels).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def test_the_middle_is_cut_out_and_estimated(striped: Path, tiny_bundle: Path) -> None:
    answer = predict_centre(striped, load(tiny_bundle))
    assert answer.years == pytest.approx(100 * (200 + 150 + 150) / 3 / 255, abs=1)  # the left half of the square
    assert (answer.gender.label, answer.picture.size, answer.picture.mode) == ("female", (300, 300), "RGB")
    shown = np.asarray(answer.picture)
    np.testing.assert_array_equal(shown[150, 75], (200, 150, 150))
    np.testing.assert_array_equal(shown[150, 225], (150, 100, 100))


def test_two_lines_are_written_and_the_picture_returned(
    striped: Path, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    picture = process_and_predict(striped, tiny_bundle, stream)
    assert stream.getvalue() == "age: 65 years\ngender: female (88%)\n"
    assert isinstance(picture, Image.Image)
    assert capsys.readouterr().out == ""
    process_and_predict(str(striped), load(tiny_bundle))
    assert capsys.readouterr().out == stream.getvalue()


def test_the_resize_is_lanczos_at_the_model_s_size(striped: Path, tiny_bundle: Path) -> None:
    estimator = load(tiny_bundle)
    seen: list[np.ndarray] = []

    class Watching(type(estimator)):  # type: ignore[misc]
        def __call__(self, chips: np.ndarray) -> Estimates:
            seen.append(chips)
            return super().__call__(chips)  # type: ignore[no-any-return]

    predict_centre(striped, Watching(estimator.bundle))
    with Image.open(striped) as image:
        wanted = centre_square(image).resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(seen[0], np.asarray(wanted)[np.newaxis])


def test_the_shipped_model_knows_the_portraits_when_cut_close(examples: Path, tmp_path: Path) -> None:
    with Image.open(examples / "astronaut.jpg") as image:
        image.crop((155, 45, 305, 195)).save(tmp_path / "close.png")
    stream = io.StringIO()
    process_and_predict(tmp_path / "close.png", stream=stream)
    age, gender = stream.getvalue().splitlines()
    assert 20 <= int(age.split()[1]) <= 55
    assert gender.startswith("gender: female")


@pytest.mark.parametrize(("size", "left"), [((7, 4), 1), ((4, 7), 0), ((5, 5), 0)])
def test_the_square_is_in_the_middle(size: tuple[int, int], left: int) -> None:
    image = Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0]))
    square = centre_square(image)
    side = min(size)
    assert square.size == (side, side)
    top = (size[1] - side) // 2
    np.testing.assert_array_equal(np.asarray(square), np.asarray(image)[top : top + side, left : left + side])


def test_errors_are_those_of_the_house(tmp_path: Path, striped: Path, tiny_bundle: Path) -> None:
    with pytest.raises(PhotoMissing):
        process_and_predict(tmp_path / "nobody.jpg", tiny_bundle)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(NotAnImage):
        process_and_predict(tmp_path / "text.jpg", tiny_bundle)
    with pytest.raises(UsageError, match="did you mean 'mien-m'"):
        process_and_predict(striped, "mien-mm")
