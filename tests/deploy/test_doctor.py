"""The join doctor on what K3s really says (lines of public issue reports of k3s-io/k3s, addresses changed)."""

from __future__ import annotations

import pytest

from nerv.deploy import doctor

JOURNALS = {
    # k3s#2470
    "the server refuses the token": 'time="2020-11-02T21:31:45Z" level=error msg="token is not valid: '
    'https://127.0.0.1:32991/apis: 401 Unauthorized"',
    # k3s#4220
    "the server refuses the token ": 'level=info msg="Failed to configure agent: failed to retrieve configuration from '
    'server: https://127.0.0.1:6444/v1-k3s/config: 401 Unauthorized"',
    # k3s#8381
    "the server refuses the token  ": 'level=error msg="failed to get CA certs: https://127.0.0.1:6444/cacerts: '
    '401 Unauthorized"',
    # k3s#2310
    "the server refuses the token   ": 'level=fatal msg="starting kubernetes: preparing server: '
    'https://s1:6443/v1-k3s/server-bootstrap: 500 Internal Server Error"',
    # k3s#3727
    "the token belongs to another cluster (its CA hash is another one)": 'level=error msg="token CA hash does not '
    'match the Cluster CA certificate hash: f08676bf != 8e7d49c6"',
    # k3s#4640
    "the server's database was made with another token": 'level=fatal msg="starting kubernetes: preparing server: '
    'bootstrap data already found and encrypted with different token"',
    # k3s#6054
    "the cluster remembers another machine of this name (its node password)": 'level=info msg="Waiting to retrieve '
    "agent configuration; server is not ready: Node password rejected, duplicate hostname or contents of "
    "'/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the "
    '--with-node-id flag"',
    # k3s#4803
    "etcd still has a member of this name": 'level=fatal msg="ETCD join failed: duplicate node name found, please use '
    'a unique name for this node"',
    # k3s#13498
    "this machine was removed from etcd and still has its old database": '{"level":"warn","msg":"server error",'
    '"error":"the member has been permanently removed from the cluster"}\n{"msg":"data-dir used by this member must be '
    'removed"}',
    # k3s#6448
    "its settings differ from the other servers': secrets-encryption": 'level=warning msg="critical configuration '
    'mismatched: secrets-encryption"\nlevel=fatal msg="starting kubernetes: preparing server: failed to validate '
    'server configuration: critical configuration value mismatch between servers"',
    # k3s#5163
    "the clocks differ: this machine says 2022-07-22T18:55:59+12:00, the certificate's limit is 2022-07-22T07:45:55Z": (
        'Get "https://127.0.0.1:6444/api/v1/services": x509: certificate has expired or is not yet valid: current time '
        "2022-07-22T18:55:59+12:00 is before 2022-07-22T07:45:55Z"
    ),
    # bottlerocket#3780, kubelet
    "kernel setting vm/overcommit_memory is 0, kubelet (protect-kernel-defaults) wants 1": '"Failed to start '
    'ContainerManager" err="[invalid kernel flag: vm/overcommit_memory, expected value: 1, actual value: 0]"',
    # k3s#1825
    "the kernel has no memory cgroup": 'level=fatal msg="failed to find memory cgroup, you may need to add '
    '\\"cgroup_memory=1 cgroup_enable=memory\\" to your linux cmdline (/boot/cmdline.txt on a Raspberry Pi)"',
    # k3s#4787
    "the disk (or etcd's quota) is full": '{"msg":"failed to apply request","error":"etcdserver: no space"}',
    # k3s#9343
    "10.255.0.101:6443 does not answer: connection refused": 'level=fatal msg="starting kubernetes: preparing server: '
    'failed to get CA certs: Get \\"https://10.255.0.101:6443/cacerts\\": dial tcp 10.255.0.101:6443: connect: '
    'connection refused"',
    # k3s#3689
    "the API address answers, but not as a K3s server: read tcp 127.0.0.1:34572->127.0.0.1:6444: read: connection "
    "reset by peer": 'level=error msg="failed to get CA certs: Get \\"https://127.0.0.1:6444/cacerts\\": read tcp '
    '127.0.0.1:34572->127.0.0.1:6444: read: connection reset by peer"',
    # sops-nix did not write the token
    "the secret /run/secrets/k3s-token is not on the machine": 'level=fatal msg="open /run/secrets/k3s-token: no such '
    'file or directory"',
    # a K3s that was not stopped
    "port 6443 is taken on the machine": 'level=fatal msg="listen tcp 0.0.0.0:6443: bind: address already in use"',
}


@pytest.mark.parametrize(("message", "journal"), [(message.rstrip(), text) for message, text in JOURNALS.items()])
def test_what_k3s_says_is_one_cause_with_a_remedy(message: str, journal: str) -> None:
    found = doctor.diagnose(f'level=info msg="Starting k3s v1.31.9+k3s1"\n{journal}\n')
    assert [diagnosis.message for diagnosis in found] == [message]
    assert found[0].remedy


def test_what_goes_away_by_itself_is_not_permanent() -> None:
    refused = "dial tcp 192.168.1.9:6443: connect: connection refused"
    assert [diagnosis.permanent for diagnosis in doctor.diagnose(refused)] == [False]
    assert [diagnosis.permanent for diagnosis in doctor.diagnose("duplicate node name found")] == [True]


def test_a_quiet_journal_has_no_cause() -> None:
    assert doctor.diagnose('level=info msg="k3s is up and running"\nlevel=info msg="Waiting for API server"') == []


def test_a_cause_that_is_said_again_and_again_is_told_once() -> None:
    assert len(doctor.diagnose("duplicate node name found\n" * 50)) == 1
