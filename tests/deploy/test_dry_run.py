"""`nerv deploy --dry-run`: what is printed is kept whole, and nothing secret is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.golden import check_text
from tests.support.platforms import example

from nerv.deploy.ssh import Access, Target
from nerv.deploy.steps import Record, script
from nerv.errors import NervError
from nerv.operations import deploying
from nerv.operations.deployment import Deploy, Options
from nerv.operations.folder import PlatformFolder

GOLDEN = Path(__file__).parents[1] / "golden" / "deploy"


def deploy_of(name: str, node: str, target: Target | None = None, **options: object) -> Deploy:
    platform = example(name)
    found = next(one for one in platform.spec.nodes if one.name == node)
    return Deploy(
        folder=PlatformFolder(Path("/home/you") / name),
        platform=platform,
        node=found,
        target=target or Target(str(found.address)),
        record=Record(lambda text: None),
        options=Options(**options),  # type: ignore[arg-type]
        say=print,
    )


@pytest.mark.parametrize(
    ("name", "node", "target"),
    [
        ("nerv", "nerv-1", None),
        ("many-nodes", "server-2", Target("rescue.example.org", 2222, "admin")),
        ("many-nodes", "worker-1", None),
    ],
)
def test_every_step_of_a_node(name: str, node: str, target: Target | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/you/.config")
    # the console's image is made for machines like this one
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    one = deploy_of(name, node, target, build_on="local", access=Access(password="hunter2" if target else ""))
    made = script(f"{node} on {one.target}", deploying.steps(one))
    assert "hunter2" not in made
    check_text(GOLDEN / f"{name}-{node}.sh", made)


def test_all_machines_arrive_before_flux_is_waited_for() -> None:
    # Flux may find no place but on a worker: the first server's completion comes after every arrival
    made = [deploy_of("many-nodes", node) for node in ("server-1", "server-2", "worker-1")]
    ordered = [(one.node.name, [step.name for step in steps]) for one, steps in deploying.ordered(made)]
    assert [name for name, _ in ordered] == ["server-1", "server-2", "worker-1"] * 2
    assert all("join" in steps and "flux" not in steps and "health" not in steps for _, steps in ordered[:3])
    assert [steps for _, steps in ordered[3:]] == [["flux", "health"], ["health"], ["health"]]
    ((alone, steps),) = deploying.ordered(made[:1])
    assert (alone, [step.name for step in steps]) == (made[0], [step.name for step in deploying.steps(made[0])])
    later = [(one.node.name, [step.name for step in steps]) for one, steps in deploying.ordered(made[:1], "flux")]
    assert later == [("server-1", ["flux", "health"])]
    with pytest.raises(NervError, match="there is no step `flux`"):
        deploying.ordered(made, "flux")
