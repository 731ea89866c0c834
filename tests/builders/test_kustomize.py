"""Builds of whole folders: in process where nothing transforms, by the real kustomize where something does."""

import sys
from pathlib import Path

import pyrage
import pytest

from nerv import documents, process
from nerv.builders import kustomize
from nerv.builders.kustomize import BuildError, Overlay, PathError, Sources, plain

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers: [{name: web, image: "nginx:1.0"}]
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "artifact"

    def write(**files: str) -> Sources:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Sources(root)

    return lambda files: write(**files)


def names(objects):
    return [obj["metadata"]["name"] for obj in objects]


@pytest.fixture
def only_in_process(monkeypatch):
    """Fails the test where the real kustomize would be started."""

    def never():
        raise AssertionError("the real kustomize was needed")

    monkeypatch.setattr("nerv.builders.kustomize.building.kubectl", never)


async def test_lists_of_resources_are_built_in_process(tree, only_in_process):
    sources = tree(
        {
            "apps/kustomization.yaml": "resources: [b.yaml, ./sub, ../shared]\n",
            "apps/b.yaml": CONFIG.format(name="b") + "---\n" + CONFIG.format(name="c"),
            "apps/not-listed.yaml": "{ not yaml",
            "apps/sub/kustomization.yml": "kind: Kustomization\nresources:\n- list.yaml\n",
            "apps/sub/list.yaml": documents.dump(
                {"apiVersion": "v1", "kind": "List", "items": [documents.load(DEPLOYMENT)]}
            ),
            "shared/Kustomization": "resources: [local.yaml]\n",
            "shared/local.yaml": CONFIG.format(name="local"),
        }
    )
    assert names(await kustomize.build(sources, "./apps", Overlay())) == ["b", "c", "web", "local"]


async def test_a_folder_without_kustomization_is_taken_whole(tree, only_in_process):
    sources = tree(
        {
            "z.yaml": CONFIG.format(name="z"),
            "deep/er/a.yml": CONFIG.format(name="a"),
            "own/kustomization.yaml": "resources: [x.yaml]\n",
            "own/x.yaml": CONFIG.format(name="x"),
            "own/ignored.yaml": CONFIG.format(name="ignored"),
            "README.md": "# text",
        }
    )
    assert names(await kustomize.build(sources, "", Overlay())) == ["a", "x", "z"]


async def test_an_empty_folder_builds_nothing(tree, only_in_process):
    sources = tree({"empty/README.md": ""})
    assert await kustomize.build(sources, "empty", Overlay()) == []


async def test_objects_for_the_local_machine_are_left_out(tree, only_in_process):
    local = documents.load(CONFIG.format(name="local"))
    local["metadata"]["annotations"] = {"config.kubernetes.io/local-config": "true"}
    sources = tree({"a.yaml": documents.dump(local), "b.yaml": CONFIG.format(name="b")})
    assert names(await kustomize.build(sources, ".", Overlay())) == ["b"]


@pytest.mark.parametrize("path", ["missing", "./a.yaml", "../../etc"])
async def test_a_path_that_is_not_there(tree, path):
    sources = tree({"a.yaml": CONFIG.format(name="a")})
    with pytest.raises(PathError, match=r"kustomization path not found: stat .*: no such file or directory"):
        await kustomize.build(sources, path, Overlay())


async def test_a_manifest_that_is_no_yaml(tree):
    sources = tree({"apps/bad.yaml": "a: b: c\n"})
    with pytest.raises(
        BuildError, match=r"^failed to decode Kubernetes YAML from apps/bad.yaml: MalformedYAMLError: yaml: line 1: "
    ):
        await kustomize.build(sources, "apps", Overlay())


@pytest.mark.parametrize(
    ("text", "why"), [("a: b\n", "missing Resource metadata"), ("kind: ConfigMap\n", "missing metadata.name")]
)
async def test_a_file_that_is_no_manifest(tree, text, why):
    with pytest.raises(BuildError, match=why):
        await kustomize.build(tree({"values.yaml": text}), "", Overlay())


async def test_what_the_flux_kustomization_adds(tree):
    sources = tree(
        {
            "apps/kustomization.yaml": "resources: [web.yaml]\nimages: [{name: nginx, newTag: '1.1', newName: mine}]\n",
            "apps/web.yaml": DEPLOYMENT,
            "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
            "commonAnnotations: {from: component}\n",
        }
    )
    overlay = Overlay.of(
        {
            "targetNamespace": "prod",
            "namePrefix": "p-",
            "nameSuffix": "-s",
            "images": [{"name": "nginx", "digest": "sha256:" + "0" * 64}],
            "patches": [
                {"patch": "- {op: add, path: /spec/replicas, value: 3}", "target": {"kind": "Deployment"}},
                {"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {x: y}}\n"},
            ],
            "components": ["../component"],
        }
    )
    (web,) = await kustomize.build(sources, "apps", overlay)
    assert web["metadata"] == {
        "name": "p-web-s",
        "namespace": "prod",
        "labels": {"x": "y"},
        "annotations": {"from": "component"},
    }
    assert web["spec"]["replicas"] == 3
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == f"mine@sha256:{'0' * 64}"
    # the shared artifact is as it was
    assert "namespace" not in (sources.root / "apps/kustomization.yaml").read_text()


async def test_a_generated_kustomization_takes_the_overlay_too(tree):
    sources = tree({"apps/web.yaml": DEPLOYMENT})
    (web,) = await kustomize.build(sources, "apps", Overlay(target_namespace="prod"))
    assert web["metadata"]["namespace"] == "prod"
    assert not (sources.root / "apps/kustomization.yaml").exists()


async def test_generators_with_hashes(tree):
    sources = tree({"kustomization.yaml": "configMapGenerator: [{name: conf, literals: [a=b]}]\n"})
    (config,) = await kustomize.build(sources, "", Overlay())
    assert config["metadata"]["name"].startswith("conf-")


async def test_the_words_of_kustomize(tree):
    sources = tree({"apps/kustomization.yaml": "resources: [missing.yaml]\n"})
    with pytest.raises(BuildError) as caught:
        await kustomize.build(sources, "apps", Overlay())
    text = str(caught.value)
    assert text.startswith("kustomize build failed: accumulating resources: accumulation err=")
    assert "apps/missing.yaml: no such file or directory" in text
    assert "/tmp" not in text


async def test_one_object_twice_is_refused(tree):
    sources = tree(
        {
            "kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
            "a.yaml": CONFIG.format(name="same"),
            "b.yaml": CONFIG.format(name="same"),
        }
    )
    with pytest.raises(BuildError, match="may not add resource with an already registered id: ConfigMap"):
        await kustomize.build(sources, "", Overlay())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("resources: [../../outside]", "not in or below"),
        ("resources: [https://example.com/x.yaml]", "remote bases are not loaded"),
        ("resources: ['github.com/a/b?ref=main']", "remote bases are not loaded"),
        ("configMapGenerator: [{name: a, files: [k=/etc/passwd]}]", "not in or below"),
        ("configMapGenerator: [{name: a, files: [../../../etc/passwd]}]", "not in or below"),
        ("helmCharts: [{name: x}]", "helm charts"),
        ("namePrefix: x\npatches: [{path: link}]", "not in or below"),
    ],
)
async def test_nothing_outside_of_the_artifact_is_read(tree, content, why):
    sources = tree({"apps/kustomization.yaml": content + "\n"})
    (sources.root / "apps/link").symlink_to("/etc/passwd")
    with pytest.raises(BuildError, match=why):
        await kustomize.build(sources, "apps", Overlay())


async def test_a_component_must_be_local(tree):
    with pytest.raises(BuildError, match="component path 'https://x/y' must be local and relative"):
        await kustomize.build(tree({"a.yaml": DEPLOYMENT}), "", Overlay(components=("https://x/y",)))


async def test_encrypted_files_of_secret_generators_are_opened(tree, tmp_path):
    identity = pyrage.x25519.Identity.generate()
    sources = tree(
        {
            "apps/kustomization.yaml": "secretGenerator:\n- {name: files, files: [token.txt]}\n"
            "- {name: variables, envs: [login.env]}\ngeneratorOptions: {disableNameSuffixHash: true}\n",
            "apps/token.txt": "s3cret",
            "apps/login.env": "USER=admin\n",
        }
    )
    program = Path(sys.executable).with_name("sops")
    for name in ("token.txt", "login.env"):
        path = sources.root / "apps" / name
        process.run_sync([str(program), "encrypt", "-i", "--age", str(identity.to_public()), str(path)], cwd=tmp_path)
    encrypted = (sources.root / "apps/token.txt").read_bytes()
    files, variables = await kustomize.build(sources, "apps", Overlay(), [identity])
    assert files["data"] == {"token.txt": "czNjcmV0"}
    assert variables["data"] == {"USER": "YWRtaW4="}
    assert (sources.root / "apps/token.txt").read_bytes() == encrypted
    with pytest.raises(BuildError, match=r"^error decrypting sources: cannot get sops data key: "):
        await kustomize.build(sources, "apps", Overlay(), [pyrage.x25519.Identity.generate()])


def test_unchanged_files_are_not_parsed_again(tree):
    sources = tree({"a.yaml": CONFIG.format(name="a")})
    first = sources.documents(sources.root / "a.yaml")
    assert Sources(sources.root, sources).documents(sources.root / "a.yaml") is first
    (sources.root / "a.yaml").write_text(CONFIG.format(name="b"))
    assert names(Sources(sources.root, sources).documents(sources.root / "a.yaml")) == ["b"]


async def test_both_ways_agree(tree):
    """The same repository through the real kustomize and in process."""
    sources = tree(
        {
            "apps/kustomization.yaml": "resources: [b.yaml, sub]\n",
            "apps/b.yaml": CONFIG.format(name="b"),
            "apps/sub/kustomization.yaml": "resources: [web.yaml, values.yaml]\n",
            "apps/sub/web.yaml": DEPLOYMENT,
            "apps/sub/values.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\n"
            "data: {a: 'yes', b: '1e3', c: '012', d: '~', e: \"x\\ny\\n\"}\n",
        }
    )
    folder = sources.folder("apps")
    in_process = plain.build(sources, folder, documents.load((folder / "kustomization.yaml").read_text()))
    done = await process.run([str(kustomize.kubectl()), "kustomize", str(folder)])
    assert sorted(in_process, key=str) == sorted(documents.load_all(done.stdout), key=str)
