//! What the tests of the experiments have in common: the lab is run, and what it recorded is read
//! from its JSON.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "every test file is a crate of its own and uses some of it"
)]

#[path = "../harness/mod.rs"]
pub(crate) mod harness;

#[allow(unused_imports, reason = "every test file uses some of it")]
pub(crate) use harness::{DEADLINE, Ended, LAB, Lab, descendants, lab, wait_until, wait_until_gone};
use lessons::trace::{Lane, Trace};
use serde_json::Value;

/// A lesson as JSON.
#[derive(Debug)]
pub(crate) struct Lesson(pub(crate) Value);

/// Runs an experiment whose observation must be the expected one.
pub(crate) fn lesson(arguments: &[&str]) -> Lesson {
    let ended = lab(&[&["run", "--json=-"], arguments].concat());
    assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.stderr, ended.stdout);
    lesson_of(&ended)
}

pub(crate) fn lesson_of(ended: &Ended) -> Lesson {
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    Lesson(document["lessons"][0].clone())
}

impl Lesson {
    pub(crate) fn variant(&self, name: &str) -> &Value {
        let variants = self.0["variants"].as_array().unwrap();
        variants.iter().find(|variant| variant["name"] == name).unwrap_or_else(|| panic!("no variant {name}"))
    }

    pub(crate) fn variants(&self) -> Vec<&str> {
        self.0["variants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variant| variant["name"].as_str().unwrap())
            .collect()
    }

    pub(crate) fn figure(&self, variant: &str, name: &str) -> &Value {
        let figure = &self.variant(variant)["figures"][name];
        assert!(!figure.is_null(), "{variant} has no figure {name}");
        figure
    }

    pub(crate) fn count(&self, variant: &str, name: &str) -> u64 {
        self.figure(variant, name).as_u64().unwrap()
    }

    /// What was recorded.
    pub(crate) fn trace(&self, variant: &str) -> Trace {
        Trace::new(serde_json::from_value::<Vec<Lane>>(self.variant(variant)["lanes"].clone()).unwrap())
    }
}
