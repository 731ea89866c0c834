"""A Git repository to commit to, with an identity of its own and none of the user's configuration."""

from __future__ import annotations

from pathlib import Path

from nerv import process

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@t",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@t",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Repository:
    """A work tree at `path` with the branch main."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"file://{path}"
        path.mkdir(parents=True)
        self.git("init", "--quiet", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git in the work tree; its output without the last line end."""
        return process.run_sync(["git", *arguments], cwd=self.path, env=ENVIRONMENT).stdout.strip()

    def commit(self, message: str, files: dict[str, str | None] | None = None) -> str:
        """Write (or with None remove) files and commit. Returns the commit."""
        for name, text in (files or {}).items():
            path = self.path / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", message, "--allow-empty")
        return self.git("rev-parse", "HEAD")
