#!/bin/bash
# Runs in the virtual machine: tests of process trees, timeouts and kills with delegated control groups of version 2 as root, and
# the tests of groups as an ordinary user. Afterwards no group of a job may be left.
set -u
. /mnt/settings
failed=0
groups=/sys/fs/cgroup

# Make the test programs and all directories above them accessible for an ordinary user.
folder=$TESTS
while [ "$folder" != / ]; do
    chmod a+rx "$folder"
    folder=$(dirname "$folder")
done

run() {
    echo "-- as $1: ${*:2}"
    case $1 in
    root) HOMING_CGROUP=$groups/root-tests "${@:2}" ;;
    # In a group that belongs to the user, like a scope of the user's manager: homing finds it by itself.
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
run root "$FAULTS" --test-threads 4 groups:: tree:: supervisor::
# The user differs in how the group is found and what may be done to it.
run user "$FAULTS" --test-threads 4 groups::

left=$(find $groups -type d -name 'homing-????????????')
if [ -n "$left" ]; then
    echo "control groups were left behind: $left"
    failed=1
fi
exit $failed
