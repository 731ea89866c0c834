"""`nerv secrets ...`: the life of a platform's secrets, from the first key to the way back when one is lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nerv import documents
from nerv.cli import output
from nerv.cli.context import Context
from nerv.cli.output import Format
from nerv.cli.target import Kubeconfig, KubeContext
from nerv.components import definition
from nerv.errors import NervError, ProblemsError
from nerv.operations import keys, rendering, session, sops, target
from nerv.operations.folder import PlatformFolder
from nerv.operations.secrets import (
    checking,
    files,
    private_keys,
    readers,
    recipients,
    recovery,
    rotation,
    steps,
)
from nerv.operations.secrets.private_keys import PrivateKeys
from nerv.operations.secrets.readers import Matrix
from nerv.operations.secrets.rotation import What
from nerv.operations.target import Target
from nerv.rendering.secrets import Reader

app = typer.Typer(
    help="Keys, encrypted files, and who can read them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Person = Annotated[str, typer.Argument(metavar="KEY", help="An age public key (age1...).")]


@app.command()
def init(context: typer.Context) -> None:
    """Make what is missing: keys, host keys of nodes, encrypted files. The same as `nerv render`, told for secrets."""
    folder = _folder(context)
    done = asyncio.run(rendering.render(folder))
    _wrote([*done.written, *done.encrypted])
    if done.unchanged:
        output.talk().print("nothing is missing")
    _say(f"keys are in {keys.folder_of(folder.root)}; keep a backup of them")


@app.command("list")
def list_readers(
    context: typer.Context,
    form: Annotated[Format, typer.Option("-o", "--output", help="text, json or yaml.")] = Format.text,
) -> None:
    """Show who can read which encrypted file."""
    found = readers.matrix(_folder(context))
    if form is not Format.text:
        output.print_data(_data(found), form)
        return
    rows = [[path, *(row[reader.recipient] for reader in found.readers)] for path, row in sorted(found.files.items())]
    output.console().print(output.table(["FILE", *map(_label, found.readers)], rows))


@app.command()
def show(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="An encrypted file, by its path in the repository.")],
    key: Annotated[str | None, typer.Argument(help="One top-level key; without it the whole file.")] = None,
) -> None:
    """Print an encrypted file in clear."""
    folder = _folder(context)
    path = rendering.relative(folder.root, file)
    clear = _own(folder).decrypt(files.read(folder.root, path), path)
    if key is None:
        sys.stdout.write(documents.dump(clear))
        return
    if key not in clear:
        raise NervError(f"{path} has no {key}", f"it has {', '.join(clear)}")
    value = clear[key]
    sys.stdout.write(value if isinstance(value, str) else documents.dump(value))


@app.command()
def edit(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="An encrypted file, by its path in the repository; a new one is made.")],
) -> int:
    """Open an encrypted file in $EDITOR; it is encrypted again when the editor ends."""
    folder = _folder(context)
    path = rendering.relative(folder.root, file)
    before = _text(folder.root / path)
    code = sops.edit(folder.root, path, _own(folder).environment)
    if _text(folder.root / path) != before:
        _wrote([path])
        _steps(["commit and push what changed", *steps.edited(path)])
    return code


@app.command()
def known_hosts(context: typer.Context) -> None:
    """Print the nodes' host keys for ~/.ssh/known_hosts: the first login to a machine is no leap of faith then."""
    folder = _folder(context)
    platform = definition.load(folder.definition)
    sys.stdout.write(rendering.public_keys(folder, platform).known_hosts(platform))


@app.command()
def add_recipient(
    context: typer.Context,
    key: Person,
    name: Annotated[str, typer.Option("--name", help="Written behind the key as a comment.")] = "",
) -> None:
    """Let somebody read every file: adds the key to nerv.yaml and encrypts for it."""
    _wrote(asyncio.run(recipients.add(_folder(context), key, name)))
    _steps(["commit and push what changed"])


@app.command()
def remove_recipient(
    context: typer.Context,
    person: Annotated[str, typer.Argument(metavar="KEY", help="The age public key, or the name behind it.")],
) -> None:
    """Let somebody read no longer: takes the key out of nerv.yaml and encrypts everything under new data keys."""
    _wrote(asyncio.run(recipients.remove(_folder(context), person)))
    _say("what could be read until now was read: whoever keeps a copy of Git's history still reads it")
    _steps(
        [
            "commit and push what changed",
            "replace the values: `nerv secrets rotate` k3s-token, k3s-agent-token, dashboards, git-login and flux, "
            "and your own with `nerv secrets edit`",
        ]
    )


@app.command()
def rotate(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="What to replace.")],
    node: Annotated[str, typer.Argument(help="The node, for `host`.")] = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the old private key in the operator's folder (retired/).")
    ] = False,
) -> None:
    """Replace keys or secrets by new ones, and say what must happen next.

    The new token for `git-login` is read from standard input, or asked for on a terminal.
    """
    folder = _folder(context)
    token = _token() if what is What.git_login and rotation.needs_token(folder) else None
    done = asyncio.run(rotation.rotate(folder, what, node=node, keep=keep, token=token))
    _wrote([*done.written, *map(str, done.private)])
    _steps(done.next)


@app.command()
def recover(
    context: typer.Context,
    identity: Annotated[
        list[Path] | None, typer.Option("--identity", metavar="FILE", help="An age key file, or an SSH host key.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    kube_context: KubeContext = None,
    anew: Annotated[bool, typer.Option("--anew", help="Make anew what none of these keys can open.")] = False,
) -> None:
    """Make a new operator's key when the old one is lost, by another key that can read.

    From a cluster (--kubeconfig, --context) comes Flux's key, which opens secrets/.
    """
    cluster = target.choose(kubeconfig, kube_context, None) if kubeconfig or kube_context else None
    if not identity and cluster is None:
        raise typer.BadParameter("give --identity FILE or --kubeconfig FILE")
    folder = _folder(context)
    given, pems = private_keys.none(), []
    for path in identity or ():
        given += private_keys.of_file(path)
        text = path.read_text(encoding="utf-8")
        pems += [text] if "PRIVATE KEY" in text else []
    done = asyncio.run(_recover(folder, given, tuple(pems), cluster, anew))
    _wrote(done.written)
    for lost in done.lost:
        _say(f"{lost} cannot be read by anyone here and is left as it is")
    if done.made_anew:
        _say(f"contents are new: {', '.join(done.made_anew)}; machines that run have the old ones")
    following = ["commit and push what changed", f"back up {keys.folder_of(folder.root)}"]
    if done.new_flux_key or done.made_anew:
        following.append("`nerv deploy --update --all`: machines get what is new")
    if done.new_password:
        following.append("the dashboards have a new password when Flux has applied it")
    _steps(following)


@app.command()
def check(
    context: typer.Context,
    max_age: Annotated[int, typer.Option("--max-age", metavar="DAYS", help="Older secrets are remarked on.")] = (
        checking.MAX_AGE
    ),
) -> None:
    """Open every file and say what is wrong; exit code 1 when anything is."""
    report = checking.check(_folder(context), max_age=max_age)
    for note in report.notes:
        _say(f"note: {note}")
    if report.problems:
        raise ProblemsError(list(report.problems))
    output.talk().print("nothing is wrong")


async def _recover(
    folder: PlatformFolder, given: PrivateKeys, pems: tuple[str, ...], cluster: Target | None, anew: bool
) -> recovery.Recovered:
    if cluster is not None:
        async with session.connect(cluster) as client:
            given += await recovery.flux_keys(client)
    return await recovery.recover(folder, given, pems, anew=anew)


def _folder(context: typer.Context) -> PlatformFolder:
    settings: Context = context.obj
    return settings.platform()


def _own(folder: PlatformFolder) -> PrivateKeys:
    found = private_keys.of_user(keys.folder_of(folder.root).name)
    if not found.secrets:
        hint = "restore it from your backup, or `nerv secrets recover`"
        raise NervError(f"there is no private key in {keys.folder_of(folder.root)}", hint)
    return found


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _token() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("new token", hide_input=True, err=True))
    return sys.stdin.readline().strip()


def _label(reader: Reader) -> str:
    return reader.name or (reader.kind if reader.kind in ("operator", "flux") else f"{reader.recipient[:12]}...")


def _data(found: Matrix) -> dict[str, object]:
    listed = [{"kind": r.kind, "name": r.name, "recipient": r.recipient} for r in found.readers]
    return {"readers": listed, "files": {path: dict(row) for path, row in sorted(found.files.items())}}


def _wrote(paths: Iterable[str]) -> None:
    for path in dict.fromkeys(paths):
        print(f"wrote {path}")
    sys.stdout.flush()


def _steps(following: Sequence[str]) -> None:
    for number, step in enumerate(following, 1):
        _say(f"{number}. {step}")


def _say(line: str) -> None:
    output.talk().print(line, soft_wrap=True, markup=False)
