from hypothesis import given
from hypothesis import strategies as st
from tests.support.foreign import obj

from nerv.kube.objects import Object
from nerv.operations import events


def _event(name: str, time: str = "", kind: str = "Normal", **more: object) -> Object:
    about = {"kind": "Pod", "namespace": "a", "name": name}
    made = {**obj("v1", "Event", f"a/{name}"), "involvedObject": about, "type": kind, "message": "m\n"}
    return {**made, **({"lastTimestamp": time} if time else {}), **more}


def test_both_forms_of_events_have_a_time_and_a_count() -> None:
    old = events.Event.from_object(_event("x", "2026-11-25T12:00:01Z", count=3, source={"component": "kubelet"}))
    assert (old.time, old.count, old.source, old.message) == ("2026-11-25T12:00:01Z", 3, "kubelet", "m")
    series = {"lastObservedTime": "2026-11-25T12:00:09.000000Z", "count": 7}
    new = events.Event.from_object(_event("x", lastTimestamp=None, series=series, reportingComponent="scheduler"))
    assert (new.time, new.count, new.source) == ("2026-11-25T12:00:09.000000Z", 7, "scheduler")
    assert events.Event.from_object(_event("x")).time == "2026-11-25T12:00:00Z"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("123"), st.sampled_from(["Normal", "Warning"]))))
def test_selection_keeps_order_subject_and_type(found: list[tuple[str, str, str]]) -> None:
    listed = [_event(name, f"2026-11-25T12:00:0{time}Z", kind) for name, time, kind in found]
    chosen = events.select(listed, {("Pod", "a", "a")}, warnings=True)
    assert [event.time for event in chosen] == sorted(event.time for event in chosen)
    assert len(chosen) == sum(name == "a" and kind == "Warning" for name, _, kind in found)
    assert len(events.select(listed)) == len(found)
