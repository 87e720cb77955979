#!/usr/bin/env bash
# Clients that mpirun starts; they load one server together.
#
#     OMPI_MCA_orte_default_hostfile=hosts load.sh RANKS SERVER:PORT --rate 30000 --duration 30s
#
# The other arguments are those of `client load`, for all clients together; each takes its share.
# Start it in a folder that all machines share: shout-load-XXXXXX in it has the logs. START_IN says
# how many seconds the clients have until the load begins.
#
# A client that fails ends all others: so does mpirun, whose exit code is then that of the client.
set -euo pipefail

ranks=$1 address=$2 worst=0
shift 2
logs=$(mktemp --directory shout-load-XXXXXX)
mpirun -n "$ranks" \
    client load "$address" --hdr "$logs/{rank}.hlog" \
    --start-at "$(date -d "+${START_IN:-10} seconds" +%s)" "$@" >&2 || worst=$?
client merge "$logs" --expect "$ranks" || worst=$((worst > 0 ? worst : 1))
exit "$worst"
