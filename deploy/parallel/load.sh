#!/usr/bin/env bash
# A client on each host of a file; they load one server together.
#
#     load.sh HOSTS SERVER:PORT --connections 300 --rate 30000 --duration 30s
#
# HOSTS has a line for each machine that ssh reaches without a question; each has `client` in its
# PATH. The other arguments are those of `client load`, for all clients together; each takes its
# share. START_IN says how many seconds the clients have until the load begins.
#
# The logs come back on standard output, one whole log after the other, and nothing is written to
# any disk. What each client says for people is on standard error.
set -euo pipefail

hosts=$1 address=$2 ranks=$(grep -cv '^ *\(#\|$\)' "$1")
shift 2
# --quote, because the remote shell would take p99>5ms for the name of a file.
parallel --quote --sshloginfile "$hosts" --jobs 1 --max-replace-args 0 \
    client load "$address" --ranks "$ranks" --hdr - \
    --start-at "$(date -d "+${START_IN:-20} seconds" +%s)" "$@" ::: $(seq "$ranks") |
    client merge - --expect "$ranks"
