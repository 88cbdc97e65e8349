"""The simulation behind docs/sizing.md obeys the laws of queues, and the paper is consistent."""

import math
from dataclasses import replace

import pytest

from bench.sizing import paper
from bench.sizing.paper import Scenario
from bench.sizing.simulation import Load, Outcome, Stage, Station, simulate

FPS = 25.0
SERIAL = Stage("serial", 2, (Station("", 1, 0.004),))
POOL = Stage("pool", 3, (Station("reader", 1, 0.002), Station("pool", 2, 0.001, 0.004, 4, 0.1)))
LOAD = Load(streams=8, fps=FPS, units=2.0, in_flight=64, hop=0.005)


def run(*stages: Stage, load: Load = LOAD, seconds: float = 12.0, seed: int = 3) -> Outcome:
    return simulate(stages, load, seconds, warm_up=4.0, seed=seed)


def test_every_frame_is_finished_dropped_or_still_inside() -> None:
    outcome = run(SERIAL, POOL)
    assert outcome.arrived == outcome.finished + outcome.dropped + outcome.inside
    assert outcome.arrived == pytest.approx(LOAD.streams * FPS * 12, abs=LOAD.streams)
    assert outcome.dropped == 0


def test_use_is_throughput_times_service_over_servers() -> None:
    outcome = run(SERIAL)
    expected = outcome.throughput * 0.004 / 2
    assert outcome.utilisation("serial") == pytest.approx(expected, rel=0.03)
    assert outcome.throughput == pytest.approx(LOAD.streams * FPS, rel=0.01)


def test_frames_inside_are_throughput_times_latency() -> None:
    """Little's law, where nothing but the hop takes time that is not known."""
    outcome = run(replace(SERIAL, workers=8), load=replace(LOAD, hop=0.2), seconds=20)
    inside = outcome.throughput * sum(outcome.latencies) / len(outcome.latencies)
    assert outcome.inside == pytest.approx(inside, abs=LOAD.streams)


def test_the_same_seed_gives_the_same_and_another_does_not() -> None:
    assert run(SERIAL, POOL) == run(SERIAL, POOL)
    assert run(SERIAL, POOL) != run(SERIAL, POOL, seed=4)


def test_too_few_workers_fall_behind_and_cameras_drop() -> None:
    slow = replace(SERIAL, stations=(Station("", 1, 0.02),))
    outcome = run(slow)
    assert not outcome.keeps_up
    assert outcome.dropped > 0
    assert outcome.utilisation("serial") == pytest.approx(1.0, abs=0.01)
    assert outcome.throughput == pytest.approx(2 / 0.02, rel=0.05)
    assert outcome.inside <= LOAD.streams * LOAD.in_flight


def test_more_workers_are_never_slower() -> None:
    p95 = [run(replace(SERIAL, workers=count)).latency(0.95) for count in (1, 2, 4)]
    assert p95 == sorted(p95, reverse=True)


def test_a_full_batch_is_cheaper_a_person_than_one_that_lingered() -> None:
    lone = run(POOL, load=replace(LOAD, streams=1, units=1.0))
    many = run(POOL, load=replace(LOAD, streams=30, units=1.0))
    spent = [each.utilisation("pool pool") / each.throughput for each in (lone, many)]
    assert spent[0] > spent[1]
    assert lone.latency(0.95) > 0.1  # seconds: it lingered


def test_lanes_of_one_stream_are_put_in_order_again() -> None:
    spread = replace(POOL, lanes=3)
    outcome = run(spread, SERIAL, load=replace(LOAD, streams=1))
    busy = outcome.busy["pool reader"]
    assert min(busy) > 0  # every worker has one of the three lanes
    assert outcome.inside + outcome.finished == outcome.arrived


def test_a_segment_makes_room_only_when_it_is_whole() -> None:
    tight = replace(LOAD, in_flight=16, release=16, hop=0.2)
    assert run(SERIAL, load=tight).dropped > run(SERIAL, load=replace(tight, release=1)).dropped


@pytest.mark.parametrize("streams", [1, 10, 100])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_no_thread_is_planned_beyond_the_target(streams: int, device: paper.Device) -> None:
    scenario = Scenario(streams, "source", device)
    for stage in paper.stages(scenario):
        lanes = math.ceil(streams * stage.lanes / stage.workers)
        assert lanes == 1 or lanes <= paper.lanes_a_worker(stage)


@pytest.mark.parametrize("codec", ["source", "jpeg"])
def test_a_cluster_of_the_size_that_was_counted_keeps_up(codec: paper.Codec) -> None:
    scenario = Scenario(10, codec, "cpu")
    stages = paper.stages(scenario)
    outcome = simulate(stages, scenario.load, seconds=6.0, warm_up=2.0, seed=1)
    assert outcome.keeps_up
    for stage in stages:
        for station in stage.stations:
            planned = paper.lane_load(station, stage.lanes) * 10 * stage.lanes / stage.workers
            used = outcome.utilisation(f"{stage.name} {station.name}".strip())
            assert used == pytest.approx(planned, rel=0.15)  # chance has its part in 4 s


def test_a_batch_that_cannot_be_divided_evenly_is_padded() -> None:
    assert paper.padding(3.0, 1) == pytest.approx(1.0)
    assert paper.padding(100.0, 4) == pytest.approx(101.5 / 100, rel=0.01)
    outcome = run(POOL, load=replace(LOAD, streams=30, units=3.0))
    spent = outcome.utilisation("pool pool") * 6 / outcome.throughput
    assert spent == pytest.approx(0.001 + 0.004 * 3 * paper.padding(3.0, 4), rel=0.03)


def test_brokers_bear_more_with_more_streams() -> None:
    needs = [paper.kafka(Scenario(count, "jpeg", "gpu")) for count in (10, 100, 1000)]
    assert [need.topics for need in needs] == [60, 600, 6000]
    assert needs[0].brokers <= needs[1].brokers < needs[2].brokers
    assert needs[2].sent == pytest.approx(100 * needs[0].sent)
