"""Boxes as other formats want them."""

from contanos.messages import Bbox


def xywh(bbox: Bbox) -> Bbox:
    """Left, top, width, height of x1, y1, x2, y2.

    Rounded where the subtraction of two decimals leaves binary dust, far below what is stored.
    """
    x1, y1, x2, y2 = bbox
    return x1, y1, round(x2 - x1, 9), round(y2 - y1, 9)
