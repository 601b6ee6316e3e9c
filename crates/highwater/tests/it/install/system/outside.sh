# $1: the place for what is told. $2: the program. $3: systemd.
set -eu
place=$1 program=$2 systemd=$3
group=highwater-test-$$

if [ "${4-}" != inside ]; then
    groups=
    if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then groups=/sys/fs/cgroup
    elif [ -d /sys/fs/cgroup/unified ] && [ -d /sys/fs/cgroup/systemd ]; then groups="/sys/fs/cgroup/unified /sys/fs/cgroup/systemd"
    else echo "no control groups that systemd takes" >&2; exit 0; fi
    leave() {
        for at in $groups; do
            echo $$ >"$at/cgroup.procs" || true
            find "$at/$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        done
    }
    trap leave EXIT
    for at in $groups; do mkdir "$at/$group"; echo $$ >"$at/$group/cgroup.procs"; done
    # Whatever becomes of it: with its first process all of it ends.
    timeout -s KILL 150 unshare --mount --pid --cgroup --uts --ipc --net --fork --kill-child --propagation private \
        "$0" "$place" "$program" "$systemd" inside
    exit 0
fi

root=$place/system
mkdir "$root"
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/whole"
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/whole"
root=$root/whole
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/var/tmp" "$root/var/log" "$root/told" "$root/before"
mount --bind "$place" "$root/told"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
    mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/unified" "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
fi
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts devpts "$root/dev/pts"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    numbers=${device#*:}
    mknod -m 666 "$root/dev/${device%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/run"
ip link set lo up

# Nothing of this machine's own starts there.
rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/highwater-*
rm -rf "$root/etc/highwater" "$root/var/lib/highwater"
sed -i '/^highwater:/d' "$root/etc/passwd" "$root/etc/group" "$root/etc/shadow" "$root/etc/gshadow"
: >"$root/etc/fstab"
rm -f "$root/etc/machine-id"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
for unit in systemd-udevd.service systemd-udev-trigger.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount systemd-modules-load.service getty.target systemd-remount-fs.service systemd-networkd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
cat >"$root/etc/systemd/system/tried.service" <<UNIT
[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=append:/told/told
StandardError=append:/told/setup.log
ExecStart=/bin/sh /told/tried
ExecStopPost=/bin/systemctl exit --force
TimeoutStartSec=120
UNIT
mkdir -p "$root/usr/local/bin"
cp "$program" "$root/usr/local/bin/highwater"
cd "$root"
pivot_root . before
umount -l /before
sh /told/setup >/told/setup.log 2>&1
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$systemd" --system --unit=tried.service \
    --log-target=journal --show-status=false
