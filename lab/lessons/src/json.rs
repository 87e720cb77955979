//! The lessons for machines: what was measured, what to think of it, and everything that was
//! recorded.

use anyhow::Result;
use harness::lang::{Both, Lang};
use harness::machine::Machine;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Lesson;
use super::trace::{Band, Lane};
use super::verdict::{Claim, Variant, Verdict};

/// Counts changes that a reader must know of; a further member is none.
const VERSION: u32 = 1;

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    lab_version: &'static str,
    debug_build: bool,
    machine: Machine,
    lessons: Vec<LessonRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct LessonRecord<'a> {
    name: &'a str,
    question: &'a str,
    #[serde(flatten)]
    verdict: Verdict,
    claims: &'a [Claim],
    variants: Vec<VariantRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct VariantRecord<'a> {
    name: &'a str,
    about: &'a Both<String>,
    figures: Map<String, Value>,
    /// Times are nanoseconds of CLOCK_MONOTONIC.
    lanes: &'a [Lane],
    #[serde(skip_serializing_if = "<[Band]>::is_empty")]
    bands: &'a [Band],
}

/// The document of these lessons.
///
/// # Errors
/// None that is known.
pub fn document(lessons: &[Lesson]) -> Result<String> {
    let document = Document {
        version: VERSION,
        lab_version: env!("CARGO_PKG_VERSION"),
        debug_build: cfg!(debug_assertions),
        machine: Machine::this(),
        lessons: lessons.iter().map(record).collect::<Result<_>>()?,
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn record(lesson: &Lesson) -> Result<LessonRecord<'_>> {
    Ok(LessonRecord {
        name: lesson.entry.name,
        question: lesson.entry.question(Lang::En),
        verdict: lesson.verdict(Lang::En),
        claims: &lesson.outcome.claims,
        variants: lesson.outcome.variants.iter().map(variant).collect::<Result<_>>()?,
    })
}

fn variant(variant: &Variant) -> Result<VariantRecord<'_>> {
    let mut figures = Map::new();
    for (name, figure) in &variant.figures {
        let key = format!("{}{}", name.replace([' ', '-'], "_"), figure.unit());
        figures.insert(key, serde_json::to_value(figure)?);
    }
    Ok(VariantRecord {
        name: &variant.name,
        about: &variant.about,
        figures,
        lanes: &variant.trace.lanes,
        bands: &variant.trace.bands,
    })
}
