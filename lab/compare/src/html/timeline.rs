//! The page of time series: what was drawn, the charts, the figures.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use client::load::Errors;
use harness::page::{self, COLOURS, escape, scroll};
use harness::units;

use super::timeline_charts::{HEIGHT, STYLE, WIDTH, charts};
use crate::series::all::all;
use crate::series::read::{KINDS, Row, Series};

/// The page alone: charts that are as wide as the screen, until their text would be too small.
const LAYOUT: &str = ".charts svg{width:100%;min-width:44rem;height:auto}summary{cursor:pointer;color:var(--faint);margin:.4rem 0}\
ul{padding-left:1.2rem;max-width:56rem}\
@media print{.charts svg{min-width:0}}";

/// Time series, each and all.
pub(crate) struct Timeline<'a> {
    pub(super) each: &'a [Series],
    pub(super) all: Vec<Row>,
    /// The earliest start, in seconds since 1970.
    pub(super) begin: f64,
}

impl<'a> Timeline<'a> {
    /// Of at least one series.
    pub(crate) fn new(each: &'a [Series]) -> Self {
        let begin = each.iter().map(|series| series.rows[0].start).fold(f64::MAX, f64::min);
        Self { each, all: all(each), begin }
    }

    /// How long all of it is.
    pub(super) fn seconds(&self) -> f64 {
        self.all.iter().map(Row::end).fold(self.begin, f64::max) - self.begin
    }

    /// The errors of all, by kind.
    pub(super) fn errors(&self) -> [f64; KINDS] {
        let mut totals = [0.0; KINDS];
        for row in &self.all {
            for (total, count) in totals.iter_mut().zip(row.errors) {
                *total += count;
            }
        }
        totals
    }

    /// All that is known of an interval.
    pub(super) fn tip(&self, row: &Row) -> String {
        let (rate, p50, p99) =
            (shown(row.rate(), units::rate), shown(row.p50, units::time), shown(row.p99, units::time));
        format!(
            "{:.2} to {:.2} s: {rate} answers/s, p50 {p50}, p99 {p99}, {:.0} open, {:.0} in flight, errors: {}",
            row.start - self.begin,
            row.end() - self.begin,
            row.open,
            row.in_flight,
            said(&row.errors)
        )
    }

    /// The charts as an SVG that needs nothing else.
    pub(crate) fn picture(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n\
             <title>{}</title><style>{COLOURS}{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill:var(--panel)\"/>\n{}</svg>\n",
            escape(&self.summary()),
            charts(self)
        )
    }

    fn summary(&self) -> String {
        format!("A load of {:.1} seconds; errors: {}", self.seconds(), said(&self.errors()))
    }

    /// All of it, as HTML.
    pub(crate) fn page(&self) -> String {
        let begin = SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(self.begin).unwrap_or_default();
        let mut body = format!("<style>{STYLE}{LAYOUT}</style>\n<p>{}.", escape(&self.summary()));
        // The format knows no year after 9999.
        if self.begin < 253_402_300_800.0 {
            let utc = humantime::format_rfc3339_seconds(begin).to_string();
            let _ = write!(body, " It began on {}.", utc.replace('T', " at ").replace('Z', " UTC"));
        }
        body.push_str("</p>\n<ul>");
        for note in self.notes() {
            let _ = write!(body, "<li>{}</li>", escape(&note));
        }
        let _ = write!(
            body,
            "</ul>\n<figure>{}<div class=\"charts\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"group\" aria-label=\"{}\">{}</svg></div></div></figure>\n",
            scroll("Charts over time"),
            escape(&self.summary()),
            charts(self)
        );
        if let [alone] = self.each {
            self.table(&mut body, &alone.name, &self.all);
        } else {
            self.table(&mut body, &format!("all {}", self.each.len()), &self.all);
            for series in self.each {
                self.table(&mut body, &series.name, &series.rows);
            }
        }
        page::page(harness::lang::Lang::En, "A load over time", &body)
    }

    /// What a reader must know of the charts.
    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Hovering over an interval tells its figures. Those with errors are red in all charts."
                .to_owned(),
        ];
        if self.each.len() > 1 {
            notes.push(format!(
                "Thin lines: each of the {} clients; hovering tells which. Heavy lines, bars and intervals: all of them. Answers, errors, \
                 connections and requests are added where they fall together. Percentiles cannot be added: p50 and p99 of all are the \
                 worst client's. The command client merge has the true ones of the whole load, from the clients' logs.",
                self.each.len()
            ));
        }
        for series in self.each {
            let late = series.rows[0].start - self.begin;
            if late >= 1e-3 {
                notes.push(format!("{} began {late:.3} s after the first, by its clock.", series.name));
            }
            if series.is_cut {
                notes.push(format!("{}: the last line was cut off, and is left out.", series.name));
            }
            if series.joined > 1 {
                notes.push(format!(
                    "{}: {} intervals are drawn as one, with the worst percentile.",
                    series.name, series.joined
                ));
            }
        }
        notes
    }

    fn table(&self, body: &mut String, name: &str, rows: &[Row]) {
        let totals = self.errors();
        let kinds = Errors::default().by_kind();
        let known: Vec<usize> = (0..KINDS).filter(|kind| totals[*kind] > 0.0).collect();
        let _ = write!(
            body,
            "<details><summary>Table: {}</summary>{}<table><thead><tr>",
            escape(name),
            scroll(name)
        );
        let columns = ["from, s", "length, s", "answers/s", "p50", "p99", "open", "in flight"];
        for column in columns.into_iter().chain(known.iter().map(|kind| kinds[*kind].0)) {
            let _ = write!(body, "<th scope=\"col\">{column}</th>");
        }
        body.push_str("</tr></thead><tbody>");
        for row in rows {
            let cells = [
                format!("{:.2}", row.start - self.begin),
                format!("{:.2}", row.length),
                shown(row.rate(), units::rate),
                shown(row.p50, units::time),
                shown(row.p99, units::time),
                units::whole(row.open),
                units::whole(row.in_flight),
            ];
            body.push_str("<tr>");
            for cell in cells.into_iter().chain(known.iter().map(|kind| units::whole(row.errors[*kind]))) {
                let _ = write!(body, "<td>{cell}</td>");
            }
            body.push_str("</tr>");
        }
        body.push_str("</tbody></table></div></details>\n");
    }
}

fn shown(value: Option<f64>, say: fn(f64) -> String) -> String {
    value.map_or_else(|| "none".to_owned(), say)
}

/// Errors by kind, in words.
fn said(errors: &[f64; KINDS]) -> String {
    let kinds = Errors::default().by_kind();
    let some = kinds.iter().zip(errors).filter(|(_, count)| **count > 0.0);
    let some: Vec<String> =
        some.map(|((kind, _), count)| format!("{} {kind}", units::whole(*count))).collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::super::series::read::tests::series;
    use super::*;

    #[test]
    fn errors_are_at_their_moment_and_a_page_of_several_says_what_is_the_worst() {
        let each = [
            series("<b>one</b>", &[(100.0, 1000, 0), (101.0, 10, 22), (102.0, 1000, 0)]),
            series("two", &[(100.5, 1000, 0), (101.5, 0, 0)]),
        ];
        let alone = Timeline::new(&each[..1]);
        let page = alone.page();
        assert!(page.contains("1.00 to 2.00 s: 10.0 answers/s, p50 10 ns, p99 10 ns, 5 open, 2 in flight, errors: 22 closed early"));
        assert_eq!((page.matches("class=\"wrong\"").count(), page.matches("class=\"bar\"").count()), (1, 1));
        assert!(page.contains(">22</text>") && !page.contains("<b>") && !page.contains("Percentiles cannot"));
        let page = Timeline::new(&each).page();
        assert!(
            page.contains("Percentiles cannot be added")
                && page.contains("two began 0.500 s after the first")
        );
        assert_eq!((page.matches("class=\"one\"").count(), page.matches("class=\"all\"").count()), (10, 5));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    #[test]
    fn an_interval_without_answer_breaks_the_line_and_a_moment_is_drawn_too() {
        let gap = [series("gap", &[(1.0, 5, 0), (2.0, 0, 0), (3.0, 5, 0)])];
        let picture = Timeline::new(&gap).picture();
        let p99 = picture.split("class=\"all\" style=\"--c:var(--orange)\" d=\"").nth(1).unwrap();
        assert_eq!(p99.split('"').next().unwrap().matches('M').count(), 2, "{p99}");
        let mut moment = series("moment", &[(1.0, 0, 0)]);
        moment.rows[0].length = 0.0;
        let picture = Timeline::new(&[moment]).picture();
        assert!(picture.contains("Errors: none") && !picture.contains("NaN"), "{picture}");
    }
}
