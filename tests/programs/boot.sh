# boot.sh INSTALLED COMMAND [ARGUMENT...], as root: starts a systemd of its own, which knows the
# units of an installation for the prefix /opt/shout and nothing else, then runs the command beside
# it. INSTALLED is where that prefix's files are. Everything that it changes, it changes in name
# spaces of its own; but for a control group, which it removes.
set -u

case ${BOOT:-enter} in
enter)
    # A control group of its own, below the one that this process is in.
    hierarchy=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
    group=${hierarchy:?there is no cgroup2}$(sed -n 's/^0:://p' /proc/self/cgroup)/shout-$$
    mkdir "$group" || exit 1
    (
        echo "$BASHPID" > "$group/cgroup.procs"
        BOOT=beside exec unshare --mount --cgroup --net --ipc --uts bash "$0" "$@"
    )
    code=$?
    # The kernel is still ending what was in it.
    for _ in $(seq 100); do
        if grep -q 'populated 0' "$group/cgroup.events"; then break; fi
        sleep 0.05
    done
    find "$group" -depth -type d -exec rmdir {} +
    exit $code
    ;;
beside)
    set -e
    mount --make-rprivate /
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /opt
    mkdir /opt/shout /run/units
    mount --bind "$1" /opt/shout
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    ip link set lo up
    for target in sysinit basic sockets default; do
        printf '[Unit]\nDefaultDependencies=no\n' > "/run/units/$target.target"
    done
    export SYSTEMD_UNIT_PATH=/run/units:/opt/shout/lib/systemd/system
    BOOT='' container=test unshare --pid --fork --kill-child --mount-proc /lib/systemd/systemd \
        --system --log-target=null --show-status=no < /dev/null > /dev/null 2>&1 &
    trap 'kill -KILL %1' EXIT
    # Systemd answers only who is in its name space of processes.
    for _ in $(seq 400); do
        systemd=$(pgrep -P "$!") || { sleep 0.05; continue; }
        if nsenter -t "$systemd" -p -m systemctl is-active --quiet default.target 2>/dev/null; then break; fi
        sleep 0.05
    done
    shift
    nsenter -t "$systemd" -p -m "$@"
    ;;
esac
