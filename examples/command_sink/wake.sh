#!/bin/sh
# Stores the text of each wake in a file, in one directory per session. Replace `cat` with the command that runs your
# agent, such as: my-agent --resume "$HOMING_SESSION"
#
# A command sink must do two things, and this script does both:
# - Exit with 0 only after the wake is stored durably. Exit with 75 while the session is busy (homing retries soon), and
#   with 69 if the session does not exist (homing gives up). Any other status is a failure, and homing retries later.
# - Accept the same wake more than once: homing repeats a wake whose answer was lost, with the same HOMING_WAKE.
set -eu
inbox=$1
case $HOMING_SESSION in
    */* | .*) echo "not a valid session name: $HOMING_SESSION" >&2; exit 69 ;;
esac
session=$inbox/$HOMING_SESSION
mkdir -p "$session"
test ! -e "$session/busy" || { echo "a turn is running" >&2; exit 75; }

# A repeated wake gets the same name. The file appears complete or not at all.
cat > "$session/.$HOMING_WAKE"
sync "$session/.$HOMING_WAKE" 2>/dev/null || sync
mv "$session/.$HOMING_WAKE" "$session/$HOMING_WAKE.txt"
