//! What was recorded as Chrome trace events, which Perfetto and chrome://tracing open.
//!
//! The format: "Trace Event Format", Google, 2016. Here: `M` names processes and threads, `X` is a
//! span, `i` an instant; `ts` and `dur` are microseconds with fractions, from the first instant of
//! all. Each lane is a thread of the file. Tasks have no thread of their own and get a number that
//! no thread has; so does a lane whose thread has shown another lane already.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::Lesson;
use super::trace::{Kind, Lane};

/// Numbers of invented threads begin here: the kernel gives at most 2^22 (proc(5), pid_max).
const FIRST_INVENTED: i32 = 10_000_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    display_time_unit: &'static str,
    trace_events: Vec<Value>,
}

/// The file for these lessons.
///
/// # Errors
/// None that is known.
pub fn trace(lessons: &[Lesson]) -> Result<String> {
    let variants =
        || lessons.iter().flat_map(|lesson| lesson.outcome.variants.iter().map(move |v| (lesson, v)));
    let traces = variants().map(|(_, variant)| &variant.trace).filter(|trace| !trace.lanes.is_empty());
    let begin_ns = traces.map(|trace| trace.bounds_ns().0).min().unwrap_or(0);
    let mut document = Document { display_time_unit: "ms", trace_events: Vec::new() };
    let mut named = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for (lesson, variant) in variants() {
        let title = format!("{} {}", lesson.entry.name, variant.name);
        for lane in &variant.trace.lanes {
            let own = lane.tid.filter(|tid| !taken.contains(&(lane.pid, *tid)));
            let tid = own.unwrap_or_else(|| {
                FIRST_INVENTED.saturating_add(i32::try_from(taken.len()).unwrap_or(i32::MAX))
            });
            taken.insert((lane.pid, tid));
            let thread = format!("{title}: {}", lane.name);
            if named.insert(lane.pid) {
                let process = if lane.kind == Kind::Process { &thread } else { "lab" };
                document.trace_events.push(name("process_name", lane.pid, tid, process));
            }
            document.trace_events.push(name("thread_name", lane.pid, tid, &thread));
            events(&mut document.trace_events, lane, tid, &title, begin_ns);
        }
    }
    Ok(serde_json::to_string(&document)? + "\n")
}

fn name(what: &str, pid: i32, tid: i32, name: &str) -> Value {
    json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } })
}

fn events(events: &mut Vec<Value>, lane: &Lane, tid: i32, category: &str, begin_ns: u64) {
    let mut timed: Vec<(u64, Value)> = Vec::with_capacity(lane.spans.len() + lane.marks.len());
    for span in &lane.spans {
        let begin = span.begin_ns - begin_ns;
        let mut event = json!({
            "ph": "X", "name": span.state.name(), "cat": category, "pid": lane.pid, "tid": tid,
            "ts": microseconds(begin), "dur": microseconds(span.end_ns - span.begin_ns),
        });
        if !span.holds.is_empty() {
            event["args"] = json!({ "with": span.what, "holds": span.holds });
        } else if !span.what.is_empty() {
            event["args"] = json!({ "with": span.what });
        }
        if let Some(ready_ns) = span.ready_ns {
            event["args"]["ready_ns"] = ready_ns.into();
        }
        timed.push((begin, event));
    }
    for mark in &lane.marks {
        let at = mark.at_ns - begin_ns;
        let event = json!({
            "ph": "i", "name": mark.label, "cat": category, "pid": lane.pid, "tid": tid, "ts": microseconds(at), "s": "t",
        });
        timed.push((at, event));
    }
    timed.sort_by_key(|(at, _)| *at);
    events.extend(timed.into_iter().map(|(_, event)| event));
}

/// Whole nanoseconds below 2^53 / 1000 stay exact to the nanosecond.
#[allow(clippy::cast_precision_loss, reason = "a hundred days of nanoseconds fit")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}
