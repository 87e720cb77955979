//! Every branch of the rule, with invented figures.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const ROOM: Room = Room { cores: 2, memory_bytes: 16e9, tasks: 30_000 };

const NEEDS: Needs =
    Needs { clients: 100, silent: 90, computes: Duration::ZERO, waits: Duration::ZERO, confined: false };

/// Rounds that differ by a hundredth, not all alike.
fn sharp(value: f64) -> Vec<f64> {
    let odd = value.to_bits() % 2;
    (0..5u64).map(|round| value * (1.0 + 0.002 * ((round * 7 + odd * 3) % 5) as f64)).collect()
}

/// Loops are cheap, threads and processes dearer, and everybody uses what cores it can.
fn figures() -> Vec<Costs> {
    let of = |model: &str, memory: f64, cpu_ns: f64| Costs {
        model: Model::of(model).unwrap(),
        memory,
        cpu_ns: sharp(cpu_ns),
    };
    vec![
        of("iterative", 0.0, 5000.0),
        of("fork", 110_000.0, 7000.0),
        of("prefork", 100_000.0, 7000.0),
        of("thread", 28_000.0, 6500.0),
        of("pool", 28_000.0, 6500.0),
        of("mio", 3000.0, 5000.0),
        of("tokio", 3500.0, 5500.0),
        of("tokio-workers", 3500.0, 6000.0),
        of("uring", 3000.0, 4500.0),
        of("hybrid", 3000.0, 5200.0),
    ]
}

fn model(name: &str) -> Model {
    Model::of(name).unwrap()
}

fn answer(needs: Needs) -> Answer {
    choose(&needs, &figures(), &ROOM).unwrap()
}

fn why(answer: &Answer, name: &str) -> Out {
    answer.out.iter().find(|(out, _)| *out == model(name)).unwrap().1
}

#[test]
fn a_few_clients_are_served_by_the_shortest_page() {
    let answer = answer(NEEDS);
    assert_eq!(answer.choice, model("thread"));
    assert_eq!(why(&answer, "iterative"), Out::Serial);
    // One core of two, but cheap: a little more than half of what hybrid can.
    assert!(answer.shares.iter().any(|(kept, share)| *kept == model("mio") && share.value < 0.6));
    // Dearer, and so a little less.
    assert!(matches!(why(&answer, "tokio"), Out::Slow { share, .. } if share > 0.4));
}

#[test]
fn one_client_needs_no_concurrency() {
    assert_eq!(answer(Needs { clients: 1, silent: 0, ..NEEDS }).choice, model("iterative"));
}

#[test]
fn a_crash_that_must_be_confined_needs_a_process_for_each_client() {
    let answer = answer(Needs { confined: true, ..NEEDS });
    assert_eq!(answer.choice, model("fork"));
    assert_eq!(answer.runner_up, Some(model("prefork")));
    assert_eq!(why(&answer, "thread"), Out::Crash);
    assert!(answer.flips.contains(&(Change::Confined(false), model("thread"))), "{:?}", answer.flips);
}

#[test]
fn requests_that_wait_need_a_thread_or_a_task_each() {
    let answer = answer(Needs { waits: Duration::from_millis(5), ..NEEDS });
    assert_eq!(why(&answer, "mio"), Out::Waits);
    assert_eq!(why(&answer, "hybrid"), Out::Waits);
    assert_eq!(answer.choice, model("thread"));
}

#[test]
fn too_many_threads_and_too_much_memory_are_told_with_their_numbers() {
    let many = answer(Needs { clients: 25_000, silent: 24_000, ..NEEDS });
    assert_eq!(why(&many, "thread"), Out::Tasks { needs: 25_000, may: 24_000 });
    assert!(matches!(why(&answer(Needs { clients: 40_000, ..NEEDS }), "fork"), Out::Memory { .. }));
    assert_eq!(many.choice, model("tokio-workers"));
}

#[test]
fn the_number_at_which_it_flips_is_exact() {
    let flips = answer(NEEDS).flips;
    let (clients, other) = flips
        .iter()
        .find_map(|(change, model)| match change {
            Change::Clients(clients) => Some((*clients, *model)),
            _ => None,
        })
        .unwrap();
    assert_eq!((clients, other), (24_001, model("tokio-workers")));
    // And downwards.
    let many = answer(Needs { clients: 1_000_000, silent: 1_000_000, ..NEEDS });
    assert!(many.flips.iter().any(|(change, _)| *change == Change::Clients(24_000)));
}

#[test]
fn who_can_do_half_of_the_best_at_most_is_out_only_beyond_doubt() {
    let mut figures = figures();
    let thread = figures.iter_mut().find(|costs| costs.model == model("thread")).unwrap();
    thread.cpu_ns = sharp(20_000.0);
    let slow = choose(&NEEDS, &figures, &ROOM).unwrap();
    assert!(
        matches!(why(&slow, "thread"), Out::Slow { share, best } if share < 0.3 && best == model("hybrid"))
    );
    assert_ne!(slow.choice, model("thread"));
    let thread = figures.iter_mut().find(|costs| costs.model == model("thread")).unwrap();
    thread.cpu_ns = vec![5000.0, 15_000.0, 40_000.0, 6000.0, 12_000.0];
    let vague = choose(&NEEDS, &figures, &ROOM).unwrap();
    assert_eq!(vague.choice, model("thread"));
    assert!(vague.doubtful.contains(&model("thread")));
}

#[test]
fn equally_short_pages_are_told_apart_by_their_memory() {
    let mut figures = figures();
    figures.retain(|costs| ["tokio", "tokio-workers"].map(model).contains(&costs.model));
    figures[1].memory = 1000.0;
    assert_eq!(choose(&NEEDS, &figures, &ROOM).unwrap().choice, model("tokio-workers"));
}

#[test]
fn where_nobody_can_there_is_no_answer() {
    assert_eq!(choose(&NEEDS, &[], &ROOM), None);
    let small = Room { memory_bytes: 1000.0, ..ROOM };
    assert_eq!(choose(&NEEDS, &figures(), &small), None);
}
