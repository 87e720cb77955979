//! Reading the JSON again. A file may come from anywhere: no number and no text of it is trusted.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use client::output::harmless;
use serde_json::Value;
use serving::UsageError;

use super::{Document, VERSION};

/// No figure is larger, in whatever unit.
const MOST: f64 = 1e18;

/// No time of the settings is longer, in seconds.
const LONGEST_S: f64 = 1e9;

impl Document {
    /// Reads what `--json` has written.
    ///
    /// # Errors
    /// A line that names the file and what to do: if it cannot be read, is something else, or of
    /// another version.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        Self::of(&name, &text)
    }

    /// What this text says, which is `name`'s.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn of(name: &str, text: &str) -> Result<Self> {
        let mut value: Value = serde_json::from_str(text)
            .map_err(|error| UsageError(format!("{name} is no file of `lab compare --json`: {error}")))?;
        for (key, command) in [("in_flight", "lab million"), ("lessons", "lab run")] {
            if value.get(key).is_some() {
                let line = format!(
                    "{name} is a file of `{command} --json`, and this reads those of `lab compare --json`"
                );
                return Err(UsageError(line).into());
            }
        }
        let version = value.get("version").and_then(Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            let found =
                version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
            return Err(UsageError(format!(
                "{name} has {found} of the results, and this lab reads version {VERSION}: measure again, or use the lab that wrote it"
            ))
            .into());
        }
        make_harmless(&mut value)
            .map_err(|number| UsageError(format!("{name} is damaged: it says {number}")))?;
        let document: Self = serde_json::from_value(value)
            .map_err(|error| UsageError(format!("{name} is damaged: {error}")))?;
        if let Some(why) = document.nonsense() {
            return Err(UsageError(format!("{name} is damaged: {why}")).into());
        }
        Ok(document)
    }

    /// What no comparison could have found.
    fn nonsense(&self) -> Option<&'static str> {
        let settings = &self.settings;
        let times = [settings.duration_s, settings.warm_up_s, self.took_s];
        let loads = || self.points.iter().flat_map(|point| point.load.into_iter().chain(point.offered_per_s));
        if times.iter().any(|time| !(0.0..=LONGEST_S).contains(time)) {
            Some("a time is negative or too long")
        } else if loads().any(|load| load < 0.0) {
            Some("a load is negative")
        } else if self.points.iter().any(|point| point.connections == 0) {
            Some("a point has no connections")
        } else {
            None
        }
    }
}

/// Makes sure that no number is out of all proportion, and that no text can do anything to a
/// terminal.
///
/// # Errors
/// The number.
fn make_harmless(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Number(number) if number.as_f64().is_none_or(|number| number.abs() > MOST) => {
            Err(number.to_string())
        }
        Value::String(text) => {
            *text = harmless(text);
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(make_harmless),
        Value::Object(values) => values.values_mut().try_for_each(make_harmless),
        _ => Ok(()),
    }
}
