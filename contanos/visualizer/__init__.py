"""Draws people into planar YUV 4:2:0 pictures, in place, without a detour over BGR."""

from contanos.visualizer.canvas import Canvas
from contanos.visualizer.draw import DrawOptions, draw_detections
from contanos.visualizer.hide import hidden_regions, hide_regions
from contanos.visualizer.trails import Trails

__all__ = ["Canvas", "DrawOptions", "Trails", "draw_detections", "hidden_regions", "hide_regions"]
