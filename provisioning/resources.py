"""Desired state, one small frozen class a kind of thing; no class here touches a host."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Package:
    """A Debian package that is installed and configured; the archive decides the version."""

    name: str

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"package {self.name}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {"kind": "package", "name": self.name}


@dataclass(frozen=True)
class Group:
    """A system group."""

    name: str

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"group {self.name}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {"kind": "group", "name": self.name}


@dataclass(frozen=True)
class User:
    """A user with its primary group, home directory and shell; an existing one is adjusted."""

    name: str
    group: str
    home: str
    shell: str

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"user {self.name}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {
            "kind": "user",
            "name": self.name,
            "group": self.group,
            "home": self.home,
            "shell": self.shell,
        }


@dataclass(frozen=True)
class Directory:
    """A directory with its mode and owners; what is in it is nobody's business here."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"directory {self.path}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {
            "kind": "directory",
            "path": self.path,
            "mode": self.mode,
            "owner": self.owner,
            "group": self.group,
        }


@dataclass(frozen=True)
class File:
    """A whole file. The content of a secret one is compared by digest and never shown."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"file {self.path}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it when it only looks: no content."""
        return {
            "kind": "file",
            "path": self.path,
            "mode": self.mode,
            "owner": self.owner,
            "group": self.group,
            "secret": self.secret,
        }

    def encode_content(self) -> str:
        """The content as it travels to the host, for a change."""
        return base64.b64encode(self.content).decode()


@dataclass(frozen=True)
class Symlink:
    """A symbolic link."""

    path: str
    target: str

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"symlink {self.path}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {"kind": "symlink", "path": self.path, "target": self.target}


@dataclass(frozen=True)
class Unit:
    """A systemd unit: started at boot, running now; or masked, which is neither."""

    name: str
    enabled: bool = True
    running: bool = True
    masked: bool = False

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"unit {self.name}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {
            "kind": "unit",
            "name": self.name,
            "enabled": self.enabled,
            "running": self.running,
            "masked": self.masked,
        }


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting at run time, where the host lets it be set (a container may not)."""

    key: str
    value: str

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"sysctl {self.key}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {"kind": "sysctl", "key": self.key, "value": self.value}


@dataclass(frozen=True)
class Ensure:
    """A state that only a command can see and make.

    `check` (sh) exits 0 where the state holds and changes nothing; `do` (sh) brings it about.
    Both run as root with `secrets` in their environment, after the component's service runs.
    """

    name: str
    check: str
    do: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def id(self) -> str:
        """How plans and host-side states name this resource."""
        return f"ensure {self.name}"

    def encode(self) -> dict[str, object]:
        """What the host is told about it."""
        return {
            "kind": "ensure",
            "name": self.name,
            "check": self.check,
            "do": self.do,
            "secrets": dict(self.secrets),
        }


Resource = Package | Group | User | Directory | File | Symlink | Unit | Sysctl | Ensure
