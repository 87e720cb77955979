//! The parts of the report, from what the figures say to how they were made.

use std::fmt::Write as _;

use harness::page::{escape, scroll};
use harness::units;

use super::chart::{self, Cast};
use crate::change::{Comparison, Judgement};
use crate::claims::Finding;
use crate::document::{Document, Point};
use crate::matrix::{Mark, Matrix};
use crate::profile::Scenario;
use crate::{report, table, words};

/// What is said first: the findings that matter most, and whether to believe them.
pub(super) fn opening(body: &mut String, document: &Document) {
    let _ = writeln!(
        body,
        "<p class=\"lead\">One conversation - bytes in, the same bytes back in upper case - served by {} servers that differ in how \
         they wait, measured side by side on {} ({}).</p>",
        document.ids().len(),
        escape(&document.machine.to_string()),
        escape(&document.started.replace('T', " ").replace('Z', " UTC")),
    );
    if document.debug_build {
        warning(body, "A debug build was measured: these figures mean nothing.");
    }
    if document.interrupted {
        let words = format!(
            "The comparison was interrupted after {} of {} runs: what was measured until then is shown.",
            document.runs, document.runs_planned
        );
        warning(body, &words);
    }
    for failure in &document.failures {
        warning(body, &format!("Failed: {failure}"));
    }
    matrix(body, &Matrix::of(document));
    let key: Vec<&Finding> = document.findings.iter().filter(|finding| finding.key).collect();
    if !key.is_empty() {
        body.push_str("<h2>What the figures say</h2>\n<ul>");
        for finding in key {
            let name = finding.scenario.name();
            let _ = write!(
                body,
                "<li><a href=\"#{name}\">{name}</a>: {}.</li>",
                escape(&words::say(&finding.claim))
            );
        }
        body.push_str("</ul>\n");
    }
    body.push_str("<nav aria-label=\"Scenarios\">");
    for scenario in document.scenarios() {
        let _ = write!(body, "<a href=\"#{0}\">{0}</a>", scenario.name());
    }
    if document.baseline.is_some() {
        body.push_str("<a href=\"#baseline\">change</a>");
    }
    let _ = writeln!(body, "<a href=\"#method\">method and doubts ({})</a></nav>", document.doubts.len());
}

/// The answer: a row for each server, the best of each column marked by weight, and not by colour
/// alone.
fn matrix(body: &mut String, matrix: &Matrix) {
    let _ = write!(
        body,
        "<h2>Side by side</h2>\n{}<table class=\"matrix\"><thead><tr><th scope=\"col\">model</th>",
        scroll("All servers side by side")
    );
    for question in &matrix.questions {
        let _ = write!(body, "<th scope=\"col\">{}</th>", escape(question.noun()));
    }
    body.push_str("</tr></thead><tbody>");
    for (id, cells) in &matrix.rows {
        let _ = write!(body, "<tr><th scope=\"row\">{}</th>", escape(id));
        for cell in cells {
            let (class, mark) = match (cell.mark, cell.footnote) {
                (_, Some(number)) => ("", format!("<sup>{number}</sup>")),
                (Mark::Best, _) => (" class=\"best\"", " *".to_owned()),
                (Mark::Tied, _) => (" class=\"tied\"", " =".to_owned()),
                (Mark::Noisy, _) => ("", " ?".to_owned()),
                (Mark::None, _) => ("", String::new()),
            };
            let _ = write!(body, "<td{class}>{}{mark}</td>", escape(&cell.text));
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table></div>\n<p class=\"faint\">");
    let _ = write!(body, "{}.", report::LEGEND);
    for (index, footnote) in matrix.footnotes.iter().enumerate() {
        let _ = write!(body, " <sup>{}</sup> {}.", index + 1, escape(footnote));
    }
    let _ = writeln!(body, " Load: {}.</p>", escape(&matrix.about.join("; ")));
}

fn warning(body: &mut String, words: &str) {
    let _ = writeln!(body, "<p class=\"warning\">{}</p>", escape(words));
}

/// One scenario: what it asks, what was found, the curves, the distributions, the tables.
pub(super) fn scenario(body: &mut String, document: &Document, cast: &Cast<'_>, scenario: Scenario) {
    let profile = scenario.profile();
    let points = document.points_of(scenario);
    let _ = writeln!(
        body,
        "<section id=\"{0}\"><h2>{1} <span class=\"faint\">{0}</span></h2>\n<p>{2}</p>",
        scenario.name(),
        escape(profile.title),
        escape(profile.about)
    );
    list(
        body,
        document
            .findings
            .iter()
            .filter(|finding| finding.scenario == scenario)
            .map(|finding| words::sentence(&finding.claim)),
    );
    body.push_str("<div class=\"charts wide\">\n");
    for metric in profile.metrics {
        body.push_str(&chart::sweep(cast, &points, *metric).unwrap_or_default());
    }
    body.push_str("</div>\n");
    let distributions: String = points.iter().filter_map(|point| chart::percentiles(cast, point)).collect();
    if !distributions.is_empty() {
        let _ = writeln!(
            body,
            "<h3>Response times by percentile</h3>\n<div class=\"charts\">\n{distributions}</div>"
        );
    }
    for point in points {
        figures(body, scenario, point);
    }
    body.push_str("</section>\n");
}

fn list(body: &mut String, lines: impl Iterator<Item = String>) {
    let items: String = lines.map(|line| format!("<li>{}</li>", escape(&line))).collect();
    if !items.is_empty() {
        let _ = writeln!(body, "<ul>{items}</ul>");
    }
}

/// The table of a point, folded.
fn figures(body: &mut String, scenario: Scenario, point: &Point) {
    let columns = table::columns_of(scenario).concat();
    let heading = report::heading(point);
    let _ = write!(
        body,
        "<details><summary>Table: {}</summary>{}<table><thead><tr><th scope=\"col\">model</th>",
        escape(&heading),
        scroll(&heading)
    );
    for column in &columns {
        let header = column.header.replace("-\n", "").replace('\n', " ");
        let _ = write!(body, "<th scope=\"col\">{}</th>", escape(header.trim()));
    }
    body.push_str("</tr></thead><tbody>");
    for server in &point.servers {
        let _ = write!(
            body,
            "<tr><th scope=\"row\" title=\"{}\">{}</th>",
            escape(&server.command),
            escape(&server.id)
        );
        match (&server.figures, &server.failure) {
            (Some(figures), _) => {
                for column in &columns {
                    let _ = write!(body, "<td>{}</td>", escape(&(column.cell)(figures)));
                }
            }
            (None, Some(_)) => {
                let _ = write!(body, "<td colspan=\"{}\">failed</td>", columns.len());
            }
            (None, None) => {
                let _ = write!(body, "<td colspan=\"{}\">not measured</td>", columns.len());
            }
        }
        body.push_str("</tr>");
    }
    body.push_str("</tbody></table></div></details>\n");
}

/// What has changed since an earlier run.
pub(super) fn baseline(body: &mut String, baseline: &Comparison) {
    let _ = writeln!(
        body,
        "<section id=\"baseline\"><h2>Change against an earlier run</h2><p>Against {}, of {} (lab {}). A change counts only where the interval of \
         the ratio, 95 % by Welch's t test on the logarithms, does not contain 1.</p>",
        escape(&baseline.file),
        escape(&baseline.started),
        escape(&baseline.lab_version)
    );
    list(body, baseline.doubts.iter().cloned());
    let _ = write!(body, "{}<table><thead><tr>", scroll("Changes"));
    for header in ["where", "model", "quantity", "before", "now", "change", "judgement"] {
        let _ = write!(body, "<th scope=\"col\">{header}</th>");
    }
    body.push_str("</tr></thead><tbody>");
    for change in &baseline.changes {
        let class = match change.judgement {
            Judgement::Better => "good",
            Judgement::Worse => "bad",
            Judgement::WithinTheSpread | Judgement::NoSpread => "faint",
        };
        let _ = write!(
            body,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:+.1} %</td><td class=\"{class}\">{}</td></tr>",
            escape(&change.point),
            escape(&change.server),
            escape(&change.quantity),
            escape(&change.before),
            escape(&change.now),
            change.change * 100.0,
            change.judgement.words()
        );
    }
    body.push_str("</tbody></table></div></section>\n");
}

/// How it was measured, on what, and why not to believe it.
pub(super) fn method(body: &mut String, document: &Document) {
    body.push_str("<section id=\"method\"><h2>How this was measured, and what to doubt</h2>\n");
    if document.doubts.is_empty() {
        body.push_str("<p>The lab found nothing to doubt in its own figures.</p>\n");
    } else {
        body.push_str("<h3>Doubts</h3>\n");
        list(body, document.doubts.iter().map(ToString::to_string));
    }
    let further = document.notes.iter().chain(&document.left_out);
    if document.notes.len() + document.left_out.len() > 0 {
        body.push_str("<h3>Notes</h3>\n");
        list(body, further.cloned());
    }
    body.push_str("<h3>Method</h3>\n");
    let method = [report::measured(document), report::COLUMNS.to_owned(), report::checked(document)];
    list(body, method.into_iter().chain(METHOD.iter().map(|line| (*line).to_owned())));
    body.push_str("<h3>Machine and versions</h3>\n<dl class=\"facts\">");
    let machine = &document.machine;
    let facts = [
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("memory", units::bytes(machine.memory_bytes as f64)),
        ("system", machine.system.clone()),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("lab and its servers", format!("{}, built by {}", document.lab_version, document.rustc)),
        ("load average before", format!("{:.2}", machine.load_average)),
        ("took", format!("{:.0} s, {} of {} runs", document.took_s, document.runs, document.runs_planned)),
    ];
    let facts = facts.iter().map(|(name, value)| (*name, value.as_str()));
    let settings = machine.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in facts.chain(settings) {
        let _ = write!(body, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    body.push_str("</dl></section>\n");
}

/// What is the same in every comparison.
const METHOD: [&str; 5] = [
    "Two values are ranked where the interval of their ratio, 95 % by a paired t test on the logarithms of the rounds' ratios, does not \
     contain 1, and they differ by 2 % or more. Where it does and is narrow they tie; where it is wide, the rounds tell nothing.",
    "Percentiles are read off the merged histograms of all rounds, and are never averaged.",
    "The thick pale lines in the charts reach from the least to the most of the single rounds.",
    "A silent connection's share of the kernel is measured in two parts: page tables (VmPTE) and kernel stacks (16 KiB for each thread) \
     of the server's process tree, which are the server's for certain; and the growth of the kernel's slab caches, less half of \
     what as many pairs of sockets cost within the lab itself, which stands for the client's end. The second part is the whole \
     machine's, so other programs disturb it, and it is not to be trusted below about a kibibyte.",
    "Memory is the proportional set size: a page that several processes share is divided among them.",
];
