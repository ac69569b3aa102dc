#!/usr/bin/env bash
# The first process of a host of its own: this machine's files under a layer that is thrown away, what deploy/ installs, and systemd.
#
# Owns: what such a host has that a new machine has not. May not: be started outside of the namespaces that host.py makes, or change
# anything of the machine that it runs on.
set -euo pipefail

root=$1 programs=$2 repository=$3 layer=$4

# Bytes of the disk that holds the gateway's database: little, so that a check can fill it.
store_bytes=64M

mount --make-rprivate /
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
mount -t proc proc "$root/proc"
# The kernel's settings belong to the machine.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
mkdir "$root/sys/fs/cgroup/systemd" "$root/sys/fs/cgroup/unified"
if ! mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd" 2>/dev/null; then
    umount "$root/sys/fs/cgroup"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi

# Devices of its own: systemd puts its sockets there.
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do cp -a "/dev/$device" "$root/dev/"; done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
printf '' >"$root/etc/machine-id"
rm -rf "$root/var/log/journal" "$root/var/lib/paygate" "$root/var/lib/paygate-signer" "$root/etc/paygate" "$root/etc/paygate-signer"

# As deploy/README.md says: users, units, programs, and a disk for the database.
mkdir -p "$root/etc/sysusers.d" "$root/etc/systemd/system" "$root/var/lib/paygate" "$root/etc/paygate" "$root/etc/paygate-signer" "$root/usr/local/bin"
mount -t tmpfs -o "size=$store_bytes,mode=700" tmpfs "$root/var/lib/paygate"
cp "$repository/deploy/systemd/paygate.sysusers" "$root/etc/sysusers.d/paygate.conf"
cp "$repository"/deploy/systemd/*.service "$repository"/deploy/systemd/*.timer "$root/etc/systemd/system/"
for program in paygate paygate-signer paygatectl; do
    : >"$root/usr/local/bin/$program"
    mount --bind "$programs/$program" "$root/usr/local/bin/$program"
done
chroot "$root" systemd-sysusers /etc/sysusers.d/paygate.conf

# Nothing of the machine's own services, and nothing that would look for hardware.
for unit in systemd-udevd systemd-binfmt systemd-modules-load systemd-sysctl systemd-remount-fs systemd-update-utmp systemd-tmpfiles-setup-dev; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
exec env -i container=paygate-tests PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$root" /lib/systemd/systemd --unit=basic.target --log-level=notice --show-status=no
