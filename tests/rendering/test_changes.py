"""Comparison of tree, manifest and disk: who owns what, and what may be written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nerv.rendering import changes
from nerv.rendering.manifest import Entry, Manifest, digest

OURS = {"a.yaml": "new\n"}
GOTK = "clusters/home/flux-system/gotk-sync.yaml"


def manifest(path: str, text: str, owner: str = "nerv") -> Manifest:
    return Manifest({path: Entry(owner, digest(text))})  # type: ignore[arg-type]


def test_missing_files_are_written() -> None:
    planned = changes.compare(OURS, Manifest(), {})
    assert planned.write == OURS
    assert planned.manifest.files == {"a.yaml": Entry("nerv", digest("new\n"))}


def test_untouched_files_are_written_over() -> None:
    planned = changes.compare(OURS, manifest("a.yaml", "old\n"), {"a.yaml": digest("old\n")})
    assert (planned.write, planned.refused) == (OURS, ())


def test_files_that_are_right_already_are_adopted() -> None:
    planned = changes.compare(OURS, Manifest(), {"a.yaml": digest("new\n")})
    assert (planned.write, planned.refused) == ({}, ())
    assert "a.yaml" in planned.manifest.files


def test_hand_edits_are_refused_with_the_way_out() -> None:
    planned = changes.compare(OURS, manifest("a.yaml", "old\n"), {"a.yaml": digest("edited\n")})
    assert planned.write == {}
    assert str(planned.refused[0]) == (
        "a.yaml: edited by hand (put the change into nerv.yaml, or `nerv eject a.yaml` to own it; "
        "`nerv render --force` discards the edit)"
    )


def test_force_discards_hand_edits_but_never_files_of_others() -> None:
    edited = changes.compare(OURS, manifest("a.yaml", "old\n"), {"a.yaml": digest("edited\n")}, force=True)
    assert edited.write == OURS
    others = changes.compare(OURS, Manifest(), {"a.yaml": digest("theirs\n")}, force=True)
    assert others.write == {}
    assert [problem.message for problem in others.refused] == ["exists and was not written by NERV"]


def test_what_flux_rewrote_stays_and_is_no_hand_edit() -> None:
    before = manifest(GOTK, "old\n", "flux")
    planned = changes.compare({GOTK: "new\n"}, before, {GOTK: digest("by flux\n")})
    assert (planned.write, planned.refused) == ({}, ())
    assert planned.manifest == before


def test_ejected_files_are_left_alone_for_ever() -> None:
    before = Manifest({"a.yaml": Entry("user")})
    planned = changes.compare(OURS, before, {"a.yaml": digest("mine\n")})
    assert (planned.write, planned.refused, planned.manifest) == ({}, (), before)
    gone = changes.compare({}, before, {"a.yaml": digest("mine\n")})
    assert (gone.remove, gone.manifest) == ((), before)


def test_files_no_longer_rendered_are_removed_unless_edited() -> None:
    before = manifest("b.yaml", "old\n")
    assert changes.compare({}, before, {"b.yaml": digest("old\n")}).remove == ("b.yaml",)
    edited = changes.compare({}, before, {"b.yaml": digest("edited\n")})
    assert edited.remove == ()
    assert [problem.file for problem in edited.refused] == ["b.yaml"]
    assert changes.compare({}, before, {}).remove == ()


def test_encrypted_files_are_listed_and_removed_with_their_reason() -> None:
    planned = changes.compare({}, Manifest(), {}, ("secrets/x.sops.yaml",))
    assert planned.manifest.files == {"secrets/x.sops.yaml": Entry("sops")}
    gone = changes.compare({}, planned.manifest, {"secrets/x.sops.yaml": "any"})
    assert gone.remove == ("secrets/x.sops.yaml",)


paths = st.sampled_from(["a", "b", "c/d", GOTK])
texts = st.sampled_from(["one", "two", "three"])


@given(
    st.dictionaries(paths, texts),
    st.dictionaries(paths, st.tuples(st.sampled_from(["nerv", "flux", "user", "sops"]), texts)),
    st.dictionaries(paths, texts),
)
def test_nothing_is_ever_lost_and_a_second_run_changes_nothing(
    tree: dict[str, str], known: dict[str, tuple[str, str]], disk: dict[str, str]
) -> None:
    before = Manifest({path: Entry(owner, digest(text)) for path, (owner, text) in known.items()})  # type: ignore[arg-type]
    there = {path: digest(text) for path, text in disk.items()}
    planned = changes.compare(tree, before, there)
    for path in (*planned.write, *planned.remove):
        entry = before.files.get(path)
        if path in disk:
            # written over or removed: only what NERV (or sops for it, or Flux over it) wrote
            assert entry is not None
            assert entry.owner != "user"
            assert there[path] == entry.sha256 or entry.owner in ("sops", "flux")
    if planned.refused:
        return
    after = {path: there[path] for path in disk if path not in planned.remove}
    after |= {path: digest(text) for path, text in planned.write.items()}
    again = changes.compare(tree, planned.manifest, after)
    assert (again.write, again.remove, again.refused, again.manifest) == ({}, (), (), planned.manifest)
