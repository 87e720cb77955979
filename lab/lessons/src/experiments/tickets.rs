//! Ten processes buy one ticket from a JSON file: how many get it, by where the lock is.
//!
//! The course: `search`, then `buy` with a delay between reading `data.json` and writing it, in ten
//! processes. Here each buyer is a program that is started by itself and shares with the others
//! nothing but the path of a folder. Without a lock it does not take luck to sell the ticket ten
//! times: nobody writes before all have read.
//!
//! `--kill` kills the first buyer that is in the middle of writing, with the lock in hand; the
//! wrong way writes into the file, the right one replaces it.

mod buyer;
mod shop;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use harness::lang::Both;
use serde::{Deserialize, Serialize};
use serving::UsageError;
use serving::options::{parse_count, parse_duration};

use super::{name, ways};
use crate::Experiment;
use crate::cast::{Cast, Heard};
use crate::part::Part;
use crate::stage::Stage;
use crate::texts::{Texts, say};
use crate::trace::{State, Trace, now_ns};
use crate::verdict::{Claim, Figure, Observation, Variant};

use self::buyer::{Buyer, End, GoOn, Word};
use self::shop::Shop;

/// The most buyers, each a process.
const MOST_BUYERS: usize = 200;

/// The most tickets.
const MOST_TICKETS: usize = 1_000_000;

/// `lab run tickets`
#[derive(Debug, Args)]
pub struct Tickets {
    /// Processes that want a ticket
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_count::<MOST_BUYERS>)]
    buyers: usize,

    /// Tickets for sale
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count::<MOST_TICKETS>)]
    tickets: usize,

    /// Looking how many are left takes this long
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_duration)]
    look: Duration,

    /// A purchase takes this long between reading and writing
    #[arg(long, value_name = "TIME", default_value = "30ms", value_parser = parse_duration)]
    delay: Duration,

    /// Kill the first buyer that is in the middle of writing: the variants kill-in-place and
    /// kill-rename
    #[arg(long, conflicts_with = "only")]
    kill: bool,

    /// Run only this variant
    #[arg(long, value_enum, value_name = "VARIANT")]
    only: Option<Way>,

    /// Buy from this folder, and leave it: several labs can, at one time; needs --only lock or
    /// lock-look
    ///
    /// A shop that is there already keeps the tickets that it has.
    #[arg(long, value_name = "FOLDER")]
    shop: Option<PathBuf>,
}

/// How to buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Way {
    /// Without a lock
    NoLock,
    /// The purchase under a lock
    Lock,
    /// Looking under the lock, too
    LockLook,
    /// As `lock`, written into the file, and one is killed while writing
    KillInPlace,
    /// As `lock`, and one is killed while writing
    KillRename,
}

impl Way {
    /// The lesson without `--kill`, and with it.
    const LIVING: [Self; 3] = [Self::NoLock, Self::Lock, Self::LockLook];
    const KILLING: [Self; 2] = [Self::KillInPlace, Self::KillRename];

    fn kills(self) -> bool {
        Self::KILLING.contains(&self)
    }
}

/// What there is to say.
#[derive(Debug)]
pub(crate) enum Fact {
    /// What has become of the tickets in one variant.
    Sale {
        way: Way,
        buyers: usize,
        before: u64,
        sold: usize,
        /// None if the file is torn.
        after: Option<u64>,
        /// Buyers who could not read it.
        torn: usize,
        due: u64,
        /// Whether others may buy here at the same time.
        others: bool,
    },
    /// What it costs to look under the lock, too: until a buyer knew what was left, and in all.
    Slower { knew_ns: u64, knew_locked_ns: u64, took_ns: u64, took_locked_ns: u64 },
}

/// What has become of the tickets in one variant.
struct Sale {
    way: Way,
    trace: Trace,
    ends: Vec<End>,
    before: u64,
    /// None if the file is torn.
    after: Option<u64>,
    is_locked: bool,
    begun_ns: u64,
    ended_ns: u64,
}

impl Experiment for Tickets {
    const NAME: &'static str = "tickets";
    const QUESTION: fn(&Texts) -> &'static str = |texts| texts.tickets.question;

    fn run(&self, stage: &Stage) -> Result<Observation> {
        self.check()?;
        let all: &[Way] = if self.kill { &Way::KILLING } else { &Way::LIVING };
        let (mut sales, mut claims) = (Vec::new(), Vec::new());
        for way in ways(self.only, all) {
            let sale = self.sale(way, stage)?;
            claims.push(self.claim(&sale));
            sales.push(sale);
        }
        claims.extend(slower(&sales));
        Ok(Observation {
            variants: sales.into_iter().map(Sale::variant).collect(),
            drawings: Both::default(),
            claims,
        })
    }

    fn act(part: &str, me: &mut Part) -> Result<()> {
        serde_json::from_str::<Buyer>(part)?.act(me)
    }
}

impl Tickets {
    fn check(&self) -> Result<(), UsageError> {
        let is_excluded = |way| matches!(way, Some(Way::Lock | Way::LockLook));
        if self.shop.is_some() && !is_excluded(self.only) {
            return Err(UsageError("--shop needs --only lock or --only lock-look".to_owned()));
        }
        let kills = self.kill || self.only.is_some_and(Way::kills);
        if self.buyers < 2 {
            return Err(UsageError("--buyers takes at least 2: one buyer has no rival".to_owned()));
        }
        if kills && self.tickets >= self.buyers {
            return Err(UsageError(
                "--kill needs fewer --tickets than --buyers, or nobody would miss one".to_owned(),
            ));
        }
        Ok(())
    }

    fn sale(&self, way: Way, stage: &Stage) -> Result<Sale> {
        let folder = match &self.shop {
            Some(folder) => {
                Shop::make_folder(folder)?;
                folder.canonicalize()?
            }
            None => stage.folder(&format!("{}-{}", Self::NAME, name(way)))?,
        };
        let shop = Shop::open(&folder, self.tickets as u64)?;
        let before = shop.left()?;
        let mut cast = self.start(way, &folder)?;
        let begun_ns = now_ns();
        cast.say_to_all(&GoOn)?;
        if way == Way::NoLock {
            let words = cast.listen_to_all::<Word>()?;
            ensure!(words.iter().all(|word| *word == Word::HasRead), "a buyer did not wait for the others");
            cast.say_to_all(&GoOn)?;
        }
        let ends = attend(&mut cast, way)?;
        let ended_ns = now_ns();
        let (lanes, _) = cast.join()?;
        let (after, is_locked) = (shop.left().ok(), shop.is_locked()?);
        Ok(Sale { way, trace: Trace::new(lanes), ends, before, after, is_locked, begun_ns, ended_ns })
    }

    /// Starts all buyers, and waits until they are ready.
    fn start(&self, way: Way, folder: &Path) -> Result<Cast> {
        let mut cast = Cast::new(Self::NAME);
        let buyer = Buyer { way, folder: folder.to_owned(), look: self.look, delay: self.delay };
        for number in 1..=self.buyers {
            cast.start(format!("buyer {number}"), &buyer)?;
        }
        let words = cast.listen_to_all::<Word>()?;
        ensure!(words.iter().all(|word| *word == Word::Ready), "a buyer did not wait for the others");
        Ok(cast)
    }

    fn claim(&self, sale: &Sale) -> Claim {
        let (way, sold, buyers, before, after) =
            (sale.way, sale.sold(), self.buyers, sale.before, sale.after);
        let (due, others) = (before.min(buyers as u64), self.shop.is_some());
        let most_holding = sale.trace.most_at_once(State::Holding);
        let is_left = sale.killed() == 1 && !sale.is_locked;
        let holds = match way {
            Way::NoLock => sold == buyers && after == Some(before - 1) && before > 0,
            Way::Lock | Way::LockLook => {
                let fits = match after {
                    Some(after) if others => sold as u64 <= due && after + sold as u64 <= before,
                    Some(after) => sold as u64 == due && after + due == before,
                    None => false,
                };
                fits && most_holding == 1
            }
            Way::KillInPlace => sold == 0 && after.is_none() && is_left,
            Way::KillRename => sold as u64 == before && after == Some(0) && is_left,
        };
        let torn = sale.count(End::Torn);
        let fact = Fact::Sale { way, buyers, before, sold, after, torn, due, others };
        Claim::new(holds, |texts| (texts.tickets.claim)(&fact))
    }
}

/// Hears all buyers to their ends. If the way kills, the first that is in the middle is killed, and
/// all others go on.
fn attend(cast: &mut Cast, way: Way) -> Result<Vec<End>> {
    let (mut ends, mut living, mut to_kill) = (Vec::new(), cast.len(), way.kills());
    while living > 0 {
        match cast.listen()? {
            Heard::Word(number, Word::InTheMiddle) if to_kill => {
                to_kill = false;
                cast.kill(number)?;
            }
            Heard::Word(number, Word::InTheMiddle) => cast.say(number, &GoOn)?,
            Heard::Word(_, Word::Done(end)) => ends.push(end),
            Heard::Word(number, word) => anyhow::bail!("buyer {} said {word:?} out of turn", number + 1),
            Heard::End(_) => living -= 1,
        }
    }
    Ok(ends)
}

/// Where both were done: what looking under the lock costs.
fn slower(sales: &[Sale]) -> Option<Claim> {
    let of = |way| sales.iter().find(|sale| sale.way == way);
    let (lock, look) = (of(Way::Lock)?, of(Way::LockLook)?);
    let fact = Fact::Slower {
        knew_ns: lock.mean_look_ns(),
        knew_locked_ns: look.mean_look_ns(),
        took_ns: lock.length_ns(),
        took_locked_ns: look.length_ns(),
    };
    let holds = look.mean_look_ns() > lock.mean_look_ns();
    Some(Claim::new(holds, |texts| (texts.tickets.claim)(&fact)))
}

impl Sale {
    fn count(&self, end: End) -> usize {
        self.ends.iter().filter(|its| **its == end).count()
    }

    fn sold(&self) -> usize {
        self.count(End::Bought)
    }

    fn killed(&self) -> usize {
        self.trace.count("killed")
    }

    fn length_ns(&self) -> u64 {
        self.ended_ns - self.begun_ns
    }

    /// From the beginning until a buyer knew how many were left; 0 if none did.
    fn mean_look_ns(&self) -> u64 {
        let marks =
            self.trace.lanes.iter().flat_map(|lane| &lane.marks).filter(|mark| mark.label == "looked");
        let looked: Vec<_> = marks.map(|mark| mark.at_ns.saturating_sub(self.begun_ns)).collect();
        looked.iter().sum::<u64>().checked_div(looked.len() as u64).unwrap_or(0)
    }

    fn variant(self) -> Variant {
        let after = self.after.map_or_else(|| Figure::Word("torn".to_owned()), Figure::Count);
        let mut figures = vec![
            ("tickets", Figure::Count(self.before)),
            ("sold", Figure::count(self.sold())),
            ("left", after),
            ("mean look", Figure::Time(self.mean_look_ns())),
            ("time", Figure::Time(self.length_ns())),
        ];
        if self.way.kills() {
            figures.push(("killed", Figure::count(self.killed())));
        }
        let about = say(|texts| (texts.tickets.about)(self.way));
        Variant { name: name(self.way), about, trace: self.trace, figures }
    }
}
