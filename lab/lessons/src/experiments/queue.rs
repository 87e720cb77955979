//! Producers and consumers: a queue without a bound, one with, and one with between processes.
//!
//! The course: 生产者, 消息队列, 消费者, and that a queue is how processes that share nothing talk (IPC).
//! What a bound is good for: producers that are faster have to wait, and what is queued stays
//! little. Consumers begin late, when the queue is full or everything is in it, so that it does not
//! take luck to see either.

mod bounded;
mod pipe;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use super::{name, on_threads, ways};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{Band, Recorder, State, Trace};
use crate::verdict::{Claim, Figure, Observation, Variant};

use self::bounded::Bounded;
use self::pipe::Keeper;
use self::worker::{GoOn, Word, Worker};

/// The most producers, and the most consumers.
const MOST: usize = 100;

/// The most items of a producer, and the most places; also what separates the items of one producer
/// from those of the next.
const MOST_ITEMS: usize = 10_000;

/// What the lanes call the waits for each other.
const FOR_A_PLACE: &str = "for a place";
const FOR_AN_ITEM: &str = "for an item";

/// What the band is called that shows how many items are in the queue.
const QUEUED: &str = "queued";

/// `lab run queue`
#[derive(Debug, Args)]
pub struct Queue {
    /// Threads or processes that put items in
    #[arg(long, value_name = "N", default_value = "2", value_parser = parse_count::<MOST>)]
    producers: usize,

    /// Threads or processes that take them out
    #[arg(long, value_name = "N", default_value = "2", value_parser = parse_count::<MOST>)]
    consumers: usize,

    /// Items of each producer
    #[arg(long, value_name = "N", default_value = "15", value_parser = parse_count::<MOST_ITEMS>)]
    items: usize,

    /// Places in the queue, where it has a bound
    #[arg(long, value_name = "N", default_value = "4", value_parser = parse_count::<MOST_ITEMS>)]
    capacity: usize,

    /// Making an item takes this long
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = parse_duration)]
    produce: Duration,

    /// Using an item takes this long
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = parse_duration)]
    consume: Duration,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Way {
    /// Threads, and a queue without a bound
    Unbounded,
    /// Threads, and a queue with a bound
    Threads,
    /// Processes, and a queue with a bound
    Processes,
}

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// The most items that should have been queued, and were.
    Most { way: Way, due: usize, most: usize },
    /// In how many ways nothing was lost, doubled or overtaken.
    Order { items: usize, right: usize, ways: usize },
    /// For how long the producers waited with the bound, and without.
    Pressure { with_ns: u64, without_ns: u64 },
}

/// What came of one way.
struct Traffic {
    way: Way,
    trace: Trace,
    most: usize,
    /// By consumer, in the order in which it took them.
    taken: Vec<Vec<u64>>,
}

impl Experiment for Queue {
    const NAME: &'static str = "queue";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.queue.question;

    fn run(&self, stage: &Stage) -> Result<Observation> {
        self.check()?;
        let (mut all, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, Way::value_variants()) {
            let traffic = match way {
                Way::Unbounded | Way::Threads => self.threads(way)?,
                Way::Processes => self.processes(stage)?,
            };
            claims.push(self.most_claim(&traffic));
            all.push(traffic);
        }
        claims.push(self.order_claim(&all));
        claims.extend(self.pressure_claim(&all));
        let variants = all.into_iter().map(|traffic| self.variant(traffic)).collect();
        Ok(Observation { variants, drawings: Both::default(), claims })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        serde_json::from_str::<Worker>(part)?.act(me)
    }
}

impl Queue {
    fn check(&self) -> Result<(), UsageError> {
        if self.capacity >= self.all() {
            let words = "--capacity takes fewer than all items together, or no producer would have to wait";
            return Err(UsageError(words.to_owned()));
        }
        Ok(())
    }

    /// Items of all producers together.
    fn all(&self) -> usize {
        self.producers * self.items
    }

    /// The items of one producer, in its order.
    fn of(&self, producer: usize) -> impl Iterator<Item = u64> {
        (0..self.items).map(move |number| (producer * MOST_ITEMS + number) as u64)
    }

    /// So many items are in when consumers begin.
    fn begin(&self, way: Way) -> usize {
        if way == Way::Unbounded { self.all() } else { self.capacity }
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let producers = (1..=self.producers).map(|number| format!("producer {number}"));
        producers.chain((1..=self.consumers).map(|number| format!("consumer {number}")))
    }

    fn threads(&self, way: Way) -> Result<Traffic> {
        let queue = Bounded::new(if way == Way::Unbounded { usize::MAX } else { self.capacity });
        let producing = AtomicUsize::new(self.producers);
        let taken: Vec<_> = (0..self.consumers).map(|_| Mutex::new(Vec::new())).collect();
        let mut lanes = on_threads(self.producers + self.consumers, "worker", |number, me| {
            if let Some(consumer) = number.checked_sub(self.producers) {
                me.enter_with(State::Blocked, "until there is enough");
                queue.wait_for(self.begin(way));
                let mut mine = taken[consumer].lock().unwrap_or_else(PoisonError::into_inner);
                self.consume(&queue, &mut mine, me);
            } else {
                self.produce(&queue, number, me);
                // The last one closes.
                if producing.fetch_sub(1, Ordering::SeqCst) == 1 {
                    queue.close();
                }
            }
        })?;
        for (lane, name) in lanes.iter_mut().zip(self.names()) {
            lane.name = name;
        }
        let taken = taken.into_iter().map(|mine| mine.into_inner().unwrap_or_else(PoisonError::into_inner));
        let trace = Trace::new(lanes).with(Band::of_changes(QUEUED, queue.changes()));
        Ok(Traffic { way, trace, most: queue.most(), taken: taken.collect() })
    }

    fn produce(&self, queue: &Bounded<u64>, number: usize, me: &mut Recorder) {
        for item in self.of(number) {
            me.enter_with(State::Sleeping, "producing");
            thread::sleep(self.produce);
            me.enter_with(State::Blocked, FOR_A_PLACE);
            queue.put(item);
        }
    }

    fn consume(&self, queue: &Bounded<u64>, taken: &mut Vec<u64>, me: &mut Recorder) {
        me.enter_with(State::Blocked, FOR_AN_ITEM);
        while let Some(item) = queue.take() {
            me.enter_with(State::Sleeping, "consuming");
            thread::sleep(self.consume);
            taken.push(item);
            me.enter_with(State::Blocked, FOR_AN_ITEM);
        }
    }

    fn processes(&self, stage: &Stage) -> Result<Traffic> {
        let folder = stage.folder(Self::NAME)?;
        let keeper = Keeper::make(&folder, self.capacity)?;
        let mut cast = Cast::new(Self::NAME);
        for (number, name) in self.names().enumerate() {
            let (produces, delay) = if number < self.producers {
                (self.of(number).collect(), self.produce)
            } else {
                (Vec::new(), self.consume)
            };
            cast.start(name, &Worker { folder: folder.clone(), produces, delay })?;
        }
        let words = cast.listen_to_all::<Word>()?;
        ensure!(words.iter().all(|word| matches!(word, Word::Ready)), "one did not wait for the others");
        // All have it open; from now on it is open for as long as they are.
        drop(keeper);
        (0..self.producers).try_for_each(|producer| cast.say(producer, &GoOn))?;
        let (mut changes, mut taken) = (Vec::new(), vec![Vec::new(); self.consumers]);
        let (mut living, mut put) = (cast.len(), 0);
        while living > 0 {
            match cast.listen()? {
                Heard::Word(_, Word::Put(at_ns)) => {
                    changes.push((at_ns, 1));
                    put += 1;
                    if put == self.begin(Way::Processes) {
                        (self.producers..cast.len()).try_for_each(|consumer| cast.say(consumer, &GoOn))?;
                    }
                }
                Heard::Word(number, Word::Took(item, at_ns)) => {
                    changes.push((at_ns, -1));
                    taken[number - self.producers].push(item);
                }
                Heard::Word(number, word) => bail!("process {number} said {word:?} out of turn"),
                Heard::End(_) => living -= 1,
            }
        }
        let (lanes, statuses) = cast.join()?;
        ensure!(statuses.iter().all(|status| status.success()), "a process failed");
        let queued = Band::of_changes(QUEUED, changes);
        let most = usize::try_from(queued.most()).unwrap_or(usize::MAX);
        Ok(Traffic { way: Way::Processes, trace: Trace::new(lanes).with(queued), most, taken })
    }

    fn most_claim(&self, traffic: &Traffic) -> Claim {
        let (way, due, most) = (traffic.way, self.begin(traffic.way), traffic.most);
        let fact = Fact::Most { way, due, most };
        Claim::new(most == due, |texts| (texts.queue.claim)(&fact))
    }

    /// That nothing is lost, doubled or overtaken, in any way.
    fn order_claim(&self, all: &[Traffic]) -> Claim {
        let due: Vec<_> = (0..self.producers).flat_map(|producer| self.of(producer)).collect();
        let is_right = |traffic: &Traffic| {
            let mut taken = traffic.taken.concat();
            taken.sort_unstable();
            taken == due && traffic.taken.iter().all(|mine| self.is_in_order(mine))
        };
        let right = all.iter().filter(|traffic| is_right(traffic)).count();
        let fact = Fact::Order { items: due.len(), right, ways: all.len() };
        Claim::new(right == all.len(), |texts| (texts.queue.claim)(&fact))
    }

    /// Whether of each producer's items this consumer has taken the older ones first.
    fn is_in_order(&self, taken: &[u64]) -> bool {
        let from = |producer| taken.iter().filter(move |item| **item / MOST_ITEMS as u64 == producer);
        (0..self.producers as u64).all(|producer| from(producer).is_sorted())
    }

    /// Where both were done: what the bound costs the producers.
    fn pressure_claim(&self, all: &[Traffic]) -> Option<Claim> {
        let blocked = |way| all.iter().find(|its| its.way == way).map(|its| its.waited_ns(FOR_A_PLACE));
        let (without_ns, with_ns) = (blocked(Way::Unbounded)?, blocked(Way::Threads)?);
        let fact = Fact::Pressure { with_ns, without_ns };
        // Consumers that are faster press on nobody.
        (self.consume > self.produce)
            .then(|| Claim::new(with_ns > without_ns, |texts| (texts.queue.claim)(&fact)))
    }

    fn variant(&self, traffic: Traffic) -> Variant {
        let about = say(|texts| (texts.queue.about)((traffic.way, self.capacity)));
        let figures = vec![
            ("items", Figure::count(traffic.taken.iter().map(Vec::len).sum())),
            ("most queued", Figure::count(traffic.most)),
            ("producers waited", Figure::Time(traffic.waited_ns(FOR_A_PLACE))),
            ("consumers waited", Figure::Time(traffic.waited_ns(FOR_AN_ITEM))),
            ("time", Figure::Time(traffic.trace.length_ns())),
        ];
        Variant { name: name(traffic.way), about, trace: traffic.trace, figures }
    }
}

impl Traffic {
    fn waited_ns(&self, what: &str) -> u64 {
        let spans = self.trace.lanes.iter().flat_map(|lane| &lane.spans);
        spans.filter(|span| span.what == what).map(|span| span.end_ns - span.begin_ns).sum()
    }
}
