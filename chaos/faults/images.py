"""A service's data on a disk image of its own, so that its disk can be filled or lose its power.

A container, and a server in use, can't have its real disk filled or cut off. The image is a file
that is loop-mounted over the data directory, with the data copied into it.
"""

from dataclasses import dataclass

from chaos.faults.base import Fault

IMAGES = "/var/lib/connect-infra/drill-images"

# Where the loop devices have no nodes (containers) they are made; the kernel's own are left alone.
LOOP_NODES = """
test -e /dev/loop-control || mknod /dev/loop-control c 10 237
loop=$(losetup -f)
test -e "$loop" || mknod "$loop" b 7 "${loop#/dev/loop}"
"""

SHUTDOWN = 0x8004587D
"""ext4's EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32) (linux/fs/ext4/ext4.h)."""

NO_LOG_FLUSH = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: stop at once, flush neither data nor journal."""


@dataclass(frozen=True)
class Image:
    """How the data gets onto an image, and back."""

    prepare: str
    undo: str
    healed: str


def on_image(number: int, path: str, unit: str, megabytes: int) -> Image:
    """Move what is below `path` onto an image; `unit`, which uses it, is stopped meanwhile.

    To undo it, the data as it is by then is copied beside the old directory and takes its place.
    """
    image = f"{IMAGES}/{number}.img"
    fresh, old = f"{path}.drill-new", f"{path}.drill-old"
    return Image(
        prepare=f"""
mkdir -p {IMAGES}/{number}
systemctl stop {unit}
{LOOP_NODES}
rm -f {image}
truncate -s {megabytes}M {image}
mkfs.ext4 -q -F -m 0 {image}
mount -o loop {image} {IMAGES}/{number}
cp -a {path}/. {IMAGES}/{number}/
rm -rf {IMAGES}/{number}/lost+found
umount {IMAGES}/{number}
mount -o loop,commit=60 {image} {path}
systemctl start {unit}
""",
        undo=f"""
if mountpoint -q {path}; then
  systemctl unmask --runtime --quiet {unit} || true
  systemctl stop {unit}
  rm -rf {fresh}
  mkdir {fresh}
  cp -a {path}/. {fresh}/
  rm -rf {fresh}/lost+found
  chown --reference={path} {fresh}
  chmod --reference={path} {fresh}
  touch {IMAGES}/{number}.copied
  umount {path}
fi
if test -e {IMAGES}/{number}.copied; then
  systemctl stop {unit}
  test -e {old} || mv {path} {old}
  test ! -e {fresh} || mv {fresh} {path}
  rm -f {IMAGES}/{number}.copied
fi
rm -rf {old} {fresh} {image} {IMAGES}/{number}
rmdir {IMAGES} 2>/dev/null || true
systemctl unmask --runtime --quiet {unit} || true
systemctl reset-failed {unit} 2>/dev/null || true
systemctl start {unit}
""",
        healed=f"""
if mountpoint -q {path}; then exit 1; fi
test ! -e {image}
test ! -e {old}
systemctl is-active --quiet {unit}
""",
    )


def cut(number: int, path: str, unit: str) -> tuple[str, str]:
    """Scripts that take the power away and give it back, and that say whether data was lost.

    The file system stops writing at one instant, journal included; then every process of the unit
    is killed, and the image is mounted again as it stands. Of two files the one that was flushed
    must be there and the one that was written just before must be gone. Nothing is flushed then:
    that would take the service's own files along.
    """
    image, done = f"{IMAGES}/{number}.img", f"$drill/cut-{number}"
    ioctl = f"fcntl.ioctl(fd, {SHUTDOWN:#x}, struct.pack('I', {NO_LOG_FLUSH}))"
    inject = f"""
systemctl mask --runtime --quiet {unit}
echo not > {path}/drill-not-flushed
python3 -c "import fcntl, os, struct; fd = os.open('{path}', os.O_RDONLY); {ioctl}"
systemctl kill --signal=KILL {unit} || true
while ! umount {path} 2>/dev/null; do
  systemctl kill --signal=KILL {unit} 2>/dev/null || true
  sleep 0.1
done
{LOOP_NODES}
mount -o loop,commit=60 {image} {path}
test -e {path}/drill-flushed && test ! -e {path}/drill-not-flushed && touch {done}
rm -f {path}/drill-flushed {path}/drill-not-flushed
systemctl unmask --runtime --quiet {unit}
systemctl reset-failed {unit} 2>/dev/null || true
systemctl start --no-block {unit}
"""
    return inject, f"test -e {done}"


def fill(path: str) -> tuple[str, str, str]:
    """Scripts that fill the disk, that say whether it is full, and that empty it again."""
    file = f"{path}/drill-fill"
    return (
        f"dd if=/dev/zero of={file} bs=1M 2>/dev/null || true\n"
        f"dd if=/dev/zero of={file} bs=4k oflag=append conv=notrunc 2>/dev/null || true",
        f'test "$(df --output=avail {path} | tail -1)" -lt 64',
        f"rm -f {file}\n",
    )


def flushed(path: str) -> str:
    """A script that writes the file which must survive the cut, before the work begins."""
    return f"echo flushed > {path}/drill-flushed\nsync {path}/drill-flushed {path}\n"


def power_cut(number: int, path: str, unit: str, megabytes: int) -> Fault:
    """Take the power from a service's data: what was not flushed to the disk is gone."""
    image = on_image(number, path, unit, megabytes)
    inject, happened = cut(number, path, unit)
    prepare = image.prepare + flushed(path)
    return Fault(prepare, inject, happened, image.undo, image.healed)


def disk_full(number: int, path: str, unit: str, megabytes: int) -> Fault:
    """Fill the disk that a service writes to, to the last byte."""
    image = on_image(number, path, unit, megabytes)
    inject, happened, emptied = fill(path)
    return Fault(image.prepare, inject, happened, emptied + image.undo, image.healed)
