//! The lessons' page in a browser: each task is solved by clicking, the counts are those of the
//! models, what was recorded is replayed, in both languages, on narrow and on wide screens.

use std::io::Write;

use harness::lang::{Both, Lang};
use lessons::play::{Code, Moment, Program, Recorded, programs};
use lessons::texts::say;
use lessons::trace::{Event, Lane, Recorder, State, Trace, now_ns};
use lessons::verdict::{Claim, Observation, Variant, Words};
use lessons::{EXPERIMENTS, Lesson, page};
use serde_json::{Map, Value, json};

use crate::{browser, lesson};

/// An order of steps, by the numbers of the threads, that ends as wished.
fn order(program: &Program, now: &Moment, fails: bool) -> Option<Vec<usize>> {
    let able: Vec<usize> = (0..program.threads.len()).filter(|it| now.can_go_on(program, *it)).collect();
    if able.is_empty() {
        return (now.has_failed_at_the_end(program) == fails).then(Vec::new);
    }
    able.into_iter().find_map(|thread| {
        let mut next = now.clone();
        next.step(program, thread);
        let rest = order(program, &next, fails)?;
        Some([vec![thread], rest].concat())
    })
}

/// A lesson with an invented picture.
fn invented(number: usize) -> Lesson {
    let begin_ns = now_ns();
    let mut lane = Recorder::thread_of("worker 1", 1, 1, begin_ns);
    lane.apply(begin_ns + 10_000_000, Event::enter(State::Sleeping, "a nap </script>"));
    lane.apply(begin_ns + 20_000_000, Event::mark("read"));
    let mut later = Recorder::thread_of("worker 2", 1, 2, begin_ns + 15_000_000);
    later.apply(begin_ns + 18_000_000, Event::enter(State::Sleeping, ""));
    let trace = Trace::new(vec![lane.end_at(begin_ns + 40_000_000), later.end_at(begin_ns + 18_500_000)]);
    let variant = Variant {
        name: "only".to_owned(),
        about: say(|_| "an invention".to_owned()),
        trace,
        figures: Vec::new(),
    };
    let claims = vec![Claim::new(true, |_| Words::new("this", "that", "So it is."))];
    let outcome = Observation { variants: vec![variant], drawings: Both::default(), claims };
    Lesson { entry: EXPERIMENTS[number], outcome }
}

/// Clicks, and tells what it sees.
const DRIVER: &str = r#"<script>
addEventListener('load', () => {
  const text = (box, selector) => box.querySelector(selector).textContent;
  const solve = (board, order) => {
    const buttons = [...board.querySelectorAll('.thread button')];
    // The first step by keyboard, the others by click.
    order.forEach((thread, index) => index === 0
      ? board.dispatchEvent(new KeyboardEvent('keydown', { key: String(thread + 1), bubbles: true }))
      : buttons[thread].click());
    const outcome = board.querySelector('.outcome');
    return { outcome: outcome.textContent, bad: outcome.classList.contains('bad'),
      stopped: buttons.every((button) => button.disabled) };
  };
  const found = { plays: {}, faults: window.faults, requests: performance.getEntriesByType('resource').length };
  for (const language of ['en', 'zh']) {
    for (const section of document.querySelectorAll('.play')) {
      const [wrong, right] = section.querySelectorAll('.board'), orders = ORDERS[section.dataset.lesson];
      section.querySelector('input').value = wrong.dataset.orders.split(' ')[0];
      section.querySelector('label + button').click();
      const seen = { orders: [wrong.dataset.orders, right.dataset.orders], task: text(section, 'p'),
        guessed: section.querySelector('.good, .bad').className, wrong: solve(wrong, orders[0]), right: solve(right, orders[1]) };
      for (const board of [wrong, right]) board.querySelector(':scope > p button + button').click();
      seen.cleared = wrong.querySelectorAll('button:disabled').length;
      found.plays[`${language} ${section.dataset.lesson}`] = seen;
    }
    document.getElementById('language').click();
  }
  const replay = document.querySelector('.replay'), [play, back, next] = replay.querySelectorAll('button');
  replay.querySelector('details').open = true;
  found.begin = text(replay, 'ul.now');
  next.click(); next.click(); next.click(); next.click(); next.click();
  found.second = { clock: text(replay, 'output'), lane: text(replay, 'ul.now') };
  back.click();
  found.first = text(replay, 'output');
  play.click();
  setTimeout(() => {
    found.played = { clock: text(replay, 'output'), button: play.textContent };
    found.width = document.documentElement.clientWidth;
    found.content = document.documentElement.scrollWidth;
    parent.document.title = JSON.stringify(found);
  }, 15000);
});
</script>"#;

/// Stands before everything else in the page.
const WATCH: &str = "<script>window.faults = []; addEventListener('error', event => window.faults.push(String(event.message)), true);</script>";

/// The page of these lessons, watched for faults and driven.
fn driven(lessons: &[Lesson], driver: &str) -> String {
    let page = page::html(lessons, Lang::En).replacen("<head>", &format!("<head>{WATCH}"), 1);
    page.replacen("</body>", &format!("{driver}</body>"), 1)
}

#[test]
fn every_task_can_be_solved_and_the_page_counts_as_the_models_do() {
    let Some(browser) = browser::browser() else {
        let _ = writeln!(std::io::stderr(), "skipped: chromium is not installed");
        return;
    };
    let mut orders = Map::new();
    for (name, play) in programs::all() {
        let fails = order(&play.wrong, &play.wrong.begin(), true).unwrap();
        let goes_well = order(&play.right, &play.right.begin(), false).unwrap();
        orders.insert(name.to_owned(), json!([fails, goes_well]));
    }
    let driver = DRIVER.replace("ORDERS", &Value::Object(orders).to_string());
    let lessons: Vec<Lesson> = (0..EXPERIMENTS.len()).map(invented).collect();
    let page = driven(&lessons, &driver);
    let folder = tempfile::tempdir().unwrap();
    for width in [390, 1280] {
        let seen = browser::answer_of(&browser, folder.path(), &page, width);
        assert_eq!((&seen["faults"], &seen["requests"]), (&json!([]), &json!(0)), "{seen}");
        assert!(seen["content"].as_u64() <= seen["width"].as_u64(), "wider than the screen: {seen}");
        for (name, play) in programs::all() {
            let counts = [&play.wrong, &play.right].map(|program| {
                let orders = program.orders();
                format!("{} of {}", orders.failing, orders.all)
            });
            for (language, task, happened) in
                [("en", play.task.en, play.happened.en), ("zh", play.task.zh, play.happened.zh)]
            {
                let seen = &seen["plays"][format!("{language} {name}")];
                assert_eq!(seen["orders"], json!(counts), "{name}: {seen}");
                assert_eq!(
                    (&seen["task"], &seen["guessed"]),
                    (&json!(task), &json!("good")),
                    "{name}: {seen}"
                );
                assert_eq!(seen["wrong"]["outcome"], happened, "{name}: {seen}");
                assert_eq!(
                    (&seen["wrong"]["bad"], &seen["right"]["bad"]),
                    (&json!(true), &json!(false)),
                    "{name}: {seen}"
                );
                assert_eq!(seen["right"]["stopped"], true, "{name}: {seen}");
                assert!(!seen["right"]["outcome"].as_str().unwrap().is_empty(), "{name}: {seen}");
                // Only `undo` and `start again` have nothing to do, and who waits from the beginning.
                assert!(seen["cleared"].as_u64() <= Some(3), "{name}: {seen}");
            }
        }
        assert_eq!(
            (&seen["second"]["clock"], &seen["first"]),
            (&json!("20.00 ms"), &json!("18.50 ms")),
            "{seen}"
        );
        assert_eq!(
            seen["second"]["lane"], "worker 1 sleeping (a nap </script>) last: readworker 2 over",
            "{seen}"
        );
        assert_eq!(
            (&seen["played"]["clock"], &seen["played"]["button"]),
            (&json!("40.00 ms"), &json!("Play")),
            "{seen}"
        );
    }
}

/// Moments of a recording at which it is looked who is at which line, from the first to the last.
const MOMENTS: u64 = 25;

/// A lesson as it was recorded, without what was claimed.
fn recorded(arguments: &[&str]) -> Lesson {
    let seen = lesson::lesson(arguments);
    let variant = |name: &&str| Variant {
        name: (*name).to_owned(),
        about: Both::default(),
        trace: seen.trace(name),
        figures: Vec::new(),
    };
    let variants = seen.variants().iter().map(variant).collect();
    let outcome = Observation { variants, drawings: Both::default(), claims: Vec::new() };
    let entry = EXPERIMENTS.into_iter().find(|entry| entry.name == arguments[0]).unwrap();
    Lesson { entry, outcome }
}

fn six_lessons() -> Vec<Lesson> {
    let arguments: [&[&str]; 6] =
        [&["counter", "--workers=3"], &["tickets"], &["deadlock"], &["semaphore"], &["event"], &["queue"]];
    arguments.into_iter().map(recorded).collect()
}

/// What of these lessons is a program's, with its lanes.
fn bound(lessons: &[Lesson]) -> Vec<(&str, Recorded, Program, &[Lane])> {
    let mut bound = Vec::new();
    for lesson in lessons {
        let play = programs::of(lesson.entry.name).unwrap();
        for variant in &lesson.outcome.variants {
            if let Some(its) = play.recorded.iter().find(|its| its.variant == variant.name) {
                let program = if its.is_right { &play.right } else { &play.wrong };
                bound.push((lesson.entry.name, *its, program.clone(), &variant.trace.lanes[..]));
            }
        }
    }
    bound
}

fn lines_in(code: &Code, program: &Program) -> usize {
    code.threads.iter().map(|thread| program.threads[*thread].steps.len()).sum()
}

#[test]
fn every_lane_of_a_program_goes_through_its_lines_and_none_is_left_out() {
    let lessons = six_lessons();
    let bound = bound(&lessons);
    let names: Vec<_> = bound.iter().map(|(lesson, its, ..)| format!("{lesson} {}", its.variant)).collect();
    let declared = programs::all().iter().map(|(_, play)| play.recorded.len()).sum::<usize>();
    assert_eq!(names.len(), declared, "a variant has another name: {names:?}");
    for (lesson, its, program, lanes) in bound {
        for code in its.codes {
            let all = lines_in(code, &program);
            let ours: Vec<&Lane> = lanes.iter().filter(|lane| lane.name.starts_with(code.lanes)).collect();
            assert!(!ours.is_empty(), "{lesson} {}: no lane is called {}", its.variant, code.lanes);
            for lane in ours {
                let (begin, end) = (lane.spans[0].begin_ns, lane.spans.last().unwrap().end_ns);
                assert_eq!(code.lines(lane, begin - 1), None);
                let mut times: Vec<u64> = lane.spans.iter().map(|span| span.begin_ns).collect();
                times.extend(lane.marks.iter().map(|mark| mark.at_ns).chain([end]));
                times.sort_unstable();
                let lines: Vec<_> = times.iter().map(|at| code.lines(lane, *at).unwrap()).collect();
                let what = || format!("{lesson} {}, {}: {lines:?} {lane:?}", its.variant, lane.name);
                assert!(lines.iter().all(|(first, end)| first <= end && *end <= all), "{}", what());
                assert!(lines.windows(2).any(|two| two[0] != two[1]), "it does not move: {}", what());
                if lesson == "queue" || lane.name == "light" {
                    continue;
                }
                // No loops: forwards only, and to the end.
                assert!(lines.windows(2).all(|two| two[0].0 <= two[1].0), "{}", what());
                assert_eq!(lines.last(), Some(&(all, all)), "{}", what());
            }
        }
    }
}

/// Moves the sliders, and tells who is at which line.
const LINES: &str = r#"<script>
addEventListener('load', () => {
  const found = { faults: window.faults, languages: {} };
  for (const language of ['en', 'zh']) {
    found.languages[language] = [...document.querySelectorAll('.replay')].filter((box) => box.querySelector('.code')).map((box) => {
      const slider = box.querySelector('input');
      box.querySelector('details').open = true;
      const moments = [];
      for (let moment = 0; moment <= MOMENTS; moment += 1) {
        slider.value = moment * 1000 / MOMENTS;
        slider.dispatchEvent(new Event('input'));
        moments.push([...box.querySelectorAll('.live .thread')].map((list) => [...list.querySelectorAll('li')].map((line) => line.dataset.who)));
      }
      return { moments, titles: [...box.querySelectorAll('.code h4, .code h3')].map((title) => title.textContent),
        other: box.querySelector('.board:not(.live)').querySelectorAll('li').length };
    });
    document.getElementById('language').click();
  }
  found.width = document.documentElement.clientWidth;
  found.content = document.documentElement.scrollWidth;
  parent.document.title = JSON.stringify(found);
});
</script>"#;

#[test]
fn a_replay_shows_the_line_that_each_lane_is_at_and_the_other_way_beside_it() {
    let Some(browser) = browser::browser() else {
        let _ = writeln!(std::io::stderr(), "skipped: chromium is not installed");
        return;
    };
    let lessons = six_lessons();
    let driver = LINES.replace("MOMENTS", &MOMENTS.to_string());
    let page = driven(&lessons, &driver);
    let folder = tempfile::tempdir().unwrap();
    for width in [390, 1280] {
        let seen = browser::answer_of(&browser, folder.path(), &page, width);
        assert_eq!(seen["faults"], json!([]), "{seen}");
        assert!(seen["content"].as_u64() <= seen["width"].as_u64(), "wider than the screen");
        for (language, titles) in
            [("en", ["Without protection", "With protection"]), ("zh", ["没有保护", "有保护"])]
        {
            let replays = seen["languages"][language].as_array().unwrap();
            let bound = bound(&lessons);
            assert_eq!(replays.len(), bound.len());
            for (replay, (lesson, its, program, lanes)) in replays.iter().zip(bound) {
                assert_eq!(replay["titles"], json!(titles), "{lesson}");
                assert!(replay["other"].as_u64() > Some(0), "{lesson}: the other way is not shown");
                let of_lesson = lessons.iter().find(|one| one.entry.name == lesson).unwrap();
                let traces = || of_lesson.outcome.variants.iter().map(|variant| &variant.trace);
                let length_ns = traces().map(Trace::length_ns).max().unwrap();
                let begin_ns = Trace::new(lanes.to_vec()).bounds_ns().0;
                for moment in 0..=MOMENTS {
                    let at_ns = begin_ns + length_ns * moment / MOMENTS;
                    let expected: Vec<Vec<String>> =
                        its.codes.iter().map(|code| who_is_where(code, &program, lanes, at_ns)).collect();
                    let shown = &replay["moments"][usize::try_from(moment).unwrap()];
                    assert_eq!(shown, &json!(expected), "{lesson} {} at {moment}", its.variant);
                }
            }
        }
    }
}

fn who_is_where(code: &Code, program: &Program, lanes: &[Lane], at_ns: u64) -> Vec<String> {
    let ours = || lanes.iter().filter(|lane| lane.name.starts_with(code.lanes));
    let is_at =
        |lane: &Lane, line| code.lines(lane, at_ns).is_some_and(|(first, end)| (first..end).contains(&line));
    let names =
        |line| ours().filter(|lane| is_at(lane, line)).map(|lane| lane.name.clone()).collect::<Vec<_>>();
    (0..lines_in(code, program)).map(|line| names(line).join(",")).collect()
}
