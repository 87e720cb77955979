# Beside a systemd that knows the units (boot.sh): what an operator does with them. Says `ok NAME` of
# each server that keeps what the book promises.
set -eu
client=/opt/shout/bin/shout-client
unit=shout-server@8080.service

# property NAME: what systemd knows of the service.
property() { systemctl show --property "$1" --value "$unit"; }

# eventually COMMAND...: waits until it succeeds.
eventually() {
    for _ in $(seq 200); do if "$@"; then return; fi; sleep 0.05; done
    echo "not in time: $*"
    systemctl status --no-pager "$unit"
    return 1
}

for server in /opt/shout/bin/shout-server-*; do
    # Another model, by the drop-in that the unit itself shows.
    mkdir -p "/run/units/$unit.d"
    printf '[Service]\nExecStart=\nExecStart=%s\n' "$server" > "/run/units/$unit.d/model.conf"
    systemctl daemon-reload
    systemctl start shout-server@8080.socket
    test "$(property ActiveState)" = inactive

    # The first client starts it; and a restart under load loses nothing.
    "$client" load --new-connection-each --connections 4 --duration 800ms > told &
    sleep 0.3
    first=$(property MainPID)
    systemctl restart "$unit"
    wait $!
    grep -q 'errors: none' told
    test "$(property MainPID)" != "$first"

    # Its status says what it has counted.
    counted() { property StatusText | grep -q '^open=0 accepted=[1-9]'; }
    eventually counted

    # It is started again when it dies.
    second=$(property MainPID)
    kill -KILL "$second"
    replaced() { test "$(property ActiveState)" = active && test "$(property MainPID)" != "$second"; }
    eventually replaced
    "$client" --count 1 | grep -q 'HELLO BABY'

    systemctl stop "$unit" shout-server@8080.socket
    test "$(property Result)" = success
    echo "ok ${server##*/} $(grep -o '[0-9]* requests in' told) 0.8 s, slowest $(sed -n 's/.*response time.* \([0-9.]* [^ ]*\)$/\1/p' told)"
done
