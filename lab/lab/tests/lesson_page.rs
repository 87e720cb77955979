//! The lessons' page in a browser: each task is solved by clicking, the counts are those of the
//! models, what was recorded is replayed, in both languages, on narrow and on wide screens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod browser;

use std::io::Write;

use lessons::play::{Moment, Program, programs};
use lessons::trace::{Event, Recorder, State, Trace, now_ns};
use lessons::verdict::{Claim, Observation, Variant, Verdict};
use lessons::{EXPERIMENTS, Lesson, page};
use serde_json::{Map, Value, json};

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
    let variant =
        Variant { name: "only".to_owned(), about: "an invention".to_owned(), trace, figures: Vec::new() };
    let claims = vec![Claim::new(true, "this", "that", "So it is.")];
    let verdict = Verdict::of(&claims);
    let outcome = Observation { variants: vec![variant], drawings: Vec::new(), claims };
    Lesson { entry: EXPERIMENTS[number], outcome, verdict }
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
    let page = page::html(&lessons).replacen("<head>", &format!("<head>{WATCH}"), 1);
    let page = page.replacen("</body>", &format!("{driver}</body>"), 1);
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
