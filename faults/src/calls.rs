//! Every system call of every server fails, with every error that its manual page names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use client::output::Output;
use harness::interrupt::Interrupt;
use serde::Serialize;

use crate::plan::{self, Wanted};
use crate::profile::{self, Profile};
use crate::report::{self, Found};
use crate::row::{Phase, Row};
use crate::scene::{self, STOP};
use crate::subject::Subject;
use crate::table::{self, CALLS};
use crate::tracer;
use crate::verdict::{self, Verdict};

/// `--short` takes rows for so long; what has begun then is finished, and bad rows are repeated.
const SHORT: Duration = Duration::from_secs(130);

/// How many bad rows are repeated alone; more than that are no accident.
const MOST_REPEATED: usize = 60;

/// `faults calls`
#[derive(Debug, Clone, Args)]
pub struct CallsOptions {
    /// Only this server; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    server: Vec<String>,
    /// Only this system call; may be repeated [default: all that the server makes]
    #[arg(long, value_name = "CALL")]
    call: Vec<String>,
    /// Only this error, such as EPIPE; may be repeated [default: all that the manual page names]
    #[arg(long, value_name = "ERRNO")]
    errno: Vec<String>,
    /// Which call of a thread fails
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 3, 5, 10, 20, 50])]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    nth: Vec<u32>,
    /// Only failing once [default: once and for ever]
    #[arg(long, conflicts_with = "ever")]
    once: bool,
    /// Only failing for ever, from the Nth call on
    #[arg(long)]
    ever: bool,
    /// Only in this part of the server's life; may be repeated [default: all]
    #[arg(long, value_name = "PHASE")]
    phase: Vec<Phase>,
    /// Experiments at the same time [default: two for each core]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = serving::options::parse_count::<1000>)]
    jobs: Option<usize>,
    /// Take a sample that ends within three minutes on two cores
    #[arg(long, conflicts_with = "minutes")]
    short: bool,
    /// Take a sample that begins no experiment after so many minutes
    #[arg(long, value_name = "M")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: Option<u64>,
    /// What the order of the experiments depends on [default: drawn, and told]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Write every row into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Another program instead of our servers, which takes their options
    #[arg(long, value_name = "PATH", hide = true, conflicts_with = "server")]
    program: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    seed: u64,
    rows: &'a [Found],
}

/// Does the experiments that are asked for. Whether no server did wrong.
///
/// # Errors
/// If there is no strace, what is asked for does not exist, or an experiment itself fails.
pub fn run(options: &CallsOptions) -> Result<bool> {
    tracer::require()?;
    let interrupt = Interrupt::watch()?;
    let [json] = Output::open_all([("--json", options.json.as_deref())])?;
    let wanted = wanted(options)?;
    let subjects = match &options.program {
        Some(path) => vec![Subject::program(path.clone())],
        None => Subject::of(&options.server)?,
    };
    let seed = options.seed.unwrap_or_else(crate::short::drawn_seed);
    let jobs = options.jobs.unwrap_or_else(|| 2 * thread::available_parallelism().map_or(1, usize::from));
    let folder = tempfile::tempdir().context("cannot make a folder for strace's logs")?;
    let questions = wanted.nths.iter().max().map_or(3, |nth| nth + 3);
    let profiles = profiles(&subjects, questions, folder.path(), jobs, &interrupt)?;
    ensure!(!interrupt.raised(), "interrupted before the first experiment");
    let profile_of = |server: &str, call: &str| {
        let set = scene::options(call);
        profiles.get(&(server.to_owned(), set)).cloned().unwrap_or_default()
    };
    let mut rows = Vec::new();
    let mut skipped = BTreeMap::new();
    for subject in &subjects {
        rows.extend(plan::rows(subject, &wanted, |call| profile_of(&subject.name, call)));
        let not_called =
            CALLS.iter().map(|call| call.name).filter(|call| !profile_of(&subject.name, call).calls(call));
        skipped.insert(subject.name.clone(), not_called.collect());
    }
    ensure!(!rows.is_empty(), "no server makes such a call, so there is nothing to do");
    plan::shuffle(&mut rows, seed);
    let limit =
        options.minutes.map(|minutes| Duration::from_secs(60 * minutes)).or(options.short.then_some(SHORT));
    report::note(&format!("{} rows, {jobs} at a time, seed {seed}", rows.len()));

    let subject_of =
        |row: &Row| subjects.iter().find(|subject| subject.name == row.server).context("no such server");
    let experiment = |row: &Row| -> Result<(Verdict, String)> {
        let subject = subject_of(row)?;
        let before = profile_of(&row.server, row.call).before(row.call);
        let seen = scene::play(row, subject, before, folder.path())?;
        Ok(verdict::judge(row, &seen, subject.has_one_thread(), STOP))
    };
    let begun = Instant::now();
    let is_over = || interrupt.raised() || limit.is_some_and(|limit| begun.elapsed() >= limit);
    let mut found = in_parallel(&rows, jobs, is_over, &experiment)?;
    repeat_alone(&mut found, &interrupt, &experiment)?;
    found.sort_by(|a, b| {
        (&a.row.server, a.row.call, a.row.errno).cmp(&(&b.row.server, b.row.call, b.row.errno))
    });
    report::print(&found, &skipped)?;
    report::write_json(json, &Document { seed, rows: &found })?;
    report::note(&format!("{} of {} rows, seed {seed}", found.len(), rows.len()));
    Ok(!interrupt.raised() && found.iter().all(|found| found.verdict.is_good()))
}

fn wanted(options: &CallsOptions) -> Result<Wanted> {
    for call in &options.call {
        ensure!(table::call(call).is_some(), "no call {call} is made to fail; there are {}", names());
    }
    for errno in &options.errno {
        let is_known = CALLS.iter().any(|call| call.meaning(errno).is_some());
        ensure!(is_known, "no call's manual page names {errno}");
    }
    let all = [Phase::Start, Phase::Serve, Phase::Stop];
    Ok(Wanted {
        calls: options.call.clone(),
        errnos: options.errno.clone(),
        nths: options.nth.clone(),
        phases: if options.phase.is_empty() { all.to_vec() } else { options.phase.clone() },
        spans: [false, true]
            .into_iter()
            .filter(|&ever| if ever { !options.once } else { !options.ever })
            .collect(),
        // Whoever asks for one row gets it.
        unreached: options.call.len() == 1 && options.errno.len() == 1 && options.phase.len() == 1,
    })
}

fn names() -> String {
    CALLS.iter().map(|call| call.name).collect::<Vec<_>>().join(", ")
}

type Profiles = HashMap<(String, Vec<String>), Profile>;

fn profiles(
    subjects: &[Subject],
    questions: u32,
    folder: &Path,
    jobs: usize,
    interrupt: &Interrupt,
) -> Result<Profiles> {
    let kinds: Vec<_> = subjects
        .iter()
        .flat_map(|subject| profile::option_sets().map(|options| (subject, options)))
        .collect();
    let taken = each(
        &kinds,
        jobs,
        || interrupt.raised(),
        |(subject, options)| {
            // Two of one name at a time would share a log.
            let folder = tempfile::tempdir_in(folder)?;
            Profile::take(subject, options, questions, folder.path())
        },
    )?;
    Ok(kinds
        .iter()
        .zip(taken)
        .map(|((subject, options), profile)| ((subject.name.clone(), options.clone()), profile))
        .collect())
}

fn in_parallel(
    rows: &[Row],
    jobs: usize,
    is_over: impl Fn() -> bool + Sync,
    experiment: &(impl Fn(&Row) -> Result<(Verdict, String)> + Sync),
) -> Result<Vec<Found>> {
    let done = AtomicUsize::new(0);
    each(rows, jobs, is_over, |row| {
        let (verdict, why) = experiment(row).with_context(|| row.command())?;
        let number = done.fetch_add(1, Ordering::Relaxed) + 1;
        if !verdict.is_good() {
            report::note(&format!("{verdict}: {why}\n    {}", row.command()));
        } else if number.is_multiple_of(100) {
            report::note(&format!("{number} of {} rows", rows.len()));
        }
        Ok(Found { row: row.clone(), verdict, why, only_once_bad: false })
    })
}

/// Calls `work` for each item, in that order, on so many threads, and begins no more when it is
/// over or one has failed. The servers that a thread starts die with it: each outlives its own.
fn each<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    is_over: impl Fn() -> bool + Sync,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| {
                while !is_over() && failed.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    match work(item) {
                        Ok(result) => {
                            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                        }
                        Err(error) => *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error),
                    }
                }
            });
        }
    });
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// What a clock found bad while others ran is done again alone, twice: it is bad if it is so again.
fn repeat_alone(
    found: &mut [Found],
    interrupt: &Interrupt,
    experiment: &impl Fn(&Row) -> Result<(Verdict, String)>,
) -> Result<()> {
    let doubtful = found.iter_mut().filter(|found| found.verdict.is_a_matter_of_time());
    for found in doubtful.take(MOST_REPEATED) {
        if interrupt.raised() {
            break;
        }
        let mut again = (Verdict::Unreached, String::new());
        for _ in 0..2 {
            again = experiment(&found.row)?;
            if !again.0.is_good() {
                break;
            }
        }
        if again.0.is_good() {
            found.only_once_bad = true;
            found.why = format!("{}: {}", found.verdict, found.why);
            found.verdict = again.0;
        } else {
            (found.verdict, found.why) = again;
        }
    }
    Ok(())
}
