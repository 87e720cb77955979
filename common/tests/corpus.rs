//! What the fuzzer has kept still holds.

use crate::operations;

#[test]
fn the_kept_orders_of_operations_are_answered_rightly() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/conversation"));
    let files: Vec<_> = folder.unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        operations::conversation(&std::fs::read(file).unwrap());
    }
}
