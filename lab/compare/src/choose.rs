//! `lab choose`: which model for what is asked of it, measured here.

pub mod rule;
