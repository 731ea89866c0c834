"""Real machines: SSH, nixos-anywhere, NixOS updates, GitHub bootstrap; every step a value that can print itself.

    trust ssh openssh      whom to believe, our own SSH client, and the `ssh` that other programs are given
    facts preflight        what a machine is, and everything that speaks against installing it
    steps state            steps as values, and what is finished (`.nerv/deploy/<node>.json`)
    anywhere watchdog      nixos-anywhere: its command, its phases with limits, the known causes of its failures
    waiting doctor         the new system answers, K3s joins; a journal turned into causes
    rebuild rollback       later deploys: nixos-rebuild, and a machine that goes back by itself
    drain quorum upgrade   what Kubernetes and etcd ask for while machines come and go

Not here: what a platform's folder holds and which steps a node needs; that is operations.deploying and its neighbours.
"""
