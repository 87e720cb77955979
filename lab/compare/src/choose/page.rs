//! The answer as a page to show in a meeting.

use std::fmt::Write as _;

use harness::page::{self, escape};

use super::Advice;
use super::words;

const STYLE: &str = "\
.choice{font-size:2.2rem;font-weight:700;margin:.2rem 0}dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);\
gap:.3rem 1rem;max-width:52rem}dd{margin:0}tbody tr:first-child{font-weight:600}code{overflow-wrap:anywhere}";

/// The whole page.
pub fn html(advice: &Advice) -> String {
    let mut body = format!("<style>{STYLE}</style>\n<p>{}.</p>\n", escape(&words::needs(&advice.needs)));
    match &advice.answer {
        Some(answer) => {
            let _ = writeln!(body, "<p class=\"choice\">{}</p>\n<dl>", escape(answer.choice.name()));
            for (title, said) in words::sentences(advice, answer).iter().skip(1) {
                let title = title.trim_end_matches(':');
                let _ = writeln!(body, "<dt>{title}</dt><dd>{}</dd>", escape(said));
            }
            body.push_str("</dl>\n<h2>Those that can do it</h2>\n");
            table(&mut body, &words::rows(advice, answer));
        }
        None => body.push_str("<p class=\"choice\">No model can do that on this machine.</p>\n"),
    }
    let out: Vec<String> = advice
        .out()
        .into_iter()
        .map(|(model, why)| format!("{}: {}", model.name(), words::out(&why)))
        .collect();
    section(&mut body, "Those that are out", &out);
    section(&mut body, "Left out", &advice.figures.failures);
    section(&mut body, "Doubts", &advice.figures.doubts);
    section(&mut body, "How this was measured", &[words::measured(advice)]);
    let _ = writeln!(body, "<p>Again: <code>{}</code></p>", escape(&words::again(&advice.needs)));
    page::page("Which model to choose", &body)
}

fn table(body: &mut String, rows: &[[String; 6]]) {
    let _ = write!(body, "{}<table>", page::scroll("Table"));
    for (index, row) in rows.iter().enumerate() {
        body.push_str(if index == 0 { "<thead><tr>" } else { "<tr>" });
        for (column, cell) in row.iter().enumerate() {
            let (open, close) = match (index, column) {
                (0, _) => ("th scope=\"col\"", "th"),
                (_, 0) => ("th scope=\"row\"", "th"),
                _ => ("td", "td"),
            };
            let _ = write!(body, "<{open}>{}</{close}>", escape(cell));
        }
        body.push_str(if index == 0 { "</tr></thead><tbody>" } else { "</tr>" });
    }
    body.push_str("</tbody></table></div>\n");
}

fn section(body: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(body, "<h2>{title}</h2>\n<ul>");
    for line in lines {
        let _ = write!(body, "<li>{}</li>", escape(line));
    }
    body.push_str("</ul>\n");
}
