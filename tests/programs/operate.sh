# Beside a systemd that knows the units (boot.sh): what an operator does with them, each server on a
# port of its own, all at once. Says `ok NAME` of each that keeps what the book promises.
set -eu
client=/opt/shout/bin/shout-client

# property NAME: what systemd knows of the service.
property() { systemctl show --property "$1" --value "$unit.service"; }

# eventually COMMAND...: waits until it succeeds.
eventually() {
    for _ in $(seq 200); do if "$@"; then return; fi; sleep 0.1; done
    echo "not in time: $*"
    systemctl status --no-pager "$unit.service"
    return 1
}

started() { test "$(property MainPID)" != 0; }
counted() { property StatusText | grep -q '^open=0 accepted=[1-9]'; }
replaced() { test "$(property ActiveState)" = active && test "$(property MainPID)" != "$second"; }

operate() {
    systemctl start "$unit.socket"
    test "$(property ActiveState)" = inactive

    # The first client starts it; and a restart under load loses nothing.
    "$client" load "127.0.0.1:$port" --new-connection-each --connections 4 --duration 2s > "told.$port" &
    eventually started
    sleep 0.3
    first=$(property MainPID)
    systemctl restart "$unit.service"
    wait $!
    grep -q 'errors: none' "told.$port"
    test "$(property MainPID)" != "$first"

    # Its status says what it has counted.
    eventually counted

    # It is started again when it dies.
    second=$(property MainPID)
    kill -KILL "$second"
    eventually replaced
    "$client" "127.0.0.1:$port" --count 1 | grep -q 'HELLO BABY'

    systemctl stop "$unit.service" "$unit.socket"
    test "$(property Result)" = success
    echo "ok ${server##*/}: $(grep 'requests in' "told.$port"), slowest" \
        "$(sed -n 's/.*response time.* \([0-9.]* [^ ]*\)$/\1/p' "told.$port")"
}

port=8080
for server in /opt/shout/bin/shout-server-*; do
    port=$((port + 1))
    unit=shout-server@$port
    # Another model, by the drop-in that the unit itself shows.
    mkdir -p "/run/units/$unit.service.d"
    printf '[Service]\nExecStart=\nExecStart=%s\n' "$server" > "/run/units/$unit.service.d/model.conf"
done
systemctl daemon-reload
port=8080
for server in /opt/shout/bin/shout-server-*; do
    port=$((port + 1))
    unit=shout-server@$port
    operate &
done
wait
