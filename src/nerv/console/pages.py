"""The console's first pages: Flux (sources, Kustomizations, HelmReleases), pods, and Longhorn's volumes. All live.

A page holds one refreshable part that is drawn again when the state's version has grown.
"""

from __future__ import annotations

from collections.abc import Callable

from nicegui import app, ui
from starlette.requests import Request

from nerv.console.state import ConsoleState
from nerv.operations.status import Item, Status, short_revision

_REFRESH_SECONDS = 0.4
_COLOURS = {"True": "positive", "False": "negative", "Unknown": "warning"}
_WORDS = {"True": "Ready", "False": "Not ready", "Unknown": "In progress"}
_STYLE = """
body { background: #f6f7f9; }
.nerv-card { width: 100%; box-shadow: 0 1px 2px rgba(16, 24, 40, .08); border: 1px solid #e4e7ec; border-radius: 8px; }
.nerv-row { width: 100%; display: grid; grid-template-columns: 110px 1fr 190px 2fr; gap: 12px; align-items: center;
            padding: 7px 0; border-top: 1px solid #f0f1f4; }
.nerv-row:first-of-type { border-top: 0; }
.nerv-row .q-badge { justify-self: start; padding: 4px 8px; }
.nerv-row .nicegui-column { gap: 0; padding: 0; }
.nerv-name { font-weight: 600; overflow-wrap: anywhere; }
.nerv-dim { color: #667085; font-size: 13px; overflow-wrap: anywhere; }
"""


def register(state: ConsoleState) -> None:
    """Define the pages. The host name chooses what stands first: longhorn.<domain> opens on the volumes."""

    @ui.page("/")
    def front(request: Request) -> None:
        host = request.headers.get("host", "")
        _page(state, "Volumes" if host.startswith("longhorn.") else "Flux")

    @ui.page("/flux")
    def flux() -> None:
        _page(state, "Flux")

    @ui.page("/pods")
    def pods() -> None:
        _page(state, "Pods")

    @ui.page("/volumes")
    def volumes() -> None:
        _page(state, "Volumes")

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}


def _page(state: ConsoleState, section: str) -> None:
    draw: Callable[[ConsoleState], None] = {"Flux": _flux, "Pods": _pods, "Volumes": _volumes}[section]
    ui.add_css(_STYLE)
    ui.page_title(f"NERV {state.status().name}: {section}")
    with ui.header().classes("items-center bg-slate-800 q-px-lg"):
        ui.label("NERV").classes("text-xl font-bold")
        ui.label(state.status().name).classes("text-slate-300")
        ui.space()
        for name in ("Flux", "Pods", "Volumes"):
            weight = "font-bold underline" if name == section else ""
            ui.link(name, f"/{name.lower()}").classes(f"text-white no-underline q-ml-md {weight}")
    with ui.column().classes("w-full q-pa-md").style("max-width: 1280px; margin: 0 auto"):
        part = ui.refreshable(draw)
        part(state)
    seen = state.version

    def refresh() -> None:
        nonlocal seen
        if seen != state.version:
            seen = state.version
            part.refresh()

    ui.timer(_REFRESH_SECONDS, refresh)


def _flux(state: ConsoleState) -> None:
    status = state.status()
    _summary(status)
    _items("Sources", status.sources)
    _items("Kustomizations", status.kustomizations)
    _items("HelmReleases", status.releases)
    with ui.card().classes("nerv-card"):
        ui.label("Events").classes("text-lg font-semibold")
        for event in state.events():
            with ui.element("div").classes("nerv-row"):
                ui.label(event.time[11:19]).classes("nerv-dim")
                ui.label(f"{event.kind} {event.namespace}/{event.name}").classes("nerv-name")
                ui.badge(event.reason, color="negative" if event.warning else "grey-6")
                ui.label(event.message.splitlines()[0] if event.message else "").classes("nerv-dim")


def _summary(status: Status) -> None:
    with ui.row().classes("w-full"):
        _figure("Kustomizations", sum(i.ready == "True" for i in status.kustomizations), len(status.kustomizations))
        _figure("HelmReleases", sum(i.ready == "True" for i in status.releases), len(status.releases))
        _figure("Pods", sum(pod.ready for pod in status.pods), len(status.pods))
        _figure("Nodes", sum(ready for _, ready in status.nodes), len(status.nodes))


def _figure(title: str, ready: int, total: int) -> None:
    with ui.card().classes("nerv-card").style("width: 200px"):
        ui.label(title).classes("nerv-dim")
        colour = "text-green-700" if ready == total else "text-amber-700"
        ui.label(f"{ready} of {total}").classes(f"text-2xl font-bold {colour}")


def _items(title: str, items: tuple[Item, ...]) -> None:
    with ui.card().classes("nerv-card"):
        ui.label(title).classes("text-lg font-semibold")
        if not items:
            ui.label("none yet").classes("nerv-dim")
        for item in items:
            with ui.element("div").classes("nerv-row"):
                word = "Suspended" if item.suspended else _WORDS[item.ready]
                ui.badge(word, color="grey-6" if item.suspended else _COLOURS[item.ready])
                with ui.column().classes("gap-0"):
                    ui.label(item.name).classes("nerv-name")
                    ui.label(f"{item.kind} in {item.namespace}").classes("nerv-dim")
                ui.label(short_revision(item.revision)).classes("nerv-dim")
                ui.label(item.message or item.reason).classes("nerv-dim")


def _pods(state: ConsoleState) -> None:
    status = state.status()
    _summary(status)
    pods = (*status.pods, *status.console_pods)
    for namespace in sorted({pod.namespace for pod in pods}):
        with ui.card().classes("nerv-card"):
            ui.label(namespace).classes("text-lg font-semibold")
            for pod in (pod for pod in pods if pod.namespace == namespace):
                with ui.element("div").classes("nerv-row"):
                    ui.badge(pod.phase, color="positive" if pod.ready else "warning")
                    ui.label(pod.name).classes("nerv-name")
                    ui.label(pod.runtime).classes("nerv-dim")
                    ui.label(pod.waits or pod.owner).classes("nerv-dim")


def _volumes(state: ConsoleState) -> None:
    volumes = state.volumes()
    with ui.row().classes("w-full"):
        _figure("Healthy volumes", sum(volume.robustness == "healthy" for volume in volumes), len(volumes))
        attached = sum(volume.state == "attached" for volume in volumes)
        _figure("Attached", attached, len(volumes))
    with ui.card().classes("nerv-card"):
        ui.label("Volumes").classes("text-lg font-semibold")
        if not volumes:
            ui.label("No volume yet. A PersistentVolumeClaim of StorageClass longhorn makes one.").classes("nerv-dim")
        for volume in volumes:
            with ui.element("div").classes("nerv-row"):
                ui.badge(volume.state or "creating", color="positive" if volume.state == "attached" else "grey-6")
                with ui.column().classes("gap-0"):
                    ui.label(volume.name).classes("nerv-name")
                    ui.label(volume.claim or "no claim").classes("nerv-dim")
                ui.label(f"{volume.size / 2**30:.1f} GiB, {volume.robustness or 'unknown'}").classes("nerv-dim")
                ui.label(", ".join(volume.replicas) or "no replica").classes("nerv-dim")
    with ui.card().classes("nerv-card"):
        ui.label("Disks").classes("text-lg font-semibold")
        for node, path, available, maximum in state.disks():
            with ui.element("div").classes("nerv-row"):
                ui.badge("Schedulable", color="positive")
                ui.label(node).classes("nerv-name")
                ui.label(f"{available / 2**30:.0f} of {maximum / 2**30:.0f} GiB free").classes("nerv-dim")
                ui.label(path).classes("nerv-dim")
