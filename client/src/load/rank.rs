//! Which of several clients this is, and so its share of the load that all of them make together.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serving::UsageError;

use super::options::LoadOptions;
use super::pattern::splitmix;
use super::share::Share;

/// What starts programs in parallel, and the variables in which it says which of how many this is;
/// the number of the first, and the variable of the count where there is one.
const STARTERS: [(&str, u64, Option<&str>); 5] = [
    ("SLURM_PROCID", 0, Some("SLURM_NTASKS")),
    ("OMPI_COMM_WORLD_RANK", 0, Some("OMPI_COMM_WORLD_SIZE")),
    ("PMI_RANK", 0, Some("PMI_SIZE")),
    ("JOB_COMPLETION_INDEX", 0, None),
    ("PARALLEL_SEQ", 1, None),
];

/// What stands for the rank in the name of a file.
const PLACE: &str = "{rank}";

/// One of several clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// From 0.
    pub rank: u64,
    /// How many there are.
    pub ranks: u64,
}

/// Which of several clients this is.
#[derive(Debug, Clone, Default, Args)]
pub struct RankOptions {
    /// This is client number R of --ranks, from 0 [default: what Slurm, MPI, a Kubernetes Job or
    /// GNU parallel says]
    ///
    /// Each takes its share of --connections, --rate, --stages, --connect-rate and --requests, and
    /// sends bytes of its own. {rank} in the name of a file stands for R.
    #[arg(long, value_name = "R", requires = "ranks", help_heading = "Many clients")]
    pub rank: Option<u64>,

    /// So many clients make this load together [default: what Slurm or MPI says]
    #[arg(long, value_name = "N", help_heading = "Many clients")]
    pub ranks: Option<NonZeroU64>,
}

impl RankOptions {
    /// Which client this is, and who said so; `None` if it is the only one.
    ///
    /// # Errors
    /// A [`UsageError`] if the rank is none of them, or is not known although there are several.
    pub fn find(&self) -> Result<Option<(Rank, &'static str)>, UsageError> {
        self.find_in(|name| std::env::var(name).ok()?.parse().ok())
    }

    fn find_in(
        &self,
        variable: impl Fn(&str) -> Option<u64>,
    ) -> Result<Option<(Rank, &'static str)>, UsageError> {
        let ranks = self.ranks.map(NonZeroU64::get);
        let told = || {
            STARTERS.iter().find_map(|(name, first, count)| {
                let rank = variable(name)?.checked_sub(*first)?;
                let ranks = ranks.or_else(|| count.and_then(&variable))?;
                Some((Rank { rank, ranks }, *name))
            })
        };
        let found = match (self.rank, ranks) {
            (Some(rank), Some(ranks)) => Some((Rank { rank, ranks }, "--rank")),
            _ => told(),
        };
        match found {
            Some((Rank { rank, ranks }, from)) if rank >= ranks => Err(UsageError(format!(
                "rank {rank} ({from}) is none of {ranks}, which are numbered from 0: change --rank or --ranks"
            ))),
            None if ranks.is_some_and(|ranks| ranks > 1) => Err(UsageError(
                "--ranks needs --rank: no variable says which of them this is (SLURM_PROCID, \
                 OMPI_COMM_WORLD_RANK, PMI_RANK, JOB_COMPLETION_INDEX, PARALLEL_SEQ)"
                    .to_owned(),
            )),
            found => Ok(found.filter(|(rank, _)| rank.ranks > 1)),
        }
    }
}

impl Rank {
    /// This client's share of a load.
    ///
    /// # Errors
    /// A [`UsageError`] if there are more clients than connections or requests.
    pub fn share(self, mut load: LoadOptions) -> Result<LoadOptions, UsageError> {
        let (rank, ranks) = (self.index(self.rank), self.index(self.ranks));
        let share = Share::new(rank, ranks, load.connections);
        let requests = load.requests.map(|all| share.part_of(all));
        if share.slots() == 0 || requests == Some(0) {
            return Err(UsageError(format!(
                "there is no connection or no request for rank {rank} of {ranks}: ask for more \
                 (--connections, --requests), or start fewer clients"
            )));
        }
        // By the number of connections, so that each has the same rate.
        let part = share.slots() as f64 / load.connections as f64;
        (load.connections, load.requests) = (share.slots(), requests);
        for rate in [&mut load.rate, &mut load.connect_rate].into_iter().flatten() {
            *rate *= part;
        }
        for stage in &mut load.stages {
            (stage.from, stage.to) = (stage.from * part, stage.to * part);
        }
        // A seed that is the next one's plus one would send what the next one sends.
        load.seed = splitmix(load.seed ^ splitmix(self.rank));
        Ok(load)
    }

    fn index(self, number: u64) -> usize {
        usize::try_from(number).unwrap_or(usize::MAX)
    }
}

/// The name of a file, with the rank where it says `{rank}`; 0 for the only client.
pub(super) fn file_of(rank: Option<Rank>, file: &Path) -> PathBuf {
    let number = rank.map_or(0, |rank| rank.rank).to_string();
    file.to_str().map_or_else(|| file.to_owned(), |name| name.replace(PLACE, &number).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(
        rank: Option<u64>,
        ranks: Option<u64>,
        variables: &[(&str, u64)],
    ) -> Result<Option<(u64, u64)>, String> {
        let options = RankOptions { rank, ranks: ranks.and_then(NonZeroU64::new) };
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let found = options.find_in(variable).map_err(|error| error.to_string())?;
        Ok(found.map(|(rank, _)| (rank.rank, rank.ranks)))
    }

    #[test]
    fn the_rank_is_told_by_options_or_by_what_started_the_client() {
        assert_eq!(find(None, None, &[]), Ok(None));
        assert_eq!(find(Some(2), Some(4), &[("SLURM_PROCID", 1)]), Ok(Some((2, 4))));
        assert_eq!(find(None, None, &[("SLURM_PROCID", 1), ("SLURM_NTASKS", 3)]), Ok(Some((1, 3))));
        assert_eq!(find(None, None, &[("SLURM_PROCID", 0), ("SLURM_NTASKS", 1)]), Ok(None), "the only one");
        assert_eq!(find(None, Some(4), &[("PARALLEL_SEQ", 4)]), Ok(Some((3, 4))));
        assert_eq!(find(None, None, &[("PARALLEL_SEQ", 4)]), Ok(None), "of how many, nobody says");
        assert_eq!(find(None, Some(5), &[("JOB_COMPLETION_INDEX", 0)]), Ok(Some((0, 5))));
        assert!(find(None, Some(4), &[]).unwrap_err().contains("--ranks needs --rank"));
        assert!(find(Some(4), Some(4), &[]).unwrap_err().contains("numbered from 0"));
        assert!(find(None, Some(2), &[("PARALLEL_SEQ", 3)]).unwrap_err().contains("PARALLEL_SEQ"));
    }

    #[test]
    fn the_shares_of_all_ranks_are_the_load() {
        let mut load = LoadOptions::new("127.0.0.1:1".parse().unwrap());
        (load.connections, load.rate, load.requests) = (10, Some(1000.0), Some(101));
        let all: Vec<LoadOptions> =
            (0..3).map(|rank| Rank { rank, ranks: 3 }.share(load.clone()).unwrap()).collect();
        assert_eq!(all.iter().map(|one| one.connections).collect::<Vec<_>>(), [4, 3, 3]);
        assert_eq!(all.iter().filter_map(|one| one.requests).sum::<u64>(), 101);
        assert!((all.iter().filter_map(|one| one.rate).sum::<f64>() - 1000.0).abs() < 1e-6);
        assert!(all[0].seed != all[1].seed && all[1].seed != all[2].seed);
        assert!(Rank { rank: 0, ranks: 11 }.share(load.clone()).is_ok());
        assert!(Rank { rank: 10, ranks: 11 }.share(load).is_err());
    }

    #[test]
    fn a_file_has_its_rank_in_its_name() {
        let file = |rank| file_of(rank, Path::new("out/{rank}.hlog"));
        assert_eq!(file(Some(Rank { rank: 7, ranks: 9 })), Path::new("out/7.hlog"));
        assert_eq!(file(None), Path::new("out/0.hlog"));
    }
}
