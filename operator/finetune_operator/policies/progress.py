"""Notes how far a run is: what rank 0 told when it was asked, or left as its last words, which are newer."""

from collections.abc import Sequence

from finetune_api.status import AttemptStatus, ProgressStatus
from finetune_operator.progress_report import LastWords, last_words_of
from finetune_operator.seen_pod import SeenPod
from finetune_operator.view import View, amended


def noted_progress(view: View, newest: AttemptStatus, pods: Sequence[SeenPod]) -> tuple[View, AttemptStatus]:
    """Return the view and the attempt with what is known of them now."""
    last = _last_words(pods)
    progress = _final(view, last) if last is not None else view.observed.progress
    if progress is not None:
        view = view.report(progress=progress)
    first = last.first_step if last is not None else view.observed.first_step
    if first is None or first == newest.first_step:
        return view, newest
    newest = amended(newest, first_step=first)
    return _credited(view, first).with_attempt(newest), newest


def _last_words(pods: Sequence[SeenPod]) -> LastWords | None:
    return next((last_words_of(pod.told) for pod in pods if pod.rank == 0 and pod.terminal and pod.told), None)


def _final(view: View, last: LastWords) -> ProgressStatus:
    """What was last told stays true where the last words are silent, but for when the run would end."""
    told = {name: value for name, value in last.progress if value is not None}
    told["estimated_completion_time"] = None
    if last.first_step is not None and last.progress.last_checkpoint_step is None:
        # It tells of every checkpoint that it saved or began from, so what an earlier attempt told is no more.
        told["last_checkpoint_step"] = last.first_step or None
    return amended(view.status.progress or ProgressStatus(), **told)


def own_progress(view: View) -> ProgressStatus | None:
    """Return what the newest attempt has told, and not what an earlier one has left behind.

    The same numbers with a step since its start are its own; the clocks of nodes may be hours away.
    """
    progress, newest = view.status.progress, view.attempt
    if progress is None or newest is None or stepped_in(progress, newest):
        return progress
    ends = [(one.last_step, one.checkpoint_step) for one in view.status.attempts[:-1]]
    return None if (progress.step, progress.last_checkpoint_step) in ends else progress


def stepped_in(progress: ProgressStatus | None, attempt: AttemptStatus) -> bool:
    """Whether the last step that was told is one of this attempt, by its time."""
    told = progress.last_step_time if progress else None
    return told is not None and attempt.start_time is not None and told >= attempt.start_time


def _credited(view: View, step: int) -> View:
    """An attempt that begins after `step` shows that the one before had saved it, though it died before it told."""
    if len(view.status.attempts) < 2:
        return view
    *earlier, before, newest = view.status.attempts
    saved = amended(
        before, checkpoint_step=max(step, before.checkpoint_step or 0), last_step=max(step, before.last_step or 0)
    )
    return view.report(attempts=(*earlier, saved, newest))
