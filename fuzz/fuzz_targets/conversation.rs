#![no_main]

#[path = "../../common/tests/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| operations::conversation(bytes));
