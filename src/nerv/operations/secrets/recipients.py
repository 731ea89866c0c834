"""People who can read secrets: entries of nerv.yaml, and the encrypted files that follow from them."""

from __future__ import annotations

from pyrage import RecipientError, x25519

from nerv.components import definition
from nerv.errors import NervError
from nerv.operations import folder as folders
from nerv.operations import rendering
from nerv.operations.folder import PlatformFolder
from nerv.operations.rendering import Change
from nerv.operations.secrets import private_keys
from nerv.platform import editing, loading


async def add(folder: PlatformFolder, recipient: str, name: str = "") -> tuple[str, ...]:
    """Let somebody read: `recipient` is his age public key, `name` stands behind it as a comment. What was written.

    Raises NervError or ProblemsError with nothing changed.
    """
    platform = definition.load(folder.definition)
    try:
        x25519.Recipient.from_str(recipient)
    except RecipientError:
        hint = "`age-keygen -y KEYFILE` prints the public key, age1 and 58 letters"
        raise NervError(f"{recipient} is not an age public key", hint) from None
    public = rendering.public_keys(folder, platform)
    if recipient in (public.operator, public.flux, *platform.spec.secrets.recipients):
        raise NervError(f"{recipient} can read already", "`nerv secrets list` shows who can read what")
    return await _write(folder, editing.add_recipient(_text(folder), recipient, " ".join(name.split())))


async def remove(folder: PlatformFolder, person: str) -> tuple[str, ...]:
    """Let somebody read no longer, named by public key or by the comment behind it. What was written.

    Raises NervError or ProblemsError with nothing changed.
    """
    text = _text(folder)
    named = [recipient for recipient, name in editing.recipient_comments(text).items() if name == person]
    if len(named) > 1:
        raise NervError(f"{len(named)} entries are named {person}", "give the public key")
    return await _write(folder, editing.remove_recipient(text, named[0] if named else person))


async def _write(folder: PlatformFolder, text: str) -> tuple[str, ...]:
    platform = definition.parse(text.encode())
    rendering.check_keys(folder, platform)
    public = rendering.public_keys(folder, platform, create=True)
    own = private_keys.of_user(platform.name)
    done = await rendering.write(folder, platform, public, own, Change(texts={folders.DEFINITION: text}))
    return tuple(sorted({*done.written, *done.encrypted}))


def _text(folder: PlatformFolder) -> str:
    return loading.read_file(folder.definition).decode()
