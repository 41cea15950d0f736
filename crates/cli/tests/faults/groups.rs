//! Jobs in their own control groups: the whole tree is ended at once, and the group is removed, whichever process dies.

use std::time::Duration;

use homing::core::LostReason;
use homing::{JobId, JobSpec, KilledBy, LeftoverPolicy, Outcome};
use testkit::{DelegatedGroup, skip, wait_until};

use crate::setup::{Setup, kill_9, outcome, stdout};
use crate::tree::ESCAPES;

const LOST: Outcome = Outcome::Lost { reason: LostReason::SupervisorDied };

/// A home beside a delegated group. Dropping the group proves that it is empty.
struct Grouped {
    setup: Setup,
    group: DelegatedGroup,
}

impl Grouped {
    fn new() -> Option<Grouped> {
        let Some(group) = DelegatedGroup::make() else {
            skip("no control group (version 2) can be made here");
            return None;
        };
        Some(Grouped { setup: Setup::new(), group })
    }

    fn script(&self, script: &str) -> JobSpec {
        self.setup.script(script).env("HOMING_CGROUP", self.group.value())
    }

    fn launch(&self, script: &str) -> JobId {
        self.setup.launch_spec(self.script(script)).id
    }

    fn members(&self, id: JobId) -> usize {
        let list = self.group.path().join(format!("homing-{id}/cgroup.procs"));
        std::fs::read_to_string(list).map_or(0, |list| list.lines().count())
    }
}

#[test]
fn a_delegated_control_group_ends_the_tree_at_once() {
    let Some(grouped) = Grouped::new() else { return };
    let setup = &grouped.setup;
    let spec = grouped.script(&format!("trap '' TERM; {ESCAPES} sleep MARK")).grace(Duration::ZERO);
    let id = setup.launch_spec(spec).id;
    setup.wait_for_marked(5);
    assert!(grouped.members(id) >= 5, "the job has a group of its own");
    let job = setup.homing.kill(id, KilledBy::Operator).expect("it ends");
    assert_eq!(outcome(&job), &Outcome::Killed { by: KilledBy::Operator });
    assert_eq!(setup.home.marked(), []);
}

#[test]
fn the_processes_of_a_lost_job_are_ended_by_its_control_group() {
    let Some(grouped) = Grouped::new() else { return };
    let setup = &grouped.setup;
    let id = grouped.launch(&format!("{ESCAPES} sleep MARK"));
    setup.wait_for_marked(5);
    kill_9(setup.supervisor(id).pid);
    assert!(matches!(outcome(&setup.recovered_end_of(id)), Outcome::Lost { .. }));
    // Without environment, session, output or parents: only the group shows which job it belongs to.
    wait_until("everything is gone", || setup.home.marked().is_empty());
}

#[test]
fn a_failed_start_removes_its_group() {
    let Some(grouped) = Grouped::new() else { return };
    for _ in 0..10 {
        let spec = JobSpec::program("/no/such/program");
        let id = grouped.setup.launch_spec(spec.env("HOMING_CGROUP", grouped.group.value())).id;
        let job = grouped.setup.end_of(id);
        assert!(matches!(outcome(&job), Outcome::FailedToStart { .. }), "{job:#?}");
    }
}

#[test]
fn a_supervisor_killed_at_any_step_leaves_no_group() {
    let points = [
        "forked",
        "started_recorded",
        "grouped",
        "answered",
        "main_ended",
        "end_recorded",
        "tree_killed",
        "output_stored",
        "finish_written",
        "finish_synced",
        "inbox_notified",
    ];
    for point in points {
        let Some(grouped) = Grouped::new() else { return };
        let setup = &grouped.setup;
        let script = "trap '' TERM; setsid sleep MARK & exit 7";
        let spec = grouped.script(script).env("FAILPOINTS", format!("supervise/{point}=return"));
        let id = setup.launch_spec(spec.grace(Duration::ZERO)).id;
        let list = || {
            let mut list = setup.program();
            list.args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)");
            stdout(&list.output().expect("the program runs"))
        };
        wait_until("it has finished", || list().contains(r#""state":"finished""#));
        let mut recover = setup.program();
        stdout(&recover.arg("recover").env("FAILPOINTS", "start_grace=return(0)").output().expect("it runs"));
        wait_until(&format!("{point}: {id} has no group any more"), || grouped.group.groups().is_empty());
    }
}

#[test]
fn a_job_whose_directory_is_removed_leaves_no_group() {
    let Some(grouped) = Grouped::new() else { return };
    let setup = &grouped.setup;
    let go = setup.scratch("go");
    let id = grouped.launch(&format!("until [ -e {} ]; do sleep 0.01; done", go.display()));
    wait_until("it has a group", || grouped.members(id) > 0);
    let directory = setup.home.path().join("jobs").join(id.as_str());
    // The last file that its supervisor creates: a directory with a new file is not empty.
    wait_until("its output is stored", || directory.join("output.log").exists());
    std::fs::remove_dir_all(directory).expect("it can be removed");
    std::fs::write(go, "").expect("a file");
}

#[test]
fn a_group_with_subgroups_is_removed_completely() {
    let Some(grouped) = Grouped::new() else { return };
    let setup = &grouped.setup;
    let parts = "own=$(sed -n 's/^0:://p' /proc/self/cgroup); \
                 for root in /sys/fs/cgroup/unified /sys/fs/cgroup; do [ -e $root$own/cgroup.kill ] && break; done; \
                 mkdir -p $root$own/part/below && echo $$ > $root$own/part/below/cgroup.procs && echo made;";
    for kill_supervisor in [false, true] {
        let id = grouped.launch(&format!("{parts} exec sleep MARK"));
        wait_until("it is divided", || setup.homing.output_end(id).expect("output") > 0);
        if kill_supervisor {
            kill_9(setup.supervisor(id).pid);
            assert_eq!(outcome(&setup.recovered_end_of(id)), &LOST);
        } else {
            setup.homing.kill(id, KilledBy::Operator).expect("it ends");
        }
        wait_until("the group and its parts are gone", || grouped.group.groups().is_empty());
    }
}

#[test]
fn a_group_whose_processes_were_kept_is_removed_by_the_next_recovery() {
    let Some(grouped) = Grouped::new() else { return };
    let setup = &grouped.setup;
    let go = setup.scratch("go");
    let wait = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let spec = grouped.script(&format!("({wait}) > /dev/null 2>&1 & exit 0")).leftovers(LeftoverPolicy::Keep);
    let id = setup.launch_spec(spec).id;
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 0 });
    // It has closed its output, so its supervisor does not wait for it.
    wait_until("its supervisor is gone", || {
        setup.home.processes().iter().all(|process| !process.command_line.contains("__supervise"))
    });
    assert!(grouped.members(id) > 0, "what was kept lives on, in its group");
    std::fs::write(go, "").expect("a file");
    wait_until("the kept process has ended", || grouped.members(id) == 0);

    let mut sweep = setup.program();
    sweep.args(["prune"]).env("HOMING_CGROUP", grouped.group.value());
    let sweep = sweep.output().expect("the program runs");
    assert!(sweep.status.success(), "{sweep:?}");
    assert_eq!(grouped.group.groups(), Vec::<String>::new());
}
