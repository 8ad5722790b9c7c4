from finetune_cli.cluster.table import job_table
from support import job_stories as stories


def test_a_job_is_one_line_with_all_numbers_of_its_progress() -> None:
    header, line = (line.plain for line in job_table([stories.view(stories.training(2))], stories.NOW))
    assert header.split() == ["NAME", "STATE", "STEP", "LOSS", "TOKENS/S", "ETA", "RESTARTS", "AGE"]
    assert line.split() == ["arc-easy", "Running", "12/40", "1.2346", "410", "3m05s", "1", "10m00s"]


def test_a_terminal_gets_a_bar_and_all_namespaces_a_column() -> None:
    jobs = [stories.view(stories.training()), stories.view(stories.new())]
    _, first, second = (line.plain for line in job_table(jobs, stories.NOW, namespaces=True, bars=True))
    assert first.split()[:5] == ["team", "arc-easy", "Running", "━━━━╌╌╌╌╌╌╌╌", "12/40"]
    assert second.split() == ["team", "arc-easy", "Pending", "-", "-", "-", "-", "0", "10m00s"]


def test_a_job_that_is_over_has_neither_speed_nor_time_left() -> None:
    _, line = (line.plain for line in job_table([stories.view(stories.complete())], stories.NOW))
    assert line.split() == ["arc-easy", "Complete", "40/40", "1.2346", "-", "-", "0", "10m00s"]


def test_jobs_are_sorted_by_name() -> None:
    bodies = [stories.new(), stories.new()]
    bodies[0]["metadata"]["name"] = "z"
    bodies[1]["metadata"]["name"] = "a"
    lines = job_table([stories.view(body) for body in bodies], stories.NOW)
    assert [line.plain[0] for line in lines] == ["N", "a", "z"]
