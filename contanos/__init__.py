"""Contanos: the framework that carries every stage of a video-analysis pipeline."""

from importlib.metadata import version

__version__ = version("contanos")
