"""Playing cases on an engine: each step's answer, without what differs between runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nerv import documents
from nerv.errors import NervError
from nerv.kube import errors
from nerv.kube.client import Client, RawResponse
from nerv.operations.fidelity import normalise
from nerv.operations.fidelity.cases import Case, Step
from nerv.operations.fidelity.normalise import Names

Answer = dict[str, Any]
"""`status`, and where there are any `warnings`, `body` (a document) or `text`."""

_PATIENCE = 15.0
_POLL = 0.05
_READY = "/api/v1/namespaces/{ns}/serviceaccounts/default"


async def play_all(cases: Sequence[Case], client: Client) -> dict[str, list[Answer]]:
    """Every case's answers by its identity, one case after the other: lists of all namespaces stay what they are."""
    return {case.identity: await play(case, client) for case in cases}


async def play(case: Case, client: Client) -> list[Answer]:
    """The answers of one case, in a namespace made for it. Raises NervError when what a step waits for never comes."""
    space = documents.dump_json({"metadata": {"name": case.namespace}})
    made = await client.raw("POST", "/api/v1/namespaces", body=space)
    if made.status != 201:
        raise NervError(f"{case.identity}: its namespace is refused: {made.body.decode()}")
    # pods are refused until the namespace has its account
    waiting = Step("GET", _READY, b"", "", "application/json", "", False, '"kind":"ServiceAccount"', ())
    await _send(waiting, case, client)
    names = Names()
    return [await _answer(step, case, client, names) for step in case.steps]


async def _answer(step: Step, case: Case, client: Client, names: Names) -> Answer:
    if step.lines:
        return {"status": 200, "lines": [normalise.answer(line, names) for line in await _lines(step, case, client)]}
    got = await _send(step, case, client)
    told: Answer = {"status": got.status}
    if got.headers.get("warning"):
        told["warnings"] = got.headers["warning"]
    try:
        document = documents.load_json(got.body) if got.body else None
    except documents.DocumentError:
        return told | {"text": got.body.decode(errors="replace")}
    return told | {"body": normalise.answer(normalise.kept(normalise.table(document), step.keep), names)}


async def _send(step: Step, case: Case, client: Client) -> RawResponse:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        got = await client.raw(
            step.method,
            _filled(step.path, case),
            body=_filled(step.body.decode(), case).encode(),
            content_type=step.content_type,
            accept=step.accept,
            headers={"impersonate-user": step.user} if step.user else None,
        )
        if not step.until or step.until in got.body.decode(errors="replace").replace('": ', '":'):
            return got
        if asyncio.get_running_loop().time() > deadline:
            raise NervError(f"{case.identity}: {step.path} never held {step.until}", got.body.decode()[:500])
        await asyncio.sleep(_POLL)


async def _lines(step: Step, case: Case, client: Client) -> list[Any]:
    try:
        return [documents.load_json(line) async for line in client.lines(_filled(step.path, case)) if line]
    except errors.ApiError as error:
        return [error.status]


def _filled(text: str, case: Case) -> str:
    return text.replace("{ns}", case.namespace)
