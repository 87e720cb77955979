//! What the terminal can draw.

use std::env;

/// Whether the terminal says that it can draw nothing but text, whatever else the environment says.
pub fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}
