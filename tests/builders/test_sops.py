"""Files written by the real sops program must open here, and only with the right key."""

import re
import sys
from pathlib import Path

import pyrage
import pytest

from nerv import documents, process
from nerv.builders import sops

PROGRAM = str(Path(sys.executable).parent / "sops")


@pytest.fixture
def identity():
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def encrypt(identity, tmp_path):
    def run(text: str | bytes, name: str, *options: str) -> bytes:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        # no configuration file above the temporary folder may have a say
        command = [
            PROGRAM,
            "--disable-version-check",
            "encrypt",
            "--age",
            str(identity.to_public()),
            *options,
            str(path),
        ]
        return process.run_sync(command, cwd=tmp_path).stdout.encode()

    return run


SECRET = """\
# a comment
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: apps
stringData:
  # another comment
  user: admin
  password: "pä$$: word"
  empty: ""
"""

MIXED = """\
text: hello
number: 42
negative: -7
float: 1.5
large: 1000000.0
yes_: true
no_: false
nothing: null
list:
  - one
  # inside a list
  - 2
  - deep: {er: x}
plain_unencrypted: visible
"""


def test_a_secret_with_encrypted_regex(encrypt, identity):
    data = encrypt(SECRET, "secret.yaml", "--encrypted-regex", "^(data|stringData)$")
    tree = documents.load(data)
    assert sops.is_encrypted(tree)
    assert tree["metadata"]["name"] == "login"
    assert "admin" not in data.decode()
    assert sops.decrypt_tree(tree, [identity]) == documents.load(SECRET)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--encrypted-suffix", "t"),
        ("--unencrypted-suffix", "er"),
        ("--unencrypted-regex", "^(list|text)$"),
    ],
)
def test_every_rule_of_what_is_encrypted_and_every_type(encrypt, identity, options):
    data = encrypt(MIXED, "values.yaml", *options)
    assert sops.decrypt_tree(documents.load(data), [identity]) == documents.load(MIXED)


def test_a_mac_over_encrypted_values_alone(encrypt, identity, tmp_path):
    rule = {"encrypted_regex": "^text$", "mac_only_encrypted": True, "age": str(identity.to_public())}
    (tmp_path / ".sops.yaml").write_text(documents.dump({"creation_rules": [rule]}))
    tree = documents.load(encrypt(MIXED, "values.yaml", "--encrypted-regex", "^text$"))
    assert tree["sops"].get("mac_only_encrypted") is True
    tree["number"] = 43
    assert sops.decrypt_tree(tree, [identity])["text"] == "hello"


def test_several_documents_share_one_mac(encrypt, identity):
    data = encrypt(SECRET + "---\n" + MIXED, "many.yaml")
    opened = documents.load_all(sops.decrypt(data, [identity], sops.Format.YAML))
    assert opened == [documents.load(SECRET), documents.load(MIXED)]


def test_json(encrypt, identity):
    text = b'{"a": {"b": [1, 2.5, "x", true, null]}, "c": "d"}'
    data = encrypt(text, "values.json")
    assert sops.detect(data) is sops.Format.JSON
    assert documents.load_json(sops.decrypt(data, [identity], sops.Format.JSON)) == documents.load_json(text)


def test_dotenv(encrypt, identity):
    text = b"# comment\nUSER=admin\nPASSWORD=a=b c\n"
    data = encrypt(text, "login.env")
    assert sops.detect(data) is sops.Format.DOTENV
    assert sops.decrypt(data, [identity], sops.Format.DOTENV) == b"USER=admin\nPASSWORD=a=b c\n"


def test_ini(encrypt, identity):
    data = encrypt(b"[server]\nuser = admin\nport = 80\n", "login.ini")
    assert sops.detect(data) is sops.Format.INI
    assert sops.decrypt(data, [identity], sops.Format.INI) == b"[server]\nuser = admin\nport = 80\n"


def test_binary(encrypt, identity):
    text = b"line one\nline two\n"
    data = encrypt(text, "key.txt")
    assert sops.format_of("key.txt") is sops.Format.BINARY
    found = sops.detect(data)
    assert found is sops.Format.JSON
    assert sops.decrypt(data, [identity], found, sops.Format.BINARY) == text


def test_the_wrong_key_is_named_but_no_secret_is(encrypt, identity):
    data = encrypt(SECRET, "secret.yaml")
    other = pyrage.x25519.Identity.generate()
    with pytest.raises(sops.SopsError) as caught:
        sops.decrypt_tree(documents.load(data), [other])
    text = str(caught.value)
    assert text.startswith("cannot get sops data key: Failed to get the data key required to decrypt the SOPS file.")
    assert f"{identity.to_public()}: FAILED" in text
    assert "AGE-SECRET-KEY" not in text


def test_a_value_moved_to_another_key_is_refused(encrypt, identity):
    tree = documents.load(encrypt(SECRET, "secret.yaml", "--encrypted-regex", "^stringData$"))
    values = tree["stringData"]
    values["user"], values["password"] = values["password"], values["user"]
    with pytest.raises(sops.SopsError, match=r"value of stringData.user: Could not decrypt with AES_GCM"):
        sops.decrypt_tree(tree, [identity])


def test_a_changed_plain_value_breaks_the_mac_only(encrypt, identity):
    tree = documents.load(encrypt(SECRET, "secret.yaml", "--encrypted-regex", "^stringData$"))
    tree["metadata"]["namespace"] = "elsewhere"
    with pytest.raises(sops.SopsError, match="failed to verify sops data integrity"):
        sops.decrypt_tree(tree, [identity])
    assert sops.decrypt_tree(tree, [identity], verify=False)["stringData"]["user"] == "admin"


def test_a_plain_value_where_an_encrypted_one_belongs_is_never_shown(encrypt, identity):
    tree = documents.load(encrypt(SECRET, "secret.yaml", "--encrypted-regex", "^stringData$"))
    tree["stringData"]["user"] = "topsecret"
    with pytest.raises(sops.SopsError, match="does not match sops' data format") as caught:
        sops.decrypt_tree(tree, [identity])
    assert "topsecret" not in str(caught.value)


def test_key_files(identity):
    text = f"# created: today\n# public key: {identity.to_public()}\n{identity}\n"
    assert [str(key.to_public()) for key in sops.read_identities(text)] == [str(identity.to_public())]
    with pytest.raises(sops.SopsError, match="line 2: unknown identity type"):
        sops.read_identities("# x\nnot-a-key\n")
    with pytest.raises(sops.SopsError, match="no secret keys found"):
        sops.read_identities("# only a comment\n")


def test_what_is_not_encrypted_is_not_taken_for_it():
    assert not sops.is_encrypted(documents.load(SECRET))
    assert sops.detect(SECRET.encode()) is None
    with pytest.raises(sops.SopsError, match="sops metadata not found"):
        sops.decrypt_tree(documents.load(SECRET), [])


def test_a_file_larger_than_the_limit_is_refused():
    with pytest.raises(sops.SopsError, match=re.escape("exceeding limit (5242880)")):
        sops.decrypt(b" " * (5 * 1024 * 1024 + 1), [], sops.Format.YAML)
