"""The running half of one platform, composed: the one place where the two halves meet.

Order matters and is read from top to bottom in `Cluster._start`: network, API server, controllers, nodes, mirror, and
at last the repository. Everything after the engine speaks to the Kubernetes API alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nerv.controllers import services
from nerv.controllers.runtime import Controller, EventRecorder, Informers, SystemClock
from nerv.controllers.services import ServicesConfig
from nerv.deploy import flux
from nerv.engines.ports import HeldPort
from nerv.engines.protocol import Endpoint, Engine, EngineConfig, ReconcilerConfig
from nerv.errors import NervError
from nerv.kube import kubeconfig
from nerv.kube.client import Client
from nerv.mirror import Inside, Mirror, MirrorConfig, Outlets, keeps_address, reached_at
from nerv.network import choosing
from nerv.network.choosing import Choice
from nerv.network.driver import DialError, Network, NetworkConfig
from nerv.network.publish import Publisher
from nerv.network.services import ServiceTable
from nerv.node.agent import NodeAgent
from nerv.node.context import NodeConfig, NodeContext
from nerv.node.programs import Programs
from nerv.operations import (
    authority,
    bootstrap,
    engines,
    failing,
    images,
    keys,
    memory,
    networking,
    offline,
    pki,
    ports,
)
from nerv.operations import folder as folders
from nerv.operations import plan as plans
from nerv.operations.dashboards import Dashboards
from nerv.operations.folder import PlatformFolder
from nerv.operations.plan import Plan
from nerv.operations.relayed import ConsolePorts
from nerv.operations.status import Status
from nerv.operations.watching import StatusWatch
from nerv.rendering.nixos import policies
from nerv.tasks import Supervisor

_log = logging.getLogger(__name__)
# Until nodes have written what became of their pods, and controllers have taken up what their informers told them.
_SETTLE_SECONDS = 0.3
_PROXY_PORT = 3128
_ADMIN = ("system:admin", ("system:masters", "system:authenticated"))


@dataclass(frozen=True)
class Options:
    """How a platform is brought up."""

    offline: bool = False
    engine: str | None = None
    """None: the one that it ran on last"""
    bare: bool = False
    """start with nothing in the cluster; remembered"""
    network: str | None = None
    """driver of the network; None: the one of the last start, else what can be had"""


class Cluster:
    """A platform that runs in this process. Made by `prepare`, driven by `run`."""

    def __init__(
        self, folder: PlatformFolder, plan: Plan, options: Options, engine: Engine, driver: tuple[Choice, str]
    ) -> None:
        self.folder = folder
        self.note = "starting the cluster's network"
        self._plan = plan
        self._options = options
        self._driver = driver
        self._network_lines: tuple[str, ...] = ()
        self._failing: tuple[str, ...] = ()
        self._mirror: Mirror | None = None
        self._outlets: Outlets | None = None
        self._tasks = Supervisor()
        self._engine = engine
        self._watch: StatusWatch | None = None
        self._started = asyncio.Event()
        self._client: Client | None = None
        self._controllers: list[Controller] = []
        self._agents: list[NodeAgent] = []
        self._settled = False
        self._dashboards: Dashboards | None = None

    @classmethod
    @asynccontextmanager
    async def prepare(cls, folder: PlatformFolder, options: Options) -> AsyncIterator[Cluster]:
        """Read the definition, check the machine, hold the platform's lock. Raises NervError with nothing written."""
        plan = plans.load(folder)
        driver = await networking.choose(folder, options.network)
        engine = engines.create(engines.chosen(folder, options.engine))
        engine.check()
        with folders.hold_lock(folder, plan.name, engine.name):
            folders.open_state(folder)
            if options.bare:
                _begin_bare(folder)
            engines.remember(folder, engine.name)
            yield cls(folder, plan, options, engine, driver)

    @property
    def bare(self) -> bool:
        """Whether the cluster was started with nothing in it: `nerv bootstrap` fills it from a Git server."""
        return self.folder.bare.exists()

    @property
    def started(self) -> bool:
        """Whether there is a status to show."""
        return self._watch is not None

    async def changed(self) -> None:
        """Wait for the next change of the status."""
        await self._started.wait()
        assert self._watch is not None
        await self._watch.next()

    def trim(self) -> None:
        """Give memory back that only starting needed."""
        memory.trim()

    def status(self) -> Status:
        """The status now; only after `changed`."""
        assert self._watch is not None
        refused = offline.lines(self._refused())
        return replace(self._watch.status(), network=self._network_lines, offline=refused, failing=self._failing)

    async def ready(self) -> bool:
        """Write what users need to reach a healthy platform. False while anything that was begun is not done.

        A platform that was healthy when it died is so in its database at once: only when nodes have looked at their
        pods and no controller has work left is it healthy again.
        """
        if self._client is None or not self._settled or any(controller.busy for controller in self._controllers):
            return False
        empty = self.bare and self.status().awaits_bootstrap
        if not empty and not await self._reachable(self._client):
            return False
        self.folder.healthy_marker.touch(mode=0o600)
        return True

    async def _reachable(self, client: Client) -> bool:
        """Whether the dashboards' authority is known and they answer."""
        if not await authority.write(client, self.folder.ca_file, self._plan.authority_secret):
            return False
        return await self._dashboards_answer()

    async def _dashboards_answer(self) -> bool:
        assert self._dashboards is not None
        address = next((each.address for each in self.status().addresses if 443 in each.ports), "")
        if not self._plan.dashboards or (address and await self._dashboards.answer(address)):
            self.note = "Ctrl-C stops it"
            return True
        waiting = (f"{host} ({problem})" for host, problem in self._dashboards.waiting.items())
        self.note = f"waiting for the dashboards to answer: {', '.join(waiting)}"
        return False

    async def run(self) -> None:
        """Bring the platform up and keep it until cancelled; then end everything that was started."""
        async with AsyncExitStack() as stack:
            network = await self._start(stack)
            while True:
                await network.renewed()
                await asyncio.gather(*(agent.renew_networks() for agent in self._agents))

    async def _start(self, stack: AsyncExitStack) -> Network:
        plan, state = self._plan, self.folder.state
        run_folder = folders.private_folder(self.folder.run_folder)
        network = await self._start_network(run_folder)
        stack.push_async_callback(network.stop)
        self._dashboards = Dashboards(network.dial, plan.dashboards, self.folder.ca_file, keys.credentials(plan.name))

        self.note = "starting the API server"
        identity = pki.load(state / "pki", service_address=plan.api_address, cluster_domain=plan.cluster_domain)
        port = ports.hold_api_port(state / "state.json")
        stack.callback(port.release)
        endpoint = await self._start_engine(identity, network, port)
        stack.push_async_callback(self._engine.stop)
        stack.push_async_callback(self._tasks.stop)
        client = self._client = self._engine.client(*_ADMIN)
        informers = Informers(client)
        stack.push_async_callback(informers.stop)

        table = ServiceTable(informers, network)
        await table.register(plan.api_address, 443, endpoint.unix)
        self._tasks.start("services", table.run)
        self._tasks.start("console ports", ConsolePorts(informers, table, plan.programs).run)
        publisher = Publisher(informers, network, state / "loopback.json")
        publisher.on_change(lambda: self._write_published(publisher))
        self._tasks.start("publisher", publisher.run)
        self._watch = StatusWatch(informers, self._engine.name, lambda: _published(publisher))
        self._started.set()

        mirror = await self._start_mirror(stack, client, informers, network, table, identity)
        add_ons = ServicesConfig(
            run_folder=run_folder,
            claims=state / "volumes",
            register=table.register,
            unregister=table.unregister,
            client_for=self._engine.client,
        )
        reconcilers = self._engine.reconcilers(
            informers,
            ReconcilerConfig(state / "artifacts", mirror.proxy_url, mirror.ca_file, self.folder.kubeconfig, add_ons),
        )
        for controller in (*reconcilers, *services.controllers(client, informers, add_ons)):
            self._run_controller(controller)
        engine_programs = self._engine.programs(mirror.ca_file)
        programs = images.programs(plan.programs, services.programs(add_ons), engine_programs, self._way_out(mirror))
        await self._start_nodes(client, informers, network, table, identity, programs)

        await bootstrap.install_addons(client)
        held = keys.load(plan.name)
        if await flux.bootstrapped(client):
            # Flux's key may have been replaced while the cluster was down
            await flux.apply_all(client, [keys.age_secret(held)] if held else [])
        elif not self.bare:
            self.note = "handing the repository to Flux"
            login = keys.mirror_login(plan.repository_url, identity.ssh_host_key)
            await bootstrap.bootstrap(client, plan.repository(self.folder.root), keys.cluster_secrets(plan.name, login))
        self.note = "Ctrl-C stops it"
        await asyncio.sleep(_SETTLE_SECONDS)
        self._settled = True
        return network

    async def _start_network(self, run_folder: Path) -> Network:
        plan, (choice, asked) = self._plan, self._driver
        config = NetworkConfig(run_folder, plan.pod_cidr, plan.service_cidr, plan.dns_address, plan.cluster_domain)
        network = choosing.make(choice.driver, config)
        await network.start()
        self._network_lines = networking.remember(self.folder, network, choice, asked).lines()
        return network

    async def _start_engine(self, identity: pki.Pki, network: Network, port: HeldPort) -> Endpoint:
        state = self.folder.state
        failing.forget(self.folder)
        endpoint = await self._engine.start(
            EngineConfig(
                state=folders.private_folder(state / "data" / self._engine.name),
                logs=folders.private_folder(self.folder.log.parent),
                run_folder=self.folder.run_folder,
                port=port,
                ca=identity.ca,
                serving=identity.api_server,
                admin=identity.admin,
                kubelet_client=identity.kubelet_client,
                service_account_key=identity.service_account_key,
                pod_cidr=self._plan.pod_cidr,
                service_cidr=self._plan.service_cidr,
                cluster_domain=self._plan.cluster_domain,
                egress_socket=network.egress_socket,
                dial=network.dial,
                outside_socket=self._outside_socket,
                dial_outside=self._dial_outside,
                admission=policies.ADMISSION,
                on_failing=self._tell_failing,
            )
        )
        text = kubeconfig.inline(endpoint.url, identity.ca.certificate, identity.admin, cluster=self._plan.name)
        folders.write_private(self.folder.kubeconfig, text)
        return endpoint

    def _tell_failing(self, lines: tuple[str, ...]) -> None:
        self._failing = lines
        if self._watch:
            self._watch.touch()
        try:
            failing.write(self.folder, lines)
        except (OSError, NervError) as error:
            _log.warning("%s was not written: %s", self.folder.failing, error)

    async def _start_mirror(
        self,
        stack: AsyncExitStack,
        client: Client,
        informers: Informers,
        network: Network,
        table: ServiceTable,
        identity: pki.Pki,
    ) -> Mirror:
        """Answer for the hosts of the repository and of charts: through a proxy out here, by name inside."""
        plan, state = self._plan, self.folder.state
        inside = Inside(network.dial, plan.networks, plan.cluster_domain, lambda: table.addresses)
        config = MirrorConfig(
            repository=None if self.bare else self.folder.root,
            repository_url=plan.repository_url,
            branch=plan.branch,
            charts=plan.charts,
            kept=state / "charts",
            ca=identity.ca,
            unix=self.folder.run_folder / "mirror.sock",
            ssh=self.folder.run_folder / "mirror-ssh.sock",
            proxy=self._outside_socket,
            ssh_host_key=identity.ssh_host_key,
            ca_bundle=state / "mirror-ca.crt",
            inside=inside,
            offline=self._options.offline,
            on_refused=lambda: offline.write(self.folder, self._refused()),
        )
        offline.forget(self.folder)
        mirror = self._mirror = Mirror(config, client)
        await mirror.start()
        stack.push_async_callback(mirror.stop)
        for (host, port), socket in mirror.served.items():
            await table.register(reached_at(host, plan.mirror_address, inside), port, socket)
        await table.register(plan.mirror_address, _PROXY_PORT, config.proxy)
        names = {host: (plan.mirror_address,) for host, _ in mirror.served if not keeps_address(host)}
        await network.set_names(names)
        outlets = self._outlets = Outlets(
            informers,
            mirror.proxy,
            mirror.served.keys(),
            plan.mirror_address,
            self.folder.run_folder,
            table,
            lambda more: network.set_names({**more, **names}),
        )
        self._tasks.start("ways out", outlets.run)
        return mirror

    @property
    def _outside_socket(self) -> Path:
        """Where the mirror's proxy answers whom the cluster trusts."""
        return self.folder.run_folder / "outside.sock"

    async def _dial_outside(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Where the URL of a webhook leads; nowhere until there is a mirror. Raises DialError."""
        if self._mirror is None:
            raise DialError(f"{host}:{port} is not reached yet")
        return await self._mirror.proxy.dial(host, port)

    def _way_out(self, mirror: Mirror) -> dict[str, str]:
        """For programs of the cluster that reach out: redirects and archives lead to hosts that no source names."""
        plan = self._plan
        if self._driver[0].driver == "proxy":
            return {"HTTPS_PROXY": mirror.proxy_url}
        domain = plan.cluster_domain
        inside = ("localhost", "127.0.0.0/8", plan.service_cidr, plan.pod_cidr, ".svc", f".{domain}", f".{domain}.")
        url = f"http://{plan.mirror_address}:{_PROXY_PORT}"
        return {"HTTPS_PROXY": url, "NO_PROXY": ",".join(inside)}

    def _refused(self) -> dict[str, tuple[str, ...]]:
        """Hosts that were refused, and the sources that name them."""
        if self._mirror is None or self._outlets is None:
            return {}
        return {host: self._outlets.named(host) for host in sorted(self._mirror.refused)}

    async def _start_nodes(
        self,
        client: Client,
        informers: Informers,
        network: Network,
        table: ServiceTable,
        identity: pki.Pki,
        programs: Programs,
    ) -> None:
        state = self.folder.state
        for number, node in enumerate(self._plan.nodes):
            config = NodeConfig(
                name=node.name,
                address=node.address,
                folder=state / "nodes" / node.name,
                claims=state / "volumes",
                run_folder=self.folder.run_folder,
                pod_cidr=self._plan.node_pod_cidr(number),
                roles=node.roles,
                labels=node.labels,
                api_address=self._plan.api_address,
                ca_certificate=identity.ca.certificate,
                hidden=(self.folder.root,),
                serving=pki.kubelet_serving(state / "pki", identity.ca, node.name, node.address),
                client_ca=identity.ca.certificate,
            )
            events = EventRecorder(client, "kubelet")
            agent = NodeAgent(
                NodeContext(config, client, informers, network, table, programs, events, SystemClock(), asyncio.sleep)
            )
            self._agents.append(agent)
            self._tasks.start(f"node {node.name}", agent.run)

    def _run_controller(self, controller: Controller) -> None:
        self._controllers.append(controller)
        self._tasks.start(f"controller {controller.name}", controller.run)

    def _write_published(self, publisher: Publisher) -> None:
        told = {
            address: {str(port): list(here) for port, here in ports.items()}
            for address, ports in _published(publisher).items()
        }
        folders.write_private(self.folder.published, json.dumps(told, indent=1))


def _begin_bare(folder: PlatformFolder) -> None:
    """Raises NervError where the cluster has begun with its repository already."""
    if not folder.bare.exists() and (folder.state / "data").exists():
        raise NervError(
            f"{folder.root} has been started with its repository before", "`nerv reset` forgets that cluster"
        )
    folders.write_private(folder.bare, "")


def _published(publisher: Publisher) -> dict[str, dict[int, tuple[str, int]]]:
    found: dict[str, dict[int, tuple[str, int]]] = {}
    for entry in publisher.published:
        found.setdefault(entry.address, {})[entry.port] = (entry.host, entry.host_port)
    return found
