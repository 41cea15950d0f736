#!/bin/bash
# Runs in the virtual machine: the tests of trees, limits and kills, with control groups of version 2 that are delegated, as
# root and as an ordinary user. Then no group of a job may be left.
set -u
. /mnt/settings
failed=0
groups=/sys/fs/cgroup

# The test programs, and every folder above them, so that an ordinary user gets there too.
folder=$TESTS
while [ "$folder" != / ]; do
    chmod a+rx "$folder"
    folder=$(dirname "$folder")
done

run() {
    echo "-- as $1: ${*:2}"
    case $1 in
    root) HOMING_CGROUP=$groups/root-tests "${@:2}" ;;
    # In a group that belongs to the user, as a user manager's scope does: it is found without being named.
    user)
        (
            echo "$BASHPID" > $groups/user-tests/cgroup.procs
            HOME=/run/test/user exec setpriv --reuid=1000 --regid=1000 --clear-groups "${@:2}"
        )
        ;;
    esac || failed=1
}

mkdir $groups/root-tests $groups/user-tests /run/test/user
chown 1000:1000 $groups/user-tests $groups/user-tests/cgroup.{procs,threads,subtree_control} /run/test/user
for who in root user; do
    run $who "$FAULTS" --test-threads 4 groups:: tree:: supervisor::
done

left=$(find $groups -type d -name 'homing-????????????')
if [ -n "$left" ]; then
    echo "control groups were left behind: $left"
    failed=1
fi
exit $failed
