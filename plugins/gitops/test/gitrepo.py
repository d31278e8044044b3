"""gitrepo.py: deploy repositories for the tests, by the real git, and a real sshd to reach them by.

    with Sshd(folder) as sshd: ...      sshd.settings(deploy), sshd.secrets()
"""
import os
import socket
import subprocess
import time

from harness import free_port

ENV = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
       "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
       "GIT_COMMITTER_EMAIL": "ada@example.org", "HOME": "/nonexistent"}


def git(where, *args, check=True, **more):
    done = subprocess.run(["git", *args], cwd=where, env=ENV, capture_output=True, text=True, **more)
    assert not check or done.returncode == 0, (args, done.stderr)
    return done.stdout.strip()


class Deploy:
    """A bare repository and somebody's clone of it."""

    def __init__(self, folder, name="deploy", branch="main"):
        self.bare, self.work, self.branch = folder / f"{name}.git", folder / f"{name}-work", branch
        git(folder, "init", "-q", "--bare", "-b", branch, self.bare)
        git(self.bare, "config", "gc.auto", "0")  # else a push leaves one in the background, packing under check()
        git(folder, "clone", "-q", self.bare, self.work)
        git(self.work, "checkout", "-q", "-B", branch)

    def write(self, files):
        for path, content in files.items():
            path = self.work / path
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def commit(self, files, message="a deploy", push=True):
        self.write(files)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", message)
        if push:
            self.push()
        return git(self.work, "rev-parse", "HEAD")

    def push(self, *args):
        git(self.work, "push", "-q", *args, "origin", f"HEAD:{self.branch}")

    def pull(self):
        git(self.work, "pull", "-q", "--ff-only", "origin", self.branch)

    def head(self):
        return git(self.bare, "rev-parse", self.branch)

    def tree(self, at=None):
        return git(self.bare, "rev-parse", f"{at or self.branch}^{{tree}}")

    def show(self, path, at=None):
        return git(self.bare, "show", f"{at or self.branch}:{path}")

    def files(self, at=None):
        return git(self.bare, "ls-tree", "-r", "--name-only", at or self.branch).split()

    def count(self):
        return int(git(self.bare, "rev-list", "--count", self.branch))

    def message(self, at=None):
        return git(self.bare, "log", "-1", "--format=%B", at or self.branch)

    def hook(self, name, script):
        path = self.bare / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def check(self):
        git(self.bare, "fsck", "--strict", "--full")


def make_key(path, kind="ed25519"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", path], check=True,
                   stdin=subprocess.DEVNULL)
    return path.read_text()


class Sshd:
    """Debian's sshd on loopback, for one key."""

    def __init__(self, folder):
        self.dir, self.port, self.process = folder, free_port(), None
        self.user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()

    @staticmethod
    def missing():
        """Why it cannot be started; None: it can."""
        if not os.path.exists("/usr/sbin/sshd"):
            return "sshd is not there (Debian: openssh-server)"
        if os.getuid() == 0 and not os.path.isdir("/run/sshd"):
            try:
                os.mkdir("/run/sshd", 0o755)
            except FileExistsError:
                pass
            except OSError as error:
                return f"sshd needs /run/sshd: {error}"
        return None

    def __enter__(self):
        make_key(self.dir / "host_key")
        self.key = make_key(self.dir / "key")
        self.authorized = self.dir / "authorized_keys"
        self.authorized.write_text((self.dir / "key.pub").read_text())
        (self.dir / "config").write_text(f"""
            Port {self.port}
            ListenAddress 127.0.0.1
            HostKey {self.dir}/host_key
            AuthorizedKeysFile {self.dir}/authorized_keys
            PidFile none
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin yes
            SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*
            LogLevel VERBOSE
            """)
        self.known_hosts = self.dir / "known_hosts"
        public = " ".join((self.dir / "host_key.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}\n")
        self.log = open(self.dir / "sshd.log", "wb")
        self.process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "config"], stderr=self.log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.__exit__()
                    raise RuntimeError("sshd did not start: " + (self.dir / "sshd.log").read_text())
                time.sleep(0.02)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.log.close()

    def url(self, path):
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"

    def settings(self, deploy):
        return {"url": self.url(deploy.bare), "known_hosts": str(self.known_hosts), "branch": deploy.branch}

    def secrets(self):
        return {"ssh_key": self.key}
