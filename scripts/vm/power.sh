#!/bin/bash
# Runs in the virtual machine, with a disk: checks that every job that was launched before the power cut is known and that none ran
# twice. Then launches more, beside a monitor that delivers and a loop that prunes, until the power is cut again.
#   /mnt/launched    "NUMBER ID" of every launch that returned, as read from the console
#   /mnt/last        exists in the last round: everything is delivered, and nothing is launched
set -u
. /mnt/settings
export HOMING_HOME=/disk/home
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}

cat > /run/test/deliver <<'D'
#!/bin/bash
# Stores the jobs of a wake durably before it is acknowledged.
grep -o '{"schema":"homing.job/1","id":"[0-9a-f]*' | sed 's/.*"//' > "/disk/delivered/$HOMING_WAKE.new"
sync "/disk/delivered/$HOMING_WAKE.new"
mv "/disk/delivered/$HOMING_WAKE.new" "/disk/delivered/$HOMING_WAKE"
sync /disk/delivered
D
chmod +x /run/test/deliver
mkdir -p /disk/ran /disk/delivered

jobs() { "$HOMING" list --limit 0 --json | sed 's/{"schema":"homing.job/\n&/g' | grep '^{"schema'; }

if [ -e /mnt/last ]; then
    "$HOMING" monitor --once --command /run/test/deliver 2> /run/test/log || fail "the monitor: $(cat /run/test/log)"
fi
jobs > /run/test/jobs
grep -q '"state":"\(running\|starting\)"' /run/test/jobs && fail "a job is still running: $(grep -m1 '"state":"\(running\|starting\)"' /run/test/jobs)"
cat /disk/delivered/w_* 2>/dev/null | sort -u > /run/test/delivered
ended=0 lost=0 pruned=0
while read -r number id; do
    job=$(grep "\"id\":\"$id\"" /run/test/jobs)
    case $job in
    *"\"exit_code\":$((number % 7))"[,}]*)
        ended=$((ended + 1))
        [ "$(wc -l < "/disk/ran/$id")" = 1 ] || fail "job $id ran $(wc -l < "/disk/ran/$id") times"
        ;;
    *'"reason":"reboot"'*) lost=$((lost + 1)) ;;
    # Only delivered jobs may be pruned.
    '')
        grep -q "$id" /run/test/delivered || fail "job $id is not known"
        pruned=$((pruned + 1))
        ;;
    *) fail "job $id, number $number: $job" ;;
    esac
    [ ! -e /mnt/last ] || grep -q "$id" /run/test/delivered || fail "job $id was not delivered"
done < /mnt/launched
for file in $(find /disk/ran -type f -size +2c); do fail "a job ran twice: $file: $(cat "$file")"; done
echo "known after a power cut: $ended with their exit status, $lost lost, $pruned delivered and pruned"
[ $failed = 0 ] || exit 1
[ ! -e /mnt/last ] || exit 0

"$HOMING" monitor --command /run/test/deliver 2> /dev/null &
while :; do "$HOMING" prune --older-than 2s > /dev/null; done &
number=$(wc -l < /mnt/launched)
for round in $(seq 150); do
    number=$((number + 1))
    id=$("$HOMING" run "echo x >> /disk/ran/\$HOMING_JOB; sync /disk/ran/\$HOMING_JOB; exit $((number % 7))") || fail "launch: $id"
    echo "launched $number $id"
    [ $((number % 5)) != 0 ] || sleep 0.$((RANDOM % 5))
done
sync
echo "the power was not cut in time"
exit 1
