//! Pictures in letters, compared with what they must be.

use super::*;
use crate::trace::{Kind, Mark, Span};

fn lane(name: &str, spans: &[(State, u64, u64)], marks: &[(u64, &'static str)]) -> Lane {
    let span =
        |&(state, begin, end): &(State, u64, u64)| Span::new(state, "", begin * 1_000_000, end * 1_000_000);
    let mark = |&(at, label): &(u64, &'static str)| Mark::new(at * 1_000_000, label);
    Lane {
        name: name.to_owned(),
        kind: Kind::Thread,
        pid: 1,
        tid: Some(1),
        spans: spans.iter().map(span).collect(),
        marks: marks.iter().map(mark).collect(),
    }
}

fn alone(trace: &Trace, look: &Look) -> String {
    draw(trace, &Key::of([trace]), look)
}

const LETTERS: Look = Look { lang: Lang::En, columns: 44, ascii: true, colour: false };

#[test]
fn a_picture_is_lanes_a_time_axis_and_a_legend() {
    let mut trace = Trace::new(vec![
        lane("a", &[(State::Holding, 1000, 1020), (State::Running, 1020, 1040)], &[(1030, "sold")]),
        lane("bb", &[(State::Waiting, 1000, 1020), (State::Holding, 1020, 1030)], &[]),
    ]);
    trace.lanes[0].spans[1].ready_ns = Some(0);
    let expected = [
        "a  HHHHHHHHHHHHHHHHHHHHrrrrrrrrrr*rrrrrrrrrr",
        "bb ....................HHHHHHHHHH",
        "   +-------------------+--------------------",
        "   0                   20.0 ms",
        "r running  . waiting  H holding  * sold",
    ];
    let text = alone(&trace, &LETTERS);
    // 41 columns for 40 ms: a boundary may be a column further right.
    let same: Vec<_> = text.lines().collect();
    assert_eq!(same.len(), expected.len(), "\n{text}");
    for (line, expected) in same.iter().zip(expected) {
        assert!(line.chars().count().abs_diff(expected.chars().count()) <= 1, "\n{text}");
        assert_eq!(line.chars().next(), expected.chars().next(), "\n{text}");
    }
    assert_eq!(same[4], expected[4]);
    assert_eq!(same[0].matches('*').count(), 1);
    assert!(text.is_ascii());
}

#[test]
fn a_hundred_lanes_are_a_sample_that_says_so_and_fits() {
    let lanes = (0..100).map(|n| lane(&format!("worker {n}"), &[(State::Running, n, n + 3)], &[])).collect();
    for columns in [40, 80, 200] {
        for look in [Look { columns, ..LETTERS }, Look { columns, ascii: false, ..LETTERS }] {
            let text = alone(&Trace::new(Clone::clone(&lanes)), &look);
            assert_eq!(text.lines().count(), SAMPLE_ROWS + 4, "\n{text}");
            assert!(text.contains("16 of 100 lanes"), "\n{text}");
            assert!(text.contains("worker 0 ") && text.contains("worker 99"), "\n{text}");
            assert!(text.lines().all(|line| line.chars().count() <= columns), "\n{text}");
        }
    }
}

#[test]
fn colour_is_there_only_when_it_is_wanted_and_always_ended() {
    let trace = Trace::new(vec![lane("a", &[(State::Holding, 0, 9)], &[(3, "sold")])]);
    assert!(!alone(&trace, &LETTERS).contains('\x1b'));
    let text = alone(&trace, &Look { colour: true, ..LETTERS });
    for line in text.lines().filter(|line| line.contains('\x1b')) {
        let last = line.rfind('\x1b').unwrap();
        assert!(line[last..].starts_with(NO_COLOUR), "{line:?}");
    }
}

#[test]
fn nothing_and_an_instant_are_drawn_too() {
    assert_eq!(alone(&Trace::default(), &LETTERS), "(nothing was recorded)\n");
    assert!(alone(&Trace::new(vec![lane("a", &[], &[(5, "x")])]), &LETTERS).contains('*'));
}

#[test]
fn pictures_of_one_lesson_have_one_axis_and_one_sign_for_each_mark() {
    let long = Trace::new(vec![lane("a", &[(State::Running, 0, 100)], &[(1, "sold")])]);
    let short = Trace::new(vec![lane("a", &[(State::Running, 500, 510)], &[(501, "seen"), (505, "sold")])]);
    let key = Key::of([&long, &short]);
    assert_eq!((key.length_ns, &key.labels[..]), (100_000_000, &["sold", "seen"][..]));
    let text = draw(&short, &key, &LETTERS);
    assert!(text.lines().next().unwrap().len() <= 8, "\n{text}");
    assert!(text.contains("* sold") || text.contains("! seen"), "\n{text}");
}

#[test]
fn who_waits_with_a_lock_in_hand_looks_otherwise_and_words_stand_where_there_is_room() {
    let mut waits = lane("a", &[(State::Waiting, 0, 50), (State::Holding, 50, 100)], &[(60, "read")]);
    waits.marks[0].value = "100".into();
    waits.spans[0].holds = vec!["B".into()];
    waits.spans[0].what = "A".into();
    waits.spans[1].holds = vec!["A".into()];
    let text = alone(&Trace::new(vec![waits]), &LETTERS);
    let row = text.lines().next().unwrap();
    assert!(row.starts_with("a bbb") && row.contains("bb A bb") && row.contains("AA*100AA"), "\n{text}");
    assert!(text.contains("A holding A  b holding B, waiting  * read"), "\n{text}");
}

#[test]
fn ready_has_a_sign_and_what_is_not_known_has_words() {
    let mut known = lane("a", &[(State::Running, 0, 50), (State::Ready, 50, 100)], &[]);
    known.spans[0].ready_ns = Some(0);
    let mut partly = lane("b", &[(State::Running, 0, 100)], &[]);
    partly.spans[0].ready_ns = Some(40_000_000);
    let trace = Trace::new(vec![known, partly]);
    let text = alone(&trace, &LETTERS);
    assert!(text.starts_with("a rrr") && text.contains("yyy\nb YYY"), "\n{text}");
    assert!(text.contains("r running  y ready\nY a part of it ready"), "\n{text}");
    // A span of which nobody has asked.
    let unknown = alone(&Trace::new(vec![lane("a", &[(State::Running, 0, 50)], &[])]), &LETTERS);
    assert!(unknown.contains("r running or ready (not known which)"), "\n{unknown}");
}
