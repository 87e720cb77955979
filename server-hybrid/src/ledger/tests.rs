//! Places that move between loops, without any loop.

use std::{mem, thread};

use common::Outcome;

use super::*;

fn accepted(count: usize) -> Tally {
    Tally::from_counts([count as u64, 0, 0, 0])
}

fn taken(ledger: &Ledger) -> u64 {
    ledger.sum.taken.load(Relaxed)
}

#[test]
fn a_freed_place_goes_to_those_that_want_one_in_turn_and_to_its_loop_last() {
    let ledger = Ledger::new(3, 1).unwrap();
    let mut accounts = [0, 1, 2].map(|index| Account::open(ledger, index));
    assert!(accounts[1].take(0));
    assert!(accounts[1].settle(&accepted(1)).is_empty());
    assert!(!accounts[0].take(0) && !accounts[2].take(0) && !accounts[1].take(1));
    let mut tally = accepted(1);
    tally.close(Outcome::Completed);
    assert_eq!(accounts[1].settle(&tally), [2]);
    assert!(accounts[2].take(0), "it has the place already");
    assert_eq!(accounts[2].settle(&accepted(0)), [0], "it did not need it");
    assert_eq!(accounts[0].settle(&accepted(0)), [1]);
    assert_eq!(accounts[1].settle(&tally), [], "nobody wants it any more");
    assert_eq!(taken(&ledger), 0);
}

#[test]
fn a_place_goes_with_the_client_that_is_handed_over() {
    let ledger = Ledger::new(2, 2).unwrap();
    let [mut from, mut to] = [0, 1].map(|index| Account::open(ledger, index));
    for _ in 0..2 {
        assert!(from.take(0));
        from.hand_over();
    }
    assert!(from.settle(&accepted(0)).is_empty());
    assert!(!from.take(0), "both are on their way");
    to.take_over(from.sender());
    // The sender dies, and what it held is given back; one client is on its way, and passes the limit if need be.
    let sender = from.sender();
    ledger.bury(0);
    assert_eq!(taken(&ledger), 1);
    to.take_over(sender);
    assert_eq!(taken(&ledger), 2);
    assert!(to.settle(&accepted(2)).is_empty());
    assert_eq!(ledger.bury(1).0, accepted(2));
    assert_eq!(taken(&ledger), 0);
}

#[test]
fn what_a_loop_that_died_amid_a_change_has_left_is_counted_anew() {
    let ledger = Ledger::new(2, 4).unwrap();
    let account = Account::open(ledger, 0);
    assert!(account.take(0));
    let die = move || {
        let guard = ledger.lock();
        add(&ledger.entries[1].held, 1);
        mem::forget(guard);
    };
    thread::spawn(die).join().unwrap();
    assert!(account.take(1));
    assert_eq!(taken(&ledger), 3);
    ledger.bury(1);
    assert_eq!(taken(&ledger), 2);
}

#[test]
fn only_a_loop_with_clearly_fewer_conversations_is_handed_a_client() {
    let ledger = Ledger::new(2, 100).unwrap();
    let [mut from, to] = [0, 1].map(|index| Account::open(ledger, index));
    assert_eq!(from.less_busy(0, 100), None);
    assert_eq!(from.less_busy(1, 100), Some(1));
    assert_eq!(from.less_busy(1, 100), None, "one is on its way there");
    from.keep(1);
    to.close();
    assert_eq!(from.less_busy(50, 100), None, "it serves no more");
}

#[test]
fn a_loop_that_has_its_share_finds_any_other_that_has_room() {
    let ledger = Ledger::new(4, 40).unwrap();
    let [mut full, mut others @ ..] = [0, 1, 2, 3].map(|index| Account::open(ledger, index));
    for other in &mut others {
        for open in 0..if other.index == 3 { 9 } else { 10 } {
            assert!(other.take(open));
            other.settle(&accepted(open + 1));
        }
    }
    assert_eq!(full.less_busy(9, 10), None, "none has clearly fewer");
    assert!(full.others_have_room(10));
    assert_eq!(full.less_busy(10, 10), Some(3));
    assert!(!full.others_have_room(10), "the last place is promised");
    assert_eq!(full.less_busy(10, 10), None);
}
