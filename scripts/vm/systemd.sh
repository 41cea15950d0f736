#!/bin/bash
# Runs in the virtual machine, below systemd: jobs survive the service or the login session that launched them.
set -u
. /mnt/settings
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}

folder=$TESTS
while [ "$folder" != / ]; do
    chmod a+rx "$folder"
    folder=$(dirname "$folder")
done

# Two users: programs of the first may run without a login session (it lingers), those of the second may not.
useradd -m -u 1501 -s /bin/bash lasting
useradd -m -u 1502 -s /bin/bash passing
loginctl enable-linger lasting
until [ -S /run/user/1501/systemd/private ]; do sleep 0.1; done

# The launcher: launches a job that exits with 5 when its gate is unlocked, then stays or exits.
cat > /run/test/launcher <<'L'
#!/bin/bash
cd /
HOMING_HOME=/run/test/$1/home "$2" run --name "of $1" "flock -s /run/test/$1/gate true; exit 5" \
    >> "/run/test/$1/ids" 2>> "/run/test/$1/errors"
[ "$3" != stay ] || exec sleep 1000
L
chmod a+rx /run/test/launcher

as() { if [ "$1" = root ]; then "${@:2}"; else setpriv --reuid="$1" --regid="$1" --clear-groups env HOME="/home/$1" "${@:2}"; fi; }
user_manager() { as lasting env XDG_RUNTIME_DIR=/run/user/1501 "$@"; }
# homing NAME USER ARGUMENT...
homing() { as "$2" env HOMING_HOME="/run/test/$1/home" "$HOMING" "${@:3}"; }
wait_for() { homing "$1" "$2" wait "$3" > /dev/null; }
# begin NAME USER: creates a directory for that user's jobs and a locked gate.
begin() {
    echo "-- $1 ($SECONDS s)"
    mkdir "/run/test/$1"
    touch "/run/test/$1/ids" "/run/test/$1/errors" "/run/test/$1/gate"
    chown -R "$2" "/run/test/$1"
    exec 9< "/run/test/$1/gate"
    flock 9
}
# The last job that was launched there, when this number of jobs exists.
job() {
    until [ "$(wc -l < "/run/test/$1/ids")" -ge "${2:-1}" ]; do sleep 0.1; done
    tail -1 "/run/test/$1/ids"
}
state() { homing "$1" "$2" show "$3" --json; }
group_of() { cat "/proc/$(state "$@" | sed 's/.*"pid": *\([0-9]*\).*/\1/')/cgroup"; }

# survives NAME USER JOB: the job has its own scope with a group in it, and ends as expected after its launcher has gone.
survives() {
    local group
    group=$(group_of "$@")
    case $group in
    *"/homing-$3.scope/homing-$3") ;;
    *) fail "$1: the job is not in its own scope: $group" ;;
    esac
    exec 9<&-
    wait_for "$@"
    state "$@" | grep -q '"exit_code": *5' || fail "$1: the job did not survive its launcher: $(state "$@")"
    [ ! -s /run/test/$1/errors ] || fail "$1: unexpected: $(cat /run/test/$1/errors)"
}

# The command for systemd-run.
launcher() { echo /run/test/launcher "$1" "$HOMING" "${2:-stay}"; }

begin user-service lasting
user_manager systemd-run -q --user --unit=chat $(launcher user-service)
id=$(job user-service)
user_manager systemctl --user stop chat
survives user-service lasting "$id"

begin system-service root
systemd-run -q --unit=chat $(launcher system-service)
id=$(job system-service)
systemctl stop chat
survives system-service root "$id"

begin service-of-lasting lasting
systemd-run -q --unit=chat-of-lasting --uid=lasting $(launcher service-of-lasting)
id=$(job service-of-lasting)
systemctl stop chat-of-lasting
survives service-of-lasting lasting "$id"

begin service-of-passing passing
systemd-run -q --unit=chat-of-passing --uid=passing $(launcher service-of-passing)
id=$(job service-of-passing)
systemctl stop chat-of-passing
wait_for service-of-passing passing "$id"
state service-of-passing passing "$id" | grep -q '"reason":"service_manager"' || fail "$(state service-of-passing passing "$id")"
# The first launch, and only the first, warns about this.
systemd-run -q --unit=chat-of-passing-2 --uid=passing $(launcher service-of-passing leave)
id=$(job service-of-passing 2)
[ "$(grep -c 'launched from chat-of-passing.service end when it stops' /run/test/service-of-passing/errors)" = 1 ] &&
    [ "$(grep -c 'end when it stops' /run/test/service-of-passing/errors)" = 1 ] ||
    fail "the warning was not printed exactly once: $(cat /run/test/service-of-passing/errors)"
systemd-run -q --wait --pipe --uid=passing -E HOMING_HOME=/run/test/service-of-passing/home "$HOMING" doctor > /run/test/doctor
grep -q 'KillMode=process' /run/test/doctor || fail "homing doctor does not explain it: $(cat /run/test/doctor)"

# The administrator decides whether processes of a login session end with it. If the user lingers, homing's jobs stay in both
# cases.
kill_user_processes() {
    mkdir -p /etc/systemd/logind.conf.d
    printf '[Login]\nKillUserProcesses=%s\nUserStopDelaySec=0\n' "$1" > /etc/systemd/logind.conf.d/test.conf
    systemctl restart systemd-logind
}

for kills in no yes; do
    kill_user_processes $kills
    begin session-of-lasting-$kills lasting
    su - lasting -c "$(launcher session-of-lasting-$kills leave)"
    survives session-of-lasting-$kills lasting "$(job session-of-lasting-$kills)"
    begin session-of-passing-$kills passing
    su - passing -c "$(launcher session-of-passing-$kills leave)"
    id=$(job session-of-passing-$kills)
    [ $kills = yes ] || exec 9<&-
    wait_for session-of-passing-$kills passing "$id"
    case $kills in
    no) wanted='"exit_code":5' ;;
    yes) wanted='"reason":"service_manager"' ;;
    esac
    state "session-of-passing-$kills" passing "$id" | grep -q "$wanted" ||
        fail "session-of-passing-$kills: $(state "session-of-passing-$kills" passing "$id")"
done

begin storm lasting
user_manager systemd-run -q --user --unit=storm -p Restart=always -p RestartSec=0 -p StartLimitIntervalSec=0 $(launcher storm)
for round in 1 2 3 4 5; do
    job storm "$round" > /dev/null
    # Sometimes during a launch, sometimes after it.
    [ $((round % 2)) = 0 ] || user_manager systemctl --user kill -s KILL storm
    user_manager systemctl --user restart storm
done
user_manager systemctl --user stop storm
exec 9<&-
for id in $(cat /run/test/storm/ids); do
    wait_for storm lasting "$id"
    state storm lasting "$id" | grep -q '"exit_code": *5' || fail "storm: $(state storm lasting "$id")"
done
echo "$(wc -l < /run/test/storm/ids) jobs were launched"

for try in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(find /sys/fs/cgroup -name 'homing-*')" ] || break
    sleep 1
done
left=$(systemctl list-units --all --no-legend 'homing-*'; user_manager systemctl --user list-units --all --no-legend 'homing-*')
[ -z "$left" ] || fail "units were left behind: $left"
left=$(find /sys/fs/cgroup -name 'homing-*')
[ -z "$left" ] || fail "control groups were left behind: $left"
exit $failed
