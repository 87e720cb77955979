//! Who has which buffer: an account without memory, so that it can be tested without a kernel.

/// How many buffers there are: at most so many pieces are received in one turn, and the others in
/// the next. Most of them are never used, and one that is not used is not even memory; all of them
/// are only where a thousand clients send at once.
pub(crate) const BUFFERS: u16 = 1024;

/// How many are lent to the kernel at first. It takes them in turn, so a few are soon in the
/// processor's caches, and many never.
const LENT_AT_FIRST: u16 = 4;

/// Who has a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody: it can be lent.
    Nobody,
    /// The kernel, which may write into it whenever it is entered.
    Kernel,
    /// A conversation, or a request that sends from it.
    Server,
}

/// The account of all buffers. Each is with the kernel, or with the server, or idle; it goes round
/// in this order, and a step that is left out or made twice is a panic here rather than a buffer
/// that two use.
#[derive(Debug)]
pub(crate) struct Lending {
    owners: Vec<Owner>,
    /// Used again in the reverse order, so that the one that was used last, and is in the caches,
    /// is the next.
    idle: Vec<u16>,
    lent: u16,
    /// How many the kernel shall have.
    wanted: u16,
}

impl Lending {
    /// All buffers are idle.
    pub(crate) fn new() -> Self {
        Self {
            owners: vec![Owner::Nobody; usize::from(BUFFERS)],
            idle: (0..BUFFERS).rev().collect(),
            lent: 0,
            wanted: LENT_AT_FIRST,
        }
    }

    /// Lends one more buffer to the kernel, if it shall have more and there is one.
    #[inline]
    pub(crate) fn lend(&mut self) -> Option<u16> {
        if self.lent >= self.wanted {
            return None;
        }
        let buffer = self.idle.pop()?;
        self.pass(buffer, Owner::Nobody, Owner::Kernel);
        self.lent += 1;
        Some(buffer)
    }

    /// The kernel has filled a buffer.
    ///
    /// # Panics
    /// If it did not have it.
    #[inline]
    pub(crate) fn filled(&mut self, buffer: u16) {
        self.pass(buffer, Owner::Kernel, Owner::Server);
        self.lent -= 1;
    }

    /// The server is done with a buffer.
    ///
    /// # Panics
    /// If it did not have it.
    #[inline]
    pub(crate) fn give_back(&mut self, buffer: u16) {
        self.pass(buffer, Owner::Server, Owner::Nobody);
        self.idle.push(buffer);
    }

    /// From now on the kernel has one more.
    pub(crate) fn want_more(&mut self) {
        self.wanted = BUFFERS.min(self.wanted + 1);
    }

    #[inline]
    fn pass(&mut self, buffer: u16, from: Owner, to: Owner) {
        let owner = &mut self.owners[usize::from(buffer)];
        assert_eq!(*owner, from, "buffer {buffer} goes round in the wrong order");
        *owner = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that can be lent now.
    fn lend_all(lending: &mut Lending) -> Vec<u16> {
        std::iter::from_fn(|| lending.lend()).collect()
    }

    #[test]
    fn a_buffer_that_comes_back_is_the_next_to_be_lent() {
        let mut lending = Lending::new();
        let lent = lend_all(&mut lending);
        assert_eq!(lent.len(), usize::from(LENT_AT_FIRST));
        for _ in 0..10 * usize::from(BUFFERS) {
            lending.filled(lent[0]);
            lending.give_back(lent[0]);
            assert_eq!(lend_all(&mut lending), [lent[0]], "others are touched although this one is there");
        }
    }

    #[test]
    fn the_kernel_gets_one_more_each_time_until_it_has_all() {
        let mut lending = Lending::new();
        let mut lent = lend_all(&mut lending);
        for _ in 0..2 * BUFFERS {
            lending.want_more();
            lent.extend(lend_all(&mut lending));
        }
        lent.sort_unstable();
        assert_eq!(lent, (0..BUFFERS).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_server_holds_is_not_lent() {
        let mut lending = Lending::new();
        (0..BUFFERS).for_each(|_| lending.want_more());
        let lent = lend_all(&mut lending);
        lent.iter().for_each(|&buffer| lending.filled(buffer));
        assert_eq!(lending.lend(), None);
        lending.give_back(7);
        assert_eq!(lend_all(&mut lending), [7]);
    }

    #[test]
    #[should_panic(expected = "wrong order")]
    fn a_buffer_that_is_given_back_twice_is_noticed() {
        let mut lending = Lending::new();
        let buffer = lending.lend().unwrap();
        lending.filled(buffer);
        lending.give_back(buffer);
        lending.give_back(buffer);
    }

    #[test]
    #[should_panic(expected = "wrong order")]
    fn a_buffer_that_the_kernel_fills_without_having_it_is_noticed() {
        Lending::new().filled(3);
    }
}
