"""Graphs by options: who is in them, who reads what, and who carries them."""

from collections import Counter
from typing import get_args

import pytest

from contanos.bus import TopicSpec
from contanos.bus.memory import MemoryBus
from contanos.stage.contract import Task
from video_analysis.assembly import create_topics, delete_topics
from video_analysis.pipeline import graph, graph_for, graphs
from video_analysis.services import SERVICES
from video_analysis.settings import GraphName, Options

GRAPHS: tuple[GraphName, ...] = get_args(GraphName)
VIDEO = pytest.mark.parametrize("video", [True, False])
NAME = pytest.mark.parametrize("name", GRAPHS)


@NAME
@VIDEO
def test_face_blur_is_the_last_stage_before_the_outputs_or_none(
    name: GraphName, video: bool
) -> None:
    plain, blurred = (graph(name, video, blur) for blur in (False, True))
    assert "faceblur" not in {node.stage for node in plain.nodes}
    assert blurred.last == "faceblur"
    assert blurred.sinks == plain.sinks
    stages = [node.stage for node in blurred.nodes if node.stage != "faceblur"]
    assert stages == [node.stage for node in plain.nodes]
    reads = {node.stage: node.results for node in blurred.nodes}
    assert reads["faceblur"] == plain.last
    assert {reads[sink] for sink in blurred.sinks} == {"faceblur"}


@NAME
@VIDEO
def test_what_comes_before_is_one_place_in_both(name: GraphName, video: bool) -> None:
    plain, blurred = (set(graph(name, video, blur).nodes) for blur in (False, True))
    shared = {"yolox", "rtmpose", "bytetrack"}
    assert {node.stage for node in plain & blurred} == shared
    assert {node.group for node in blurred - plain} == {
        f"{stage}-{name}_blur" for stage in graph(name, video).sinks | {"faceblur"}
    }


@NAME
def test_a_graph_without_a_video_has_the_places_of_one_with_it(name: GraphName) -> None:
    for blur in (False, True):
        assert set(graph(name, False, blur).nodes) < set(graph(name, True, blur).nodes)


def test_a_group_reads_one_stage_in_one_way() -> None:
    places = {node for each in graphs() for node in each.nodes}
    assert not [group for group, n in Counter(node.group for node in places).items() if n > 1]


def test_every_stage_is_carried_by_one_service() -> None:
    carried = [stage for service in SERVICES.values() for stage in service.stages]
    assert sorted(carried) == sorted({node.stage for each in graphs() for node in each.nodes})


def test_options_choose() -> None:
    assert graph_for(Options()) == graph("pose_first")
    options = Options(graph="track_first", video=False, blur=True)
    assert graph_for(options) == graph("track_first", False, True)


@pytest.mark.parametrize("blur", [False, True])
def test_all_topics_go_that_were_made(blur: bool) -> None:
    bus, wired = MemoryBus(), graph("pose_first", blur=blur)
    bus.create_topic("faceblur_b", TopicSpec())  # another task's
    create_topics(bus, wired, Task("a", 64, 48, 25.0), 96)
    assert ("faceblur_a" in bus.topics()) == blur
    delete_topics(bus, wired, "a")
    assert bus.topics() == ["faceblur_b"]
    bus.close()
