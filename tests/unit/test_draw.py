"""What is drawn, where, and that nothing else changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contanos.messages import Detection
from contanos.skeleton import COCO_17, HALPE_26, SKELETONS, skeleton
from contanos.visualizer import Canvas, DrawOptions, Trails, draw_detections
from contanos.visualizer.colours import WHITE, Colour, track_colours
from contanos.visualizer.figures import limb_widths
from contanos.visualizer.labels import digit_height, find_place

KR, KB = 0.299, 0.114


def canvas(width: int = 320, height: int = 240, seed: int | None = 0) -> Canvas:
    """A picture of noise, which shows every change; of grey without a `seed`."""
    half = (-(-height // 2), -(-width // 2))
    if seed is None:
        planes = [np.full(shape, 128, np.uint8) for shape in ((height, width), half, half)]
    else:
        noise = np.random.default_rng(seed)
        planes = [noise.integers(16, 235, s, np.uint8) for s in ((height, width), half, half)]
    y, u, v = planes
    return Canvas(y, u, v, width, height, KR, KB)


def person(track_id: int | None = 1, score: float = 0.9, **changes: object) -> Detection:
    spread = np.linspace(0, 1, 17)
    points = tuple((110 + 40 * x, 90 + 100 * (1 - x), score) for x in spread.tolist())
    fields = {"bbox": (100.0, 80.0, 160.0, 200.0), "score": 0.92, "keypoints": points}
    return Detection(**(fields | {"track_id": track_id} | changes))  # type: ignore[arg-type]


def changed(before: Canvas, after: Canvas) -> np.ndarray:
    """Where luma or the chroma over it differs, bool [H, W]."""
    tint = (before.u != after.u) | (before.v != after.v)
    wide = tint.repeat(2, 0).repeat(2, 1)[: before.height, : before.width]
    return np.asarray((before.y != after.y) | wide)


def same(a: Canvas, b: Canvas) -> bool:
    return not changed(a, b).any()


def test_nothing_changes_outside_box_figure_and_label() -> None:
    drawn = canvas()
    draw_detections(drawn, [person()], COCO_17)
    where = changed(canvas(), drawn)
    assert where.mean() > 0.02
    where[80:200, 100:160] = False  # the box
    where[80 - 24 : 80, 100:180] = False  # its label
    assert not where.any()


def test_an_empty_scene_changes_nothing() -> None:
    drawn = canvas()
    draw_detections(drawn, [], COCO_17, Trails(10))
    assert same(drawn, canvas())


def test_the_box_has_the_tracks_colour_and_lies_where_it_should() -> None:
    drawn = canvas()
    draw_detections(drawn, [person(5, keypoints=None)])
    colour = track_colours(5, KR, KB).centre
    assert (drawn.y[80:200, 100] == colour.y).all()
    assert (drawn.y[199, 100:160] == colour.y).all()
    assert (drawn.u[40:100, 79] == colour.u).all()
    assert same_inside(drawn, slice(84, 190), slice(104, 150))


def same_inside(drawn: Canvas, rows: slice, columns: slice) -> bool:
    return not changed(canvas(), drawn)[rows, columns].any()


def test_people_without_a_track_are_drawn_grey() -> None:
    drawn = canvas()
    draw_detections(drawn, [person(None)], None)
    where = changed(canvas(), drawn)
    assert where.sum() == 2 * (60 + 116) * 2
    assert (drawn.u[where[::2, ::2]] == 128).all()
    limbs = canvas()
    draw_detections(limbs, [person(None)], COCO_17)
    assert changed(drawn, limbs).any()


def test_boxes_with_neither_track_nor_pose_are_not_drawn() -> None:
    drawn = canvas()
    draw_detections(drawn, [person(None, keypoints=None)], COCO_17)
    assert same(drawn, canvas())


def test_people_without_a_track_can_be_left_out() -> None:
    drawn = canvas()
    draw_detections(drawn, [person(None)], COCO_17, options=DrawOptions(untracked=False))
    assert same(drawn, canvas())


def test_keypoints_that_score_low_are_not_drawn() -> None:
    unseen, none = canvas(), canvas()
    draw_detections(unseen, [person(score=0.29)], COCO_17)
    draw_detections(none, [person(keypoints=None)], COCO_17)
    assert same(unseen, none)


def test_unsure_limbs_are_thinner() -> None:
    def area(score: float) -> int:
        drawn = canvas(1280, 960, seed=None)
        draw_detections(drawn, [person(score=score, bbox=(0.0, 0.0, 900.0, 900.0))], COCO_17)
        return int(changed(canvas(1280, 960, seed=None), drawn)[90:195, 105:160].sum())

    assert 0 < area(0.4) < 0.8 * area(0.6)


def test_a_skeleton_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="17 keypoints, but the skeleton halpe26 has 26"):
        draw_detections(canvas(), [person()], HALPE_26)


def test_strokes_lie_on_their_coordinates_in_luma_and_chroma() -> None:
    drawn = canvas(200, 200, seed=None)
    dot = np.array([[[100.5, 60.25], [100.5, 60.25]]])
    drawn.strokes(dot, np.array([20.0]), np.array([[220, 200, 60]], np.uint8), np.array([0.0]))
    rows, columns = np.mgrid[:200, :200] + 0.5
    luma = drawn.y.astype(float) - 128
    assert (luma * columns).sum() / luma.sum() == pytest.approx(100.5, abs=0.3)
    assert (luma * rows).sum() / luma.sum() == pytest.approx(60.25, abs=0.3)
    tint = drawn.u.astype(float) - 128  # sample i lies at column 2 i + 0.5 and row 2 i + 1
    assert (tint * (2 * columns[:100, :100] - 0.5)).sum() / tint.sum() == pytest.approx(
        100.5, abs=0.6
    )
    assert (tint * (2 * rows[:100, :100])).sum() / tint.sum() == pytest.approx(60.25, abs=0.6)
    assert luma.sum() / (220 - 128) == pytest.approx(np.pi * 100, rel=0.08)


def test_a_mask_of_zero_leaves_every_pixel_and_one_of_255_none() -> None:
    drawn = canvas()
    drawn.blend(10, 20, np.zeros((40, 60), np.uint8), WHITE)
    assert same(drawn, canvas())
    drawn.blend(-10, 220, np.full((40, 60), 255, np.uint8), Colour(77, 99, 200))
    assert (drawn.y[220:, :50] == 77).all()
    assert (drawn.v[110:, :25] == 200).all()
    assert same_inside(drawn, slice(0, 220), slice(0, 320))


corner = st.floats(-1e9, 1e9) | st.floats(-100, 500)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(corner, corner, corner, corner), max_size=4),
    st.integers(1, 99),
    st.integers(1, 99),
)
def test_no_box_is_too_far_out_and_no_picture_too_small(
    boxes: list[tuple[float, float, float, float]], width: int, height: int
) -> None:
    drawn, trails = canvas(width, height), Trails(3)
    for turn in range(3):
        people = [
            person(
                i,
                bbox=box,
                keypoints=(((box[0] + turn, box[1], 0.9)),) * 8 + ((3.0, 4.0, 1.0),) * 9,
            )
            for i, box in enumerate(boxes, 1)
        ]
        trails.update(people)
        draw_detections(drawn, people, COCO_17, trails)


@pytest.mark.parametrize("height", [480, 720, 1080, 2160])
def test_everything_grows_with_the_picture(height: int) -> None:
    picture = canvas(height * 16 // 9, height, seed=None)
    large = person(bbox=(0.0, 0.0, height / 2, float(height)))
    assert limb_widths(picture, [large])[0] == pytest.approx(4 * height / 720)
    assert digit_height(picture) == max(9, round(height / 60))


def test_small_people_get_finer_limbs() -> None:
    near, far = person(bbox=(0.0, 0.0, 300.0, 900.0)), person(bbox=(0.0, 0.0, 40.0, 110.0))
    widths = limb_widths(canvas(1920, 1080, seed=None), [near, far])
    assert widths[1] < widths[0] / 3


def test_labels_do_not_hide_each_other() -> None:
    picture, taken = canvas(), [(100, 60, 160, 80)]
    place = find_place(picture, person(), (60, 20), taken)
    assert place == (100, 40, 160, 60)
    at_the_top = person(bbox=(300.0, -5.0, 330.0, 50.0))
    assert find_place(picture, at_the_top, (60, 20), []) == (260, 0, 320, 20)


def test_colours_are_stable_distinct_and_legal() -> None:
    families = [track_colours(i, KR, KB) for i in range(1, 13)]
    centres = np.array([family.centre for family in families], float)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 1000 * np.eye(12)
    assert apart.min() > 20
    assert track_colours(1, KR, KB).centre == Colour(159, 93, 97)
    every = np.array([track_colours(i, KR, KB) for i in range(1, 300)])
    assert every.min() >= 16
    assert every.max() <= 240


def test_left_and_right_differ_but_stay_in_the_family() -> None:
    for track_id in range(1, 30):
        family = np.array(track_colours(track_id, KR, KB), float)
        assert np.linalg.norm(family[1] - family[2]) > 25
        assert np.linalg.norm(family[1:] - family[0], axis=1).max() < 75


def test_other_matrices_name_the_same_colour_otherwise() -> None:
    y, u, v = track_colours(7, 0.2126, 0.0722).centre
    red = (y - 16) / 219 + (v - 128) / 112 * (1 - 0.2126)
    blue = (y - 16) / 219 + (u - 128) / 112 * (1 - 0.0722)
    y, u, v = track_colours(7, KR, KB).centre
    assert red == pytest.approx((y - 16) / 219 + (v - 128) / 112 * (1 - KR), abs=0.01)
    assert blue == pytest.approx((y - 16) / 219 + (u - 128) / 112 * (1 - KB), abs=0.01)


def test_skeletons_are_consistent() -> None:
    for each in SKELETONS.values():
        assert len(each.keypoints) == len(each.sigmas) == len(set(each.keypoints))
        assert len(set(map(frozenset, each.links))) == len(each.links)
        assert skeleton(each.name) is each
    assert HALPE_26.keypoints[:17] == COCO_17.keypoints
    assert len(COCO_17.links) == 19
    assert COCO_17.side(5, 7) == "left"
    assert COCO_17.side(5, 6) == COCO_17.side(0) == "centre"
