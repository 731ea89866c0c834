"""The live view of `nerv up`: source -> Kustomization -> HelmRelease -> workloads, and what each waits for.

On a terminal the tree is drawn in place; elsewhere every change is a plain line with the seconds since the start.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from nerv.cli.status import summary
from nerv.operations.status import Item, PodItem, Status, short_revision

_MARK = {"True": "[green]●[/]", "False": "[red]✗[/]", "Unknown": "[yellow]○[/]"}
_SHOWN_PODS = 4


def tree(status: Status, seconds: float, note: str = "") -> RenderableType:
    """The whole picture. `note` is a last line, such as what is starting."""
    root = Tree(f"[bold]NERV {escape(status.name)}[/] [dim]engine {status.engine}, {seconds:.1f} s[/]")
    by_owner = _by_owner(status.releases)
    for source in (item for item in status.sources if item.kind == "GitRepository"):
        branch = root.add(_label(source, short_revision(source.revision)))
        for kustomization in status.kustomizations:
            leaf = branch.add(_label(kustomization, _after(kustomization)))
            for release in by_owner.get(f"{kustomization.namespace}/{kustomization.name}", ()):
                _add_pods(leaf.add(_label(release, release.revision)), _in_namespace(status.pods, release.namespace))
    shown = {release.namespace for release in status.releases}
    for namespace in sorted({pod.namespace for pod in (*status.pods, *status.console_pods)} - shown):
        pods = _in_namespace((*status.pods, *status.console_pods), namespace)
        _add_pods(root.add(f"{_pods_mark(pods)} Namespace {namespace}"), pods)
    lines: list[RenderableType] = [root, Text(""), Text(summary(status))]
    if note:
        lines.append(Text(note, style="dim"))
    return Group(*lines)


def _by_owner(releases: Iterable[Item]) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for release in releases:
        found.setdefault(release.owner, []).append(release)
    return found


def _label(item: Item, extra: str) -> str:
    mark = "[dim]‖[/]" if item.suspended else _MARK[item.ready]
    name = item.name if item.namespace == "flux-system" else f"{item.namespace}/{item.name}"
    told = f"{mark} {item.kind} [bold]{escape(name)}[/]"
    if extra:
        told += f" [dim]{escape(extra)}[/]"
    if item.ready != "True":
        colour = "red" if item.ready == "False" and item.reason != "DependencyNotReady" else "yellow"
        told += f" [{colour}]{escape(item.message or item.reason or 'waiting for its reconciler')}[/]"
    return told


def _after(item: Item) -> str:
    return f"after {', '.join(item.waits_for)}" if item.waits_for else ""


def _in_namespace(pods: Iterable[PodItem], namespace: str) -> list[PodItem]:
    return [pod for pod in pods if pod.namespace == namespace]


def _pods_mark(pods: list[PodItem]) -> str:
    return _MARK["True" if pods and all(pod.ready for pod in pods) else "Unknown"]


def _add_pods(branch: Tree, pods: list[PodItem]) -> None:
    if not pods:
        return
    ready = sum(pod.ready for pod in pods)
    real = sum(pod.runtime == "process" for pod in pods)
    processes = f", {real} as {'a real process' if real == 1 else 'real processes'}" if real else ""
    branch.add(f"{_pods_mark(pods)} {ready} of {len(pods)} pods Running{processes}")
    late = [pod for pod in pods if not pod.ready]
    for pod in late[:_SHOWN_PODS]:
        branch.add(f"[yellow]○[/] {escape(pod.name)} [yellow]{escape(pod.waits or pod.phase)}[/]")
    if len(late) > _SHOWN_PODS:
        branch.add(f"[dim]and {len(late) - _SHOWN_PODS} more[/]")


class LiveView:
    """Shows one status after the other on `console`, in place or line by line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._told: dict[tuple[str, str, str], str] = {}

    def __enter__(self) -> LiveView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, status: Status, seconds: float, note: str = "") -> None:
        """Draw `status`."""
        if self._live:
            self._live.update(tree(status, seconds, note), refresh=True)
            return
        for line in self.changes(status):
            self._console.print(f"{seconds:6.1f} s  {line}", markup=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """A remark above the tree."""
        self._console.print(line, markup=False, soft_wrap=True)

    def changes(self, status: Status) -> list[str]:
        """What is new since the last call, one line per Flux object, and the pods where their number changed."""
        lines = []
        for item in status.flux_objects:
            state = "Ready" if item.ready == "True" else item.reason or "waiting"
            told = f"{item.kind} {item.namespace}/{item.name}: {state} {item.message}".rstrip()
            if self._told.get((item.kind, item.namespace, item.name)) != told:
                self._told[(item.kind, item.namespace, item.name)] = told
                lines.append(told)
        pods = f"{sum(pod.ready for pod in status.pods)} of {len(status.pods)} pods Running"
        if self._told.get(("Pods", "", "")) != pods:
            self._told[("Pods", "", "")] = pods
            lines.append(pods)
        return lines
