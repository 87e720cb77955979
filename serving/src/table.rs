//! Room in a table of conversations, where the system may have no memory for it.

use std::io;

use memmap2::MmapMut;
use slab::Slab;

/// The first places of a table; it doubles when they are taken.
const FIRST_PLACES: usize = 64;

/// Makes sure that a table has room for one more entry.
///
/// A slab can only demand memory, and the process ends where there is none. So the kernel is asked
/// for as much first; not the allocator, which would remember, and copy the table from then on
/// instead of moving its pages.
///
/// # Errors
/// There is no memory for a larger table. It stays as it is.
pub fn make_room<T>(table: &mut Slab<T>) -> io::Result<()> {
    let places = table.capacity();
    if table.len() == places {
        let more = places.max(FIRST_PLACES);
        let bytes_each = size_of::<T>() + size_of::<usize>();
        drop(MmapMut::map_anon((places + more).saturating_mul(bytes_each))?);
        table.reserve_exact(more);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_doubles_when_it_is_full_and_not_before() {
        let mut table = Slab::new();
        let mut capacities = Vec::new();
        for number in 0..=2 * FIRST_PLACES {
            make_room(&mut table).unwrap();
            capacities.push(table.capacity());
            table.insert(number);
        }
        capacities.dedup();
        assert_eq!(capacities, [1, 2, 4].map(|times| times * FIRST_PLACES));
    }
}
