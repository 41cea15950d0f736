#!/bin/sh
# Keeps what a session's agent is to read: one file for each wake, in a directory for each session. In place of `cat`
# belongs what talks to your agent, such as: my-agent --resume "$HOMING_SESSION"
#
# What a program that is woken has to do is all here:
# - Exit with 0 only once the wake cannot be lost any more; with 75 while the session is busy (homing comes again), with
#   69 where there is no such session (homing gives up). Anything else is a failure, and tried again.
# - Expect the same wake again: homing repeats one whose answer was lost. HOMING_WAKE stays the same.
set -eu
inbox=$1
case $HOMING_SESSION in
    */* | .*) echo "no session has such a name: $HOMING_SESSION" >&2; exit 69 ;;
esac
session=$inbox/$HOMING_SESSION
mkdir -p "$session"
test ! -e "$session/busy" || { echo "a turn is live" >&2; exit 75; }

# A wake that comes again gets the same name. It is there whole or not at all.
cat > "$session/.$HOMING_WAKE"
sync "$session/.$HOMING_WAKE" 2>/dev/null || sync
mv "$session/.$HOMING_WAKE" "$session/$HOMING_WAKE.txt"
