//! Tests of the view: states and keys, and the screens that they show.

use std::time::{Duration, Instant};

use homing::core::Timestamp;
use homing::{FollowUpState, Job, JobId, NotNotified, Outcome};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Rect, Size};

use super::entry::{Entry, Section};
use super::keys::Key;
use super::model::{Effect, Jobs, Mode, Model};
use super::output_lines::OutputLines;
use super::output_view::OutputView;
use super::testing::{NOW_MS, finished, now, running};
use super::view::draw;
use crate::local_time::time_or_day;

const SIZE: Size = Size { width: 80, height: 24 };
const SMALL: Size = Size { width: 40, height: 12 };

const RUNNING: &str = "111111111111";
const FAILED: &str = "222222222222";
const DEAD: &str = "333333333333";
const SUCCEEDED: &str = "444444444444";

const NOTHING: [Effect; 0] = [];

fn id(text: &str) -> JobId {
    text.parse().expect("an id")
}

/// A running job, a failed one whose session is not notified, one whose wake is dead, and one that was notified.
fn jobs() -> Vec<Job> {
    let failed = finished(FAILED, Outcome::Exited { exit_code: 3 });
    let mut dead = finished(DEAD, Outcome::Exited { exit_code: 0 });
    dead.name = Some("train the model".to_owned());
    dead.follow_up.state = FollowUpState::Dead;
    dead.follow_up.attempts = 5;
    dead.follow_up.last_error = Some("exit status 1: session not found".to_owned());
    let mut succeeded = finished(SUCCEEDED, Outcome::Exited { exit_code: 0 });
    succeeded.name = None;
    succeeded.session = "0199a8c2-77f1-7a10-9d5e-6f3b1c2d3e4f".parse().expect("a session");
    succeeded.follow_up.state = FollowUpState::Acknowledged;
    succeeded.follow_up.attempts = 1;
    vec![running(RUNNING), failed, dead, succeeded]
}

fn entries(jobs: Vec<Job>) -> Jobs {
    let entry = |job: Job| {
        let is_tried = job.follow_up.attempts > 0;
        Entry::new(job, (!is_tried).then_some(NotNotified::NoRoute))
    };
    Jobs { entries: jobs.into_iter().map(entry).collect(), ..Jobs::default() }
}

fn model() -> Model {
    let mut model = Model::new(None);
    model.set_jobs(entries(jobs()));
    model.last_outputs = vec![(id(RUNNING), Timestamp::from_unix_millis(NOW_MS - 3_000))];
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.chars().filter_map(|key| model.on_key(Key::Char(key), SIZE)).collect()
}

fn buffer(model: &Model, size: Size) -> Buffer {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: size.width, height: size.height });
    draw(model, now(), &mut buffer);
    buffer
}

/// The screen as text, with the time of day at which jobs ended replaced.
fn screen(model: &Model, size: Size) -> String {
    let buffer = buffer(model, size);
    let line = |y: u16| -> String { (0..size.width).map(|x| buffer[(x, y)].symbol()).collect() };
    let text: Vec<String> = (0..size.height).map(|y| line(y).trim_end().to_owned()).collect();
    let ended = time_or_day(Timestamp::from_unix_millis(NOW_MS - 60_000), now());
    text.join("\n").replace(&ended, "HH:MM:SS")
}

#[test]
fn the_list_fits_a_usual_and_a_small_screen() {
    insta::assert_snapshot!("list_80x24", screen(&model(), SIZE));
    insta::assert_snapshot!("list_40x12", screen(&model(), SMALL));
    insta::assert_snapshot!("empty_list_80x24", screen(&Model::new(None), SIZE));
}

#[test]
fn the_help_fits_a_small_screen() {
    let mut model = model();
    press(&mut model, "?");
    insta::assert_snapshot!("help_40x12", screen(&model, SMALL));
    assert_eq!(press(&mut model, "k"), NOTHING, "the next key only closes the help");
    assert!(matches!(model.mode, Mode::List) && model.asks_to_kill.is_none());
}

#[test]
fn the_output_shows_omitted_bytes_and_whether_it_is_followed() {
    let mut model = model();
    let mut lines = OutputLines::starting_at(0);
    lines.push(0, b"compiling\n\x1b[32mok\x1b[0m\n");
    lines.push(50_000, b"linking\r\x1b[Kdone\n");
    model.mode = Mode::Output(Box::new(OutputView::new(id(RUNNING), lines)));
    insta::assert_snapshot!("output_80x24", screen(&model, SIZE));
    insta::assert_snapshot!("output_40x12", screen(&model, SMALL));
    assert_eq!(press(&mut model, " "), NOTHING);
    assert!(screen(&model, SIZE).contains("paused"));
    assert_eq!(press(&mut model, " q"), [Effect::CloseOutput]);
    assert!(matches!(model.mode, Mode::List));
}

#[test]
fn every_size_of_a_screen_is_drawn() {
    let mut lines = OutputLines::starting_at(0);
    lines.push(0, "編譯 a long line of output\n".repeat(50).as_bytes());
    let mut models = [model(), model(), model(), model(), Model::new(None)];
    models[1].mode = Mode::Help;
    models[2].mode = Mode::Output(Box::new(OutputView::new(id(FAILED), lines)));
    models[3].asks_to_kill = Some(id(RUNNING));
    for model in &mut models {
        for height in 1..30 {
            for width in 1..90 {
                let size = Size { width, height };
                buffer(model, size);
                model.on_key(Key::PageDown, size);
                model.on_key(Key::Up, size);
            }
        }
    }
}

#[test]
fn a_selected_job_is_visible_on_every_screen() {
    for size in [SIZE, SMALL, Size { width: 20, height: 6 }] {
        let mut model = model();
        let many = (0..40).map(|number| {
            let mut job =
                if number % 2 == 0 { running(RUNNING) } else { finished(FAILED, Outcome::TimedOut) };
            job.id = id(&format!("{number:012}"));
            job.name = Some(format!("n{number}"));
            job
        });
        model.set_jobs(entries(many.collect()));
        for _ in 0..40 {
            let name = model.selected().and_then(|entry| entry.job.name.clone()).expect("a selected job");
            let text = screen(&model, size);
            let selected: Vec<&str> = text.lines().filter(|line| line.starts_with('>')).collect();
            assert!(matches!(&selected[..], [line] if line.contains(&name)), "{name}: {text}");
            model.on_key(Key::Down, size);
        }
    }
}

#[test]
fn a_job_is_killed_after_one_question() {
    let mut model = model();
    press(&mut model, "k");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.is_error), "the first job has finished");
    model.on_key(Key::Tab, SIZE);
    assert_eq!(model.selected, Some(id(RUNNING)));
    assert_eq!(press(&mut model, "k"), NOTHING);
    assert!(screen(&model, SIZE).ends_with("Kill nightly (111111111111)?  y kill  n cancel"));
    assert_eq!(press(&mut model, "n"), NOTHING);
    assert!(!screen(&model, SIZE).contains("Kill nightly"));
    assert_eq!(press(&mut model, "ky"), [Effect::Kill(id(RUNNING))]);
    model.killing.insert(id(RUNNING));
    assert_eq!(press(&mut model, "ky"), NOTHING, "it is being killed");
}

#[test]
fn a_pasted_text_never_acts() {
    let mut model = model();
    model.on_key(Key::Tab, SIZE);
    for c in "kyqard".chars() {
        assert_eq!(model.on_key(Key::Pasted(c), SIZE), None);
    }
    press(&mut model, "k");
    assert_eq!(model.on_key(Key::Pasted('y'), SIZE), None, "a question is answered by a key");
    press(&mut model, "/");
    "night".chars().for_each(|c| assert_eq!(model.on_key(Key::Pasted(c), SIZE), None));
    assert_eq!(model.filter, "night");
}

#[test]
fn keys_change_the_follow_up_of_the_selected_job() {
    let mut model = model();
    let first = id(FAILED);
    assert_eq!(
        press(&mut model, "ard"),
        [Effect::Acknowledge(first), Effect::Retry(first), Effect::Drop(first)]
    );
    model.on_key(Key::Tab, SIZE);
    assert_eq!(press(&mut model, "ar"), NOTHING);
    assert_eq!(screen(&model, SIZE).lines().last(), Some("nightly (111111111111) has not finished yet"));
    assert_eq!(press(&mut model, "d"), [Effect::Drop(id(RUNNING))], "its result is not delivered");
}

#[test]
fn the_selection_stays_on_its_job() {
    let mut model = model();
    model.on_key(Key::Tab, SIZE);
    let mut jobs = jobs();
    jobs[0] = finished(RUNNING, Outcome::TimedOut);
    model.set_jobs(entries(jobs));
    let selected = model.selected().expect("a selected job");
    assert_eq!((selected.job.id, selected.section), (id(RUNNING), Section::Attention));
    model.set_jobs(entries(self::jobs().split_off(1)));
    assert_eq!(model.selected, Some(id(FAILED)), "the job at the place of one that was removed");
    model.set_jobs(Jobs::default());
    assert_eq!(model.selected, None);
    assert_eq!(press(&mut model, "kard"), NOTHING);
    assert_eq!(model.on_key(Key::Enter, SIZE), None);
}

#[test]
fn sections_and_pages_are_selected() {
    let mut model = model();
    let mut after = |key| {
        model.on_key(key, SIZE);
        model.selected.expect("a selected job").to_string()
    };
    assert_eq!([Key::Tab, Key::Tab, Key::Tab].map(&mut after), [RUNNING, SUCCEEDED, FAILED]);
    assert_eq!([Key::BackTab, Key::BackTab].map(&mut after), [SUCCEEDED, RUNNING]);
    assert_eq!([Key::Up, Key::Up, Key::Up].map(&mut after), [DEAD, FAILED, FAILED]);
    assert_eq!([Key::End, Key::Down, Key::Home].map(&mut after), [SUCCEEDED, SUCCEEDED, FAILED]);
    assert_eq!([Key::PageDown, Key::PageUp].map(&mut after), [RUNNING, DEAD]);
}

#[test]
fn a_filter_hides_other_jobs_until_it_is_cleared() {
    let mut model = model();
    press(&mut model, "/TRAIN");
    assert!(screen(&model, SIZE).ends_with("filter: TRAIN_"));
    model.on_key(Key::Enter, SIZE);
    let shown: Vec<JobId> = model.entries().map(|entry| entry.job.id).collect();
    assert_eq!(shown, [id(DEAD)]);
    assert!(screen(&model, SIZE).contains("filter TRAIN"));
    press(&mut model, "/x");
    assert!(screen(&model, SIZE).contains("No job matches the filter."));
    model.on_key(Key::Backspace, SIZE);
    assert_eq!(model.count(Section::Attention), 1);
    model.on_key(Key::Escape, SIZE);
    assert_eq!((model.filter.as_str(), model.shown.len()), ("", 4));
}

#[test]
fn hostile_names_stay_in_their_place() {
    let mut jobs = jobs();
    for job in &mut jobs {
        job.name = Some(
            "\x1b[31m\u{202e}evil\r\n> Kill everything? y\u{7}\u{200b}\u{85}".to_owned() + &"編".repeat(200),
        );
        job.follow_up.last_error = Some("\x1b]0;title\x07\nmore\u{2028}".repeat(50));
    }
    let mut model = Model::new(None);
    model.set_jobs(entries(jobs));
    for size in [SIZE, SMALL] {
        for keys in ["", "k"] {
            press(&mut model, keys);
            let buffer = buffer(&model, size);
            let symbols = buffer.content.iter().flat_map(|cell| cell.symbol().chars());
            let bad: Vec<char> = symbols
                .filter(|c| c.is_control() || matches!(c, '\u{202e}' | '\u{200b}' | '\u{2028}'))
                .collect();
            assert!(bad.is_empty(), "{bad:?}");
            let text = screen(&model, size);
            assert_eq!(text.lines().filter(|line| line.starts_with('>')).count(), 1, "{text}");
        }
    }
}

#[test]
fn two_thousand_jobs_are_drawn_in_time() {
    let all: Vec<Job> = (0..2_000)
        .map(|number| {
            let mut job = jobs().swap_remove(number % 4);
            job.id = id(&format!("{number:012x}"));
            job
        })
        .collect();
    let mut model = Model::new(None);
    let begin = Instant::now();
    model.set_jobs(entries(all));
    let loaded = begin.elapsed();
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        let begin = Instant::now();
        model.on_key(Key::Down, SIZE);
        buffer(&model, SIZE);
        longest = longest.max(begin.elapsed());
    }
    println!("2,000 jobs: taken over in {loaded:?}, a key and a frame in at most {longest:?}");
    // A build without optimisations on a busy machine is this slow.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
