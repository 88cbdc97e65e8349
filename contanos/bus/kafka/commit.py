"""Commits offsets as a member of a group."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from contanos.bus.kafka.faults import NO_TOPIC, Endurance, described, error_of, passing
from contanos.errors import BusError, NotAssigned

_LOST = NO_TOPIC | {
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._FENCED,
}
_UNSETTLED_SECONDS = 1.0


def commit(client: Consumer, offsets: list[TopicPartition], endurance: Endurance) -> None:
    """Commit `offsets` with their metadata, all or none; return once the brokers have them.

    A rebalance may be under way. It goes on beside us, in the client's own thread, so the request
    is repeated: as soon as the client knows the group's new generation, the commit counts, since
    with cooperative rebalancing nobody gets our partitions before we gave them back in `poll`. If
    it does not get better within a second, the generation that we knew is lost, and so are we.

    Raises:
        NotAssigned: the group goes on without us.
        BusError: the brokers do not answer.
    """
    pauses = endurance.pauses("commit")
    started = time.monotonic()
    while error := _refusal(client, offsets):
        code = error.code()
        late = time.monotonic() > started + _UNSETTLED_SECONDS
        if code in _LOST or (code == KafkaError.ILLEGAL_GENERATION and late):
            raise NotAssigned(f"{described('commit', error)}: another member goes on from here")
        if code in (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS) or (
            passing(error)
        ):
            pauses(error)
        else:
            raise BusError(described("commit", error))


def _refusal(client: Consumer, offsets: list[TopicPartition]) -> KafkaError | None:
    """Why the commit did not succeed; None where it did."""
    try:
        done = client.commit(offsets=offsets, asynchronous=False)
    except KafkaException as e:
        return error_of(e)
    return next((each.error for each in done or () if each.error), None)
