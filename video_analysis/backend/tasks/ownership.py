"""Tasks of whoever asks for them."""

from video_analysis.backend.accounts.principal import Principal
from video_analysis.backend.database.tables import TaskRow
from video_analysis.backend.problems import refused
from video_analysis.backend.state import State


async def readable_task(state: State, who: Principal, task_id: str) -> TaskRow:
    """A task that they may see: their own, or for an administrator anybody's.

    Args:
        state: of the application.
        who: asks.
        task_id: from outside.

    Raises:
        HTTPException: 404, there is none, or it was deleted.
    """
    row = await state.database.read(lambda session: session.get(TaskRow, task_id))
    theirs = row and (row.user_id == who.owner_id or who.may("admin"))
    if row is None or row.deleted or not theirs:
        raise refused(404, f"no task {task_id} is yours")
    return row
