"""Sizes of clusters for 1080p cameras, on paper and simulated.

python -m bench.sizing [--streams 10 100 1000] [--seconds 8] [--seed 1]
"""

import argparse
from collections.abc import Sequence

from bench.sizing import paper
from bench.sizing.inputs import ASSUMED, MEASURED
from bench.sizing.paper import Codec, Device, Scenario
from bench.sizing.simulation import Outcome, Stage, simulate

_WARM_UP = 0.3  # share of the simulated time
_FEWER = 0.2
_KINDS: tuple[tuple[Codec, Device], ...] = (("source", "cpu"), ("source", "gpu"), ("jpeg", "gpu"))
_CLIP = 60.0  # seconds of a short video, where many come one after the other


def main() -> None:
    """Print every table that `docs/sizing.md` quotes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--streams", type=int, nargs="+", default=(10, 100, 1000))
    parser.add_argument("--seconds", type=float, default=8.0, help="to simulate")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    scenarios = [
        Scenario(streams, codec, device) for streams in given.streams for codec, device in _KINDS
    ]
    print_inputs()
    print_workers(scenarios)
    print_kafka(scenarios)
    print_rebalances(given.streams)
    print_simulated(scenarios, given.seconds, given.seed)


def print_inputs() -> None:
    """What all rests on."""
    print("\n| measured | | by |\n| --- | --- | --- |")
    for value, what, command in MEASURED.values():
        print(f"| {what} | {value:g} | `{command}` |")
    print("\n| assumed | | because |\n| --- | --- | --- |")
    for value, what, why in ASSUMED.values():
        print(f"| {what} | {value:g} | {why} |")


def print_workers(scenarios: Sequence[Scenario]) -> None:
    """Processes, cores, cards and memory."""
    names = ["backend", *(stage.name for stage in paper.stages(scenarios[0])[1:-1])]
    print(f"\n| streams | frames as | on | {' | '.join(names)} | busy cores | GPUs | memory GB |")
    print("| --- " * (6 + len(names)) + "|")
    for each in scenarios:
        counts = [f"{stage.workers}" for stage in paper.stages(each)][:-1]
        print(
            f"| {_named(each)} | {' | '.join(counts)} | {paper.cores(each):.0f} | "
            f"{paper.gpus(each)} | {paper.memory(each) / 1e9:.0f} |"
        )
    print(f"\nan annotated 1080p video: at most {paper.video_fps():.0f} frames a second a stream")


def print_kafka(scenarios: Sequence[Scenario]) -> None:
    """Brokers and what they bear."""
    print(
        "\n| streams | frames as | on | topics | copies | in MB/s | out MB/s | disk GB, at most "
        "| brokers | bound by | maps a broker | consumers | metadata MB/s |"
    )
    print("| --- " * 13 + "|")
    for each in scenarios:
        need = paper.kafka(each)
        print(
            f"| {_named(each)} | {need.topics} | {need.copies} | {need.written / 1e6:.0f} | "
            f"{need.sent / 1e6:.0f} | {need.disk / 1e9:.0f} | {need.brokers} | {need.bound} | "
            f"{need.maps:.0f} | {need.consumers} | {need.metadata / 1e6:.1f} |"
        )


def print_rebalances(streams: Sequence[int]) -> None:
    """How often each group is disturbed."""
    print("\n| streams | each lasts | rebalances an hour of each group | share of its time |")
    print("| --- " * 4 + "|")
    for count in streams:
        for lifetime, name in ((8 * 3600.0, "8 h"), (_CLIP, "60 s")):
            need = paper.kafka(Scenario(count, "source", "gpu", lifetime=lifetime))
            print(f"| {count} | {name} | {need.changes:.0f} | {need.rebalancing:.0%} |")


def print_simulated(scenarios: Sequence[Scenario], seconds: float, seed: int) -> None:
    """The sized cluster, and one with fewer workers."""
    print(
        "\n| streams | frames as | on | workers | busiest station | used | its busiest worker "
        "| p50 ms | p95 ms | dropped | streams behind |"
    )
    print("| --- " * 11 + "|")
    for each in scenarios:
        sized = paper.stages(each)
        for name, stages in (("sized", sized), ("20 % fewer", paper.fewer(sized, _FEWER))):
            outcome = simulate(stages, each.load, seconds, _WARM_UP * seconds, seed)
            print(f"| {_named(each)} | {name}: {_count(stages)} | {_cells(each, outcome)} |")


def _cells(scenario: Scenario, outcome: Outcome) -> str:
    station = max(outcome.busy, key=outcome.utilisation)
    return (
        f"{station} | {outcome.utilisation(station):.0%} | {max(outcome.busy[station]):.0%} | "
        f"{1000 * outcome.latency(0.5):.0f} | {1000 * outcome.latency(0.95):.0f} | "
        f"{outcome.dropped / outcome.arrived:.1%} | {outcome.behind} of {scenario.streams}"
    )


def _count(stages: Sequence[Stage]) -> int:
    return sum(stage.workers for stage in stages if stage.name != "results")  # in the backend


def _named(scenario: Scenario) -> str:
    return f"{scenario.streams} | {scenario.codec} | {scenario.device}"


if __name__ == "__main__":
    main()
