//! What the fuzzer has kept still holds.

use crate::operations;

#[path = "../../fuzz/kept.rs"]
mod kept;

#[test]
fn the_kept_orders_of_operations_are_answered_rightly() {
    kept::each(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"), "conversation", operations::conversation);
}
