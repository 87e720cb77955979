//! The frame of every HTML page that the lab writes: one file, no network, light and dark, fit to
//! print.
//!
//! A page is a title and a body. What draws figures in it uses the colours by their names here, so
//! that all pages look alike. What a reader can hover over explains itself by an SVG `<title>`. The
//! frame has no script; a page may bring one in its body.

use crate::lang::Lang;

/// Colours as CSS variables; those for data are near Okabe's and Ito's, which colour-blind people
/// can tell apart, but darker on light paper, for a contrast of at least 3 to 1. A standalone SVG
/// begins with the same.
///
/// `--paper` and `--ink` are background and text, `--faint` is text of less weight, `--rule` thin
/// lines, `--panel` the ground of a figure; the others are for data.
pub const COLOURS: &str = "\
:root{--paper:#fff;--ink:#1b1f24;--faint:#59636e;--rule:#d1d9e0;--panel:#f6f8fa;\
--blue:#0072b2;--orange:#b97a00;--green:#008a64;--grey:#7d868f;--pink:#b85c8f;--red:#c95500;--sky:#2e8bc0;--violet:#7b52ab;\
--good:#00704f;--bad:#b03a00}\
@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--ink:#e6edf3;--faint:#9198a1;--rule:#3d444d;--panel:#151b23;\
--blue:#3d9be0;--orange:#e69f00;--green:#1dbb8d;--grey:#7d8792;--pink:#d68fb6;--red:#f0762b;--sky:#7cc7f2;--violet:#b18cf0;\
--good:#1dbb8d;--bad:#f0762b}}";

/// The layout. Only what is inside a `.scroll` is ever wider than the screen.
const LAYOUT: &str = "\
*{box-sizing:border-box}\
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:72rem;background:var(--paper);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif;overflow-wrap:break-word}\
h1{font-size:1.7rem;line-height:1.2}h2{font-size:1.3rem;margin-top:2.5rem}h3{font-size:1.05rem}\
p,dl{max-width:46rem}.faint,figcaption{color:var(--faint)}\
figure{margin:1.5rem 0;break-inside:avoid}figcaption{margin-bottom:.4rem}\
.scroll{overflow-x:auto;background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.5rem}\
svg{display:block;font-family:system-ui,sans-serif}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.25rem .75rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}\
th:first-child,td:first-child{text-align:left}\
dt{font-weight:600}dd{margin:0 0 .5rem}.good{color:var(--good)}.bad{color:var(--bad)}\
@media print{@page{margin:15mm}:root{--paper:#fff;--ink:#000;--faint:#444;--rule:#999;--panel:#fff}\
body{padding:0;font-size:11pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}\
.scroll{overflow:visible;border:0}.scroll table{font-size:8pt}.scroll :is(th,td){padding:2pt 3pt}\
svg{max-width:100%;height:auto}h2,h3,summary{break-after:avoid}table,.chart{break-inside:avoid}}";

/// A whole page. `title` is text and is escaped here; `body` is HTML, and whoever makes it escapes
/// what is in it.
pub fn page(lang: Lang, title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>{COLOURS}{LAYOUT}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )
}

/// What begins a figure that may be wider than the screen: it can be reached and moved by keyboard.
/// The label is text and is escaped here; `</div>` ends it.
pub fn scroll(label: &str) -> String {
    format!("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">", escape(label))
}

/// Text as it stands in HTML and SVG, between tags and in quoted attributes. Characters that XML
/// does not allow become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(escape("<a href='x'>&\"\u{1}é"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}é");
        let page = page(Lang::En, "</title><script>", "<p>body</p>");
        assert!(!page.contains("<script>"));
        assert!(page.contains("<p>body</p>"));
    }

    #[test]
    fn a_page_needs_no_network() {
        let page = page(Lang::Zh, "title", "");
        assert!(page.contains("<html lang=\"zh\">"));
        for reference in ["http:", "https:", "url(", "src=", "@import"] {
            assert!(!page.contains(reference), "{reference}");
        }
    }
}
