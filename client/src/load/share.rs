//! Which connections of the load are one worker's.

/// One worker's share of what all workers do together: the connections `index`, `index + workers`,
/// `index + 2 workers`, ... of the load, which it keeps in slots from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    index: u64,
    workers: u64,
    slots: usize,
}

impl Share {
    /// The share of worker `index` of so many `workers` in so many `connections`.
    pub(super) fn new(index: usize, workers: usize, connections: usize) -> Self {
        let slots = connections.saturating_sub(index).div_ceil(workers);
        Self { index: index as u64, workers: workers as u64, slots }
    }

    /// Connections of this worker.
    pub(super) fn slots(self) -> usize {
        self.slots
    }

    /// The number in the load of the connection in `slot`.
    #[inline]
    pub(super) fn number(self, slot: usize) -> u64 {
        self.index + slot as u64 * self.workers
    }

    /// This worker's part of `all`, of which each worker has as many as the others or one more.
    pub(super) fn part_of(self, all: u64) -> u64 {
        all / self.workers + u64::from(self.index < all % self.workers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_whole() {
        for (workers, connections) in [(1, 1), (3, 7), (4, 4), (2, 1000)] {
            let shares: Vec<Share> =
                (0..workers).map(|index| Share::new(index, workers, connections)).collect();
            let mut numbers: Vec<u64> =
                shares.iter().flat_map(|share| (0..share.slots()).map(|slot| share.number(slot))).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..connections as u64).collect::<Vec<_>>());
            assert_eq!(shares.iter().map(|share| share.part_of(11)).sum::<u64>(), 11);
        }
    }
}
