#!/bin/sh
# Demonstrates config.toml and wake.sh in a temporary home: launches a job and waits until its session is woken.
# Needs homing in PATH, or its path as the first argument:  sh examples/command_sink/run.sh target/release/homing
set -eu
here=$(cd "$(dirname "$0")" && pwd)
homing=${1:-homing}

folder=$(mktemp -d)
HOMING_HOME=$folder/home
HOMING_CONFIG=$folder/config.toml
HOMING_SESSION=chat-1
export HOMING_HOME HOMING_CONFIG HOMING_SESSION
sed -e "s|/path/to/command_sink|$here|" -e "s|/path/to/inbox|$folder/inbox|" "$here/config.toml" > "$HOMING_CONFIG"

# The monitor would exit by itself when nothing is left to deliver. It must exit before its home is removed.
monitor() { "$homing" doctor | sed -n 's/.* monitor .*active, pid //p'; }
end() {
    while pid=$(monitor) && test -n "$pid"; do
        kill "$pid" 2>/dev/null || true
        sleep 0.1
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 1' INT TERM

echo "\$ homing run 'sleep 1; echo built; exit 3'     # starts a monitor, because this session has a route"
job=$("$homing" run 'sleep 1; echo built; exit 3')
echo "$job"
tries=0
until ls "$folder/inbox/chat-1"/w_*.txt >/dev/null 2>&1; do
    tries=$((tries + 1))
    test "$tries" -lt 600 || { echo "the session was not woken" >&2; "$homing" follow-ups >&2; exit 1; }
    sleep 0.1
done
echo "\$ cat inbox/chat-1/w_*.txt                     # the text for the agent of chat-1"
cat "$folder/inbox/chat-1"/w_*.txt
