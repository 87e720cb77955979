//! The answer as a page to show in a meeting.

use std::fmt::Write as _;

use harness::lang::Lang;
use harness::page::{self, escape};

use super::Advice;
use super::texts::Texts;
use super::words;

const STYLE: &str = "\
.choice{font-size:2.2rem;font-weight:700;margin:.2rem 0}dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);\
gap:.3rem 1rem;max-width:52rem}dd{margin:0}tbody tr:first-child{font-weight:600}code{overflow-wrap:anywhere}";

/// The whole page.
pub fn html(advice: &Advice, lang: Lang) -> String {
    let texts = Texts::of(lang);
    let said = &texts.page;
    let asked = (said.sentence)(&(texts.needs)(&advice.needs));
    let mut body = format!("<style>{STYLE}</style>\n<p>{}</p>\n", escape(&asked));
    match &advice.answer {
        Some(answer) => {
            let _ = writeln!(body, "<p class=\"choice\">{}</p>\n<dl>", escape(answer.choice.name()));
            for (title, words) in words::sentences(advice, answer, texts).iter().skip(1) {
                let _ = writeln!(body, "<dt>{title}</dt><dd>{}</dd>", escape(words));
            }
            let _ = writeln!(body, "</dl>\n<h2>{}</h2>", said.able);
            table(&mut body, &words::rows(advice, answer, texts), said.table);
        }
        None => {
            let _ = writeln!(body, "<p class=\"choice\">{}</p>", said.none);
        }
    }
    section(&mut body, said.out, &words::out(advice, texts));
    section(&mut body, said.left_out, &advice.figures.failures);
    let doubts: Vec<String> = advice.figures.doubts.iter().map(texts.doubt).collect();
    section(&mut body, said.doubts, &doubts);
    section(&mut body, said.measured, &[(texts.measured)(advice)]);
    let again = format!("<code>{}</code>", escape(&words::again(&advice.needs)));
    let _ = writeln!(body, "<p>{}</p>", (texts.titled)(texts.page.again, &again));
    page::page(lang, said.title, &body)
}

fn table(body: &mut String, rows: &[[String; 6]], label: &str) {
    let _ = write!(body, "{}<table>", page::scroll(label));
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
