//! What the fuzzer has kept, for the tests that do with it what the fuzzer does.
#![allow(clippy::print_stdout, reason = "where one fails, this is which")]

use std::fs;
use std::path::Path;

/// Hands each file that is kept of a target to what is done with it; `fuzz` is this folder.
pub(crate) fn each(fuzz: &str, name: &str, target: fn(&[u8])) {
    let mut count = 0;
    for kept in ["corpus", "found"] {
        for file in fs::read_dir(Path::new(fuzz).join(kept).join(name)).into_iter().flatten() {
            let file = file.expect("the folder can be read").path();
            println!("{}", file.display());
            target(&fs::read(file).expect("the file can be read"));
            count += 1;
        }
    }
    assert!(count > 0, "nothing is kept of {name}");
}
