//! What the figures say, in words. No sentence is fixed: each is made from figures that differ by more than their rounds do.

mod sentences;

use crate::document::{Document, Finding, Point};
use crate::metric::Metric;
use crate::scenario::Scenario;

use sentences::{dependability, extremes, growth, idle_ratios, keeping, leaders, limits};

/// All sentences, scenario by scenario.
pub fn findings(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    for scenario in document.scenarios() {
        let points = document.points_of(scenario);
        let mut say = |key: bool, text: Option<String>| {
            findings.extend(text.map(|text| Finding { scenario, key, text }));
        };
        let last = points.last().copied();
        for point in &points {
            let is_key = last.is_some_and(|last| std::ptr::eq(last, *point));
            if scenario == Scenario::Idle {
                continue;
            }
            let metric = scenario.profile().metrics[0];
            say(is_key && sentences::differ(point, metric), leaders(point, metric));
        }
        if let Some(point) = last {
            further(scenario, point, &points, &mut say);
        }
        for point in &points {
            say(false, limits(point));
        }
    }
    findings
}

/// What is worth saying beside who leads: at the last point of the sweep, and over all of it.
fn further(scenario: Scenario, last: &Point, points: &[&Point], say: &mut impl FnMut(bool, Option<String>)) {
    match scenario {
        Scenario::Requests => {
            say(true, extremes(last, Metric::Memory));
            say(false, extremes(last, Metric::Cpu));
            say(false, extremes(last, Metric::P99));
            say(true, growth(points));
            for sentence in keeping(points) {
                say(false, Some(sentence));
            }
            for sentence in points.iter().flat_map(|point| dependability(point)) {
                say(true, Some(sentence));
            }
        }
        Scenario::Pipeline | Scenario::Bulk | Scenario::Churn => say(false, extremes(last, Metric::Cpu)),
        Scenario::Idle => {
            for sentence in idle_ratios(last) {
                say(true, Some(sentence));
            }
        }
        Scenario::Paced => {
            say(false, extremes(last, Metric::P50));
            say(false, extremes(last, Metric::Cpu));
        }
        Scenario::Slow => say(false, extremes(last, Metric::Memory)),
        Scenario::Cpu => say(true, extremes(last, Metric::Cores)),
        Scenario::Mixed => say(false, leaders(last, Metric::BulkThroughput)),
    }
}
