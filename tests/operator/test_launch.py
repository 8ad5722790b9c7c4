"""The launch description: what it says is what the launcher reads, on every node."""

from dataclasses import replace
from pathlib import Path

from torchx.specs import macros

from finetune_operator.launch import NODE_RANK, ROLE, LaunchPlan, build_app
from finetune_trainer.launcher.arguments import NodeLaunch, parse_arguments

PLAN = LaunchPlan(
    name="arc-easy",
    config="/run/config.yaml",
    output="/output",
    run_dir=f"/run/node-{NODE_RANK}",
    cache="/cache",
    master_addr="arc-easy-0-0.arc-easy",
    master_port=29511,
    job_uid="uid",
    nodes=3,
    processes_per_node=2,
    attempt=4,
)


def read_by_node(plan: LaunchPlan, node: int) -> NodeLaunch:
    """What the launcher of one node makes of the role, as a scheduler hands it over."""
    values = macros.Values(img_root="", app_id="app", replica_id=str(node), rank0_env="")
    role = values.apply(build_app(plan).roles[0])
    assert role.args[:2] == ["-m", "finetune_trainer.launcher"]
    return parse_arguments(role.args[2:])


def test_one_role_has_a_replica_for_each_node() -> None:
    (role,) = build_app(PLAN).roles
    assert (role.name, role.num_replicas, role.max_retries) == (ROLE, 3, 0)


def test_every_node_is_told_its_own_rank_and_directory() -> None:
    launches = [read_by_node(PLAN, node) for node in range(3)]
    assert [launch.node_rank for launch in launches] == [0, 1, 2]
    assert [launch.run_dir for launch in launches] == [Path(f"/run/node-{node}") for node in range(3)]
    assert [launch.ranks for launch in launches] == [range(2), range(2, 4), range(4, 6)]
    assert [launch.prepares for launch in launches] == [True, False, False]


def test_the_launcher_reads_what_the_plan_says() -> None:
    launch = read_by_node(
        replace(PLAN, resume_from="older", code="/code", progress_port=8000, grace=12.5, prepare="done"), 0
    )
    assert (launch.resume_from, launch.code, launch.progress_port) == ("older", Path("/code"), 8000)
    assert (launch.grace, launch.prepare, launch.attempt, launch.nnodes) == (12.5, "done", 4, 3)
    assert (launch.master_addr, launch.master_port) == (PLAN.master_addr, PLAN.master_port)


def test_a_time_for_steps_reaches_the_launcher_and_otherwise_is_left_to_it() -> None:
    assert read_by_node(replace(PLAN, step_timeout=90), 1).step_timeout == 90.0
    assert read_by_node(PLAN, 1).step_timeout is None


def test_what_is_not_given_is_left_to_the_launcher() -> None:
    launch = read_by_node(PLAN, 0)
    assert (launch.resume_from, launch.code, launch.progress_port, launch.termination_log) == (None,) * 4


def test_the_same_plan_always_gives_the_same_description() -> None:
    assert build_app(PLAN) == build_app(PLAN)


def test_the_environment_is_the_plans_with_the_working_directory_kept_off_the_path() -> None:
    role = build_app(replace(PLAN, environment={"A": "1"})).roles[0]
    assert role.env == {"PYTHONSAFEPATH": "1", "A": "1"}


def test_preflight_is_left_to_the_launcher_unless_the_plan_decides() -> None:
    wanted = [read_by_node(replace(PLAN, preflight=choice), 1).wants_preflight for choice in (None, True, False)]
    assert wanted == [True, True, False]
    assert not read_by_node(replace(PLAN, nodes=1), 0).wants_preflight


def test_the_names_of_all_nodes_reach_the_launcher_as_they_are() -> None:
    assert read_by_node(replace(PLAN, peers="arc-easy-4-{rank}.arc-easy"), 2).peers == "arc-easy-4-{rank}.arc-easy"
