import io
import itertools
import math

import pytest

from mien.learn.training.curves import Row, draw


def course(epochs: int, **columns: float) -> list[Row]:
    rest = {"size": 64, "loss": 2.0, "val_loss": 3.0, "mae": 6.0, "gender": 0.9}
    return [{"epoch": at + 1, **rest, **columns} for at in range(epochs)]


def test_both_losses_share_a_panel() -> None:
    loss, mae, gender = draw(course(4), "run").axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert [line.get_ydata()[0] for line in loss.lines] == [2.0, 3.0]  # type: ignore[index]
    assert {text.get_text() for text in loss.texts} == {"2.00", "3.00"}
    assert mae.get_title() == "validation MAE, years"
    assert gender.lines[0].get_ydata()[-1] == pytest.approx(90)  # type: ignore[index]


def test_what_a_network_does_not_answer_has_no_panel() -> None:
    ages = draw(course(4, gender=math.nan), "run")
    assert [axes.get_title() for axes in ages.axes] == ["loss", "validation MAE, years"]
    genders = draw(course(4, mae=math.nan), "run")
    assert [axes.get_title() for axes in genders.axes] == ["loss", "validation gender accuracy, %"]
    older = [{key: value for key, value in row.items() if key != "val_loss"} for row in course(3)]
    assert len(draw(older, "run").axes[0].lines) == 1


@pytest.mark.parametrize("epochs", [1, 2, 5, 15, 38, 100])
def test_epochs_are_whole_numbers_that_do_not_overlap(epochs: int) -> None:
    figure = draw(course(epochs), "run")
    figure.savefig(io.BytesIO(), dpi=60)
    for axes in figure.axes:
        left, right = axes.get_xlim()
        shown = [tick for tick in axes.xaxis.get_major_ticks() if left <= tick.get_loc() <= right]
        assert shown
        assert all(float(tick.get_loc()).is_integer() for tick in shown)
        boxes = sorted((tick.label1.get_window_extent() for tick in shown), key=lambda box: box.x0)
        assert all(one.x1 < two.x0 for one, two in itertools.pairwise(boxes))


def test_a_change_of_size_is_marked() -> None:
    rows = course(2, size=32) + [row | {"epoch": row["epoch"] + 2} for row in course(2)]
    assert [len(axes.lines) for axes in draw(rows, "run").axes] == [3, 2, 2]
